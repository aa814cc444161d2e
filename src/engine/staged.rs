//! From the last staged row to the target: equal keys are settled, the rows are moved, and the
//! staging table is tidied up; each step is sent again after errors that pass.

use std::thread;
use std::time::{Duration, Instant};

use super::TargetHandle;
use super::duplicates;
use super::retry::Waits;
use super::shared::Shared;
use super::watch::Watch;
use crate::config::{Mode, StagingAttribute};
use crate::error::{DoubtfulRange, Error, ErrorKind, Result};
use crate::failpoint;
use crate::ledger::{Run, State};
use crate::record::ByteRange;
use crate::rejects::{RejectFiles, RejectSegment};
use crate::report::{MoveState, StagingReport};
use crate::sink::{ErrorClass, SinkError, SqlSession};
use crate::staging::{MoveFailure, Moved, Staging};

/// How often a wait between two attempts looks whether the load is stopped.
const NAP: Duration = Duration::from_millis(50);

/// How often a staging table is tidied up again whose removal was cut off or waited in vain.
const TIDY_TRIES: usize = 3;

/// What a load does between its last staged row and its end.
pub(super) struct Staged<'a> {
    pub(super) shared: &'a Shared,
    pub(super) staging: &'a Staging,
    target: &'a TargetHandle,
    watch: Watch,
    session: Option<Box<dyn SqlSession>>,
    /// Rows of this run in the staging table, by input.
    pub(super) rows: Vec<u64>,
    /// Rows of this run in the target, by input.
    moved: Vec<u64>,
    /// Records that were rejected because another one has their key, by input.
    pub(super) rejected: Vec<u64>,
    /// Whether an index of the staged keys was made.
    pub(super) has_index: bool,
    /// Whether the ledger knows which of equal keys count.
    pub(super) is_noted: bool,
    /// The run in the ledger as this start found it.
    pub(super) run: Option<&'a Run>,
    pub(super) files: &'a RejectFiles,
    pub(super) report: StagingReport,
    pub(super) warnings: Vec<String>,
}

/// State and step of a run once a move is committed.
fn state_after(staging: &Staging, moved: &Moved) -> (State, u64) {
    if staging.is_one_move() {
        return (State::Finishing, 0);
    }
    (State::Moving, u64::try_from(moved.through).unwrap_or(0))
}

/// Why an attempt failed.
enum Failure {
    /// Before its commit.
    Before(MoveFailure),
    /// In its commit.
    Commit(SinkError),
}

impl<'a> Staged<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        staging: &'a Staging,
        target: &'a TargetHandle,
        (run, files): (Option<&'a Run>, &'a RejectFiles),
    ) -> Self {
        let rows: Vec<u64> = shared.files.iter().map(|file| file.rows()).collect();
        let report = StagingReport {
            table: staging.label().to_owned(),
            run_id: staging.run_id().to_owned(),
            rows_staged: rows.iter().sum(),
            all_or_nothing: staging.is_all_or_nothing(),
            rows_left: true,
            ..StagingReport::default()
        };
        Self {
            shared,
            staging,
            target,
            watch: Watch::default(),
            session: None,
            moved: vec![0; rows.len()],
            rejected: vec![0; rows.len()],
            has_index: false,
            is_noted: run.is_some_and(|run| run.state >= State::Settled),
            run,
            files,
            rows,
            report,
            warnings: Vec::new(),
        }
    }

    /// Moves what is staged to the target, after an end of the reading that was `read`. Tidies up
    /// in any case. Returns the error of the load.
    pub(super) fn run(&mut self, read: Result<()>, segment: &mut RejectSegment) -> Option<Error> {
        let watch = std::mem::take(&mut self.watch);
        let mark = segment.mark();
        let outcome = read.map_err(|error| self.of_staging(error)).and_then(|()| {
            watch.over(&self.shared.control, || self.settle_and_move(&watch, segment))
        });
        let error = outcome.err();
        if error.is_some() {
            let is_undone = matches!(self.report.moved, MoveState::Nothing | MoveState::Emptied);
            // What the ledger has noted as settled stays so.
            if is_undone && !self.is_noted {
                // They were refused for rows that are not in the target either.
                if let Err(failed) = segment.truncate_to(&mark) {
                    self.warnings.push(format!(
                        "the reject file may hold records of equal keys that were not loaded and \
                         are not counted: {failed}"
                    ));
                }
                for (file, rejected) in self.shared.files.iter().zip(&mut self.rejected) {
                    file.take_back_rejects(std::mem::take(rejected));
                }
            }
            for (file, &rows) in self.shared.files.iter().zip(&self.moved) {
                file.keep_moved(rows);
            }
        }
        duplicates::keep_rejects(self.shared, &self.rejected);
        self.report.rows_moved = self.moved.iter().sum();
        self.tidy(error.is_some());
        error
    }

    /// A writer's commit whose outcome is not known was one into the staging table.
    fn of_staging(&self, error: Error) -> Error {
        match error.into_kind() {
            ErrorKind::InDoubt { error, .. } => ErrorKind::Sql(error.with_note(&format!(
                "it is not known whether a commit into the staging table {} took effect",
                self.staging.label()
            )))
            .into(),
            kind => kind.into(),
        }
    }

    /// How far an earlier start of the job has come.
    fn reached(&self) -> (State, u64) {
        self.run.map_or((State::Starting, 0), |run| (run.state, run.step))
    }

    fn settle_and_move(&mut self, watch: &Watch, segment: &mut RejectSegment) -> Result<()> {
        let (state, _) = self.reached();
        if state >= State::Finishing {
            self.take_settled()?;
            self.moved.clone_from(&self.rows);
            self.report.moved = MoveState::Everything;
            return Ok(());
        }
        if state >= State::Settled {
            self.take_settled()?;
        } else {
            let rows = self.rows.clone();
            self.attempt(watch, |staging, session| Ok(staging.check_staged(session, &rows)?))?;
            failpoint::reach("staging-loaded");
            if let Some(job) = &self.shared.job {
                job.advance(State::Loaded, 0)?;
            }
            if self.staging.has_key() {
                let started = Instant::now();
                let settled = duplicates::settle(self, watch, segment);
                self.report.settle_seconds = started.elapsed().as_secs_f64();
                settled?;
                failpoint::reach("settled");
            }
        }
        super::ending::check_limit(self.shared)?;
        segment.flush()?;
        self.shared.check_inputs()?;
        let started = Instant::now();
        let moved = self.index_move(watch).and_then(|()| self.move_rows(watch));
        self.report.move_seconds = started.elapsed().as_secs_f64();
        moved
    }

    /// A target without an index on the key is read once, and the staged keys looked up. Where the
    /// database takes no index of them, the move may be slow, and is right all the same.
    fn index_move(&mut self, watch: &Watch) -> Result<()> {
        let made = self.attempt(watch, |staging, session| Ok(staging.index_move(session)?));
        match made.map_err(Error::into_kind) {
            Ok(made) => self.has_index |= made,
            Err(ErrorKind::Sql(error)) if error.class == ErrorClass::Permanent => {
                let text = format!(
                    "{} has no index on the key, and the staged keys take none ({error}): the move \
                     may read the whole table for each row; an index on its key helps",
                    self.staging.target()
                );
                tracing::warn!("{text}");
                self.warnings.push(text);
            }
            Err(kind) => return Err(kind.into()),
        }
        Ok(())
    }

    fn move_rows(&mut self, watch: &Watch) -> Result<()> {
        let (state, step) = self.reached();
        let job = self.shared.job.clone();
        if self.staging.empties_first() && state < State::Moving {
            self.stop_check()?;
            if let Some(job) = &job {
                job.advance(State::MoveEmptying, 0)?;
            }
            self.target.0.truncate(&self.shared.config.table)?;
            self.report.moved = MoveState::Emptied;
            if let Some(job) = &job {
                job.advance(State::Moving, 0)?;
            }
        }
        let mut after = 0;
        if state == State::Moving {
            after = i64::try_from(step).unwrap_or(i64::MAX);
            self.take_moved(watch)?;
        }
        self.report.rows_changed = Some(0);
        while let Some(moved) = self.move_once(watch, after)? {
            failpoint::reach("after-move-commit");
            after = moved.through;
            for ((rows, sum), left) in moved.rows.iter().zip(&mut self.moved).zip(&mut self.rows) {
                *sum += rows;
                *left -= rows;
            }
            let changes = self.report.rows_changed.zip(moved.changes);
            self.report.rows_changed = changes.map(|(sum, changed)| sum + changed);
            self.report.moved = MoveState::Part;
            if self.staging.is_one_move() {
                break;
            }
        }
        if let Some(left) = self.rows.iter().find(|&&left| left > 0) {
            let message = format!("{left} rows of an input are still staged after the last move");
            return Err(ErrorKind::Internal(message).into());
        }
        self.report.moved = MoveState::Everything;
        Ok(())
    }

    /// Takes over the parts that an earlier start has moved.
    fn take_moved(&mut self, watch: &Watch) -> Result<()> {
        let files = self.rows.len();
        let left =
            self.attempt(watch, |staging, session| Ok(staging.count(session, None, files)?))?;
        for ((rows, left), moved) in self.rows.iter_mut().zip(&left).zip(&mut self.moved) {
            *moved = rows.checked_sub(*left).ok_or_else(|| {
                ErrorKind::Internal(format!("{left} rows of an input are staged, of {rows}"))
            })?;
            *rows = *left;
        }
        if self.moved.iter().any(|&rows| rows > 0) {
            self.report.moved = MoveState::Part;
        }
        Ok(())
    }

    fn move_once(&mut self, watch: &Watch, after: i64) -> Result<Option<Moved>> {
        let staged = self.rows.clone();
        let job = self.shared.job.clone();
        let mut last = None;
        let result = self.attempts(watch, |staging, session| {
            last = staging.move_rows(session, after, &staged)?;
            if let (Some(job), Some(moved)) = (&job, &last) {
                let (state, step) = state_after(staging, moved);
                job.advance_in(session, state, step)?;
            }
            failpoint::reach("before-move-commit");
            Ok(last.clone())
        });
        match result {
            Ok(moved) => Ok(moved),
            Err(Failure::Commit(error)) => {
                let moved = last.expect("a commit follows a move");
                let took_effect = match &job {
                    Some(job) => job
                        .settled_state()
                        .is_ok_and(|reached| reached == state_after(self.staging, &moved)),
                    None => self.took_effect(&moved),
                };
                if took_effect {
                    self.warnings.push(format!(
                        "the answer to the commit of the move was lost ({error}); it took effect"
                    ));
                    return Ok(Some(moved));
                }
                Err(self.in_doubt(error, &moved))
            }
            Err(Failure::Before(failure)) => Err(described(failure)),
        }
    }

    /// Whether the staging table shows that a commit took effect whose answer was lost. That it
    /// does not show it means nothing: the old session may still be at it.
    fn took_effect(&mut self, moved: &Moved) -> bool {
        let before: u64 = self.rows.iter().sum();
        if before == moved.left {
            return false;
        }
        let left = self.target.0.session().and_then(|mut session| {
            let rows = session.query(&self.staging.rows_left())?;
            Ok(rows.into_iter().flatten().next().flatten())
        });
        left.is_ok_and(|left| left.and_then(|left| left.trim().parse().ok()) == Some(moved.left))
    }

    fn in_doubt(&mut self, error: SinkError, moved: &Moved) -> Error {
        self.report.moved = MoveState::InDoubt;
        let before: u64 = self.rows.iter().sum();
        let mut note = format!("the rows are kept in {}", self.staging.label());
        if before > moved.left {
            note.push_str(&format!(
                "; {} answers {} if the move took effect, and {before} if it did not",
                self.staging.rows_left(),
                moved.left
            ));
        }
        let files = self.shared.files.iter().zip(&moved.rows).filter(|(_, rows)| **rows > 0);
        let ranges = files.map(|(file, &rows)| {
            let counts = file.report();
            let last = counts.records_read;
            DoubtfulRange {
                path: file.path.clone(),
                bytes: ByteRange { start: file.body.byte_offset, end: counts.bytes },
                records: (last > 0).then_some((1, last)),
                rows,
            }
        });
        ErrorKind::InDoubt { error: error.with_note(&note), ranges: ranges.collect() }.into()
    }

    /// Runs `work` in a transaction, again after errors that pass; a commit of unknown outcome is
    /// an error like any other: for work that does no harm when it is done twice.
    pub(super) fn attempt<T>(
        &mut self,
        watch: &Watch,
        work: impl FnMut(&Staging, &mut dyn SqlSession) -> Result<T, MoveFailure>,
    ) -> Result<T> {
        self.attempts(watch, work).map_err(|failure| match failure {
            Failure::Before(failure) => described(failure),
            Failure::Commit(error) => error.into(),
        })
    }

    fn attempts<T>(
        &mut self,
        watch: &Watch,
        mut work: impl FnMut(&Staging, &mut dyn SqlSession) -> Result<T, MoveFailure>,
    ) -> Result<T, Failure> {
        let mut waits = Waits::new(&self.shared.config.work);
        let mut replays = 0;
        let mut recovering = Recovering { shared: self.shared, is_on: false };
        loop {
            let failure = match self.once(watch, &mut work) {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            self.roll_back(&failure);
            let stopped = |error: Error| Failure::Before(MoveFailure::Load(error));
            self.stop_check().map_err(stopped)?;
            let error = match &failure {
                Failure::Before(MoveFailure::Sink(error))
                    if error.class.asks_for_replay() && error.class != ErrorClass::Resources =>
                {
                    error
                }
                Failure::Commit(error) if error.class == ErrorClass::Transient => error,
                Failure::Commit(error) if error.class.is_rolled_back() => {
                    return Err(Failure::Before(MoveFailure::Sink(error.clone())));
                }
                _ => return Err(failure),
            };
            if replays >= self.shared.config.work.max_retries {
                let times = if replays == 1 { "replay" } else { "replays" };
                let note = format!("given up after {replays} {times} (--max-retries)");
                let error = error.clone().with_note(&note);
                return Err(Failure::Before(MoveFailure::Sink(error)));
            }
            replays += 1;
            tracing::warn!(%error, "the database asks for a replay");
            recovering.begin();
            let Some(left) = self.shared.retries.left() else {
                return Err(failure);
            };
            self.wait(waits.take().min(left)).map_err(stopped)?;
        }
    }

    fn once<T>(
        &mut self,
        watch: &Watch,
        work: &mut impl FnMut(&Staging, &mut dyn SqlSession) -> Result<T, MoveFailure>,
    ) -> Result<T, Failure> {
        let before = |error: SinkError| Failure::Before(error.into());
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.target.0.session().map_err(before)?,
        };
        watch.follow(&*session);
        let done = work(self.staging, &mut *session).map_err(Failure::Before);
        watch.look_away();
        let result = match done {
            Ok(value) => match self.stop_check() {
                Ok(()) => session.commit().map(|()| value).map_err(Failure::Commit),
                Err(error) => Err(Failure::Before(MoveFailure::Load(error))),
            },
            Err(failure) => Err(failure),
        };
        self.session = Some(session);
        result
    }

    /// A session whose rollback fails, or whose connection is gone, is given up.
    fn roll_back(&mut self, failure: &Failure) {
        let is_lost = match failure {
            Failure::Before(MoveFailure::Sink(error)) => error.class == ErrorClass::ConnectionLost,
            Failure::Before(_) => false,
            Failure::Commit(error) => !error.class.is_rolled_back(),
        };
        let session = self.session.take();
        self.session = session.filter(|_| !is_lost).and_then(|mut session| {
            let undone = session.rollback();
            undone.is_ok().then_some(session)
        });
    }

    fn stop_check(&self) -> Result<()> {
        if self.shared.is_stopped() {
            let signal = self.shared.control.signal();
            return Err(ErrorKind::Interrupted { signal }.into());
        }
        Ok(())
    }

    fn wait(&self, wait: Duration) -> Result<()> {
        let until = Instant::now() + wait;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.stop_check()?;
            thread::sleep(left.min(NAP));
        }
        Ok(())
    }

    /// Whether the rows in the table are lost with any error.
    fn is_unlogged(&self) -> bool {
        let staging = self.shared.config.staging.as_ref();
        staging.is_some_and(|s| s.attributes.contains(&StagingAttribute::NotLogged))
    }

    fn remove_once(
        &self,
        mut session: Box<dyn SqlSession>,
        is_needed: bool,
    ) -> Result<(), SinkError> {
        if self.has_index {
            self.staging.drop_indexes(&mut *session)?;
        }
        if is_needed { Ok(()) } else { self.staging.remove(&mut *session) }
    }

    /// Whether a staging table of the load's own is there no more.
    fn is_gone(&self) -> bool {
        let asked = self
            .target
            .0
            .session()
            .and_then(|mut session| session.query(&self.staging.rows_left()).map(drop));
        self.staging.is_own() && asked.is_err_and(|error| error.class == ErrorClass::Permanent)
    }

    /// Takes the rows of this run, or the whole table, away, unless they are still needed.
    fn tidy(&mut self, failed: bool) {
        if failed && self.report.moved == MoveState::InDoubt {
            // The old session may still hold the table.
            return;
        }
        // What waits there is what the next start of the job goes on with.
        let is_resumable = failed && self.shared.job.is_some() && !self.is_unlogged();
        let is_needed = is_resumable || failed && self.report.moved == MoveState::Part;
        let session = match self.session.take() {
            Some(session) if !failed => Ok(session),
            _ => self.target.0.session(),
        };
        let mut removed = session.and_then(|session| self.remove_once(session, is_needed));
        for _ in 0..TIDY_TRIES {
            match &removed {
                Err(error) if error.class.asks_for_replay() => {}
                _ => break,
            }
            tracing::warn!(?removed, "the staging table is tidied up again");
            let again = self.target.0.session();
            removed = again.and_then(|session| self.remove_once(session, is_needed));
        }
        // An earlier start may have removed it, and a lost answer may have been a good one.
        if !is_needed && removed.is_err() && self.is_gone() {
            removed = Ok(());
        }
        self.report.rows_left = is_needed || removed.is_err();
        let left = match is_needed {
            true => self.staging.index_drops().join("; "),
            false => self.staging.removal(),
        };
        if let Err(error) = removed
            && !left.is_empty()
        {
            self.warnings.push(format!(
                "the staging table {} could not be tidied up: {error}; remove what is left with: \
                 {left}",
                self.staging.label()
            ));
        }
    }
}

/// A failed attempt as the error of the load.
fn described(failure: MoveFailure) -> Error {
    match failure {
        MoveFailure::Sink(error) if error.class == ErrorClass::Resources => error
            .with_note(
                "the move is one transaction: give the database more room, or move the rows \
                 in parts with --merge-rows, which is not all or nothing",
            )
            .into(),
        MoveFailure::Sink(error) => error.into(),
        MoveFailure::Load(error) => error,
        MoveFailure::Wrong(message) => SinkError::permanent(message).into(),
    }
}

/// Holds the clock of the job's time for replays.
struct Recovering<'a> {
    shared: &'a Shared,
    is_on: bool,
}

impl Recovering<'_> {
    fn begin(&mut self) {
        if !self.is_on {
            self.shared.retries.begin();
            self.is_on = true;
        }
        self.shared.retries.count_replay();
    }
}

impl Drop for Recovering<'_> {
    fn drop(&mut self) {
        if self.is_on {
            self.shared.retries.end();
        }
    }
}

/// What the user should know of a load that is not all or nothing.
pub(super) fn warning(staging: &Staging, mode: Mode, merge_rows: Option<u64>) -> Option<String> {
    if staging.is_all_or_nothing() {
        return None;
    }
    Some(match (merge_rows, mode) {
        (Some(rows), _) => format!(
            "rows are moved to {} in transactions of {rows}: the load is not all or nothing",
            staging.target()
        ),
        (None, _) => format!(
            "--mode truncate empties {} in a transaction of its own: the load is not all or \
             nothing; --mode replace is",
            staging.target()
        ),
    })
}
