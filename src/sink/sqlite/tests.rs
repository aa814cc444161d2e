//! Loads into SQLite, read back by the safe wrapper.

use super::*;
use crate::arena::Batch;
use crate::arena::Values;
use crate::config::schema::{LengthUnit, TextLength};
use crate::record::RejectClass;
use crate::sink::ErrorClass;
use rusqlite::types::Value;

/// One cell of a test batch; the column's form decides which of these it takes.
#[derive(Clone, Copy)]
enum Cell<'a> {
    Null,
    Int(i64),
    Float(f64),
    Bool(bool),
    Bytes(&'a [u8]),
}

fn text(text: &str) -> Cell<'_> {
    Cell::Bytes(text.as_bytes())
}

fn batch(cells: &[CellType], rows: &[Vec<Cell<'_>>]) -> Batch {
    let mut batch = Batch::new(cells, IndicatorWidth::Wide, 0);
    batch.lay_out(rows.len(), &vec![64; cells.len()]);
    for (row, values) in rows.iter().enumerate() {
        for (column, cell) in batch.columns.iter_mut().zip(values) {
            let word = match (&mut column.values, *cell) {
                (_, Cell::Null) => -1,
                (Values::I16(v), Cell::Int(n)) => {
                    v[row] = i16::try_from(n).unwrap();
                    2
                }
                (Values::I32(v), Cell::Int(n)) => {
                    v[row] = i32::try_from(n).unwrap();
                    4
                }
                (Values::I64(v), Cell::Int(n)) => {
                    v[row] = n;
                    8
                }
                (Values::F64(v), Cell::Float(x)) => {
                    v[row] = x;
                    8
                }
                (Values::Bit(v), Cell::Bool(b)) => {
                    v[row] = u8::from(b);
                    1
                }
                (Values::Bytes { data, stride }, Cell::Bytes(bytes)) => {
                    data[row * *stride..][..bytes.len()].copy_from_slice(bytes);
                    i64::try_from(bytes.len()).unwrap()
                }
                _ => panic!("cell and column differ"),
            };
            column.indicators.set(row, word);
        }
    }
    batch.set_rows(rows.len());
    batch
}

struct Place {
    _directory: tempfile::TempDir,
    path: PathBuf,
    target: SqliteTarget,
}

fn place(ddl: &str) -> Place {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.db");
    let target = SqliteTarget::open(&path).unwrap().with_busy_timeout(Duration::from_millis(20));
    Connection::open(&path).unwrap().execute_batch(ddl).unwrap();
    Place { _directory: directory, path, target }
}

impl Place {
    /// The columns of the table that a load would fill, and a sink for them.
    fn sink(&self, table: &str) -> (Box<dyn Sink>, Vec<CellType>) {
        let columns: Vec<_> = self.target.columns(table).unwrap().unwrap();
        let columns: Vec<_> = columns.into_iter().filter(|c| !c.generated).collect();
        let layout = self.target.layout(table, &columns, &RowAction::Insert).unwrap();
        (self.target.open(table, &columns, &RowAction::Insert).unwrap(), layout.cells)
    }

    fn all(&self, sql: &str) -> Vec<Vec<Value>> {
        let connection = Connection::open(&self.path).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let width = statement.column_count();
        let rows = statement.query_map([], |row| (0..width).map(|i| row.get(i)).collect());
        rows.unwrap().map(Result::unwrap).collect()
    }

    fn ints(&self, sql: &str) -> Vec<i64> {
        let int = |row: Vec<Value>| match row[0] {
            Value::Integer(n) => n,
            ref other => panic!("{other:?}"),
        };
        self.all(sql).into_iter().map(int).collect()
    }
}

fn int_rows(values: &[i64]) -> Vec<Vec<Cell<'static>>> {
    values.iter().map(|&n| vec![Cell::Int(n)]).collect()
}

fn column(name: &str, ty: SqlType) -> Column {
    Column { name: name.to_owned(), ty, nullable: true, generated: false }
}

#[test]
fn a_created_table_gives_every_value_back() {
    let place = place("");
    let length = TextLength { max: 9, unit: LengthUnit::Characters };
    let columns = [
        column("s", SqlType::SmallInt),
        column("i", SqlType::Integer),
        column("b", SqlType::BigInt),
        column("d", SqlType::Decimal { precision: 31, scale: 10 }),
        column("x", SqlType::Double),
        column("v", SqlType::VarChar(Some(length))),
        column("day", SqlType::Date),
        column("at", SqlType::Timestamp { precision: 6 }),
        column("ok", SqlType::Boolean),
        column("raw \"q\"", SqlType::VarBinary(None)),
    ];
    place.target.create_table("a;b.c", &columns).unwrap();
    assert_eq!(place.target.columns("a;b.c").unwrap().unwrap(), columns);
    let (mut sink, cells) = place.sink("a;b.c");
    let full = vec![
        Cell::Int(-32768),
        Cell::Int(i64::from(i32::MIN)),
        Cell::Int(i64::MIN),
        text("123456789012345678901.1234567890"),
        Cell::Float(0.1),
        text("00123"),
        text("2024-02-29"),
        text("2024-02-29 01:02:03.000000"),
        Cell::Bool(true),
        Cell::Bytes(b"\0\xff"),
    ];
    let mut odd = vec![Cell::Null; 10];
    odd[5] = text("");
    odd[9] = Cell::Bytes(b"");
    let mut nul = vec![Cell::Null; 10];
    nul[5] = text("a\0b");
    let rows = batch(&cells, &[full, odd, nul]);
    assert_eq!(sink.write(&rows).unwrap(), []);
    sink.commit().unwrap();
    let text = |text: &str| Value::Text(text.to_owned());
    let mut empty = vec![Value::Null; 10];
    empty[5] = text("");
    empty[9] = Value::Blob(Vec::new());
    let mut nul = vec![Value::Null; 10];
    nul[5] = text("a\0b");
    let full = vec![
        Value::Integer(-32768),
        Value::Integer(i64::from(i32::MIN)),
        Value::Integer(i64::MIN),
        text("123456789012345678901.1234567890"),
        Value::Real(0.1),
        text("00123"),
        text("2024-02-29"),
        text("2024-02-29 01:02:03.000000"),
        Value::Integer(1),
        Value::Blob(vec![0, 255]),
    ];
    assert_eq!(place.all("SELECT * FROM \"a;b.c\" ORDER BY rowid"), [full, empty, nul]);
}

#[test]
fn only_the_bad_rows_of_a_group_are_refused() {
    let place = place("CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER NOT NULL CHECK (b < 9))");
    let (mut sink, cells) = place.sink("t");
    let row = |a, b| vec![Cell::Int(a), b];
    let rows = batch(
        &cells,
        &[
            row(1, Cell::Int(1)),
            row(2, Cell::Int(9)),
            row(3, Cell::Int(1)),
            row(4, Cell::Null),
            row(5, Cell::Int(1)),
            row(1, Cell::Int(1)),
            row(6, Cell::Int(1)),
            row(6, Cell::Int(2)),
            row(7, Cell::Int(2)),
        ],
    );
    let rejects = sink.write(&rows).unwrap();
    sink.commit().unwrap();
    let seen: Vec<_> = rejects
        .iter()
        .map(|reject| (reject.row, reject.class, reject.column, reject.native))
        .collect();
    assert_eq!(
        seen,
        [
            (1, RejectClass::Constraint, None, Some(275)),
            (3, RejectClass::Null, Some(1), Some(1299)),
            (5, RejectClass::Duplicate, Some(0), Some(1555)),
            (7, RejectClass::Duplicate, Some(0), Some(1555)),
        ]
    );
    assert_eq!(place.ints("SELECT a FROM t ORDER BY a"), [1, 3, 5, 6, 7]);
}

#[test]
fn conflict_clauses_of_the_table_hide_nothing() {
    for clause in ["IGNORE", "REPLACE", "FAIL", "ROLLBACK", "ABORT"] {
        let place = place(&format!("CREATE TABLE t (a INTEGER UNIQUE ON CONFLICT {clause})"));
        let (mut sink, cells) = place.sink("t");
        let rows = batch(&cells, &int_rows(&[1, 2, 1, 3, 4, 5, 2]));
        let rejects = sink.write(&rows).unwrap();
        sink.commit().unwrap();
        let refused: Vec<_> = rejects.iter().map(|reject| reject.row).collect();
        assert_eq!(refused, [2, 6], "{clause}");
        assert_eq!(place.ints("SELECT a FROM t ORDER BY rowid"), [1, 2, 3, 4, 5], "{clause}");
    }
}

#[test]
fn triggers_that_fail_or_ignore_refuse_their_row_and_leave_nothing() {
    for (raise, class) in [
        ("FAIL, 'no'", RejectClass::Constraint),
        ("ABORT, 'no'", RejectClass::Constraint),
        ("IGNORE", RejectClass::Other),
    ] {
        let place = place(&format!(
            "CREATE TABLE log (a INTEGER);
             CREATE TABLE t (a INTEGER);
             CREATE TRIGGER g BEFORE INSERT ON t WHEN new.a = 3 BEGIN
               INSERT INTO log VALUES (new.a);
               SELECT RAISE({raise});
             END;"
        ));
        let (mut sink, cells) = place.sink("t");
        let rejects = sink.write(&batch(&cells, &int_rows(&[1, 2, 3, 4, 5]))).unwrap();
        sink.commit().unwrap();
        let refused: Vec<_> = rejects.iter().map(|reject| (reject.row, reject.class)).collect();
        assert_eq!(refused, [(2, class)], "{raise}");
        assert_eq!(place.ints("SELECT a FROM t ORDER BY a"), [1, 2, 4, 5], "{raise}");
        assert!(place.ints("SELECT a FROM log").is_empty(), "{raise}");
    }
}

#[test]
fn a_trigger_that_rolls_back_ends_the_load() {
    let place = place(
        "CREATE TABLE t (a INTEGER);
         CREATE TRIGGER g AFTER INSERT ON t WHEN new.a = 3 BEGIN
           SELECT RAISE(ROLLBACK, 'all of it');
         END;",
    );
    let (mut sink, cells) = place.sink("t");
    let error = sink.write(&batch(&cells, &int_rows(&[1, 2, 3, 4]))).unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(error.message.contains("all of it"), "{error}");
    sink.rollback().unwrap();
    assert!(place.ints("SELECT a FROM t").is_empty());
}

/// Statements of a hundred rows and of fewer: each bad row alone is refused, wherever it
/// stands in them, with indexes and without.
#[test]
fn bad_rows_of_large_groups_are_found() {
    for ddl in [
        "CREATE TABLE t (a INTEGER NOT NULL CHECK (a % 1000 <> 7))",
        "CREATE TABLE t (a INTEGER NOT NULL CHECK (a % 1000 <> 7)); CREATE INDEX i ON t (a)",
    ] {
        for bad in [&[0][..], &[99], &[100], &[57, 58], &[9, 10, 109, 247], &[255, 256], &[]] {
            let place = place(ddl);
            let value = |row: usize| {
                let number = i64::try_from(row).unwrap() * 1000;
                if bad.contains(&row) { number + 7 } else { number }
            };
            let values: Vec<i64> = (0..257).map(value).collect();
            let (mut sink, cells) = place.sink("t");
            let rejects = sink.write(&batch(&cells, &int_rows(&values))).unwrap();
            sink.commit().unwrap();
            let refused: Vec<_> = rejects.iter().map(|reject| reject.row).collect();
            assert_eq!(refused, bad, "{ddl}");
            let good: Vec<i64> = values.into_iter().filter(|value| value % 1000 == 0).collect();
            assert_eq!(place.ints("SELECT a FROM t ORDER BY rowid"), good, "{ddl} {bad:?}");
        }
    }
}

#[test]
fn a_foreign_key_into_the_table_itself_does_not_see_groups() {
    let place = place("CREATE TABLE t (a INTEGER PRIMARY KEY, p INTEGER REFERENCES t)");
    let (mut sink, cells) = place.sink("t");
    let row = |a, p| vec![Cell::Int(a), p];
    let mut rows = vec![row(1, Cell::Int(2)), row(2, Cell::Null), row(3, Cell::Int(2))];
    rows.extend((4..9).map(|a| row(a, Cell::Null)));
    let rejects = sink.write(&batch(&cells, &rows)).unwrap();
    sink.commit().unwrap();
    assert_eq!(rejects.len(), 1);
    assert_eq!((rejects[0].row, rejects[0].native), (0, Some(787)));
    assert_eq!(place.ints("SELECT a FROM t ORDER BY a"), [2, 3, 4, 5, 6, 7, 8]);
}

/// A statement counts what breaks foreign keys and what mends others, and looks at the sum: a row
/// without its parent would be stored with another one that a child was waiting for.
#[test]
fn foreign_keys_of_several_tables_do_not_see_groups() {
    let place = place(
        "PRAGMA foreign_keys = off;
         CREATE TABLE region (id INTEGER PRIMARY KEY);
         CREATE TABLE t (a INTEGER PRIMARY KEY, r INTEGER REFERENCES region);
         CREATE TABLE c (t INTEGER REFERENCES T);
         INSERT INTO c VALUES (2);",
    );
    let (mut sink, cells) = place.sink("t");
    // As many as a statement would take, and more.
    let fine = (3..9).map(|a| vec![Cell::Int(a), Cell::Null]);
    let mut rows = vec![vec![Cell::Int(1), Cell::Int(999)], vec![Cell::Int(2), Cell::Null]];
    rows.extend(fine);
    let rejects = sink.write(&batch(&cells, &rows)).unwrap();
    sink.commit().unwrap();
    let seen: Vec<_> = rejects.iter().map(|reject| (reject.row, reject.native)).collect();
    assert_eq!(seen, [(0, Some(787))]);
    assert_eq!(place.ints("SELECT a FROM t ORDER BY a"), [2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_changed_key_of_a_parent_does_not_see_groups() {
    let place = place(
        "CREATE TABLE t (a INTEGER PRIMARY KEY, code INTEGER UNIQUE);
         CREATE TABLE c (code INTEGER REFERENCES t (code));
         INSERT INTO t VALUES (1, 7);
         INSERT INTO c VALUES (7);",
    );
    let columns: Vec<_> = place.target.columns("t").unwrap().unwrap();
    let action = RowAction::Upsert { key: vec![0] };
    let cells = place.target.layout("t", &columns, &action).unwrap().cells;
    let mut sink = place.target.open("t", &columns, &action).unwrap();
    let fine = (3..9).map(|a| vec![Cell::Int(a), Cell::Null]);
    let mut rows = vec![vec![Cell::Int(1), Cell::Int(8)], vec![Cell::Int(2), Cell::Int(7)]];
    rows.extend(fine);
    let rejects = sink.write(&batch(&cells, &rows)).unwrap();
    sink.commit().unwrap();
    let seen: Vec<_> = rejects.iter().map(|reject| (reject.row, reject.class)).collect();
    assert_eq!(seen, [(0, RejectClass::Constraint), (1, RejectClass::Duplicate)]);
    assert_eq!(place.ints("SELECT a * 10 + code FROM t WHERE code IS NOT NULL"), [17]);
    assert_eq!(place.ints("SELECT count(*) FROM t"), [7]);
}

/// Values that the guards refuse stand between those of a group, and those that the database does.
#[test]
fn refused_rows_of_both_kinds_are_told_in_their_order() {
    let place = place("CREATE TABLE t (n NUMERIC(31,10) CHECK (n <> 13))");
    let (mut sink, cells) = place.sink("t");
    let inexact = "123456789012345678901.1234567890";
    let value = |row: usize| match row {
        3 | 60 => text("13"),
        4 | 50 | 119 => text(inexact),
        _ => text("1"),
    };
    let rows: Vec<_> = (0..120).map(|row| vec![value(row)]).collect();
    let rejects = sink.write(&batch(&cells, &rows)).unwrap();
    sink.commit().unwrap();
    let seen: Vec<_> = rejects.iter().map(|reject| reject.row).collect();
    assert_eq!(seen, [3, 4, 50, 60, 119]);
    assert_eq!(place.ints("SELECT count(*) FROM t"), [115]);
}

#[test]
fn numeric_affinity_refuses_what_it_would_change() {
    let place = place("CREATE TABLE t (s STRING, n NUMERIC(31,10), day DATE, x REAL)");
    let (mut sink, cells) = place.sink("t");
    let row = |s, n, x| vec![text(s), text(n), text("2024-02-29"), Cell::Float(x)];
    let rows = [
        row("abc", "1.50", 1.5),
        row("00123", "1", 0.5),
        row("123", "123456789012345678901.1234567890", 0.5),
        row("0123", "123456789012345678901.1234567890", 0.5),
        row("7", "-12", f64::NAN),
        row("0.25", "9007199254740993", f64::INFINITY),
    ];
    let rejects = sink.write(&batch(&cells, &rows)).unwrap();
    sink.commit().unwrap();
    let seen: Vec<_> =
        rejects.iter().map(|reject| (reject.row, reject.class, reject.column)).collect();
    let range = RejectClass::Range;
    assert_eq!(
        seen,
        [(1, range, Some(0)), (2, range, Some(1)), (3, range, Some(0)), (4, range, Some(3))]
    );
    assert!(rejects[0].message.contains("NUMERIC affinity"));
    assert_eq!(
        place.all("SELECT CAST(s AS TEXT), n, day FROM t ORDER BY rowid"),
        [
            vec![Value::Text("abc".into()), Value::Real(1.5), Value::Text("2024-02-29".into())],
            vec![
                Value::Text("0.25".into()),
                Value::Integer(9_007_199_254_740_993),
                Value::Text("2024-02-29".into())
            ],
        ]
    );
}

#[test]
fn a_strict_table_refuses_by_row() {
    let place = place("CREATE TABLE t (a ANY, b TEXT NOT NULL) STRICT");
    let (mut sink, cells) = place.sink("t");
    let rows = [vec![text("007"), text("x")], vec![text("1"), Cell::Null]];
    let rejects = sink.write(&batch(&cells, &rows)).unwrap();
    sink.commit().unwrap();
    assert_eq!(rejects.len(), 1);
    assert_eq!(rejects[0].class, RejectClass::Null);
    assert_eq!(place.all("SELECT a FROM t"), [[Value::Text("007".into())]]);
}

#[test]
fn a_lock_of_another_process_is_transient() {
    let place = place("CREATE TABLE t (a INTEGER)");
    let (mut sink, cells) = place.sink("t");
    let other = Connection::open(&place.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let rows = batch(&cells, &int_rows(&[1, 2]));
    assert_eq!(sink.write(&rows).unwrap_err().class, ErrorClass::Transient);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(sink.write(&rows).unwrap(), []);
    // A reader holds the file: the commit is refused, and rolled back for certain.
    other.execute_batch("BEGIN; SELECT count(*) FROM t").unwrap();
    assert_eq!(sink.commit().unwrap_err().class, ErrorClass::Transient);
    other.execute_batch("COMMIT").unwrap();
    assert!(place.ints("SELECT a FROM t").is_empty());
    assert_eq!(sink.write(&rows).unwrap(), []);
    sink.commit().unwrap();
    assert_eq!(place.ints("SELECT a FROM t"), [1, 2]);
}

#[test]
fn a_commit_that_a_deferred_key_refuses_is_rolled_back_for_certain() {
    let place = place(
        "CREATE TABLE p (a INTEGER PRIMARY KEY);
         CREATE TABLE t (a INTEGER REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
    );
    let (mut sink, cells) = place.sink("t");
    assert_eq!(sink.write(&batch(&cells, &int_rows(&[1]))).unwrap(), []);
    let error = sink.commit().unwrap_err();
    assert_eq!((error.class, error.native), (ErrorClass::RolledBack, Some(787)));
    // Nothing is left of it: the next transaction commits, and alone.
    Connection::open(&place.path).unwrap().execute_batch("INSERT INTO p VALUES (2)").unwrap();
    assert_eq!(sink.write(&batch(&cells, &int_rows(&[2]))).unwrap(), []);
    sink.commit().unwrap();
    assert_eq!(place.ints("SELECT a FROM t"), [2]);
}

#[test]
fn rollback_and_reconnect_lose_only_the_open_transaction() {
    let place = place("CREATE TABLE t (a INTEGER)");
    let (mut sink, cells) = place.sink("t");
    let write = |sink: &mut Box<dyn Sink>, n| {
        assert_eq!(sink.write(&batch(&cells, &int_rows(&[n]))).unwrap(), []);
    };
    write(&mut sink, 1);
    sink.commit().unwrap();
    write(&mut sink, 2);
    sink.rollback().unwrap();
    write(&mut sink, 3);
    sink.reconnect().unwrap();
    write(&mut sink, 4);
    sink.commit().unwrap();
    assert_eq!(place.ints("SELECT a FROM t"), [1, 4]);
}

#[test]
fn names_schemas_and_generated_columns() {
    let place = place(
        "CREATE TABLE t (a INTEGER, twice INTEGER AS (2 * a) STORED);
         CREATE VIEW v AS SELECT 1 AS a;",
    );
    let target = &place.target;
    assert_eq!(target.columns("missing").unwrap(), None);
    let columns = target.columns("main.t").unwrap().unwrap();
    assert_eq!(columns, target.columns("T").unwrap().unwrap());
    let generated: Vec<_> = columns.iter().map(|column| column.generated).collect();
    assert_eq!(generated, [false, true]);
    assert!(target.columns("v").unwrap_err().message.contains("view"));
    assert!(target.columns("a\0b").unwrap_err().message.contains("NUL"));
    for quoted in ["\"t\"", "main.\"t\"", "\"main\".t", "\"main\".\"T\""] {
        assert_eq!(target.columns(quoted).unwrap().unwrap(), columns, "{quoted}");
    }
    assert_eq!(target.columns("\"main.t\"").unwrap(), None);
    for odd in ["\"t", "\"t\"x", "\"nowhere\".t", "main.\"t\"x"] {
        assert!(target.columns(odd).is_err(), "{odd}");
    }
    let (mut sink, cells) = place.sink("main.t");
    sink.write(&batch(&cells, &int_rows(&[21]))).unwrap();
    sink.commit().unwrap();
    assert_eq!(place.ints("SELECT twice FROM t"), [42]);
    target.run_sql("INSERT INTO t (a) VALUES (1); SELECT 1").unwrap();
    target.truncate("t").unwrap();
    assert!(place.ints("SELECT a FROM t").is_empty());
}

#[test]
fn hostile_names_stay_names() {
    let place = place("CREATE TABLE keep (a INTEGER)");
    let long = "n".repeat(200);
    for table in ["x\"; DROP TABLE keep; --", "a.b", "select", "'", "`", "[x]", "ü", &long] {
        let columns = [column("c\"; --", SqlType::BigInt), column("a.b", SqlType::BigInt)];
        place.target.create_table(table, &columns).unwrap();
        assert_eq!(place.target.columns(table).unwrap().unwrap(), columns);
        let (mut sink, cells) = place.sink(table);
        let rows = [vec![Cell::Int(1), Cell::Int(2)]];
        assert_eq!(sink.write(&batch(&cells, &rows)).unwrap(), []);
        sink.commit().unwrap();
    }
    assert_eq!(place.ints("SELECT count(*) FROM keep"), [0]);
}

#[test]
fn too_many_columns_are_named_before_the_first_row() {
    let place = place("");
    let columns: Vec<_> = (0..10_000).map(|i| column(&format!("c{i}"), SqlType::BigInt)).collect();
    for error in [
        place.target.create_table("t", &columns).unwrap_err(),
        place.target.layout("t", &columns, &RowAction::Insert).unwrap_err(),
    ] {
        assert_eq!(error.class, ErrorClass::Permanent);
        assert!(error.message.contains("10000 columns"), "{error}");
        assert!(error.message.contains("2000"), "{error}");
    }
    place.target.create_table("t", &columns[..2000]).unwrap();
    let (mut sink, cells) = place.sink("t");
    let rows = vec![vec![Cell::Int(7); 2000]; 5];
    assert_eq!(sink.write(&batch(&cells, &rows)).unwrap(), []);
    sink.commit().unwrap();
    assert_eq!(place.ints("SELECT sum(c1999) FROM t"), [35]);
}

#[test]
fn what_is_no_database_cannot_be_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.db");
    std::fs::write(&path, b"id,name\n1,this is a delimited file and no database\n").unwrap();
    for path in [path.as_path(), directory.path(), Path::new("/nonexistent/x.db")] {
        let error = SqliteTarget::open(path).unwrap_err();
        assert_eq!(error.class, ErrorClass::CannotConnect, "{error}");
    }
    assert!(SqliteTarget::open(":memory:").is_err());
}
