//! The statement that `--explain` shows, keys without an index, and rows that meet.

use crate::database::{Database, Kind};

fn explain(database: &Database, mode: &str, key: &str) -> String {
    let table = database.flag();
    let run = database
        .run(["f.csv", "--explain", "--mode", mode, "--table", &table, "--key", key])
        .expect(0);
    run.stdout
}

fn things(database: &Database, more: &str) {
    let columns = ["k", "n", "v"].map(|name| database.quoted(name));
    let [k, n, v] = &columns;
    let columns = format!("{k} INTEGER NOT NULL, {n} INTEGER NOT NULL, {v} VARCHAR(9)");
    database.create(&format!("{columns}, {more}"));
    database.place.write("f.csv", "k,n,v\n1,1,a\n2,2,b\n1,3,c\n3,1,d\n");
}

#[test]
fn statements_are_shown() {
    Database::each(|database| {
        let key = format!("PRIMARY KEY ({})", database.quoted("k"));
        things(database, &key);
        let upsert = explain(database, "upsert", "k");
        let words = match database.kind {
            Kind::Sqlite => "ON CONFLICT (\"k\") DO UPDATE SET \"n\" = excluded.\"n\"",
            Kind::Postgresql => "ON CONFLICT (\"k\") DO UPDATE SET \"n\" = EXCLUDED.\"n\"",
            Kind::Mariadb => "ON DUPLICATE KEY UPDATE `n` = VALUES(`n`), `v` = VALUES(`v`)",
            Kind::Db2 => "USING SYSIBM.SYSDUMMY1 ON T.\"k\" = ? WHEN MATCHED THEN UPDATE",
        };
        assert!(upsert.contains(words), "{upsert}");
        let order = match database.kind {
            Kind::Sqlite => "one writer, in the order of the file: SQLite has one write connection",
            Kind::Db2 => "one writer, in the order of the file: Derby's MERGE",
            _ => "rows with equal k go to the same writer, in the order of the file",
        };
        assert!(upsert.contains(order), "{upsert}");
        let parsers = upsert.lines().find(|line| line.trim_start().starts_with("parsers")).unwrap();
        assert!(parsers.contains(" 1 ") && parsers.contains("order of the file"), "{parsers}");
        assert!(explain(database, "delete", "k").contains("DELETE FROM"), "{:?}", database.kind);
    });
}

/// A key without a unique index of its own is told before the first row.
#[test]
fn a_key_needs_its_index() {
    for kind in [Kind::Sqlite, Kind::Postgresql, Kind::Mariadb] {
        let database = Database::get(kind);
        let (k, n) = (database.quoted("k"), database.quoted("n"));
        things(&database, &format!("PRIMARY KEY ({k}, {n})"));
        for key in ["k", "n", "k,n,v"] {
            let table = database.flag();
            let run = database.run(["f.csv", "--mode", "upsert", "--table", &table, "--key", key]);
            run.expect(4).says(&["no unique index on exactly", "--key", "--staging"]);
        }
        let table = database.table();
        assert_eq!(database.sql(&format!("SELECT 1 FROM {table}")).len(), 0);
    }
}

/// A table that is not there is not made: ours would have no index on the key.
#[test]
fn no_table_no_upsert() {
    Database::each(|database| {
        database.place.write("f.csv", "k,v\n1,1\n");
        for mode in [&["--mode", "upsert"][..], &["--mode", "delete", "--yes"]] {
            let fixed = ["f.csv", "--table", "never made", "--key", "k", "--create"];
            let run = database.run(fixed.iter().chain(mode)).expect(64);
            run.says(&["there is no table never made"]);
        }
    });
}

/// MariaDB's statement would change the row that it finds by the other index.
#[test]
fn another_unique_index() {
    let database = Database::get(Kind::Mariadb);
    things(&database, "PRIMARY KEY (k), UNIQUE KEY other (n)");
    let flag = database.flag();
    let run = database.run(["f.csv", "--mode", "upsert", "--table", &flag, "--key", "k"]);
    run.expect(4).says(&["unique index other (n) besides the key", "--staging"]);
    // A number that the server makes meets no other.
    things(&database, "id INT AUTO_INCREMENT PRIMARY KEY, UNIQUE KEY own (k)");
    let flag = database.flag();
    let run = database.run(["f.csv", "--mode", "upsert", "--table", &flag, "--key", "k"]);
    run.expect(0);
    let rows = database.sql(&format!("SELECT k, n, v FROM {} ORDER BY k", database.table()));
    let last: Vec<_> = rows.iter().map(|row| row[2].clone().unwrap()).collect();
    assert_eq!(last, ["c", "b", "d"]);
}

/// PostgreSQL looks at the key only. The third record makes room for the fourth in the other
/// index, so no row may pass an earlier one, in whatever batches they come.
#[test]
fn rows_of_different_keys_that_meet() {
    for kind in [Kind::Postgresql, Kind::Db2, Kind::Sqlite] {
        let database = Database::get(kind);
        let (k, n) = (database.quoted("k"), database.quoted("n"));
        for rows in ["1", "2", "3", "100"] {
            things(&database, &format!("PRIMARY KEY ({k}), UNIQUE ({n})"));
            let table = database.flag();
            let fixed = ["f.csv", "--mode", "upsert", "--table", &table, "--key", "k"];
            let run = database.run(fixed.iter().chain(&["-w", "3", "--batch-rows", rows]));
            let why = match kind {
                Kind::Sqlite => "SQLite has one",
                Kind::Db2 => "Derby's MERGE",
                _ => "is unique too",
            };
            run.expect(0).says(&["--writers 3 runs as 1", why]);
            let rows = database.sql(&format!("SELECT {n} FROM {}", database.table()));
            assert_eq!(rows.len(), 3, "{kind:?}");
        }
    }
}

/// With nothing but the key, an upsert adds what is not there.
#[test]
fn keys_and_nothing_else() {
    Database::each(|database| {
        let (table, k) = (database.table(), database.quoted("k"));
        database.create(&format!("{k} INTEGER NOT NULL PRIMARY KEY"));
        database.sql(&format!("INSERT INTO {table} VALUES (2)"));
        database.place.write("k.csv", "k\n1\n2\n3\n1\n2\n");
        let name = database.flag();
        let fixed =
            ["k.csv", "--mode", "upsert", "--table", &name, "--key", "k", "--output", "json"];
        for _ in 0..2 {
            let run = database.run(fixed).expect(0);
            assert_eq!(run.json()["totals"]["rows_loaded"], 5);
        }
        assert_eq!(database.sql(&format!("SELECT 1 FROM {table}")).len(), 3);
    });
}

/// The generic profile has no statement for an upsert; a delete is plain SQL.
#[test]
fn the_generic_profile_deletes_only() {
    let database = Database::get(Kind::Postgresql);
    things(&database, "PRIMARY KEY (k)");
    let (table, flag) = (database.table(), database.flag());
    database.sql(&format!("INSERT INTO {table} VALUES (1, 1, 'a'), (9, 9, 'z')"));
    let fixed = ["f.csv", "--profile", "generic", "--table", &flag, "--key", "k"];
    let run = database.run(fixed.iter().chain(&["--mode", "upsert"]));
    run.expect(4).says(&["profile generic", "--staging"]);
    database.run(fixed.iter().chain(&["--mode", "delete", "--yes"])).expect(0);
    let left = database.sql(&format!("SELECT k FROM {}", database.table()));
    assert_eq!(left, vec![vec![Some("9".to_owned())]]);
}

/// Rows that a trigger drops are rejects, though the database calls the statement a success.
#[test]
fn dropped_rows_are_seen() {
    let database = Database::get(Kind::Postgresql);
    things(&database, "PRIMARY KEY (k)");
    database.sql(
        "CREATE OR REPLACE FUNCTION drop_twos() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN IF NEW.n = 2 THEN RETURN NULL; END IF; RETURN NEW; END'",
    );
    let (table, flag) = (database.table(), database.flag());
    database.sql(&format!(
        "CREATE TRIGGER drop_twos BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW \
         EXECUTE FUNCTION drop_twos()"
    ));
    let fixed = ["f.csv", "--mode", "upsert", "--table", &flag, "--key", "k", "-w", "2"];
    let run = database.run(fixed.iter().chain(&["--max-errors", "all"])).expect(2);
    run.says(&["trigger drop_twos runs for each row"]);
    assert_eq!(database.place.read("f.csv.rejects"), b"2,2,b\n");
}
