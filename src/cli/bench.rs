//! `fastload bench`: the same file read, split, loaded into nothing, and loaded; and its rows sent
//! from memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use rustix::time::{ClockId, clock_gettime};

use super::from_memory::from_memory;
use super::load::print;
use super::prepare::{Prepared, open_target, prepare, settle_for};
use super::render::{bytes, grouped, rates_table};
use crate::arena::{Batch, Segment};
use crate::config::resolve::Resolved;
use crate::config::setting::OutputFormat;
use crate::config::{IoWay, Restart};
use crate::engine::{Control, InputFile, Load, Shape, TargetHandle, row_parser, usage};
use crate::error::{Error, Result};
use crate::input::{Input, MappedFile, RawSource};
use crate::limits;
use crate::parse::record_reader::{self, RecordReader};
use crate::parse::rows::{Cursor, Pause, RowParser, Window};
use crate::record::ByteRange;
use crate::sink::RowAction;
use crate::sink::Target;
use crate::sink::null::NullTarget;

/// Bytes of a map after which those behind are given back.
const RELEASE_BYTES: usize = 8 << 20;

/// One thing that can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// Every byte is touched once, by one thread, in the way that `--io` says
    Input,
    /// Records and fields are found, by one thread
    Split,
    /// Records become typed rows, by one thread
    Parse,
    /// A load into nothing
    Null,
    /// A load into the target
    Load,
    /// The rows, parsed and held in memory before the clock starts, are sent to the target
    Sink,
}

/// What is measured when nothing is asked for, each step with one thing more than the one before.
/// [`Step::Sink`] holds all rows in memory, and is measured when it is asked for.
const USUAL_STEPS: [Step; 5] = [Step::Input, Step::Split, Step::Parse, Step::Null, Step::Load];

/// One measurement: the fastest of its runs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    pub(super) name: &'static str,
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    /// Of all threads together, the driver's too.
    pub(super) cpu_seconds: f64,
    pub(super) peak_rss_bytes: u64,
}

/// When a measurement began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    wall: Instant,
    cpu: Duration,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { wall: Instant::now(), cpu: cpu_time() }
    }
}

/// Time that cores have spent on the process so far.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap_or_default()
}

/// Measures and prints.
///
/// # Errors
/// What a load gives.
pub(super) fn bench(resolved: &Resolved, runs: usize, steps: &[Step]) -> Result<()> {
    let control = Control::new();
    super::signals::watch(&control)?;
    let runs = runs.max(1);
    let mut all = Vec::new();
    let steps = if steps.is_empty() { &USUAL_STEPS } else { steps };
    for (name, measure) in steps.iter().map(|&step| measurement(step)) {
        let mut best: Option<Measured> = None;
        for _ in 0..runs {
            let measured = measure(name, resolved, &control)?;
            if best.as_ref().is_none_or(|best| measured.seconds < best.seconds) {
                best = Some(measured);
            }
        }
        all.extend(best);
    }
    match resolved.output.format {
        OutputFormat::Text => print(text(&all).as_bytes()),
        OutputFormat::Json => print(format!("{}\n", json(&all)).as_bytes()),
    }
}

type Measure = fn(&'static str, &Resolved, &Arc<Control>) -> Result<Measured>;

/// What a step is called in the result, and how it is measured.
const fn measurement(step: Step) -> (&'static str, Measure) {
    match step {
        Step::Input => ("input", input),
        Step::Split => ("split", split),
        Step::Parse => ("parse", parse),
        Step::Null => ("null sink", null_sink),
        Step::Load => ("load", full_load),
        Step::Sink => ("sink", from_memory),
    }
}

/// Every byte is touched once, by one thread, in the way that `--io` says.
fn input(name: &'static str, resolved: &Resolved, _: &Arc<Control>) -> Result<Measured> {
    let started = Clock::start();
    let (mut length, mut sum) = (0, 0_u64);
    let io = resolved.work.io();
    for spec in resolved.require_inputs()? {
        match crate::input::open(spec, io, limits::BLOCK_BYTES)?.input {
            Input::Map(map) => {
                for (index, piece) in map.bytes().chunks(RELEASE_BYTES).enumerate() {
                    sum = sum.wrapping_add(touch(piece));
                    length += piece.len() as u64;
                    let start = (index * RELEASE_BYTES) as u64;
                    map.release(ByteRange { start, end: length });
                }
            }
            Input::Blocks(source) => {
                let failed = |source| Error::io("reading", source);
                let feed = source.start(limits::READ_AHEAD_CHUNKS);
                while let Some(block) = feed.take().map_err(failed)? {
                    sum = sum.wrapping_add(touch(block.bytes()));
                    length += block.bytes().len() as u64;
                }
            }
        }
    }
    // The sum is what keeps the bytes from being skipped.
    std::hint::black_box(sum);
    Ok(measured(name, 0, length, started))
}

/// The sum of the bytes, eight of them at a time: about what a reader must do to touch them all.
fn touch(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().fold(0, |sum: u64, word| sum.wrapping_add(u64::from_le_bytes(*word)));
    rest.iter().fold(words, |sum, &byte| sum.wrapping_add(u64::from(byte)))
}

/// Records and fields are found, by one thread, over a map.
fn split(name: &'static str, resolved: &Resolved, control: &Arc<Control>) -> Result<Measured> {
    let prepared = prepare(resolved, &NullTarget, control)?;
    let started = Clock::start();
    let (mut records, mut length) = (0, 0);
    for file in &prepared.inputs {
        let map = map(file)?;
        let bytes = map.bytes();
        length += bytes.len() as u64;
        let mut reader = RecordReader::new(&prepared.config.dialect, prepared.config.field_count);
        let mut fields = Vec::new();
        let mut at = usize::try_from(file.body_offset).unwrap_or(usize::MAX);
        reader.seek(at);
        let mut released = at;
        while at < bytes.len() {
            fields.clear();
            if at - released >= RELEASE_BYTES {
                map.release(ByteRange { start: released as u64, end: at as u64 });
                released = at;
            }
            at = match reader.step(bytes, true, at, at, &mut fields) {
                record_reader::Step::Skipped { end, .. } => end,
                record_reader::Step::Record { end, .. }
                | record_reader::Step::Malformed { end, .. } => {
                    records += 1;
                    end
                }
                record_reader::Step::Endless { .. } | record_reader::Step::NeedMore => bytes.len(),
            };
        }
    }
    Ok(measured(name, records, length, started))
}

pub(super) fn map(file: &InputFile) -> Result<MappedFile> {
    match crate::input::open(&file.spec, IoWay::Mmap, limits::BLOCK_BYTES)?.input {
        Input::Map(map) => Ok(map),
        Input::Blocks(_) => Err(Error::usage(
            format!("{} cannot be mapped", file.path.display()),
            "bench takes regular files",
        )),
    }
}

/// Records become typed rows of one arena, filled again and again, by one thread, over a map.
fn parse(name: &'static str, resolved: &Resolved, control: &Arc<Control>) -> Result<Measured> {
    let mut prepared = prepare(resolved, &*open_target(resolved)?, control)?;
    settle_for(resolved, &NullTarget, &mut prepared)?;
    let config = &prepared.config;
    let columns: Vec<_> = config.columns.iter().map(|loaded| loaded.column.clone()).collect();
    let layout = NullTarget.layout(&config.table, &columns, &RowAction::Insert)?;
    let work = &config.work;
    let mut shape = Shape::new(&layout, &columns, work.batch_rows, work.batch_bytes);
    let mut rows = row_parser(config, &layout)?;
    let started = Clock::start();
    let (mut records, mut length) = (0, 0);
    for file in &prepared.inputs {
        let map = map(file)?;
        length += map.bytes().len() as u64;
        records += parse_file(&mut rows, &mut shape, &map, file.body_offset, &mut |batch| {
            std::hint::black_box(batch);
        });
    }
    Ok(measured(name, records, length, started))
}

/// Parses a whole file; returns its records. `filled` sees each batch, and may put another in its
/// place.
pub(super) fn parse_file(
    rows: &mut RowParser,
    shape: &mut Shape,
    map: &MappedFile,
    body: u64,
    filled: &mut dyn FnMut(&mut Batch),
) -> u64 {
    let bytes = map.bytes();
    let window = Window { bytes, byte_offset: 0, last: true };
    let mut cursor =
        Cursor { at: usize::try_from(body).unwrap_or(usize::MAX), ..Cursor::default() };
    let mut batch = shape.make(0);
    let (mut records, mut released) = (0, cursor.at);
    while cursor.at < bytes.len() {
        let until = bytes.len().min(cursor.at + RELEASE_BYTES);
        let before = cursor.records;
        rows.seek(cursor.at);
        shape.lay_out(&mut batch);
        batch.segments.push(Segment {
            file: 0,
            range: ByteRange::default(),
            base_record: 0,
            base_line: 0,
            records: 0,
            first_row: 0,
            source: RawSource::Owned { bytes: Arc::default(), base: 0 },
            share_bytes: None,
            records_before: 0,
            numbered: 0,
            lines_before: 0,
            lines: 0,
            digest: 0,
        });
        match rows.parse(window, until, &mut cursor, &mut batch) {
            Pause::NeedStride { column, bytes } => shape.widen(column, bytes),
            Pause::ChunkEnd => {}
            Pause::BatchFull => shape.settle(&batch),
            Pause::NeedMore | Pause::Endless { .. } => break,
        }
        filled(&mut batch);
        records += u64::from(cursor.records - before);
        if cursor.at - released >= RELEASE_BYTES {
            map.release(ByteRange { start: released as u64, end: cursor.at as u64 });
            released = cursor.at;
        }
    }
    records
}

fn null_sink(name: &'static str, resolved: &Resolved, control: &Arc<Control>) -> Result<Measured> {
    let prepared = prepare(resolved, &*open_target(resolved)?, control)?;
    load(name, resolved, prepared, Arc::new(NullTarget))
}

fn full_load(name: &'static str, resolved: &Resolved, control: &Arc<Control>) -> Result<Measured> {
    let target = open_target(resolved)?;
    let prepared = prepare(resolved, &*target, control)?;
    if let Some(columns) = &prepared.new_table {
        target.create_table(&prepared.config.table, columns)?;
    }
    load(name, resolved, prepared, target)
}

fn load(
    name: &'static str,
    resolved: &Resolved,
    mut prepared: Prepared,
    target: Arc<dyn Target>,
) -> Result<Measured> {
    settle_for(resolved, &*target, &mut prepared)?;
    let Prepared { mut config, inputs, .. } = prepared;
    // Steps are held against each other with the same numbers.
    config.work.tuning = None;
    if let Some(ledger) = &mut config.ledger {
        // The run before has loaded this file: without this there would be nothing to do.
        ledger.restart = Restart::New;
    }
    let started = Clock::start();
    let target = TargetHandle(target);
    let outcome = Load { config, inputs, target, control: Control::new() }.run();
    let totals = outcome.report.totals;
    let result = measured(name, totals.records_read, totals.bytes, started);
    match outcome.error {
        Some(error) => Err(error),
        None => Ok(result),
    }
}

pub(super) fn measured(name: &'static str, records: u64, bytes: u64, started: Clock) -> Measured {
    Measured {
        name,
        records,
        bytes,
        seconds: started.wall.elapsed().as_secs_f64(),
        cpu_seconds: cpu_time().saturating_sub(started.cpu).as_secs_f64(),
        // Of the process so far: it can only grow from one step to the next.
        peak_rss_bytes: usage::peak_resident_bytes(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "rates for people")]
fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds.max(1e-9)
}

fn text(all: &[Measured]) -> String {
    let row = |one: &Measured| {
        [
            one.name.to_owned(),
            grouped(one.records),
            format!("{:.3}", one.seconds),
            format!("{:.3}", one.cpu_seconds),
            format!("{:.0}", per_second(one.records, one.seconds)),
            format!("{:.3}", per_second(one.bytes, one.seconds) / 1e9),
            bytes(one.peak_rss_bytes),
        ]
    };
    let headers = ["measured", "records", "seconds", "CPU s", "records/s", "GB/s", "peak memory"];
    rates_table(&headers, all.iter().map(row))
}

fn json(all: &[Measured]) -> serde_json::Value {
    let one = |one: &Measured| {
        serde_json::json!({
            "name": one.name,
            "records": one.records,
            "bytes": one.bytes,
            "seconds": one.seconds,
            "cpu_seconds": one.cpu_seconds,
            "records_per_second": per_second(one.records, one.seconds),
            "bytes_per_second": per_second(one.bytes, one.seconds),
            "peak_rss_bytes": one.peak_rss_bytes,
        })
    };
    all.iter().map(one).collect()
}
