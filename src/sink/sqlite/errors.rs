//! What SQLite's result codes mean for a load ("Result and Error Codes" of its documentation).

use rusqlite::ffi;

use crate::record::RejectClass;
use crate::sink::{ErrorClass, RowReject, SinkError};

/// The extended result code and SQLite's words.
pub(super) fn code_and_message(error: &rusqlite::Error) -> (Option<i32>, String) {
    match error {
        rusqlite::Error::SqliteFailure(code, message) => {
            (Some(code.extended_code), message.clone().unwrap_or_else(|| code.to_string()))
        }
        rusqlite::Error::SqlInputError { error, msg, .. } => {
            (Some(error.extended_code), msg.clone())
        }
        other => (None, other.to_string()),
    }
}

/// An error that is not the fault of a row. `doing` says what was asked.
///
/// Only BUSY and LOCKED (and their extended codes) are transient: another process holds a lock
/// and will let it go. Everything else fails again.
pub(super) fn sink_error(doing: &str, error: &rusqlite::Error) -> SinkError {
    let (native, message) = code_and_message(error);
    let primary = native.map(|code| code & 0xff);
    let class = match primary {
        Some(ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED) => ErrorClass::Transient,
        _ => ErrorClass::Permanent,
    };
    SinkError { class, sqlstate: None, native, message: format!("{doing}: {message}") }
}

/// The error of a commit whose transaction was rolled back behind it: what SQLite refused before
/// it wrote the commit down has taken no effect for certain. Where the system failed in the middle
/// of writing (an I/O error: the frame may be in the log all the same), nobody knows.
pub(super) fn refused_commit(error: SinkError) -> SinkError {
    let refused = error.native.is_some_and(|code| {
        [ffi::SQLITE_CONSTRAINT, ffi::SQLITE_FULL, ffi::SQLITE_READONLY].contains(&(code & 0xff))
    });
    let class = if refused { ErrorClass::RolledBack } else { error.class };
    SinkError { class, ..error }
}

/// The error of opening the database file.
pub(super) fn open_error(doing: &str, error: &rusqlite::Error) -> SinkError {
    let error = sink_error(doing, error);
    let class = match error.class {
        ErrorClass::Transient => ErrorClass::Transient,
        _ => ErrorClass::CannotConnect,
    };
    SinkError { class, ..error }
}

/// The reject, if the error is the fault of the row that was sent.
///
/// `table` and `columns` are looked for in the message, which names one column for NOT NULL,
/// a one-column UNIQUE and the type check of STRICT tables.
pub(super) fn row_reject(
    error: &rusqlite::Error,
    row: usize,
    table: &str,
    columns: &[String],
) -> Option<RowReject> {
    let (native, message) = code_and_message(error);
    let code = native?;
    let class = match code {
        ffi::SQLITE_CONSTRAINT_UNIQUE
        | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
        | ffi::SQLITE_CONSTRAINT_ROWID => RejectClass::Duplicate,
        ffi::SQLITE_CONSTRAINT_NOTNULL => RejectClass::Null,
        ffi::SQLITE_CONSTRAINT_DATATYPE => RejectClass::Conversion,
        _ => match code & 0xff {
            ffi::SQLITE_CONSTRAINT => RejectClass::Constraint,
            ffi::SQLITE_MISMATCH => RejectClass::Conversion,
            ffi::SQLITE_TOOBIG => RejectClass::Length,
            _ => return None,
        },
    };
    let column = columns.iter().position(|column| names_column(&message, table, column));
    Some(RowReject { row, class, column, sqlstate: None, native, message })
}

/// Whether the message ends with exactly this column: `… failed: t.c` or `… column t.c`.
fn names_column(message: &str, table: &str, column: &str) -> bool {
    message
        .strip_suffix(column)
        .and_then(|rest| rest.strip_suffix('.'))
        .and_then(|rest| rest.strip_suffix(table))
        .is_some_and(|rest| rest.ends_with("failed: ") || rest.ends_with(" column "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32, message: &str) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(message.to_owned()))
    }

    #[test]
    fn codes_have_their_classes() {
        for (code, class) in [
            (2067, Some(RejectClass::Duplicate)),
            (1555, Some(RejectClass::Duplicate)),
            (1299, Some(RejectClass::Null)),
            (275, Some(RejectClass::Constraint)),
            (787, Some(RejectClass::Constraint)),
            (1811, Some(RejectClass::Constraint)),
            (3091, Some(RejectClass::Conversion)),
            (20, Some(RejectClass::Conversion)),
            (18, Some(RejectClass::Length)),
            (1, None),
            (5, None),
            (13, None),
            (778, None),
        ] {
            let reject = row_reject(&failure(code, "x"), 0, "t", &[]);
            assert_eq!(reject.map(|reject| reject.class), class, "{code}");
        }
        for (code, class) in [
            (787, ErrorClass::RolledBack),
            (13, ErrorClass::RolledBack),
            (8, ErrorClass::RolledBack),
            (5, ErrorClass::Transient),
            (1034, ErrorClass::Permanent),
            (11, ErrorClass::Permanent),
        ] {
            let error = sink_error("commit", &failure(code, "y"));
            assert_eq!(refused_commit(error).class, class, "{code}");
        }
        for (code, class) in [
            (5, ErrorClass::Transient),
            (517, ErrorClass::Transient),
            (6, ErrorClass::Transient),
            (13, ErrorClass::Permanent),
            (10, ErrorClass::Permanent),
            (11, ErrorClass::Permanent),
        ] {
            assert_eq!(sink_error("x", &failure(code, "y")).class, class, "{code}");
        }
    }

    #[test]
    fn the_column_is_found_only_where_the_message_names_one() {
        let columns = ["b".to_owned(), "a".to_owned()];
        let column = |message: &str| {
            row_reject(&failure(2067, message), 0, "t", &columns).expect("a row's fault").column
        };
        assert_eq!(column("UNIQUE constraint failed: t.a"), Some(1));
        assert_eq!(column("UNIQUE constraint failed: t.a, t.b"), None);
        assert_eq!(column("NOT NULL constraint failed: other.a"), None);
        assert_eq!(column("cannot store TEXT value in INT column t.b"), Some(0));
    }
}
