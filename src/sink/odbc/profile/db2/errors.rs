//! What Db2's codes mean: SQLSTATE and SQLCODE together, the SQLCODE first, because states are
//! shared: 08001 is a dead network (-30081) and a wrong password (-30082), 57011 a full log (-964)
//! and a full table space (-289).
//!
//! The rig's server is Derby, whose native codes are only -20001 (the statement) and -30001 (the
//! transaction); its states are the standard's or its own, and the driver's own errors are -99999.

use super::super::{Verdict, standard_commit_class, standard_verdict};
use crate::record::RejectClass;
use crate::sink::ErrorClass;
use crate::sink::odbc::raw::Diagnostic;

/// What an error means.
pub(super) fn verdict(diagnostic: &Diagnostic) -> Verdict {
    of_code(diagnostic)
        .or_else(|| of_state(&diagnostic.sqlstate))
        .unwrap_or_else(|| standard_verdict(&diagnostic.sqlstate))
}

/// By SQLCODE (Db2 Messages Reference).
fn of_code(diagnostic: &Diagnostic) -> Option<Verdict> {
    use RejectClass as R;
    Some(match diagnostic.native {
        // Duplicate key.
        -803 => Verdict::Row(R::Duplicate),
        // NULL into a column that takes none.
        -407 => Verdict::Row(R::Null),
        // Foreign key, CHECK, trigger that raises an error, WITH CHECK OPTION, range partition.
        -530 | -545 | -438 | -723 | -161 | -327 => Verdict::Row(R::Constraint),
        // Too long for its column; too long after a change of code page.
        -433 | -334 => Verdict::Row(R::Length),
        // Syntax or range of a date or time; text that is no number.
        -180 | -181 | -420 => Verdict::Row(R::Conversion),
        _ => Verdict::World(world(diagnostic)?),
    })
}

/// By SQLCODE, where no row is at fault.
fn world(diagnostic: &Diagnostic) -> Option<ErrorClass> {
    Some(match diagnostic.native {
        // Deadlock or lock timeout: rolled back (-911), or not yet (-913); a rollback by the system
        // (-1229).
        -911 | -913 | -1229 => ErrorClass::Transient,
        // LOAD works on the table: it will end.
        -668 if reason(diagnostic) == Some(5) => ErrorClass::Transient,
        // Interrupted, by a time limit or by us; the governor's limit of z/OS.
        -952 | -905 => ErrorClass::TimedOut,
        // Log full; lock list full, or the locks that one application may have; a resource of z/OS
        // (locks of one user, among others); heaps and buffer pool of the server.
        -964 | -912 | -904 | -954 | -955 | -956 | -1218 => ErrorClass::Resources,
        // Table space full, file system full: nothing that a replay changes.
        -289 | -968 => ErrorClass::Permanent,
        // Link failure, protocol failure (the driver hangs up), rerouted with the transaction lost,
        // forced off or deactivated, no connection, a standby after a takeover.
        -30081 | -30080 | -30020 | -30108 | -1224 | -1024 | -900 | -1773 | -1776 => {
            ErrorClass::ConnectionLost
        }
        // Security processing failed, no user or password, no CONNECT.
        -30082 | -1403 | -1060 => ErrorClass::LoginRefused,
        _ => return None,
    })
}

/// By states that Db2, its driver or Derby have beside the standard's.
fn of_state(sqlstate: &str) -> Option<Verdict> {
    Some(match sqlstate {
        // Derby: lock timeout, and a deadlock of which it has more to say. Db2 for z/OS: -913.
        "40XL1" | "40XL2" | "57033" => Verdict::World(ErrorClass::Transient),
        "57014" => Verdict::World(ErrorClass::TimedOut),
        // More than one row where there may be one: in a trigger that asked for it.
        "21000" => Verdict::Row(RejectClass::Other),
        // The driver went to another server, or back to the same one, and the transaction is gone;
        // forced off; a protocol error that ended the conversation.
        "08506" | "55032" | "58009" => Verdict::World(ErrorClass::ConnectionLost),
        // A trigger's own error (SIGNAL, RAISE_ERROR) without -438.
        "38000" => Verdict::Row(RejectClass::Constraint),
        _ => return None,
    })
}

/// What an error of a commit means: only -911, -1229 and the states of class 40 that say so are
/// certain.
pub(super) fn commit_class(diagnostic: &Diagnostic) -> ErrorClass {
    match diagnostic.native {
        -911 | -1229 => ErrorClass::Transient,
        // The transaction was rolled back earlier, because of an error of a statement.
        -1476 => ErrorClass::RolledBack,
        _ => standard_commit_class(&diagnostic.sqlstate),
    }
}

/// What cures an error that the message alone does not explain.
pub(super) fn advice(diagnostic: &Diagnostic) -> Option<String> {
    let table = table(&diagnostic.message).unwrap_or("the table");
    Some(match (diagnostic.native, reason(diagnostic)) {
        (-668, Some(1)) => format!(
            "the table is in Set Integrity Pending: SET INTEGRITY FOR {table} IMMEDIATE CHECKED"
        ),
        (-668, Some(2)) => format!(
            "the table is in No Data Movement: refresh the materialized query tables of {table} \
             (REFRESH TABLE)"
        ),
        (-668, Some(3)) => format!(
            "the table is in Load Pending, a LOAD has failed: repeat it with RESTART, or LOAD FROM \
             /dev/null OF DEL TERMINATE INTO {table}"
        ),
        (-668, Some(4)) => format!(
            "the table can only be read until SET INTEGRITY FOR {table} IMMEDIATE CHECKED, or \
             until the LOAD on it ends"
        ),
        (-668, Some(5)) => format!("a LOAD is working on {table}: wait for its end"),
        (-668, Some(7)) => format!("the table is in Reorg Pending: REORG TABLE {table}"),
        (-668, Some(8)) => {
            format!("the table {table} was altered in a transaction that is open: commit it")
        }
        (-668, Some(9)) => format!("REDISTRIBUTE on {table} has not finished: continue it"),
        (-964, _) => "the transaction log is full: LOGSECOND, LOGPRIMARY or LOGFILSIZ give more, \
                      and a long transaction of another application may hold it (MON_GET_\
                      TRANSACTION_LOG names it)"
            .to_owned(),
        (-912, _) => "the lock list is full: LOCKLIST and MAXLOCKS give more, and LOCK TABLE … IN \
                      EXCLUSIVE MODE needs one lock only"
            .to_owned(),
        (-289, _) => "the table space is full: give it storage (ALTER TABLESPACE), then load again"
            .to_owned(),
        (-968, _) => {
            "a file system of the server is full: give it room, then load again".to_owned()
        }
        _ => return None,
    })
}

/// The reason code in a message: the first number in quotes, in any language of the driver.
fn reason(diagnostic: &Diagnostic) -> Option<u32> {
    quoted(&diagnostic.message).find_map(|token| token.parse().ok())
}

/// The table in a message: the first token in quotes that is no number.
fn table(message: &str) -> Option<&str> {
    quoted(message).find(|token| token.parse::<u32>().is_err() && !token.is_empty())
}

fn quoted(message: &str) -> impl Iterator<Item = &str> {
    message.split('"').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(sqlstate: &str, native: i32, message: &str) -> Diagnostic {
        let (sqlstate, message) = (sqlstate.to_owned(), message.to_owned());
        Diagnostic { sqlstate, native, message }
    }

    fn verdict_of(sqlstate: &str, native: i32) -> Verdict {
        verdict(&said(sqlstate, native, ""))
    }

    #[test]
    fn rows_are_at_fault() {
        use RejectClass as R;
        for (state, native, class) in [
            ("23505", -803, R::Duplicate),
            ("23502", -407, R::Null),
            ("22001", -302, R::Length),
            ("22003", -302, R::Range),
            ("22001", -433, R::Length),
            ("23503", -530, R::Constraint),
            ("23513", -545, R::Constraint),
            ("22007", -180, R::Conversion),
            ("22007", -181, R::Conversion),
            ("22018", -420, R::Conversion),
            // Derby through the driver, and the driver itself.
            ("23505", -20001, R::Duplicate),
            ("23502", -20001, R::Null),
            ("23513", -20001, R::Constraint),
            ("23503", -20001, R::Constraint),
            ("22001", -20001, R::Length),
            ("22018", -99999, R::Conversion),
            ("22003", -99999, R::Range),
        ] {
            assert_eq!(verdict_of(state, native), Verdict::Row(class), "{state} {native}");
        }
    }

    #[test]
    fn rows_are_not_at_fault() {
        use ErrorClass as E;
        for (state, native, class) in [
            ("40001", -911, E::Transient),
            ("57033", -913, E::Transient),
            ("40504", -1229, E::Transient),
            ("40001", -30001, E::Transient),
            ("40XL1", -30001, E::Transient),
            ("57014", -952, E::TimedOut),
            ("57014", -99999, E::TimedOut),
            ("HYT00", -99999, E::TimedOut),
            ("57011", -964, E::Resources),
            ("57011", -912, E::Resources),
            ("57011", -904, E::Resources),
            ("57011", -1218, E::Resources),
            ("57011", -289, E::Permanent),
            ("57011", -968, E::Permanent),
            ("57011", -99_998, E::Permanent),
            ("08506", -30108, E::ConnectionLost),
            ("40003", -30081, E::ConnectionLost),
            ("08001", -30081, E::ConnectionLost),
            ("08S01", -99999, E::ConnectionLost),
            ("55032", -1224, E::ConnectionLost),
            ("08004", -1776, E::ConnectionLost),
            ("58009", -30020, E::ConnectionLost),
            ("08001", -30082, E::LoginRefused),
            ("42601", -104, E::Permanent),
            ("42704", -204, E::Permanent),
            ("42501", -551, E::Permanent),
            ("42X01", -20001, E::Permanent),
            ("57016", -668, E::Permanent),
            ("40506", -1476, E::Transient),
        ] {
            assert_eq!(verdict_of(state, native), Verdict::World(class), "{state} {native}");
        }
    }

    #[test]
    fn pending_tables_have_their_reason_and_their_cure() {
        let pending = |code: u32| {
            let message = format!(
                "[IBM][CLI Driver][DB2/LINUXX8664] SQL0668N  Operation not allowed for reason code \
                 \"{code}\" on table \"BANK.ACCOUNTS\".  SQLSTATE=57016"
            );
            said("57016", -668, &message)
        };
        for (code, class, cure) in [
            (1, ErrorClass::Permanent, "SET INTEGRITY FOR BANK.ACCOUNTS IMMEDIATE CHECKED"),
            (3, ErrorClass::Permanent, "TERMINATE INTO BANK.ACCOUNTS"),
            (5, ErrorClass::Transient, "a LOAD is working on BANK.ACCOUNTS"),
            (7, ErrorClass::Permanent, "REORG TABLE BANK.ACCOUNTS"),
        ] {
            let pending = pending(code);
            assert_eq!(verdict(&pending), Verdict::World(class), "{code}");
            assert!(advice(&pending).unwrap().contains(cure), "{code}: {:?}", advice(&pending));
        }
        assert_eq!(advice(&pending(99)), None);
        assert_eq!(advice(&said("23505", -803, "key \"1\" of \"T\"")), None);
        for (native, word) in [(-964, "LOGSECOND"), (-912, "LOCKLIST"), (-289, "TABLESPACE")] {
            assert!(advice(&said("57011", native, "")).unwrap().contains(word), "{native}");
        }
    }

    #[test]
    fn only_what_says_so_is_rolled_back_for_certain() {
        use ErrorClass as E;
        for (state, native, class) in [
            ("40001", -911, E::Transient),
            ("40504", -1229, E::Transient),
            ("40506", -1476, E::RolledBack),
            ("40001", -30001, E::Transient),
            ("40003", -30081, E::ConnectionLost),
            ("08001", -30081, E::ConnectionLost),
            ("08506", -30108, E::ConnectionLost),
            ("08007", -99999, E::ConnectionLost),
            // They failed, and what stands is not known.
            ("57011", -964, E::Permanent),
            ("57033", -913, E::Permanent),
            ("57014", -952, E::Permanent),
            ("HY000", -99999, E::Permanent),
            ("25S01", -99999, E::Permanent),
        ] {
            assert_eq!(commit_class(&said(state, native, "")), class, "{state} {native}");
        }
    }
}
