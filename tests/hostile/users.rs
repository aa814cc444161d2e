//! Users of the servers with few rights.

use crate::support::{Kind, Place, Server};

/// Hosts for which MariaDB has an account: one without a name for one of them would come first.
const HOSTS: [&str; 3] = ["%", "localhost", "127.0.0.1"];

/// A user of the tests with a password, who may do nothing.
pub(crate) fn user(server: &Server, name: &str) -> Server {
    match server.kind {
        Kind::Postgresql => {
            server.query(&format!(
                "DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') THEN \
                 EXECUTE 'DROP OWNED BY {name}'; DROP ROLE {name}; END IF; END $$"
            ));
            server.query(&format!("CREATE ROLE {name} LOGIN PASSWORD 'once'"));
        }
        Kind::Mariadb => {
            for host in HOSTS {
                let account = format!("{name}@'{host}'");
                server.query(&format!("CREATE OR REPLACE USER {account} IDENTIFIED BY 'once'"));
            }
        }
    }
    let named = Server { kind: server.kind, text: server.with("UID", name) };
    let text = named.with("PWD", "once");
    Server { kind: server.kind, text }
}

/// A name as the server has it that was made without quotes.
pub(crate) fn stored_name(server: &Server, name: &str) -> String {
    match server.kind {
        Kind::Postgresql => name.to_lowercase(),
        Kind::Mariadb => name.to_owned(),
    }
}

/// Gives the user rights on a table.
pub(crate) fn grant(server: &Server, rights: &str, table: &str, name: &str) {
    let quoted = server.quoted(table);
    match server.kind {
        Kind::Postgresql => {
            server.query(&format!("GRANT {rights} ON {quoted} TO {name}"));
        }
        Kind::Mariadb => {
            for host in HOSTS {
                server.query(&format!("GRANT {rights} ON {quoted} TO {name}@'{host}'"));
            }
        }
    }
}

/// A password that was right until yesterday.
fn expire(server: &Server, name: &str) {
    match server.kind {
        Kind::Postgresql => {
            server.query(&format!("ALTER ROLE {name} VALID UNTIL '2001-01-01'"));
        }
        Kind::Mariadb => {
            for host in HOSTS {
                server.query(&format!("ALTER USER {name}@'{host}' PASSWORD EXPIRE"));
            }
        }
    }
}

#[test]
fn a_password_that_has_expired() {
    Server::each(|server| {
        let (table, name) = ("hostile_expired", "fl_expired");
        server.drop_table(table);
        server.query(&format!("CREATE TABLE {table} (id INT)"));
        let user = user(server, name);
        grant(server, "SELECT, INSERT", table, name);
        let place = Place::new();
        place.write("in.csv", "id\n1\n");
        let load = ["in.csv", "--table", table, "--dialect", "csv", "--restart", "off"];
        user.run(&place, load).expect(0);
        expire(server, name);
        let run = user.run(&place, load).expect(12);
        assert!(!run.stderr.contains("once"), "{}", run.stderr);
        assert_eq!(server.value(&format!("SELECT count(*) FROM {table}")), "1");
        server.drop_table(table);
    });
}
