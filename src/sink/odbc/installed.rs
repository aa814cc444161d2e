//! What is installed on this machine: drivers (odbcinst.ini) and data sources (odbc.ini).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use odbc_api::environment;

use crate::sink::SinkError;

/// A driver or a data source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Installed {
    /// Its name.
    pub name: String,
    /// Attributes of a driver as `KEY=VALUE`, sorted; the driver of a data source.
    pub details: Vec<String>,
}

/// The installed drivers, by name.
///
/// # Errors
/// What the driver manager says.
pub fn drivers() -> Result<Vec<Installed>, SinkError> {
    let found =
        environment().and_then(odbc_api::Environment::drivers).map_err(|error| refused(&error))?;
    let one = |driver: odbc_api::DriverInfo| {
        let attributes = driver.attributes.into_iter();
        let mut details: Vec<String> =
            attributes.map(|(key, value)| format!("{key}={value}")).collect();
        details.sort_unstable();
        Installed { name: driver.description, details }
    };
    Ok(sorted(found.into_iter().map(one)))
}

/// The data sources of the user and of the system, by name.
///
/// # Errors
/// What the driver manager says.
pub fn data_sources() -> Result<Vec<Installed>, SinkError> {
    let found = environment()
        .and_then(odbc_api::Environment::data_sources)
        .map_err(|error| refused(&error))?;
    Ok(sorted(
        found
            .into_iter()
            .map(|source| Installed { name: source.server_name, details: vec![source.driver] }),
    ))
}

/// What there is to say when the driver manager writes down every call, with its arguments: its
/// trace holds the connection string and the data.
#[must_use]
pub fn trace_notice() -> Option<String> {
    let path = settings_file(std::env::var_os("ODBCSYSINI"), std::env::var_os("ODBCINSTINI"));
    let settings = std::fs::read(&path).ok()?;
    let file = traced(&String::from_utf8_lossy(&settings))?;
    Some(format!(
        "the ODBC driver manager's trace is on ({}, [ODBC], Trace): it writes connection strings \
         and data to {file}",
        path.display()
    ))
}

/// Where unixODBC looks for its settings.
fn settings_file(directory: Option<OsString>, name: Option<OsString>) -> PathBuf {
    let directory = directory.unwrap_or_else(|| "/etc".into());
    Path::new(&directory).join(name.unwrap_or_else(|| "odbcinst.ini".into()))
}

/// The file of the trace, when it is on.
fn traced(settings: &str) -> Option<String> {
    let mut section = "";
    let (mut is_on, mut file) = (false, "/tmp/sql.log");
    for line in settings.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.trim();
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (key.trim(), value.trim());
        if !section.eq_ignore_ascii_case("odbc") {
            continue;
        }
        if key.eq_ignore_ascii_case("trace") {
            let value = value.to_ascii_lowercase();
            is_on = value.starts_with(['1', 'y']) || value.starts_with("on");
        } else if key.eq_ignore_ascii_case("tracefile") {
            file = value;
        }
    }
    is_on.then(|| file.to_owned())
}

fn sorted(found: impl Iterator<Item = Installed>) -> Vec<Installed> {
    let mut all: Vec<Installed> = found.collect();
    all.sort_unstable();
    all
}

fn refused(error: &odbc_api::Error) -> SinkError {
    SinkError::permanent(format!("the ODBC driver manager: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_seen_where_the_manager_looks() {
        assert_eq!(settings_file(None, None), Path::new("/etc/odbcinst.ini"));
        let other = settings_file(Some("/x".into()), Some("y.ini".into()));
        assert_eq!(other, Path::new("/x/y.ini"));
        let on = "[MariaDB]\nTrace = 0\n[ODBC]\nTrace = Yes\nTraceFile = /var/tmp/t\n";
        assert_eq!(traced(on).as_deref(), Some("/var/tmp/t"));
        assert_eq!(traced("[odbc]\ntrace=1").as_deref(), Some("/tmp/sql.log"));
        for off in
            ["[ODBC]\nTrace = No\n", "[MariaDB]\nTrace = 1\n", "[ODBC]\nTraceFile = /x\n", ""]
        {
            assert_eq!(traced(off), None, "{off}");
        }
    }
}
