//! `fastload gen`.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use super::args::GenArgs;
use crate::error::{Error, Result};
use crate::sample::write_accounts;

/// Bytes collected before they are written.
const BUFFER_BYTES: usize = 1 << 18;

/// Writes the accounts.
///
/// # Errors
/// The output cannot be made or written.
pub(super) fn generate(args: &GenArgs) -> Result<()> {
    let failed = |source| Error::io("writing the sample data", source);
    let Some(path) = &args.output else {
        return match write(args, io::stdout().lock()) {
            // `fastload gen | head` is no error.
            Err(source) if source.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.map_err(failed),
        };
    };
    let file = File::create(path)
        .map_err(|source| Error::io(format!("creating {}", path.display()), source))?;
    write(args, file).map_err(failed)
}

fn write(args: &GenArgs, out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, out);
    write_accounts(&mut out, args.rows, args.seed, args.bad_every)?;
    out.flush()
}
