//! Which keys are equal is the database's word, and rows whose equality we cannot tell go to one
//! writer.

use crate::database::{Database, Kind};

const FILE: &str = "k,v\na,1\nA,2\nb,3\na ,4\nB,5\n1.0,6\n1.00,7\n";

fn upsert(database: &Database, file: &str, more: &[&str]) -> crate::support::Run {
    let table = database.flag();
    let fixed = [file, "--mode", "upsert", "--table", &table, "--key", "k"];
    database.run(fixed.iter().chain(more))
}

fn rows(database: &Database) -> Vec<String> {
    let answer = database.sql(&format!("SELECT k, v FROM {} ORDER BY v", database.table()));
    let shown = answer.into_iter().map(|row| {
        let cells: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
        cells.join("=")
    });
    shown.collect()
}

/// MariaDB's own collation takes letters of either case, and texts with and without blanks, for
/// equal.
#[test]
fn a_collation_of_few_letters() {
    let database = Database::get(Kind::Mariadb);
    let collated = "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci";
    database.create(&format!("k VARCHAR(10) {collated} NOT NULL PRIMARY KEY, v INT"));
    database.place.write("f.csv", FILE);
    let run = upsert(&database, "f.csv", &["-w", "4", "--batch-rows", "2"]).expect(0);
    run.says(&["--writers 4 runs as 1: collation utf8mb4_general_ci of key column k takes"]);
    assert_eq!(rows(&database), ["a=4", "b=5", "1.0=6", "1.00=7"]);
}

/// `ON CONFLICT (k)` finds an index by its columns, whatever its collation is: one that takes
/// letters of either case for equal decides, and not the column's own.
#[test]
fn a_collation_of_the_index() {
    let database = Database::get(Kind::Postgresql);
    database.create("k text NOT NULL, v int");
    database.sql(
        "CREATE COLLATION IF NOT EXISTS direct_keys_ci \
         (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    );
    let table = database.table();
    database.sql(&format!("CREATE UNIQUE INDEX ON {table} (k COLLATE direct_keys_ci)"));
    database.place.write("f.csv", "k,v\na,1\nA,2\nb,3\nB,4\na,5\nb,6\n");
    let run = upsert(&database, "f.csv", &["-w", "4", "--batch-rows", "2"]).expect(0);
    run.says(&["--writers 4 runs as 1: the collation of key column k takes different texts"]);
    assert_eq!(rows(&database), ["a=5", "b=6"]);
}

/// Where texts are equal byte by byte, several writers take them; a blank at the end counts in
/// PostgreSQL's varchar, and does not in its char(n).
#[test]
fn texts_byte_by_byte() {
    let database = Database::get(Kind::Postgresql);
    database.place.write("f.csv", FILE);
    for (ty, expected) in [
        ("varchar(10)", &["a=1", "A=2", "b=3", "a =4", "B=5", "1.0=6", "1.00=7"][..]),
        ("char(4)", &["A   =2", "b   =3", "a   =4", "B   =5", "1.0 =6", "1.00=7"]),
    ] {
        database.create(&format!("k {ty} PRIMARY KEY, v int"));
        upsert(&database, "f.csv", &["-w", "4", "--batch-rows", "2"]).expect(0);
        assert_eq!(rows(&database), expected);
    }
}

/// A type whose texts are many ways to write one value: equal keys come in one statement, which
/// the server refuses, and are sent one after the other.
#[test]
fn a_type_of_many_texts() {
    let database = Database::get(Kind::Postgresql);
    database.create("k uuid PRIMARY KEY, v int");
    let uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1";
    let file = format!(
        "k,v\n{uuid}1,1\n{uuid}2,2\n{{{}}},3\n{uuid}3,4\n{},5\n",
        format!("{uuid}1").to_uppercase(),
        format!("{uuid}2").replace('-', ""),
    );
    database.place.write("f.csv", file);
    let run = upsert(&database, "f.csv", &["-w", "2"]).expect(0);
    run.says(&["--writers 2 runs as 1: two texts may be the same \"pg_catalog\".\"uuid\""]);
    let expected = [format!("{uuid}1=3"), format!("{uuid}3=4"), format!("{uuid}2=5")];
    // The driver shows uuids in upper case.
    let shown: Vec<String> = rows(&database).iter().map(|row| row.to_lowercase()).collect();
    assert_eq!(shown, expected);
}

/// A decimal of 20 digits is found by its digits: compared as a float it would find others.
#[test]
fn long_numbers_are_found_exactly() {
    Database::each(|database| {
        let ty = match database.kind {
            Kind::Sqlite => "DECIMAL_TEXT(20,2)",
            _ => "DECIMAL(20,2)",
        };
        database.create(&format!("k {ty} NOT NULL PRIMARY KEY, v INT"));
        let near = ["123456789012345678.10", "123456789012345678.11", "123456789012345678.12"];
        for (v, k) in near.iter().enumerate() {
            let literal =
                if database.kind == Kind::Sqlite { format!("'{k}'") } else { (*k).into() };
            let table = database.table();
            database.sql(&format!("INSERT INTO {table} VALUES ({literal}, {v})"));
        }
        database.place.write("k.csv", format!("k\n{}\n", near[1]));
        let flag = database.flag();
        let fixed = ["k.csv", "--mode", "delete", "--yes", "--table", &flag, "--key", "k"];
        database.run(fixed).expect(0);
        let table = database.table();
        let left = database.sql(&format!("SELECT v FROM {table} ORDER BY v"));
        let left: Vec<_> = left.into_iter().map(|row| row[0].clone().unwrap()).collect();
        assert_eq!(left, ["0", "2"], "{:?}", database.kind);
    });
}

/// A record whose key is NULL belongs to no row.
#[test]
fn no_key_no_row() {
    Database::each(|database| {
        let (table, k, v) = (database.table(), database.quoted("k"), database.quoted("v"));
        let flag = database.flag();
        database.create(&format!("{k} INTEGER NOT NULL PRIMARY KEY, {v} INTEGER"));
        database.place.write("f.csv", "v,k\n1,1\n2,\n,3\n");
        let fixed = ["f.csv", "--table", &flag, "--key", "k", "--max-errors", "1"];
        for mode in [&["--mode", "upsert"][..], &["--mode", "delete", "--yes"]] {
            database.run(fixed.iter().chain(mode)).expect(2);
            let rejects = database.place.read("f.csv.rejects.jsonl");
            let rejects = String::from_utf8(rejects).unwrap();
            assert!(rejects.contains("\"class\":\"null\""), "{rejects}");
            assert!(rejects.contains("no value for a column of --key"), "{rejects}");
            let count = database.sql(&format!("SELECT count(*) FROM {table}"));
            let left = if mode[1] == "upsert" { "2" } else { "0" };
            assert_eq!(count[0][0].as_deref(), Some(left));
        }
    });
}

/// MariaDB compares a FLOAT as a DOUBLE: a delete by such a key would find no 0.1,
/// and call it done.
#[test]
fn a_float_as_a_key() {
    let database = Database::get(Kind::Mariadb);
    database.create("k FLOAT NOT NULL PRIMARY KEY, v INT");
    database.sql(&format!("INSERT INTO {} VALUES (0.1, 1), (1.5, 2), (7, 3)", database.table()));
    database.place.write("f.csv", "k\n0.1\n1.5\n");
    let table = database.flag();
    let fixed = ["f.csv", "--mode", "delete", "--table", &table, "--key", "k", "--yes"];
    database.run(fixed).expect(4).says(&["key column k is a FLOAT", "--staging"]);
    assert_eq!(rows(&database).len(), 3);
    database.run(fixed.iter().chain(&["--staging"])).expect(0);
    assert_eq!(rows(&database), ["7=3"]);
}
