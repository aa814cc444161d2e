//! Values come back as they were sent: read over another connection, and summed by the server.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::support::{create_table, query, variable};

/// All types that Derby has, in an order that [`row`] follows.
const COLUMNS: &str = "ID INTEGER NOT NULL PRIMARY KEY, S SMALLINT, B BIGINT, R REAL, D DOUBLE, \
    N DECIMAL(31,10), M DECIMAL(15,2), C CHAR(10), V VARCHAR(40), DT DATE, TM TIME, TS TIMESTAMP, \
    F CHAR(4) FOR BIT DATA, G VARCHAR(20) FOR BIT DATA, T BOOLEAN, L CLOB, O BLOB";

/// How each column is read: the driver loses its connection over large objects, so a CLOB is read
/// as text, and of a BLOB the server tells the length. As text the driver gives floats fewer digits
/// than they have, so the server compares them with the numbers that were sent.
const READ: &str = "ID, S, B, \
    CASE WHEN R = CAST(0.1E0 AS REAL) THEN '0.1' \
    WHEN R = CAST(-3.4028235E38 AS REAL) THEN '-3.4028235e38' \
    WHEN R = 1.5 THEN '1.5' WHEN R IS NOT NULL THEN 'another' END, \
    CASE WHEN D = 0.1E0 THEN '0.1' \
    WHEN D = -1.7976931348623157E308 THEN '-1.7976931348623157e308' \
    WHEN D = 2.2250738585072014E-308 THEN '2.2250738585072014e-308' \
    WHEN D IS NOT NULL THEN 'another' END, N, M, C, V, DT, TM, TS, F, G, \
    CASE WHEN T THEN 'true' WHEN NOT T THEN 'false' END, CAST(L AS VARCHAR(200)), LENGTH(O)";

/// Texts with every length of UTF-8, empty text, and what means something to somebody.
const TEXTS: [&str; 12] = [
    "plain",
    "",
    "NULL",
    "\u{e9}\u{20ac}\u{1f600} \u{65e5}\u{672c}\u{8a9e}",
    "\u{c4}rger mit Umlaut \u{df}",
    "q\"q'q`q",
    "a,b;c|d\te",
    "two\nlines",
    " lead and trail ",
    "back\\slash",
    "?{fn x} %s",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
];

/// Row `n` as the file has it; every fifth cell is NULL.
fn row(n: usize) -> Vec<Option<String>> {
    let text = TEXTS[n % TEXTS.len()];
    let sign = if n.is_multiple_of(2) { "" } else { "-" };
    let pick = |values: [&str; 3]| values[n % 3].to_owned();
    let mut cells = vec![
        n.to_string(),
        pick(["32767", "-32768", "0"]),
        pick(["9223372036854775807", "-9223372036854775808", "7"]),
        pick(["0.1", "-3.4028235e38", "1.5"]),
        pick(["0.1", "-1.7976931348623157e308", "2.2250738585072014e-308"]),
        format!("{sign}123456789012345678901.{n:010}"),
        format!("{sign}9999999999999.{:02}", n % 100),
        pick(["EUR", "a\u{20ac}\u{1f600}", "0123456789"]),
        text.to_owned(),
        pick(["2024-02-29", "1000-01-01", "9999-12-31"]),
        format!("{:02}:{:02}:{:02}", n % 24, n % 60, n / 7 % 60),
        pick([
            "2024-02-29 23:59:59.999999",
            "1970-01-01 00:00:00.000001",
            "9999-12-31 12:00:00.500000",
        ]),
        format!("{n:08X}"),
        "5C22FF00".repeat(n % 5 + 1),
        pick(["true", "false", "true"]),
        format!("{text}{n}").repeat(3),
        "00FF".repeat(n % 50 + 1),
    ]
    .into_iter()
    .map(Some)
    .collect::<Vec<_>>();
    for (at, cell) in cells.iter_mut().enumerate().skip(1) {
        if (n + at).is_multiple_of(5) {
            *cell = None;
        }
    }
    cells
}

fn csv(rows: &[Vec<Option<String>>]) -> String {
    let mut text = String::new();
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match cell {
                None => write!(text, "{comma}"),
                Some(cell) => write!(text, "{comma}\"{}\"", cell.replace('"', "\"\"")),
            }
            .unwrap();
        }
        text.push('\n');
    }
    text
}

/// Loads a file in arrays of just so many rows, by the program, without its environment.
fn load(connection: &str, file: &Path, table: &str, array_rows: usize) {
    let rows = array_rows.to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_fastload"))
        .arg(file)
        .args(["--table", table, "--no-header", "--dialect", "csv", "-p1", "-w1", "-q"])
        .args(["--batch-rows", &rows, "--batch-bytes", "256MiB", "--chunk-bytes", "256MiB"])
        .args(["--memory-limit", "2GiB"])
        .env("FASTLOAD_TO", format!("odbc:{connection}"))
        .env_remove("DB2CODEPAGE")
        .env_remove("DB2_MAX_CLIENT_CONNRETRIES")
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What the server must say of the rows: how many cells of a column there are.
fn count_of(rows: &[Vec<Option<String>>], column: usize) -> String {
    rows.iter().filter(|row| row[column].is_some()).count().to_string()
}

fn equal(column: usize, sent: Option<&str>, stored: Option<&str>) -> bool {
    let (Some(sent), Some(stored)) = (sent, stored) else {
        return sent == stored;
    };
    match column {
        // Filled with blanks to its length.
        7 => sent == stored.trim_end(),
        16 => (sent.len() / 2).to_string() == stored,
        _ => sent == stored,
    }
}

fn round_trip(variable_name: &str, table: &str) {
    let directory = tempfile::tempdir().unwrap();
    for count in [1, 10, 5_000, 20_000] {
        let rows: Vec<_> = (0..count).map(row).collect();
        let file = directory.path().join("rows.csv");
        std::fs::write(&file, csv(&rows)).unwrap();
        create_table(&variable("FASTLOAD_TEST_DB2_WIDE"), table, COLUMNS);
        load(&variable(variable_name), &file, table, count);
        let stored = query(&format!("SELECT {READ} FROM {table} ORDER BY ID"));
        assert_eq!(stored.len(), count);
        for (sent, stored) in rows.iter().zip(&stored) {
            for (column, (sent, stored)) in sent.iter().zip(stored).enumerate() {
                let (sent, stored) = (sent.as_deref(), stored.as_deref());
                assert!(equal(column, sent, stored), "column {column}: {sent:?} is {stored:?}");
            }
        }
        sums_agree(table, &rows);
    }
}

/// The server's own words, past every conversion on the way back.
fn sums_agree(table: &str, rows: &[Vec<Option<String>>]) {
    let answer = query(&format!(
        "SELECT COUNT(*), COUNT(S), COUNT(D), COUNT(T), COUNT(DT), COUNT(TS), \
         SUM(LENGTH(V)), SUM(LENGTH(L)), SUM(LENGTH(O)), SUM(LENGTH(G)), SUM(ID), SUM(M) \
         FROM {table}"
    ));
    let units = |column: usize| {
        // Derby counts UTF-16 units.
        let cells = rows.iter().filter_map(|row| row[column].as_ref());
        cells.map(|cell| cell.encode_utf16().count()).sum::<usize>().to_string()
    };
    let bytes = |column: usize| {
        let cells = rows.iter().filter_map(|row| row[column].as_ref());
        cells.map(|cell| cell.len() / 2).sum::<usize>().to_string()
    };
    let cents: i128 = rows
        .iter()
        .filter_map(|row| row[6].as_ref())
        .map(|cell| cell.replace('.', "").parse::<i128>().unwrap())
        .sum();
    let ids: usize = (0..rows.len()).sum();
    let expected = [
        rows.len().to_string(),
        count_of(rows, 1),
        count_of(rows, 4),
        count_of(rows, 14),
        count_of(rows, 9),
        count_of(rows, 11),
        units(8),
        units(15),
        bytes(16),
        bytes(13),
        ids.to_string(),
    ];
    let answer: Vec<String> =
        answer[0].iter().map(|cell| cell.clone().unwrap_or_default()).collect();
    let or_nothing = |sum: &str, count: &str| if count == "0" { String::new() } else { sum.into() };
    for (at, expected) in expected.iter().enumerate() {
        let expected = match at {
            6 => or_nothing(expected, &count_of(rows, 8)),
            7 => or_nothing(expected, &count_of(rows, 15)),
            8 => or_nothing(expected, &count_of(rows, 16)),
            9 => or_nothing(expected, &count_of(rows, 13)),
            _ => expected.clone(),
        };
        assert_eq!(answer[at], expected, "sum {at} of {} rows", rows.len());
    }
    let stored: i128 = answer[11].replace('.', "").parse().unwrap_or(0);
    assert_eq!(stored, cents);
}

#[test]
fn words_of_four_bytes() {
    round_trip("FASTLOAD_TEST_DB2", "VALUES_NARROW");
}

#[test]
fn words_of_eight_bytes() {
    round_trip("FASTLOAD_TEST_DB2_WIDE", "VALUES_WIDE");
}
