//! Names and data that would be SQL if anybody pasted them into a statement.

use crate::support::{Kind, Place, Server, row};

/// Names that need their quotes, with what each would break.
const NAMES: [&str; 11] = [
    "select",
    "MixedCase",
    "with space",
    "semi;colon",
    "o'clock",
    "dou\"ble",
    "back`tick",
    "a\\b",
    "x); DROP TABLE bystander;--",
    "?",
    "h\u{e4}user",
];

/// A field of a CSV file.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A table name as `--table` takes it, whatever is in it.
fn table_argument(name: &str) -> String {
    quoted(name)
}

/// A file with all names as its header, and hostile data.
fn hostile_file() -> String {
    let header: Vec<String> = NAMES.iter().map(|name| quoted(name)).collect();
    let header = header.join(",");
    let record = |cell: &str| vec![quoted(cell); NAMES.len()].join(",");
    format!("{header}\n{}\n{}\n", record("'); DROP TABLE bystander;--"), record("\\'; $1 ?"))
}

#[test]
fn hostile_names_in_sqlite() {
    for table in NAMES {
        let place = Place::new();
        place.sqlite_run("CREATE TABLE bystander (x); INSERT INTO bystander VALUES (1)");
        place.write("a.csv", hostile_file());
        let argument = table_argument(table);
        for _ in 0..2 {
            place.run(["a.csv", "--table", &argument, "--dialect", "csv"]).expect(0);
        }
        let sql_name = quoted(table);
        for name in NAMES {
            let rows = place
                .sqlite(&format!("SELECT DISTINCT {} FROM {sql_name} ORDER BY 1", quoted(name)));
            assert_eq!(rows, [row(["'); DROP TABLE bystander;--"]), row(["\\'; $1 ?"])]);
        }
        let tables = place.sqlite(
            "SELECT name FROM sqlite_schema WHERE tbl_name NOT LIKE 'FASTLOAD_LEDGER%' \
             ORDER BY name = 'bystander'",
        );
        assert_eq!(tables, [row([table]), row(["bystander"])]);
        assert_eq!(place.sqlite("SELECT x FROM bystander"), [row(["1"])]);
        place.run(["describe", &argument]).expect(0);
    }
}

#[test]
fn hostile_names_in_servers() {
    Server::each(|server| {
        let bystander = "cli_bystander";
        server.drop_table(bystander);
        server.query(&format!("CREATE TABLE {bystander} (x INT)"));
        let place = Place::new();
        let text = hostile_file().replace("bystander", bystander);
        place.write("a.csv", text);
        for table in ["cli; select", "cli \"quoted\" `name`", "cli'.dot"] {
            server.drop_table(table);
            let argument = table_argument(table);
            let load = ["a.csv", "--table", &argument, "--dialect", "csv", "--create"];
            server.run(&place, load).expect(0);
            server.run(&place, load).expect(0);
            let name = server.quoted(table);
            for column in NAMES {
                let column = server.quoted(&column.replace("bystander", bystander));
                let sql = format!(
                    "SELECT count(*) FROM {name} WHERE {column} LIKE '%DROP TABLE {bystander};--'"
                );
                assert_eq!(server.value(&sql), "2", "{column}");
            }
            server.drop_table(table);
        }
        assert_eq!(server.value(&format!("SELECT count(*) FROM {bystander}")), "0");
        server.drop_table(bystander);
    });
}

#[test]
fn long_names() {
    let long = "n".repeat(200);
    let place = Place::new();
    place.write("a.csv", format!("id,{long}\n1,x\n"));
    place.run(["a.csv", "--table", &long]).expect(0);
    assert_eq!(place.sqlite(&format!("SELECT {long} FROM {long}")), [row(["x"])]);
    // PostgreSQL would cut the name to 63 bytes, MariaDB takes 64 characters.
    Server::each(|server| {
        for arguments in
            [["a.csv", "--table", &long, "--create"], ["a.csv", "--table", "cli_long", "--create"]]
        {
            let run = server.run(&place, arguments);
            assert!([4, 64].contains(&run.status), "{:?}: {run:?}", server.kind);
            assert!(run.stderr.contains("nnn"), "{run:?}");
        }
        let schema = match server.kind {
            Kind::Postgresql => "current_schema()",
            Kind::Mariadb => "DATABASE()",
        };
        let sql = format!(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = {schema} AND \
             (table_name LIKE 'nnn%' OR table_name = 'cli_long')"
        );
        assert_eq!(server.value(&sql), "0", "{:?}", server.kind);
    });
}

#[test]
fn nul_bytes_in_names() {
    let place = Place::new();
    place.write("a.csv", "id,na\0me\n1,x\n");
    let run = place.run(["a.csv", "--table", "t", "--dialect", "csv"]);
    assert!([4, 64, 66].contains(&run.status), "{run:?}");
    assert!(!run.stderr.contains('\0') && run.stderr.contains("NUL"), "{run:?}");
    place.write("job.yaml", "table: \"t\\0x\"\ninput: [b.csv]\n");
    place.write("b.csv", "id\n1\n");
    let run = place.run(["--config", "job.yaml", "--header", "-d", ","]);
    assert!([4, 64, 78].contains(&run.status), "{run:?}");
    assert!(run.stderr.contains("NUL"), "{run:?}");
}

#[test]
fn dots_divide_schema_and_table() {
    Server::each(|server| {
        let place = Place::new();
        place.write("a.csv", "id,name\n1,ada\n");
        let schema = match server.kind {
            Kind::Postgresql => "public",
            Kind::Mariadb => "fastload",
        };
        server.drop_table("cli_dots");
        let table = format!("{schema}.cli_dots");
        server.run(&place, ["a.csv", "--table", &table, "--create"]).expect(0);
        server.run(&place, ["a.csv", "--table", "cli_dots"]).expect(0);
        assert_eq!(server.value(&format!("SELECT count(*) FROM {table}")), "2");
        server.drop_table("cli_dots");
        // In quotes a dot is a letter.
        server.drop_table("cli.dots");
        server.run(&place, ["a.csv", "--table", "\"cli.dots\"", "--create"]).expect(0);
        let name = server.quoted("cli.dots");
        assert_eq!(server.value(&format!("SELECT count(*) FROM {name}")), "1");
        server.drop_table("cli.dots");
        server.run(&place, ["a.csv", "--table", "no_such_schema.t", "--create"]).expect(4);
    });
    let place = Place::new();
    place.write("a.csv", "id,name\n1,ada\n");
    place.run(["a.csv", "--table", "main.t"]).expect(0);
    place.run(["a.csv", "--table", "t"]).expect(0);
    assert_eq!(place.sqlite_value("SELECT count(*) FROM t"), "2");
}
