//! Rows that the table does not take, one by one and all together.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::case::{lines, reasons};
use crate::support::{Place, Server, row};

const RECORDS: u64 = 3_000;

/// A file in which the keys of some records are those of others.
fn file_with_equal_keys(pairs: &[(u64, u64)]) -> String {
    let key =
        |record: u64| pairs.iter().find(|pair| pair.1 == record).map_or(record, |pair| pair.0);
    let records = lines(1..=RECORDS, |at| format!("{},{at}\n", key(at)));
    format!("id,n\n{records}")
}

/// Neighbours in one batch, records of different batches, of different units, of the first and the
/// last chunk.
const PAIRS: [(u64, u64); 4] = [(1, 2), (10, 150), (20, 1_999), (30, 3_000)];

/// The records that were refused.
fn refused(place: &Place) -> BTreeSet<u64> {
    let record = |reason: &Value| {
        assert_eq!(reason["class"], "duplicate", "{reason}");
        reason["record"].as_u64().expect("a number")
    };
    reasons(place, "in.csv.rejects").iter().map(record).collect()
}

/// Of each pair one is in the table and the other one is refused, and nothing else is.
#[track_caller]
fn one_of_each_pair(loaded: &BTreeSet<u64>, refused: &BTreeSet<u64>) {
    assert_eq!(refused.len(), PAIRS.len());
    for (first, second) in PAIRS {
        assert_ne!(refused.contains(&first), refused.contains(&second), "{first} and {second}");
    }
    let rest: BTreeSet<u64> = (1..=RECORDS).filter(|record| !refused.contains(record)).collect();
    assert_eq!(*loaded, rest);
}

const SMALL_UNITS: [&str; 8] =
    ["--batch-rows", "100", "--commit-rows", "500", "--max-errors", "4", "--dialect", "csv"];

fn numbers(rows: &[Vec<Option<String>>]) -> BTreeSet<u64> {
    let number = |row: &Vec<Option<String>>| {
        row[0].as_ref().and_then(|text| text.parse().ok()).expect("a number")
    };
    rows.iter().map(number).collect()
}

#[test]
fn equal_keys_in_one_batch_and_across_batches() {
    for parsers in ["1", "3"] {
        let place = Place::new();
        place.sqlite_run("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)");
        place.write("in.csv", file_with_equal_keys(&PAIRS));
        let load = ["in.csv", "--table", "t", "--parsers", parsers, "--chunk-bytes", "2000"];
        place.run(load.iter().chain(&SMALL_UNITS)).expect(2);
        let loaded = numbers(&place.sqlite("SELECT n FROM t"));
        let refused = refused(&place);
        one_of_each_pair(&loaded, &refused);
        if parsers == "1" {
            // In file order the first one stays.
            assert_eq!(refused, PAIRS.iter().map(|pair| pair.1).collect());
        }
    }
}

#[test]
fn equal_keys_across_writers() {
    Server::each(|server| {
        let table = "hostile_equal_keys";
        server.drop_table(table);
        server.query(&format!("CREATE TABLE {table} (id INT PRIMARY KEY, n INT)"));
        let place = Place::new();
        place.write("in.csv", file_with_equal_keys(&PAIRS));
        let load = ["in.csv", "--table", table, "--parsers", "3", "--writers", "2"];
        let more = ["--chunk-bytes", "2000"];
        server.run(&place, load.iter().chain(&more).chain(&SMALL_UNITS)).expect(2);
        let loaded = numbers(&server.query(&format!("SELECT n FROM {table}")));
        one_of_each_pair(&loaded, &refused(&place));
        server.drop_table(table);
    });
}

#[test]
fn constraints_of_servers() {
    Server::each(|server| {
        let (table, parent) = ("hostile_child", "hostile_parent");
        server.drop_table(table);
        server.drop_table(parent);
        server.query(&format!("CREATE TABLE {parent} (id INT PRIMARY KEY)"));
        server.query(&format!("INSERT INTO {parent} VALUES (1)"));
        server.query(&format!(
            "CREATE TABLE {table} (id INT PRIMARY KEY, parent INT NOT NULL, n INT, \
             FOREIGN KEY (parent) REFERENCES {parent} (id), CHECK (n < 100))"
        ));
        let place = Place::new();
        place.write("in.csv", "id,parent,n\n1,1,1\n2,7,1\n3,,1\n4,1,100\n1,1,5\n6,1,6\n");
        let load = ["in.csv", "--table", table, "--max-errors", "all", "--dialect", "csv"];
        server.run(&place, load.iter().chain(&["--writers", "1"])).expect(2);
        let found: Vec<_> = reasons(&place, "in.csv.rejects")
            .iter()
            .map(|reason| {
                let text = |key: &str| reason[key].as_str().map(str::to_owned);
                (reason["record"].as_u64(), text("class"), text("sqlstate").is_some())
            })
            .collect();
        let class =
            |record, class: &str, of_server| (Some(record), Some(class.to_owned()), of_server);
        assert_eq!(
            found,
            [
                class(2, "constraint", true),
                class(3, "null", false),
                class(4, "constraint", true),
                class(5, "duplicate", true),
            ]
        );
        let rows = server.query(&format!("SELECT id, parent, n FROM {table} ORDER BY id"));
        assert_eq!(rows, [row(["1", "1", "1"]), row(["6", "1", "6"])]);
        assert_eq!(place.read("in.csv.rejects"), b"2,7,1\n3,,1\n4,1,100\n1,1,5\n");
        server.drop_table(table);
        server.drop_table(parent);
    });
}

#[test]
fn foreign_keys_of_sqlite() {
    let place = Place::new();
    place.sqlite_run(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1);
         CREATE TABLE t (id INTEGER PRIMARY KEY, p INTEGER NOT NULL REFERENCES p (id))",
    );
    place.write("in.csv", "id,p\n1,1\n2,7\n3,1\n");
    let load = ["in.csv", "--table", "t", "--max-errors", "all", "--dialect", "csv"];
    place.run(load.iter().chain(&["--session-sql", "PRAGMA foreign_keys = ON"])).expect(2);
    assert_eq!(place.sqlite("SELECT id FROM t ORDER BY id"), [row(["1"]), row(["3"])]);
    assert_eq!(reasons(&place, "in.csv.rejects")[0]["class"], "constraint");
    assert_eq!(place.read("in.csv.rejects"), b"2,7\n");
}

const SCHEMA: [&str; 5] = ["in.csv", "--table", "t", "--schema", "id INT, n INT"];

#[test]
fn all_rows_bad() {
    let text = lines(0..5_000, |at| format!("{at},bad\n"));
    let place = Place::new();
    place.write("in.csv", format!("id,n\n{text}"));
    let load = SCHEMA.iter().chain(&["--dialect", "csv", "--output", "json", "--parsers", "3"]);
    let stopped = place.run(load.clone()).expect(5).json();
    assert_eq!(stopped["totals"]["rows_loaded"], 0);
    assert_eq!(place.sqlite_value("SELECT count(*) FROM t"), "0");
    let all = Place::new();
    all.write("in.csv", format!("id,n\n{text}"));
    let report = all.run(load.clone().chain(&["--max-errors", "all"])).expect(2).json();
    assert_eq!(report["totals"]["rows_rejected"], 5_000);
    assert_eq!(all.sqlite_value("SELECT count(*) FROM t"), "0");
    assert!(all.read("in.csv.rejects") == text.as_bytes());
    assert_eq!(reasons(&all, "in.csv.rejects").len(), 5_000);
}

/// The same where the table refuses them all, one by one.
#[test]
fn all_rows_refused_by_the_table() {
    Server::each(|server| {
        let table = "hostile_all_refused";
        server.drop_table(table);
        server.query(&format!("CREATE TABLE {table} (id INT, n INT, CHECK (n > 0))"));
        let text = lines(0..700, |at| format!("{at},-1\n"));
        let place = Place::new();
        place.write("in.csv", format!("id,n\n{text}"));
        let load = ["in.csv", "--table", table, "--dialect", "csv", "--max-errors", "all"];
        server.run(&place, load).expect(2);
        assert_eq!(server.value(&format!("SELECT count(*) FROM {table}")), "0");
        assert!(place.read("in.csv.rejects") == text.as_bytes());
        server.drop_table(table);
    });
}

#[test]
fn every_tenth_row_bad_at_the_limit_and_over_it() {
    // A hundred records that the parser refuses, and a hundred that the table refuses.
    let record = |at: u64| match at % 20 {
        3 => format!("{at},bad\n"),
        13 => format!("{at},-1\n"),
        _ => format!("{at},1\n"),
    };
    let text: String = (0..2_000).map(record).collect();
    let run = |limit: &str, parsers: &str| {
        let place = Place::new();
        place.sqlite_run("CREATE TABLE t (id INTEGER, n INTEGER CHECK (n > 0))");
        place.write("in.csv", format!("id,n\n{text}"));
        let load = SCHEMA[..3].iter().chain(&["--dialect", "csv", "--output", "json"]);
        let small = ["--batch-rows", "50", "--commit-rows", "200", "--chunk-bytes", "1000"];
        let more = ["--max-errors", limit, "--parsers", parsers];
        let run = place.run(load.chain(&small).chain(&more));
        let stored = place.sqlite_value("SELECT count(*) FROM t");
        let report = run.json();
        assert_eq!(report["totals"]["rows_loaded"].to_string(), stored, "{limit}");
        (run.status, stored, report["totals"]["rows_rejected"].as_u64().expect("a number"))
    };
    for parsers in ["1", "3"] {
        for limit in ["200", "10%", "all"] {
            assert_eq!(run(limit, parsers), (2, "1800".to_owned(), 200), "{limit}");
        }
        for limit in ["199", "9%", "0"] {
            let (status, stored, rejected) = run(limit, parsers);
            assert_eq!(status, 5, "{limit}");
            assert!(stored.parse::<u64>().expect("a number") < 1_800, "{limit}: {stored}");
            // What stays in the files belongs to what stays in the table.
            assert!(rejected <= 200, "{limit}: {rejected}");
        }
    }
}

/// A column's default is for rows that do not name it, not for those that say NULL.
#[test]
fn nulls_are_no_defaults() {
    Server::each(|server| {
        let table = "hostile_defaults";
        server.drop_table(table);
        server.query(&format!("CREATE TABLE {table} (id INT, n INT DEFAULT 7)"));
        let place = Place::new();
        place.write("in.csv", "id,n\n1,\n2,3\n");
        server.run(&place, ["in.csv", "--table", table, "--dialect", "csv"]).expect(0);
        let rows = server.query(&format!("SELECT n FROM {table} ORDER BY id"));
        assert_eq!(rows, [vec![None], row(["3"])], "{:?}", server.kind);
        server.drop_table(table);
    });
}
