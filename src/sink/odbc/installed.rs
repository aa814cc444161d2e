//! What is installed on this machine: drivers (odbcinst.ini) and data sources (odbc.ini).

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
        environment().and_then(|manager| manager.drivers()).map_err(|error| refused(&error))?;
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
        .and_then(|manager| manager.data_sources())
        .map_err(|error| refused(&error))?;
    Ok(sorted(
        found
            .into_iter()
            .map(|source| Installed { name: source.server_name, details: vec![source.driver] }),
    ))
}

fn sorted(found: impl Iterator<Item = Installed>) -> Vec<Installed> {
    let mut all: Vec<Installed> = found.collect();
    all.sort_unstable();
    all
}

fn refused(error: &odbc_api::Error) -> SinkError {
    SinkError::permanent(format!("the ODBC driver manager: {error}"))
}
