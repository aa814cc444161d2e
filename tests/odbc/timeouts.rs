//! Statements that take too long, and commits that the server refuses.

use std::time::Duration;

use fastload::sink::odbc::{OdbcSpec, ProfileName};
use fastload::sink::{ErrorClass, Sink, Target};

use super::support::*;

/// A table whose inserts take a minute, and the statement that makes them fast again.
fn slow<'s>(server: &'s Server, name: &str) -> (Table<'s>, Vec<String>) {
    let table = Table::create(server, name, keyed());
    let run = |sql: &str| table.target.run_sql(sql).unwrap();
    if server.is_postgresql() {
        run(&format!(
            "CREATE OR REPLACE FUNCTION {name}_sleep() RETURNS trigger AS \
             'BEGIN PERFORM pg_sleep(60); RETURN NEW; END' LANGUAGE plpgsql"
        ));
        run(&format!(
            "CREATE TRIGGER slow BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION {name}_sleep()",
            table.sql
        ));
        let undo = vec![format!("DROP TRIGGER slow ON {}", table.sql)];
        (table, undo)
    } else {
        run(&format!(
            "CREATE TRIGGER {name}_slow BEFORE INSERT ON {} FOR EACH ROW \
             BEGIN DECLARE unused INT; SET unused = SLEEP(60); END",
            table.sql
        ));
        (table, vec![format!("DROP TRIGGER {name}_slow")])
    }
}

/// Statements that take the server's own limit away.
fn unlimited(server: &Server) -> Vec<String> {
    let sql = match server.is_postgresql() {
        true => "SET statement_timeout = 0",
        false => "SET SESSION max_statement_time = 0",
    };
    vec![sql.to_owned()]
}

fn open(spec: OdbcSpec, table: &Table<'_>) -> Box<dyn Sink> {
    let target = table.server.connect(spec).unwrap();
    let action = fastload::sink::RowAction::Insert;
    target.open(&table.name, &table.columns, &action).unwrap()
}

/// The server's limit is the first to end a statement.
pub(super) fn a_statement_that_the_server_ends(server: &Server) {
    let (table, undo) = slow(server, "the_server_ends");
    let spec = OdbcSpec { query_timeout: Duration::from_secs(1), ..server.spec() };
    let mut sink = open(spec, &table);
    let rows = table.batch(&good_rows(1));
    let error = sink.write(&rows).unwrap_err();
    assert_eq!(error.class, ErrorClass::TimedOut, "{error}");
    assert!(!error.to_string().contains("cancelled after"), "it was ours: {error}");
    sink.rollback().unwrap();
    for sql in undo {
        table.target.run_sql(&sql).unwrap();
    }
    assert_eq!(sink.write(&rows).unwrap(), []);
    sink.commit().unwrap();
    assert_eq!(table.count(), 1);
}

/// Where server and driver keep no time, the watchdog does; the connection outlives it.
pub(super) fn a_statement_that_only_we_end(server: &Server) {
    // COPY is of one profile.
    let others =
        [None, Some(ProfileName::Generic)].into_iter().take(2 - usize::from(server.copies));
    for profile in others {
        let (table, undo) = slow(server, "only_we_end");
        let spec = OdbcSpec {
            query_timeout: Duration::from_secs(1),
            session_sql: unlimited(server),
            profile,
            ..server.spec()
        };
        let mut sink = open(spec, &table);
        let rows = table.batch(&good_rows(1));
        let error = sink.write(&rows).unwrap_err();
        assert_eq!(error.class, ErrorClass::TimedOut, "{error}");
        sink.rollback().unwrap();
        for sql in undo {
            table.target.run_sql(&sql).unwrap();
        }
        if profile.is_none() {
            assert!(error.to_string().contains("cancelled after --query-timeout (1s)"), "{error}");
            assert_eq!(sink.write(&rows).unwrap(), []);
            sink.commit().unwrap();
            assert_eq!(table.count(), 1);
        }
    }
}

/// A commit that the server answers with a refusal is no commit of unknown outcome.
pub(super) fn a_commit_that_the_server_refuses(server: &Server) {
    if !server.is_postgresql() {
        // MariaDB checks nothing at the commit.
        return;
    }
    let table = Table::create(server, "a_refused_commit", keyed());
    let run = |sql: &str| table.target.run_sql(sql).unwrap();
    run(&format!("ALTER TABLE {} ADD UNIQUE (id) DEFERRABLE INITIALLY DEFERRED", table.sql));
    // What the session has made immediate, the trigger makes deferred again.
    run("CREATE OR REPLACE FUNCTION fl_defer() RETURNS trigger AS \
         'BEGIN SET CONSTRAINTS ALL DEFERRED; RETURN NEW; END' LANGUAGE plpgsql");
    run(&format!(
        "CREATE TRIGGER deferring BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION fl_defer()",
        table.sql
    ));
    let mut sink = table.sink();
    let mut rows = good_rows(3);
    let key = rows[0][0].clone();
    rows[2][0].clone_from(&key);
    assert_eq!(sink.write(&table.batch(&rows)).unwrap(), [], "nothing is checked yet");
    let error = sink.commit().unwrap_err();
    assert_eq!(error.class, ErrorClass::RolledBack, "{error}");
    assert_eq!(error.sqlstate.as_deref(), Some("23505"));
    sink.rollback().unwrap();
    assert_eq!(table.count(), 0);
    assert_eq!(sink.write(&table.batch(&good_rows(2))).unwrap(), []);
    sink.commit().unwrap();
    assert_eq!(table.count(), 2);
}
