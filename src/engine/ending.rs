//! After the threads: completeness, staging, reject files, report.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::files::OpenFile;
use super::job::Job;
use super::load::{Ran, TargetHandle};
use super::shared::Shared;
use super::staged::Staged;
use super::threads::Times;
use super::topology;
use super::unit::UnitEnds;
use super::verdict::{self, Situation};
use super::writer::new_histogram;
use crate::error::{DoubtfulRange, Error, ErrorKind, Result};
use crate::failpoint;
use crate::input::RawSource;
use crate::input::fingerprint::hash_range;
use crate::ledger::{RangeRow, State};
use crate::record::ByteRange;
use crate::rejects::RejectFiles;
use crate::report::{
    CommitStage, Counts, FileReport, InDoubtRange, InDoubtReport, ParseStage, Report, RetryReport,
    RingStage, Stages, StagingReport, StagingStage, Status, WriteStage,
};
use crate::sink::{Routing, TableTask};

/// Ends a load whose threads are done, or lost: adds to those. Returns the error of the load.
pub(super) fn finish(
    ran: Ran,
    target: &TargetHandle,
    started: Instant,
    report: &mut Report,
    lost_threads: &mut usize,
) -> Option<Error> {
    let Ran { shared, rejects, mut times, warnings, staging, care, started: run, heartbeat } = ran;
    let job = run.as_ref().map(|started| &*started.job);
    report.warnings = warnings;
    let mut error = shared.take_error().or_else(|| shared.stop_reason());
    if error.is_none() {
        error = read_well(&shared, staging.is_some()).err();
    }
    if let Some(staging) = &staging {
        let mut segment = rejects.segment(shared.config.work.writers_max());
        let run = run.as_ref().map(|started| &started.run);
        let mut staged = Staged::new(&shared, staging, target, (run, &rejects));
        error = staged.run(error.map_or(Ok(()), Err), &mut segment);
        times.segments.push(segment);
        report.warnings.append(&mut staged.warnings);
        report.staging = Some(staged.report);
    }
    if error.is_none() {
        let reached = run.as_ref().map_or((State::Starting, 0), |s| (s.run.state, s.run.step));
        let is_staged = staging.is_some();
        let after = After { shared: &shared, target, care: &care, job, reached, is_staged };
        error = after.complete(&mut report.warnings).err();
    }
    failpoint::reach("before-rejects-merge");
    // Rejects of committed units stand, however the load ended, unless another start has taken the
    // job over: then the reject files are its business, and may be finished already.
    let segments = std::mem::take(&mut times.segments);
    let merged = match job.is_some_and(Job::is_taken) {
        true => Ok(Vec::new()),
        false => rejects.merge(segments),
    };
    let reject_paths = merged.unwrap_or_else(|merge_error| {
        error.get_or_insert(merge_error);
        Vec::new()
    });
    failpoint::reach("after-rejects-merge");
    if let (Some(job), None) = (job, &error) {
        error = end_run(job, &shared, &rejects, &mut report.warnings).err();
    }
    *lost_threads += heartbeat.end();
    report.ledger.ranges = job.map_or(0, committed_ranges);
    report.retries = shared.retries.report();
    report.tuning = shared.control.dial.report();
    report.warnings.extend(smaller_commits(&report.retries));
    report.warnings.extend(shared.crew.warning());
    report.in_doubt = in_doubt(error.as_ref());
    report.files = file_reports(&shared, &reject_paths);
    for file in &report.files {
        report.totals.add(&file.counts);
    }
    report.rejects.path = reject_paths.into_iter().flatten().next();
    let seconds = started.elapsed().as_secs_f64();
    report.seconds = seconds;
    report.stages = stages(&shared, &times, report.staging.as_ref());
    report.bottleneck = verdict::bottleneck(&report.stages, &situation(&shared, &times, report));
    #[expect(clippy::cast_precision_loss, reason = "a rate is shown with few digits")]
    if seconds > 0.0 {
        report.rows_per_second = report.totals.rows_loaded as f64 / seconds;
        report.bytes_per_second = report.totals.bytes as f64 / seconds;
    }
    report.rejects.by_class = shared.rejects_by_class();
    let earlier_rejects = shared.files.iter().any(|file| file.earlier.rejected > 0);
    report.status = status(error.as_ref(), &report.totals, earlier_rejects);
    error
}

/// What must be true of inputs that were read to their ends, or as far as the load was wound down.
fn read_well(shared: &Shared, is_staged: bool) -> Result<()> {
    shared.check_inputs()?;
    if let Some(interrupted) = shared.cut_short(is_staged) {
        return Err(interrupted);
    }
    check_limit(shared)?;
    for file in &shared.files {
        file.check_complete().map_err(ErrorKind::Internal)?;
    }
    shared.job.as_deref().map_or(Ok(()), |job| check_ledger(job, shared))
}

/// A resume relies on the ranges alone: they must have every record that was counted.
fn check_ledger(job: &Job, shared: &Shared) -> Result<()> {
    let noted = job.transact(|store| store.count_records(job.key()))?;
    let counted = |file: &Arc<OpenFile>| {
        let counts = file.report();
        counts.rows_loaded + counts.rows_rejected + counts.rows_superseded + counts.rows_skipped
    };
    let counted: u64 = shared.files.iter().map(counted).sum();
    if noted == counted {
        return Ok(());
    }
    let message = format!(
        "{} has {noted} records in its ledger and {counted} are committed: do not resume it; \
         --restart terminate ends it",
        job.key()
    );
    Err(ErrorKind::Internal(message).into())
}

/// A share of rejects is tested once more when all of them are known.
pub(super) fn check_limit(shared: &Shared) -> Result<()> {
    if shared.counter.passed_at_end() {
        let bad = shared.counter.lowest_of_all().unwrap_or_default();
        return Err(ErrorKind::RejectLimit(Box::new(bad)).into());
    }
    Ok(())
}

/// What is left to do for a load whose rows are all in the target.
struct After<'a> {
    shared: &'a Shared,
    target: &'a TargetHandle,
    care: &'a [(TableTask, String)],
    job: Option<&'a Job>,
    /// How far an earlier start has come.
    reached: (State, u64),
    /// Whether the rows came by way of a staging table, which is gone by now.
    is_staged: bool,
}

impl After<'_> {
    fn complete(&self, warnings: &mut Vec<String>) -> Result<()> {
        for file in &self.shared.files {
            file.check_complete().map_err(ErrorKind::Internal)?;
        }
        self.target.0.finish()?;
        let (state, step) = self.reached;
        let done = if state == State::Finishing { step } else { 0 };
        // Where nothing follows that is to be done once, the end of the run says as much.
        let is_more = !self.care.is_empty() || !self.shared.config.after.is_empty();
        if let Some(job) = self.job
            && (is_more || self.is_staged || state > State::Loading)
        {
            job.advance(State::Finishing, done)?;
        }
        let care = self.care.iter().map(|(task, sql)| (Some(*task), sql));
        let after = self.shared.config.after.iter().map(|sql| (None, sql));
        for (step, (task, sql)) in (1..).zip(care.chain(after)).skip_while(|(s, _)| *s <= done) {
            match (task, self.run(sql, step)) {
                (_, Ok(())) => {}
                // Statistics are not data: the load is what was asked for.
                (Some(task @ TableTask::Statistics), Err(error)) => {
                    warnings.push(format!("all rows are loaded; {} failed: {error}", task.flag()));
                }
                // The table may not be read or written now.
                (Some(task), Err(error)) => {
                    return Err(with_note(
                        error,
                        &format!("all rows are loaded; {} failed: {sql}", task.flag()),
                    ));
                }
                (None, Err(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// Runs a statement, and says so in the ledger in the same transaction.
    fn run(&self, sql: &str, step: u64) -> Result<()> {
        let Some(job) = self.job else {
            return Ok(self.target.0.run_sql(sql)?);
        };
        let mut session = self.target.0.session()?;
        session.execute(sql)?;
        job.advance_in(&mut *session, State::Finishing, step)?;
        session.commit()?;
        Ok(())
    }
}

fn with_note(error: Error, note: &str) -> Error {
    match error.into_kind() {
        ErrorKind::Sql(error) => ErrorKind::Sql(error.with_note(note)).into(),
        kind => kind.into(),
    }
}

/// Ends the run of a load that ended well.
fn end_run(
    job: &Job,
    shared: &Shared,
    rejects: &RejectFiles,
    warnings: &mut Vec<String>,
) -> Result<()> {
    resample(job, shared)?;
    shared.check_inputs()?;
    failpoint::reach("done-before-state");
    job.done(&totals(job, shared))?;
    failpoint::reach("after-done");
    if let Err(error) = rejects.remove() {
        warnings.push(format!("the load is finished; {error}"));
    }
    Ok(())
}

/// Reads some of what was committed again: a change of the bytes that nothing else shows.
fn resample(job: &Job, shared: &Shared) -> Result<()> {
    for file in &shared.files {
        let (Some(source), Some(length)) = (&file.raw, file.length) else { continue };
        let ranges = job.transact(|store| store.samples(job.key(), file.index, length))?;
        resample_file(file, source, &ranges)?;
    }
    Ok(())
}

fn resample_file(file: &OpenFile, source: &RawSource, ranges: &[RangeRow]) -> Result<()> {
    for range in ranges {
        let hash = hash_range(source, range.bytes).map_err(|error| file.read_error(error))?;
        if hash != range.digest {
            let ByteRange { start, end } = range.bytes;
            return Err(Error::input(
                &file.path,
                format!("bytes {start}..{end} are others now than those that were loaded"),
                "the table holds what was read first; load a copy that nobody writes to",
            ));
        }
    }
    Ok(())
}

/// One range a file.
fn totals(job: &Job, shared: &Shared) -> Vec<RangeRow> {
    let one = |file: &Arc<OpenFile>| {
        let counts = file.report();
        RangeRow {
            file: file.index,
            bytes: ByteRange { start: 0, end: counts.bytes },
            records: counts.records_read,
            lines: file.chain.reached().lines,
            loaded: counts.rows_loaded + file.earlier.loaded,
            rejected: counts.rows_rejected + file.earlier.rejected,
            superseded: counts.rows_superseded,
            epoch: job.epoch(),
            ..RangeRow::default()
        }
    };
    shared.files.iter().filter(|file| file.report().bytes > 0).map(one).collect()
}

/// Ranges that the ledger has of the run now; 0 when it cannot be asked.
fn committed_ranges(job: &Job) -> u64 {
    job.transact(|store| store.count_ranges(job.key())).unwrap_or(0)
}

fn file_reports(shared: &Shared, rejects: &[Option<PathBuf>]) -> Vec<FileReport> {
    let one = |file: &Arc<OpenFile>| FileReport {
        path: file.path.clone(),
        counts: file.report(),
        rejects: rejects.get(file.index).cloned().flatten(),
    };
    shared.files.iter().map(one).collect()
}

/// What the advice for the limiting stage depends on.
fn situation(shared: &Shared, times: &Times, report: &Report) -> Situation {
    let (work, layout) = (&shared.config.work, &shared.layout);
    let mut ends = UnitEnds::default();
    times.writers.iter().for_each(|writer| ends.add(&writer.ends));
    Situation {
        load_seconds: times.took.as_secs_f64(),
        parsers: times.parsers.len(),
        writers: times.writers.len(),
        writers_away_seconds: times.writers.iter().map(|times| times.away.as_secs_f64()).sum(),
        cores: topology::parallelism(),
        writers_max: layout.writers_max,
        one_parser: (layout.routing != Routing::Any)
            .then(|| "the rows of a key stay in the order of the file".to_owned()),
        one_writer: match &layout.routing {
            Routing::InOrder { why } => Some(why.clone()),
            Routing::Any | Routing::ByKey { .. } => None,
        },
        input_mode: work.input_mode,
        io: work.io,
        has_stream: shared.files.iter().any(|file| file.raw.is_none()),
        retry_seconds: report.retries.seconds,
        has_shrunk: report.retries.smallest_commit_rows.is_some(),
        ends,
    }
}

fn stages(shared: &Shared, times: &Times, staging: Option<&StagingReport>) -> Stages {
    let phase = |seconds: fn(&StagingReport) -> f64| StagingStage {
        busy_seconds: staging.map_or(0.0, seconds),
    };
    let sum = |parts: &mut dyn Iterator<Item = Duration>| parts.sum::<Duration>().as_secs_f64();
    let mut batches = new_histogram();
    for writer in &times.writers {
        batches.add(&writer.batch_us).expect("all histograms have the same range");
    }
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a batch are under 2^53")]
    let quantile_ms = |quantile| batches.value_at_quantile(quantile) as f64 / 1_000.0;
    Stages {
        parse: ParseStage {
            busy_seconds: sum(&mut times.parsers.iter().map(|times| times.busy)),
            input_seconds: sum(&mut times.parsers.iter().map(|times| times.input)),
            paced_seconds: sum(&mut times.parsers.iter().map(|times| times.paced)),
            proof_seconds: sum(&mut times.parsers.iter().map(|times| times.proof)),
        },
        ring: RingStage {
            full_seconds: sum(&mut times.parsers.iter().map(|times| times.full)),
            empty_seconds: sum(&mut times.writers.iter().map(|times| times.idle)),
            high_water: shared.metrics().ring_high_water.load(Ordering::Relaxed),
        },
        write: WriteStage {
            busy_seconds: sum(&mut times.writers.iter().map(|times| times.write)),
            batch_p50_ms: quantile_ms(0.5),
            batch_p99_ms: quantile_ms(0.99),
        },
        commit: CommitStage {
            busy_seconds: sum(&mut times.writers.iter().map(|times| times.commit)),
        },
        settle: phase(|staging| staging.settle_seconds),
        r#move: phase(|staging| staging.move_seconds),
    }
}

/// The rows of which nobody knows whether they are in.
fn in_doubt(error: Option<&Error>) -> InDoubtReport {
    let Some(ErrorKind::InDoubt { ranges, .. }) = error.map(Error::kind) else {
        return InDoubtReport::default();
    };
    let one = |range: &DoubtfulRange| InDoubtRange {
        path: range.path.clone(),
        byte_from: range.bytes.start,
        byte_to: range.bytes.end,
        record_from: range.records.map(|(first, _)| first),
        record_to: range.records.map(|(_, last)| last),
        rows: range.rows,
    };
    InDoubtReport {
        rows: ranges.iter().map(|range| range.rows).sum(),
        ranges: ranges.iter().map(one).collect(),
    }
}

/// What the operator should know of commits that were made smaller.
fn smaller_commits(retries: &RetryReport) -> Option<String> {
    let rows = retries.smallest_commit_rows?;
    let times = retries.shrinks;
    let once = if times == 1 { "once".to_owned() } else { format!("{times} times") };
    Some(format!(
        "the database ran out of log space or locks {once}: commits went down to {rows} rows; give \
         it more (see docs/errors.md), or load with --commit-rows {rows}"
    ))
}

/// How a load ended.
///
/// `earlier_rejects`: an earlier start of the job has rejected records.
pub(super) fn status(error: Option<&Error>, totals: &Counts, earlier_rejects: bool) -> Status {
    match error.map(Error::kind) {
        None if totals.rows_rejected > 0 || earlier_rejects => Status::LoadedWithRejects,
        None => Status::Loaded,
        Some(ErrorKind::RejectLimit(_) | ErrorKind::Interrupted { .. }) => Status::Stopped,
        Some(_) => Status::Failed,
    }
}
