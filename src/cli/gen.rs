//! `fastload gen`.

use std::fs::File;
use std::io::{self, Write};

use super::args::GenArgs;
use crate::config::setting::Size;
use crate::error::{Error, Result};
use crate::generate::{BadRecords, GenOptions, GenSize, accounts};

/// Records without `--rows` and `--size`.
const DEFAULT_ROWS: u64 = 100_000;

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

fn write(args: &GenArgs, mut out: impl Write) -> io::Result<()> {
    let size = match (args.rows, args.size) {
        (None, Some(Size(bytes))) => GenSize::Bytes(bytes),
        (rows, _) => GenSize::Records(rows.unwrap_or(DEFAULT_ROWS)),
    };
    let options = GenOptions {
        size,
        seed: args.seed,
        header: !args.no_header,
        bad: BadRecords::Every(args.bad_every),
    };
    accounts(&options, &mut out)?;
    out.flush()
}
