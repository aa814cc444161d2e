//! One measurement of a peer, in a process of its own:
//!
//!     peers MODE FILE        one line of JSON
//!
//! `index-avx512`, `index-avx2`: the field index, every delimiter and newline outside quotes found
//! and written down, nothing converted. `simd-csv`: simd-csv's reader, and all ten columns of the
//! accounts file converted into columns. `arrow-csv`: the same by arrow-csv's typed reader.
//! `read`, `mmap`, `direct`: every byte brought into memory and summed, the best that a program
//! which reads the file could do.
//!
//!     peers --usage OUT COMMAND...
//!
//! Runs a command and writes what it used to OUT, as JSON. A program as large as a Python
//! interpreter cannot measure that: the peak of a child begins with that of its parent.
//!
//! Index, conversions and raw readers do the work of the programs with which the targets were set
//! before there was a fastload; none of its code is in them.

mod arrow;
mod columns;
mod convert;
mod index;
mod raw_read;
mod simd;

use std::fs::File;
use std::process::{Command, ExitCode};
use std::time::Instant;

use columns::Sums;

/// What a mode found in the file.
pub struct Answer {
    /// Records, for modes that find them.
    pub rows: u64,
    /// Sums over the columns, for modes that convert.
    pub sums: Option<Sums>,
}

type Failure = Box<dyn std::error::Error>;

fn answer(mode: &str, path: &str) -> Result<Answer, Failure> {
    let file = File::open(path)?;
    // SAFETY: nobody writes to the file while a comparison runs.
    let map = unsafe { memmap2::Mmap::map(&file)? };
    let header_end = memchr::memchr(b'\n', &map).ok_or("the file has no header")? + 1;
    let body = &map[header_end..];
    match mode {
        "index-avx512" => Ok(Answer { rows: index::count_avx512(body)?, sums: None }),
        "index-avx2" => Ok(Answer { rows: index::count_avx2(body)?, sums: None }),
        "simd-csv" => simd::read(body),
        "arrow-csv" => arrow::read(body),
        _ => Err(format!("no mode {mode}").into()),
    }
}

/// What the JSON says beside times.
fn found(mode: &str, path: &str) -> Result<String, Failure> {
    if let Some(read) = raw_read::by_name(mode) {
        return Ok(format!("\"bytes\": {}", read(path)?));
    }
    let Answer { rows, sums } = answer(mode, path)?;
    let sums = sums.map_or_else(String::new, |sums| {
        format!(", \"account_id\": {}, \"cents\": {}", sums.account_id, sums.balance_cents)
    });
    Ok(format!("\"rows\": {rows}{sums}"))
}

/// What a process and, for `RUSAGE_CHILDREN`, those it has waited for have used.
struct Usage {
    cpu_seconds: f64,
    peak_bytes: i64,
}

fn usage_of(who: libc::c_int) -> Usage {
    // SAFETY: the structure is plain numbers, for which zeros are values, and the call fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(who, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Usage {
        cpu_seconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        peak_bytes: usage.ru_maxrss * 1024,
    }
}

fn measure(out: &str, program: &str, arguments: &[String]) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let status = Command::new(program).args(arguments).status()?;
    let seconds = started.elapsed().as_secs_f64();
    let Usage { cpu_seconds, peak_bytes } = usage_of(libc::RUSAGE_CHILDREN);
    let text = format!(
        "{{\"wall_seconds\": {seconds}, \"cpu_seconds\": {cpu_seconds}, \
         \"peak_bytes\": {peak_bytes}}}"
    );
    std::fs::write(out, text)?;
    Ok(status.code().map_or(ExitCode::FAILURE, |code| ExitCode::from(code as u8)))
}

fn read(mode: &str, path: &str) -> Result<ExitCode, Failure> {
    let (started, before) = (Instant::now(), usage_of(libc::RUSAGE_SELF));
    let found = found(mode, path)?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu_seconds = usage_of(libc::RUSAGE_SELF).cpu_seconds - before.cpu_seconds;
    println!("{{\"seconds\": {seconds}, \"cpu_seconds\": {cpu_seconds}, {found}}}");
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.as_slice() {
        [flag, out, program, arguments @ ..] if flag == "--usage" => {
            measure(out, program, arguments)
        }
        [mode, path] => read(mode, path),
        _ => Err("usage: peers MODE FILE, or peers --usage OUT COMMAND...".into()),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("peers: {failure}");
        ExitCode::FAILURE
    })
}
