//! What the answer of a driver to an array means.

use super::catalog::CatalogColumn;
use super::connect::Session;
use super::isolate::{Attempt, RowFault};
use super::profile::{Counted, Profile, Verdict, telling};
use super::raw::{ArrayOutcome, Diagnostic, NumberedDiagnostic, STATUS_UNTOUCHED};
use crate::record::RejectClass;
use crate::sink::{ErrorClass, SinkError};

/// Status values of a row that went in (`SQL_PARAM_SUCCESS`, `SQL_PARAM_SUCCESS_WITH_INFO`): the
/// diagnostics say what there is to say about the second.
pub(super) const STATUS_IN: [u16; 2] = [0, 6];

/// Everything a driver and its server say about one array.
pub(super) struct Answer<'a> {
    /// Return code, diagnostics, counts.
    pub(super) result: &'a ArrayOutcome,
    /// Status slots.
    pub(super) statuses: &'a [u16],
    /// Rows that were sent.
    pub(super) rows: usize,
    /// What the number of changed rows must be.
    pub(super) must_count: Counted,
    /// Warnings that the server was asked for, because its driver keeps them to itself.
    pub(super) warnings: &'a [Diagnostic],
    /// Rows that went in, where the row count is known to say it.
    pub(super) counted: Option<i64>,
}

impl Answer<'_> {
    /// Whether a diagnostic says only that a statement found no row, which a delete may.
    fn is_nothing(&self, diagnostic: &Diagnostic) -> bool {
        self.must_count == Counted::Free && diagnostic.sqlstate == "02000"
    }

    /// The diagnostics of rows, but for those that say nothing.
    pub(super) fn telling(&self) -> impl Iterator<Item = &NumberedDiagnostic> + Clone {
        self.result.numbered.iter().filter(|numbered| !self.is_nothing(&numbered.diagnostic))
    }
}

/// What the answer to an array means.
///
/// Only success in every respect is success: one driver answers an array of which no row went in
/// with `SQL_SUCCESS`, a full status array and the full processed count; what gives it away is the
/// row count, and the reason stands among the server's warnings.
///
/// # Errors
/// When no row is at fault.
pub(super) fn judge(
    session: &Session,
    answer: &Answer<'_>,
    columns: &[CatalogColumn],
) -> Result<Attempt, SinkError> {
    opinion(session.profile, answer, columns)
        .map_err(|failure| session.described(failure.class, failure.words))
}

/// An answer for which no row is at fault.
#[derive(Debug)]
struct Failure<'d> {
    class: ErrorClass,
    words: Option<&'d Diagnostic>,
}

/// [`judge`] without a connection: a function of what the driver returned.
fn opinion<'d>(
    profile: &dyn Profile,
    answer: &Answer<'d>,
    columns: &[CatalogColumn],
) -> Result<Attempt, Failure<'d>> {
    let outcome = &answer.result.outcome;
    if !outcome.is_ok() {
        let diagnostics = outcome.diagnostics.iter().filter(|d| !answer.is_nothing(d));
        let words = telling(profile, diagnostics);
        return match words.map(|d| profile.verdict(d)) {
            Some(Verdict::Row(class)) => Ok(refused(class, words, "", columns)),
            Some(Verdict::World(class)) => Err(Failure { class, words }),
            None => Err(Failure { class: ErrorClass::Permanent, words: None }),
        };
    }
    // A delete that finds no row is done, and says so (02000).
    let says = |d: &&Diagnostic| !profile.is_harmless(d) && !answer.is_nothing(d);
    let infos = outcome.diagnostics.iter().filter(says);
    let warnings = answer.warnings.iter().filter(|d| profile.is_data_warning(d));
    if let Some(telling) = infos.chain(warnings).next() {
        let class = match profile.verdict(telling) {
            Verdict::Row(class) => class,
            Verdict::World(_) => RejectClass::Other,
        };
        return Ok(refused(class, Some(telling), "", columns));
    }
    Ok(shortfall(answer).map_or(Attempt::In, |words| {
        refused(RejectClass::Other, answer.warnings.first(), &words, columns)
    }))
}

/// What contradicts the success that a driver reports.
fn shortfall(answer: &Answer<'_>) -> Option<String> {
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let (rows, sets) = (number(answer.rows), number(answer.statuses.len()));
    if answer.result.outcome.is_no_data() && answer.must_count != Counted::Free {
        return Some("the statement changed no row".to_owned());
    }
    let falls_short = |&counted: &i64| match answer.must_count {
        Counted::Each => counted != rows,
        Counted::EachOrMore => counted < rows,
        Counted::Free => false,
    };
    if let Some(counted) = answer.counted.filter(falls_short) {
        return Some(format!(
            "the database reports success, and {counted} rows in for {rows} sent (a trigger or a \
             rule may have dropped them)"
        ));
    }
    let mut statuses = answer.statuses.iter();
    if let Some(odd) = statuses.find(|&&s| s != STATUS_UNTOUCHED && !STATUS_IN.contains(&s)) {
        return Some(format!("the driver reports success, and status {odd} for a row"));
    }
    let processed = answer.result.processed?;
    (processed != sets)
        .then(|| format!("the driver reports success, and {processed} of {sets} rows processed"))
}

fn refused(
    class: RejectClass,
    words: Option<&Diagnostic>,
    otherwise: &str,
    columns: &[CatalogColumn],
) -> Attempt {
    Attempt::Refused(words.map_or_else(
        || RowFault {
            class,
            column: None,
            sqlstate: None,
            native: None,
            message: otherwise.to_owned(),
        },
        |words| fault_of(class, words, columns),
    ))
}

/// A row's fault in the words of a diagnostic.
pub(super) fn fault_of(
    class: RejectClass,
    words: &Diagnostic,
    columns: &[CatalogColumn],
) -> RowFault {
    RowFault {
        class,
        column: named_column(&words.message, columns),
        sqlstate: Some(words.sqlstate.clone()),
        native: Some(words.native),
        message: words.message.clone(),
    }
}

/// The column that a message names: `column "x"` (PostgreSQL) or `column 'x'` (MariaDB) at its
/// first mention of a column; what stands behind may be data.
fn named_column(message: &str, columns: &[CatalogColumn]) -> Option<usize> {
    let lower = message.to_ascii_lowercase();
    let after = lower.find("column ")? + "column ".len();
    let rest = message.get(after..)?;
    let mark = rest.chars().next().filter(|c| ['"', '\'', '`'].contains(c))?;
    columns.iter().position(|column| {
        rest[1..]
            .strip_prefix(column.column.name.as_str())
            .is_some_and(|tail| tail.starts_with(mark))
    })
}

#[cfg(test)]
mod tests {
    use odbc_api::sys::SqlReturn;

    use super::*;
    use crate::config::schema::{Column, SqlType};
    use crate::sink::odbc::profile::{ProfileName, announced, profile};
    use crate::sink::odbc::raw::Outcome;

    fn contradiction(
        statuses: &[u16],
        processed: Option<i64>,
        counted: Option<i64>,
    ) -> Option<String> {
        let numbered = Vec::new();
        let result =
            ArrayOutcome { outcome: Outcome::success(), processed, row_count: 0, numbered };
        shortfall(&Answer {
            result: &result,
            statuses,
            rows: 3,
            must_count: Counted::Each,
            warnings: &[],
            counted,
        })
    }

    /// What a profile makes of an array of three rows for which a driver returns these records:
    /// the rows' class, or that of the error.
    fn opinion_of(name: ProfileName, records: &[(&str, i32)]) -> Result<RejectClass, ErrorClass> {
        let record = |&(sqlstate, native): &(&str, i32)| Diagnostic {
            sqlstate: sqlstate.to_owned(),
            native,
            message: String::new(),
        };
        let diagnostics = records.iter().map(record).collect();
        let outcome = Outcome { code: SqlReturn::ERROR, diagnostics };
        let numbered = Vec::new();
        let result = ArrayOutcome { outcome, numbered, processed: Some(3), row_count: -1 };
        // All but one row in, as IBM's driver has it.
        let statuses = &[0, 5, 0];
        let answer = Answer {
            result: &result,
            statuses,
            rows: 3,
            must_count: Counted::Each,
            warnings: &[],
            counted: None,
        };
        match opinion(profile(name), &answer, &[]) {
            Ok(Attempt::Refused(fault)) => Ok(fault.class),
            Ok(Attempt::In) => panic!("a failed array is not in: {records:?}"),
            Err(failure) => Err(failure.class),
        }
    }

    #[test]
    fn answers_that_no_server_here_gives() {
        use ErrorClass as E;
        use ProfileName::{Db2, Mariadb, Postgresql};
        for (name, records, expected) in [
            (Db2, &[("23505", -803)][..], Ok(RejectClass::Duplicate)),
            // A bad row, and then what undid all of them.
            (Db2, &[("23505", -803), ("40001", -911)], Err(E::Transient)),
            (Db2, &[("22001", -433), ("57011", -964)], Err(E::Resources)),
            (Db2, &[("57011", -912)], Err(E::Resources)),
            (Db2, &[("57011", -289)], Err(E::Permanent)),
            // The driver is connected again, and every status says that the row went in.
            (Db2, &[("08506", -30108)], Err(E::ConnectionLost)),
            (Db2, &[("40003", -30081)], Err(E::ConnectionLost)),
            (Db2, &[("55032", -1224)], Err(E::ConnectionLost)),
            (Db2, &[("57014", -952)], Err(E::TimedOut)),
            (Db2, &[], Err(E::Permanent)),
            (Postgresql, &[("53200", 1)], Err(E::Resources)),
            (Postgresql, &[("53100", 1)], Err(E::Permanent)),
            (Mariadb, &[("HY000", 1206)], Err(E::Resources)),
            (Mariadb, &[("HY000", 1114)], Err(E::Permanent)),
            (Mariadb, &[("08S01", 1153)], Err(E::Permanent)),
            (Mariadb, &[("23000", 1062), ("HY000", 2013)], Err(E::ConnectionLost)),
        ] {
            assert_eq!(opinion_of(name, records), expected, "{name} {records:?}");
        }
    }

    #[test]
    fn success_must_be_success_in_every_respect() {
        let untouched = [STATUS_UNTOUCHED; 3];
        assert_eq!(contradiction(&[0, 6, 0], Some(3), Some(3)), None);
        assert_eq!(contradiction(&untouched, None, None), None);
        assert_eq!(contradiction(&[0], Some(1), Some(3)), None);
        for (statuses, processed, counted) in [
            ([0, 5, 0], Some(3), Some(3)),
            ([0, 257, 0], None, None),
            ([0, 0, 7], Some(3), None),
            ([0, 0, 0], Some(2), None),
            ([0, 0, 0], Some(3), Some(0)),
            ([0, 0, 0], Some(3), Some(-1)),
        ] {
            assert!(contradiction(&statuses, processed, counted).is_some(), "{statuses:?}");
        }
    }

    #[test]
    fn what_is_found_by_key_counts_otherwise() {
        let (success, statuses) = (Outcome::success(), [0, 0, 0]);
        let numbered = Vec::new();
        let result = ArrayOutcome { outcome: success, processed: Some(3), row_count: 0, numbered };
        let short = |must_count, rows| {
            let answer = Answer {
                result: &result,
                statuses: &statuses,
                rows: 3,
                must_count,
                warnings: &[],
                counted: Some(rows),
            };
            shortfall(&answer).is_some()
        };
        for (counted, rows, is_short) in [
            (Counted::Each, 3, false),
            (Counted::Each, 6, true),
            (Counted::EachOrMore, 3, false),
            (Counted::EachOrMore, 6, false),
            (Counted::EachOrMore, 2, true),
            (Counted::EachOrMore, 0, true),
            (Counted::Free, 0, false),
            (Counted::Free, 9, false),
        ] {
            assert_eq!(short(counted, rows), is_short, "{counted:?} {rows}");
        }
    }

    #[test]
    fn columns_are_found_in_messages() {
        let columns: Vec<CatalogColumn> = ["id", "na\"me", "na"]
            .map(|name| CatalogColumn {
                column: Column {
                    name: name.to_owned(),
                    ty: SqlType::Integer,
                    nullable: true,
                    generated: false,
                },
                server_type: String::new(),
                announced: announced(SqlType::Integer),
            })
            .into();
        for (message, column) in [
            ("null value in column \"na\" of relation \"t\"", Some(2)),
            ("Data too long for column 'id' at row 1", Some(0)),
            ("Column 'na\"me' cannot be null", Some(1)),
            ("Key (x)=(column \"other\" column \"id\")", None),
            ("İ column \"id\"", Some(0)),
            ("", None),
        ] {
            assert_eq!(named_column(message, &columns), column, "{message}");
        }
    }
}
