//! What Db2's codes mean: SQLSTATE and SQLCODE together, the SQLCODE first.
//!
//! The rig's server is Derby, whose native codes are only -20001 (the statement) and -30001 (the
//! transaction); its states are the standard's or its own, and the driver's own errors are -99999.

use super::super::{Verdict, standard_verdict};
use crate::record::RejectClass;
use crate::sink::ErrorClass;
use crate::sink::odbc::raw::Diagnostic;

/// What an error means.
pub(super) fn verdict(diagnostic: &Diagnostic) -> Verdict {
    of_code(diagnostic.native)
        .or_else(|| of_state(&diagnostic.sqlstate))
        .unwrap_or_else(|| standard_verdict(&diagnostic.sqlstate))
}

/// By SQLCODE (Db2 Messages Reference).
fn of_code(native: i32) -> Option<Verdict> {
    use RejectClass as R;
    Some(match native {
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
        // Deadlock or lock timeout, rolled back; the same without a rollback.
        -911 | -913 => Verdict::World(ErrorClass::Transient),
        // Connection: link failure, reroute, forced off, deactivated.
        -30081 | -30108 | -1224 | -1024 => Verdict::World(ErrorClass::ConnectionLost),
        // Security processing failed, wrong user or password, no CONNECT.
        -30082 | -1403 | -1060 => Verdict::World(ErrorClass::LoginRefused),
        _ => return None,
    })
}

/// By states that Db2, its driver or Derby have beside the standard's.
fn of_state(sqlstate: &str) -> Option<Verdict> {
    Some(match sqlstate {
        // Derby: lock timeout. Its state is in no class of the standard.
        "40XL1" | "40XL2" => Verdict::World(ErrorClass::Transient),
        // The driver went to another server, or back to the same one, and the transaction is gone.
        "08506" => Verdict::World(ErrorClass::ConnectionLost),
        // A trigger's own error (SIGNAL, RAISE_ERROR) without -438.
        "38000" => Verdict::Row(RejectClass::Constraint),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict_of(sqlstate: &str, native: i32) -> Verdict {
        let message = String::new();
        verdict(&Diagnostic { sqlstate: sqlstate.to_owned(), native, message })
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
            ("40001", -30001, E::Transient),
            ("40XL1", -30001, E::Transient),
            ("08506", -30108, E::ConnectionLost),
            ("40003", -30081, E::ConnectionLost),
            ("08001", -30082, E::LoginRefused),
            ("42601", -104, E::Permanent),
            ("42X01", -20001, E::Permanent),
            ("57016", -668, E::Permanent),
        ] {
            assert_eq!(verdict_of(state, native), Verdict::World(class), "{state} {native}");
        }
    }
}
