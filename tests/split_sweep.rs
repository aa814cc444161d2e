//! The whole engine against the oracle: every chunk size, several thread counts, every way of
//! input. Rows, rejects, record numbers, line numbers and byte offsets must be those of the slow
//! sequential reader.

mod common;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use common::{config, open, reject_path, run, text};
use fastload::config::IoWay;
use fastload::config::dialect::{Dialect, Terminator};
use fastload::config::schema::Column;
use fastload::parse::oracle::{Content, read_records};
use fastload::report::Status;
use fastload::sink::memory::{CellValue, MemoryTarget};
use proptest::prelude::*;

/// One record as the loader must book it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
enum Booked {
    Row { record: u64, line: u64, byte_offset: u64, cells: Vec<Option<Vec<u8>>> },
    Reject { record: u64, line: u64, byte_offset: u64, bytes: Vec<u8> },
}

fn expected(bytes: &[u8], dialect: &Dialect, columns: &[Column], max: usize) -> Vec<Booked> {
    let records = read_records(bytes, 0, 1, dialect, columns.len());
    (1..)
        .zip(records)
        .map(|(number, record)| {
            let byte_offset = record.start as u64;
            let line = record.line;
            let reject = || Booked::Reject {
                record: number,
                line,
                byte_offset,
                bytes: bytes[record.start..record.end].to_vec(),
            };
            match &record.content {
                Content::Malformed { .. } => reject(),
                Content::Fields(fields) if fields.iter().any(|field| field.value.len() > max) => {
                    reject()
                }
                Content::Fields(fields) => {
                    let cell = |field: &fastload::parse::oracle::OracleField| {
                        (field.quoted || !field.value.is_empty()).then(|| field.value.clone())
                    };
                    let cells = fields.iter().map(cell).collect();
                    Booked::Row { record: number, line, byte_offset, cells }
                }
            }
        })
        .collect()
}

struct Case<'a> {
    path: &'a Path,
    dialect: &'a Dialect,
    columns: &'a [Column],
    parsers: usize,
    writers: usize,
    chunk_bytes: usize,
    batch_rows: usize,
    io: IoWay,
}

fn booked(case: &Case<'_>) -> Vec<Booked> {
    let mut config = config(&[case.path], case.columns, case.dialect.clone());
    config.work.parsers = case.parsers;
    config.work.writers = case.writers;
    config.work.chunk_bytes = case.chunk_bytes as u64;
    config.work.batch_rows = case.batch_rows;
    config.work.commit_rows = 7;
    config.work.io = case.io;
    let inputs = open(&config, case.chunk_bytes);
    let target = Arc::new(MemoryTarget::new(None));
    let outcome = run(config, inputs, Arc::clone(&target) as _);
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    let totals = outcome.report.totals;
    assert!(totals.add_up() && totals.rows_rolled_back == 0, "{totals:?}");
    let rows = target.rows();
    assert_eq!(totals.rows_loaded, rows.len() as u64);
    let mut found: Vec<Booked> = rows
        .into_iter()
        .map(|row| Booked::Row {
            record: row.position.record,
            line: row.position.line,
            byte_offset: row.position.byte_offset,
            cells: row.cells.into_iter().map(cell_bytes).collect(),
        })
        .collect();
    let rejects = rejects(case.path);
    assert_eq!(totals.rows_rejected, rejects.len() as u64);
    let loaded_all = outcome.report.status == Status::Loaded;
    assert_eq!(loaded_all, rejects.is_empty());
    found.extend(rejects);
    found.sort_by_key(|booked| match booked {
        Booked::Row { record, .. } | Booked::Reject { record, .. } => *record,
    });
    found
}

fn cell_bytes(value: CellValue) -> Option<Vec<u8>> {
    match value {
        CellValue::Null => None,
        CellValue::Text(text) => Some(text),
        other => panic!("text columns only, not {other:?}"),
    }
}

/// Reads the reject file and its description, and takes both away for the next case.
fn rejects(input: &Path) -> Vec<Booked> {
    let path = reject_path(input);
    let mut described = path.clone().into_os_string();
    described.push(".jsonl");
    let Ok(lines) = std::fs::read_to_string(&described) else {
        return Vec::new();
    };
    let raw = std::fs::read(&path).expect("the bytes stand beside their description");
    std::fs::remove_file(&path).expect("it exists");
    std::fs::remove_file(&described).expect("it exists");
    let mut at = 0;
    let mut rejects = Vec::new();
    for line in lines.lines() {
        let reject: serde_json::Value = serde_json::from_str(line).expect("one object a line");
        let number = |key: &str| reject[key].as_u64().expect("a number");
        let length = usize::try_from(number("byte_length")).expect("it is in memory");
        let bytes = raw[at..at + length].to_vec();
        at += length;
        if !bytes.ends_with(b"\n") && raw.get(at) == Some(&b'\n') {
            at += 1;
        }
        rejects.push(Booked::Reject {
            record: number("record"),
            line: number("line"),
            byte_offset: number("byte_offset"),
            bytes,
        });
    }
    assert_eq!(at, raw.len(), "nothing else is in the reject file");
    rejects
}

fn temp_file(bytes: &[u8]) -> tempfile::TempPath {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room for a small file");
    file.into_temp_path()
}

fn columns(count: usize, max: u32) -> Vec<Column> {
    (0..count).map(|index| text(&format!("c{index}"), max)).collect()
}

/// Every chunk size from 1 to the file's length (at most `sizes`), 1, 2, 3 and 8 parsers.
fn sweep(bytes: &[u8], dialect: &Dialect, field_count: usize) {
    let path = temp_file(bytes);
    let columns = columns(field_count, 40);
    let expected = expected(bytes, dialect, &columns, 40);
    for parsers in [1, 2, 3, 8] {
        for chunk_bytes in 1..=bytes.len() {
            let case = Case {
                path: &path,
                dialect,
                columns: &columns,
                parsers,
                writers: 1 + parsers % 2,
                chunk_bytes,
                batch_rows: 1 + chunk_bytes % 5,
                io: if chunk_bytes % 2 == 0 { IoWay::Mmap } else { IoWay::Read },
            };
            assert_eq!(booked(&case), expected, "{parsers} parsers, chunks of {chunk_bytes}");
        }
    }
}

#[test]
fn quoted_newlines() {
    sweep(b"1,\"a\nb\"\n2,c\n3,\"d\n\ne\"\n4,\"f\n5,6\n7\"\n8,g\n", &Dialect::default(), 2);
}

#[test]
fn crlf_on_every_boundary() {
    sweep(b"1,a\r\n2,\"b\r\nc\"\r\n\r\n3,\"\"\r\n4,d\r\r\n5,e", &Dialect::default(), 2);
}

#[test]
fn doubled_quotes_on_every_boundary() {
    sweep(
        b"1,\"\"\"\"\n2,\"a\"\"b\"\n3,\"\"\"\"\"\"\n4,\"\"\n5,\"x\"\"\n\"\"y\"\n",
        &Dialect::default(),
        2,
    );
}

#[test]
fn a_record_longer_than_many_chunks() {
    let mut bytes = b"1,a\n2,\"".to_vec();
    bytes.extend(b"long text, and\n".repeat(6));
    bytes.extend(b"\"\n3,c\n");
    sweep(&bytes, &Dialect::default(), 2);
}

#[test]
fn a_stray_quote_early_in_the_file() {
    sweep(b"1,a\n2,\"b\n3,c\n4,d\n5,\"e\n\"\n6,f\"\n7,g\n8,h\n", &Dialect::default(), 2);
}

#[test]
fn an_unterminated_quote_at_the_end() {
    sweep(b"1,a\n2,b\n3,\"c\n4,d\n5,e\n", &Dialect::default(), 2);
}

#[test]
fn the_last_record_without_newline() {
    sweep(b"1,a\n2,b\n3,\"c\nd\"", &Dialect::default(), 2);
}

#[test]
fn wrong_field_counts_and_blank_lines() {
    sweep(b"\n1,a\n2\n\n3,b,c\n4,\"d\ne\",f\n5,g\n\n", &Dialect::default(), 2);
}

#[test]
fn a_record_over_the_limit() {
    let dialect = Dialect { max_record_bytes: 12, ..Dialect::default() };
    sweep(
        b"1,a\n2,\"bbbbbbbbbbbbbb\nbbb\"\n3,ccccccccccccccccccccc\n4,d\n5,eeeeeeeeeeeee",
        &dialect,
        2,
    );
}

#[test]
fn comments_and_trailing_delimiters() {
    let dialect = Dialect {
        delimiter: b"|".to_vec(),
        comment: Some(b'#'),
        trailing_delimiter: true,
        ..Dialect::default()
    };
    sweep(b"# a | b\n1|a|\n2|b\n#3|c|\n4|\"d\n#e\"|\n5|f|g|\n6||\n", &dialect, 2);
}

#[test]
fn strict_crlf_with_escapes() {
    let dialect =
        Dialect { terminator: Terminator::CrLf, escape: Some(b'\\'), ..Dialect::default() };
    sweep(b"1,a\nb\r\n2,c\\\r\n3\r\n4,\"d\\\"\r\n\"\r\n5,e\r\n", &dialect, 2);
}

/// Random cases: `PROPTEST_CASES` where it is set, for the longer form.
fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(300)))]
    #[test]
    fn random_files_and_cuts(
        pieces in proptest::collection::vec(
            prop_oneof![
                4 => Just("1,a\n"), 2 => Just("2,\"b\nc\"\n"), 1 => Just("\""), 1 => Just("\r\n"),
                1 => Just("\n"), 1 => Just(","), 1 => Just("\"\""), 1 => Just("long long long "),
            ], 0..40),
        parsers in 1_usize..9,
        writers in 1_usize..4,
        chunk_bytes in 1_usize..60,
        batch_rows in 1_usize..9,
        io in prop_oneof![Just(IoWay::Mmap), Just(IoWay::Read), Just(IoWay::Uring)],
    ) {
        let bytes = pieces.concat().into_bytes();
        let path = temp_file(&bytes);
        let (dialect, columns) = (Dialect::default(), columns(2, 40));
        let expected = expected(&bytes, &dialect, &columns, 40);
        let case = Case {
            path: &path, dialect: &dialect, columns: &columns,
            parsers, writers, chunk_bytes, batch_rows, io,
        };
        prop_assert_eq!(booked(&case), expected);
    }
}
