//! Values at the edges of their types, in SQLite and in the servers: stored as they stand in the
//! file, or a reject with the right code.

use crate::case::{Case, NULL, reasons};
use crate::support::{Kind, Place, Rows, Server};

/// What must become of a text: a value that prints so, or a reject with this code.
type Fate = Result<&'static str, &'static str>;

/// One type and its values.
struct Edges {
    /// As in `--schema`.
    type_name: &'static str,
    values: &'static [(&'static str, Fate)],
}

const EDGES: [Edges; 7] = [
    Edges {
        type_name: "SMALLINT",
        values: &[
            ("32767", Ok("32767")),
            ("-32768", Ok("-32768")),
            ("32768", Err("FL-0312")),
            ("-32769", Err("FL-0312")),
            ("-0", Ok("0")),
            ("+7", Ok("7")),
            ("0000000000000000000000007", Ok("7")),
            ("1.0", Err("FL-0311")),
            ("1e3", Err("FL-0311")),
            ("0x1f", Err("FL-0311")),
            ("1,000", Err("FL-0311")),
            (" 1", Err("FL-0311")),
            ("1 ", Err("FL-0311")),
            ("\u{a0}1", Err("FL-0311")),
            ("\u{661}", Err("FL-0311")),
            ("-", Err("FL-0311")),
            ("--1", Err("FL-0311")),
        ],
    },
    Edges {
        type_name: "INTEGER",
        values: &[
            ("2147483647", Ok("2147483647")),
            ("-2147483648", Ok("-2147483648")),
            ("2147483648", Err("FL-0312")),
            ("-2147483649", Err("FL-0312")),
        ],
    },
    Edges {
        type_name: "BIGINT",
        values: &[
            ("9223372036854775807", Ok("9223372036854775807")),
            ("-9223372036854775808", Ok("-9223372036854775808")),
            ("9223372036854775808", Err("FL-0312")),
            ("-9223372036854775809", Err("FL-0312")),
            ("18446744073709551616", Err("FL-0312")),
            ("99999999999999999999999999999999999999999", Err("FL-0312")),
        ],
    },
    Edges {
        type_name: "DECIMAL(5,2)",
        values: &[
            ("999.99", Ok("999.99")),
            ("-999.99", Ok("-999.99")),
            ("1000.00", Err("FL-0313")),
            ("0001.25", Ok("1.25")),
            ("1.255", Err("FL-0314")),
            ("1.250", Err("FL-0314")),
            ("1e2", Err("FL-0311")),
            ("1,25", Err("FL-0311")),
            ("NaN", Err("FL-0311")),
        ],
    },
    Edges {
        type_name: "DOUBLE",
        values: &[
            ("1e300", Ok("1e300")),
            ("0.5", Ok("0.5")),
            ("1e400", Err("FL-0312")),
            ("-1e400", Err("FL-0312")),
            ("1e-400", Err("FL-0312")),
            ("NaN", Err("FL-0311")),
            ("nan", Err("FL-0311")),
            ("Inf", Err("FL-0311")),
            ("-Infinity", Err("FL-0311")),
            ("1.#INF", Err("FL-0311")),
            ("0x1p3", Err("FL-0311")),
        ],
    },
    Edges {
        type_name: "DATE",
        values: &[
            ("2024-02-29", Ok("2024-02-29")),
            ("2000-02-29", Ok("2000-02-29")),
            ("9999-12-31", Ok("9999-12-31")),
            ("2023-02-29", Err("FL-0315")),
            ("1900-02-29", Err("FL-0315")),
            ("0000-00-00", Err("FL-0315")),
            ("2024-00-10", Err("FL-0315")),
            ("2024-13-01", Err("FL-0315")),
            ("10000-01-01", Err("FL-0311")),
            ("2024-1-1", Err("FL-0311")),
            ("24-01-01", Err("FL-0311")),
            ("01/02/2024", Err("FL-0311")),
            ("infinity", Err("FL-0311")),
            ("today", Err("FL-0311")),
        ],
    },
    Edges {
        type_name: "TIMESTAMP(3)",
        values: &[
            ("2024-02-29 23:59:59.999", Ok("2024-02-29 23:59:59.999")),
            ("2024-02-29T00:00:00", Ok("2024-02-29 00:00:00")),
            ("2024-02-29 24:00:00", Err("FL-0315")),
            ("2016-12-31 23:59:60", Err("FL-0315")),
            ("2024-02-29 23:60:00", Err("FL-0315")),
            ("2023-02-29 00:00:00", Err("FL-0315")),
            ("2024-02-29 00:00:00.9999", Err("FL-0314")),
            ("2024-02-29 00:00:00Z", Err("FL-0311")),
            ("2024-02-29 00:00:00+01:00", Err("FL-0311")),
            ("2024-02-29", Err("FL-0311")),
            ("0000-00-00 00:00:00", Err("FL-0315")),
        ],
    },
];

impl Edges {
    fn file(&self) -> String {
        let record = |(id, (text, _)): (usize, &(&str, Fate))| format!("{id},\"{text}\"\n");
        let records: String = self.values.iter().enumerate().map(record).collect();
        format!("id,v\n{records}")
    }

    /// Loads them with all records of the file accepted or refused, and holds codes and values to
    /// what they must be.
    fn check(&self, load: &dyn Fn(&Place, &str), stored: &dyn Fn() -> Rows, same: &Same) {
        let place = Place::new();
        place.write("in.csv", self.file());
        load(&place, &format!("id INT, v {}", self.type_name));
        let codes: Vec<(u64, String)> = reasons(&place, "in.csv.rejects")
            .iter()
            .map(|reason| {
                let record = reason["record"].as_u64().expect("a number");
                (record, reason["code"].as_str().expect("a code").to_owned())
            })
            .collect();
        let mut expected_codes = Vec::new();
        let mut expected_values = Vec::new();
        for (id, (_, fate)) in self.values.iter().enumerate() {
            match fate {
                Ok(value) => expected_values.push((id.to_string(), *value)),
                Err(code) => expected_codes.push((id as u64 + 1, (*code).to_owned())),
            }
        }
        assert_eq!(codes, expected_codes, "{}", self.type_name);
        let stored = stored();
        assert_eq!(stored.len(), expected_values.len(), "{}: {stored:?}", self.type_name);
        for (row, (id, value)) in stored.iter().zip(&expected_values) {
            let [Some(found_id), Some(found)] = &row[..] else { panic!("{row:?}") };
            assert!(found_id == id && same(found, value), "{}: {row:?}, {value}", self.type_name);
        }
    }
}

/// Whether a database's way of printing a value is that of the case.
type Same = dyn Fn(&str, &str) -> bool;

/// Numbers may be printed otherwise, and a timestamp with the zeros of its fraction.
fn same_value(found: &str, expected: &str) -> bool {
    let float = |text: &str| text.parse::<f64>().ok();
    if expected.contains(':') {
        let cut = |text: &str| text.trim_end_matches('0').trim_end_matches('.').to_owned();
        return found == expected
            || cut(found) == cut(expected)
            || found == format!("{expected}.000");
    }
    found == expected || (float(expected).is_some() && float(found) == float(expected))
}

#[test]
fn edges_of_types_in_sqlite() {
    for edges in &EDGES {
        let directory = Place::new();
        let database = directory.path("fastload.db");
        let url = format!("sqlite:{}", database.display());
        let load = |place: &Place, schema: &str| {
            let load = ["in.csv", "--table", "t", "--dialect", "csv", "--max-errors", "all"];
            place.run(load.iter().chain(&["--schema", schema, "--to", &url])).expect(2);
        };
        let stored = || directory.sqlite("SELECT id, v FROM t ORDER BY id");
        edges.check(&load, &stored, &same_value);
    }
}

#[test]
fn edges_of_types_in_servers() {
    Server::each(|server| {
        let table = "hostile_edges";
        for edges in &EDGES {
            server.drop_table(table);
            let load = |place: &Place, schema: &str| {
                let load = ["in.csv", "--table", table, "--dialect", "csv", "--max-errors", "all"];
                server.run(place, load.iter().chain(&["--create", "--schema", schema])).expect(2);
            };
            let stored = || server.query(&format!("SELECT id, v FROM {table} ORDER BY id"));
            edges.check(&load, &stored, &same_value);
        }
        server.drop_table(table);
    });
}

#[test]
fn minus_zero_and_zero() {
    let flags = ["--dialect", "csv", "--schema", "id INT, v DOUBLE"];
    let place = Place::new();
    place.write("in.csv", "id,v\n1,-0.0\n2,0.0\n");
    place.run(["in.csv", "--table", "t"].iter().chain(&flags)).expect(0);
    // SQLite itself keeps a float that is a whole number as one, which has no sign at zero
    // (docs/sqlite.md).
    let signs = "SELECT group_concat(format('%+.1f', v), ' ') FROM t";
    assert_eq!(place.sqlite_value(signs), "+0.0 +0.0");
    Server::each(|server| {
        let table = "hostile_minus_zero";
        server.drop_table(table);
        let load = ["in.csv", "--table", table, "--create"];
        server.run(&place, load.iter().chain(&flags)).expect(0);
        let shown = server.query(&format!("SELECT v FROM {table} ORDER BY id"));
        if server.kind == Kind::Postgresql {
            assert_eq!(shown[0][0].as_deref(), Some("-0"), "{shown:?}");
        }
        server.drop_table(table);
    });
}

#[test]
fn empty_quoted_empty_and_words_for_null() {
    let text = "id,name\n1,\n2,\"\"\n3,NULL\n4,\"NULL\"\n5,\\N\n6,\"\\N\"\n7,null\n8, \n";
    let all_text: &[&[&str]] = &[
        &["1", NULL],
        &["2", ""],
        &["3", "NULL"],
        &["4", "NULL"],
        &["5", "\\N"],
        &["6", "\\N"],
        &["7", "null"],
        &["8", " "],
    ];
    Case::new(text).gives(all_text, &[]);
    Case::new(text).flag(&["--null-value", "NULL", "--null-value", "\\N"]).gives(
        &[
            &["1", NULL],
            &["2", ""],
            &["3", NULL],
            &["4", "NULL"],
            &["5", NULL],
            &["6", "\\N"],
            &["7", "null"],
            &["8", " "],
        ],
        &[],
    );
    let numbers = ["--dialect", "csv", "--schema", "id INT, v INT"];
    Case::with("id,v\n1,\n2,\"\"\n3,NULL\n4,5\n", &numbers).gives(
        &[&["1", NULL], &["4", "5"]],
        &[(2, 3, "FL-0321", b"2,\"\"\n"), (3, 4, "FL-0311", b"3,NULL\n")],
    );
    let not_null = ["--dialect", "csv", "--schema", "id INT, v INT NOT NULL"];
    Case::with("id,v\n1,\n4,5\n", &not_null).gives(&[&["4", "5"]], &[(1, 2, "FL-0320", b"1,\n")]);
}

#[test]
fn blanks_around_numbers_and_in_fixed_texts() {
    let flags = ["--dialect", "csv", "--schema", "id INT, code CHAR(3), n DECIMAL(5,2)"];
    let text = "id,code,n\n1, a ,1.5\n2,abc,1.5\n 3,a,2\n4,abc ,2\n5,a,2.5 \n6,   ,7\n";
    Case::with(text, &flags).gives(
        &[&["1", " a ", "1.5"], &["2", "abc", "1.5"], &["6", "   ", "7"]],
        &[
            (3, 4, "FL-0311", b" 3,a,2\n"),
            (4, 5, "FL-0316", b"4,abc ,2\n"),
            (5, 6, "FL-0311", b"5,a,2.5 \n"),
        ],
    );
    Case::with(text, &flags).flag(&["--trim"]).gives(
        &[
            &["1", "a", "1.5"],
            &["2", "abc", "1.5"],
            &["3", "a", "2"],
            &["4", "abc", "2"],
            &["5", "a", "2.5"],
            &["6", NULL, "7"],
        ],
        &[],
    );
}
