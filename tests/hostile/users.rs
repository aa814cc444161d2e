//! Users of the servers with few rights.

use crate::support::{Kind, Server};

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
        Kind::Mariadb => HOSTS.iter().for_each(|host| {
            drop(server.query(&format!("GRANT {rights} ON {quoted} TO {name}@'{host}'")));
        }),
    }
}
