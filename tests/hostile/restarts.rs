//! The same command again, with something changed in between, and ledgers that are not as they
//! should be.

use crate::case::lines;
use crate::support::{Place, Server, row};
use crate::users::{grant, stored_name, user};

const RECORDS: u64 = 1_000;

/// A file of which a record far behind stops the load, after some commits.
fn file() -> String {
    let record = |id: u64| if id == 800 { "x,bad\n".to_owned() } else { format!("{id},n{id}\n") };
    format!("id,name\n{}", lines(1..=RECORDS, record))
}

const LOAD: [&str; 10] = [
    "in.csv",
    "--table",
    "t",
    "--dialect",
    "csv",
    "--schema",
    "id INT, name VARCHAR(9)",
    "--batch-rows",
    "50",
    "--output",
];

/// A place where the load has stopped with some rows committed.
fn unfinished() -> (Place, u64) {
    let place = Place::resuming();
    place.write("in.csv", file());
    // Rings of two, so that the writer has taken what stands long before the bad record.
    let small = ["json", "--commit-rows", "100", "--parsers", "1", "--ring-batches", "2"];
    let report = place.run(LOAD.iter().chain(&small)).expect(5).json();
    let loaded = report["totals"]["rows_loaded"].as_u64().expect("a count");
    assert!((1..799).contains(&loaded), "{loaded} rows");
    (place, loaded)
}

fn count(place: &Place) -> u64 {
    place.sqlite_value("SELECT count(*) FROM t").parse().expect("a number")
}

#[test]
fn other_threads_and_other_chunks_go_on() {
    for numbers in [["1", "7"], ["3", "64"], ["4", "4MiB"]] {
        let (place, _) = unfinished();
        let more = ["json", "--max-errors", "1", "--parsers", numbers[0]];
        let chunk = ["--chunk-bytes", numbers[1], "--commit-rows", "300"];
        place.run(LOAD.iter().chain(&more).chain(&chunk)).expect(2);
        assert_eq!(
            place.sqlite("SELECT count(*), count(DISTINCT id), sum(id) FROM t"),
            [row(["999", "999", &(RECORDS * (RECORDS + 1) / 2 - 800).to_string()])]
        );
        assert_eq!(place.read("in.csv.rejects"), b"x,bad\n");
    }
}

#[test]
fn a_file_that_was_changed_in_between() {
    let good = file();
    for (changed, what) in [
        (good.replacen("1,n1\n", "1,N1\n", 1), "same length"),
        (good.replace("\nx,bad\n", "\n800,ok\n"), "mended in place"),
        (good[..good.len() - 10].to_owned(), "shorter"),
        (format!("{good}1001,n\n"), "longer"),
    ] {
        let (place, loaded) = unfinished();
        place.write("in.csv", &changed);
        let run = place.run(LOAD.iter().chain(&["json", "--max-errors", "1"])).expect(66);
        let run = run.says(&["in.csv", "--restart"]);
        assert_eq!(count(&place), loaded, "{what}: {}", run.stderr);
    }
}

#[test]
fn a_configuration_that_was_changed_in_between() {
    for (flags, what) in [
        (&["--delimiter", ";"][..], "the dialect"),
        (&["--null-value", "n1"], "what is NULL"),
        (&["--columns", "id"], "the columns"),
        (&["--fields", "pad"], "the rule of fields"),
    ] {
        let (place, loaded) = unfinished();
        let run = place.run(LOAD.iter().chain(&["json", "--max-errors", "1"]).chain(flags));
        let run = run.expect(64);
        assert_eq!(count(&place), loaded, "{what}: {}", run.stderr);
    }
    // The table is another one.
    let (place, loaded) = unfinished();
    place.sqlite_run(
        "ALTER TABLE t RENAME TO old; CREATE TABLE t (id TEXT, name VARCHAR(9)); \
         INSERT INTO t SELECT * FROM old",
    );
    place.run(LOAD.iter().chain(&["json", "--max-errors", "1"])).expect(64);
    assert_eq!(count(&place), loaded);
}

/// Nothing may be loaded that the ledger does not hold.
#[test]
fn a_ledger_of_another_version() {
    let tables = ["FASTLOAD_LEDGER", "FASTLOAD_LEDGER_JOB", "FASTLOAD_LEDGER_FENCE"];
    for table in tables {
        let place = Place::resuming();
        place.write("in.csv", "id,name\n1,ada\n");
        place.sqlite_run(&format!("CREATE TABLE {table} (id INTEGER)"));
        let run = place.run(LOAD.iter().chain(&["json"]));
        assert_ne!(run.status, 0, "{table}");
        run.says(&["FASTLOAD_LEDGER"]);
        let there = "SELECT count(*) FROM sqlite_schema WHERE name = 't'";
        if place.sqlite_value(there) == "1" {
            assert_eq!(count(&place), 0, "{table}");
        }
    }
}

/// A user who may write the table, but no ledger, is told before the first row.
#[test]
fn a_ledger_that_cannot_be_written() {
    Server::each(|server| {
        let (table, name, ledger) = ("hostile_no_ledger", "fl_no_ledger", "hostile_ledger");
        let names = ["", "_JOB", "_FENCE", "_FACT"];
        let names = names.map(|end| stored_name(server, &format!("{ledger}{end}")));
        for name in &names {
            server.drop_table(name);
        }
        server.drop_table(table);
        server.query(&format!("CREATE TABLE {table} (id INT, name VARCHAR(9))"));
        let writer = user(server, name);
        let place = Place::resuming();
        place.write("in.csv", "id,name\n1,ada\n");
        let load = ["in.csv", "--table", table, "--dialect", "csv", "--ledger-table", ledger];
        grant(server, "SELECT, INSERT", table, name);
        let stopped = |what: &str| {
            let run = writer.run(&place, load);
            assert_ne!(run.status, 0, "{what}: {run:?}");
            assert_eq!(server.value(&format!("SELECT count(*) FROM {table}")), "0", "{what}");
            run
        };
        // It may not be made.
        stopped("missing").says(&["init-ledger"]);
        // It may be read only.
        server.run(&place, ["init-ledger", "--ledger-table", ledger]).expect(0);
        for table in &names {
            grant(server, "SELECT", table, name);
        }
        stopped("read only").says(&[ledger]);
        // One of its tables may be read only.
        for table in &names[1..] {
            grant(server, "INSERT, UPDATE, DELETE", table, name);
        }
        stopped("half read only").says(&[ledger]);
        grant(server, "INSERT, UPDATE, DELETE", &names[0], name);
        writer.run(&place, load).expect(0);
        assert_eq!(server.value(&format!("SELECT count(*) FROM {table}")), "1");
        for name in &names {
            server.drop_table(name);
        }
        server.drop_table(table);
    });
}
