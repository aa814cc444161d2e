//! A job that is given up: its unfinished run ends, and what only a resume would need goes.

use std::path::Path;
use std::time::Duration;

use super::job::refuse_held;
use crate::error::{Error, Result};
use crate::ledger::{Facts, RunKey, Store, abort};
use crate::sink::Target;
use crate::sink::staging::{StagingSpec, StagingSql};

/// Facts of a run by the names under which it begins.
pub(super) const TABLE: &str = "table";
/// The staging table: a name, [`OWN_STAGING`], or [`NO_STAGING`].
pub(super) const STAGING: &str = "staging table";
/// A staging table of the load's own.
pub(super) const OWN_STAGING: &str = "(own)";
/// Rows go to the target directly.
pub(super) const NO_STAGING: &str = "(none)";
/// Reject files, one a line.
pub(super) const REJECTS: &str = "rejects";
/// Id that the rows of a staged load carry.
pub(super) const RUN_ID: &str = "note run id";

/// Words that tell a run from every other one, in the directory of its reject segments.
pub(super) fn reject_mark(key: &RunKey) -> String {
    format!("{} {}", key.job, key.run)
}

/// Gives up the unfinished run of a job; `None`: it has none. Rows that it has committed to its
/// table stay there; staged ones and reject segments are removed.
///
/// # Errors
/// Somebody works on it; what the database says.
pub fn abort_job(
    target: &dyn Target,
    table: Option<&str>,
    job: &str,
    lease: Duration,
) -> Result<Option<RunKey>> {
    let (holding, _hold) = target.hold_job(job)?;
    let form = target.ledger();
    if let Some(form) = form {
        refuse_held(form, holding, job)?;
    }
    let mut store = Store::open(target, table)?;
    let lease = form.is_some_and(|form| form.has_heartbeat).then_some(lease);
    let Some((key, facts)) = abort(&mut store, job, holding, lease)? else { return Ok(None) };
    clean_up(target, &key, &facts)?;
    Ok(Some(key))
}

/// Removes what an ended run has left beside the rows in its table.
pub(super) fn clean_up(target: &dyn Target, key: &RunKey, facts: &Facts) -> Result<()> {
    for path in facts.get(REJECTS).unwrap_or_default().lines() {
        crate::rejects::remove_parts(Path::new(path), &reject_mark(key))
            .map_err(|error| Error::io(format!("tidy {path}"), error))?;
    }
    let staging = facts.get(STAGING).filter(|staging| *staging != NO_STAGING);
    let (Some(staging), Some(table), Some(run_id)) = (staging, facts.get(TABLE), facts.get(RUN_ID))
    else {
        return Ok(());
    };
    let named = (staging != OWN_STAGING).then_some(staging);
    let spec =
        StagingSpec { table, staging: named, columns: &[], key: &[], run_id, attributes: &[] };
    let table = match target.staging(&spec) {
        Ok(table) => table,
        Err(error) => {
            tracing::debug!(%error, "the staging table of the run cannot be named any more");
            return Ok(());
        }
    };
    let sql: &dyn StagingSql = &*table.sql;
    let mut session = target.session()?;
    let removal = if named.is_some() { sql.clean(run_id) } else { StagingSql::drop(sql) };
    if let Err(error) = session.execute(&removal).and_then(|_| session.commit()) {
        // It is gone already, or was never made.
        tracing::debug!(%error, "nothing to remove of the staged rows");
        session.rollback()?;
    }
    Ok(())
}
