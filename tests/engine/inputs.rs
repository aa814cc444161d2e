//! Inputs that come in pieces, change, or hold monstrous records: rows and rejects must be those of
//! the same bytes in one mapped chunk.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use fastload::config::dialect::{Dialect, Terminator};
use fastload::config::{IoWay, LoadConfig};
use fastload::engine::Outcome;
use fastload::error::ErrorKind;
use fastload::parse::oracle::{Content, read_records};
use fastload::sink::memory::{MemoryRow, MemoryTarget};
use proptest::prelude::*;

use crate::common::{config, open, reject_path, run, text};
use crate::support::{
    Call, Hooked, check_report, fifo, given, lines, load, loaded_records, small, two_columns,
};

/// What a load left: rows, reject file, its description without the name of the input.
#[derive(Debug, PartialEq)]
struct Left {
    rows: Vec<MemoryRow>,
    raw: Vec<u8>,
    described: Vec<serde_json::Value>,
}

fn left(outcome: &Outcome, target: &MemoryTarget, path: &Path) -> Left {
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    let counts = check_report(outcome);
    let rows = target.rows();
    assert_eq!(counts.rows_loaded, rows.len() as u64);
    assert_eq!(counts.rows_rolled_back, 0);
    let rejects = reject_path(path);
    let mut described = rejects.clone().into_os_string();
    described.push(".jsonl");
    let described = std::fs::read_to_string(described).unwrap_or_default();
    let described: Vec<serde_json::Value> = described
        .lines()
        .map(|line| {
            let mut object: serde_json::Value = serde_json::from_str(line).expect("an object");
            object["file"] = "".into();
            object
        })
        .collect();
    assert_eq!(counts.rows_rejected, described.len() as u64);
    Left { rows, raw: std::fs::read(rejects).unwrap_or_default(), described }
}

fn wide(path: &Path, dialect: Dialect) -> LoadConfig {
    let columns = [text("a", 40), text("b", 8 << 20)];
    let mut config = config(&[path], &columns, dialect);
    config.work.batch_rows = 7;
    config.work.commit_rows = 20;
    config
}

fn mapped(bytes: &[u8], dialect: &Dialect) -> Left {
    let file = given(bytes);
    let target = Arc::new(MemoryTarget::new(None));
    let outcome = load(wide(&file.path, dialect.clone()), Arc::clone(&target) as _);
    left(&outcome, &target, &file.path)
}

/// Loads `bytes` through a pipe in blocks of `block_bytes`.
fn piped(bytes: &[u8], dialect: &Dialect, block_bytes: usize, parsers: usize) -> Left {
    let (_dir, path) = fifo();
    let writer = path.clone();
    let content = bytes.to_vec();
    let writing = std::thread::spawn(move || std::fs::write(writer, content));
    let mut config = wide(&path, dialect.clone());
    config.work.parsers = parsers;
    config.work.writers = 1 + parsers % 2;
    let inputs = open(&config, block_bytes);
    let target = Arc::new(MemoryTarget::new(None));
    let outcome = run(config, inputs, Arc::clone(&target) as _);
    writing.join().expect("no panic").expect("all is read");
    let counts = outcome.report.totals;
    assert_eq!(counts.bytes, bytes.len() as u64);
    left(&outcome, &target, &path)
}

fn mapped_in_chunks(bytes: &[u8], dialect: &Dialect, chunk_bytes: usize, parsers: usize) -> Left {
    let file = given(bytes);
    let mut config = wide(&file.path, dialect.clone());
    config.work.parsers = parsers;
    config.work.chunk_bytes = chunk_bytes as u64;
    let target = Arc::new(MemoryTarget::new(None));
    let outcome = load(config, Arc::clone(&target) as _);
    left(&outcome, &target, &file.path)
}

fn check_every_way(bytes: &[u8], dialect: &Dialect, block_bytes: usize, parsers: usize) {
    let expected = mapped(bytes, dialect);
    let found = piped(bytes, dialect, block_bytes, parsers);
    assert_eq!(found, expected, "blocks of {block_bytes}, {parsers} parsers");
    let found = mapped_in_chunks(bytes, dialect, block_bytes, parsers);
    assert_eq!(found, expected, "chunks of {block_bytes}, {parsers} parsers");
}

/// Positions of rows and rejects, as the oracle has them.
fn check_positions(bytes: &[u8], dialect: &Dialect) {
    let found = mapped(bytes, dialect);
    let (mut rows, mut rejects) = (found.rows.iter(), found.described.iter());
    let mut raw = Vec::new();
    for (number, record) in (1_u64..).zip(read_records(bytes, 0, 1, dialect, 2)) {
        let is_row = matches!(record.content, Content::Fields(_));
        let (start, line, at) = if is_row {
            let row = rows.next().expect("a row").position;
            (row.byte_offset, row.line, row.record)
        } else {
            raw.extend_from_slice(&bytes[record.start..record.end]);
            let reject = rejects.next().expect("a reject");
            let number = |key: &str| reject[key].as_u64().expect("a number");
            (number("byte_offset"), number("line"), number("record"))
        };
        assert_eq!((start, line, at), (record.start as u64, record.line, number));
    }
    assert!(rows.next().is_none() && rejects.next().is_none());
    assert_eq!(found.raw, raw);
}

fn narrow(terminator: Terminator) -> Dialect {
    Dialect { terminator, max_record_bytes: 12, comment: Some(b'#'), ..Dialect::default() }
}

#[test]
fn lines_inside_an_endless_record_are_counted() {
    let long = "x\ny".repeat(80);
    let bytes = format!("1,a\r\n2,{long}\r\n3,b\r\n#{long}\r\n4\r\n5,\"q\"{long}\r\n6,c\r\n");
    check_positions(bytes.as_bytes(), &narrow(Terminator::CrLf));
    for block_bytes in [1, 3, 50, 79, 80, 81, 1_000] {
        check_every_way(bytes.as_bytes(), &narrow(Terminator::CrLf), block_bytes, 2);
    }
}

#[test]
fn endless_records_keep_their_bytes() {
    let long = "x".repeat(300);
    for terminator in [Terminator::Auto, Terminator::Cr] {
        let end = if terminator == Terminator::Cr { "\r" } else { "\n" };
        let bytes = [
            "1,a",
            "2,b",
            &format!("3,{long}"),
            "4,c",
            &format!("#{long}"),
            &format!("5\"{long}"),
            "6",
            &format!("7,\"{long}"),
            "8,d",
            &long,
        ]
        .join(end);
        check_positions(bytes.as_bytes(), &narrow(terminator));
        for block_bytes in [1, 2, 5, 8, 9, 100, 299, 301, 400, 5_000] {
            for parsers in [1, 3] {
                check_every_way(bytes.as_bytes(), &narrow(terminator), block_bytes, parsers);
            }
        }
    }
}

#[test]
fn bad_records_before_an_endless_one_in_the_same_carry_keep_theirs() {
    // The quoted field runs over the block's end; when it proves malformed, several records
    // follow in the same bytes, the last of them without an end in sight.
    let long = "x".repeat(300);
    let bytes = format!("1,\"a\n2\n3,b\n4,{long}\n5,c\n");
    for block_bytes in 1..60 {
        for parsers in [1, 2] {
            check_every_way(bytes.as_bytes(), &narrow(Terminator::Auto), block_bytes, parsers);
        }
    }
}

#[test]
fn a_field_of_a_megabyte() {
    let long = "y".repeat(1 << 20);
    let bytes = format!("1,a\n2,{long}\n3,b\n4,\"{long}\"\n5,c\n{long}{long}\n6,d\n");
    for block_bytes in [64 << 10, 1 << 20, 3 << 20] {
        check_every_way(bytes.as_bytes(), &Dialect::default(), block_bytes, 2);
    }
}

#[test]
fn an_empty_pipe() {
    let found = piped(b"", &Dialect::default(), 10, 2);
    assert!(found.rows.is_empty() && found.raw.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn pipes_of_random_blocks(
        pieces in proptest::collection::vec(
            prop_oneof![
                6 => Just("1,a\n"), 3 => Just("2,\"b\nc\"\n"), 1 => Just("\""), 1 => Just("\r\n"),
                1 => Just("\n"), 1 => Just(","), 1 => Just("\"\""), 2 => Just("long long long "),
                1 => Just("#"), 1 => Just("3,\""),
            ], 0..40),
        terminator in prop_oneof![Just(Terminator::Auto), Just(Terminator::CrLf)],
        long in proptest::option::of(0_usize..40),
        block_bytes in 1_usize..60,
        parsers in 1_usize..5,
    ) {
        let mut pieces: Vec<String> = pieces.into_iter().map(str::to_owned).collect();
        if let Some(at) = long {
            pieces.insert(at.min(pieces.len()), "z".repeat(200));
        }
        let bytes = pieces.concat().into_bytes();
        let dialect = narrow(terminator);
        check_positions(&bytes, &dialect);
        check_every_way(&bytes, &dialect, block_bytes, parsers);
    }
}

/// The error of a load whose file `change` is called on after the first write.
fn changed(io: IoWay, change: impl Fn(&Path) + Send + Sync + 'static) -> Outcome {
    let file = given(&lines(20_000, &[]));
    let mut config = small(&file.path);
    config.work.io = io;
    config.work.chunk_bytes = 1_000;
    let path = file.path.clone();
    let once = std::sync::Once::new();
    let target = Arc::new(Hooked::new(move |call| {
        if matches!(call, Call::Write(_)) {
            once.call_once(|| change(&path));
        }
        Ok(())
    }));
    let outcome = load(config, Arc::clone(&target) as _);
    let error = outcome.error.as_ref().expect("it changed");
    let ErrorKind::Input { path, message, .. } = error.kind() else {
        panic!("{error:?}");
    };
    assert_eq!(path, &file.path);
    assert!(message.starts_with("changed while it was read"), "{message}");
    check_report(&outcome);
    assert!(loaded_records(&target.table).is_empty(), "not even the first unit");
    assert!(!target.table.is_finished());
    outcome
}

#[test]
fn a_file_that_changes_while_it_is_read() {
    for io in [IoWay::Auto, IoWay::Mmap, IoWay::Read, IoWay::Uring] {
        changed(io, |path| {
            let mut file = std::fs::File::options().append(true).open(path).expect("it exists");
            file.write_all(b"1,2\n").expect("room");
        });
        changed(io, |path| {
            let other = path.with_extension("new");
            std::fs::write(&other, lines(20_000, &[])).expect("room");
            std::fs::rename(other, path).expect("the same directory");
        });
        changed(io, |path| std::fs::remove_file(path).expect("it exists"));
    }
    // Over a map the cut is a SIGBUS, and this process has no guard: tests/cli/changing.rs.
    for io in [IoWay::Read, IoWay::Uring] {
        changed(io, |path| {
            let file = std::fs::File::options().write(true).open(path).expect("it exists");
            file.set_len(4_000).expect("shorter");
        });
    }
}

#[test]
fn a_file_that_is_cut_short_before_it_is_read() {
    let file = given(&lines(20_000, &[]));
    let mut config = config(&[&file.path], &two_columns(), Dialect::default());
    config.work.io = IoWay::Read;
    let inputs = open(&config, 1_000);
    let shorter = std::fs::File::options().write(true).open(&file.path).expect("it exists");
    shorter.set_len(40_000).expect("shorter");
    let target = Arc::new(MemoryTarget::new(None));
    let outcome = run(config, inputs, Arc::clone(&target) as _);
    let error = outcome.error.as_ref().expect("it changed");
    assert!(matches!(error.kind(), ErrorKind::Input { .. }), "{error:?}");
    check_report(&outcome);
}

#[test]
fn what_may_go_wrong_with_a_file_is_noted() {
    let file = given(&lines(10, &[]));
    let notes = |io| {
        let mut config = small(&file.path);
        config.work.io = io;
        open(&config, 1_000).remove(0).notes
    };
    let writer = std::fs::File::options().append(true).open(&file.path).expect("it exists");
    let found = notes(IoWay::Read);
    assert!(found.len() == 1 && found[0].contains("open for writing"), "{found:?}");
    drop(writer);
    assert_eq!(notes(IoWay::Read), Vec::<String>::new());
    // This process has not called `input::guard::install`.
    let found = notes(IoWay::Mmap);
    assert!(found.len() == 1 && found[0].contains("SIGBUS"), "{found:?}");
}
