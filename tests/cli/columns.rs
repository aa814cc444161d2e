//! Which columns are loaded from where, and what their values become.

use crate::support::{Place, row};

fn place(text: &str) -> Place {
    let place = Place::new();
    place.write("a.csv", text);
    place
}

#[test]
fn columns_in_another_order() {
    let place = place("b,a\n2,1\n");
    place.sqlite_run(
        "CREATE TABLE t (k INTEGER PRIMARY KEY, a INTEGER, b INTEGER, c TEXT DEFAULT 'd',
                         twice INTEGER GENERATED ALWAYS AS (a * 2))",
    );
    place.run(["a.csv", "--table", "t"]).expect(0);
    assert_eq!(
        place.sqlite("SELECT k, a, b, c, twice FROM t"),
        [row(["1", "1", "2", "d", "2"])],
        "columns that the file lacks take their defaults"
    );
}

#[test]
fn chosen_columns() {
    let text = "a,b,c\n1,2,3\n";
    let check = |more: &[&str], sql: &str, expected: &[Vec<Option<String>>]| {
        let place = place(text);
        place.run(["a.csv", "--table", "t"].iter().chain(more)).expect(0);
        assert_eq!(place.sqlite(sql), expected, "{more:?}");
    };
    check(&["--columns", "c,a"], "SELECT * FROM t", &[row(["1", "3"])]);
    check(&["--columns=-b"], "SELECT * FROM t", &[row(["1", "3"])]);
    check(&["--map", "b=x"], "SELECT a, x, c FROM t", &[row(["1", "2", "3"])]);
    check(&["--const", "s=nightly"], "SELECT a, s FROM t", &[row(["1", "nightly"])]);
    check(&["--const", "s="], "SELECT a, coalesce(s, 'null') FROM t", &[row(["1", "null"])]);
    let place = place(text);
    for (flag, value) in [("--columns", "a,x"), ("--map", "x=a"), ("--empty-as-null=x", "")] {
        let value = [flag, value];
        let value = if value[1].is_empty() { &value[..1] } else { &value[..] };
        place.run(["a.csv", "--table", "t"].iter().chain(value)).expect(64).says(&["x"]);
    }
}

#[test]
fn a_file_without_header_into_a_table() {
    let place = place("1,ada\n2,grace\n");
    place.sqlite_run("CREATE TABLE t (id INTEGER, name TEXT)");
    place.run(["a.csv", "--table", "t", "--no-header"]).expect(0);
    assert_eq!(place.sqlite_value("SELECT name FROM t WHERE id = 2"), "grace");
    place.write("wide.csv", "1,a,b\n2,c,d\n");
    let run = place.run(["wide.csv", "--table", "t", "--no-header"]);
    assert_ne!(run.status, 0, "a field more than columns: {run:?}");
}

#[test]
fn nulls_and_empty_texts() {
    let text = "id,name\n1,\n2,\"\"\n3,NULL\n4,\"NULL\"\n5, x \n6,-\n";
    let shown = |more: &[&str]| {
        let place = place(text);
        place.run(["a.csv", "--table", "t", "--dialect", "csv"].iter().chain(more)).expect(0);
        let rows = place.sqlite("SELECT coalesce('[' || name || ']', 'null') FROM t ORDER BY id");
        rows.into_iter().map(|row| row[0].clone().expect("text")).collect::<Vec<_>>()
    };
    assert_eq!(shown(&[]), ["null", "[]", "[NULL]", "[NULL]", "[ x ]", "[-]"]);
    assert_eq!(shown(&["--empty-as-null"]), ["null", "null", "[NULL]", "[NULL]", "[ x ]", "[-]"]);
    assert_eq!(
        shown(&["--empty-as-null=name", "--trim"]),
        ["null", "null", "[NULL]", "[NULL]", "[x]", "[-]"]
    );
    assert_eq!(
        shown(&["--null-value", "NULL", "--null-value", "-"]),
        ["null", "[]", "null", "[NULL]", "[ x ]", "null"]
    );
    // Quoted empty is no number.
    let place = place("id,n\n1,\"\"\n2,\n");
    let load = ["a.csv", "--table", "t", "--schema", "id INT, n INT"];
    place.run(load).expect(5).says(&["--empty-as-null"]);
    place.run(load.iter().chain(&["--empty-as-null"])).expect(0);
    assert_eq!(place.sqlite("SELECT n FROM t"), [vec![None], vec![None]]);
}

#[test]
fn values_come_back_to_the_last_digit() {
    let text = "d,code,day,n,plus,big\n\
                123456789012345678901.0123456789,00123,2024-02-29,42,+1,1234567890123456789\n\
                -0.0000000001,00007,1999-12-31,-7,2,2\n";
    let expected = [
        row([
            "123456789012345678901.0123456789",
            "00123",
            "2024-02-29",
            "42",
            "+1",
            "1234567890123456789",
        ]),
        row(["-0.0000000001", "00007", "1999-12-31", "-7", "2", "2"]),
    ];
    let columns = "SELECT d, code, day, n, plus, big FROM t ORDER BY rowid";
    let inferred = place(text);
    inferred.run(["a.csv", "--table", "t"]).expect(0);
    assert_eq!(inferred.sqlite(columns), expected);
    let schema =
        "d DECIMAL(31,10), code VARCHAR(5), day DATE, n INTEGER, plus VARCHAR(2), big BIGINT";
    let declared = place(text);
    declared.run(["a.csv", "--table", "t", "--schema", schema]).expect(0);
    assert_eq!(declared.sqlite(columns), expected);
    // Again into the table that is there now.
    declared.run(["a.csv", "--table", "t", "--mode", "truncate", "--yes"]).expect(0);
    assert_eq!(declared.sqlite(columns), expected);
    // A numeric column would keep 15 of the 31 digits; the second value it gives back as it was.
    let numeric = place(text);
    numeric.sqlite_run(
        "CREATE TABLE t (d NUMERIC, code TEXT, day TEXT, n NUMERIC, plus TEXT, big INTEGER)",
    );
    let run = numeric.run(["a.csv", "--table", "t", "--max-errors", "all"]);
    run.expect(2);
    let first = text.find("123").expect("data")..text.find("-0.").expect("data");
    assert_eq!(numeric.read("a.csv.rejects"), &text.as_bytes()[first]);
    let line: serde_json::Value =
        serde_json::from_slice(&numeric.read("a.csv.rejects.jsonl")).expect("one object");
    assert_eq!((&line["column"], &line["class"]), (&"d".into(), &"range".into()));
    assert_eq!(
        numeric.sqlite("SELECT d = -0.0000000001, code, day, n, plus, big FROM t"),
        [row(["1", "00007", "1999-12-31", "-7", "2", "2"])]
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of one good and one bad value for each type")]
fn strict_types() {
    let schema = "s SMALLINT, i INTEGER, b BIGINT, d DECIMAL(5,2), r REAL, f DOUBLE, c CHAR(3), \
                  v VARCHAR(3), day DATE, t TIME, ts TIMESTAMP(3), o BOOLEAN, x VARBINARY(2)";
    let header = "s,i,b,d,r,f,c,v,day,t,ts,o,x";
    let good = [
        "1",
        "2",
        "3",
        "1.25",
        "0.5",
        "1e300",
        "abc",
        "\u{e4}\u{f6}\u{fc}",
        "2024-02-29",
        "23:59:59",
        "2024-01-01 00:00:00.123",
        "true",
        "ff00",
    ];
    let bad = [
        ("32768", "range"),
        ("-2147483649", "range"),
        ("9223372036854775808", "range"),
        ("1.255", "range"),
        ("1e39", "range"),
        ("1e309", "range"),
        ("abcd", "length"),
        ("\u{e4}\u{f6}\u{fc}x", "length"),
        ("2023-02-29", "conversion"),
        ("24:00:01", "conversion"),
        ("2024-01-01 00:00:00.1234", "range"),
        ("maybe", "conversion"),
        ("0ff", "conversion"),
    ];
    let mut text = format!("{header}\n{}\n", good.join(","));
    for (at, (value, _)) in bad.iter().enumerate() {
        let mut cells = good;
        cells[at] = value;
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    let place = place(&text);
    let run = place.run([
        "a.csv",
        "--table",
        "t",
        "--to",
        "null:",
        "--schema",
        schema,
        "--max-errors",
        "all",
        "--output",
        "json",
    ]);
    let report = run.expect(2).json();
    let lines = String::from_utf8(place.read("a.csv.rejects.jsonl")).expect("UTF-8");
    let classes: Vec<(String, String)> = lines
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("an object");
            let text = |key: &str| line[key].as_str().expect("a text").to_owned();
            (text("column"), text("class"))
        })
        .collect();
    let expected: Vec<(String, String)> = header
        .split(',')
        .zip(bad)
        .map(|(name, (_, class))| (name.to_owned(), class.to_owned()))
        .collect();
    assert_eq!(classes, expected);
    assert_eq!(report["totals"]["rows_loaded"], 1);
}

#[test]
fn encodings() {
    let place = Place::new();
    place.write("a.csv", b"id,name\n1,M\xfcller\n2,\x80uro\n");
    let load = ["a.csv", "--table", "t", "--dialect", "csv"];
    place.run(load).expect(5).says(&["--encoding latin1"]);
    for (encoding, euro) in [("latin1", "c28075726f"), ("windows-1252", "e282ac75726f")] {
        let more = ["--encoding", encoding, "--mode", "truncate", "--yes"];
        place.run(load.iter().chain(&more)).expect(0);
        assert_eq!(
            place.sqlite("SELECT lower(hex(name)) FROM t ORDER BY id"),
            [row(["4dc3bc6c6c6572"]), row([euro])]
        );
    }
    place.run(load.iter().chain(&["--encoding", "ebcdic"])).expect(64).says(&["latin1"]);
}

#[test]
fn dialects() {
    for (text, flags) in [
        ("id\tname\n1\tada, b\n2\t\"gr\"\n", &[][..]),
        ("id|name\n1|ada, b\n2|\"gr\"\n", &[]),
        ("id|name|\n1|ada, b|\n2|gr|\n", &["--dialect", "tbl", "--header"]),
        ("id;name\r\n1;'ada, b'\r\n2;gr\r\n", &["-d", ";", "--quote", "'", "--eol", "crlf"]),
        ("# c\nid,name\n1,\"ada, b\"\n# d\n2,gr\n", &["--comment", "#"]),
        ("junk\nid,name\n1,ada\\, b\n2,gr\n", &["--skip-lines", "1", "--escape", "\\", "-d", ","]),
        ("id\u{1}name\n1\u{1}ada, b\n2\u{1}gr\n", &["-d", "U+0001"]),
        ("id||name\n1||ada, b\n2||gr\n", &["-d", "||"]),
        ("id,name\r1,\"ada, b\"\r2,gr\r", &["--eol", "cr", "-d", ","]),
    ] {
        let place = place(text);
        let schema = ["a.csv", "--table", "t", "--schema", "id INT, name TEXT"];
        let run = place.run(schema.iter().chain(flags));
        run.expect(0);
        assert_eq!(
            place.sqlite("SELECT id, name FROM t ORDER BY id"),
            [row(["1", "ada, b"]), row(["2", "gr"])],
            "{text:?}"
        );
    }
}

#[test]
fn numbers_of_fields() {
    let place = place("a,b,c\n1,2,3\n4,5\n6,7,8,9\n");
    let load =
        ["a.csv", "--table", "t", "--mode", "truncate", "--yes", "--max-errors", "all", "-d", ","];
    let left = |rule: &str, status| {
        place.run(load.iter().chain(&["--fields", rule])).expect(status);
        place.sqlite("SELECT a, coalesce(c, 'null') FROM t ORDER BY a")
    };
    assert_eq!(left("exact", 2), [row(["1", "3"])]);
    assert_eq!(left("pad", 2), [row(["1", "3"]), row(["4", "null"])]);
    assert_eq!(left("truncate", 2), [row(["1", "3"]), row(["6", "8"])]);
}

#[test]
fn parts_of_a_file() {
    let text: String =
        std::iter::once("id\n".to_owned()).chain((1..=100).map(|id| format!("{id}\n"))).collect();
    let place = place(&text);
    let load = |more: &[&str]| {
        let all = ["a.csv", "--table", "t", "--mode", "truncate", "--yes", "-d", ",", "--header"];
        let run = place.run(all.iter().chain(more).chain(&["--output", "json"])).expect(0);
        let totals = run.json()["totals"].clone();
        (place.sqlite("SELECT min(id), max(id), count(*) FROM t"), totals)
    };
    let (rows, totals) = load(&["--limit", "10"]);
    assert_eq!((rows, &totals["rows_loaded"]), (vec![row(["1", "10", "10"])], &10.into()));
    let (rows, totals) = load(&["--offset-records", "90"]);
    assert_eq!(rows, [row(["91", "100", "10"])]);
    assert_eq!((&totals["rows_filtered"], &totals["records_read"]), (&90.into(), &100.into()));
    let (rows, _) = load(&["--offset-records", "5", "--limit", "3", "--chunk-bytes", "7"]);
    assert_eq!(rows, [row(["6", "8", "3"])]);
}
