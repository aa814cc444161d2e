//! The generator's file with its bad records into each database: counts, sums, rejects.

use std::fs::File;

use fastload::generate::{BadRecords, GenOptions, GenSize, Truth, accounts, accounts_schema};
use serde_json::Value;

use crate::support::{Kind, Place, Run, Server, row};

#[test]
fn the_connection_is_tested() {
    Server::each(|server| {
        let place = Place::new();
        let json = server.run(&place, ["conn", "test", "--output", "json"]).expect(0).json();
        let profile = json["target"]["profile"].as_str().expect("a profile");
        assert_eq!(profile, json["facts"]["profile"]);
        for fact in ["driver", "length words", "text", "bad rows of an array", "encryption"] {
            let value = json["facts"][fact].as_str();
            assert!(value.is_some_and(|value| !value.is_empty()), "{fact}: {json}");
        }
        assert_eq!(json["facts"]["length words"], "8 bytes (measured)");
        let refused = server.with("PWD", "wrong").replace("Password=fastload", "Password=wrong");
        let mut command = place.command();
        command.env("FASTLOAD_TO", format!("odbc:{refused}")).args(["conn", "test"]);
        Run::of(&mut command).expect(12).says(&["login refused"]);
    });
}

const RECORDS: u64 = 20_000;
const BAD_EVERY: u64 = 97;

/// The bank's accounts by the program, the truth about them by the library.
fn bank(place: &Place) -> Truth {
    place.run(["gen", "--rows", "20000", "--bad-every", "97", "-o", "bank.csv"]).expect(0);
    let options = GenOptions {
        size: GenSize::Records(RECORDS),
        seed: 1,
        header: true,
        bad: BadRecords::Every(BAD_EVERY),
    };
    let mut text = Vec::new();
    let truth = accounts(&options, &mut text).expect("memory takes everything");
    assert!(place.read("bank.csv") == text, "the program and the library agree");
    truth
}

/// The bytes of the bad records: each stands on a line of its own, and only good records span
/// lines, so the records are counted by the number that each good one begins with.
fn bad_bytes(place: &Place) -> Vec<u8> {
    let rejects = String::from_utf8(place.read("bank.csv.rejects.jsonl")).expect("UTF-8");
    let file = place.read("bank.csv");
    let mut bytes = Vec::new();
    let mut turn = 0;
    for line in rejects.lines() {
        let line: Value = serde_json::from_str(line).expect("an object");
        let number =
            |key: &str| usize::try_from(line[key].as_u64().expect("a number")).expect("it fits");
        turn += BAD_EVERY;
        assert_eq!(line["record"], turn, "each bad record, in its order");
        let kind = BadRecords::Every(BAD_EVERY).kind(turn).expect("a bad record");
        assert_eq!(line["class"], kind.class().name(), "record {turn}");
        let start = number("byte_offset");
        let newlines = file[..start].iter().filter(|&&byte| byte == b'\n').count();
        assert_eq!(number("line"), newlines + 1);
        bytes.extend_from_slice(&file[start..start + number("byte_length")]);
    }
    assert_eq!(turn / BAD_EVERY, RECORDS / BAD_EVERY);
    bytes
}

fn check_report(place: &Place, run: &Run, truth: &Truth) {
    let report = run.json();
    let totals = &report["totals"];
    assert_eq!(totals["records_read"], RECORDS);
    assert_eq!(totals["rows_loaded"], truth.rows);
    assert_eq!(totals["rows_rejected"], truth.bad);
    assert_eq!(totals["bytes"], truth.bytes);
    assert!(place.read("bank.csv.rejects") == bad_bytes(place));
}

fn decimal(cents: i128) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.abs();
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

const LOAD: [&str; 7] =
    ["bank.csv", "--max-errors", "all", "--output", "json", "--commit-rows", "3000"];

#[test]
fn the_bank_into_sqlite() {
    let place = Place::new();
    let truth = bank(&place);
    for parsers in ["1", "3"] {
        let more = ["--table", "t", "--schema", accounts_schema(), "--parsers", parsers];
        let run = place.run(LOAD.iter().chain(&more)).expect(2);
        check_report(&place, &run, &truth);
        // SQLite keeps the decimals as text, so that no digit is lost.
        let cents = place.sqlite_value(
            "SELECT sum(CAST(replace(CAST(balance AS TEXT), '.', '') AS INTEGER)) FROM t",
        );
        assert_eq!(cents, truth.balance_cents.to_string());
        assert_eq!(
            place.sqlite("SELECT count(*), min(account_id), max(account_id), sum(branch) FROM t"),
            [row([
                &truth.rows.to_string(),
                &truth.account_id_min.to_string(),
                &truth.account_id_max.to_string(),
                &truth.branch_sum.to_string(),
            ])]
        );
        place.sqlite_run("DROP TABLE t");
    }
}

#[test]
fn the_bank_into_servers() {
    Server::each(|server| {
        let place = Place::new();
        let truth = bank(&place);
        server.drop_table("cli_bank");
        let tuned = ["--tune", "auto", "--tune-writers", "1..4"];
        for writers in [&["--writers", "1"], &["--writers", "2"], &tuned[..]] {
            let more = ["--table", "cli_bank", "--schema", accounts_schema()];
            let more =
                more.iter().chain(writers).chain(&["--create", "--mode", "truncate", "--yes"]);
            let run = server.run(&place, LOAD.iter().chain(more)).expect(2);
            check_report(&place, &run, &truth);
            let tuning = &run.json()["tuning"];
            assert_eq!(tuning["writers"]["start"].as_u64(), (writers == tuned).then_some(2));
            let answer = server.query(
                "SELECT count(*), sum(balance), sum(account_id), min(account_id), sum(branch), \
                 count(*) - count(memo) FROM cli_bank",
            );
            let expected = [
                truth.rows.to_string(),
                decimal(truth.balance_cents),
                truth.account_id_sum.to_string(),
                truth.account_id_min.to_string(),
                truth.branch_sum.to_string(),
                truth.nulls[9].to_string(),
            ];
            assert_eq!(answer[0], expected.map(Some), "{:?}", server.kind);
        }
        server.drop_table("cli_bank");
    });
}

#[test]
fn a_file_that_was_corrected_loads() {
    let place = Place::new();
    let load = ["--table", "t", "--schema", "id INT, name VARCHAR(9)"];
    place.write("a.csv", "id,name\n1,ada\nx2,eve\n3,grace\n");
    place.run(["a.csv", "--max-errors", "all"].iter().chain(&load)).expect(2);
    let rejects = String::from_utf8(place.read("a.csv.rejects")).expect("UTF-8");
    place.write("again.csv", rejects.replace('x', ""));
    let more = ["again.csv", "--dialect", "csv", "--no-header"];
    place.run(more.iter().chain(&load)).expect(0);
    assert_eq!(
        place.sqlite_value("SELECT group_concat(id) FROM (SELECT id FROM t ORDER BY id)"),
        "1,2,3"
    );
    File::open(place.path("again.csv.rejects")).expect_err("no rejects, no file");
}

#[test]
fn generated_and_identity_columns_are_left_out() {
    Server::each(|server| {
        server.drop_table("cli_generated");
        let identity = match server.kind {
            Kind::Postgresql => "k INT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
            Kind::Mariadb => "k INT AUTO_INCREMENT PRIMARY KEY",
        };
        server.query(&format!(
            "CREATE TABLE cli_generated ({identity}, name VARCHAR(9), id INT, \
             twice INT GENERATED ALWAYS AS (id * 2) STORED)"
        ));
        let place = Place::new();
        place.write("a.csv", "id,name\n4,ada\n");
        server.run(&place, ["a.csv", "--table", "cli_generated"]).expect(0);
        let answer = server.query("SELECT k, name, id, twice FROM cli_generated");
        assert_eq!(answer, [row(["1", "ada", "4", "8"])]);
        server.drop_table("cli_generated");
    });
}

#[test]
fn nul_bytes_in_servers() {
    Server::each(|server| {
        server.drop_table("cli_nul");
        let place = Place::new();
        place.write("a.csv", "id,name\n1,a\0b\n2,c\n");
        let load = ["a.csv", "--table", "cli_nul", "--schema", "id INT, name VARCHAR(9)"];
        let more = ["--dialect", "csv", "--create", "--max-errors", "all", "--output", "json"];
        let run = server.run(&place, load.iter().chain(&more));
        let report = run.json();
        let length = "SELECT count(*) FROM cli_nul WHERE octet_length(name) = 3";
        match server.kind {
            // It has no NUL in text.
            Kind::Postgresql => {
                assert_eq!((run.status, &report["totals"]["rows_rejected"]), (2, &1.into()));
                assert_eq!(place.read("a.csv.rejects"), b"1,a\0b\n");
            }
            Kind::Mariadb => {
                assert_eq!(run.status, 0, "{run:?}");
                assert_eq!(server.value(length), "1");
            }
        }
        server.drop_table("cli_nul");
    });
}

#[test]
fn a_dropped_column() {
    Server::each(|server| {
        server.drop_table("cli_dropped");
        server.query("CREATE TABLE cli_dropped (id INT, name VARCHAR(9))");
        let place = Place::new();
        place.write("a.csv", "id,name\n1,ada\n");
        let before = "ALTER TABLE cli_dropped DROP COLUMN name";
        let run = server.run(&place, ["a.csv", "--table", "cli_dropped", "--before", before]);
        run.expect(4).says(&["name"]);
        assert_eq!(server.value("SELECT count(*) FROM cli_dropped"), "0");
        server.drop_table("cli_dropped");
    });
}

#[test]
fn values_the_server_refuses() {
    Server::each(|server| {
        server.drop_table("cli_refused");
        server.query(
            "CREATE TABLE cli_refused (id INT PRIMARY KEY, n INT NOT NULL, CHECK (n < 100))",
        );
        let place = Place::new();
        place.write("a.csv", "id,n\n1,1\n2,100\n1,3\n3,3\n");
        let load = ["a.csv", "--table", "cli_refused", "--max-errors", "all", "--output", "json"];
        let run = server.run(&place, load).expect(2);
        let classes = &run.json()["rejects"]["by_class"];
        assert_eq!((&classes["constraint"], &classes["duplicate"]), (&1.into(), &1.into()));
        assert_eq!(server.value("SELECT count(*) FROM cli_refused"), "2");
        let lines = String::from_utf8(place.read("a.csv.rejects.jsonl")).expect("UTF-8");
        for line in lines.lines() {
            let line: Value = serde_json::from_str(line).expect("an object");
            assert!(line["sqlstate"].is_string() && line["native"].is_number(), "{line}");
        }
        server.drop_table("cli_refused");
    });
}
