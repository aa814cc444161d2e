//! Random changes against a map: last one wins, bad rows cost themselves, counts add up.

use std::collections::BTreeMap;

use crate::database::{Database, Kind};
use crate::support::Rows;

/// A small generator of numbers that is the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % bound
    }
}

/// A table whose key is two columns, the last of them with a name that needs quotes, and what is
/// in it by a map.
struct Model {
    table: BTreeMap<(i64, i64), (String, String)>,
    dice: Dice,
}

const KEY: &str = "part,k \"2";
const HEADER: &str = "note,part,amount,\"k \"\"2\"\n";

/// What a file must leave behind.
struct Expected {
    loaded: u64,
    rejects: String,
}

impl Model {
    fn new(database: &Database, seed: u64) -> Self {
        let (part, k) = (database.quoted("part"), database.quoted("k \"2"));
        let (note, amount) = (database.quoted("note"), database.quoted("amount"));
        let decimal = match database.kind {
            // A column of text affinity keeps the digits.
            Kind::Sqlite => "DECIMAL_TEXT(9,2)",
            _ => "DECIMAL(9,2)",
        };
        let limit = match database.kind {
            Kind::Sqlite => format!("CAST({amount} AS REAL) < 1000"),
            _ => format!("{amount} < 1000"),
        };
        database.create(&format!(
            "{note} VARCHAR(20), {part} INTEGER NOT NULL, {amount} {decimal} CHECK ({limit}), \
             {k} INTEGER NOT NULL, PRIMARY KEY ({k}, {part})"
        ));
        Self { table: BTreeMap::new(), dice: Dice(seed) }
    }

    fn key(&mut self, keys: u64) -> (i64, i64) {
        let key = i64::try_from(self.dice.below(keys)).unwrap();
        (key % 7 - 3, key / 7)
    }

    /// Changes of `keys` keys; every 23rd or so is one that the table's check refuses, or no row.
    fn changes(&mut self, records: u64, keys: u64) -> (String, Expected) {
        let mut text = HEADER.to_owned();
        let mut expected = Expected { loaded: 0, rejects: String::new() };
        for record in 0..records {
            let (part, k) = self.key(keys);
            let kind = self.dice.below(46);
            let amount = match kind {
                0 => "1000.00".to_owned(),
                1 => "x".to_owned(),
                _ => format!("{}.{:02}", self.dice.below(999), self.dice.below(100)),
            };
            let line = format!("n{record},{part},{amount},{k}\n");
            text.push_str(&line);
            if kind < 2 {
                expected.rejects.push_str(&line);
            } else {
                self.table.insert((part, k), (format!("n{record}"), amount));
                expected.loaded += 1;
            }
        }
        (text, expected)
    }

    /// A file of keys, some of them not in the table, some twice.
    fn deletions(&mut self, records: u64, keys: u64) -> (String, Expected) {
        let mut text = "k \"2;other;part\n".to_owned();
        for _ in 0..records {
            let (part, k) = self.key(keys);
            text.push_str(&format!("{k};not a column;{part}\n"));
            self.table.remove(&(part, k));
        }
        (text, Expected { loaded: records, rejects: String::new() })
    }

    #[track_caller]
    fn check(&self, database: &Database) {
        let columns = ["part", "k \"2", "note", "amount"].map(|name| database.quoted(name));
        let rows: Rows = database.sql(&format!(
            "SELECT {} FROM {} ORDER BY {}, {}",
            columns.join(", "),
            database.table(),
            columns[0],
            columns[1],
        ));
        let expected: Rows = self
            .table
            .iter()
            .map(|((part, k), (note, amount))| {
                [part.to_string(), k.to_string(), note.clone(), amount.clone()].map(Some).to_vec()
            })
            .collect();
        assert_eq!(rows.len(), expected.len(), "{:?}", database.kind);
        for (row, expected) in rows.iter().zip(&expected) {
            assert_eq!(row, expected, "{:?}", database.kind);
        }
    }
}

#[track_caller]
fn load(database: &Database, file: &str, expected: &Expected, more: &[&str]) {
    let table = database.flag();
    let fixed = ["--table", &table, "--key", KEY, "--max-errors", "all", "--output", "json"];
    let status = if expected.rejects.is_empty() { 0 } else { 2 };
    let run = database.run([file].iter().chain(&fixed).chain(more)).expect(status);
    let totals = &run.json()["totals"];
    assert_eq!(totals["rows_loaded"], expected.loaded, "{:?}", database.kind);
    let rejects = expected.rejects.lines().count();
    assert_eq!(totals["rows_rejected"], rejects, "{:?}", database.kind);
    if rejects > 0 {
        let found = database.place.read(format!("{file}.rejects"));
        assert_eq!(String::from_utf8(found).unwrap(), expected.rejects);
        std::fs::remove_file(database.place.path(format!("{file}.rejects"))).unwrap();
    }
}

/// A file, the same file again, a changed one, keys to delete; each with other numbers.
#[test]
fn the_table_is_what_a_map_says() {
    Database::each(|database| {
        let mut model = Model::new(database, 7);
        for (round, numbers) in [
            ["-w", "1", "--batch-rows", "1000", "--commit-rows", "5000"],
            ["-w", "1", "--batch-rows", "7", "--commit-rows", "90"],
            ["-w", "3", "--batch-rows", "13", "--commit-rows", "60"],
            ["-w", "4", "--batch-rows", "200", "--commit-rows", "100000"],
        ]
        .iter()
        .enumerate()
        {
            let upsert: Vec<&str> = ["--mode", "upsert"].iter().chain(numbers).copied().collect();
            // Once most keys come again, once few do.
            let keys = if round % 2 == 0 { 60 } else { 900 };
            let (text, expected) = model.changes(400, keys);
            database.place.write("changes.csv", text);
            for _ in 0..2 {
                load(database, "changes.csv", &expected, &upsert);
                model.check(database);
            }
            let delete: Vec<&str> =
                ["--mode", "delete", "--yes", "-d", ";", "--bare-quote", "literal"]
                    .iter()
                    .chain(numbers)
                    .copied()
                    .collect();
            let (text, expected) = model.deletions(90, keys);
            database.place.write("keys.csv", text);
            load(database, "keys.csv", &expected, &delete);
            model.check(database);
        }
    });
}

/// All records have one key: of several writers one has all the work, and the last one wins.
#[test]
fn one_key_for_all_records() {
    Database::each(|database| {
        let mut model = Model::new(database, 3);
        let (text, expected) = model.changes(300, 1);
        database.place.write("changes.csv", text);
        let more = ["--mode", "upsert", "-w", "3", "--batch-rows", "50", "--commit-rows", "40"];
        load(database, "changes.csv", &expected, &more);
        assert_eq!(model.table.len(), 1);
        model.check(database);
    });
}
