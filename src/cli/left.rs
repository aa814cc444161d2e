//! What a load that did not finish has left, and what to do then.

use crate::error::{Error, ErrorKind};
use crate::report::{MoveState, Report, StagingReport};

/// What stands in the table after a load that did not finish.
///
/// `None`: the error says it all, because nothing was begun.
pub(super) fn left_behind(report: &Report, error: &Error, keeps_ledger: bool) -> Option<String> {
    if keeps_ledger {
        let is_begun = !report.job.is_empty() && !matches!(error.kind(), ErrorKind::JobHeld(_));
        return is_begun.then(|| resumable(report, error));
    }
    Some(for_good(report))
}

/// What a start of the same job finds.
fn resumable(report: &Report, error: &Error) -> String {
    let stands = match &report.staging {
        Some(staging) => staged_stands(report, staging),
        None => format!("{} rows of this start are committed", report.totals.rows_loaded),
    };
    let rest = match error.kind() {
        ErrorKind::RejectLimit(_) => {
            "the same command again does the rest; with a larger --max-errors its bad records \
             become rejects"
        }
        ErrorKind::Input { .. } => {
            "the same command again does the rest if the input is as it was; otherwise fastload \
             abort or --restart new ends it"
        }
        ErrorKind::InDoubt { .. } => {
            "the same command again finds out what became of the commit in doubt, and does the rest"
        }
        _ => "the same command again does the rest",
    };
    format!("job {} is unfinished: {stands}; {rest}", report.job)
}

fn staged_stands(report: &Report, staging: &StagingReport) -> String {
    let (table, rows) = (&report.target.table, staging.rows_moved);
    match staging.moved {
        MoveState::Nothing => format!("nothing has reached {table} yet"),
        MoveState::Emptied => format!("{table} was emptied, and nothing has reached it yet"),
        MoveState::Part => format!("{rows} rows have reached {table}"),
        MoveState::Everything => format!("all {rows} rows have reached {table}"),
        MoveState::InDoubt => {
            format!("whether the last rows have reached {table} is not known yet")
        }
    }
}

/// What is left where no ledger knows how far the load came.
fn for_good(report: &Report) -> String {
    if let Some(staging) = &report.staging {
        return left_staged(report, staging);
    }
    let doubt = &report.in_doubt;
    if let Some(range) = doubt.ranges.first() {
        let sure = report.totals.rows_loaded;
        let records = match (range.record_from, range.record_to) {
            (Some(first), Some(last)) => format!("records {first} to {last}"),
            _ => "the records".to_owned(),
        };
        return format!(
            "{sure} rows are committed for certain; {} more are in the table or not: look there \
             for the rows of {records} of {}; a range in doubt is in as a whole, or not at all. \
             Their rejects are in the reject file. This load cannot be resumed",
            doubt.rows,
            range.path.display()
        );
    }
    match report.totals.rows_loaded {
        0 => "no row was committed; the load can be started again".to_owned(),
        rows => format!(
            "{rows} rows are committed and stay in the table; this load cannot be resumed: before \
             another run remove them, or load with --mode truncate"
        ),
    }
}

fn left_staged(report: &Report, staging: &StagingReport) -> String {
    let table = &report.target.table;
    match staging.moved {
        MoveState::Nothing => {
            format!("nothing reached {table}; the load can be started again")
        }
        MoveState::Emptied => format!(
            "{table} was emptied and nothing of this load reached it; the load can be started again"
        ),
        MoveState::Part => format!(
            "{} rows reached {table}; the others of this load wait in {} under run id {}",
            staging.rows_moved, staging.table, staging.run_id
        ),
        MoveState::Everything => {
            format!("all {} rows reached {table} and stay in it", staging.rows_moved)
        }
        MoveState::InDoubt => format!(
            "whether the last rows reached {table} is not known; they are kept in {} under run id \
             {}, which tells: look there before another run",
            staging.table, staging.run_id
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::BadRecord;
    use crate::report::Counts;

    fn report(job: &str) -> Report {
        let totals = Counts { records_read: 7, rows_loaded: 7, ..Counts::default() };
        Report { job: job.to_owned(), totals, ..Report::default() }
    }

    fn left(job: &str, kind: ErrorKind, keeps_ledger: bool) -> Option<String> {
        left_behind(&report(job), &kind.into(), keeps_ledger)
    }

    #[test]
    fn a_job_in_the_ledger_is_resumed() {
        let limit = || ErrorKind::RejectLimit(Box::<BadRecord>::default());
        let text = left("nightly", limit(), true).expect("a sentence");
        for piece in ["job nightly is unfinished", "7 rows", "same command", "--max-errors"] {
            assert!(text.contains(piece), "{text}");
        }
        let stopped = || ErrorKind::Interrupted { signal: 15 };
        let text = left("nightly", stopped(), true).expect("a sentence");
        assert!(text.contains("same command") && !text.contains("--max-errors"), "{text}");
        // Refused before it began, or worked on by another one.
        assert_eq!(left("", stopped(), true), None);
        assert_eq!(left("nightly", ErrorKind::JobHeld(String::new()), true), None);
    }

    #[test]
    fn without_a_ledger_it_is_not() {
        let stopped = ErrorKind::Interrupted { signal: 15 };
        let text = left("", stopped, false).expect("a sentence");
        assert!(text.contains("7 rows") && text.contains("cannot be resumed"), "{text}");
    }
}
