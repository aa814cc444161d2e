//! What PostgreSQL's states mean ("PostgreSQL Error Codes" of its documentation).

use super::super::{Verdict, standard_verdict};
use crate::record::RejectClass;
use crate::sink::ErrorClass;
use crate::sink::odbc::raw::Diagnostic;

/// What an error means.
pub(super) fn verdict(diagnostic: &Diagnostic) -> Verdict {
    match diagnostic.sqlstate.as_str() {
        // Raised by a trigger; an index entry or tuple too large.
        "P0001" => Verdict::Row(RejectClass::Constraint),
        "54000" => Verdict::Row(RejectClass::Length),
        // A key twice in one upsert: equal to the server and not to us. Alone it goes in.
        "21000" => Verdict::Row(RejectClass::Other),
        // Lock not available (NOWAIT, lock_timeout), too many connections.
        "55P03" | "53300" => Verdict::World(ErrorClass::Transient),
        // Cancelled: by statement_timeout, or by somebody.
        "57014" => Verdict::World(ErrorClass::TimedOut),
        // Out of memory, which "too many locks" is too; a limit of the configuration
        // (temp_file_limit). Not 53100, a full disk.
        "53000" | "53200" | "53400" => Verdict::World(ErrorClass::Resources),
        // Shutdown by the administrator, crash, starting up, time-outs of idle sessions and of
        // transactions, read-only after a failover.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04" | "25006" => {
            Verdict::World(ErrorClass::ConnectionLost)
        }
        state => standard_verdict(state),
    }
}

/// What an error of a commit means.
pub(super) fn commit_class(diagnostic: &Diagnostic) -> ErrorClass {
    let state = diagnostic.sqlstate.as_str();
    // An ERROR in answer to COMMIT is sent before the commit is written down: constraints that
    // are checked at the end, serialization, triggers. What ends the session, and what the
    // driver says for itself (08, 57P, HY), is no such answer.
    let answered = ["22", "23", "25", "40", "42", "44", "53", "54", "55", "P0"];
    match verdict(diagnostic) {
        Verdict::World(ErrorClass::ConnectionLost) => ErrorClass::ConnectionLost,
        // By the server, which sends no HYT00.
        Verdict::World(ErrorClass::TimedOut) if state == "57014" => ErrorClass::Transient,
        Verdict::World(class @ (ErrorClass::Transient | ErrorClass::Resources)) => class,
        _ if answered.iter().any(|class| state.starts_with(class)) => ErrorClass::RolledBack,
        _ => ErrorClass::Permanent,
    }
}

/// What cures an error that the message alone does not explain.
pub(super) fn advice(diagnostic: &Diagnostic) -> Option<String> {
    Some(match diagnostic.sqlstate.as_str() {
        "53100" => "a disk of the server is full: give it room, then load again".to_owned(),
        "53200" => "max_locks_per_transaction or the server's memory is too small".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(sqlstate: &str) -> Diagnostic {
        Diagnostic { sqlstate: sqlstate.to_owned(), native: 7, message: String::new() }
    }

    #[test]
    fn states_mean_what_the_server_means() {
        use ErrorClass as E;
        for (state, class) in [
            ("40001", E::Transient),
            ("40P01", E::Transient),
            ("55P03", E::Transient),
            ("53300", E::Transient),
            ("57014", E::TimedOut),
            ("53200", E::Resources),
            ("53400", E::Resources),
            ("53100", E::Permanent),
            ("57P01", E::ConnectionLost),
            ("57P02", E::ConnectionLost),
            ("57P03", E::ConnectionLost),
            ("25P03", E::ConnectionLost),
            ("25006", E::ConnectionLost),
            ("08006", E::ConnectionLost),
            ("28P01", E::LoginRefused),
            ("42P01", E::Permanent),
            ("42501", E::Permanent),
            ("58030", E::Permanent),
            ("XX001", E::Permanent),
            ("25P02", E::Permanent),
        ] {
            assert_eq!(verdict(&said(state)), Verdict::World(class), "{state}");
        }
        assert_eq!(verdict(&said("P0001")), Verdict::Row(RejectClass::Constraint));
    }

    #[test]
    fn an_answer_to_a_commit_is_no_doubt() {
        use ErrorClass as E;
        for (state, class) in [
            ("23505", E::RolledBack),
            ("23503", E::RolledBack),
            ("P0001", E::RolledBack),
            ("53100", E::RolledBack),
            ("25P02", E::RolledBack),
            ("40001", E::Transient),
            ("57014", E::Transient),
            ("53200", E::Resources),
            ("40003", E::ConnectionLost),
            ("57P01", E::ConnectionLost),
            ("08006", E::ConnectionLost),
            ("08S01", E::ConnectionLost),
            ("HYT00", E::Permanent),
            ("HY000", E::Permanent),
            ("XX000", E::Permanent),
            ("58030", E::Permanent),
        ] {
            assert_eq!(commit_class(&said(state)), class, "{state}");
        }
    }
}
