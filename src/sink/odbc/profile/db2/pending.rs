//! Tables that take no rows until somebody does something: what they wait for, and the command that
//! ends it. None of it is transient, so a load says it before its first row.

use crate::sink::SinkError;

/// What a table waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pending {
    /// Constraints were not checked after a LOAD or an ALTER.
    Integrity,
    /// A LOAD ended before its end.
    Load,
    /// Only reading, or no movement of data, is allowed while dependent tables wait.
    ReadOnly,
    /// A LOAD runs.
    LoadInProgress,
    /// ALTER TABLE asks for a REORG.
    Reorganisation,
    /// Rolled back while it was not logged: it can only be dropped.
    NotLogged,
}

impl Pending {
    /// By the reason code of SQL0668N.
    fn of_reason(code: u32) -> Option<Self> {
        Some(match code {
            1 => Self::Integrity,
            2 => Self::ReadOnly,
            3 => Self::Load,
            5 => Self::LoadInProgress,
            7 => Self::Reorganisation,
            _ => return None,
        })
    }

    /// What it is, and the command that ends it.
    fn sentence(self, table: &str) -> String {
        let (what, cure) = match self {
            Self::Integrity => (
                "is in Set Integrity Pending",
                format!("SET INTEGRITY FOR {table} IMMEDIATE CHECKED"),
            ),
            Self::Load => (
                "is in Load Pending: a LOAD stopped before its end",
                format!(
                    "LOAD FROM /dev/null OF DEL TERMINATE INTO {table} NONRECOVERABLE, or the \
                     same LOAD with RESTART"
                ),
            ),
            Self::ReadOnly => (
                "allows reading only",
                format!("SET INTEGRITY FOR {table} FULL ACCESS, or REFRESH TABLE of what depends"),
            ),
            Self::LoadInProgress => (
                "is being loaded by a LOAD",
                "wait for it (LIST UTILITIES shows it), then start again".to_owned(),
            ),
            Self::Reorganisation => ("is in Reorg Pending", format!("REORG TABLE {table}")),
            Self::NotLogged => (
                "was rolled back while it was not logged, and is unusable",
                format!("DROP TABLE {table}, and make it again"),
            ),
        };
        format!("table {table} {what}; cure: {cure}")
    }
}

/// State of a table by the catalog: status and access mode of `SYSCAT.TABLES`, load status and
/// whether a REORG is pending of `SYSIBMADM.ADMINTABINFO`.
pub(super) fn of_catalog(cells: &[Option<String>]) -> Option<Pending> {
    let cell = |index: usize| cells.get(index).and_then(Option::as_deref).unwrap_or("").trim();
    match (cell(0), cell(1), cell(2), cell(3)) {
        (_, _, "PENDING", _) => Some(Pending::Load),
        (_, _, "IN_PROGRESS", _) => Some(Pending::LoadInProgress),
        ("C", ..) | (_, "N", ..) => Some(Pending::Integrity),
        (_, "R", ..) => Some(Pending::ReadOnly),
        (_, _, _, "Y") => Some(Pending::Reorganisation),
        _ => None,
    }
}

/// State of a table by the words of an error: SQL0668N with its reason code, SQL1476N and SQL1477N
/// of a table that was not logged.
pub(super) fn of_error(error: &SinkError) -> Option<Pending> {
    match error.native? {
        -668 => {
            let after = error.message.split("eason code").nth(1)?;
            let digits: String = after
                .chars()
                .skip_while(|c| !c.is_ascii_digit())
                .take_while(char::is_ascii_digit)
                .collect();
            Pending::of_reason(digits.parse().ok()?)
        }
        -1477 => Some(Pending::NotLogged),
        _ => None,
    }
}

/// The error for a table in that state; codes of the driver are kept where there were any.
pub(super) fn error(table: &str, pending: Pending, cause: Option<&SinkError>) -> SinkError {
    let sentence = pending.sentence(table);
    match cause {
        Some(cause) => {
            SinkError { message: format!("{sentence} ({})", cause.message), ..cause.clone() }
        }
        None => SinkError::permanent(sentence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::ErrorClass;

    #[test]
    fn the_catalog_names_the_state_and_the_sentence_its_cure() {
        for (cells, cure) in [
            (["C", "N", "AVAILABLE", "N"], "SET INTEGRITY FOR \"T\" IMMEDIATE CHECKED"),
            (["N", "N", "AVAILABLE", "N"], "SET INTEGRITY FOR \"T\" IMMEDIATE CHECKED"),
            (["N", "F", "PENDING", "N"], "TERMINATE INTO \"T\""),
            (["C", "N", "PENDING", "N"], "TERMINATE INTO \"T\""),
            (["N", "F", "IN_PROGRESS", "N"], "LIST UTILITIES"),
            (["N", "R", "AVAILABLE", "N"], "FULL ACCESS"),
            (["N", "F", "AVAILABLE", "Y"], "REORG TABLE \"T\""),
        ] {
            let cells = cells.map(|cell| Some(cell.to_owned()));
            let pending = of_catalog(&cells).expect("it waits for something");
            let error = error("\"T\"", pending, None);
            assert!(error.message.contains(cure), "{cells:?}: {error}");
        }
        for cells in [vec![], vec![Some("N".to_owned()), Some("F".to_owned()), None, None]] {
            assert_eq!(of_catalog(&cells), None, "{cells:?}");
        }
    }

    fn refused(native: i32, message: &str) -> SinkError {
        let (sqlstate, message) = (Some("57016".to_owned()), message.to_owned());
        SinkError { class: ErrorClass::Permanent, sqlstate, native: Some(native), message }
    }

    #[test]
    fn reason_codes_become_words() {
        let text = |code: u32| {
            format!(
                "SQL0668N  Operation not allowed for reason code \"{code}\" on table \"APP.T\".  \
                 SQLSTATE=57016"
            )
        };
        for (code, pending) in [
            (1, Some(Pending::Integrity)),
            (3, Some(Pending::Load)),
            (5, Some(Pending::LoadInProgress)),
            (7, Some(Pending::Reorganisation)),
            (99, None),
        ] {
            assert_eq!(of_error(&refused(-668, &text(code))), pending, "{code}");
        }
        assert_eq!(of_error(&refused(-204, &text(3))), None);
        assert_eq!(of_error(&refused(-668, "SQL0668N")), None);
        assert_eq!(of_error(&refused(-1477, "SQL1477N")), Some(Pending::NotLogged));
    }

    #[test]
    fn the_codes_of_the_driver_stay() {
        let cause = refused(-668, "reason code \"3\"");
        let error = error("T", Pending::Load, Some(&cause));
        assert_eq!((error.native, error.class), (Some(-668), ErrorClass::Permanent));
        assert!(error.message.contains("Load Pending") && error.message.contains("reason code"));
    }
}
