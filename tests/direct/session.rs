//! `--session-sql`: on every connection, also the one after a lost one, and never repeated.

use std::time::{Duration, Instant};

use crate::database::{Database, Kind};
use crate::support::{Run, start};

/// Backends of the load, by the name that its session statement gave them.
const BACKENDS: &str =
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'fastload direct'";

/// The backend of a load that waits for a lock is killed: the next connection has the setting
/// again, and the rows go in once.
#[test]
fn the_setting_comes_again_after_a_lost_connection() {
    let database = Database::get(Kind::Postgresql);
    database.create("k int PRIMARY KEY, v int, s text DEFAULT current_setting('app.tag')");
    let (table, flag) = (database.table(), database.flag());
    database.sql(&format!("INSERT INTO {table} (k, v, s) VALUES (1, 0, 'old')"));
    database.sql(
        "CREATE OR REPLACE FUNCTION tag() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN NEW.s := current_setting(''app.tag''); PERFORM pg_sleep(0.4); RETURN NEW; END'",
    );
    database.sql(&format!(
        "CREATE TRIGGER tag BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW \
         EXECUTE FUNCTION tag()"
    ));
    database.place.write("f.csv", "k,v\n1,1\n2,2\n3,3\n4,4\n");
    let child = start(database.command().args([
        "f.csv",
        "--mode",
        "upsert",
        "--table",
        &flag,
        "--key",
        "k",
        "--retry-backoff",
        "1",
        "--session-sql",
        "SET application_name = 'fastload direct'",
        "--session-sql",
        "SET app.tag = 'tagged'",
    ]));
    let began = Instant::now();
    let at_work =
        || database.sql(&format!("{BACKENDS} AND state = 'active' AND query LIKE '%INSERT%'"));
    while at_work().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "no backend has the setting");
        std::thread::sleep(Duration::from_millis(20));
    }
    database.sql(&format!("SELECT pg_terminate_backend(pid) FROM ({BACKENDS}) AS b"));
    Run::end_of(child).expect(0);
    let rows = database.sql(&format!("SELECT k, v, s FROM {table} ORDER BY k"));
    let expected: Vec<Vec<Option<String>>> = (1..=4)
        .map(|n| vec![Some(n.to_string()), Some(n.to_string()), Some("tagged".to_owned())])
        .collect();
    assert_eq!(rows, expected);
}

/// On SQLite: PRAGMA and ATTACH, on each connection.
#[test]
fn sqlite_takes_pragmas_and_attached_files() {
    let database = Database::get(Kind::Sqlite);
    database.sql("CREATE TABLE parents (k INTEGER PRIMARY KEY)");
    database.sql("CREATE TABLE t (k INTEGER PRIMARY KEY, p INTEGER REFERENCES parents)");
    database.place.write("f.csv", "k,p\n1,1\n");
    let fixed = ["f.csv", "--table", "t", "--mode", "upsert", "--key", "k"];
    // The library has foreign keys on unless it is told otherwise, on each connection.
    database.run(fixed).expect(5);
    database.run(fixed.iter().chain(&["--session-sql", "PRAGMA foreign_keys = OFF"])).expect(0);
    let attach = ["--session-sql", "ATTACH 'other.db' AS other"];
    let other = ["f.csv", "--table", "other.t", "--schema", "k INTEGER, p INTEGER"];
    database.run(other.iter().chain(&attach)).expect(0);
    assert!(database.place.path("other.db").exists());
}

#[test]
fn what_a_statement_says_is_not_repeated() {
    Database::each(|database| {
        database.create(&format!("{} INTEGER", database.quoted("k")));
        database.place.write("f.csv", "k\n1\n");
        let table = database.flag();
        let fixed = ["f.csv", "--table", &table, "--session-sql"];
        let run = database.run(fixed.iter().chain(&["SET nothing PASSWORD 'hush hush' AT ALL"]));
        assert_ne!(run.status, 0);
        assert!(run.stderr.contains("--session-sql"), "{}", run.stderr);
        assert!(!run.stderr.contains("hush"), "{}", run.stderr);
        if database.kind == Kind::Sqlite {
            let open = database.run(fixed.iter().chain(&["BEGIN"]));
            open.expect(4).says(&["begins a transaction and does not end it"]);
            let pragma = "PRAGMA user_version = 7 -- 'hush hush'";
            let run = database.run(fixed.iter().chain(&[pragma, "--explain"])).expect(0);
            assert!(!run.stdout.contains("hush"), "{}", run.stdout);
        }
    });
}
