//! What depends on the server: how long a text may be, which characters it keeps, which tables can
//! be rolled back, and what a data source sets that a load must not have.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::Command;

use crate::case::reasons;
use crate::support::{Kind, Place, Run, Server, row, start};
use crate::users::{grant, user};

fn only(kind: Kind, case: impl Fn(&Server)) {
    Server::each(|server| {
        if server.kind == kind {
            case(server);
        }
    });
}

#[test]
fn characters_of_four_bytes_where_the_table_takes_three() {
    only(Kind::Mariadb, |server| {
        let table = "hostile_utf8mb3";
        server.drop_table(table);
        server.query(&format!(
            "CREATE TABLE {table} (id INT, name VARCHAR(20)) CHARACTER SET utf8mb3"
        ));
        let place = Place::new();
        place.write("in.csv", "id,name\n1,ada\n2,a\u{1f600}b\n3,\u{20ac}\n4,\u{1f600}\n");
        let load = ["in.csv", "--table", table, "--dialect", "csv", "--max-errors", "all"];
        server.run(&place, load).expect(2);
        let codes: Vec<_> = reasons(&place, "in.csv.rejects")
            .iter()
            .map(|reason| (reason["record"].clone(), reason["class"].clone()))
            .collect();
        assert_eq!(codes, [(2.into(), "encoding".into()), (4.into(), "encoding".into())]);
        assert_eq!(
            server.query(&format!("SELECT id, HEX(name) FROM {table} ORDER BY id")),
            [row(["1", "616461"]), row(["3", "E282AC"])]
        );
        server.drop_table(table);
    });
}

/// Texts of exactly as many characters, or bytes, as the column takes, and of one more.
#[test]
fn texts_at_the_limit_and_one_more() {
    let text = "id,name\n1,abc\n2,\u{e4}\u{f6}\u{fc}\n3,\u{1f600}\u{1f600}\u{1f600}\n4,abcd\n\
                5,\u{e4}\u{f6}\u{fc}x\n6,\u{1f600}\u{1f600}\u{1f600}\u{1f600}\n7,abc \n\
                8,e\u{301}xy\n";
    let refused = |place: &Place| -> Vec<u64> {
        let all = reasons(place, "in.csv.rejects");
        assert!(all.iter().all(|reason| reason["class"] == "length"), "{all:?}");
        all.iter().map(|reason| reason["record"].as_u64().expect("a number")).collect()
    };
    let load = ["in.csv", "--dialect", "csv", "--max-errors", "all", "--table"];
    // Characters.
    let place = Place::new();
    place.write("in.csv", text);
    let more = ["t", "--schema", "id INT, name VARCHAR(3)"];
    place.run(load.iter().chain(&more)).expect(2);
    assert_eq!(refused(&place), [4, 5, 6, 7, 8]);
    Server::each(|server| {
        let table = "hostile_lengths";
        for type_name in ["VARCHAR(3)", "CHAR(3)"] {
            server.drop_table(table);
            server.query(&format!("CREATE TABLE {table} (id INT, name {type_name})"));
            let place = Place::new();
            place.write("in.csv", text);
            server.run(&place, load.iter().chain(&[table])).expect(2);
            assert_eq!(refused(&place), [4, 5, 6, 7, 8], "{type_name}");
            let name = server.value(&format!("SELECT name FROM {table} WHERE id = 3"));
            assert_eq!(name, "\u{1f600}".repeat(3));
        }
        // Bytes.
        if server.kind == Kind::Mariadb {
            server.drop_table(table);
            server.query(&format!("CREATE TABLE {table} (id INT, name TINYTEXT)"));
            let place = Place::new();
            let fits = format!("{}x", "\u{e4}".repeat(127));
            let over = "\u{e4}".repeat(128);
            place.write("in.csv", format!("id,name\n1,{fits}\n2,{over}\n"));
            server.run(&place, load.iter().chain(&[table])).expect(2);
            assert_eq!(refused(&place), [2]);
            assert_eq!(server.value(&format!("SELECT OCTET_LENGTH(name) FROM {table}")), "255");
        }
        server.drop_table(table);
    });
}

/// PostgreSQL has no NUL in text: the tail of zeros of a file that was cut and grew again is no
/// value there.
#[test]
fn zeros_at_the_end_of_a_text() {
    only(Kind::Postgresql, |server| {
        let table = "hostile_zeros";
        server.drop_table(table);
        server.query(&format!("CREATE TABLE {table} (id INT, name TEXT)"));
        let place = Place::new();
        let bad = [&b"2,gr"[..], &[0; 3_000]].concat();
        let good = "1,ada and all the others\n".repeat(200);
        place.write("in.csv", [b"id,name\n", good.as_bytes(), bad.as_slice()].concat());
        let load = ["in.csv", "--table", table, "--dialect", "csv", "--max-errors", "all"];
        server.run(&place, load).expect(2);
        assert_eq!(server.query(&format!("SELECT sum(id) FROM {table}")), [row(["200"])]);
        assert_eq!(place.read("in.csv.rejects"), bad);
        assert_eq!(reasons(&place, "in.csv.rejects")[0]["code"], "FL-0319");
        server.drop_table(table);
    });
}

/// Nothing that such a table takes can be taken back.
#[test]
fn a_table_without_transactions_is_refused() {
    only(Kind::Mariadb, |server| {
        let table = "hostile_myisam";
        for engine in ["MyISAM", "Aria", "MEMORY"] {
            server.drop_table(table);
            server.query(
                &format!("CREATE TABLE {table} (id INT, name TEXT) ENGINE={engine}")
                    .replace("TEXT", "VARCHAR(9)"),
            );
            let place = Place::new();
            place.write("in.csv", "id,name\n1,ada\n");
            let run = server.run(&place, ["in.csv", "--table", table, "--dialect", "csv"]);
            assert_ne!(run.status, 0, "{run:?}");
            run.says(&[table, engine]);
            assert_eq!(server.value(&format!("SELECT count(*) FROM {table}")), "0");
        }
        server.drop_table(table);
    });
}

/// A data source of `odbc.ini` with the server's own keywords and one more.
fn source_with(server: &Server, place: &Place, keyword: &str) {
    let mut keywords = server.text.replace(';', "\n");
    if let Some((_, rest)) = server.text.split_once("Driver={")
        && let Some((driver, _)) = rest.split_once('}')
    {
        keywords = keywords.replace(&format!("{{{driver}}}"), driver);
    }
    place.write("odbc.ini", format!("[hostile]\n{keywords}\n{keyword}\n"));
}

/// A load by way of the data source.
fn by_source(place: &Place) -> Command {
    let mut command = place.command();
    command.env("ODBCINI", place.path("odbc.ini")).env("FASTLOAD_TO", "dsn:hostile");
    command
}

/// A bad row late in the unit takes the whole unit back, whatever the data source asks for.
#[test]
fn a_data_source_that_commits_by_itself() {
    only(Kind::Mariadb, |server| {
        let table = "hostile_autocommit";
        let load = ["in.csv", "--table", table, "--dialect", "csv", "--header"];
        // The source's own statement comes before what the load sets; the user's comes after it,
        // and is found out by the first batch.
        for (more, status) in [(&[][..], 5), (&["--session-sql", "SET autocommit=1"], 4)] {
            server.drop_table(table);
            server.query(&format!("CREATE TABLE {table} (id INT PRIMARY KEY)"));
            let place = Place::new();
            place.write("in.csv", "id\n1\n2\n3\n1\n");
            source_with(server, &place, "INITSTMT=SET autocommit=1");
            Run::of(by_source(&place).args(load).args(more)).expect(status);
            assert_eq!(server.value(&format!("SELECT count(*) FROM {table}")), "0", "{more:?}");
        }
        server.drop_table(table);
    });
}

/// A driver that connects again by itself would commit the second half of a unit as if it were
/// all of it.
#[test]
fn a_data_source_that_reconnects_by_itself() {
    only(Kind::Mariadb, |server| {
        let (table, name) = ("hostile_reconnect", "fl_reconnect");
        server.drop_table(table);
        server.query(&format!("CREATE TABLE {table} (id INT)"));
        let place = Place::new();
        source_with(&user(server, name), &place, "AUTO_RECONNECT=1");
        grant(server, "SELECT, INSERT", table, name);
        let load = ["--dialect", "csv", "--header", "--output", "json", "--batch-rows", "1000"];
        let unit = ["--commit-rows", "100000000", "--commit-every", "1h", "--restart", "off"];
        let pipe = place.path("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
        let mut command = by_source(&place);
        let child = start(command.args(["pipe", "--table", table]).args(load).args(unit));
        let mut pipe = OpenOptions::new().write(true).open(pipe).expect("the program opens it");
        let rows = "1234567\n".repeat(1 << 18);
        pipe.write_all(format!("id\n{rows}").as_bytes()).expect("the program reads");
        let open = format!(
            "SELECT p.id FROM information_schema.innodb_trx t JOIN information_schema.processlist \
             p ON p.id = t.trx_mysql_thread_id WHERE p.user = '{name}' AND trx_rows_modified > 0"
        );
        let open = loop {
            // The server looks again only when nobody has asked for a tenth of a second.
            std::thread::sleep(std::time::Duration::from_millis(200));
            if let Some(row) = server.query(&open).first() {
                break row[0].clone().expect("an id");
            }
        };
        server.query(&format!("KILL {open}"));
        pipe.write_all(rows.as_bytes()).expect("the program reads");
        drop(pipe);
        let report = Run::end_of(child).expect(0).json();
        assert_eq!(report["totals"]["rows_loaded"], 1 << 19);
        assert_eq!(report["retries"]["reconnects"], 1, "it is seen");
        let count = server.value(&format!("SELECT count(*) FROM {table}"));
        assert_eq!(count, (1 << 19).to_string());
        server.drop_table(table);
    });
}

#[test]
fn a_trigger_that_raises_an_error() {
    Server::each(|server| {
        let table = "hostile_trigger";
        server.drop_table(table);
        server.query(&format!("CREATE TABLE {table} (id INT, n INT)"));
        match server.kind {
            Kind::Postgresql => {
                server.query(
                    "CREATE OR REPLACE FUNCTION hostile_trigger() RETURNS trigger AS $$ BEGIN \
                     IF NEW.n < 0 THEN RAISE EXCEPTION 'no negative numbers'; END IF; \
                     RETURN NEW; END $$ LANGUAGE plpgsql",
                );
                server.query(&format!(
                    "CREATE TRIGGER refuse BEFORE INSERT ON {table} \
                     FOR EACH ROW EXECUTE FUNCTION hostile_trigger()"
                ));
            }
            Kind::Mariadb => {
                server.query(&format!(
                    "CREATE TRIGGER hostile_trigger BEFORE INSERT ON {table} FOR EACH ROW \
                     IF NEW.n < 0 THEN SIGNAL SQLSTATE '45000' \
                     SET MESSAGE_TEXT = 'no negative numbers'; END IF"
                ));
            }
        }
        let place = Place::new();
        place.write("in.csv", "id,n\n1,1\n2,-2\n3,3\n4,-4\n");
        let load = ["in.csv", "--table", table, "--dialect", "csv", "--max-errors", "all"];
        server.run(&place, load).expect(2);
        let rows = server.query(&format!("SELECT id FROM {table} ORDER BY id"));
        assert_eq!(rows, [row(["1"]), row(["3"])]);
        assert_eq!(place.read("in.csv.rejects"), b"2,-2\n4,-4\n");
        for reason in reasons(&place, "in.csv.rejects") {
            let message = reason["message"].as_str().expect("a text");
            assert!(message.contains("no negative numbers"), "{reason}");
        }
        server.drop_table(table);
    });
}

/// Of a column that the file does not have. Each row needs it, so none gets in.
#[test]
fn a_default_that_raises_an_error() {
    let file = "id\n1\n2\n";
    let load = ["in.csv", "--table", "hostile_default", "--dialect", "csv", "--max-errors", "all"];
    // An error of the statement, says SQLite.
    let place = Place::new();
    place.write("in.csv", file);
    place.sqlite_run(
        "CREATE TABLE hostile_default (id INT, n INT DEFAULT (abs(-9223372036854775807 - 1)))",
    );
    place.run(load).expect(4).says(&["integer overflow"]);
    assert_eq!(place.sqlite_value("SELECT count(*) FROM hostile_default"), "0");
    // Servers find it in the row.
    Server::each(|server| {
        let table = "hostile_default";
        server.drop_table(table);
        let default = match server.kind {
            Kind::Postgresql => "9223372036854775807 + length('x')",
            Kind::Mariadb => "(9223372036854775807 + id)",
        };
        server.query(&format!("CREATE TABLE {table} (id INT, n INT DEFAULT {default})"));
        let place = Place::new();
        place.write("in.csv", file);
        server.run(&place, load).expect(2);
        assert_eq!(server.value(&format!("SELECT count(*) FROM {table}")), "0");
        assert_eq!(place.read("in.csv.rejects"), b"1\n2\n");
        for reason in reasons(&place, "in.csv.rejects") {
            let message = reason["message"].as_str().expect("a text").to_lowercase();
            assert!(message.contains("bigint") && message.contains("out of range"), "{reason}");
        }
        server.drop_table(table);
    });
}
