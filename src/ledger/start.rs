//! What a start finds of its job, and what follows: a new run, the rest of an unfinished one, or
//! nothing to do.

use std::io;
use std::time::Duration;

use super::facts::is_note;
use super::store::{RunRow, now, taken};
use super::{Facts, Liveness, Owner, RangeRow, RunKey, State, Store, is_duplicate};
use crate::config::{LedgerConfig, Restart};
use crate::error::{Error, ErrorKind, Result};
use crate::input::fingerprint::Fingerprint;
use crate::record::ByteRange;
use crate::sink::{ErrorClass, Holding};

/// Committed ranges that are read again before a resume, at most.
const SAMPLED_RANGES: usize = 16;

/// Facts about inputs: compared by what their fingerprints say, not by their text.
const INPUT_FACT: &str = "input ";

/// An input of the load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputState {
    /// As it was given.
    pub path: String,
    /// `None`: a stream, of which nothing can be known.
    pub fingerprint: Option<Fingerprint>,
    /// Bytes before the first record.
    pub body_offset: u64,
}

/// What is asked of a start.
pub struct Request<'a> {
    /// What the user says.
    pub config: &'a LedgerConfig,
    /// Name of the job.
    pub job: &'a str,
    /// Table, for people.
    pub table: &'a str,
    /// What must not change while the job is unfinished, but for the inputs.
    pub facts: Facts,
    /// The inputs.
    pub inputs: &'a [InputState],
    /// Whether a finished job of the same content is loaded again: its rows take the place of those
    /// that are there.
    pub repeats: bool,
    /// Whether a session of another start of the job lives, as far as the place can tell.
    pub holding: Holding,
    /// Whether an owner that lives says so from time to time.
    pub has_heartbeat: bool,
    /// Hash of some bytes of an input as they are now.
    pub hash: &'a dyn Fn(usize, ByteRange) -> io::Result<u64>,
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("job", &self.job).finish_non_exhaustive()
    }
}

/// A run that is to be worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Which.
    pub key: RunKey,
    /// Its epoch now.
    pub epoch: u64,
    /// How far it is.
    pub state: State,
    /// How far in its state.
    pub step: u64,
    /// Whether an earlier start has begun it.
    pub is_resumed: bool,
    /// What it is held to, and what its later states have noted.
    pub facts: Facts,
    /// What is committed.
    pub ranges: Vec<RangeRow>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Work on this run.
    Run(Box<Run>),
    /// The job is finished, and its inputs have the same content still: ranges of the finished run.
    AlreadyLoaded(RunKey, Vec<RangeRow>),
    /// An unfinished run was given up, as was asked; `None`: there was none.
    Terminated(Option<RunKey>),
}

/// Decides, and takes the job: when this returns with a run, every transaction of an earlier owner
/// has ended, and none can begin.
///
/// # Errors
/// Another start works on the job; something about an unfinished job is different now; what the
/// database says.
pub fn start(store: &mut Store, request: &Request<'_>) -> Result<Start> {
    let runs = store.runs(Some(request.job))?;
    let Some(latest) = runs.last() else {
        return match request.config.restart {
            Restart::Continue => Err(nothing_to_continue(request.job)),
            Restart::Terminate => Ok(Start::Terminated(None)),
            Restart::Auto | Restart::New => begin(store, request, 1),
        };
    };
    let next = latest.key.run + 1;
    if latest.state.is_over() {
        return match request.config.restart {
            Restart::Continue => Err(nothing_to_continue(request.job)),
            Restart::Terminate => Ok(Start::Terminated(None)),
            Restart::Auto
                if latest.state == State::Done
                    && !request.repeats
                    && is_same_content(store, request, &latest.key)? =>
            {
                let ranges = store.ranges(&latest.key)?;
                store.session().commit()?;
                Ok(Start::AlreadyLoaded(latest.key.clone(), ranges))
            }
            Restart::Auto | Restart::New => begin(store, request, next),
        };
    }
    check_owner(latest, request)?;
    match request.config.restart {
        Restart::Auto | Restart::Continue => resume(store, request, latest),
        Restart::New => {
            give_up(store, latest)?;
            begin(store, request, next)
        }
        Restart::Terminate => {
            give_up(store, latest)?;
            Ok(Start::Terminated(Some(latest.key.clone())))
        }
    }
}

/// Takes an unfinished run over and ends it.
fn give_up(store: &mut Store, run: &RunRow) -> Result<()> {
    let epoch = take_over(store, run)?;
    store.abort(&RunRow { epoch, ..run.clone() })
}

/// Gives up the unfinished run of a job: the run, and what it was about; `None`: it has none.
///
/// `lease`: as long an owner may be silent; `None`: owners say nothing while they live.
///
/// # Errors
/// Somebody works on it; what the database says.
pub fn abort(
    store: &mut Store,
    job: &str,
    holding: Holding,
    lease: Option<Duration>,
) -> Result<Option<(RunKey, Facts)>> {
    let latest = store.runs(Some(job))?.pop().filter(|run| !run.state.is_over());
    let Some(latest) = latest else { return Ok(None) };
    may_take(&latest, holding, lease)?;
    give_up(store, &latest)?;
    let facts = store.facts(&latest.key)?;
    store.session().commit()?;
    Ok(Some((latest.key, facts)))
}

fn nothing_to_continue(job: &str) -> Error {
    Error::usage(
        format!("job {job} has no unfinished run to continue"),
        "leave --restart continue out to begin one",
    )
}

/// Refuses a job whose owner lives, or may live.
fn check_owner(run: &RunRow, request: &Request<'_>) -> Result<()> {
    may_take(run, request.holding, request.has_heartbeat.then_some(request.config.lease))
}

/// Whether a run may be taken from its owner.
///
/// # Errors
/// It may not: somebody works on it.
///
/// `lease` is how long an owner may be silent; `None`: it says nothing while it lives.
fn may_take(run: &RunRow, holding: Holding, lease: Option<Duration>) -> Result<()> {
    let silent_seconds = now().saturating_sub(run.updated_at);
    let is_silent = lease.is_some_and(|lease| silent_seconds > lease.as_secs());
    let held = |why: String| -> Error {
        ErrorKind::JobHeld(format!("{} is worked on by {why}", run.key)).into()
    };
    let liveness = match &run.owner {
        None => Liveness::Dead,
        Some(owner) => {
            let own = Owner::of_this_process()
                .map_err(|error| Error::io("asking who this process is", error))?;
            owner.liveness(&own)
        }
    };
    let who = || run.owner.as_ref().map_or_else(|| "another start".to_owned(), Owner::to_string);
    // Where there is no heartbeat the lock ends with the process: one that lives and does not have
    // it has another job by now.
    let has_let_go = holding == Holding::Held && (lease.is_none() || liveness != Liveness::Alive);
    // Of a process that is gone the server may keep a session that it has not missed yet.
    let is_free = is_silent || liveness == Liveness::Dead;
    if is_free || has_let_go {
        return Ok(());
    }
    if holding == Holding::NotOffered && liveness == Liveness::Unknown {
        return Err(held(format!(
            "{}, last heard of {silent_seconds} s ago; it may be taken over after {} s of silence \
             (--job-lease)",
            who(),
            lease.map_or(0, |lease| lease.as_secs())
        )));
    }
    Err(held(who()))
}

fn own_text() -> Result<String> {
    let own = Owner::of_this_process();
    Ok(own.map_err(|error| Error::io("asking who this process is", error))?.to_text())
}

/// Raises the epoch of a run everywhere; the new one.
fn take_over(store: &mut Store, run: &RunRow) -> Result<u64> {
    let (key, owner) = (&run.key, own_text()?);
    store.be_impatient()?;
    let sql = store.sql().take_over(key, run.epoch, &owner, now());
    store.conditional(key, &sql)?;
    // Waits for the transactions of writers that are still at it.
    let fences = store.sql().raise_fences(key);
    match store.session().execute(&fences) {
        Ok(_) => {}
        Err(error) if matches!(error.class, ErrorClass::Transient | ErrorClass::TimedOut) => {
            return Err(ErrorKind::JobHeld(format!(
                "a transaction of the former owner of {key} is still open in the database \
                 ({error}); it ends when the server notices that its client is gone, or when \
                 somebody ends its session there"
            ))
            .into());
        }
        Err(error) => return Err(error.into()),
    }
    store.session().commit()?;
    Ok(run.epoch + 1)
}

fn begin(store: &mut Store, request: &Request<'_>, number: u64) -> Result<Start> {
    let key = RunKey { job: request.job.to_owned(), run: number };
    let sql = store.sql().clone();
    let begun = store.session().execute(&sql.begin_run(&key, request.table, &own_text()?, now()));
    if let Err(error) = begun {
        // Two starts of a new job at the same moment.
        return Err(if is_duplicate(&error) { taken(&key) } else { error.into() });
    }
    let mut facts = request.facts.clone();
    for (index, input) in request.inputs.iter().enumerate() {
        let state = input.fingerprint.map_or_else(String::new, |state| state.to_text());
        facts.set(format!("{INPUT_FACT}{index}"), format!("{state} {}", input.path));
    }
    for (name, text) in facts.iter() {
        for statement in sql.add_fact(&key, name, text) {
            store.session().execute(&statement)?;
        }
    }
    store.session().commit()?;
    Ok(Start::Run(Box::new(Run {
        key,
        epoch: 1,
        state: State::Starting,
        step: 0,
        is_resumed: false,
        facts,
        ranges: Vec::new(),
    })))
}

fn resume(store: &mut Store, request: &Request<'_>, latest: &RunRow) -> Result<Start> {
    let facts = store.facts(&latest.key)?;
    check_same(latest, &facts, request)?;
    let epoch = take_over(store, latest)?;
    // Read after the takeover: now nobody adds any more.
    let row = store.runs(Some(request.job))?.pop().filter(|row| row.key == latest.key);
    let row = row.filter(|row| row.epoch == epoch).ok_or_else(|| taken(&latest.key))?;
    let ranges = store.ranges(&latest.key)?;
    store.session().commit()?;
    check_samples(&ranges, request)?;
    Ok(Start::Run(Box::new(Run {
        key: row.key,
        epoch,
        state: row.state,
        step: row.step,
        is_resumed: true,
        facts,
        ranges,
    })))
}

fn input_state(facts: &Facts, index: usize) -> Option<(Option<Fingerprint>, &str)> {
    let (state, path) = facts.get(&format!("{INPUT_FACT}{index}"))?.split_once(' ')?;
    Some((Fingerprint::parse(state), path))
}

/// Whether the inputs have what the finished run has loaded.
fn is_same_content(store: &mut Store, request: &Request<'_>, key: &RunKey) -> Result<bool> {
    let facts = store.facts(key)?;
    let has_data = |input: &InputState| {
        input.fingerprint.is_some_and(|state| state.identity.size_bytes > input.body_offset)
    };
    // Empty files are all alike: that tonight's is as empty as yesterday's says nothing.
    if !request.inputs.iter().any(has_data) {
        return Ok(false);
    }
    let same = request.inputs.iter().enumerate().all(|(index, input)| {
        let before = input_state(&facts, index).and_then(|(state, _)| state);
        before.zip(input.fingerprint).is_some_and(|(before, now)| before.same_content(&now).is_ok())
    });
    let more = input_state(&facts, request.inputs.len()).is_some();
    Ok(same && !more)
}

/// Refuses to resume what is not the same load any more.
fn check_same(run: &RunRow, facts: &Facts, request: &Request<'_>) -> Result<()> {
    let cure = "do the rest with what the run began with, or end it: --restart new begins anew \
                beside the rows that are in, --restart terminate gives it up";
    for (index, input) in request.inputs.iter().enumerate() {
        let Some((before, path)) = input_state(facts, index) else {
            return Err(Error::usage(
                format!("{} was begun without {}", run.key, input.path),
                cure,
            ));
        };
        if path != input.path {
            return Err(Error::usage(
                format!("{} was begun with {path} in the place of {}", run.key, input.path),
                cure,
            ));
        }
        let (Some(before), Some(now)) = (before, &input.fingerprint) else {
            return Err(Error::usage(
                format!(
                    "{} is unfinished, and {path} is a stream: what is loaded of it cannot be \
                     skipped",
                    run.key
                ),
                cure,
            ));
        };
        before.same_file(now).map_err(|change| {
            Error::input(path, format!("changed since {} began: {change}", run.key), cure)
        })?;
    }
    if input_state(facts, request.inputs.len()).is_some() {
        return Err(Error::usage(format!("{} was begun with more inputs", run.key), cure));
    }
    let is_apart = |name: &str| name.starts_with(INPUT_FACT) || is_note(name);
    match facts.difference(&request.facts, is_apart) {
        None => Ok(()),
        Some(difference) => {
            let shown = |text: Option<String>| text.unwrap_or_else(|| "nothing".to_owned());
            Err(Error::usage(
                format!(
                    "{} is unfinished, and its {} was {:?} and is {:?} now",
                    run.key,
                    difference.name,
                    shown(difference.before),
                    shown(difference.now)
                ),
                cure,
            ))
        }
    }
}

/// Reads some of what is committed again.
fn check_samples(ranges: &[RangeRow], request: &Request<'_>) -> Result<()> {
    for range in samples(ranges) {
        let path = &request.inputs[range.file].path;
        let hash = (request.hash)(range.file, range.bytes)
            .map_err(|error| Error::input(path, format!("cannot be read: {error}"), ""))?;
        if hash != range.digest {
            let ByteRange { start, end } = range.bytes;
            return Err(Error::input(
                path,
                format!("bytes {start}..{end} are others than those that are loaded"),
                "the job cannot be resumed with this file; --restart new or terminate ends it",
            ));
        }
    }
    Ok(())
}

/// Ranges whose bytes are worth another look: the first, the last, and some between.
fn samples(ranges: &[RangeRow]) -> impl Iterator<Item = &RangeRow> {
    let known: Vec<&RangeRow> = ranges.iter().filter(|range| range.digest != 0).collect();
    let count = known.len().min(SAMPLED_RANGES);
    let last = known.len().saturating_sub(1);
    (0..count).map(move |index| known[index * last / (count - 1).max(1)])
}
