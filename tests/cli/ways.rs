//! Every way of input, with one and several parsers, into each target that needs no server: the
//! rows are those that another reader finds in the file.

use std::fs;

use fastload::generate::accounts_schema;

use crate::support::Place;

const RECORDS: usize = 5_000;
const BAD: usize = 80;

/// Columns of the generator's accounts.
const LAST_TXN: usize = 6;
const RATE: usize = 8;

/// Records as the `csv` crate reads them, sorted. Numbers and times are compared by their values:
/// trailing zeros are none.
fn rows(file: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(file);
    let mut rows: Vec<Vec<String>> = reader
        .records()
        .map(|record| record.expect("a record").iter().enumerate().map(value).collect())
        .collect();
    rows.sort();
    rows
}

fn value((column, text): (usize, &str)) -> String {
    match (column, text.parse::<f64>()) {
        (RATE, Ok(number)) => number.to_string(),
        (LAST_TXN, _) if text.contains('.') => text.trim_end_matches('0').to_owned(),
        _ => text.to_owned(),
    }
}

/// The file with bad records behind its header and at its end.
fn with_bad_records(good: &[u8]) -> Vec<u8> {
    let header = good.iter().position(|&byte| byte == b'\n').expect("a header") + 1;
    let bad = |number| format!("{number},too few\n").into_bytes();
    let some = |numbers: std::ops::Range<usize>| numbers.flat_map(bad).collect::<Vec<u8>>();
    let (first, last) = (some(0..BAD / 2), some(BAD / 2..BAD));
    [&good[..header], &first, &good[header..], &last].concat()
}

#[test]
fn every_way_into_every_file() {
    let place = Place::new();
    place.run(["gen", "--rows", &RECORDS.to_string(), "-o", "good.csv"]).expect(0);
    let good = place.read("good.csv");
    place.write("in.csv", with_bad_records(&good));
    let expected = rows(&good);
    assert_eq!(expected.len(), RECORDS);
    let mut expected_accounts: Vec<&str> = expected.iter().map(|row| row[0].as_str()).collect();
    expected_accounts.sort_unstable();
    for io in ["auto", "mmap", "read", "uring"] {
        for parsers in ["1", "3"] {
            let load = |more: &[&str]| {
                let common = ["in.csv", "--io", io, "--parsers", parsers, "--max-errors", "all"];
                // Many chunks, batches and commits.
                let small = ["--chunk-bytes", "20KB", "--batch-rows", "100", "--table", "t"];
                let json = ["--schema", accounts_schema(), "--output", "json"];
                let all = common.iter().chain(&small).chain(&json).chain(more);
                let report = place.run(all).expect(2).json();
                assert_eq!(report["totals"]["rows_loaded"], expected.len(), "{io} {parsers}");
                assert_eq!(report["totals"]["rows_rejected"], BAD, "{io} {parsers}");
            };
            load(&["--to", "csv:out.csv", "--mode", "truncate", "--yes"]);
            assert!(rows(&place.read("out.csv")) == expected, "{io} {parsers}");
            load(&["--to", "null:", "--writers", "2"]);
            load(&["--to", "sqlite:x.db", "--mode", "truncate", "--yes", "--commit-rows", "700"]);
            let accounts = crate::support::sqlite(
                &place.path("x.db"),
                "SELECT CAST(account_id AS TEXT) FROM t ORDER BY 1",
            );
            let accounts: Vec<_> =
                accounts.iter().map(|row| row[0].as_deref().expect("a key")).collect();
            assert!(accounts == expected_accounts, "{io} {parsers}");
        }
    }
}

/// A file that is large enough to be read past the page cache.
const LARGE_ROWS: usize = 70_000;

/// Rows of a kilobyte each, no two alike.
fn large_rows() -> Vec<u8> {
    let row = |id: usize| {
        let letter = u8::try_from(b'a' as usize + id % 26).expect("a letter");
        format!("{id},{}\n", char::from(letter).to_string().repeat(1_000))
    };
    format!("id,name\n{}", (0..LARGE_ROWS).map(row).collect::<String>()).into_bytes()
}

#[test]
fn a_large_file_out_of_the_page_cache() {
    let place = Place::new();
    let expected = large_rows();
    place.write("in.csv", &expected);
    let drop_pages = || {
        let file = fs::File::open(place.path("in.csv")).expect("it was written");
        file.sync_all().expect("on the disk");
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("advice");
    };
    let load = |io: &str, more: &[&str]| {
        drop_pages();
        let common =
            ["in.csv", "--io", io, "--header", "-d", ",", "--table", "t", "--parsers", "2"];
        let schema = ["--schema", "id INTEGER, name VARCHAR(1000)", "--to", "csv:out.csv"];
        let mode = ["--mode", "truncate", "--yes"];
        place.run(common.iter().chain(&schema).chain(&mode).chain(more)).expect(0)
    };
    // Where the pages cannot be dropped, the file stays mapped and the reason says so.
    let explained = load("auto", &["--explain"]);
    let is_mapped = explained.stdout.contains("input: in.csv by mmap (it is in the page cache)");
    let is_direct =
        explained.stdout.contains("input: in.csv by uring (it is not in the page cache");
    let is_refused = explained.stdout.contains("by mmap (it is not in the page cache, and ");
    assert!(is_mapped || is_direct || is_refused, "{}", explained.stdout);
    let explained = load("read", &["--explain"]);
    let by_read = "input: in.csv by read (it was asked for)";
    assert!(explained.stdout.contains(by_read), "{}", explained.stdout);
    let expected = lines_sorted(&expected);
    for io in ["auto", "mmap", "read", "uring"] {
        load(io, &[]);
        assert!(lines_sorted(&place.read("out.csv")) == expected, "{io}");
    }
}

fn lines_sorted(text: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
    lines.sort_unstable();
    lines
}
