//! Exit statuses: the contract of the command line with schedulers and scripts.

use crate::error::{Error, ErrorKind};
use crate::report::Status;

/// Everything loaded.
pub const OK: u8 = 0;
/// Loaded, with rejects inside the limit.
pub const REJECTS: u8 = 2;
/// The database refused a statement.
pub const SQL: u8 = 4;
/// More rejects than allowed.
pub const REJECT_LIMIT: u8 = 5;
/// The operating system refused something, or the program broke one of its own rules.
pub const SYSTEM: u8 = 8;
/// No connection.
pub const CONNECT: u8 = 10;
/// Another start works on the job.
pub const JOB_HELD: u8 = 11;
/// Login refused.
pub const LOGIN: u8 = 12;
/// Wrong flags (`EX_USAGE` of sysexits.h).
pub const USAGE: u8 = 64;
/// No such input (`EX_NOINPUT`).
pub const INPUT: u8 = 66;
/// Wrong configuration (`EX_CONFIG`).
pub const CONFIG: u8 = 78;

/// Base of the statuses of signals, as shells have it.
const SIGNAL_BASE: i32 = 128;

/// Exit status of an error.
#[must_use]
pub fn of_error(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::Usage { .. } => USAGE,
        ErrorKind::Config(_) => CONFIG,
        ErrorKind::Input { .. } => INPUT,
        ErrorKind::Io { .. } | ErrorKind::Internal(_) => SYSTEM,
        ErrorKind::Connect(_) => CONNECT,
        ErrorKind::JobHeld(_) => JOB_HELD,
        ErrorKind::Login(_) => LOGIN,
        ErrorKind::Sql(_) | ErrorKind::InDoubt { .. } => SQL,
        ErrorKind::RejectLimit(_) => REJECT_LIMIT,
        ErrorKind::Interrupted { signal } => of_signal(*signal),
    }
}

/// Exit status after a signal.
#[must_use]
pub fn of_signal(signal: i32) -> u8 {
    u8::try_from(SIGNAL_BASE + signal).unwrap_or(SYSTEM)
}

/// Exit status of a load that ran.
#[must_use]
pub fn of_load(status: Status, error: Option<&Error>) -> u8 {
    match (error, status) {
        (Some(error), _) => of_error(error),
        // A start that was asked to end its job stops without an error.
        (None, Status::Loaded | Status::AlreadyLoaded | Status::Stopped) => OK,
        (None, Status::LoadedWithRejects) => REJECTS,
        // A load that failed has an error that says why.
        (None, Status::Failed) => SYSTEM,
    }
}

/// Ends the process without the exit handlers of its libraries: one of their threads is blocked in
/// a driver, and they may wait for it.
pub(super) fn at_once(status: u8) -> ! {
    signal_hook::low_level::exit(i32::from(status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::SinkError;

    #[test]
    fn the_contract() {
        let refused = || SinkError::permanent("x");
        let kinds = [
            (ErrorKind::Usage { message: String::new(), help: String::new() }, 64),
            (ErrorKind::Config(String::new()), 78),
            (ErrorKind::Connect(refused()), 10),
            (ErrorKind::JobHeld(String::new()), 11),
            (ErrorKind::Login(refused()), 12),
            (ErrorKind::Sql(refused()), 4),
            (ErrorKind::InDoubt { error: refused(), ranges: Vec::new() }, 4),
            (ErrorKind::RejectLimit(Box::default()), 5),
            (ErrorKind::Interrupted { signal: 2 }, 130),
            (ErrorKind::Interrupted { signal: 15 }, 143),
            (ErrorKind::Internal(String::new()), 8),
        ];
        for (kind, status) in kinds {
            let error = Error::from(kind);
            assert_eq!(of_error(&error), status, "{error:?}");
            assert_eq!(of_load(Status::Loaded, Some(&error)), status);
        }
        assert_eq!(of_error(&Error::input("x", "y", "")), 66);
        assert_eq!(of_load(Status::Loaded, None), 0);
        assert_eq!(of_load(Status::LoadedWithRejects, None), 2);
        assert_eq!(of_load(Status::Failed, None), 8);
    }
}
