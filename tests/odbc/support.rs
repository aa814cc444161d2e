//! Servers, tables and arenas for the cases.

use fastload::arena::column::NULL_INDICATOR;
use fastload::arena::column::odbc_struct::{Date, Time, Timestamp};
use fastload::arena::{Batch, CellType, Values};
use fastload::config::TlsOptions;
use fastload::config::schema::{Column, LengthUnit, SqlType, TextLength};
use fastload::sink::odbc::{ConnectionText, OdbcSpec, OdbcTarget, ProfileName};
use fastload::sink::{Layout, RowAction, RowReject, Sink, SinkError, Target};
use odbc_api::{ConnectionOptions, Cursor as _, environment};
use std::fmt::Write as _;
use std::time::Duration;
pub(crate) type Row = Vec<Option<String>>;

/// One database and what differs in asking it.
pub(crate) struct Server {
    pub(crate) profile: ProfileName,
    pub(crate) text: String,
    /// Whether rows go by COPY.
    pub(crate) copies: bool,
}

impl Server {
    pub(crate) fn get(profile: ProfileName) -> Self {
        let variable = match profile {
            ProfileName::Postgresql => "FASTLOAD_TEST_POSTGRESQL",
            ProfileName::Mariadb => "FASTLOAD_TEST_MARIADB",
            ProfileName::Db2 | ProfileName::Generic => unreachable!("no server of its own"),
        };
        let text = std::env::var(variable).unwrap_or_else(|_| {
            panic!(
                "{variable} is not set: `scripts/databases start` starts the servers and gives it"
            )
        });
        // The semicolon at the end is not decoration: see `Keywords::to_text`.
        let text = format!("{};", text.trim_end_matches(';'));
        Self { profile, text, copies: false }
    }

    /// PostgreSQL by COPY, in a database of its own: the cases are the same, and so are the names
    /// of their tables.
    #[cfg(feature = "postgresql-copy")]
    pub(crate) fn by_copy() -> Self {
        static CREATED: std::sync::Once = std::sync::Once::new();
        const DATABASE: &str = "fastload_copy";
        let of_driver = Self::get(ProfileName::Postgresql);
        CREATED.call_once(|| {
            let there = format!("SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'");
            if of_driver.query(&there).is_empty() {
                of_driver.query(&format!("CREATE DATABASE {DATABASE}"));
            }
        });
        let own = of_driver.keyword(&["DATABASE"]);
        let text = of_driver.text.replace(&format!("={own};"), &format!("={DATABASE};"));
        assert!(text.contains(DATABASE), "no database in the test connection");
        // The user may have the name of the database.
        let text = text.replace(&format!("UID={DATABASE};"), &format!("UID={own};"));
        Self { text, copies: true, ..of_driver }
    }

    pub(crate) fn is_postgresql(&self) -> bool {
        self.profile == ProfileName::Postgresql
    }

    pub(crate) fn spec(&self) -> OdbcSpec {
        OdbcSpec {
            connection: ConnectionText::Keywords(self.text.clone()),
            user: None,
            password: None,
            tls: TlsOptions::default(),
            profile: None,
            connect_timeout: Duration::from_secs(10),
            query_timeout: Duration::from_secs(60),
            session_sql: Vec::new(),
        }
    }

    pub(crate) fn target(&self) -> OdbcTarget {
        self.connect(self.spec()).expect("the test database takes connections")
    }

    pub(crate) fn connect(&self, spec: OdbcSpec) -> Result<OdbcTarget, SinkError> {
        let target = OdbcTarget::connect(spec)?;
        #[cfg(feature = "postgresql-copy")]
        if self.copies {
            return target.by_copy();
        }
        assert!(!self.copies, "COPY is of a feature");
        Ok(target)
    }

    pub(crate) fn keyword(&self, names: &[&str]) -> String {
        let pairs = self.text.split(';').filter_map(|part| part.split_once('='));
        let mut found = pairs.filter(|(key, _)| names.iter().any(|n| key.eq_ignore_ascii_case(n)));
        found.next().expect("a keyword of the test connection").1.to_owned()
    }

    pub(crate) fn query(&self, sql: &str) -> Vec<Row> {
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

    pub(crate) fn scalar(&self, sql: &str) -> String {
        self.query(sql)[0][0].clone().unwrap()
    }

    /// A name in this database's quotes.
    pub(crate) fn quoted(&self, name: &str) -> String {
        if self.is_postgresql() {
            format!("\"{}\"", name.replace('"', "\"\""))
        } else {
            format!("`{}`", name.replace('`', "``"))
        }
    }

    /// The bytes of a text or binary column in hexadecimal, so that no driver converts them.
    pub(crate) fn hex_of(&self, column: &Column) -> String {
        let name = self.quoted(&column.name);
        match (self.is_postgresql(), column.ty) {
            (true, SqlType::Binary(_) | SqlType::VarBinary(_)) => format!("encode({name}, 'hex')"),
            (true, _) => format!("encode(convert_to({name}::text, 'UTF8'), 'hex')"),
            (false, _) => format!("LOWER(HEX({name}))"),
        }
    }

    /// What a column holds, in the form in which the tests write values.
    pub(crate) fn shown(&self, column: &Column) -> String {
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

pub(crate) fn column(name: &str, ty: SqlType, nullable: bool) -> Column {
    Column { name: name.to_owned(), ty, nullable, generated: false }
}

pub(crate) fn characters(max: u32) -> TextLength {
    TextLength { max, unit: LengthUnit::Characters }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").unwrap();
        out
    })
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..][..2], 16).unwrap()).collect()
}

pub(crate) fn numbers(text: &str) -> Vec<u16> {
    text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0)).collect()
}

/// An arena with these rows; bytes are written in hexadecimal.
pub(crate) fn batch(layout: &Layout, rows: &[Row]) -> Batch {
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
                    target.indicators.set(r, i64::try_from(bytes.len()).unwrap());
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

pub(crate) fn date(n: &[u16]) -> Date {
    Date { year: i16::try_from(n[0]).unwrap(), month: n[1], day: n[2] }
}

pub(crate) fn time(n: &[u16]) -> Time {
    Time { hour: n[0], minute: n[1], second: n[2] }
}

/// A fresh table, and a sink on it.
pub(crate) struct Table<'s> {
    pub(crate) server: &'s Server,
    pub(crate) target: OdbcTarget,
    /// As the target takes it.
    pub(crate) name: String,
    /// As statements take it.
    pub(crate) sql: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) layout: Layout,
}

impl<'s> Table<'s> {
    pub(crate) fn create(server: &'s Server, name: &str, columns: Vec<Column>) -> Self {
        let target = server.target();
        let sql = server.quoted(name);
        target.run_sql(&format!("DROP TABLE IF EXISTS {sql}")).unwrap();
        let name = format!("\"{}\"", name.replace('"', "\"\""));
        target.create_table(&name, &columns).unwrap();
        let layout = target.layout(&name, &columns, &RowAction::Insert).unwrap();
        Self { server, target, name, sql, columns, layout }
    }

    pub(crate) fn sink(&self) -> Box<dyn Sink> {
        self.target.open(&self.name, &self.columns, &RowAction::Insert).unwrap()
    }

    pub(crate) fn batch(&self, rows: &[Row]) -> Batch {
        batch(&self.layout, rows)
    }

    pub(crate) fn count(&self) -> usize {
        let sql = format!("SELECT COUNT(*) FROM {}", self.sql);
        self.server.scalar(&sql).parse().unwrap()
    }

    pub(crate) fn load(&self, rows: &[Row]) -> Vec<RowReject> {
        let mut sink = self.sink();
        let rejects = sink.write(&self.batch(rows)).unwrap();
        sink.commit().unwrap();
        rejects
    }
}

#[expect(
    clippy::unnecessary_wraps,
    clippy::needless_pass_by_value,
    reason = "cells are options; callers give numbers and texts"
)]
pub(crate) fn some(text: impl ToString) -> Option<String> {
    Some(text.to_string())
}

pub(crate) fn all_types() -> Vec<Column> {
    vec![
        column("id", SqlType::Integer, false),
        column("small", SqlType::SmallInt, true),
        column("big", SqlType::BigInt, true),
        column("exact", SqlType::Decimal { precision: 31, scale: 10 }, true),
        column("money", SqlType::Decimal { precision: 15, scale: 2 }, true),
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
pub(crate) fn typed_row(n: i32) -> Row {
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
            [0.1f64, -1.797_693_134_862_315_7e308, 2.225_073_858_507_201_4e-308]
                [usize::try_from(n % 3).unwrap()],
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

pub(crate) fn same_value(column: &Column, sent: Option<&str>, stored: Option<&str>) {
    let context = format!("{}: sent {sent:?}, stored {stored:?}", column.name);
    let (Some(sent), Some(stored)) = (sent, stored) else {
        assert_eq!(sent, stored, "{context}");
        return;
    };
    match column.ty {
        SqlType::Char(_) | SqlType::VarChar(_) => {
            assert_eq!(hex(sent.as_bytes()), stored, "{context}");
        }
        SqlType::Real => {
            #[expect(clippy::cast_possible_truncation, reason = "the column is a 32-bit float")]
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

pub(crate) fn keyed() -> Vec<Column> {
    vec![
        column("id", SqlType::Integer, false),
        column("name", SqlType::VarChar(Some(characters(10))), true),
        column("parent", SqlType::Integer, true),
    ]
}

/// A table with a key, a foreign key to itself by row 0, and a check.
pub(crate) fn constrained<'s>(server: &'s Server, name: &str) -> Table<'s> {
    let table = Table::create(server, name, keyed());
    let q = |name: &str| server.quoted(name);
    for constraint in [
        format!("PRIMARY KEY ({})", q("id")),
        format!("FOREIGN KEY ({}) REFERENCES {} ({})", q("parent"), table.sql, q("id")),
        format!("CHECK ({} <> 'forbidden')", q("name")),
    ] {
        table.target.run_sql(&format!("ALTER TABLE {} ADD {constraint}", table.sql)).unwrap();
    }
    assert_eq!(table.load(&[vec![some(0), some("root"), None]]), []);
    table
}

pub(crate) fn good_rows(count: i32) -> Vec<Row> {
    (1..=count).map(|n| vec![some(n), some(format!("n{n}")), some(0)]).collect()
}
