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
        /// The records whose rows are all in, or none of them, in the order of the inputs.
        ranges: Vec<DoubtfulRange>,
    },
    /// More rejects than `--max-errors` allows.
    RejectLimit(Box<BadRecord>),
    /// Another start works on the job, or has taken it.
    JobHeld(String),
    /// A signal asked the load to stop.
    Interrupted {
        /// Its number.
        signal: i32,
    },
    /// The program broke one of its own rules.
    Internal(String),
}

/// Neighbouring records of an input whose rows were in a commit of unknown outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoubtfulRange {
    /// The input.
    pub path: PathBuf,
    /// Its bytes, terminators and rejected records included.
    pub bytes: ByteRange,
    /// Numbers of the first and the last record, from 1; `None` where no record begins.
    pub records: Option<(u64, u64)>,
    /// Rows that were sent: all of them are in the table, or none.
    pub rows: u64,
}

impl fmt::Display for DoubtfulRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, bytes, rows, .. } = self;
        write!(f, "{} bytes {}..{} ({rows} rows", path.display(), bytes.start, bytes.end)?;
        match self.records {
            Some((first, last)) => write!(f, ", records {first} to {last})"),
            None => f.write_str(")"),
        }
    }
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
            ErrorClass::Transient
            | ErrorClass::TimedOut
            | ErrorClass::Resources
            | ErrorClass::RolledBack
            | ErrorClass::Permanent => ErrorKind::Sql(error),
        }
        .into()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            ErrorKind::Usage { message, .. }
            | ErrorKind::Config(message)
            | ErrorKind::JobHeld(message) => f.write_str(message),
            ErrorKind::Input { path, message, .. } => write!(f, "{}: {message}", path.display()),
            ErrorKind::Io { what, source } => write!(f, "{what}: {source}"),
            ErrorKind::Connect(error) if error.class == ErrorClass::ConnectionLost => {
                write!(f, "connection lost: {error}")
            }
            ErrorKind::Connect(error) => write!(f, "cannot connect: {error}"),
            ErrorKind::Login(error) => write!(f, "login refused: {error}"),
            ErrorKind::Sql(error) => write!(f, "{error}"),
            ErrorKind::InDoubt { error, ranges } => {
                write!(f, "the outcome of a commit is unknown: {error}; in doubt: ")?;
                for (index, range) in ranges.iter().enumerate() {
                    write!(f, "{}{range}", if index == 0 { "" } else { ", " })?;
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

/// What the engine may do about an error of a sink. docs/errors.md has the codes of each database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Deadlock, lock timeout, serialization failure: roll back, wait, replay the commit unit.
    Transient,
    /// A statement ran longer than `--query-timeout` and was given up: as `Transient`, but for the
    /// same batch once only.
    TimedOut,
    /// Log full, lock list full, out of shared memory: roll back, replay in smaller commits.
    Resources,
    /// The connection is gone, or it is a new one that has lost the transaction: connect again,
    /// then as `Transient`. From a commit it is ambiguous.
    ConnectionLost,
    /// No connection could be made.
    CannotConnect,
    /// The database refused the user or the password: never tried twice.
    LoginRefused,
    /// A commit was refused and its transaction undone for certain; it would be refused again. From
    /// anything but a commit it is as `Permanent`.
    RolledBack,
    /// Anything that will fail again: no table, no privilege, wrong SQL, disk full.
    Permanent,
}

impl ErrorClass {
    /// Whether the same rows may go in when they are sent again.
    #[must_use]
    pub const fn asks_for_replay(self) -> bool {
        matches!(self, Self::Transient | Self::TimedOut | Self::Resources | Self::ConnectionLost)
    }

    /// Whether a commit that failed so has taken no effect for certain.
    #[must_use]
    pub const fn is_rolled_back(self) -> bool {
        matches!(self, Self::Transient | Self::Resources | Self::RolledBack)
    }
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

    /// The same error with more words behind its message.
    #[must_use]
    pub fn with_note(mut self, note: &str) -> Self {
        self.message.push_str("; ");
        self.message.push_str(note);
        self
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
