//! What happens to tables before the first row, and loads that end before it.

use super::files::InputFile;
use super::job::{Started, headers};
use super::load::Load;
use super::staged;
use crate::config::{Mode, StagingAttribute};
use crate::error::Result;
use crate::failpoint;
use crate::ledger::{RangeRow, RunKey, State};
use crate::report::{Counts, FileReport, Report, Status};
use crate::staging::Staging;

/// What the first row waits for.
pub(super) struct Preparation<'a> {
    pub(super) staging: Option<&'a Staging>,
    pub(super) started: Option<&'a Started>,
    /// Writers that each have their part of every range.
    pub(super) parts: usize,
}

impl Preparation<'_> {
    /// How far an earlier start of the job has come.
    fn reached(&self) -> (State, u64) {
        self.started.map_or((State::Starting, 0), |started| (started.run.state, started.run.step))
    }
}

impl Load {
    /// Brings the tables into the state in which the first row finds them; warnings.
    pub(super) fn prepare_tables(&self, preparation: &Preparation<'_>) -> Result<Vec<String>> {
        let (state, step) = preparation.reached();
        if state == State::Starting {
            self.run_before(preparation, step)?;
        }
        let warnings = match preparation.staging {
            Some(staging) => self.prepare_staging(staging, preparation)?,
            None => {
                if self.config.mode == Mode::Truncate && state < State::Loading {
                    if let Some(started) = preparation.started {
                        started.job.advance(State::Emptying, 0)?;
                    }
                    self.target.0.truncate(&self.config.table)?;
                }
                Vec::new()
            }
        };
        if let Some(started) = preparation.started {
            let counts = (self.config.work.writers_max(), preparation.parts);
            let headers = headers(&self.inputs, started.run.epoch);
            started.job.prepare_loading(counts, &headers, state < State::Loading)?;
        }
        Ok(warnings)
    }

    /// The statements of `--before` that are not done yet.
    fn run_before(&self, preparation: &Preparation<'_>, done: u64) -> Result<()> {
        let Some(started) = preparation.started else {
            return self.config.before.iter().try_for_each(|sql| Ok(self.target.0.run_sql(sql)?));
        };
        for (step, sql) in (1..).zip(&self.config.before).skip_while(|(step, _)| *step <= done) {
            let mut session = self.target.0.session()?;
            session.execute(sql)?;
            // In the same transaction, where the database undoes such a statement at all.
            started.job.advance_in(&mut *session, State::Starting, step)?;
            session.commit()?;
        }
        Ok(())
    }

    /// Whether a table whose rows are not logged was left by a start that did not commit its one
    /// transaction: nobody can use it any more.
    fn must_stage_anew(&self, state: State, preparation: &Preparation<'_>) -> bool {
        let attributes = self.config.staging.as_ref().map(|staging| &staging.attributes);
        let is_unlogged = attributes.is_some_and(|all| all.contains(&StagingAttribute::NotLogged));
        let ranges = preparation.started.map(|started| &started.run.ranges);
        let is_empty = ranges.is_some_and(|all| all.iter().all(|range| range.records == 0));
        is_unlogged && state == State::Loading && is_empty
    }

    fn prepare_staging(
        &self,
        staging: &Staging,
        preparation: &Preparation<'_>,
    ) -> Result<Vec<String>> {
        let merge_rows = self.config.staging.as_ref().and_then(|s| s.merge_rows);
        let warning = staged::warning(staging, self.config.mode, merge_rows);
        let (state, _) = preparation.reached();
        if state >= State::Loading && !self.must_stage_anew(state, preparation) {
            return Ok(warning.into_iter().collect());
        }
        let mut session = self.target.0.session()?;
        let is_resumed = preparation.started.is_some_and(|started| started.run.is_resumed);
        let mut warnings = Vec::new();
        if is_resumed && staging.is_own() {
            // What was there when the load was planned is what an earlier start has left.
            staging.prepare_again(&mut *session)?;
        } else {
            warnings = staging.prepare(&mut *session)?;
        }
        failpoint::reach("staging-prepared");
        warnings.extend(warning);
        Ok(warnings)
    }
}

/// The report of a load that found all of it done.
pub(super) fn already_loaded(
    inputs: &[InputFile],
    key: &RunKey,
    ranges: &[RangeRow],
    report: &mut Report,
) {
    report.job.clone_from(&key.job);
    report.status = Status::AlreadyLoaded;
    report.ledger.ranges = ranges.len() as u64;
    let one = |(index, input): (usize, &InputFile)| {
        let own = ranges.iter().filter(|range| range.file == index);
        let records = own.map(|range| range.loaded + range.rejected + range.superseded).sum();
        let counts = Counts {
            bytes: input.length.unwrap_or(0),
            records_read: records,
            rows_skipped: records,
            ..Counts::default()
        };
        FileReport { path: input.path.clone(), counts, rejects: None }
    };
    report.files = inputs.iter().enumerate().map(one).collect();
    for file in &report.files {
        report.totals.add(&file.counts);
    }
}

/// The report of a start that only ends its job.
pub(super) fn terminated(key: Option<RunKey>, report: &mut Report) {
    report.status = Status::Stopped;
    match key {
        Some(key) => {
            report.warnings.push(format!("{key} is given up; what it has committed stays"));
            report.job = key.job;
        }
        None => report.warnings.push("there is no unfinished run to give up".to_owned()),
    }
}
