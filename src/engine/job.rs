//! A load's job in the ledger: begun or resumed, led through its states, ended.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::abort::{
    NO_STAGING, OWN_STAGING, REJECTS, RUN_ID, STAGING, TABLE, clean_up, reject_mark,
};
use super::files::InputFile;
use super::load::TargetHandle;
use super::notes::{PARTS, noted_segments};
use crate::config::setting::Setting as _;
use crate::config::{FieldSource, LedgerConfig, LoadConfig, Mode};
use crate::dialect::presets::as_flags;
use crate::error::{Error, ErrorKind, Result};
use crate::input::fingerprint::{RangeHash, hash_range};
use crate::ledger::{
    Facts, InputState, LedgerSql, RETRY_OF, RangeRow, Request, Run, RunKey, Start, State, Store,
    start,
};
use crate::record::ByteRange;
use crate::rejects::{Keeping, SegmentId, SegmentLengths};
use crate::sink::{Holding, JobHold, LedgerForm, SinkError, SqlSession};

/// Replays of a statement of the ledger.
const ATTEMPTS: usize = 5;

/// How often, and how long apart, the lock of a former owner's session is tried.
const HOLD_TRIES: usize = 50;
const HOLD_WAIT: Duration = Duration::from_millis(100);

/// A run that this process works on.
pub(super) struct Job {
    key: RunKey,
    epoch: u64,
    sql: LedgerSql,
    form: LedgerForm,
    config: LedgerConfig,
    target: TargetHandle,
    /// A connection without a transaction, for the next one: opening one takes servers long.
    idle: Mutex<Option<Store>>,
}

/// What a start found.
pub(super) enum Beginning {
    /// A run to work on.
    Work(Box<Started>),
    /// All of it is loaded already: rows and rejects by input.
    AlreadyLoaded(RunKey, Vec<RangeRow>),
    /// An unfinished run was given up, as was asked.
    Terminated(Option<RunKey>),
}

/// A run with what was known of it at the start.
pub(super) struct Started {
    pub(super) job: Arc<Job>,
    pub(super) run: Run,
    /// Held until the end.
    _hold: Option<Box<dyn JobHold>>,
}

impl Job {
    pub(super) const fn key(&self) -> &RunKey {
        &self.key
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) const fn config(&self) -> &LedgerConfig {
        &self.config
    }

    pub(super) const fn has_heartbeat(&self) -> bool {
        self.form.has_heartbeat
    }

    /// Statements that insert ranges, in their order.
    pub(super) fn add_ranges(&self, rows: &[RangeRow]) -> Vec<String> {
        if self.form.many_rows {
            return (!rows.is_empty())
                .then(|| self.sql.add_ranges(&self.key, rows))
                .into_iter()
                .collect();
        }
        rows.iter().map(|row| self.sql.add_ranges(&self.key, std::slice::from_ref(row))).collect()
    }

    pub(super) fn complete_range(&self, row: &RangeRow) -> String {
        self.sql.complete_range(&self.key, row)
    }

    pub(super) fn pass_fence(&self, writer: usize) -> String {
        self.sql.pass_fence(&self.key, writer, self.epoch)
    }

    /// The error of a load whose job another start has taken.
    pub(super) fn taken(&self) -> Error {
        let message = format!("{} was taken over by another start of the job", self.key);
        ErrorKind::JobHeld(message).into()
    }

    /// A connection to the ledger.
    pub(super) fn store(&self) -> Result<Store> {
        Store::open(&*self.target.0, self.config.table.as_deref())
    }

    /// Runs `work` in a transaction over a connection that nobody else uses, again after errors
    /// that pass. What it does may be done twice.
    pub(super) fn transact<T>(&self, mut work: impl FnMut(&mut Store) -> Result<T>) -> Result<T> {
        let mut attempts = 1..ATTEMPTS;
        loop {
            let idle = self.idle().take();
            let done = idle.map_or_else(|| self.store(), Ok).and_then(|mut store| {
                let value = work(&mut store)?;
                store.session().commit()?;
                *self.idle() = Some(store);
                Ok(value)
            });
            match done {
                Err(error) if passes(&error) && attempts.next().is_some() => {
                    tracing::warn!(%error, "the ledger is asked again");
                    std::thread::sleep(self.config.lease.min(Duration::from_millis(200)));
                }
                done => return done,
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Option<Store>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the connection that is kept: it would be idle for as long as rows are loaded.
    pub(super) fn close_idle(&self) {
        self.leave_idle();
        self.target.0.close_idle();
    }

    /// Leaves the connection that is kept to others.
    fn leave_idle(&self) {
        *self.idle() = None;
    }

    /// Goes on to a state.
    pub(super) fn advance(&self, state: State, step: u64) -> Result<()> {
        self.transact(|store| self.advance_in(store.session(), state, step))
    }

    /// Goes on to a state in the transaction of `session`.
    pub(super) fn advance_in(
        &self,
        session: &mut dyn SqlSession,
        state: State,
        step: u64,
    ) -> Result<()> {
        let sql = self.sql.advance(&self.key, self.epoch, (state, step), now());
        match session.execute(&sql)? {
            Some(1) => Ok(()),
            Some(0) => Err(self.taken()),
            other => Err(ErrorKind::Sql(SinkError::permanent(format!(
                "the driver says that {other:?} rows of the ledger changed, where one must"
            )))
            .into()),
        }
    }

    /// Notes a text in the transaction of `session`, in the place of an earlier one of that name.
    pub(super) fn note_in(
        &self,
        session: &mut dyn SqlSession,
        name: &str,
        text: &str,
    ) -> Result<()> {
        session.execute(&self.sql.remove_fact(&self.key, name))?;
        for statement in self.sql.add_fact(&self.key, name, text) {
            session.execute(&statement)?;
        }
        Ok(())
    }

    /// State and step as they are once every transaction that is at them has ended.
    pub(super) fn settled_state(&self) -> Result<(State, u64)> {
        self.transact(|store| {
            let touch = self.sql.touch(&self.key, self.epoch, now());
            store.conditional(&self.key, &touch)?;
            let runs = store.runs(Some(&self.key.job))?;
            let own = runs.into_iter().find(|run| run.key == self.key);
            own.map(|run| (run.state, run.step)).ok_or_else(|| self.taken())
        })
    }

    /// Says that this process lives.
    pub(super) fn touch(&self, store: &mut Store) -> Result<()> {
        let touch = self.sql.touch(&self.key, self.epoch, now());
        store.conditional(&self.key, &touch)?;
        store.session().commit()?;
        Ok(())
    }

    /// Words that tell this run from every other one, for the reject segments.
    pub(super) fn mark(&self) -> String {
        reject_mark(&self.key)
    }

    /// Ends the load phase's preparation: the writers' fences, and the headers of the inputs as
    /// ranges. A resumed run gets the fences that it lacks.
    pub(super) fn prepare_loading(
        &self,
        (writers, parts): (usize, usize),
        headers: &[RangeRow],
        is_first: bool,
    ) -> Result<()> {
        self.transact(|store| {
            let known = store.session().query(&self.sql.fences(&self.key))?;
            let known: Vec<usize> = known
                .into_iter()
                .flatten()
                .flatten()
                .filter_map(|number| number.trim().parse().ok())
                .collect();
            for writer in (0..writers).filter(|writer| !known.contains(writer)) {
                let sql = self.sql.add_fence(&self.key, writer, self.epoch);
                store.session().execute(&sql)?;
            }
            if is_first {
                for statement in self.add_ranges(headers) {
                    store.session().execute(&statement)?;
                }
                self.note_in(store.session(), PARTS, &parts.to_string())?;
                self.advance_in(store.session(), State::Loading, 0)?;
            }
            Ok(())
        })?;
        self.leave_idle();
        Ok(())
    }

    /// Ends the run: one range a file is left of its ranges.
    pub(super) fn done(&self, totals: &[RangeRow]) -> Result<()> {
        self.transact(|store| {
            self.advance_in(store.session(), State::Done, 0)?;
            store.session().execute(&self.sql.clear_ranges(&self.key))?;
            for statement in self.add_ranges(totals) {
                store.session().execute(&statement)?;
            }
            store.session().execute(&self.sql.let_go(&self.key, self.epoch))?;
            Ok(())
        })
    }

    /// Whether another start has taken the job over, as far as the ledger can be asked.
    pub(super) fn is_taken(&self) -> bool {
        let asked = self.transact(|store| {
            let runs = store.runs(Some(&self.key.job))?;
            Ok(runs.iter().any(|run| run.key == self.key && run.epoch == self.epoch))
        });
        asked.is_ok_and(|is_ours| !is_ours)
    }

    /// Lets an unfinished run go, so that the next start need not ask whether this process lives.
    pub(super) fn let_go(&self) {
        let idle = self.idle().take();
        // Once: the server may be what ended the load.
        let gone = idle.map_or_else(|| self.store(), Ok).and_then(|mut store| {
            store.session().execute(&self.sql.let_go(&self.key, self.epoch))?;
            store.session().commit()?;
            Ok(())
        });
        if let Err(error) = gone {
            tracing::debug!(%error, "the job is not let go; the next start will see that we ended");
        }
    }
}

/// Whether an error of the ledger may be gone the next time.
fn passes(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Sql(error) | ErrorKind::Connect(error) => error.class.asks_for_replay(),
        _ => false,
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Begins or resumes the job of a load; `None`: it keeps no ledger.
///
/// # Errors
/// Another start works on it; it is not the same load any more; what the database says.
pub(super) fn begin(
    config: &LoadConfig,
    inputs: &[InputFile],
    target: &TargetHandle,
) -> Result<Option<Beginning>> {
    let (Some(ledger), Some(form)) = (&config.ledger, target.0.ledger()) else {
        return Ok(None);
    };
    let name = ledger.job.clone().unwrap_or_else(|| default_name(config, inputs, target));
    let (holding, hold) = target.0.hold_job(&name)?;
    refuse_held(form, holding, &name)?;
    let states: Vec<InputState> = inputs.iter().map(input_state).collect::<Result<_>>()?;
    let hash = |file: usize, range: ByteRange| -> io::Result<u64> {
        let source = inputs[file].raw_source();
        source.map_or(Ok(0), |source| hash_range(source, range))
    };
    let facts = facts(config, target)?;
    // From here to the end of `start` nobody else is asked: tables that are made are committed
    // there, and until then they lock the catalogue.
    let mut store = Store::open(&*target.0, ledger.table.as_deref())?;
    store.create()?;
    let request = Request {
        config: ledger,
        job: &name,
        table: &config.table,
        facts,
        inputs: &states,
        repeats: matches!(config.mode, Mode::Truncate | Mode::Replace),
        holding,
        has_heartbeat: form.has_heartbeat,
        hash: &hash,
    };
    let beginning = match start(&mut store, &request)? {
        Start::AlreadyLoaded(key, ranges) => {
            check_rows(&mut store, config, target, &key, &ranges)?;
            // A crash after the last state may have left something.
            clean_up_run(&mut store, target, &key)?;
            Beginning::AlreadyLoaded(key, ranges)
        }
        Start::Terminated(key) => {
            if let Some(key) = &key {
                clean_up_run(&mut store, target, key)?;
            }
            Beginning::Terminated(key)
        }
        Start::Run(run) => {
            if run.key.run > 1 && !run.is_resumed {
                // The one before may have been given up, in this start or by a crash after it.
                let before = RunKey { job: run.key.job.clone(), run: run.key.run - 1 };
                clean_up_run(&mut store, target, &before)?;
            }
            let hold = hold.or_else(|| hold_later(target, &name));
            let job = Job {
                key: run.key.clone(),
                epoch: run.epoch,
                sql: store.sql().clone(),
                form,
                config: ledger.clone(),
                target: target.clone(),
                idle: Mutex::new(Some(store)),
            };
            Beginning::Work(Box::new(Started { job: Arc::new(job), run: *run, _hold: hold }))
        }
    };
    Ok(Some(beginning))
}

/// Takes the lock of a job whose former owner is gone, as soon as the server has missed it: without
/// it a start on another host could take the job for an idle one.
fn hold_later(target: &TargetHandle, name: &str) -> Option<Box<dyn JobHold>> {
    for _ in 0..HOLD_TRIES {
        match target.0.hold_job(name) {
            Ok((Holding::Taken, _)) => std::thread::sleep(HOLD_WAIT),
            Ok((_, hold)) => return hold,
            Err(error) => {
                tracing::debug!(%error, "the lock of the job cannot be asked for");
                return None;
            }
        }
    }
    tracing::warn!("a session of the job's former owner still lives in the database");
    None
}

/// Where the lock ends with its process, whoever has it lives: the database, which it may keep
/// busy, need not be asked.
pub(super) fn refuse_held(form: LedgerForm, holding: Holding, job: &str) -> Result<()> {
    if holding == Holding::Taken && !form.has_heartbeat {
        let message = format!("job {job} is worked on by another process");
        return Err(ErrorKind::JobHeld(message).into());
    }
    Ok(())
}

/// The name of a job that was given none: target, table, inputs and mode.
fn default_name(config: &LoadConfig, inputs: &[InputFile], target: &TargetHandle) -> String {
    let mut text = format!("{}\n{}\n{}", target.0.info().url, config.table, config.mode.show());
    for input in inputs {
        text.push('\n');
        text.push_str(&input.path.to_string_lossy());
    }
    format!("{:016x}", RangeHash::of(text.as_bytes()))
}

fn input_state(input: &InputFile) -> Result<InputState> {
    let fingerprint = input.fingerprint().map_err(|error| input.read_error(&error))?;
    Ok(InputState {
        path: input.path.to_string_lossy().into_owned(),
        fingerprint,
        body_offset: input.body_offset,
    })
}

/// What must not change while the job is unfinished.
fn facts(config: &LoadConfig, target: &TargetHandle) -> Result<Facts> {
    let mut facts = Facts::default();
    let joined = |words: Vec<String>| words.join(" ");
    let flags = as_flags(&config.dialect);
    facts.set("dialect", joined(flags.into_iter().map(|(f, v)| format!("{f}={v}")).collect()));
    facts.set(TABLE, config.table.clone());
    facts.set("mode", config.mode.show());
    facts.set("fields", config.field_count.to_string());
    facts.set("columns", columns(config, target)?);
    let key = config.key.iter().map(|&at| config.columns[at].column.name.clone());
    facts.set("key", joined(key.collect()));
    facts.set("duplicates", config.duplicates.show());
    facts.set("formats", format!("{:?}", config.formats));
    facts.set("limits", format!("{:?} {}", config.limit, config.offset_records));
    let rejects: Vec<String> =
        config.rejects.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    facts.set(REJECTS, rejects.join("\n"));
    let staging = config.staging.as_ref().map_or_else(
        || NO_STAGING.to_owned(),
        |staging| staging.table.clone().unwrap_or_else(|| OWN_STAGING.to_owned()),
    );
    facts.set(STAGING, staging);
    if let Some(run) = config.ledger.as_ref().and_then(|ledger| ledger.retry_of.as_ref()) {
        facts.set(RETRY_OF, run.clone());
    }
    if let Some(staging) = &config.staging {
        facts.set(RUN_ID, staging.run_id.clone());
    }
    Ok(facts)
}

/// The mapping of fields to columns, with the types that the table has.
fn columns(config: &LoadConfig, target: &TargetHandle) -> Result<String> {
    let there = target.0.columns(&config.table)?.unwrap_or_default();
    let one = |column: &crate::config::LoadColumn| {
        let found = there.iter().find(|other| other.name == column.column.name);
        let known = found.unwrap_or(&column.column);
        let source = match &column.source {
            FieldSource::Field(field) => (field + 1).to_string(),
            FieldSource::Constant(text) => format!("{text:?}"),
        };
        let empty = if column.empty_as_null { " empty-as-null" } else { "" };
        let null = if known.nullable { "" } else { " NOT NULL" };
        format!("{source}={} {}{null}{empty}", known.name, known.ty)
    };
    let all: Vec<String> = config.columns.iter().map(one).collect();
    Ok(all.join(", "))
}

/// Refuses a finished job whose rows are not all there any more.
fn check_rows(
    store: &mut Store,
    config: &LoadConfig,
    target: &TargetHandle,
    key: &RunKey,
    ranges: &[RangeRow],
) -> Result<()> {
    if config.mode != Mode::Append {
        return Ok(());
    }
    let loaded: u64 = ranges.iter().map(|range| range.loaded).sum();
    let table = target.0.table_sql(&config.table)?;
    let rows = store.session().query(&format!("SELECT COUNT(*) FROM {table}"))?;
    store.session().commit()?;
    let there = rows.into_iter().flatten().next().flatten();
    let there: Option<u64> = there.and_then(|number| number.trim().parse().ok());
    match there {
        Some(there) if there < loaded => Err(Error::usage(
            format!(
                "{key} has loaded {loaded} rows of the same content, and {} holds {there}",
                config.table
            ),
            "if they were deleted on purpose, --restart new loads them again",
        )),
        _ => Ok(()),
    }
}

fn clean_up_run(store: &mut Store, target: &TargetHandle, key: &RunKey) -> Result<()> {
    let facts = store.facts(key)?;
    store.session().commit()?;
    clean_up(&*target.0, key, &facts)
}

impl Started {
    /// What is kept of the reject segments.
    ///
    /// # Errors
    /// The ledger does not say so in the words of this version.
    pub(super) fn keeping(&self) -> Result<Keeping> {
        let of_ranges = self.run.ranges.iter().map(|range| {
            (range.file, SegmentId { epoch: range.epoch, writer: range.writer }, range.rejects)
        });
        let committed = of_ranges.chain(noted_segments(&self.run.facts)?);
        Ok(Keeping {
            run: Some(self.job.mark()),
            epoch: self.job.epoch,
            committed: committed
                .filter(|(_, _, lengths)| *lengths != SegmentLengths::default())
                .collect(),
        })
    }
}

/// Ranges for what stands before the first record of each input.
pub(super) fn headers(inputs: &[InputFile], epoch: u64) -> Vec<RangeRow> {
    let with_header = inputs.iter().enumerate().filter(|(_, input)| input.body_offset > 0);
    let one = |(file, input): (usize, &InputFile)| RangeRow {
        file,
        bytes: ByteRange { start: 0, end: input.body_offset },
        lines: input.body_lines,
        epoch,
        ..RangeRow::default()
    };
    with_header.map(one).collect()
}

/// The inputs as they are read in a run: single stretches are read by map.
pub(super) fn for_resume(inputs: Vec<InputFile>) -> Result<Vec<InputFile>> {
    inputs.into_iter().map(|input| input.mapped("only stretches of it are left")).collect()
}
