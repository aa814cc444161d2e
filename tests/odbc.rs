//! The ODBC sink against real PostgreSQL and MariaDB servers: one body a case, run for both.

use std::fmt::Write as _;
use std::time::Duration;

use fastload::arena::column::NULL_INDICATOR;
use fastload::arena::column::odbc_struct::{Date, Time, Timestamp};
use fastload::arena::{Batch, CellType, Values};
use fastload::config::schema::{Column, LengthUnit, SqlType, TextLength};
use fastload::record::RejectClass;
use fastload::sink::odbc::{ConnectionText, OdbcSpec, OdbcTarget, ProfileName};
use fastload::sink::{ErrorClass, Layout, RowReject, Sink, SinkError, Target};
use odbc_api::{ConnectionOptions, Cursor as _, environment};
use secrecy::SecretString;

type Row = Vec<Option<String>>;

/// One database and what differs in asking it.
struct Server {
    profile: ProfileName,
    text: String,
}

impl Server {
    fn get(profile: ProfileName) -> Self {
        let variable = match profile {
            ProfileName::Postgresql => "FASTLOAD_TEST_POSTGRESQL",
            ProfileName::Mariadb => "FASTLOAD_TEST_MARIADB",
            ProfileName::Generic => unreachable!("no server of its own"),
        };
        let text = std::env::var(variable).unwrap_or_else(|_| {
            panic!(
                "{variable} is not set: `scripts/databases start` starts the servers and gives it"
            )
        });
        // The semicolon at the end is not decoration: see `Keywords::to_text`.
        let text = format!("{};", text.trim_end_matches(';'));
        Self { profile, text }
    }

    fn is_postgresql(&self) -> bool {
        self.profile == ProfileName::Postgresql
    }

    fn spec(&self) -> OdbcSpec {
        OdbcSpec {
            connection: ConnectionText::Keywords(self.text.clone()),
            user: None,
            password: None,
            profile: None,
            connect_timeout: Duration::from_secs(10),
            query_timeout: Duration::from_secs(60),
            session_sql: Vec::new(),
        }
    }

    fn target(&self) -> OdbcTarget {
        OdbcTarget::connect(self.spec()).expect("the test database takes connections")
    }

    fn keyword(&self, names: &[&str]) -> String {
        let pairs = self.text.split(';').filter_map(|part| part.split_once('='));
        let mut found = pairs.filter(|(key, _)| names.iter().any(|n| key.eq_ignore_ascii_case(n)));
        found
            .next()
            .expect("a keyword of the test connection")
            .1
            .to_owned()
    }

    fn query(&self, sql: &str) -> Vec<Row> {
        let connection = environment()
            .unwrap()
            .connect_with_connection_string(&self.text, ConnectionOptions::default())
            .unwrap();
        let Some(mut cursor) = connection.execute(sql, (), None).unwrap() else {
            return Vec::new();
        };
        let columns =
            u16::try_from(odbc_api::ResultSetMetadata::num_result_cols(&mut cursor).unwrap());
        let columns = columns.unwrap();
        let mut rows = Vec::new();
        while let Some(mut row) = cursor.next_row().unwrap() {
            let cells = (1..=columns).map(|number| {
                let mut text = Vec::new();
                let there = row.get_text(number, &mut text).unwrap();
                there.then(|| String::from_utf8(text).unwrap())
            });
            rows.push(cells.collect());
        }
        rows
    }

    fn scalar(&self, sql: &str) -> String {
        self.query(sql)[0][0].clone().unwrap()
    }

    /// A name in this database's quotes.
    fn quoted(&self, name: &str) -> String {
        if self.is_postgresql() {
            format!("\"{}\"", name.replace('"', "\"\""))
        } else {
            format!("`{}`", name.replace('`', "``"))
        }
    }

    /// The bytes of a text or binary column in hexadecimal, so that no driver converts them.
    fn hex_of(&self, column: &Column) -> String {
        let name = self.quoted(&column.name);
        match (self.is_postgresql(), column.ty) {
            (true, SqlType::Binary(_) | SqlType::VarBinary(_)) => format!("encode({name}, 'hex')"),
            (true, _) => format!("encode(convert_to({name}::text, 'UTF8'), 'hex')"),
            (false, _) => format!("LOWER(HEX({name}))"),
        }
    }

    /// What a column holds, in the form in which the tests write values.
    fn shown(&self, column: &Column) -> String {
        let name = self.quoted(&column.name);
        match (column.ty, self.is_postgresql()) {
            (
                SqlType::Char(_) | SqlType::VarChar(_) | SqlType::Binary(_) | SqlType::VarBinary(_),
                _,
            ) => self.hex_of(column),
            (SqlType::Boolean, true) => format!("{name}::int::text"),
            (SqlType::Real, true) => format!("{name}::float8::text"),
            (SqlType::Timestamp { .. }, true) => {
                format!("to_char({name}, 'YYYY-MM-DD HH24:MI:SS.US')")
            }
            (_, true) => format!("{name}::text"),
            (SqlType::Real, false) => format!("CAST(CAST({name} AS DOUBLE) AS CHAR)"),
            (_, false) => format!("CAST({name} AS CHAR)"),
        }
    }
}

fn column(name: &str, ty: SqlType, nullable: bool) -> Column {
    Column {
        name: name.to_owned(),
        ty,
        nullable,
        generated: false,
    }
}

fn characters(max: u32) -> TextLength {
    TextLength {
        max,
        unit: LengthUnit::Characters,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").unwrap();
        out
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..][..2], 16).unwrap())
        .collect()
}

fn numbers(text: &str) -> Vec<u16> {
    text.split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse().unwrap_or(0))
        .collect()
}

/// An arena with these rows; bytes are written in hexadecimal.
fn batch(layout: &Layout, rows: &[Row]) -> Batch {
    let mut batch = Batch::new(&layout.cells, layout.indicators, 0);
    let bytes_of = |cell: &str, ty: CellType| match ty {
        CellType::Bytes => unhex(cell),
        _ => cell.as_bytes().to_vec(),
    };
    let strides: Vec<usize> = (0..layout.cells.len())
        .map(|c| {
            let lengths = rows.iter().filter_map(|row| row[c].as_ref());
            lengths.map(String::len).max().unwrap_or(0).max(1)
        })
        .collect();
    batch.lay_out(rows.len(), &strides);
    for (c, target) in batch.columns.iter_mut().enumerate() {
        let ty = target.cell_type();
        for (r, row) in rows.iter().enumerate() {
            let Some(cell) = &row[c] else {
                target.indicators.set(r, NULL_INDICATOR);
                continue;
            };
            target.indicators.set(r, 0);
            match &mut target.values {
                Values::I16(v) => v[r] = cell.parse().unwrap(),
                Values::I32(v) => v[r] = cell.parse().unwrap(),
                Values::I64(v) => v[r] = cell.parse().unwrap(),
                Values::F32(v) => v[r] = cell.parse().unwrap(),
                Values::F64(v) => v[r] = cell.parse().unwrap(),
                Values::Bytes { data, stride } => {
                    let bytes = bytes_of(cell, ty);
                    data[r * *stride..][..bytes.len()].copy_from_slice(&bytes);
                    target
                        .indicators
                        .set(r, i64::try_from(bytes.len()).unwrap());
                }
                Values::Date(v) => v[r] = date(&numbers(cell)),
                Values::Time(v) => v[r] = time(&numbers(cell)),
                Values::Timestamp(v) => {
                    let n = numbers(cell);
                    let (d, t) = (date(&n), time(&n[3..]));
                    let fraction = cell.split_once('.').map_or("0", |(_, digits)| digits);
                    v[r] = Timestamp {
                        year: d.year,
                        month: d.month,
                        day: d.day,
                        hour: t.hour,
                        minute: t.minute,
                        second: t.second,
                        fraction_ns: format!("{fraction:0<9}").parse().unwrap(),
                    };
                }
                Values::Bit(v) => v[r] = cell.parse().unwrap(),
            }
        }
    }
    batch.set_rows(rows.len());
    batch
}

fn date(n: &[u16]) -> Date {
    Date {
        year: i16::try_from(n[0]).unwrap(),
        month: n[1],
        day: n[2],
    }
}

fn time(n: &[u16]) -> Time {
    Time {
        hour: n[0],
        minute: n[1],
        second: n[2],
    }
}

/// A fresh table, and a sink on it.
struct Table<'s> {
    server: &'s Server,
    target: OdbcTarget,
    /// As the target takes it.
    name: String,
    /// As statements take it.
    sql: String,
    columns: Vec<Column>,
    layout: Layout,
}

impl<'s> Table<'s> {
    fn create(server: &'s Server, name: &str, columns: Vec<Column>) -> Self {
        let target = server.target();
        let sql = server.quoted(name);
        target
            .run_sql(&format!("DROP TABLE IF EXISTS {sql}"))
            .unwrap();
        let name = format!("\"{}\"", name.replace('"', "\"\""));
        target.create_table(&name, &columns).unwrap();
        let layout = target.layout(&name, &columns).unwrap();
        Self {
            server,
            target,
            name,
            sql,
            columns,
            layout,
        }
    }

    fn sink(&self) -> Box<dyn Sink> {
        self.target.open(&self.name, &self.columns).unwrap()
    }

    fn batch(&self, rows: &[Row]) -> Batch {
        batch(&self.layout, rows)
    }

    fn count(&self) -> usize {
        let sql = format!("SELECT COUNT(*) FROM {}", self.sql);
        self.server.scalar(&sql).parse().unwrap()
    }

    fn load(&self, rows: &[Row]) -> Vec<RowReject> {
        let mut sink = self.sink();
        let rejects = sink.write(&self.batch(rows)).unwrap();
        sink.commit().unwrap();
        rejects
    }
}

fn some(text: impl ToString) -> Option<String> {
    Some(text.to_string())
}

macro_rules! for_both {
    ($($case:ident),* $(,)?) => {
        mod postgresql {
            use super::*;
            $(#[test] fn $case() { super::$case(&Server::get(ProfileName::Postgresql)); })*
        }
        mod mariadb {
            use super::*;
            $(#[test] fn $case() { super::$case(&Server::get(ProfileName::Mariadb)); })*
        }
    };
}

for_both!(
    types_come_back,
    facts_are_probed,
    one_bad_row,
    bad_rows_of_every_kind,
    several_bad_rows,
    every_row_bad,
    equal_keys_inside_a_batch,
    hostile_names,
    names_in_any_script,
    one_megabyte_values,
    twenty_wide_columns,
    transactions,
    a_failed_transaction_cannot_commit,
    a_killed_connection,
    a_lock_that_is_held,
    refused_connections,
    passwords_with_special_characters,
    too_many_columns,
    missing_table,
    catalog_describes_what_was_created,
    own_types,
    deferred_constraints,
    a_row_larger_than_a_request,
    generic_profile,
    session_statements,
);

fn all_types() -> Vec<Column> {
    vec![
        column("id", SqlType::Integer, false),
        column("small", SqlType::SmallInt, true),
        column("big", SqlType::BigInt, true),
        column(
            "exact",
            SqlType::Decimal {
                precision: 31,
                scale: 10,
            },
            true,
        ),
        column(
            "money",
            SqlType::Decimal {
                precision: 15,
                scale: 2,
            },
            true,
        ),
        column("single", SqlType::Real, true),
        column("double", SqlType::Double, true),
        column("code", SqlType::Char(characters(3)), true),
        column("name", SqlType::VarChar(Some(characters(40))), true),
        column("note", SqlType::VarChar(None), true),
        column("day", SqlType::Date, true),
        column("hour", SqlType::Time, true),
        column("moment", SqlType::Timestamp { precision: 6 }, true),
        column("flag", SqlType::Boolean, true),
        column("bytes", SqlType::VarBinary(Some(20)), true),
    ]
}

/// Row `n` of all types; every fifth cell is NULL.
fn typed_row(n: i32) -> Row {
    let texts = [
        "plain",
        "",
        "NULL",
        "null",
        "é€😀 日本",
        "{a,b}",
        "q\"q'q`q",
        "back\\slash\\",
        " lead",
        "tab\t\n\r",
        "'; DROP TABLE t;--",
        "?{fn x}",
        "%s %n",
        "\\N",
        "\u{feff}bom",
    ];
    let text = texts[usize::try_from(n).unwrap() % texts.len()];
    let sign = if n % 2 == 0 { "" } else { "-" };
    let mut row = vec![
        some(n),
        some(if n % 3 == 0 { 32_767 } else { -32_768 }),
        some(if n % 3 == 0 { i64::MAX } else { i64::MIN }),
        some(format!("{sign}123456789012345678901.{n:010}")),
        some(format!("{sign}9999999999999.{:02}", n % 100)),
        some([0.1f32, -3.402_823_5e38, 1.175_494_4e-38][usize::try_from(n % 3).unwrap()]),
        some(
            [
                0.1f64,
                -1.797_693_134_862_315_7e308,
                2.225_073_858_507_201_4e-308,
            ][usize::try_from(n % 3).unwrap()],
        ),
        some(["EUR", "a€😀", "123"][usize::try_from(n % 3).unwrap()]),
        some(text),
        some(format!("{text}{n}")),
        some(["2024-02-29", "1000-01-01", "9999-12-31"][usize::try_from(n % 3).unwrap()]),
        some(format!("{:02}:{:02}:{:02}", n % 24, n % 60, (n / 7) % 60)),
        some(
            [
                "2024-02-29 23:59:59.999999",
                "1970-01-01 00:00:00.000001",
                "9999-12-31 12:00:00.500000",
            ][usize::try_from(n % 3).unwrap()],
        ),
        some(n % 2),
        some(hex(&[0, 0x5c, 0x22, 0xff, u8::try_from(n % 256).unwrap()])),
    ];
    let count = i32::try_from(row.len()).unwrap();
    for (c, cell) in (0..count).zip(&mut row).skip(1) {
        if (n + c) % 5 == 0 {
            *cell = None;
        }
    }
    row
}

fn types_come_back(server: &Server) {
    for rows in [1, 10, 5_000, 20_000] {
        let table = Table::create(server, "types_come_back", all_types());
        let sent: Vec<Row> = (0..rows).map(typed_row).collect();
        assert_eq!(table.load(&sent), []);
        let shown: Vec<String> = table.columns.iter().map(|c| server.shown(c)).collect();
        let sql = format!(
            "SELECT {} FROM {} t ORDER BY t.{}",
            shown.join(", "),
            table.sql,
            server.quoted("id")
        );
        let stored = server.query(&sql);
        assert_eq!(stored.len(), sent.len());
        for (stored, sent) in stored.iter().zip(&sent) {
            for ((stored, sent), column) in stored.iter().zip(sent).zip(&table.columns) {
                same_value(column, sent.as_deref(), stored.as_deref());
            }
        }
    }
}

fn same_value(column: &Column, sent: Option<&str>, stored: Option<&str>) {
    let context = format!("{}: sent {sent:?}, stored {stored:?}", column.name);
    let (Some(sent), Some(stored)) = (sent, stored) else {
        assert_eq!(sent, stored, "{context}");
        return;
    };
    match column.ty {
        SqlType::Char(_) | SqlType::VarChar(_) => {
            assert_eq!(hex(sent.as_bytes()), stored, "{context}")
        }
        SqlType::Real => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the column is a 32-bit float"
            )]
            let stored = stored.parse::<f64>().unwrap() as f32;
            assert!(
                (stored - sent.parse::<f32>().unwrap()).abs() <= f32::EPSILON * stored.abs(),
                "{context}"
            );
        }
        SqlType::Double => {
            assert_eq!(
                sent.parse::<f64>().unwrap().to_bits(),
                stored.parse::<f64>().unwrap().to_bits(),
                "{context}"
            );
        }
        _ => assert_eq!(sent, stored, "{context}"),
    }
}

fn facts_are_probed(server: &Server) {
    let info = server.target().info();
    assert_eq!(info.profile, server.profile.name());
    let fact = |name: &str| {
        let found = info.facts.iter().find(|(key, _)| key == name);
        found
            .unwrap_or_else(|| panic!("no fact {name} in {:?}", info.facts))
            .1
            .clone()
    };
    assert_eq!(fact("length words"), "8 bytes (measured)");
    assert!(
        fact("text").starts_with("UTF-8 arrives"),
        "{:?}",
        info.facts
    );
    assert!(
        !info.url.contains(&server.keyword(&["PWD", "PASSWORD"])),
        "{}",
        info.url
    );
    assert!(fact("database").len() > 5 && fact("driver").len() > 5);
}

fn keyed() -> Vec<Column> {
    vec![
        column("id", SqlType::Integer, false),
        column("name", SqlType::VarChar(Some(characters(10))), true),
        column("parent", SqlType::Integer, true),
    ]
}

/// A table with a key, a foreign key to itself by row 0, and a check.
fn constrained<'s>(server: &'s Server, name: &str) -> Table<'s> {
    let table = Table::create(server, name, keyed());
    let q = |name: &str| server.quoted(name);
    for constraint in [
        format!("PRIMARY KEY ({})", q("id")),
        format!(
            "FOREIGN KEY ({}) REFERENCES {} ({})",
            q("parent"),
            table.sql,
            q("id")
        ),
        format!("CHECK ({} <> 'forbidden')", q("name")),
    ] {
        table
            .target
            .run_sql(&format!("ALTER TABLE {} ADD {constraint}", table.sql))
            .unwrap();
    }
    assert_eq!(table.load(&[vec![some(0), some("root"), None]]), []);
    table
}

fn good_rows(count: i32) -> Vec<Row> {
    (1..=count)
        .map(|n| vec![some(n), some(format!("n{n}")), some(0)])
        .collect()
}

fn one_bad_row(server: &Server) {
    for bad in [0, 499, 999] {
        let table = constrained(server, "one_bad_row");
        let mut rows = good_rows(1_000);
        rows[bad][0] = some(0);
        let rejects = table.load(&rows);
        assert_eq!(rejects.len(), 1, "{rejects:?}");
        assert_eq!(
            (rejects[0].row, rejects[0].class),
            (bad, RejectClass::Duplicate)
        );
        assert!(
            rejects[0]
                .sqlstate
                .as_deref()
                .is_some_and(|s| s.starts_with("23")),
            "{rejects:?}"
        );
        assert!(rejects[0].native.is_some());
        assert_eq!(table.count(), 1_000);
    }
}

fn bad_rows_of_every_kind(server: &Server) {
    use RejectClass as R;
    for bad in [0, 17, 39] {
        for (class, cell, value) in [
            (R::Duplicate, 0, some(0)),
            (R::Null, 0, None),
            (R::Length, 1, some("longer than ten characters")),
            (R::Constraint, 1, some("forbidden")),
            (R::Constraint, 2, some(123_456)),
        ] {
            let table = constrained(server, "bad_rows_of_every_kind");
            let mut rows = good_rows(40);
            rows[bad][cell] = value;
            let rejects = table.load(&rows);
            assert_eq!(rejects.len(), 1, "{class}: {rejects:?}");
            assert_eq!(
                (rejects[0].row, rejects[0].class),
                (bad, class),
                "{rejects:?}"
            );
            if class == R::Null {
                assert_eq!(rejects[0].column, Some(0), "{rejects:?}");
            }
            assert_eq!(table.count(), 40);
        }
    }
}

fn several_bad_rows(server: &Server) {
    let table = constrained(server, "several_bad_rows");
    let mut rows = good_rows(500);
    rows[100][0] = some(0);
    rows[101][1] = some("forbidden");
    rows[499][0] = None;
    let rejects = table.load(&rows);
    let found: Vec<_> = rejects
        .iter()
        .map(|reject| (reject.row, reject.class))
        .collect();
    assert_eq!(
        found,
        [
            (100, RejectClass::Duplicate),
            (101, RejectClass::Constraint),
            (499, RejectClass::Null)
        ]
    );
    assert_eq!(table.count(), 498);
}

fn every_row_bad(server: &Server) {
    let table = constrained(server, "every_row_bad");
    let rows: Vec<Row> = (0..300).map(|n| vec![some(0), some(n), None]).collect();
    let rejects = table.load(&rows);
    assert_eq!(rejects.len(), 300);
    assert!(
        rejects
            .iter()
            .enumerate()
            .all(|(row, reject)| reject.row == row)
    );
    assert_eq!(table.count(), 1);
}

fn equal_keys_inside_a_batch(server: &Server) {
    let table = constrained(server, "equal_keys_inside_a_batch");
    let mut rows = good_rows(100);
    rows[60][0] = rows[20][0].clone();
    let rejects = table.load(&rows);
    assert_eq!(
        rejects.iter().map(|reject| reject.row).collect::<Vec<_>>(),
        [60]
    );
    let sql = format!(
        "SELECT {} FROM {} WHERE {} = 21",
        server.quoted("name"),
        table.sql,
        server.quoted("id")
    );
    assert_eq!(server.scalar(&sql), "n21");
}

fn hostile_names(server: &Server) {
    let names = [
        "a.b",
        "x\"y",
        "x`y",
        "'; DROP TABLE t; --",
        "sp ace",
        "?",
        "{fn now()}",
        "select",
        "\\",
    ];
    for name in names {
        let columns = vec![
            column(name, SqlType::Integer, true),
            column("v?", SqlType::VarChar(None), true),
        ];
        let table = Table::create(server, name, columns);
        assert_eq!(table.load(&[vec![some(7), some("seven")]]), [], "{name}");
        assert_eq!(
            table.target.columns(&table.name).unwrap().unwrap(),
            table.target.columns(&table.name).unwrap().unwrap()
        );
        assert_eq!(
            table.target.columns(&table.name).unwrap().unwrap()[0].name,
            name
        );
        assert_eq!(table.count(), 1, "{name}");
        table.target.truncate(&table.name).unwrap();
        assert_eq!(table.count(), 0, "{name}");
        table
            .target
            .run_sql(&format!("DROP TABLE {}", table.sql))
            .unwrap();
    }
    let target = server.target();
    for name in ["", "a\0b", &"x".repeat(200)] {
        assert!(target.columns(name).is_err(), "{name:?}");
        assert!(
            target
                .create_table("t", &[column(name, SqlType::Integer, true)])
                .is_err(),
            "{name:?}"
        );
    }
}

fn names_in_any_script(server: &Server) {
    let table = Table::create(
        server,
        "Straße_日本",
        vec![column("größe_数", SqlType::Integer, true)],
    );
    assert_eq!(table.load(&[vec![some(1)]]), []);
    let found = table.target.columns(&table.name).unwrap().unwrap();
    assert_eq!(found[0].name, "größe_数");
    table
        .target
        .run_sql(&format!("DROP TABLE {}", table.sql))
        .unwrap();
}

fn one_megabyte_values(server: &Server) {
    let columns = vec![
        column("id", SqlType::Integer, false),
        column("long", SqlType::VarChar(None), true),
        column("raw", SqlType::VarBinary(None), true),
    ];
    let table = Table::create(server, "one_megabyte_values", columns);
    let rows: Vec<Row> = (0..5)
        .map(|n| {
            let text: String = "\"é\\😀,".chars().cycle().skip(n).take(1 << 18).collect();
            let filler = "y".repeat((1 << 20) - text.len());
            vec![some(n), some(text + &filler), some("5c22".repeat(1 << 19))]
        })
        .collect();
    assert_eq!(table.load(&rows), []);
    let sql = format!(
        "SELECT {}, {} FROM {} ORDER BY {}",
        server.hex_of(&table.columns[1]),
        server.hex_of(&table.columns[2]),
        table.sql,
        server.quoted("id")
    );
    let stored = server.query(&sql);
    assert_eq!(stored.len(), 5);
    for (stored, sent) in stored.iter().zip(&rows) {
        assert!(stored[0].as_deref() == Some(hex(sent[1].as_ref().unwrap().as_bytes()).as_str()));
        assert!(stored[1] == sent[2]);
    }
}

fn twenty_wide_columns(server: &Server) {
    let columns: Vec<Column> = (0..20)
        .map(|n| {
            column(
                &format!("c{n}"),
                SqlType::VarChar(Some(characters(4_000))),
                true,
            )
        })
        .collect();
    let table = Table::create(server, "twenty_wide_columns", columns);
    let row = |n: usize| -> Row {
        (0..20)
            .map(|c| some("é".repeat((n * 997 + c * 211) % 4_001)))
            .collect()
    };
    let rows: Vec<Row> = (0..50).map(row).collect();
    assert_eq!(table.load(&rows), []);
    let sums: usize = rows
        .iter()
        .flatten()
        .flatten()
        .map(|text| text.chars().count())
        .sum();
    let lengths: Vec<String> = (0..20)
        .map(|n| format!("CHAR_LENGTH({})", server.quoted(&format!("c{n}"))))
        .collect();
    let sql = format!("SELECT SUM({}) FROM {}", lengths.join(" + "), table.sql);
    assert_eq!(server.scalar(&sql).parse::<usize>().unwrap(), sums);
    let too_long = vec![some("é".repeat(4_001)); 20];
    assert_eq!(table.load(&[too_long]).len(), 1);
}

fn transactions(server: &Server) {
    let table = constrained(server, "transactions");
    let mut sink = table.sink();
    let rows = good_rows(30);
    assert_eq!(sink.write(&table.batch(&rows[..10])).unwrap(), []);
    sink.rollback().unwrap();
    assert_eq!(table.count(), 1);
    assert_eq!(sink.write(&table.batch(&rows[..10])).unwrap(), []);
    let mut second = rows[10..20].to_vec();
    second[3][0] = some(0);
    assert_eq!(sink.write(&table.batch(&second)).unwrap().len(), 1);
    assert_eq!(sink.write(&table.batch(&[])).unwrap(), []);
    assert_eq!(sink.write(&table.batch(&rows[20..])).unwrap(), []);
    assert_eq!(table.count(), 1);
    sink.commit().unwrap();
    sink.commit().unwrap();
    assert_eq!(table.count(), 30);
    sink.reconnect().unwrap();
    assert_eq!(
        sink.write(&table.batch(&[vec![some(99), None, None]]))
            .unwrap(),
        []
    );
    drop(sink);
    assert_eq!(table.count(), 30);
}

fn a_failed_transaction_cannot_commit(server: &Server) {
    let table = Table::create(server, "a_failed_transaction", keyed());
    let mut sink = table.sink();
    table
        .target
        .run_sql(&format!("DROP TABLE {}", table.sql))
        .unwrap();
    let rows = table.batch(&good_rows(3));
    let error = sink.write(&rows).unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent, "{error}");
    assert!(sink.commit().is_err());
    assert!(sink.write(&rows).is_err());
    sink.rollback().unwrap();
    sink.commit().unwrap();
}

fn a_killed_connection(server: &Server) {
    let table = constrained(server, "a_killed_connection");
    let mut sink = table.sink();
    assert_eq!(sink.write(&table.batch(&good_rows(13))).unwrap(), []);
    if server.is_postgresql() {
        server.query(
            "SELECT pg_terminate_backend(l.pid)::text FROM pg_locks l \
             JOIN pg_class c ON c.oid = l.relation WHERE c.relname = 'a_killed_connection'",
        );
    } else {
        // Thirteen rows: no other test has such a transaction open meanwhile.
        let sql = "SELECT DISTINCT trx_mysql_thread_id FROM information_schema.innodb_trx t \
                   JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id \
                   WHERE p.db = DATABASE() AND t.trx_rows_modified = 13";
        for row in server.query(sql) {
            server.query(&format!("KILL {}", row[0].as_ref().unwrap()));
        }
    }
    let error = sink.write(&table.batch(&good_rows(13))).unwrap_err();
    assert_eq!(error.class, ErrorClass::ConnectionLost, "{error}");
    assert!(sink.commit().is_err());
    sink.reconnect().unwrap();
    assert_eq!(sink.write(&table.batch(&good_rows(13))).unwrap(), []);
    sink.commit().unwrap();
    assert_eq!(table.count(), 14);
}

fn a_lock_that_is_held(server: &Server) {
    let table = constrained(server, "a_lock_that_is_held");
    let rows = table.batch(&good_rows(5));
    let mut holder = table.sink();
    assert_eq!(holder.write(&rows).unwrap(), []);
    let spec = OdbcSpec {
        query_timeout: Duration::from_secs(1),
        ..server.spec()
    };
    let target = OdbcTarget::connect(spec).unwrap();
    let mut waiting = target.open(&table.name, &table.columns).unwrap();
    let error = waiting.write(&rows).unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient, "{error}");
    waiting.rollback().unwrap();
    holder.rollback().unwrap();
    assert_eq!(waiting.write(&rows).unwrap(), []);
    waiting.commit().unwrap();
}

fn connect_error(spec: OdbcSpec) -> SinkError {
    OdbcTarget::connect(spec).expect_err("a refused connection")
}

fn refused_connections(server: &Server) {
    let secret = "hush-hush-4711";
    let wrong = OdbcSpec {
        password: Some(SecretString::from(secret)),
        ..server.spec()
    };
    assert!(!format!("{wrong:?}").contains(secret));
    let error = connect_error(wrong);
    assert_eq!(error.class, ErrorClass::LoginRefused, "{error}");
    assert!(!error.to_string().contains(secret));
    let nobody = OdbcSpec {
        user: Some("nobody;SERVER=elsewhere}".to_owned()),
        ..server.spec()
    };
    assert_eq!(connect_error(nobody).class, ErrorClass::LoginRefused);
    let port = server.keyword(&["PORT"]);
    for text in [
        server.text.replace(&format!("={port}"), "=1"),
        "DRIVER={no such driver}".to_owned(),
    ] {
        let spec = OdbcSpec {
            connection: ConnectionText::Keywords(text),
            ..server.spec()
        };
        let error = connect_error(spec);
        assert_eq!(error.class, ErrorClass::CannotConnect, "{error}");
    }
}

/// Blanks at either end are left out: MariaDB's driver strips them, in braces too.
fn passwords_with_special_characters(server: &Server) {
    let target = server.target();
    for (n, password) in ["a;b}c{d", "{x", "}", "p+q=r %41", "é😀", "'\"\\"]
        .iter()
        .enumerate()
    {
        let user = format!("fl_special_{n}");
        if server.is_postgresql() {
            let literal = password.replace('\'', "''");
            target
                .run_sql(&format!("DROP ROLE IF EXISTS {user}"))
                .unwrap();
            target
                .run_sql(&format!("CREATE ROLE {user} LOGIN PASSWORD '{literal}'"))
                .unwrap();
        } else {
            let literal = password.replace('\\', "\\\\").replace('\'', "''");
            // The accounts of one name for each host, because a server may have an account
            // without a name for one of them, which would come first.
            for host in ["%", "localhost", "127.0.0.1"] {
                let user = format!("{user}@'{host}'");
                let sql = format!("CREATE OR REPLACE USER {user} IDENTIFIED BY '{literal}'");
                target.run_sql(&sql).unwrap();
                let database = server.keyword(&["DATABASE", "DB"]);
                target
                    .run_sql(&format!("GRANT ALL ON {database}.* TO {user}"))
                    .unwrap();
            }
        }
        let spec = OdbcSpec {
            user: Some(user),
            password: Some(SecretString::from(*password)),
            ..server.spec()
        };
        let connected = OdbcTarget::connect(spec);
        assert!(connected.is_ok(), "{password:?}: {:?}", connected.err());
    }
}

fn too_many_columns(server: &Server) {
    let columns: Vec<Column> = (0..1_700)
        .map(|n| column(&format!("c{n}"), SqlType::Integer, true))
        .collect();
    let target = server.target();
    let error = target
        .create_table("too_many_columns", &columns)
        .unwrap_err();
    assert!(error.message.contains("1700 columns"), "{error}");
    let error = target.layout("too_many_columns", &columns).unwrap_err();
    assert!(error.message.contains("1700 columns"), "{error}");
    let most = if server.is_postgresql() { 1_600 } else { 1_017 };
    let table = Table::create(server, "most_columns", columns[..most].to_vec());
    let row: Row = (0..most)
        .map(|n| (n % 7 != 0).then(|| n.to_string()))
        .collect();
    assert_eq!(table.load(&[row.clone(), row]), []);
    assert_eq!(table.count(), 2);
}

fn missing_table(server: &Server) {
    let target = server.target();
    assert_eq!(target.columns("no_such_table").unwrap(), None);
    let columns = [column("id", SqlType::Integer, true)];
    assert!(target.layout("no_such_table", &columns).is_err());
    let table = Table::create(server, "missing_column", columns.to_vec());
    let other = [column("other", SqlType::Integer, true)];
    let error = table.target.layout(&table.name, &other).unwrap_err();
    assert!(error.message.contains("other"), "{error}");
}

fn catalog_describes_what_was_created(server: &Server) {
    let table = Table::create(server, "catalog_describes", all_types());
    let found = table.target.columns(&table.name).unwrap().unwrap();
    for (found, created) in found.iter().zip(&table.columns) {
        let same = found.ty == created.ty
            || matches!(
                (created.name.as_str(), found.ty),
                ("note", SqlType::VarChar(_)) | ("bytes", SqlType::VarBinary(_))
            );
        assert!(same, "{found:?} from {created:?}");
        assert_eq!(
            (&found.name, found.nullable, found.generated),
            (&created.name, created.nullable, false)
        );
    }
    let (identity, generated) = if server.is_postgresql() {
        (
            "integer GENERATED BY DEFAULT AS IDENTITY",
            "integer GENERATED ALWAYS AS (1 + 1) STORED",
        )
    } else {
        (
            "integer AUTO_INCREMENT UNIQUE",
            "integer GENERATED ALWAYS AS (1 + 1) VIRTUAL",
        )
    };
    for (name, ty) in [("own", identity), ("derived", generated)] {
        table
            .target
            .run_sql(&format!("ALTER TABLE {} ADD {name} {ty}", table.sql))
            .unwrap();
    }
    let found = table.target.columns(&table.name).unwrap().unwrap();
    assert!(
        found[found.len() - 2..]
            .iter()
            .all(|column| column.generated),
        "{found:?}"
    );
}

fn own_types(server: &Server) {
    let target = server.target();
    let name = "own_types";
    target
        .run_sql(&format!("DROP TABLE IF EXISTS {name}"))
        .unwrap();
    let (ddl, good, bad): (_, Vec<&str>, Vec<&str>) = if server.is_postgresql() {
        target.run_sql("DROP DOMAIN IF EXISTS short_text").unwrap();
        target
            .run_sql("CREATE DOMAIN short_text AS varchar(3) CHECK (VALUE <> 'no')")
            .unwrap();
        (
            "u uuid, j jsonb, i inet, n numeric, a int[], b bit(3), t timestamptz, d short_text",
            vec![
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                "{\"a\": \"b,c\"}",
                "10.0.0.1",
                "1.23456789012345678901234567890",
                "{1,2}",
                "101",
                "2024-01-01 00:00:00+00",
                "yes",
            ],
            vec![
                "not a uuid",
                "{",
                "10.0.0",
                "x",
                "{",
                "1010",
                "yesterday-ish",
                "long",
            ],
        )
    } else {
        (
            "e enum('a','b'), y year, u bigint unsigned, b bit(1)",
            vec!["a", "2024", "18446744073709551615", "1"],
            vec!["c", "3000"],
        )
    };
    target
        .run_sql(&format!("CREATE TABLE {name} ({ddl})"))
        .unwrap();
    let columns = target.columns(name).unwrap().unwrap();
    let layout = target.layout(name, &columns).unwrap();
    let row: Row = good.iter().map(some).collect();
    let mut rows = vec![row.clone()];
    for (c, bad) in bad.iter().enumerate() {
        let mut broken = row.clone();
        broken[c] = some(bad);
        rows.push(broken);
    }
    let mut sink = target.open(name, &columns).unwrap();
    let rejects = sink.write(&batch(&layout, &rows)).unwrap();
    sink.commit().unwrap();
    let expected: Vec<usize> = (1..=bad.len()).collect();
    assert_eq!(
        rejects.iter().map(|reject| reject.row).collect::<Vec<_>>(),
        expected,
        "{rejects:?}"
    );
    assert_eq!(server.scalar(&format!("SELECT COUNT(*) FROM {name}")), "1");
    if server.is_postgresql() {
        assert_eq!(
            server.scalar(&format!("SELECT n::text FROM {name}")),
            good[3]
        );
        let one = server.query(&format!("SELECT d::text, b::text FROM {name}"));
        assert_eq!(one[0], [some("yes"), some("101")]);
    } else {
        assert_eq!(
            server.scalar(&format!("SELECT CAST(u AS CHAR) FROM {name}")),
            good[2]
        );
        assert_eq!(server.scalar(&format!("SELECT e FROM {name}")), "a");
        target.run_sql("DROP TABLE IF EXISTS my_isam").unwrap();
        target
            .run_sql("CREATE TABLE my_isam (a int) ENGINE=MyISAM")
            .unwrap();
        let columns = target.columns("my_isam").unwrap().unwrap();
        let error = target.layout("my_isam", &columns).unwrap_err();
        assert!(error.message.contains("MyISAM"), "{error}");
    }
}

/// A constraint that would be checked at the commit is checked where its row can still be named.
fn deferred_constraints(server: &Server) {
    let table = Table::create(server, "deferred_constraints", keyed());
    let deferrable = if server.is_postgresql() {
        " DEFERRABLE INITIALLY DEFERRED"
    } else {
        ""
    };
    let sql = format!(
        "ALTER TABLE {} ADD UNIQUE ({}){deferrable}",
        table.sql,
        server.quoted("id")
    );
    table.target.run_sql(&sql).unwrap();
    let mut rows = good_rows(20);
    for row in &mut rows {
        row[2] = None;
    }
    rows[7][0] = rows[3][0].clone();
    let rejects = table.load(&rows);
    assert_eq!(
        rejects.iter().map(|reject| reject.row).collect::<Vec<_>>(),
        [7]
    );
    assert_eq!(table.count(), 19);
}

/// MariaDB takes requests up to `max_allowed_packet`; a larger one ends the connection.
fn a_row_larger_than_a_request(server: &Server) {
    if server.is_postgresql() {
        // Its bound is 1 GiB, more than an arena may have.
        return;
    }
    let packet: usize = server
        .scalar("SELECT @@max_allowed_packet")
        .parse()
        .unwrap();
    let columns = vec![column("v", SqlType::VarChar(None), true)];
    let table = Table::create(server, "a_row_larger_than_a_request", columns);
    let rows: Vec<Row> = [10, packet / 8 * 7, packet, packet / 8 * 7, 20]
        .map(|length| vec![some("x".repeat(length))])
        .into();
    let rejects = table.load(&rows);
    let found: Vec<_> = rejects.iter().map(|r| (r.row, r.class)).collect();
    assert_eq!(found, [(2, RejectClass::Length)], "{rejects:?}");
    let sql = format!("SELECT SUM(CHAR_LENGTH(v)) FROM {}", table.sql);
    assert_eq!(server.scalar(&sql), (packet / 8 * 14 + 30).to_string());
    table
        .target
        .run_sql(&format!("DROP TABLE {}", table.sql))
        .unwrap();
}

/// Plain arrays under the generic profile, through drivers that deserve a better one.
fn generic_profile(server: &Server) {
    let table = Table::create(server, "generic_profile", all_types()[..13].to_vec());
    table
        .target
        .run_sql(&format!(
            "ALTER TABLE {} ADD PRIMARY KEY ({})",
            table.sql,
            server.quoted("id")
        ))
        .unwrap();
    let spec = OdbcSpec {
        profile: Some(ProfileName::Generic),
        ..server.spec()
    };
    let target = OdbcTarget::connect(spec).unwrap();
    let columns = target.columns(&table.name).unwrap().unwrap();
    let layout = target.layout(&table.name, &columns).unwrap();
    assert_eq!(target.columns("no_such_table").unwrap(), None);
    let mut rows: Vec<Row> = (0..300).map(|n| typed_row(n)[..13].to_vec()).collect();
    rows[200][0] = some(7);
    let mut sink = target.open(&table.name, &columns).unwrap();
    let rejects = sink.write(&batch(&layout, &rows)).unwrap();
    sink.commit().unwrap();
    assert_eq!(rejects.len(), 1, "{rejects:?}");
    assert_eq!(rejects[0].row, 200);
    assert_eq!(table.count(), 299);
    rows.remove(200);
    let shown: Vec<String> = table.columns.iter().map(|c| server.shown(c)).collect();
    let sql = format!(
        "SELECT {} FROM {} t ORDER BY t.{}",
        shown.join(", "),
        table.sql,
        server.quoted("id")
    );
    for (stored, sent) in server.query(&sql).iter().zip(&rows) {
        for ((stored, sent), column) in stored.iter().zip(sent).zip(&table.columns) {
            same_value(column, sent.as_deref(), stored.as_deref());
        }
    }
}

fn session_statements(server: &Server) {
    let spec = |sql: &str| OdbcSpec {
        session_sql: vec![sql.to_owned()],
        ..server.spec()
    };
    assert!(OdbcTarget::connect(spec("nonsense")).is_err());
    let sql = if server.is_postgresql() {
        "SET TIME ZONE '+03:00'"
    } else {
        "SET time_zone = '+03:00'"
    };
    let facts = OdbcTarget::connect(spec(sql)).unwrap().info().facts;
    let zone = facts.iter().find(|(name, _)| name == "time zone").unwrap();
    assert!(zone.1.contains("03"), "{zone:?}");
}
