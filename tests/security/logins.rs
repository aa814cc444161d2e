//! Logins of the cases' own, made and dropped in the servers.

use crate::support::{Kind, Server};

/// A user with a password, who owns nothing and may do everything in the tests' database.
pub(crate) struct Login<'s> {
    server: &'s Server,
    pub(crate) user: String,
    pub(crate) password: String,
}

impl<'s> Login<'s> {
    pub(crate) fn create(server: &'s Server, user: &str, password: &str) -> Self {
        let login = Self { server, user: user.to_owned(), password: password.to_owned() };
        login.drop_user();
        let password = text(password);
        match server.kind {
            Kind::Postgresql => {
                let name = server.quoted(user);
                server.query(&format!("CREATE ROLE {name} LOGIN SUPERUSER PASSWORD {password}"));
            }
            Kind::Mariadb => {
                let name = text(user);
                server.query(&format!("CREATE USER {name}@'127.0.0.1' IDENTIFIED BY {password}"));
                server.query(&format!("GRANT ALL ON fastload.* TO {name}@'127.0.0.1'"));
            }
        }
        login
    }

    fn drop_user(&self) {
        let name = &self.user;
        match self.server.kind {
            Kind::Postgresql => {
                self.server.query(&format!("DROP ROLE IF EXISTS {}", self.server.quoted(name)))
            }
            Kind::Mariadb => {
                self.server.query(&format!("DROP USER IF EXISTS {}@'127.0.0.1'", text(name)))
            }
        };
    }
}

impl Drop for Login<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.drop_user();
        }
    }
}

/// A text as SQL; none of the cases has a backslash.
fn text(value: &str) -> String {
    assert!(!value.contains('\\'));
    format!("'{}'", value.replace('\'', "''"))
}

/// The server's connection string without user and password.
pub(crate) fn address(server: &Server) -> String {
    let parts = server.text.split_terminator(';');
    let kept = parts.filter(|part| !part.starts_with("UID=") && !part.starts_with("PWD="));
    kept.fold(String::new(), |text, part| text + part + ";")
}

/// The name of the server's data source.
pub(crate) fn source(server: &Server) -> &'static str {
    match server.kind {
        Kind::Postgresql => "dsn:fastload-postgresql",
        Kind::Mariadb => "dsn:fastload-mariadb",
    }
}
