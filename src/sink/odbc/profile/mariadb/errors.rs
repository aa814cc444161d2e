//! What MariaDB's codes mean ("MariaDB Error Code Reference" of its documentation).

use super::super::{Verdict, standard_commit_class, standard_verdict};
use crate::record::RejectClass;
use crate::sink::ErrorClass;
use crate::sink::odbc::raw::Diagnostic;

/// What an error means.
pub(super) fn verdict(diagnostic: &Diagnostic) -> Verdict {
    native_verdict(diagnostic).unwrap_or_else(|| standard_verdict(&diagnostic.sqlstate))
}

/// What an error of a commit means.
pub(super) fn commit_class(diagnostic: &Diagnostic) -> ErrorClass {
    match diagnostic.native {
        // Deadlock (a cluster's certification, too), and a wait for a backup's lock: the
        // server has answered, and what is still open is rolled back behind it.
        1213 | 1205 => ErrorClass::Transient,
        // Password expired: of what comes behind the login, the commit is the first to be refused.
        1820 => ErrorClass::LoginRefused,
        _ => match standard_commit_class(&diagnostic.sqlstate) {
            // 40001 and the like under another number is no answer that is known.
            class if class.is_rolled_back() => ErrorClass::Permanent,
            class => class,
        },
    }
}

/// What cures an error that the message alone does not explain.
pub(super) fn advice(diagnostic: &Diagnostic) -> Option<String> {
    let words = match diagnostic.native {
        1114 => "the table or its table space is full: give it room, then load again",
        1021 => "a disk of the server is full: give it room, then load again",
        1153 | 2020 => "max_allowed_packet is too small for a row",
        1197 => "max_binlog_cache_size is smaller than a transaction",
        1206 => "innodb_buffer_pool_size is too small for the locks of a transaction",
        1290 | 1836 => "the server takes no changes (read_only)",
        _ => return None,
    };
    Some(words.to_owned())
}

/// What the server's own codes mean; they come before the states, which are coarse.
pub(super) fn native_verdict(diagnostic: &Diagnostic) -> Option<Verdict> {
    use RejectClass as R;
    Some(match diagnostic.native {
        // Duplicate entry (also with key name), duplicate in a partition.
        1062 | 1586 | 1569 => Verdict::Row(R::Duplicate),
        // Column cannot be null.
        1048 => Verdict::Row(R::Null),
        // Data too long.
        1406 => Verdict::Row(R::Length),
        // Out of range; arithmetic out of range.
        1264 | 1690 => Verdict::Row(R::Range),
        // Incorrect string value: text the column's character set does not have.
        1366 if diagnostic.message.contains("string value") => Verdict::Row(R::Encoding),
        // Truncated or incorrect value, data truncated.
        1265 | 1292 | 1366 | 1411 => Verdict::Row(R::Conversion),
        // Foreign key, CHECK (MariaDB, MySQL), WITH CHECK OPTION, no partition for the value,
        // SIGNAL of a trigger.
        1216 | 1452 | 4025 | 3819 | 1369 | 1526 | 1644 => Verdict::Row(R::Constraint),
        _ => Verdict::World(native_class(diagnostic.native)?),
    })
}

/// What a code means where no row is at fault.
fn native_class(native: i32) -> Option<ErrorClass> {
    Some(match native {
        // Deadlock (all rolled back), lock wait (the statement only: the caller rolls back), a row
        // that changed under the snapshot, killed query, too many connections (server, account).
        1213 | 1205 | 1020 | 1317 | 1040 | 1203 => ErrorClass::Transient,
        // Time limit of a statement (MariaDB, MySQL).
        1969 | 3024 => ErrorClass::TimedOut,
        // Lock table full, out of memory, transaction larger than the binary log's cache.
        1206 | 1037 | 1041 | 1197 => ErrorClass::Resources,
        // Gone away, lost, shutdown, killed, cluster node not ready, read-only after failover.
        2006 | 2013 | 2055 | 1053 | 1927 | 1047 | 1290 | 1836 | 3169 | 4031 => {
            ErrorClass::ConnectionLost
        }
        // Packet too large: 08S01 by its state, yet it fails for ever. Table full, disk full.
        1153 | 2020 | 1114 | 1021 => ErrorClass::Permanent,
        1044 | 1045 | 1698 | 1820 | 1862 => ErrorClass::LoginRefused,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(sqlstate: &str, native: i32, message: &str) -> Diagnostic {
        Diagnostic { sqlstate: sqlstate.to_owned(), native, message: message.to_owned() }
    }

    #[test]
    fn native_codes_come_first() {
        for (state, native, expected) in [
            ("23000", 1062, Verdict::Row(RejectClass::Duplicate)),
            ("23000", 1048, Verdict::Row(RejectClass::Null)),
            ("23000", 4025, Verdict::Row(RejectClass::Constraint)),
            ("01000", 1265, Verdict::Row(RejectClass::Conversion)),
            ("HY000", 1205, Verdict::World(ErrorClass::Transient)),
            ("40001", 1213, Verdict::World(ErrorClass::Transient)),
            ("70100", 1969, Verdict::World(ErrorClass::TimedOut)),
            ("HY000", 1206, Verdict::World(ErrorClass::Resources)),
            ("HY000", 1197, Verdict::World(ErrorClass::Resources)),
            ("HY000", 1114, Verdict::World(ErrorClass::Permanent)),
            ("HY000", 1021, Verdict::World(ErrorClass::Permanent)),
            ("08S01", 1053, Verdict::World(ErrorClass::ConnectionLost)),
            ("70100", 1927, Verdict::World(ErrorClass::ConnectionLost)),
            ("08S01", 1047, Verdict::World(ErrorClass::ConnectionLost)),
            ("HY000", 1290, Verdict::World(ErrorClass::ConnectionLost)),
            ("HY000", 1836, Verdict::World(ErrorClass::ConnectionLost)),
            ("HY000", 2006, Verdict::World(ErrorClass::ConnectionLost)),
            ("28000", 1045, Verdict::World(ErrorClass::LoginRefused)),
            ("HY000", 1820, Verdict::World(ErrorClass::LoginRefused)),
            ("08S01", 1153, Verdict::World(ErrorClass::Permanent)),
            ("08S01", 2013, Verdict::World(ErrorClass::ConnectionLost)),
            ("HY000", 1364, Verdict::World(ErrorClass::Permanent)),
        ] {
            assert_eq!(verdict(&diagnostic(state, native, "")), expected, "{native}");
        }
    }

    #[test]
    fn few_answers_to_a_commit_are_certain() {
        for (state, native, class) in [
            ("40001", 1213, ErrorClass::Transient),
            ("HY000", 1205, ErrorClass::Transient),
            ("08S01", 2013, ErrorClass::ConnectionLost),
            ("HY000", 2013, ErrorClass::Permanent),
            // Error during commit.
            ("HY000", 1180, ErrorClass::Permanent),
            ("HY000", 1197, ErrorClass::Permanent),
            ("70100", 1969, ErrorClass::Permanent),
        ] {
            assert_eq!(commit_class(&diagnostic(state, native, "")), class, "{native}");
        }
    }
}
