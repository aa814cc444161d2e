//! `fastload abort JOB`: an unfinished job is given up.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::bad_record::escape;
use super::confirm::agrees;
use super::ledger;
use super::load::{note, print};
use super::render::grouped;
use crate::config::resolve::Resolved;
use crate::config::setting::OutputFormat;
use crate::engine::abort_job;
use crate::error::{Error, Result};
use crate::ledger::RunRow;

/// Ends the unfinished run of a job: what it has committed stays in the table, its reject segments
/// and staged rows are removed, and the next load of the job begins anew.
///
/// # Errors
/// No such job; a run of it that lives; nobody agreed.
pub(super) fn abort(resolved: &Resolved, job: &str) -> Result<()> {
    let (target, mut store) = ledger::open(resolved)?;
    if !store.exists()? {
        return Err(ledger::none(&store, &*target));
    }
    let Some(run) = store.runs(Some(job))?.pop() else {
        return Err(Error::usage(
            format!("the ledger {} knows no job {job}", store.sql().table()),
            "fastload status shows its jobs",
        ));
    };
    if run.state.is_over() {
        note(&format!("{} is {}: there is nothing to give up", run.key, run.state.name()));
        return tell(resolved, &run, false);
    }
    let facts = store.facts(&run.key)?;
    let loaded: u64 = store.ranges(&run.key)?.iter().map(|range| range.loaded).sum();
    store.session().commit()?;
    let rejects = ledger::reject_paths(&facts);
    confirm(resolved, &run, loaded, &parts(&rejects))?;
    drop(store);
    let config = resolved.ledger.as_ref();
    let lease = config.map_or(Duration::MAX, |ledger| ledger.lease);
    let given_up = abort_job(&*target, ledger::table_of(resolved), job, lease)?;
    tell(resolved, &run, given_up.is_some())
}

/// The directories of reject segments that are there.
fn parts(rejects: &[PathBuf]) -> Vec<PathBuf> {
    let mut parts: Vec<PathBuf> = rejects
        .iter()
        .map(|path| {
            let mut name = path.as_os_str().to_owned();
            name.push(".parts");
            PathBuf::from(name)
        })
        .filter(|path| path.is_dir())
        .collect();
    parts.dedup();
    parts
}

fn show(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes())
}

/// Says what is kept and what goes, and asks whether it may.
fn confirm(resolved: &Resolved, run: &RunRow, loaded: u64, parts: &[PathBuf]) -> Result<()> {
    let table = escape(run.table.as_bytes());
    note(&format!("{} has {} rows in {table}, which stay", run.key, grouped(loaded)));
    for path in parts {
        note(&format!("the rejects in {} are removed", show(path)));
    }
    if resolved.yes || agrees(&format!("Give {} up?", run.key))? {
        return Ok(());
    }
    Err(Error::usage(
        format!("{} would be given up and could not be resumed", run.key),
        "agree with --yes",
    ))
}

fn tell(resolved: &Resolved, run: &RunRow, is_aborted: bool) -> Result<()> {
    match resolved.output.format {
        OutputFormat::Json => {
            let (job, number) = (&run.key.job, run.key.run);
            let result = serde_json::json!({ "job": job, "run": number, "aborted": is_aborted });
            print(format!("{result}\n").as_bytes())
        }
        OutputFormat::Text => {
            if is_aborted && !resolved.output.quiet {
                note(&format!("{} is given up", run.key));
            }
            Ok(())
        }
    }
}
