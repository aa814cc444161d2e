//! Quotes where none belong, quotes that never end, and what is inside them.

use std::fs::File;
use std::io::{BufWriter, Write as _};

use crate::case::{Case, lines, reasons};
use crate::support::{Place, row};

#[test]
fn newlines_delimiters_and_quotes_in_quotes() {
    Case::new("id,name\n1,\"a\n,b\"\"c\"\"\n\n\"\n2,\"\"\"\"\n3,c\n")
        .gives(&[&["1", "a\n,b\"c\"\n\n"], &["2", "\""], &["3", "c"]], &[]);
    // Lines are counted inside quotes too.
    Case::new("id,name\n1,\"a\n\n\nb\"\nx,c\n")
        .gives(&[&["1", "a\n\n\nb"]], &[(2, 6, "FL-0311", b"x,c\n")]);
}

#[test]
fn a_stray_quote_and_text_behind_a_quote() {
    Case::new("id,name\n1,5\" disk\n2,\"a\"b\n3,\"c\" \n4, \"d\"\n5,\"e\"\n6,f\"\n7,g\n").gives(
        &[&["5", "e"], &["7", "g"]],
        &[
            (1, 2, "FL-0301", b"1,5\" disk\n"),
            (2, 3, "FL-0302", b"2,\"a\"b\n"),
            (3, 4, "FL-0302", b"3,\"c\" \n"),
            (4, 5, "FL-0301", b"4, \"d\"\n"),
            (6, 7, "FL-0301", b"6,f\"\n"),
        ],
    );
    Case::new("id,name\n1,5\" disk\n2,\"a\"\n")
        .flag(&["--bare-quote", "literal"])
        .gives(&[&["1", "5\" disk"], &["2", "a"]], &[]);
}

#[test]
fn a_quote_that_is_not_closed_costs_one_record() {
    // In the middle: a later quote closes it, with text behind it.
    Case::new("id,name\n1,a\n2,\"b\n3,c\n4,\"d\"\n5,e\n").gives(
        &[&["1", "a"], &["3", "c"], &["4", "d"], &["5", "e"]],
        &[(2, 3, "FL-0302", b"2,\"b\n")],
    );
    // No later quote: only the end of the file shows it.
    Case::new("id,name\n1,a\n2,\"b\n3,c\n4,d\n")
        .gives(&[&["1", "a"], &["3", "c"], &["4", "d"]], &[(2, 3, "FL-0303", b"2,\"b\n")]);
    // A later quote closes it where a field may end: then it is one record, by the grammar.
    Case::new("id,name\n1,\"a\n2,b\n3,c\"\n4,d\n")
        .gives(&[&["1", "a\n2,b\n3,c"], &["4", "d"]], &[]);
    // At the end of the file.
    for end in ["2,\"b", "2,\"", "2,\"b\"\""] {
        Case::new(format!("id,name\n1,a\n{end}"))
            .gives(&[&["1", "a"]], &[(2, 3, "FL-0303", end.as_bytes())]);
    }
    // In the header.
    Case::new("id,\"name\n1,a\n2,b\n").is_refused(66, &["in.csv"]);
}

/// Text that anyone who guesses where records begin takes for records.
#[test]
fn records_inside_a_field() {
    let inside = lines(0..500, |id| format!("{id},fake\n"));
    let text = format!("id,name\n1,\"{inside}\"\n2,real\n");
    let expected = inside.clone();
    Case::new(&text).gives(&[&["1", &expected], &["2", "real"]], &[]);
    for chunk in ["64", "100", "1000"] {
        let place = Place::new();
        place.write("in.csv", &text);
        let load = ["in.csv", "--table", "t", "--dialect", "csv", "--schema", "id INT, name TEXT"];
        let more = ["--parsers", "4", "--chunk-bytes", chunk];
        place.run(load.iter().chain(&more)).expect(0);
        let answer = place.sqlite("SELECT id, length(name) FROM t ORDER BY id");
        assert_eq!(answer, [row(["1", &inside.len().to_string()]), row(["2", "4"])]);
    }
}

/// Megabytes of the file of `a_quote_in_line_2_of_a_large_file`; `FASTLOAD_TEST_LARGE_MB=5000` is
/// the longer form.
fn large_megabytes() -> u64 {
    let text = std::env::var("FASTLOAD_TEST_LARGE_MB");
    text.map_or(200, |text| text.parse().expect("FASTLOAD_TEST_LARGE_MB is a number"))
}

/// Resident memory that a load may take whatever the size of its input: arenas, read-ahead and
/// the pages between two releases of the map. Unoptimised, as the tests run it, it is the same.
const MEMORY_BYTES_MAX: u64 = 256 << 20;

#[test]
fn a_quote_in_line_2_of_a_large_file() {
    let place = Place::new();
    let file = File::create(place.path("in.csv")).expect("a file can be made");
    let mut file = BufWriter::new(file);
    let mut put = |bytes: &[u8]| file.write_all(bytes).expect("room for the file");
    put(b"id,name\n7,\"never closed\n");
    let line = [b"8,", vec![b'x'; 997].as_slice(), b"\n"].concat();
    let lines = large_megabytes() * 1_000;
    for _ in 0..lines {
        put(&line);
    }
    file.flush().expect("room for the file");
    drop(file);
    for way in [["--io", "mmap", "--parsers", "2"], ["--io", "read", "--parsers", "1"]] {
        let load = ["in.csv", "--table", "t", "--dialect", "csv", "--to", "null:", "--output"];
        let more = ["json", "--schema", "id INT, name VARCHAR(997)", "--max-errors", "1"];
        let report = place.run(load.iter().chain(&more).chain(&way)).expect(2).json();
        assert_eq!(report["totals"]["rows_loaded"], lines);
        let peak = report["peak_rss_bytes"].as_u64().expect("a number");
        assert!(peak < MEMORY_BYTES_MAX, "{way:?}: {peak} bytes");
        // Its end is looked for no further than a record may reach.
        let reasons = reasons(&place, "in.csv.rejects");
        assert_eq!((&reasons[0]["code"], &reasons[0]["line"]), (&"FL-0304".into(), &2.into()));
        assert_eq!(reasons.len(), 1);
        assert_eq!(place.read("in.csv.rejects"), b"7,\"never closed\n");
    }
}

#[test]
fn fields_of_a_hundred_megabytes() {
    let place = Place::new();
    let mut text = b"id,name\n1,a\n2,\"".to_vec();
    text.resize(text.len() + 100_000_000, b'x');
    text.extend(b"\"\n3,b\n");
    let field = text[12..text.len() - 4].to_vec();
    place.write("in.csv", &text);
    let load = ["in.csv", "--table", "t", "--dialect", "csv", "--schema", "id INT, name TEXT"];
    let count = || place.sqlite("SELECT group_concat(id), sum(length(name)) FROM t");
    // Over the limit: bytes of the record in the reject file, and nowhere in memory.
    let run = place.run(load.iter().chain(&["--max-errors", "1", "--output", "json"])).expect(2);
    assert_eq!(count(), [row(["1,3", "2"])]);
    assert!(place.read("in.csv.rejects") == field, "the record, byte for byte");
    let peak = run.json()["peak_rss_bytes"].as_u64().expect("a number");
    assert!(peak < MEMORY_BYTES_MAX, "{peak} bytes");
    // Under the limit: a value like any other.
    let limits = ["--max-record-bytes", "128MiB", "--max-field-bytes", "128MiB"];
    let again = ["--mode", "truncate", "--yes", "--memory-limit", "1GiB"];
    place.run(load.iter().chain(&limits).chain(&again)).expect(0);
    let all = "SELECT count(*), sum(length(name)), max(trim(name, 'x') = '') FROM t";
    assert_eq!(place.sqlite(all), [row(["3", "100000002", "1"])]);
    // The record may be long, its field may not.
    let limits = ["--max-record-bytes", "128MiB", "--max-errors", "1"];
    place.run(load.iter().chain(&limits).chain(&again)).expect(2);
    assert_eq!(count(), [row(["1,3", "2"])]);
    assert_eq!(reasons(&place, "in.csv.rejects")[0]["code"], "FL-0317");
}

/// Each preset reads its own quotes, and one without quotes reads none.
#[test]
fn quotes_in_every_preset() {
    for (preset, delimiter) in [("csv", ","), ("tsv", "\t"), ("pipe", "|")] {
        let schema = ["--dialect", preset, "--schema", "id INT, name TEXT, more TEXT"];
        let text = "id,name,more\n1,\"a,b\",\"c\nd\"\n2,\"\"\"\",\"\"\n3,e\",f\n4,g,h\n";
        let text = text.replace(',', delimiter);
        let bad = "3,e\",f\n".replace(',', delimiter);
        let with_delimiter = format!("a{delimiter}b");
        Case::with(text, &schema).gives(
            &[&["1", &with_delimiter, "c\nd"], &["2", "\"", ""], &["4", "g", "h"]],
            &[(3, 5, "FL-0301", bad.as_bytes())],
        );
    }
    let schema = ["--dialect", "tbl", "--schema", "id INT, name TEXT"];
    Case::with("1|\"a|\n2|\"b\"|\n3|c\"|\n", &schema)
        .gives(&[&["1", "\"a"], &["2", "\"b\""], &["3", "c\""]], &[]);
}
