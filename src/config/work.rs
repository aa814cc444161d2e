//! The numbers that steer the engine: what the user said, filled up from the machine and the
//! target.

use std::num::NonZero;
use std::thread;
use std::time::Duration;

use super::options::{Layered, Origin};
use super::setting::{CoreChoice, CountRange, Rate, Setting, Size, Span, TuneChoice};
use super::{InputMode, IoWay, Tuning, Work, defaults};
use crate::error::{Error, Result};
use crate::limits;

/// Most threads of one role: past it a number is a slip.
const MOST_THREADS: usize = 1024;

/// Memory of arenas and blocks by default: with the program itself, and what the drivers take, a
/// load stays under 96 MB.
const MEMORY_LIMIT_BYTES: u64 = 48 << 20;

/// Least memory that arenas and blocks can work in.
const LEAST_MEMORY_BYTES: u64 = 1 << 20;

/// How far batches are tuned by default: from an eighth of the start. Not to more rows than that,
/// which is what the target likes: drivers copy an array, some more than once, and what they take
/// is not counted against the memory limit.
const TUNED_BATCH_TIMES: u64 = 8;

/// The same for transactions: their rows are what is sent again after an error.
const TUNED_COMMIT_TIMES: u64 = 4;

/// Most writers that are tried by default, as far as there are as many for each core.
const TUNED_WRITERS: usize = 8;
const TUNED_WRITERS_PER_CORE: usize = 2;

/// Shortest time of a measurement.
const TUNING_WINDOW: Duration = Duration::from_millis(250);

/// Longest wait for a connection, by default.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest run of one statement, by default.
pub(super) const QUERY_TIMEOUT: Duration = Duration::from_secs(60);

/// One effective value, for `--explain`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The option's key.
    pub key: &'static str,
    /// The value, as it may be written.
    pub value: String,
    /// Why it is so.
    pub origin: Origin,
}

/// What a target and the machine ask of the numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// Cores that the process may use, by their ids.
    pub core_ids: Vec<usize>,
    /// Number of inputs.
    pub inputs: usize,
    /// Most connections that make sense.
    pub writers_max: usize,
    /// Rows in a batch that the target likes.
    pub batch_rows: usize,
    /// Largest array the driver takes.
    pub batch_rows_max: usize,
    /// Why rows must stay in their order, which takes one parser; `None`: they need not.
    pub one_parser: Option<String>,
    /// Why there can be one writer, where it is not the target's number of connections.
    pub one_writer: Option<String>,
}

impl Surroundings {
    /// This machine, and a target that asks for nothing.
    #[must_use]
    pub fn of_machine(inputs: usize) -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            core_ids: (0..cores).collect(),
            inputs,
            writers_max: usize::MAX,
            batch_rows: limits::BATCH_ROWS,
            batch_rows_max: usize::MAX,
            one_parser: None,
            one_writer: None,
        }
    }
}

/// Work options as given; `None` means "not said".
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WorkOptions {
    layered: Layered,
}

/// The settled numbers, why they are so, and what was given but not followed.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// The numbers.
    pub work: Work,
    /// Each with its origin.
    pub effective: Vec<Effective>,
    /// Numbers of the user that the target does not allow.
    pub warnings: Vec<String>,
}

/// Picks given values or defaults and writes down which.
struct Picker<'a> {
    layered: &'a Layered,
    effective: Vec<Effective>,
    warnings: Vec<String>,
}

impl Picker<'_> {
    fn pick<T: Setting>(
        &mut self,
        key: &'static str,
        given: Option<T>,
        default: T,
        why: &str,
    ) -> T {
        let origin = match (&given, self.layered.origin(key)) {
            (Some(_), Some(origin)) => origin.clone(),
            _ => Origin::Default(why.to_owned()),
        };
        let value = given.unwrap_or(default);
        self.note(key, value.show(), origin);
        value
    }

    /// Writers and rows of a batch, as far as the target takes them.
    fn within_target(&mut self, around: &Surroundings) -> (usize, usize) {
        let given = &self.layered.options;
        let one = around.one_writer.as_deref();
        let most = if one.is_some() { 1 } else { around.writers_max };
        let why = match one {
            Some(why) => why,
            None if most == 1 => "the target takes one",
            None => "two connections",
        };
        let writers = self.pick("writers", given.writers, 2.min(most), why);
        let writers = match one {
            Some(why) => self.at_most("writers", writers, 1, given.writers.is_some(), why),
            None => self.within("writers", writers, most, given.writers.is_some()),
        };
        let rows = self.pick("batch-rows", given.batch_rows, around.batch_rows, "the target's own");
        let most = around.batch_rows_max;
        let rows = self.within("batch-rows", rows, most, given.batch_rows.is_some());
        (writers, rows)
    }

    /// Parsers, as far as the order of the rows allows.
    fn parsers(&mut self, around: &Surroundings) -> usize {
        let given = self.layered.options.parsers;
        let Some(why) = &around.one_parser else {
            let cores = around.core_ids.len().max(1);
            let free = (cores - 1).clamp(1, 8);
            return self.pick("parsers", given, free, "cores but one, at most 8");
        };
        let parsers = self.pick("parsers", given, 1, why);
        self.at_most("parsers", parsers, 1, given.is_some(), why)
    }

    /// Holds a number to what the target takes.
    fn within(&mut self, key: &str, number: usize, most: usize, given: bool) -> usize {
        self.at_most(key, number, most, given, &format!("the target takes {most} at a time"))
    }

    /// Holds a number to a bound, and says so when the user gave it.
    fn at_most(&mut self, key: &str, number: usize, most: usize, given: bool, why: &str) -> usize {
        if number <= most {
            return number;
        }
        if given {
            self.warnings.push(format!("--{key} {number} runs as {most}: {why}"));
        }
        self.amend(key, most.to_string(), why.to_owned());
        most
    }

    /// An option whose default is "no such bound".
    fn maybe<T: Setting>(&mut self, key: &'static str, given: Option<T>) -> Option<T> {
        let origin = match (&given, self.layered.origin(key)) {
            (Some(_), Some(origin)) => origin.clone(),
            _ => Origin::Default("no such bound".to_owned()),
        };
        self.note(key, given.as_ref().map_or_else(|| "none".to_owned(), Setting::show), origin);
        given
    }

    /// What is found while the load runs: of the numbers that are not given.
    fn tuning(
        &mut self,
        (writers, batch_rows): (usize, usize),
        around: &Surroundings,
    ) -> Option<Tuning> {
        let given = &self.layered.options;
        let tune = self.pick("tune", given.tune, TuneChoice::Auto, "numbers not given are found");
        let is_off = (tune == TuneChoice::Off).then_some("--tune is off");
        let batch = is_off.or(given.batch_rows.map(|_| "--batch-rows is given"));
        let commit = is_off.or(given.commit_rows.map(|_| "--commit-rows is given"));
        let near = |rows: u64, times: u64| CountRange((rows / times).max(1), rows * times);
        let start = batch_rows as u64;
        let fewest = (start / TUNED_BATCH_TIMES).max(1);
        let batch_rows = (CountRange(fewest, start), "up to the start");
        let commit_rows = (near(limits::COMMIT_ROWS, TUNED_COMMIT_TIMES), "around the start");
        let per_core = around.core_ids.len().saturating_mul(TUNED_WRITERS_PER_CORE);
        let most = TUNED_WRITERS.min(per_core).max(writers).min(around.writers_max);
        let writers = (CountRange(1, most as u64), "two a core, at most 8");
        let fixed = is_off.map(str::to_owned).or_else(|| self.fixed_writers(around));
        let writers = self.range("tune-writers", given.tune_writers, writers, fixed.as_deref());
        let batch = self.range("tune-batch-rows", given.tune_batch_rows, batch_rows, batch);
        let commit = self.range("tune-commit-rows", given.tune_commit_rows, commit_rows, commit);
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let counts = |CountRange(low, high)| (count(low), count(high));
        let tuning = Tuning {
            writers: writers.map(counts),
            batch_rows: batch.map(counts),
            commit_rows: commit.map(|CountRange(low, high)| (low, high)),
            window: Some(TUNING_WINDOW),
        };
        tuning.is_any().then_some(tuning)
    }

    /// Why the number of writers is not one to be found.
    fn fixed_writers(&self, around: &Surroundings) -> Option<String> {
        if self.layered.options.writers.is_some() {
            return Some("--writers is given".to_owned());
        }
        if let Some(why) = around.one_writer.as_ref().or(around.one_parser.as_ref()) {
            return Some(why.clone());
        }
        (around.writers_max == 1).then(|| "the target takes one".to_owned())
    }

    /// The range of one number; `why_not`: it stays as it is, whatever range is given.
    fn range(
        &mut self,
        key: &'static str,
        given: Option<CountRange>,
        (default, why): (CountRange, &str),
        why_not: Option<&str>,
    ) -> Option<CountRange> {
        let Some(why_not) = why_not else {
            return Some(self.pick(key, given, default, why));
        };
        if given.is_some() {
            self.warnings.push(format!("--{key} has no effect: {why_not}"));
        }
        self.note(key, "none".to_owned(), Origin::Default(why_not.to_owned()));
        None
    }

    fn note(&mut self, key: &'static str, value: String, origin: Origin) {
        self.effective.push(Effective { key, value, origin });
    }

    /// Replaces what was written down for a key.
    fn amend(&mut self, key: &str, value: String, why: String) {
        if let Some(effective) = self.effective.iter_mut().find(|e| e.key == key) {
            effective.value = value;
            effective.origin = Origin::Default(why);
        }
    }
}

impl WorkOptions {
    /// Takes the work options out of the merged ones and checks each by itself.
    ///
    /// # Errors
    /// A usage error for a number that cannot be.
    pub fn new(layered: &Layered) -> Result<Self> {
        let options = &layered.options;
        let most = |range: Option<CountRange>| {
            range.map(|CountRange(_, most)| usize::try_from(most).unwrap_or(usize::MAX))
        };
        let counts = [
            ("writers", options.writers, MOST_THREADS),
            ("parsers", options.parsers, MOST_THREADS),
            ("batch-rows", options.batch_rows, 10_000_000),
            ("ring-batches", options.ring_batches, 65_536),
            ("read-ahead", options.read_ahead, 65_536),
            ("tune-writers", most(options.tune_writers), MOST_THREADS),
        ];
        for (key, count, most) in counts {
            if count.is_some_and(|count| count == 0 || count > most) {
                return Err(out_of_range(layered, key, &format!("must be from 1 to {most}")));
            }
        }
        if options.max_retries.is_some_and(|count| count > 1000) {
            return Err(out_of_range(layered, "max-retries", "must be from 0 to 1000"));
        }
        if options.commit_rows == Some(0) {
            return Err(out_of_range(layered, "commit-rows", "must be at least 1"));
        }
        for (key, size) in [
            ("chunk-bytes", options.chunk_bytes),
            ("batch-bytes", options.batch_bytes),
            ("commit-bytes", options.commit_bytes),
        ] {
            if size == Some(Size(0)) {
                return Err(out_of_range(layered, key, "must be at least 1 byte"));
            }
        }
        if options.memory_limit.is_some_and(|Size(bytes)| bytes < LEAST_MEMORY_BYTES) {
            return Err(out_of_range(layered, "memory-limit", "must be at least 1MiB"));
        }
        if options.connect_timeout.is_some_and(|Span(time)| time < Duration::from_secs(1)) {
            // ODBC counts whole seconds, and 0 would wait for ever on a dead address.
            return Err(out_of_range(layered, "connect-timeout", "must be at least 1s"));
        }
        Ok(Self { layered: layered.clone() })
    }

    /// Fills in what was not said.
    ///
    /// # Errors
    /// A core that this process may not use.
    pub fn settle(&self, around: &Surroundings) -> Result<Settled> {
        let given = &self.layered.options;
        let mut picker =
            Picker { layered: &self.layered, effective: Vec::new(), warnings: Vec::new() };
        let p = &mut picker;
        let (writers, batch_rows) = p.within_target(around);
        let (chunk, why_chunk) = defaults::chunk(given.max_rate);
        let batch = Size(limits::BATCH_BYTES as u64);
        let memory = Size(MEMORY_LIMIT_BYTES);
        let bytes = |Size(bytes): Size| usize::try_from(bytes).unwrap_or(usize::MAX);
        let pins = given.pin_cores.clone();
        let pin = p.pick("pin-cores", pins, CoreChoice::None, "not pinned");
        let every = given.commit_every.filter(|Span(time)| !time.is_zero());
        let (ring, why_ring) = defaults::ring(batch_rows);
        let ahead = limits::READ_AHEAD_CHUNKS;
        let commit = limits::COMMIT_ROWS;
        let budget = Span(limits::RETRY_BUDGET);
        let work = Work {
            writers,
            parsers: p.parsers(around),
            pin_cores: cores_to_pin(pin, around)?,
            chunk_bytes: p.pick("chunk-bytes", given.chunk_bytes, chunk, why_chunk).0,
            read_ahead: p.pick("read-ahead", given.read_ahead, ahead, "hides one slow read"),
            batch_rows,
            batch_bytes: bytes(p.pick("batch-bytes", given.batch_bytes, batch, "fits a cache")),
            commit_rows: p.pick("commit-rows", given.commit_rows, commit, "a fixed number"),
            commit_bytes: p.maybe("commit-bytes", given.commit_bytes).map(|Size(bytes)| bytes),
            commit_every: p.maybe("commit-every", every).map(|Span(time)| time),
            ring_batches: p.pick("ring-batches", given.ring_batches, ring, why_ring),
            memory_limit: bytes(p.pick(
                "memory-limit",
                given.memory_limit,
                memory,
                "a fixed number",
            )),
            io: p.pick("io", given.io, IoWay::default(), "by file, see inputs"),
            max_rate: p.maybe("max-rate", given.max_rate).map(|Rate(bytes)| bytes),
            input_mode: p.pick("input-mode", given.input_mode, InputMode::default(), "any file"),
            max_retries: p.pick("max-retries", given.max_retries, 3, "a fixed number"),
            retry_backoff: p.pick("retry-backoff", given.retry_backoff, 2.0, "up to 1 s, 2 s, 4 s"),
            retry_budget: p.pick("retry-budget", given.retry_budget, budget, "a restart").0,
            retry_first_wait: limits::RETRY_FIRST_WAIT,
            tuning: p.tuning((writers, batch_rows), around),
        };
        Ok(Settled { work, effective: picker.effective, warnings: picker.warnings })
    }

    /// Most bytes of input a second (`--max-rate`).
    #[must_use]
    pub fn max_rate(&self) -> Option<u64> {
        self.layered.options.max_rate.map(|Rate(bytes)| bytes)
    }

    /// The way in which bytes are brought in.
    #[must_use]
    pub fn io(&self) -> IoWay {
        self.layered.options.io.unwrap_or_default()
    }

    /// How long a connection attempt may take.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.layered.options.connect_timeout.map_or(CONNECT_TIMEOUT, |Span(time)| time)
    }

    /// How long one statement may take; zero: without bound.
    #[must_use]
    pub fn query_timeout(&self) -> Duration {
        self.layered.options.query_timeout.map_or(QUERY_TIMEOUT, |Span(time)| time)
    }
}

fn cores_to_pin(choice: CoreChoice, around: &Surroundings) -> Result<Vec<usize>> {
    match choice {
        CoreChoice::None => Ok(Vec::new()),
        CoreChoice::All => Ok(around.core_ids.clone()),
        CoreChoice::List(list) => match list.iter().find(|core| !around.core_ids.contains(core)) {
            None => Ok(list),
            Some(core) => Err(Error::usage(
                format!("--pin-cores: this process may not use core {core}"),
                format!("it may use {}", CoreChoice::List(around.core_ids.clone()).show()),
            )),
        },
    }
}

fn out_of_range(layered: &Layered, key: &str, what: &str) -> Error {
    let origin = layered.origin(key).map_or_else(String::new, |origin| match origin {
        Origin::Flag => String::new(),
        other => format!(" ({other})"),
    });
    Error::usage(format!("--{key} {what}{origin}"), format!("see --{key} in --help"))
}

#[cfg(test)]
mod tests {
    use super::super::options::Options;
    use super::*;

    fn settle(options: Options, around: &Surroundings) -> Result<Settled> {
        let mut layered = Layered::default();
        layered.add(options, |_| Origin::Flag);
        WorkOptions::new(&layered)?.settle(around)
    }

    fn around() -> Surroundings {
        Surroundings {
            core_ids: vec![0, 1, 2, 3],
            inputs: 1,
            writers_max: 1,
            batch_rows: 700,
            batch_rows_max: 1000,
            one_parser: None,
            one_writer: None,
        }
    }

    #[test]
    fn defaults_come_from_machine_and_target() {
        let settled = settle(Options::default(), &around()).unwrap();
        assert_eq!(settled.work.writers, 1);
        assert_eq!(settled.work.parsers, 3);
        assert_eq!(settled.work.batch_rows, 700);
        assert!(settled.work.pin_cores.is_empty());
        assert!(settled.warnings.is_empty());
        assert!(settled.effective.iter().all(|e| matches!(e.origin, Origin::Default(_))));
    }

    #[test]
    fn what_the_target_does_not_allow_is_said() {
        let options = Options {
            writers: Some(4),
            batch_rows: Some(5000),
            pin_cores: Some(CoreChoice::All),
            ..Options::default()
        };
        let settled = settle(options, &around()).unwrap();
        assert_eq!((settled.work.writers, settled.work.batch_rows), (1, 1000));
        assert_eq!(settled.work.pin_cores, [0, 1, 2, 3]);
        assert_eq!(settled.warnings.len(), 2);
        let pinned =
            Options { pin_cores: Some(CoreChoice::List(vec![0, 9])), ..Options::default() };
        assert!(settle(pinned, &around()).unwrap_err().to_string().contains("core 9"));
    }

    #[test]
    fn chunks_are_small_beside_a_low_rate() {
        for (rate, chunk) in [(1_000, 4 << 10), (1_000_000, 20_000), (1 << 40, 1 << 20)] {
            let options = Options { max_rate: Some(Rate(rate)), ..Options::default() };
            let work = settle(options, &around()).unwrap().work;
            assert_eq!((work.max_rate, work.chunk_bytes), (Some(rate), chunk));
        }
        let options = Options {
            max_rate: Some(Rate(1_000)),
            chunk_bytes: Some(Size(1 << 30)),
            ..Options::default()
        };
        assert_eq!(settle(options, &around()).unwrap().work.chunk_bytes, 1 << 30);
    }

    #[test]
    fn rings_take_more_of_small_batches() {
        for (rows, batches) in [(1, 64), (32, 64), (40, 51), (400, 5), (700, 4)] {
            let options = Options { batch_rows: Some(rows), ..Options::default() };
            assert_eq!(settle(options, &around()).unwrap().work.ring_batches, batches);
        }
        let options = Options { batch_rows: Some(1), ring_batches: Some(3), ..Options::default() };
        assert_eq!(settle(options, &around()).unwrap().work.ring_batches, 3);
    }

    #[test]
    fn rows_in_order_take_one_parser() {
        let ordered = Surroundings {
            writers_max: 9,
            one_parser: Some("a key's rows stay in order".to_owned()),
            one_writer: Some("texts may be equal".to_owned()),
            ..around()
        };
        let settled = settle(Options::default(), &ordered).unwrap();
        assert_eq!((settled.work.parsers, settled.work.writers), (1, 1));
        assert!(settled.warnings.is_empty());
        let options = Options { writers: Some(4), parsers: Some(2), ..Options::default() };
        let settled = settle(options, &ordered).unwrap();
        assert_eq!((settled.work.parsers, settled.work.writers), (1, 1));
        let expected = [
            "--writers 4 runs as 1: texts may be equal",
            "--parsers 2 runs as 1: a key's rows stay in order",
        ];
        assert_eq!(settled.warnings, expected);
        for (key, why) in [("writers", "texts"), ("parsers", "a key's")] {
            let shown = settled.effective.iter().find(|shown| shown.key == key).unwrap();
            let Origin::Default(origin) = &shown.origin else { panic!("{shown:?}") };
            assert!(shown.value == "1" && origin.starts_with(why), "{shown:?}");
        }
    }

    #[test]
    fn only_numbers_that_are_not_given_are_found() {
        let around = Surroundings { writers_max: 99, ..around() };
        let tuning = |options| settle(options, &around).unwrap().work.tuning;
        let auto = Options { tune: Some(TuneChoice::Auto), ..Options::default() };
        assert_eq!(tuning(auto.clone()), tuning(Options::default()));
        let both = tuning(auto.clone()).unwrap();
        assert_eq!(both.batch_rows, Some((87, 700)));
        assert_eq!(both.commit_rows, Some((25_000, 400_000)));
        assert_eq!(both.writers, Some((1, 8)));
        let given = Options { batch_rows: Some(5), ..auto.clone() };
        assert_eq!(tuning(given.clone()).unwrap().batch_rows, None);
        let writers = Options { writers: Some(2), ..given };
        assert_eq!(tuning(writers.clone()).unwrap().writers, None);
        let all = Options { commit_rows: Some(9), ..writers };
        assert_eq!(tuning(all), None);
        let off = Options { tune: Some(TuneChoice::Off), ..Options::default() };
        assert_eq!(tuning(off), None);
        let range = Some(CountRange(3, 4));
        let ranges = Options { tune_batch_rows: range, commit_rows: Some(9), ..auto.clone() };
        assert_eq!(tuning(ranges.clone()).unwrap().batch_rows, Some((3, 4)));
        let idle = Options { batch_rows: Some(5), ..ranges };
        let settled = settle(idle, &around).unwrap();
        assert_eq!(settled.warnings, ["--tune-batch-rows has no effect: --batch-rows is given"]);
        let all_writers = Options { tune_writers: Some(CountRange(3, 1_025)), ..auto };
        assert!(settle(all_writers, &around).is_err());
    }

    /// From one to as many as two for each core, eight at most, and never fewer than at the start;
    /// not where there can be one only, or where each row has its writer.
    #[test]
    fn writers_are_found_where_any_may_take_any_row() {
        let auto = Options { tune: Some(TuneChoice::Auto), ..Options::default() };
        let free = Surroundings { writers_max: usize::MAX, ..around() };
        for (cores, most) in [(1, 2), (2, 4), (3, 6), (4, 8), (64, 8)] {
            let around = Surroundings { core_ids: (0..cores).collect(), ..free.clone() };
            let work = settle(auto.clone(), &around).unwrap().work;
            assert_eq!((work.writers, work.writers_max()), (2, most));
        }
        let three = Surroundings { writers_max: 3, ..free.clone() };
        assert_eq!(settle(auto.clone(), &three).unwrap().work.writers_max(), 3);
        let ranged = Options { tune_writers: Some(CountRange(2, 5)), ..auto };
        let work = settle(ranged.clone(), &free).unwrap().work;
        assert_eq!(work.tuning.unwrap().writers, Some((2, 5)));
        let by_key = Surroundings { one_parser: Some("rows stay in order".to_owned()), ..free };
        for (around, why) in [(around(), "the target takes one"), (by_key, "rows stay in order")] {
            let settled = settle(ranged.clone(), &around).unwrap();
            assert_eq!(settled.work.tuning.unwrap().writers, None);
            assert_eq!(settled.work.writers_max(), settled.work.writers);
            assert_eq!(settled.warnings, [format!("--tune-writers has no effect: {why}")]);
        }
    }

    #[test]
    fn impossible_numbers_are_refused() {
        let bad = [
            Options { writers: Some(0), ..Options::default() },
            Options { parsers: Some(100_000), ..Options::default() },
            Options { chunk_bytes: Some(Size(0)), ..Options::default() },
            Options { commit_rows: Some(0), ..Options::default() },
            Options { connect_timeout: Some(Span(Duration::ZERO)), ..Options::default() },
        ];
        for options in bad {
            assert!(settle(options.clone(), &around()).is_err(), "{options:?}");
        }
    }
}
