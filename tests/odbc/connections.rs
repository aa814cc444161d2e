//! Connections, transactions and what ends them.

use std::time::Duration;

use fastload::config::schema::SqlType;
use fastload::sink::RowAction;
use fastload::sink::odbc::{ConnectionText, OdbcSpec, OdbcTarget};
use fastload::sink::{ErrorClass, SinkError, Target};
use secrecy::SecretString;

use super::support::*;

pub(super) fn facts_are_probed(server: &Server) {
    let info = server.target().info();
    assert_eq!(info.profile, server.profile.name());
    let fact = |name: &str| {
        let found = info.facts.iter().find(|(key, _)| key == name);
        found.unwrap_or_else(|| panic!("no fact {name} in {:?}", info.facts)).1.clone()
    };
    assert_eq!(fact("length words"), "8 bytes (measured)");
    assert!(fact("text").starts_with("UTF-8 arrives"), "{:?}", info.facts);
    assert!(!info.url.contains(&server.keyword(&["PWD", "PASSWORD"])), "{}", info.url);
    assert!(fact("database").len() > 5 && fact("driver").len() > 5);
}

pub(super) fn transactions(server: &Server) {
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
    assert_eq!(sink.write(&table.batch(&[vec![some(99), None, None]])).unwrap(), []);
    drop(sink);
    assert_eq!(table.count(), 30);
}

pub(super) fn a_failed_transaction_cannot_commit(server: &Server) {
    let table = Table::create(server, "a_failed_transaction", keyed());
    let mut sink = table.sink();
    table.target.run_sql(&format!("DROP TABLE {}", table.sql)).unwrap();
    let rows = table.batch(&good_rows(3));
    let error = sink.write(&rows).unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent, "{error}");
    assert!(sink.commit().is_err());
    assert!(sink.write(&rows).is_err());
    sink.rollback().unwrap();
    sink.commit().unwrap();
}

pub(super) fn a_killed_connection(server: &Server) {
    let table = constrained(server, "a_killed_connection");
    let mut sink = table.sink();
    assert_eq!(sink.write(&table.batch(&good_rows(13))).unwrap(), []);
    if server.is_postgresql() {
        server.query(
            "SELECT pg_terminate_backend(l.pid)::text FROM pg_locks l \
             JOIN pg_class c ON c.oid = l.relation JOIN pg_database d ON d.oid = l.database \
             WHERE c.relname = 'a_killed_connection' AND d.datname = current_database()",
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

pub(super) fn a_lock_that_is_held(server: &Server) {
    let table = constrained(server, "a_lock_that_is_held");
    let rows = table.batch(&good_rows(5));
    let mut holder = table.sink();
    assert_eq!(holder.write(&rows).unwrap(), []);
    let spec = OdbcSpec { query_timeout: Duration::from_secs(1), ..server.spec() };
    let target = server.connect(spec).unwrap();
    let mut waiting = target.open(&table.name, &table.columns, &RowAction::Insert).unwrap();
    let error = waiting.write(&rows).unwrap_err();
    assert_eq!(error.class, ErrorClass::TimedOut, "{error}");
    waiting.rollback().unwrap();
    holder.rollback().unwrap();
    assert_eq!(waiting.write(&rows).unwrap(), []);
    waiting.commit().unwrap();
}

fn connect_error(spec: OdbcSpec) -> SinkError {
    OdbcTarget::connect(spec).expect_err("a refused connection")
}

pub(super) fn refused_connections(server: &Server) {
    let secret = "hush-hush-4711";
    let wrong = OdbcSpec { password: Some(SecretString::from(secret)), ..server.spec() };
    assert!(!format!("{wrong:?}").contains(secret));
    let error = connect_error(wrong);
    assert_eq!(error.class, ErrorClass::LoginRefused, "{error}");
    assert!(!error.to_string().contains(secret));
    let nobody = OdbcSpec { user: Some("nobody;SERVER=elsewhere}".to_owned()), ..server.spec() };
    assert_eq!(connect_error(nobody).class, ErrorClass::LoginRefused);
    let port = server.keyword(&["PORT"]);
    for text in
        [server.text.replace(&format!("={port}"), "=1"), "DRIVER={no such driver}".to_owned()]
    {
        let spec = OdbcSpec { connection: ConnectionText::Keywords(text), ..server.spec() };
        let error = connect_error(spec);
        assert_eq!(error.class, ErrorClass::CannotConnect, "{error}");
    }
}

/// Blanks at either end are left out: MariaDB's driver strips them, in braces too.
pub(super) fn passwords_with_special_characters(server: &Server) {
    let target = server.target();
    for (n, password) in ["a;b}c{d", "{x", "}", "p+q=r %41", "é😀", "'\"\\"].iter().enumerate() {
        let user = format!("fl_special_{n}{}", if server.copies { "_copy" } else { "" });
        if server.is_postgresql() {
            let literal = password.replace('\'', "''");
            target.run_sql(&format!("DROP ROLE IF EXISTS {user}")).unwrap();
            target.run_sql(&format!("CREATE ROLE {user} LOGIN PASSWORD '{literal}'")).unwrap();
        } else {
            let literal = password.replace('\\', "\\\\").replace('\'', "''");
            // The accounts of one name for each host, because a server may have an account
            // without a name for one of them, which would come first.
            for host in ["%", "localhost", "127.0.0.1"] {
                let user = format!("{user}@'{host}'");
                let sql = format!("CREATE OR REPLACE USER {user} IDENTIFIED BY '{literal}'");
                target.run_sql(&sql).unwrap();
                let database = server.keyword(&["DATABASE", "DB"]);
                target.run_sql(&format!("GRANT ALL ON {database}.* TO {user}")).unwrap();
            }
        }
        let spec = OdbcSpec {
            user: Some(user),
            password: Some(SecretString::from(*password)),
            ..server.spec()
        };
        let connected = server.connect(spec);
        assert!(connected.is_ok(), "{password:?}: {:?}", connected.err());
        if server.copies {
            // Only a writer logs in by itself.
            let connected = connected.unwrap();
            let columns = [column("datname", SqlType::VarChar(None), true)];
            let opened = connected.open("pg_database", &columns, &RowAction::Insert);
            assert!(opened.is_ok(), "{password:?}: {:?}", opened.err());
        }
    }
}

pub(super) fn session_statements(server: &Server) {
    let spec = |sql: &str| OdbcSpec { session_sql: vec![sql.to_owned()], ..server.spec() };
    assert!(server.connect(spec("nonsense")).is_err());
    let sql =
        if server.is_postgresql() { "SET TIME ZONE '+03:00'" } else { "SET time_zone = '+03:00'" };
    let facts = server.connect(spec(sql)).unwrap().info().facts;
    let zone = facts.iter().find(|(name, _)| name == "time zone").unwrap();
    assert!(zone.1.contains("03"), "{zone:?}");
}
