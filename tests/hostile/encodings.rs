//! Bytes that are no text.

use crate::case::{Case, Reject, lines};

#[test]
fn utf_16_without_a_mark_is_refused() {
    let text = "id,name\n1,ada\n2,grace\n";
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for bytes in [little, big] {
        Case::new(&bytes).is_refused(66, &["in.csv", "UTF-16"]);
        Case::with(&bytes, &["--schema", "id INT, name TEXT"]).is_refused(66, &["UTF-16"]);
    }
}

/// What UTF-8 does not allow, and what looks like it.
const INVALID: [&[u8]; 12] = [
    b"\xff",
    b"\x80",
    b"\xc3",
    b"\xe2\x82",
    b"\xf0\x9f\x98",
    b"\xc0\x80",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xf4\x90\x80\x80",
];

const VALID: [&str; 6] = ["\u{7ff}", "\u{d7ff}", "\u{e000}", "\u{ffff}", "\u{10000}", "\u{10ffff}"];

/// Each between two good records, bare, quoted, and at the end of a long text.
#[test]
fn invalid_overlong_and_surrogate_sequences() {
    let long = "x".repeat(100);
    let mut file = b"id,name\n".to_vec();
    let mut bad: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut good: Vec<[String; 2]> = Vec::new();
    let mut record = 0_u64;
    for bytes in INVALID.iter().copied().chain(VALID.iter().map(|text| text.as_bytes())) {
        for (before, behind) in [("a", "b"), ("\"", "\""), (long.as_str(), "")] {
            record += 1;
            let head = format!("{record},{before}");
            let line = [head.as_bytes(), bytes, behind.as_bytes(), b"\n"].concat();
            file.extend(&line);
            match std::str::from_utf8(bytes) {
                Err(_) => bad.push((record, line)),
                Ok(text) => {
                    let text = format!("{before}{text}{behind}").replace('"', "");
                    good.push([record.to_string(), text]);
                }
            }
        }
    }
    assert_eq!((bad.len(), good.len()), (36, 18));
    let rejects: Vec<Reject<'_>> = bad
        .iter()
        .map(|(record, line)| (*record, record + 1, "FL-0318", line.as_slice()))
        .collect();
    let rows: Vec<[&str; 2]> = good.iter().map(|row| [&*row[0], &*row[1]]).collect();
    let rows: Vec<&[&str]> = rows.iter().map(<[&str; 2]>::as_slice).collect();
    Case::new(&file).gives(&rows, &rejects);
}

#[test]
fn invalid_bytes_in_a_number() {
    Case::new(b"id,name\n1\xff,a\n\xef\xbc\x92,b\n3,c\n").gives(
        &[&["3", "c"]],
        &[(1, 2, "FL-0311", b"1\xff,a\n"), (2, 3, "FL-0311", b"\xef\xbc\x92,b\n")],
    );
}

/// What is left of a file that was cut short and grew again: zeros.
#[test]
fn zeros_at_the_end() {
    let zeros = vec![0; 5_000];
    let with = |text: &str| [text.as_bytes(), &zeros].concat();
    // At the head of a file it is seen before anything is loaded.
    Case::new(with("id,name\n1,ada\n")).is_refused(66, &["in.csv", "zero bytes"]);
    // Far behind it, each record is judged by itself.
    let good = lines(3..1_000, |id| format!("{id},{id}\n"));
    let rows: Vec<[String; 2]> = (3..1_000).map(|id| [id.to_string(), id.to_string()]).collect();
    let gives = |header: &str, tail: &str, more: &[&[&str]], rejects: &[Reject<'_>]| {
        let schema = format!("{} , {}", column(header, 0), column(header, 1));
        let flags = ["--dialect", "csv", "--schema", &schema];
        let cells: Vec<[&str; 2]> = rows.iter().map(|row| [&*row[0], &*row[1]]).collect();
        let mut all: Vec<&[&str]> = cells.iter().map(<[&str; 2]>::as_slice).collect();
        all.extend(more);
        Case::with(with(&format!("{header}\n{good}{tail}")), &flags).gives(&all, rejects);
    };
    // Behind the last record: a record of one field.
    gives("id,name", "1,ada\n", &[&["1", "ada"]], &[(999, 1_000, "FL-0305", &zeros)]);
    // Inside a number.
    let bytes = with("eve,2");
    gives("name,id", "eve,2", &[], &[(998, 999, "FL-0311", &bytes)]);
    // Inside quotes.
    let bytes = with("2,\"gr");
    gives("id,name", "2,\"gr", &[], &[(998, 999, "FL-0303", &bytes)]);
    // Inside a text that is not quoted they are text like any other where the database can keep
    // them. PostgreSQL cannot: see servers.rs.
    let kept = format!("gr{}", "\0".repeat(5_000));
    gives("id,name", "2,gr", &[&["2", &kept]], &[]);
}

/// The column of a header's field.
fn column(header: &str, at: usize) -> &'static str {
    if header.split(',').nth(at) == Some("id") { "id INT" } else { "name TEXT" }
}
