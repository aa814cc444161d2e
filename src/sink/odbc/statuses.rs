//! The status array: which rows of an array went in, where a driver tells the truth about it.
//!
//! Not every driver does: some leave the array as it was, some fill it with successes for rows
//! that are gone, and Db2's own default makes an array atomic, so that all rows are unknown after
//! one bad one. A profile therefore has an [`Experiment`], run once at connect: an array with bad
//! rows at its beginning, middle and end goes into a temporary table, and what the table then
//! holds is compared with what the driver said. Only after that are bad rows taken from the
//! status array, with one diagnostic each; and every single answer must still agree with itself.

use super::catalog::CatalogColumn;
use super::connect::Session;
use super::isolate::RowFault;
use super::judge::{Answer, STATUS_IN, fault_of};
use super::profile::{Counted, Experiment, Verdict};
use super::raw::NumberedDiagnostic;
use crate::arena::column::NULL_INDICATOR;
use crate::arena::{Batch, CellType, IndicatorWidth, Values};
use crate::sink::{ErrorClass, RowReject, SinkError};

/// Status of a row that did not go in (`SQL_PARAM_ERROR`).
const STATUS_ERROR: u16 = 5;

/// State of a diagnostic that only says that others follow.
const ERROR_IN_ROW: &str = "01S01";

/// Rows of the experiment.
const ROWS: usize = 7;

/// Those of them whose key is NULL, and that whose text is too long: first, middle, last.
const NULL_ROWS: [usize; 2] = [0, 6];
const LONG_ROW: usize = 3;

/// What is known of a driver's status array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StatusArray {
    /// Whether it says exactly which rows went in.
    pub(super) exact: bool,
    /// Whether `SQLRowCount` after an array is the number of rows that went in.
    pub(super) counts: bool,
}

impl StatusArray {
    /// Nothing is known, so nothing is believed.
    pub(super) const UNPROVEN: Self = Self { exact: false, counts: false };
}

/// What an answer with failed rows says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Partly {
    /// These rows are not in, in ascending order; all the others are.
    Bad(Vec<RowReject>),
    /// The answer contradicts itself: which rows are in is not known.
    Contradiction,
}

/// Reads an answer of a driver whose status array is exact, rows by their positions in the array:
/// `None` when no row has failed by it,
/// and [`judge`](super::judge::judge) must say what the answer means.
///
/// # Errors
/// When one of the diagnostics is not the fault of a row.
pub(super) fn read(
    session: &Session,
    answer: &Answer<'_>,
    columns: &[CatalogColumn],
) -> Result<Option<Partly>, SinkError> {
    let verdict = |numbered: &NumberedDiagnostic| session.profile.verdict(&numbered.diagnostic);
    if !answer.statuses.contains(&STATUS_ERROR) {
        return Ok(None);
    }
    let worlds = answer.telling().filter_map(|numbered| match verdict(numbered) {
        Verdict::World(class) => Some((class, &numbered.diagnostic)),
        Verdict::Row(_) => None,
    });
    // What undid the transaction or ended the connection tells before anything else.
    let undone = worlds.clone().find(|(class, _)| class.asks_for_replay());
    if let Some((class, words)) = undone.or_else(|| worlds.clone().next()) {
        return Err(session.described(class, Some(words)));
    }
    let faults = faults(answer, |numbered| {
        let Verdict::Row(class) = verdict(numbered) else {
            unreachable!("the others have been returned");
        };
        fault_of(class, &numbered.diagnostic, columns)
    });
    Ok(Some(faults.map_or(Partly::Contradiction, |faults| {
        let rejects = faults.into_iter().map(|(row, fault)| fault.of_row(row));
        Partly::Bad(rejects.collect())
    })))
}

/// The fault of each failed row, ascending; `None` when the answer contradicts itself: a status
/// that is neither success nor error, a failed row without a diagnostic or a diagnostic for a row
/// that is in, a row count that is another one.
fn faults(
    answer: &Answer<'_>,
    fault: impl Fn(&NumberedDiagnostic) -> RowFault,
) -> Option<Vec<(usize, RowFault)>> {
    let mut of_rows: Vec<Option<RowFault>> = vec![None; answer.statuses.len()];
    for numbered in answer.telling() {
        if numbered.row.is_none() && numbered.diagnostic.sqlstate == ERROR_IN_ROW {
            // Of the array as a whole: the rows have diagnostics of their own.
            continue;
        }
        let slot = of_rows.get_mut(numbered.row?)?;
        // The first diagnostic of a row is the one that it failed with.
        slot.get_or_insert_with(|| fault(numbered));
    }
    let mut found = Vec::new();
    for (row, (status, fault)) in answer.statuses.iter().zip(of_rows).enumerate() {
        match (*status, fault) {
            (STATUS_ERROR, Some(fault)) => found.push((row, fault)),
            (status, None) if STATUS_IN.contains(&status) => {}
            _ => return None,
        }
    }
    let went_in = i64::try_from(answer.statuses.len() - found.len()).ok()?;
    let counted = answer.result.row_count;
    let agrees = match answer.must_count {
        Counted::Each => counted == went_in,
        Counted::EachOrMore => counted >= went_in,
        Counted::Free => true,
    };
    // Below 0 the driver does not know.
    (counted < 0 || agrees).then_some(found)
}

/// Runs the profile's experiment: what was found, and a sentence about it.
///
/// # Errors
/// When the connection is lost over it. A server that allows no such table has proven nothing,
/// which is no error.
pub(super) fn prove(session: &Session) -> Result<(StatusArray, String), SinkError> {
    let unproven = |why: &str| (StatusArray::UNPROVEN, format!("not believed: {why}"));
    let Some(experiment) = session.profile.status_experiment() else {
        return Ok(unproven("found by savepoint and halving"));
    };
    if let Some(refused) = create(session, experiment)? {
        return Ok(unproven(&format!("no temporary table to try it ({refused})")));
    }
    let result = run(session, experiment);
    // The table goes with the transaction.
    session.rollback()?;
    match result {
        Ok(found) if found.exact => {
            Ok((found, "taken from the status array, which was right when tried".to_owned()))
        }
        Ok(found) => Ok((found, "not believed: it was wrong when tried".to_owned())),
        Err(error) if error.class == ErrorClass::Permanent => {
            Ok(unproven(&format!("the trial failed ({error})")))
        }
        Err(error) => Err(error),
    }
}

/// Makes the temporary table; the words of the last refusal where none of the forms is taken.
fn create(session: &Session, experiment: &Experiment) -> Result<Option<String>, SinkError> {
    let mut refusal = None;
    for sql in experiment.create {
        match session.run(sql) {
            Ok(()) => return Ok(None),
            Err(error) if error.class == ErrorClass::Permanent => {
                session.rollback()?;
                refusal = Some(error.to_string());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(refusal)
}

/// Sends good rows, then good and bad ones, and compares the table with the answers.
fn run(session: &Session, experiment: &Experiment) -> Result<StatusArray, SinkError> {
    let mut insert = session.statement()?;
    for &(_, attribute, value) in session.profile.statement_attributes() {
        insert.set_number(attribute, value).ok().map_err(|outcome| session.error(&outcome))?;
    }
    insert.set_numbered(true);
    insert.prepare(experiment.insert).ok().map_err(|outcome| session.error(&outcome))?;
    let columns = Experiment::columns();
    let mut encoder = session.profile.encoder(&columns, insert.width());
    let rows: Vec<usize> = (0..ROWS).collect();
    let mut send = |batch: &Batch| {
        let (parameters, sets) = encoder.encode(batch, &rows);
        let result = insert.execute_array(&parameters, sets);
        (result, insert.statuses().to_vec())
    };
    let good = batch(insert_width(session), 100, &[]);
    let (result, statuses) = send(&good);
    if !result.outcome.is_ok() {
        return Err(session.error(&result.outcome));
    }
    let all_in = statuses.iter().all(|status| STATUS_IN.contains(status));
    let counts = all_in && result.row_count == i64::try_from(ROWS).unwrap_or(0);
    let bad_rows = [NULL_ROWS[0], LONG_ROW, NULL_ROWS[1]];
    let (result, statuses) = send(&batch(insert_width(session), 0, &bad_rows));
    let answer = Answer {
        result: &result,
        statuses: &statuses,
        rows: ROWS,
        must_count: Counted::Each,
        warnings: &[],
        counted: None,
    };
    let said = read(session, &answer, &columns)?;
    let Some(Partly::Bad(rejects)) = said else {
        return Ok(StatusArray { exact: false, counts });
    };
    let refused: Vec<usize> = rejects.iter().map(|reject| reject.row).collect();
    let stored = session.query(experiment.read)?;
    let expected: Vec<String> = (0..ROWS)
        .filter(|row| !bad_rows.contains(row))
        .chain(100..100 + ROWS)
        .map(|key| key.to_string())
        .collect();
    let stored: Vec<String> = stored.into_iter().flatten().flatten().collect();
    Ok(StatusArray { exact: all_in && refused == bad_rows && stored == expected, counts })
}

fn insert_width(session: &Session) -> IndicatorWidth {
    session.connection.width()
}

/// Rows of a key and a text, numbered from `first_key`, some of them bad.
fn batch(width: IndicatorWidth, first_key: i32, bad_rows: &[usize]) -> Batch {
    const STRIDE: usize = 8;
    let mut batch = Batch::new(&[CellType::I32, CellType::Text], width, 0);
    batch.lay_out(ROWS, &[0, STRIDE]);
    for (row, key) in (0..ROWS).zip(first_key..) {
        let is_bad = bad_rows.contains(&row);
        let text: &[u8] = if is_bad && row == LONG_ROW { b"too long" } else { b"ok" };
        let [keys, texts] = batch.columns.as_mut_slice() else {
            unreachable!("two columns were laid out");
        };
        let (Values::I32(numbers), Values::Bytes { data, .. }) =
            (&mut keys.values, &mut texts.values)
        else {
            unreachable!("laid out as a number and a text");
        };
        numbers[row] = key;
        data[row * STRIDE..][..text.len()].copy_from_slice(text);
        let is_null = is_bad && NULL_ROWS.contains(&row);
        keys.indicators.set(row, if is_null { NULL_INDICATOR } else { 4 });
        texts.indicators.set(row, i64::try_from(text.len()).unwrap_or(0));
    }
    batch.set_rows(ROWS);
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RejectClass;
    use crate::sink::odbc::raw::{ArrayOutcome, Diagnostic, Outcome};

    fn numbered(row: Option<usize>) -> NumberedDiagnostic {
        let (sqlstate, message) = ("23505".to_owned(), format!("{row:?}"));
        NumberedDiagnostic { row, diagnostic: Diagnostic { sqlstate, native: -803, message } }
    }

    /// The failed rows by an answer to four rows.
    fn failed(
        statuses: [u16; 4],
        rows: &[Option<usize>],
        row_count: i64,
    ) -> Option<Vec<(usize, String)>> {
        let result = ArrayOutcome {
            outcome: Outcome::success(),
            processed: Some(4),
            row_count,
            numbered: rows.iter().map(|&row| numbered(row)).collect(),
        };
        let answer = Answer {
            result: &result,
            statuses: &statuses,
            rows: 4,
            must_count: Counted::Each,
            warnings: &[],
            counted: None,
        };
        let found = faults(&answer, |numbered| RowFault {
            class: RejectClass::Duplicate,
            column: None,
            sqlstate: None,
            native: None,
            message: numbered.diagnostic.message.clone(),
        })?;
        Some(found.into_iter().map(|(row, fault)| (row, fault.message)).collect())
    }

    #[test]
    fn failed_rows_have_their_own_diagnostics() {
        let first = (0, "Some(0)".to_owned());
        let last = (3, "Some(3)".to_owned());
        let both = Some(vec![first.clone(), last.clone()]);
        assert_eq!(failed([5, 0, 6, 5], &[Some(3), Some(0)], -1), both);
        assert_eq!(failed([5, 0, 0, 5], &[Some(0), Some(3), Some(3)], 2), both);
        assert_eq!(failed([5, 0, 0, 0], &[Some(0)], 3), Some(vec![first]));
    }

    #[test]
    fn a_summary_of_the_array_is_no_row() {
        let mut summary = numbered(None);
        summary.diagnostic.sqlstate = ERROR_IN_ROW.to_owned();
        let result = ArrayOutcome {
            outcome: Outcome::success(),
            processed: Some(2),
            row_count: -1,
            numbered: vec![summary, numbered(Some(1))],
        };
        let found = faults(
            &Answer {
                result: &result,
                statuses: &[0, 5],
                rows: 2,
                must_count: Counted::Each,
                warnings: &[],
                counted: None,
            },
            |numbered| fault_of(RejectClass::Duplicate, &numbered.diagnostic, &[]),
        );
        assert_eq!(found.expect("no contradiction").first().map(|(row, _)| *row), Some(1));
    }

    #[test]
    fn contradictions_are_not_believed() {
        for (what, statuses, rows, row_count) in [
            ("unused rows", [5, 0, 7, 0], &[Some(0)][..], -1),
            ("no information", [5, 1, 1, 1], &[Some(0)], -1),
            ("untouched", [5, 0, 0, 0x5A5A], &[Some(0)], -1),
            ("a row without a diagnostic", [5, 0, 0, 5], &[Some(0)], -1),
            ("a diagnostic without a row", [5, 0, 0, 0], &[Some(0), None], -1),
            ("a diagnostic of a row that is in", [5, 0, 0, 0], &[Some(0), Some(1)], -1),
            ("a diagnostic of no row", [5, 0, 0, 0], &[Some(0), Some(4)], -1),
            ("another row count", [5, 0, 0, 0], &[Some(0)], 4),
            ("all rows undone", [5, 0, 0, 0], &[Some(0)], 0),
        ] {
            assert_eq!(failed(statuses, rows, row_count), None, "{what}");
        }
    }
}
