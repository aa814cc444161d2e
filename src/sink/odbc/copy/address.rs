//! Where a native connection goes, as the driver has it.

use secrecy::SecretString;

use super::super::connect::{
    OdbcSpec, PASSWORD_KEYWORDS, Session, USER_KEYWORDS, completed_keywords,
};
use super::Profile;
use crate::sink::SinkError;

/// Names of the other parts in connection strings of psqlodbc.
const SERVER: &[&str] = &["SERVER", "SERVERNAME"];
const PORT: &[&str] = &["PORT"];
const DATABASE: &[&str] = &["DATABASE"];

/// A server, a database and who logs in.
#[derive(Debug)]
pub(super) struct Address {
    /// Name or address of a host, or the folder of a socket.
    pub(super) host: String,
    /// Port.
    pub(super) port: u16,
    /// Database.
    pub(super) database: String,
    /// User.
    pub(super) user: String,
    /// Password, where there is one.
    pub(super) password: Option<SecretString>,
}

impl Address {
    /// From the connection string, completed by the driver where it names a data source.
    ///
    /// # Errors
    /// What is missing in it.
    pub(super) fn find(spec: &OdbcSpec, profile: &dyn Profile) -> Result<Self, SinkError> {
        let mut keywords = spec.keywords(Some(profile))?;
        // The driver does not give one of a data source away.
        let given = keywords.get(PASSWORD_KEYWORDS).filter(|password| !password.is_empty());
        let password = given.map(|password| password.to_owned().into());
        if keywords.get(&["DSN"]).is_some() {
            keywords = completed_keywords(&keywords)?;
        }
        let value = |names: &[&str]| keywords.get(names).filter(|value| !value.is_empty());
        let parts = [
            ("Server", value(SERVER)),
            ("Port", value(PORT)),
            ("Database", value(DATABASE)),
            ("UID", value(USER_KEYWORDS)),
        ];
        let [Some(host), Some(port), Some(database), Some(user)] = parts.map(|(_, value)| value)
        else {
            let missing = parts.iter().filter(|(_, value)| value.is_none());
            let missing: Vec<&str> = missing.map(|(name, _)| *name).collect();
            return Err(SinkError::permanent(format!(
                "--copy connects by itself, and neither the connection string nor its data source \
                 says {}: write it into --to odbc:…",
                missing.join(", ")
            )));
        };
        let port = port.trim().parse().map_err(|_| {
            SinkError::permanent("--copy: the Port of the connection string is no port number")
        })?;
        Ok(Self {
            host: host.to_owned(),
            port,
            database: database.to_owned(),
            user: user.to_owned(),
            password,
        })
    }
}

/// What makes the driver's sessions differ from others of the same user: its own settings, those of
/// the data source (`ConnSettings`) and of the environment (`PGOPTIONS`), and the role. The
/// encoding is left out: a native connection has its own.
pub(super) fn settings(session: &Session) -> Result<Vec<(String, String)>, SinkError> {
    const SQL: &str = "SELECT name, setting FROM pg_catalog.pg_settings \
                       WHERE source IN ('client', 'session') AND name <> 'client_encoding' \
                       UNION ALL SELECT 'role', current_setting('role') \
                       WHERE current_setting('role') <> 'none'";
    let rows = session.query(SQL)?;
    session.rollback()?;
    let pairs = rows.into_iter().filter_map(|row| match <[_; 2]>::try_from(row) {
        Ok([Some(name), Some(value)]) => Some((name, value)),
        _ => None,
    });
    Ok(pairs.collect())
}
