//! Bad rows are found, and the others are in.

use fastload::record::RejectClass;
use fastload::sink::Target;

use super::support::*;

pub(super) fn one_bad_row(server: &Server) {
    for bad in [0, 499, 999] {
        let table = constrained(server, "one_bad_row");
        let mut rows = good_rows(1_000);
        rows[bad][0] = some(0);
        let rejects = table.load(&rows);
        assert_eq!(rejects.len(), 1, "{rejects:?}");
        assert_eq!((rejects[0].row, rejects[0].class), (bad, RejectClass::Duplicate));
        assert!(rejects[0].sqlstate.as_deref().is_some_and(|s| s.starts_with("23")), "{rejects:?}");
        // A code of the driver.
        assert_eq!(rejects[0].native.is_some(), !server.copies);
        assert_eq!(table.count(), 1_000);
    }
}

pub(super) fn bad_rows_of_every_kind(server: &Server) {
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
            assert_eq!((rejects[0].row, rejects[0].class), (bad, class), "{rejects:?}");
            if class == R::Null {
                assert_eq!(rejects[0].column, Some(0), "{rejects:?}");
            }
            assert_eq!(table.count(), 40);
        }
    }
}

pub(super) fn several_bad_rows(server: &Server) {
    let table = constrained(server, "several_bad_rows");
    let mut rows = good_rows(500);
    rows[100][0] = some(0);
    rows[101][1] = some("forbidden");
    rows[499][0] = None;
    let rejects = table.load(&rows);
    let found: Vec<_> = rejects.iter().map(|reject| (reject.row, reject.class)).collect();
    assert_eq!(
        found,
        [(100, RejectClass::Duplicate), (101, RejectClass::Constraint), (499, RejectClass::Null)]
    );
    assert_eq!(table.count(), 498);
}

pub(super) fn every_row_bad(server: &Server) {
    let table = constrained(server, "every_row_bad");
    let rows: Vec<Row> = (0..300).map(|n| vec![some(0), some(n), None]).collect();
    let rejects = table.load(&rows);
    assert_eq!(rejects.len(), 300);
    assert!(rejects.iter().enumerate().all(|(row, reject)| reject.row == row));
    assert_eq!(table.count(), 1);
}

pub(super) fn equal_keys_inside_a_batch(server: &Server) {
    let table = constrained(server, "equal_keys_inside_a_batch");
    let mut rows = good_rows(100);
    let key = rows[20][0].clone();
    rows[60][0].clone_from(&key);
    let rejects = table.load(&rows);
    assert_eq!(rejects.iter().map(|reject| reject.row).collect::<Vec<_>>(), [60]);
    let sql = format!(
        "SELECT {} FROM {} WHERE {} = 21",
        server.quoted("name"),
        table.sql,
        server.quoted("id")
    );
    assert_eq!(server.scalar(&sql), "n21");
}

/// What is executed between two batches stays when rows of the next one are refused.
pub(super) fn statements_between_bad_rows(server: &Server) {
    let table = constrained(server, "statements_between_bad_rows");
    let notes = server.quoted("statements_between_notes");
    let target = &table.target;
    target.run_sql(&format!("DROP TABLE IF EXISTS {notes}")).unwrap();
    target.run_sql(&format!("CREATE TABLE {notes} (n INTEGER)")).unwrap();
    let mut sink = table.sink();
    for (note, rows_before) in [(0, 0), (1, 4), (2, 8), (3, 12)] {
        sink.execute(&format!("INSERT INTO {notes} VALUES ({note})")).unwrap();
        // The first row and the last one.
        let mut rows = good_rows(4 * (note + 1)).split_off(rows_before);
        rows[0][1] = some("forbidden");
        rows[3][1] = some("forbidden");
        let rejects = sink.write(&table.batch(&rows)).unwrap();
        assert_eq!(rejects.iter().map(|reject| reject.row).collect::<Vec<_>>(), [0, 3]);
    }
    sink.commit().unwrap();
    assert_eq!(table.count(), 1 + 4 * 2);
    let numbers = server.query(&format!("SELECT n FROM {notes} ORDER BY n"));
    assert_eq!(numbers, (0..4).map(|note| vec![some(note)]).collect::<Vec<Row>>());
    target.run_sql(&format!("DROP TABLE {notes}")).unwrap();
}

/// A constraint that would be checked at the commit is checked where its row can still be named.
pub(super) fn deferred_constraints(server: &Server) {
    let table = Table::create(server, "deferred_constraints", keyed());
    let deferrable = if server.is_postgresql() { " DEFERRABLE INITIALLY DEFERRED" } else { "" };
    let sql = format!("ALTER TABLE {} ADD UNIQUE ({}){deferrable}", table.sql, server.quoted("id"));
    table.target.run_sql(&sql).unwrap();
    let mut rows = good_rows(20);
    for row in &mut rows {
        row[2] = None;
    }
    let key = rows[3][0].clone();
    rows[7][0].clone_from(&key);
    let rejects = table.load(&rows);
    assert_eq!(rejects.iter().map(|reject| reject.row).collect::<Vec<_>>(), [7]);
    assert_eq!(table.count(), 19);
}
