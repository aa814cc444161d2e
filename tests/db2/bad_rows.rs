//! A bad row costs itself and nothing else, wherever it stands in its array: faults that only the
//! server or the driver finds, because these rows pass by the program's own validation.

use std::time::Duration;

use fastload::arena::column::NULL_INDICATOR;
use fastload::arena::{Batch, Values};
use fastload::config::TlsOptions;
use fastload::config::schema::{Column, LengthUnit, SqlType, TextLength};
use fastload::record::RejectClass;
use fastload::sink::odbc::{ConnectionText, OdbcSpec, OdbcTarget};
use fastload::sink::{Layout, RowAction, RowReject, Target as _};

use crate::support::{create_table, query, variable};

/// Key, text, number, parent, and a text that a trigger may refuse.
type Row = (Option<i32>, String, String, i32, String);

/// Rows of each array.
const ROWS: i32 = 300;

fn target(variable_name: &str) -> OdbcTarget {
    let connection = ConnectionText::Keywords(variable(variable_name));
    let spec = OdbcSpec {
        connection,
        user: None,
        password: None,
        tls: TlsOptions::default(),
        profile: None,
        connect_timeout: Duration::from_secs(10),
        query_timeout: Duration::from_secs(60),
        session_sql: Vec::new(),
    };
    OdbcTarget::connect(spec).expect("the rig takes connections")
}

/// Table `name` with every kind of constraint, and its columns wider than they are.
fn constrained(name: &str) -> Vec<Column> {
    for table in [name.to_owned(), format!("{name}_AUDIT")] {
        let there = format!("SELECT 1 FROM SYS.SYSTABLES WHERE TABLENAME = '{table}'");
        if !query(&there).is_empty() {
            query(&format!("DROP TABLE {table}"));
        }
    }
    let server = variable("FASTLOAD_TEST_DB2_WIDE");
    create_table(&server, &format!("{name}_AUDIT"), "WORD VARCHAR(20) CHECK (WORD <> 'refused')");
    create_table(
        &server,
        name,
        "ID INTEGER NOT NULL PRIMARY KEY, TEXT VARCHAR(10) CHECK (TEXT <> 'forbidden'), \
         NUMBER DECIMAL(5,2), PARENT INTEGER, WORD VARCHAR(20)",
    );
    query(&format!("INSERT INTO {name} (ID) VALUES 0"));
    query(&format!("ALTER TABLE {name} ADD FOREIGN KEY (PARENT) REFERENCES {name} (ID)"));
    query(&format!(
        "CREATE TRIGGER {name}_T AFTER INSERT ON {name} REFERENCING NEW AS NEW_ROW \
         FOR EACH ROW INSERT INTO {name}_AUDIT VALUES (NEW_ROW.WORD)"
    ));
    let text = || SqlType::VarChar(Some(TextLength { max: 200, unit: LengthUnit::Bytes }));
    let column =
        |name: &str, ty| Column { name: name.to_owned(), ty, nullable: true, generated: false };
    vec![
        column("ID", SqlType::Integer),
        column("TEXT", text()),
        column("NUMBER", SqlType::Decimal { precision: 31, scale: 10 }),
        column("PARENT", SqlType::Integer),
        column("WORD", text()),
    ]
}

fn good_rows() -> Vec<Row> {
    let row = |n: i32| (Some(n), format!("n{n}"), "1.25".to_owned(), 0, format!("w{n}"));
    (1..=ROWS).map(row).collect()
}

fn batch(layout: &Layout, rows: &[Row]) -> Batch {
    const STRIDE: usize = 40;
    let mut batch = Batch::new(&layout.cells, layout.indicators, 0);
    batch.lay_out(rows.len(), &[STRIDE; 5]);
    for (at, (id, text, number, parent, word)) in rows.iter().enumerate() {
        let cells = [id.map(|id| id.to_string()), Some(text.clone()), Some(number.clone())]
            .into_iter()
            .chain([Some(parent.to_string()), Some(word.clone())]);
        for (column, cell) in batch.columns.iter_mut().zip(cells) {
            let length = cell.as_ref().map_or(NULL_INDICATOR, |c| i64::try_from(c.len()).unwrap());
            column.indicators.set(at, length);
            let cell = cell.unwrap_or_default();
            match &mut column.values {
                Values::I32(numbers) => numbers[at] = cell.parse().unwrap_or(0),
                Values::Bytes { data, .. } => {
                    data[at * STRIDE..][..cell.len()].copy_from_slice(cell.as_bytes());
                }
                _ => panic!("a number or a text"),
            }
        }
    }
    batch.set_rows(rows.len());
    batch
}

fn load(target: &OdbcTarget, name: &str, columns: &[Column], rows: &[Row]) -> Vec<RowReject> {
    let layout = target.layout(name, columns, &RowAction::Insert).unwrap();
    let mut sink = target.open(name, columns, &RowAction::Insert).unwrap();
    let rejects = sink.write(&batch(&layout, rows)).unwrap();
    sink.commit().unwrap();
    rejects
}

/// Spoils a row.
type Spoil = fn(&mut Row);

/// What each fault is called, and what it is classified as.
const FAULTS: [(&str, Spoil, RejectClass); 8] = [
    ("duplicate key", |row| row.0 = Some(0), RejectClass::Duplicate),
    ("NULL in a key", |row| row.0 = None, RejectClass::Null),
    ("text too long", |row| row.1 = "eleven chars".into(), RejectClass::Length),
    ("no number", |row| row.2 = "abc".into(), RejectClass::Conversion),
    ("number too large", |row| row.2 = "1234.5".into(), RejectClass::Range),
    ("CHECK", |row| row.1 = "forbidden".into(), RejectClass::Constraint),
    ("foreign key", |row| row.3 = 4_711, RejectClass::Constraint),
    ("trigger", |row| row.4 = "refused".into(), RejectClass::Constraint),
];

fn one_bad_row(variable_name: &str, name: &str) {
    let target = target(variable_name);
    for (fault, spoil, class) in FAULTS {
        for bad in [0, 150, 299] {
            let columns = constrained(name);
            let mut rows = good_rows();
            spoil(&mut rows[bad]);
            let rejects = load(&target, name, &columns, &rows);
            let found: Vec<_> = rejects.iter().map(|r| (r.row, r.class)).collect();
            assert_eq!(found, [(bad, class)], "{fault} at {bad}: {rejects:?}");
            assert!(rejects[0].sqlstate.is_some() && rejects[0].native.is_some(), "{rejects:?}");
            let sum = ROWS * (ROWS + 1) / 2 - i32::try_from(bad).unwrap() - 1;
            let stored = query(&format!("SELECT COUNT(*), SUM(ID) FROM {name}"));
            assert_eq!(stored[0], [Some(ROWS.to_string()), Some(sum.to_string())], "{fault}");
            let audited = query(&format!("SELECT COUNT(*) FROM {name}_AUDIT"));
            assert_eq!(audited[0], [Some((ROWS - 1).to_string())], "{fault} at {bad}");
        }
    }
}

#[test]
fn one_bad_row_with_words_of_four_bytes() {
    one_bad_row("FASTLOAD_TEST_DB2", "ONE_BAD_NARROW");
}

#[test]
fn one_bad_row_with_words_of_eight_bytes() {
    one_bad_row("FASTLOAD_TEST_DB2_WIDE", "ONE_BAD_WIDE");
}

#[test]
fn bad_rows_of_all_kinds_together() {
    let target = target("FASTLOAD_TEST_DB2");
    let columns = constrained("BAD_TOGETHER");
    let mut rows = good_rows();
    let mut expected = Vec::new();
    for (at, (_, spoil, class)) in FAULTS.iter().cycle().take(40).enumerate() {
        spoil(&mut rows[at * 7]);
        expected.push((at * 7, *class));
    }
    let rejects = load(&target, "BAD_TOGETHER", &columns, &rows);
    let found: Vec<_> = rejects.iter().map(|r| (r.row, r.class)).collect();
    assert_eq!(found, expected);
    let stored = query("SELECT COUNT(*) FROM BAD_TOGETHER");
    assert_eq!(stored[0], [Some((ROWS - 40 + 1).to_string())]);
}

/// Nothing is in, every row has its own reject, and what follows is as if nothing had been.
#[test]
fn every_row_bad() {
    let target = target("FASTLOAD_TEST_DB2");
    let columns = constrained("ALL_BAD");
    let mut rows = good_rows();
    for row in &mut rows {
        row.0 = Some(0);
    }
    let rejects = load(&target, "ALL_BAD", &columns, &rows);
    assert!(rejects.iter().map(|reject| reject.row).eq(0..rows.len()));
    assert!(rejects.iter().all(|reject| reject.class == RejectClass::Duplicate));
    assert_eq!(load(&target, "ALL_BAD", &columns, &good_rows()), []);
    let stored = query("SELECT COUNT(*) FROM ALL_BAD");
    assert_eq!(stored[0], [Some((ROWS + 1).to_string())]);
}

/// Of two rows with one key the first stays.
#[test]
fn the_first_of_equal_keys_stays() {
    let target = target("FASTLOAD_TEST_DB2");
    let columns = constrained("EQUAL_KEYS");
    let mut rows = good_rows();
    rows[200].0 = Some(21);
    let rejects = load(&target, "EQUAL_KEYS", &columns, &rows);
    let found: Vec<_> = rejects.iter().map(|r| (r.row, r.class)).collect();
    assert_eq!(found, [(200, RejectClass::Duplicate)]);
    let stored = query("SELECT TEXT FROM EQUAL_KEYS WHERE ID = 21");
    assert_eq!(stored[0], [Some("n21".to_owned())]);
}
