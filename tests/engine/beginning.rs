//! The first transactions of a load with a ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fastload::sink::SinkError;
use fastload::sink::sqlite::SqliteTarget;
use rusqlite::Connection;

use crate::support::{Call, Hooked, given, ledger, lines, load, small};

/// Tables that are made and not committed lock the catalogue of some databases for everybody, so
/// nothing may be waited for meanwhile. Here they would lock the database.
#[test]
fn nothing_is_asked_while_the_tables_of_the_ledger_are_not_committed() {
    let file = given(&lines(200, &[]));
    let path = file.path.with_extension("db");
    let database = Connection::open(&path).expect("a database");
    database.execute_batch("CREATE TABLE t (a TEXT, b TEXT)").expect("a table");
    let (asked, other) = (Arc::new(AtomicU32::new(0)), path.clone());
    let count = Arc::clone(&asked);
    let target = SqliteTarget::open(&path).expect("it is there");
    let target = Hooked::over(target, move |call| {
        if matches!(call, Call::Columns) {
            count.fetch_add(1, Ordering::Relaxed);
            let free = Connection::open(&other)
                .and_then(|other| other.busy_timeout(Duration::ZERO).map(|()| other))
                .and_then(|other| other.execute_batch("BEGIN IMMEDIATE; ROLLBACK"));
            return free.map_err(|error| SinkError::permanent(error.to_string()));
        }
        Ok(())
    });
    let mut config = small(&file.path);
    config.ledger = Some(ledger());
    let outcome = load(config, Arc::new(target));
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    assert!(asked.load(Ordering::Relaxed) > 0, "the columns were asked for");
    let rows: i64 =
        database.query_row("SELECT count(*) FROM t", (), |row| row.get(0)).expect("one");
    assert_eq!(rows, 200);
}
