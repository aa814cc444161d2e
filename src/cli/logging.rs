//! The log: events of the engine and of the libraries below it, on standard error or in a file.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Mutex;

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

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

/// The ODBC layer logs every diagnostic record, also those that are handled or become the error
/// of the load, so it is heard only with `-vv`.
fn filter(output: &OutputOptions) -> EnvFilter {
    let level = level(output);
    if level == Level::DEBUG {
        return EnvFilter::new("debug");
    }
    EnvFilter::new(format!("{level},odbc_api=off"))
}

/// Starts the log of the process.
///
/// # Errors
/// The file cannot be opened, or a log was started before.
pub(super) fn start(output: &OutputOptions, colored: bool) -> Result<()> {
    let writer = match &output.log_file {
        None => BoxMakeWriter::new(std::io::stderr),
        Some(path) => {
            let file =
                OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(
                    |source| Error::io(format!("opening the log {}", path.display()), source),
                )?;
            BoxMakeWriter::new(Mutex::new(file))
        }
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(output))
        .with_ansi(colored && output.log_file.is_none())
        .with_target(false)
        .with_writer(writer);
    let started = match output.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|error| Error::io("starting the log", std::io::Error::other(error.to_string())))
}
