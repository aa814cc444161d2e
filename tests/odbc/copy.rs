//! What is particular about COPY, and that it stores and refuses what the driver does.

use fastload::arena::Segment;
use fastload::config::TlsMode;
use fastload::config::schema::{Column, LengthUnit, SqlType, TextLength};
use fastload::input::RawSource;
use fastload::record::ByteRange;
use fastload::sink::odbc::{ConnectionText, OdbcSpec, OdbcTarget, ProfileName};
use fastload::sink::staging::OWN_COLUMNS;
use fastload::sink::{RowAction, RowReject, Target};

use super::support::*;

/// The same server, without COPY.
fn by_driver(server: &Server) -> Server {
    Server { profile: server.profile, text: server.text.clone(), copies: false }
}

/// Loads the same rows into the same table by COPY and by the driver: what is stored, as text, and
/// the rejects of both.
fn both_ways(name: &str, ddl: &str, rows: &[Row]) -> [(Vec<Row>, Vec<RowReject>); 2] {
    let copying = Server::by_copy();
    [by_driver(&copying), copying].map(|server| {
        let target = server.target();
        let table = format!("{name}_{}", if server.copies { "copy" } else { "odbc" });
        target.run_sql(&format!("DROP TABLE IF EXISTS {table}")).unwrap();
        target.run_sql(&format!("CREATE TABLE {table} ({ddl})")).unwrap();
        let columns = target.columns(&table).unwrap().unwrap();
        let layout = target.layout(&table, &columns, &RowAction::Insert).unwrap();
        assert_eq!(layout.statement.starts_with("COPY"), server.copies, "{}", layout.statement);
        let mut sink = target.open(&table, &columns, &RowAction::Insert).unwrap();
        let rejects = sink.write(&batch(&layout, rows)).unwrap();
        sink.commit().unwrap();
        let names: Vec<String> =
            columns.iter().map(|column| format!("{}::text", server.quoted(&column.name))).collect();
        // By the order of their insertion.
        let sql = format!("SELECT {} FROM {table} ORDER BY ctid", names.join(", "));
        (server.query(&sql), rejects)
    })
}

/// The same values, the same rejects: row, class, column, state, and the server's words.
#[track_caller]
fn assert_same(name: &str, ddl: &str, rows: &[Row]) -> usize {
    let [(by_driver, refused), (by_copy, refused_by_copy)] = both_ways(name, ddl, rows);
    assert_eq!(by_driver.len() + refused.len(), rows.len());
    assert_eq!(by_copy, by_driver);
    let shown = |reject: &RowReject| {
        // What the driver says of itself.
        let words = reject.message.split(";\nError while").next().unwrap().to_owned();
        (reject.row, reject.class, reject.sqlstate.clone(), words)
    };
    let (theirs, ours): (Vec<_>, Vec<_>) =
        (refused.iter().map(shown).collect(), refused_by_copy.iter().map(shown).collect());
    let table = |words: &str| words.replace(&format!("{name}_copy"), &format!("{name}_odbc"));
    let ours: Vec<_> = ours.into_iter().map(|(a, b, c, words)| (a, b, c, table(&words))).collect();
    assert_eq!(ours, theirs);
    for (ours, theirs) in refused_by_copy.iter().zip(&refused) {
        // COPY says more often which column it was at.
        assert!(ours.column == theirs.column || theirs.column.is_none(), "{ours:?} {theirs:?}");
    }
    refused.len()
}

#[test]
fn edge_values_of_all_types() {
    let ddl = "i2 int2, i4 int4, i8 int8, n numeric(38,10), m numeric(38,0), f4 real, f8 float8, \
               b bool, c char(5), v varchar(5), t text, c1 \"char\", nm name, y bytea, d date, \
               h time(0), ts timestamp(6), t3 timestamp(3)";
    let edge: &[&[&str]] = &[
        &["0", "-32768", "32767", "1"],
        &["0", "-2147483648", "2147483647"],
        &["0", "-9223372036854775808", "9223372036854775807"],
        &[
            "0",
            "-0.0",
            "0.0000000001",
            "-9999999999999999999999999999.9999999999",
            "10000.0001",
            ".5",
            "1.",
            "0001",
            "1.50",
            "100000000.0000000000",
            "9999.9999",
            "-0.00001",
        ],
        &["0", "99999999999999999999999999999999999999", "10000", "100000000"],
        &["0", "-0", "3.4028235e38", "1e-45", "NaN", "inf", "-inf", "0.1"],
        &["0", "-0", "1.7976931348623157e308", "5e-324", "NaN", "inf", "-inf", "0.1"],
        &["0", "1"],
        &["", "a", "a    ", "éé😀éé", " b"],
        &["", "a", "a  ", "éé😀éé", "NULL"],
        &["", "\\N", "a\tb\nc\rd\\e", "\\.", "NULL", "'\"{},", "é😀", "\u{1}\u{7f}"],
        &["", "x", " "],
        &["", "name", "é"],
        &["", "00", "5c0a0d09", "ff00ff"],
        &["0001-01-01", "9999-12-31", "2000-01-01", "1999-12-31", "2000-02-29", "1900-02-28"],
        &["00:00:00", "23:59:59", "12:34:56"],
        &[
            "0001-01-01 00:00:00",
            "9999-12-31 23:59:59.999999",
            "1999-12-31 23:59:59.999999",
            "2000-01-01 00:00:00",
            "1970-01-01 00:00:00.000001",
        ],
        &["0001-01-01 00:00:00.001", "9999-12-31 23:59:59.999", "1582-10-10 10:10:10.1"],
    ];
    let longest = edge.iter().map(|values| values.len()).max().unwrap();
    let mut rows: Vec<Row> = (0..longest)
        .map(|n| edge.iter().map(|values| some(values[n % values.len()])).collect())
        .collect();
    rows.push(vec![None; edge.len()]);
    assert_eq!(assert_same("edges", ddl, &rows), 0);
}

/// Types that are loaded as text with a cast, and what the others are beside them.
#[test]
fn types_without_a_binary_form() {
    let server = Server::by_copy();
    let target = server.target();
    target.run_sql("DROP TABLE IF EXISTS casts_odbc, casts_copy").unwrap();
    target.run_sql("DROP TYPE IF EXISTS casts_mood").unwrap();
    target.run_sql("CREATE TYPE casts_mood AS ENUM ('sad', 'o\\k')").unwrap();
    let ddl = "i int4, f float8, y bytea, d date, h time(0), ts timestamp, b bool, t text, u uuid, \
               j jsonb, ip inet, n numeric, a text[], bits varbit(3), z timestamptz(0), mood \
               casts_mood, iv interval, x char varying";
    let good = [
        "7",
        "-0.1",
        "5cff00",
        "2024-02-29",
        "23:59:59",
        "2024-02-29 23:59:59.123456",
        "1",
        "a\tb\\N\n",
        "A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "{\"a\": \"b\\n,c\"}",
        "10.0.0.1/8",
        "1.2345678901234567890123456789000",
        "{\"a\\\\b\",NULL,\"c,d\"}",
        "101",
        "2024-01-01 00:00:00.6+02",
        "o\\k",
        "1 day 02:03",
        "",
    ];
    let row: Row = good.iter().map(some).collect();
    let mut rows = vec![row.clone(), vec![None; good.len()]];
    for (column, bad) in [
        (8, "no uuid"),
        (9, "{"),
        (10, "10.0.0"),
        (11, "x"),
        (12, "{"),
        (13, "1010"),
        (14, "soon"),
        (15, "glad"),
        (16, "a while"),
    ] {
        let mut broken = row.clone();
        broken[column] = some(bad);
        rows.push(broken);
        rows.push(row.clone());
    }
    assert_eq!(assert_same("casts", ddl, &rows), 9);
}

#[test]
fn bad_rows_are_those_of_the_driver() {
    let ddl = "id int PRIMARY KEY, v varchar(3) CHECK (v <> 'no'), \
               parent int CHECK (parent < 700), n int NOT NULL DEFAULT 1, note text";
    let good = |id: usize| vec![some(id), some("ok"), None, some(1), some("a, b")];
    let bad =
        [(0, some(500)), (0, None), (1, some("long")), (1, some("no")), (2, some(777)), (3, None)];
    // Each at the first row, at the last one, and between others.
    for turn in 0..bad.len() {
        let mut rows: Vec<Row> = (0..64).map(good).collect();
        for (n, (column, value)) in bad.iter().enumerate() {
            let row = [0, 12, 13, 38, 51, 63][(n + turn) % bad.len()];
            rows[row][*column].clone_from(value);
        }
        // The key that comes twice, before or behind.
        rows[20][0] = some(500);
        assert_eq!(assert_same("bad", ddl, &rows), bad.len());
    }
    let every: Vec<Row> = (0..40).map(|_| vec![some(1), some("no"), None, None, None]).collect();
    assert_eq!(assert_same("bad", ddl, &every), 40);
}

/// A trigger that drops rows without a word, and one that refuses them in its own.
#[test]
fn triggers() {
    let server = Server::by_copy();
    let table = constrained(&server, "copy_triggers");
    let run = |sql: &str| table.target.run_sql(sql).unwrap();
    run("CREATE OR REPLACE FUNCTION copy_triggers_f() RETURNS trigger AS 'BEGIN \
         IF NEW.id % 50 = 1 THEN RETURN NULL; END IF; \
         IF NEW.id % 50 = 2 THEN RAISE EXCEPTION ''not %'', NEW.id; END IF; \
         RETURN NEW; END' LANGUAGE plpgsql");
    run(&format!(
        "CREATE TRIGGER t BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION copy_triggers_f()",
        table.sql
    ));
    let rejects = table.load(&good_rows(100));
    let found: Vec<_> = rejects.iter().map(|r| (r.row, r.sqlstate.as_deref())).collect();
    let expected = [(0, None), (1, Some("P0001")), (50, None), (51, Some("P0001"))];
    assert_eq!(found, expected, "{rejects:?}");
    assert!(rejects[1].message.contains("not 2"), "{rejects:?}");
    assert_eq!(table.count(), 97);
}

/// What COPY would do otherwise than INSERT is refused before the first row.
#[test]
fn tables_for_which_copy_is_another_thing() {
    let server = Server::by_copy();
    let target = server.target();
    for (name, ddl, more, word) in [
        ("copy_rule", "a int", "CREATE RULE r AS ON INSERT TO copy_rule DO ALSO NOTIFY x", "rule"),
        ("copy_identity", "a int GENERATED ALWAYS AS IDENTITY", "SELECT 1", "IDENTITY"),
    ] {
        target.run_sql(&format!("DROP TABLE IF EXISTS {name}")).unwrap();
        target.run_sql(&format!("CREATE TABLE {name} ({ddl})")).unwrap();
        target.run_sql(more).unwrap();
        let columns = target.columns(name).unwrap().unwrap();
        let error = target.layout(name, &columns, &RowAction::Insert).unwrap_err();
        let says = error.message.contains(word) && error.message.contains("leave out --copy");
        assert!(says, "{error}");
    }
    let columns = [column("a", SqlType::Integer, false)];
    for action in [RowAction::Upsert { key: vec![0] }, RowAction::Delete { key: vec![0] }] {
        let error = target.layout("copy_rule", &columns, &action).unwrap_err();
        assert!(error.message.contains("--staging"), "{error}");
    }
    assert!(
        OdbcTarget::connect(Server::get(ProfileName::Mariadb).spec()).unwrap().by_copy().is_err()
    );
}

#[test]
fn rows_of_a_staging_table() {
    let server = Server::by_copy();
    let target = server.target();
    for (name, ty) in [("binary", "int"), ("text", "uuid")] {
        let (table, staging) = (format!("staged_{name}"), format!("staged_{name}_rows"));
        let [id, run, file, record] = OWN_COLUMNS;
        for sql in [
            format!("DROP TABLE IF EXISTS {table}, {staging}"),
            format!("CREATE TABLE {table} (a {ty})"),
            format!(
                "CREATE TABLE {staging} (\"{id}\" serial, \"{run}\" varchar(40), \"{file}\" int, \
                 \"{record}\" bigint, a {ty})"
            ),
        ] {
            target.run_sql(&sql).unwrap();
        }
        let action =
            RowAction::Stage { table: staging.clone(), run_id: "run-1".into(), first_sql: None };
        let columns = target.columns(&table).unwrap().unwrap();
        let layout = target.layout(&table, &columns, &action).unwrap();
        let value = |n: u32| match ty {
            "int" => n.to_string(),
            _ => format!("00000000-0000-0000-0000-{n:012}"),
        };
        let rows: Vec<Row> = (0..3).map(|n| vec![some(value(n))]).collect();
        let mut batch = batch(&layout, &rows);
        for (first_row, file, base_record) in [(0, 0, 10), (2, 3, 1 << 40)] {
            batch.segments.push(segment(file, base_record, first_row));
        }
        for (row, record) in [(0, 1), (1, 2), (2, 7)] {
            batch.row_sources[row].record = record;
        }
        let mut sink = target.open(&table, &columns, &action).unwrap();
        assert_eq!(sink.write(&batch).unwrap(), []);
        sink.commit().unwrap();
        let sql =
            format!("SELECT \"{run}\", \"{file}\", \"{record}\", a FROM {staging} ORDER BY 2, 3");
        let far = (1_u64 << 40) + 7;
        let expected = [(0, 11, 0), (0, 12, 1), (3, far, 2)]
            .map(|(file, record, n)| vec![some("run-1"), some(file), some(record), some(value(n))]);
        assert_eq!(server.query(&sql), expected);
    }
}

fn segment(file: usize, base_record: u64, first_row: usize) -> Segment {
    Segment {
        file,
        range: ByteRange { start: 0, end: 0 },
        base_record,
        base_line: 0,
        records: 2,
        first_row,
        share_bytes: None,
        records_before: 0,
        numbered: 0,
        lines_before: 0,
        lines: 0,
        digest: 0,
        source: RawSource::Owned { bytes: std::sync::Arc::default(), base: 0 },
    }
}

/// The connection goes where the driver's does, with what its sessions have.
#[test]
fn addresses() {
    let server = Server::by_copy();
    let with =
        |text: String| OdbcSpec { connection: ConnectionText::Keywords(text), ..server.spec() };
    // The driver's own default.
    let port = server.keyword(&["PORT"]);
    let without = server.text.replace(&format!("Port={port};"), "");
    let error = OdbcTarget::connect(with(without.clone())).and_then(OdbcTarget::by_copy);
    let message = error.expect_err("a part is missing").message;
    assert!(
        without == server.text || message.contains("Port") || message.contains("5432"),
        "{message}"
    );
    let mut encrypted = server.spec();
    encrypted.tls.mode = Some(TlsMode::Require);
    let error = OdbcTarget::connect(encrypted).and_then(OdbcTarget::by_copy).unwrap_err();
    assert!(error.message.contains("--tls"), "{error}");
    // The schema of the session, without a name in the statement.
    let plain = server.target();
    plain.run_sql("DROP SCHEMA IF EXISTS copy_elsewhere CASCADE").unwrap();
    plain.run_sql("CREATE SCHEMA copy_elsewhere").unwrap();
    plain.run_sql("CREATE TABLE copy_elsewhere.only_there (a int)").unwrap();
    let spec = OdbcSpec {
        session_sql: vec!["SET search_path = copy_elsewhere".to_owned()],
        ..server.spec()
    };
    let target = server.connect(spec).unwrap();
    let columns = target.columns("only_there").unwrap().unwrap();
    let layout = target.layout("only_there", &columns, &RowAction::Insert).unwrap();
    let mut sink = target.open("only_there", &columns, &RowAction::Insert).unwrap();
    assert_eq!(sink.write(&batch(&layout, &[vec![some(1)]])).unwrap(), []);
    sink.reconnect().unwrap();
    assert_eq!(sink.write(&batch(&layout, &[vec![some(2)]])).unwrap(), []);
    sink.commit().unwrap();
    assert_eq!(
        server.scalar("SELECT string_agg(a::text, ',') FROM copy_elsewhere.only_there"),
        "2"
    );
}

/// Columns whose values are checked as another type than the table's.
#[test]
fn columns_of_another_type() {
    let server = Server::by_copy();
    let target = server.target();
    target.run_sql("DROP TABLE IF EXISTS copy_others").unwrap();
    target.run_sql("CREATE TABLE copy_others (a int8, b text, c numeric(9,2))").unwrap();
    let text = TextLength { max: 9, unit: LengthUnit::Characters };
    let columns: Vec<Column> = vec![
        column("a", SqlType::Integer, true),
        column("b", SqlType::Char(text), true),
        column("c", SqlType::Double, true),
    ];
    let layout = target.layout("copy_others", &columns, &RowAction::Insert).unwrap();
    let mut sink = target.open("copy_others", &columns, &RowAction::Insert).unwrap();
    let rows = [vec![some(7), some("x"), some(1.25)]];
    assert_eq!(sink.write(&batch(&layout, &rows)).unwrap(), []);
    sink.commit().unwrap();
    let stored = server.query("SELECT a::text, b, c::text FROM copy_others");
    assert_eq!(stored, [vec![some(7), some("x"), some("1.25")]]);
}

/// The program, told by a data source where to go, and what it refuses.
#[test]
fn the_flag() {
    let server = Server::by_copy();
    let target = server.target();
    target.run_sql("DROP TABLE IF EXISTS copy_flag").unwrap();
    target.run_sql("CREATE TABLE copy_flag (id int PRIMARY KEY, note text)").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sources = folder.path().join("odbc.ini");
    let keywords = server.text.split_terminator(';').fold(String::new(), |mut text, pair| {
        text.push_str(&pair.replace(['{', '}'], ""));
        text.push('\n');
        text
    });
    // As the driver reads them there.
    let keywords = [("Server", "Servername"), ("UID", "Username"), ("PWD", "Password")]
        .iter()
        .fold(keywords, |text, (name, there)| {
            text.replace(&format!("{name}="), &format!("{there}="))
        });
    std::fs::write(&sources, format!("[bank]\n{keywords}")).unwrap();
    std::fs::write(folder.path().join("rows.csv"), "id,note\n1,a\n2,b\n1,c\n3,d\n").unwrap();
    let run = |to: &str, flags: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_fastload"))
            .current_dir(folder.path())
            .env("ODBCINI", &sources)
            .env("FASTLOAD_PASSWORD", server.keyword(&["PWD"]))
            .args(["rows.csv", "--table", "copy_flag", "--copy", "--max-errors", "all", "--to", to])
            .args(["--dialect", "csv", "--header", "--restart", "off", "-w", "2"])
            .args(flags)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (status, said) = run("dsn:bank", &[]);
    assert_eq!(status, Some(2), "{said}");
    assert_eq!(server.scalar("SELECT string_agg(note, '' ORDER BY id) FROM copy_flag"), "abd");
    let explained = run("dsn:bank", &["--explain"]).1;
    assert!(explained.contains("FROM STDIN (FORMAT binary)"), "{explained}");
    for (to, flags, words) in [
        ("dsn:bank", &["--tls", "require"][..], "has no encryption"),
        ("sqlite:x.db", &[], "--copy means nothing"),
        ("dsn:bank", &["--mode", "upsert", "--key", "id"], "--staging"),
    ] {
        let (status, said) = run(to, flags);
        assert!(status.is_some_and(|code| code > 2) && said.contains(words), "{status:?}: {said}");
    }
    let (status, said) = run("dsn:bank", &["--mode", "upsert", "--key", "id", "--staging"]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(server.scalar("SELECT string_agg(note, '' ORDER BY id) FROM copy_flag"), "cbd");
}
