//! Errors that end a load. A bad record is not one of them: that is a reject.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::record::ByteRange;

/// Result with the crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a load could not start, or stopped.
#[derive(Debug)]
pub struct Error(Box<ErrorKind>);

/// Kinds of [`Error`]; each has one exit status in the command line.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The options contradict each other or leave something open.
    Usage {
        /// What is wrong.
        message: String,
        /// The flag that helps, or nothing.
        help: String,
    },
    /// A configuration file is wrong.
    Config(String),
    /// An input is missing, unreadable, empty, or changed while it was read.
    Input {
        /// The input as it was given.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
        /// The flag that helps, or nothing.
        help: String,
    },
    /// The operating system refused something else.
    Io {
        /// What was being done.
        what: String,
        /// Its answer.
        source: io::Error,
    },
    /// The database could not be reached.
    Connect(SinkError),
    /// The database refused the user or the password.
    Login(SinkError),
    /// The database refused a statement.
    Sql(SinkError),
    /// A commit was sent and its outcome is not known.
    InDoubt {
        /// What the database or the connection said.
        error: SinkError,
        /// Input and byte range of each segment whose rows may or may not be in.
        ranges: Vec<(PathBuf, ByteRange)>,
    },
    /// More rejects than `--max-errors` allows.
    RejectLimit(Box<BadRecord>),
    /// A signal asked the load to stop.
    Interrupted {
        /// Its number.
        signal: i32,
    },
    /// The program broke one of its own rules.
    Internal(String),
}

/// The record at which a load stopped, with what a terminal shows of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BadRecord {
    /// The input.
    pub path: PathBuf,
    /// Where the record begins.
    pub position: crate::record::Position,
    /// Offset in the file of the byte at fault, where there is one.
    pub fault_byte_offset: Option<u64>,
    /// Bytes of the record, at most the first 4 KiB.
    pub bytes: Vec<u8>,
    /// Column name, where one is at fault.
    pub column: Option<String>,
    /// Its type.
    pub type_name: Option<String>,
    /// Index from 1 of the field in the file.
    pub field: Option<u32>,
    /// Class name.
    pub class: &'static str,
    /// Stable code (`FL-0301`).
    pub code: &'static str,
    /// The reason in words.
    pub message: String,
    /// The flag that helps, or nothing.
    pub help: String,
    /// Rejects allowed.
    pub limit: u64,
}

impl Error {
    /// The kind.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0
    }

    /// The kind, by value.
    #[must_use]
    pub fn into_kind(self) -> ErrorKind {
        *self.0
    }

    /// Options that contradict each other; `help` names the flag that cures it.
    pub fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        ErrorKind::Usage { message: message.into(), help: help.into() }.into()
    }

    /// An input that cannot be loaded.
    pub fn input(
        path: impl Into<PathBuf>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        ErrorKind::Input { path: path.into(), message: message.into(), help: help.into() }.into()
    }

    /// An answer of the operating system.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        ErrorKind::Io { what: what.into(), source }.into()
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self(Box::new(kind))
    }
}

impl From<SinkError> for Error {
    fn from(error: SinkError) -> Self {
        match error.class {
            ErrorClass::CannotConnect | ErrorClass::ConnectionLost => ErrorKind::Connect(error),
            ErrorClass::LoginRefused => ErrorKind::Login(error),
            ErrorClass::Transient | ErrorClass::Permanent => ErrorKind::Sql(error),
        }
        .into()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            ErrorKind::Usage { message, .. } | ErrorKind::Config(message) => f.write_str(message),
            ErrorKind::Input { path, message, .. } => write!(f, "{}: {message}", path.display()),
            ErrorKind::Io { what, source } => write!(f, "{what}: {source}"),
            ErrorKind::Connect(error) => write!(f, "cannot connect: {error}"),
            ErrorKind::Login(error) => write!(f, "login refused: {error}"),
            ErrorKind::Sql(error) => write!(f, "{error}"),
            ErrorKind::InDoubt { error, ranges } => {
                write!(f, "the outcome of a commit is unknown: {error}; in doubt:")?;
                for (path, range) in ranges {
                    write!(f, " {} bytes {}..{}", path.display(), range.start, range.end)?;
                }
                Ok(())
            }
            ErrorKind::RejectLimit(bad) => {
                write!(f, "{}:{}: {}", bad.path.display(), bad.position.line, bad.message)
            }
            ErrorKind::Interrupted { signal } => write!(f, "stopped by signal {signal}"),
            ErrorKind::Internal(message) => write!(f, "internal error: {message}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.0 {
            ErrorKind::Io { source, .. } => Some(source),
            ErrorKind::Connect(error) | ErrorKind::Login(error) | ErrorKind::Sql(error) => {
                Some(error)
            }
            _ => None,
        }
    }
}

/// What the engine may do about an error of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Deadlock, lock timeout, serialization failure: roll back, wait, replay the commit unit.
    Transient,
    /// The connection is gone: connect again, then as `Transient`. From a commit it is ambiguous.
    ConnectionLost,
    /// No connection could be made.
    CannotConnect,
    /// The database refused the user or the password: never tried twice.
    LoginRefused,
    /// Anything that will fail again: no table, no privilege, wrong SQL, disk full.
    Permanent,
}

/// An error of the database or of the place behind a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkError {
    /// What may be done about it.
    pub class: ErrorClass,
    /// SQLSTATE where there is one.
    pub sqlstate: Option<String>,
    /// Native code of the database where there is one.
    pub native: Option<i32>,
    /// Text, without secrets.
    pub message: String,
}

impl SinkError {
    /// An error that no retry cures.
    #[must_use]
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Permanent, sqlstate: None, native: None, message: message.into() }
    }
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match (&self.sqlstate, self.native) {
            (Some(state), Some(native)) => write!(f, " (SQLSTATE {state}, native {native})"),
            (Some(state), None) => write!(f, " (SQLSTATE {state})"),
            (None, Some(native)) => write!(f, " (native {native})"),
            (None, None) => Ok(()),
        }
    }
}

impl std::error::Error for SinkError {}
