//! The log: events of the engine and of the libraries below it, on standard error or in a file.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::bad_record::escape;
use super::text_file::{self, Existing};
use crate::config::resolve::OutputOptions;
use crate::config::setting::LogFormat;
use crate::error::{Error, Result};

/// What is logged: errors with `--quiet`, warnings, with `-v` what is done, with `-vv` how. A file
/// holds what is done in any case.
fn level(output: &OutputOptions) -> Level {
    match output.verbose {
        0 if output.log_file.is_some() => Level::INFO,
        0 if output.quiet => Level::ERROR,
        0 => Level::WARN,
        1 => Level::INFO,
        _ => Level::DEBUG,
    }
}

/// The ODBC layer logs every diagnostic record as the driver gave it. What matters of them becomes
/// an error of ours, in which secrets are replaced; the rest is not heard at any level, because a
/// driver may repeat the connection string.
fn filter(output: &OutputOptions) -> EnvFilter {
    EnvFilter::new(format!("{},odbc_api=off", level(output)))
}

/// A log file until it cannot be written any more, as on a full disk: that is said once, and the
/// load goes on.
struct LogFile(Option<File>);

impl LogFile {
    fn write(&mut self, event: &[u8]) {
        if let Some(file) = &mut self.0
            && let Err(error) = file.write_all(event)
        {
            self.0 = None;
            // A closed standard error must not end a load either.
            let _ = writeln!(
                io::stderr().lock(),
                "fastload: --log-file cannot be written any more: {error}"
            );
        }
    }
}

/// Starts the log of the process.
///
/// # Errors
/// The file cannot be opened, or a log was started before.
pub(super) fn start(output: &OutputOptions, colored: bool) -> Result<()> {
    let writer = Destination {
        file: match &output.log_file {
            None => None,
            Some(path) => {
                let file = text_file::open("the log", path, Existing::Continued, 0o600)?;
                Some(Mutex::new(LogFile(Some(file))))
            }
        },
        is_text: output.log_format == LogFormat::Text,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(output))
        .with_ansi(colored && output.log_file.is_none())
        .with_target(false)
        // The library would tell standard error, and panic where that is on the same full disk.
        .log_internal_errors(false)
        .with_writer(writer);
    let started = match output.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|error| Error::io("starting the log", io::Error::other(error.to_string())))
}

/// Where events are written.
struct Destination {
    /// `None`: standard error.
    file: Option<Mutex<LogFile>>,
    is_text: bool,
}

impl<'a> MakeWriter<'a> for Destination {
    type Writer = Event<'a>;

    fn make_writer(&'a self) -> Event<'a> {
        Event(self)
    }
}

/// One event, which comes in one piece with its newline at the end.
struct Event<'a>(&'a Destination);

impl Write for Event<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line;
        let shown = if self.0.is_text {
            line = one_line(bytes);
            line.as_bytes()
        } else {
            bytes
        };
        match &self.0.file {
            Some(file) => file.lock().unwrap_or_else(PoisonError::into_inner).write(shown),
            None => io::stderr().lock().write_all(shown)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An event as one line: names of files and tables, and words of a database, may hold newlines and
/// whatever a terminal obeys. The colours of the log itself stay: the formatter has escaped the
/// ESC of everything else.
fn one_line(event: &[u8]) -> String {
    let text = event.strip_suffix(b"\n").unwrap_or(event);
    let mut line = String::with_capacity(event.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\x1b') {
        line.push_str(&escape(&rest[..at]));
        let colour = colour_bytes(&rest[at..]);
        match std::str::from_utf8(&rest[at..at + colour]) {
            Ok(sequence) if colour > 0 => line.push_str(sequence),
            _ => line.push_str(&escape(b"\x1b")),
        }
        rest = &rest[at + colour.max(1)..];
    }
    line.push_str(&escape(rest));
    line.push('\n');
    line
}

/// Length of the sequence that sets a colour (`ESC [ 1 ; 31 m`) at the beginning; 0 without one.
fn colour_bytes(text: &[u8]) -> usize {
    let Some(inner) = text.strip_prefix(b"\x1b[") else { return 0 };
    let digits = inner.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
    if inner.get(digits) == Some(&b'm') { 2 + digits + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_without_control_characters() {
        let line = one_line(b"WARN a\nERROR forged \x1b]0;title\x07 \xff \xc2\x9b1m\r\n");
        let shown = "WARN a\\nERROR forged \\u{1b}]0;title\\u{7} \\xff \\u{9b}1m\\r\n";
        assert_eq!(line, shown);
    }

    #[test]
    fn colours_of_the_log_stay() {
        let coloured = b"\x1b[2m12:00\x1b[0m \x1b[33m WARN\x1b[0m a\x1b[2J\n";
        assert_eq!(one_line(coloured), "\x1b[2m12:00\x1b[0m \x1b[33m WARN\x1b[0m a\\u{1b}[2J\n");
    }
}
