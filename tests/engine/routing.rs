//! Rows whose order counts: any number of writers does what one slow one would.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastload::arena::CellRef;
use fastload::config::dialect::Dialect;
use fastload::config::schema::{Column, SqlType};
use fastload::config::{LoadConfig, Mode};
use fastload::record::RejectClass;
use fastload::sink::ErrorClass;
use fastload::sink::memory::{CellValue, Faults, MemoryRow, MemoryTarget};
use proptest::prelude::*;

use crate::common::{column, config, reject_path, text};
use crate::support::*;

/// One line of a file: a key as it is written, or a record that is no row.
#[derive(Debug, Clone)]
enum Line {
    Row(&'static str, u32),
    Malformed,
    /// A key without a value.
    Null,
    Comment,
}

/// Ways to write decimal keys; what is equal stands together.
const KEYS: [&[&str]; 5] =
    [&["1", "1.0", "01.00", "+1"], &["0", "-0", "0.00"], &["-1.5", "-1.50"], &["10"], &["7.25"]];

fn columns() -> Vec<Column> {
    let key = column("k", SqlType::Decimal { precision: 6, scale: 2 });
    vec![text("v", 200), Column { nullable: false, ..key }]
}

fn bytes(lines: &[Line]) -> String {
    lines
        .iter()
        .map(|line| match line {
            // Values of many lengths: arenas are laid out again, and rows go alone.
            Line::Row(key, value) => {
                let pad = "x".repeat(usize::try_from(value % 60).expect("small"));
                format!("{value}{pad},{key}\n")
            }
            Line::Malformed => "alone\n".to_owned(),
            Line::Null => "nothing,\n".to_owned(),
            Line::Comment => "# neither row nor reject\n".to_owned(),
        })
        .collect()
}

fn upsert(path: &Path, writers: usize) -> LoadConfig {
    let dialect = Dialect { comment: Some(b'#'), ..Dialect::default() };
    let mut config = config(&[path], &columns(), dialect);
    config.mode = Mode::Upsert;
    config.key = vec![1];
    config.work.writers = writers;
    config.work.parsers = 3;
    config
}

/// A key in hundredths, however it is written.
fn number(key: &[u8]) -> i64 {
    let key: f64 = std::str::from_utf8(key).expect("digits").parse().expect("a number");
    #[expect(clippy::cast_possible_truncation, reason = "hundredths of small numbers")]
    let hundredths = (key * 100.0).round() as i64;
    hundredths
}

/// The table after the rows in this order: the last one of each key.
fn table(rows: &[MemoryRow]) -> BTreeMap<i64, (u64, Vec<u8>)> {
    let mut table = BTreeMap::new();
    for row in rows {
        let (CellValue::Text(value), CellValue::Text(key)) = (&row.cells[0], &row.cells[1]) else {
            panic!("two texts: {row:?}");
        };
        table.insert(number(key), (row.position.record, value.clone()));
    }
    table
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let key = (0..KEYS.len(), any::<prop::sample::Index>());
    let row = (key, 0..100_000u32)
        .prop_map(|((key, way), value)| Line::Row(KEYS[key][way.index(KEYS[key].len())], value));
    let line = prop_oneof![
        12 => row,
        1 => Just(Line::Malformed),
        1 => Just(Line::Null),
        1 => Just(Line::Comment),
    ];
    prop::collection::vec(line, 0..120)
}

#[derive(Debug, PartialEq)]
struct Seen {
    table: BTreeMap<i64, (u64, Vec<u8>)>,
    rows: usize,
    rejected: Vec<u64>,
    rejects: Vec<u8>,
}

fn run(lines: &[Line], refused: &[u64], change: impl Fn(&mut LoadConfig)) -> Seen {
    let given = given(bytes(lines).as_bytes());
    let faults = refused.iter().map(|&record| (record, RejectClass::Constraint)).collect();
    let target = MemoryTarget::new(None).with_faults(Faults { rows: faults, ..Faults::default() });
    let mut config = upsert(&given.path, 1);
    change(&mut config);
    let outcome = load(config, Arc::new(target.clone()));
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    let counts = check_report(&outcome);
    assert_eq!(counts.bytes, bytes(lines).len() as u64);
    let applied = target.applied();
    assert_eq!(counts.rows_loaded, applied.len() as u64);
    let rejects = reject_path(&given.path);
    let has_rejects = rejects.exists();
    Seen {
        table: table(&applied),
        rows: applied.len(),
        rejected: if has_rejects { described_records(&given.path) } else { Vec::new() },
        rejects: if has_rejects { std::fs::read(rejects).expect("it exists") } else { Vec::new() },
    }
}

/// What a slow thread with a map does.
fn expected(lines: &[Line], refused: &[u64]) -> Seen {
    let mut seen =
        Seen { table: BTreeMap::new(), rows: 0, rejected: Vec::new(), rejects: Vec::new() };
    let mut record = 0;
    for line in lines {
        if matches!(line, Line::Comment) {
            continue;
        }
        record += 1;
        let bytes = bytes(std::slice::from_ref(line));
        match line {
            Line::Row(key, _) if !refused.contains(&record) => {
                let number = KEYS.iter().position(|ways| ways.contains(key)).expect("a key");
                let key = [100, 0, -150, 1000, 725][number];
                let value = bytes.split(',').next().expect("a value").as_bytes().to_vec();
                seen.table.insert(key, (record, value));
                seen.rows += 1;
            }
            _ => {
                seen.rejected.push(record);
                seen.rejects.extend(bytes.as_bytes());
            }
        }
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn equals_one_slow_thread(
        lines in lines(),
        refused in prop::collection::vec(1..100u64, 0..4),
        writers in 1..5usize,
        batch_rows in 1..12usize,
        batch_bytes in prop_oneof![Just(1usize), Just(300), Just(1 << 20)],
        chunk_bytes in 1..400u64,
        commit_rows in 1..60u64,
        memory_limit in prop_oneof![Just(1usize << 12), Just(64 << 20)],
    ) {
        let seen = run(&lines, &refused, |config| {
            config.work.writers = writers;
            config.work.batch_rows = batch_rows;
            config.work.batch_bytes = batch_bytes;
            config.work.chunk_bytes = chunk_bytes;
            config.work.commit_rows = commit_rows;
            config.work.memory_limit = memory_limit;
        });
        prop_assert_eq!(seen, expected(&lines, &refused));
    }
}

fn many(rows: u32, keys: u32) -> Vec<Line> {
    let key = |n: u32| KEYS[usize::try_from(n * 7 % keys).expect("small")][0];
    (0..rows).map(|n| Line::Row(key(n), n)).collect()
}

/// Units larger than the memory for arenas, writers that are slow, one key that has most rows.
#[test]
fn no_arena_is_waited_for_in_vain() {
    for keys in [1, 2, 5] {
        let lines = many(4_000, keys);
        let given = given(bytes(&lines).as_bytes());
        let target = MemoryTarget::new(None)
            .with_faults(Faults { write_time: Duration::from_micros(200), ..Faults::default() });
        let mut config = upsert(&given.path, 4);
        config.work.commit_rows = u64::MAX;
        config.work.batch_rows = 16;
        config.work.ring_batches = 1;
        config.work.memory_limit = 1 << 14;
        let outcome = load(config, Arc::new(target.clone()));
        assert!(outcome.error.is_none(), "{:?}", outcome.error);
        let slow = expected(&lines, &[]);
        assert_eq!(table(&target.applied()), slow.table);
        assert_eq!(target.applied().len(), lines.len());
        assert!(target.commits() > 4, "units were committed early");
    }
}

/// A unit that is undone is sent again in its order.
#[test]
fn replays_keep_the_order() {
    let lines = many(600, 5);
    for class in [ErrorClass::Transient, ErrorClass::ConnectionLost] {
        for failing in 1..12 {
            let given = given(bytes(&lines).as_bytes());
            let faults = Faults { writes: vec![(failing, class)], ..Faults::default() };
            let target = MemoryTarget::new(None).with_faults(faults);
            let mut config = upsert(&given.path, 3);
            config.work.batch_rows = 20;
            config.work.commit_rows = 90;
            let outcome = load(config, Arc::new(target.clone()));
            assert!(outcome.error.is_none(), "{:?}", outcome.error);
            assert_eq!(table(&target.applied()), expected(&lines, &[]).table);
            assert_eq!(check_report(&outcome).rows_loaded, 600);
        }
    }
}

/// Rows of one key never leave their writer, and several writers do work.
#[test]
fn each_key_has_one_writer() {
    let lines: Vec<Line> =
        (0..5_000).map(|n| Line::Row(KEYS[n % 5][n % KEYS[n % 5].len()], 1)).collect();
    let given = given(bytes(&lines).as_bytes());
    let writers: Arc<Mutex<BTreeMap<i64, BTreeSet<String>>>> = Arc::default();
    let seen = Arc::clone(&writers);
    let target = Arc::new(Hooked::new(move |call| {
        if let Call::Write(batch) = call {
            let thread = std::thread::current().name().expect("it has one").to_owned();
            for row in 0..batch.rows() {
                let CellRef::Text(key) = batch.columns[1].cell(row) else { panic!("a text") };
                let mut seen = seen.lock().unwrap();
                seen.entry(number(key)).or_default().insert(thread.clone());
            }
        }
        Ok(())
    }));
    let outcome = load(upsert(&given.path, 4), target.clone());
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    assert_eq!(target.table.applied().len(), lines.len());
    let writers = writers.lock().unwrap();
    assert_eq!(writers.len(), 5);
    assert!(writers.values().all(|of_key| of_key.len() == 1), "{writers:?}");
    let all: BTreeSet<&String> = writers.values().flatten().collect();
    assert!(all.len() > 1, "{writers:?}");
    let warnings = outcome.report.warnings.join("\n");
    assert!(warnings.contains("3 parsers are asked for; one"), "{warnings}");
}

/// A commit whose answer is lost names the ranges whose rows are in doubt.
#[test]
fn ranges_in_doubt_are_named() {
    let lines = many(300, 5);
    let given = given(bytes(&lines).as_bytes());
    let faults = Faults {
        commits: vec![fastload::sink::memory::CommitFault {
            commit: 1,
            class: ErrorClass::ConnectionLost,
            took_effect: true,
        }],
        ..Faults::default()
    };
    let target = MemoryTarget::new(None).with_faults(faults);
    let mut config = upsert(&given.path, 2);
    config.work.batch_rows = 50;
    let outcome = load(config, Arc::new(target));
    let error = outcome.error.expect("a commit in doubt").to_string();
    assert!(error.contains("in.csv") && error.contains("bytes 0"), "{error}");
}
