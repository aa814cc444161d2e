//! What the answers of a database mean by the standard; profiles put their own codes before it.

use super::Profile;
use crate::record::RejectClass;
use crate::sink::ErrorClass;
use crate::sink::odbc::raw::Diagnostic;

/// What a diagnostic of a failed statement means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sink::odbc) enum Verdict {
    /// A row is at fault: the others of the batch can go in.
    Row(RejectClass),
    /// Something else is.
    World(ErrorClass),
}

/// What a SQLSTATE means by the standard; profiles put their own codes before it.
pub(super) fn standard_verdict(sqlstate: &str) -> Verdict {
    use RejectClass as R;
    let row = match sqlstate {
        "22001" | "01004" => Some(R::Length),
        "22003" | "01S07" => Some(R::Range),
        "22021" => Some(R::Encoding),
        "22002" | "22004" | "23502" => Some(R::Null),
        "23505" => Some(R::Duplicate),
        _ => match sqlstate.get(..2) {
            Some("22") => Some(R::Conversion),
            Some("23" | "44") => Some(R::Constraint),
            Some("01") => Some(R::Other),
            _ => None,
        },
    };
    if let Some(class) = row {
        return Verdict::Row(class);
    }
    let class = match sqlstate {
        "40003" | "HYT01" => ErrorClass::ConnectionLost,
        // The driver's own time limit; a statement that was cancelled, by the standard and as
        // Db2 and PostgreSQL have it.
        "HYT00" | "HY008" | "57014" => ErrorClass::TimedOut,
        // Rolled back for a constraint that was checked at the end.
        "40002" => ErrorClass::Permanent,
        _ => match sqlstate.get(..2) {
            Some("40") => ErrorClass::Transient,
            Some("08") => ErrorClass::ConnectionLost,
            Some("28") => ErrorClass::LoginRefused,
            _ => ErrorClass::Permanent,
        },
    };
    Verdict::World(class)
}

/// What a SQLSTATE of a commit means by the standard: class 40 is a rollback, but for 40003; so is
/// 25S03. 08007, 25S01 and whatever a driver makes of a lost connection are no answer.
pub(super) fn standard_commit_class(sqlstate: &str) -> ErrorClass {
    match sqlstate {
        "40003" => ErrorClass::ConnectionLost,
        "40002" | "25S03" => ErrorClass::RolledBack,
        _ => match sqlstate.get(..2) {
            Some("40") => ErrorClass::Transient,
            Some("08") => ErrorClass::ConnectionLost,
            _ => ErrorClass::Permanent,
        },
    }
}

/// The diagnostic that says what became of a call: one that tells of the transaction or of the
/// connection, wherever it stands, before the first one. An array may have bad rows, and then the
/// deadlock that undid all of it.
pub(in crate::sink::odbc) fn telling<'d>(
    profile: &dyn Profile,
    mut diagnostics: impl Iterator<Item = &'d Diagnostic> + Clone,
) -> Option<&'d Diagnostic> {
    let decides = |diagnostic: &&Diagnostic| match profile.verdict(diagnostic) {
        Verdict::World(class) => class.asks_for_replay() || class == ErrorClass::LoginRefused,
        Verdict::Row(_) => false,
    };
    diagnostics.clone().find(decides).or_else(|| diagnostics.next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::odbc::profile::generic;

    #[test]
    fn states_mean_what_the_standard_says() {
        use RejectClass as R;
        for (state, verdict) in [
            ("23505", Verdict::Row(R::Duplicate)),
            ("23502", Verdict::Row(R::Null)),
            ("23503", Verdict::Row(R::Constraint)),
            ("22001", Verdict::Row(R::Length)),
            ("01004", Verdict::Row(R::Length)),
            ("22003", Verdict::Row(R::Range)),
            ("22007", Verdict::Row(R::Conversion)),
            ("40001", Verdict::World(ErrorClass::Transient)),
            ("40002", Verdict::World(ErrorClass::Permanent)),
            ("40003", Verdict::World(ErrorClass::ConnectionLost)),
            ("HYT00", Verdict::World(ErrorClass::TimedOut)),
            ("HYT01", Verdict::World(ErrorClass::ConnectionLost)),
            ("HY008", Verdict::World(ErrorClass::TimedOut)),
            ("08S01", Verdict::World(ErrorClass::ConnectionLost)),
            ("28000", Verdict::World(ErrorClass::LoginRefused)),
            ("42S02", Verdict::World(ErrorClass::Permanent)),
            ("", Verdict::World(ErrorClass::Permanent)),
        ] {
            assert_eq!(standard_verdict(state), verdict, "{state}");
        }
    }

    #[test]
    fn a_commit_is_undone_only_where_the_state_says_so() {
        for (state, class) in [
            ("40001", ErrorClass::Transient),
            ("40002", ErrorClass::RolledBack),
            ("25S03", ErrorClass::RolledBack),
            ("40003", ErrorClass::ConnectionLost),
            ("08007", ErrorClass::ConnectionLost),
            ("08S01", ErrorClass::ConnectionLost),
            ("25S01", ErrorClass::Permanent),
            ("HYT00", ErrorClass::Permanent),
            ("HY000", ErrorClass::Permanent),
            ("23505", ErrorClass::Permanent),
            ("", ErrorClass::Permanent),
        ] {
            assert_eq!(standard_commit_class(state), class, "{state}");
        }
    }

    #[test]
    fn what_undid_the_transaction_tells_before_bad_rows() {
        let said = |sqlstate: &str| Diagnostic {
            sqlstate: sqlstate.to_owned(),
            native: 0,
            message: String::new(),
        };
        let telling = |states: &[&str]| {
            let records: Vec<_> = states.iter().map(|state| said(state)).collect();
            telling(&generic::Generic, records.iter()).map(|record| record.sqlstate.clone())
        };
        assert_eq!(telling(&[]), None);
        assert_eq!(telling(&["23505", "40001"]).as_deref(), Some("40001"));
        assert_eq!(telling(&["23505", "HY000", "08S01"]).as_deref(), Some("08S01"));
        // A general remark behind a bad row is none of both.
        assert_eq!(telling(&["23505", "HY000"]).as_deref(), Some("23505"));
    }
}
