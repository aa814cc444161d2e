//! What `benches/count-instructions` counts: one parse of a sample with one kernel, checked.
//!
//! `cargo bench --bench instructions -- KERNEL` prints the bytes parsed. Counting is for valgrind,
//! which is told to collect inside [`counted_parse`] only; it cannot run AVX-512.

#![expect(clippy::print_stdout, reason = "it reports what it parsed")]

use std::process::ExitCode;

use fastload::generate::GenSize;
use fastload::parse::simd::Kernel;
use fastload::sink::null::NullTarget;

#[path = "parsing/mod.rs"]
#[expect(dead_code, reason = "other benches use the rest of it")]
mod parsing;

/// Enough that tables and first touches do not count.
const BYTES: u64 = 2 << 20;

/// The function whose instructions are counted. Its name is known to `benches/count-instructions`.
#[inline(never)]
fn counted_parse(parsing: &mut parsing::Parsing, bytes: &[u8]) -> u64 {
    parsing.parse(bytes)
}

fn main() -> ExitCode {
    // Under `cargo test --benches` the arguments are the harness's.
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let (bytes, truth) = parsing::sample(GenSize::Bytes(BYTES));
    let mut found = false;
    for kernel in Kernel::available() {
        if wanted.as_ref().is_some_and(|wanted| wanted != kernel.name()) {
            continue;
        }
        found = true;
        let rows = counted_parse(&mut parsing::Parsing::new(kernel, &NullTarget), &bytes);
        assert_eq!(rows, truth.rows);
        println!("{} {}", kernel.name(), bytes.len());
    }
    if found { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
