//! `fastload conn test|drivers|dsns`.

use super::bad_record::escape;
use super::load::print;
use super::messages::Messages;
use super::prepare::{open_target, surroundings_notices};
use crate::config::resolve::Resolved;
use crate::config::setting::OutputFormat;
use crate::error::Result;
use crate::sink::TargetInfo;
use crate::sink::odbc::installed::{Installed, data_sources, drivers};

/// Connects, and prints what the probe of driver and database found.
///
/// # Errors
/// No connection, login refused, or a driver with which no load would be safe.
pub(super) fn test(resolved: &Resolved, messages: Messages) -> Result<()> {
    let target = open_target(resolved)?;
    for notice in surroundings_notices(resolved, &*target) {
        messages.warning(&notice);
    }
    let info = target.info();
    match resolved.output.format {
        OutputFormat::Text if resolved.output.quiet => Ok(()),
        OutputFormat::Text => print(facts(&info).as_bytes()),
        OutputFormat::Json => print(format!("{}\n", json(&info)).as_bytes()),
    }
}

fn facts(info: &TargetInfo) -> String {
    let mut text = format!("connected to {}\n", escape(info.url.as_bytes()));
    let widest = info.facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in &info.facts {
        text.push_str(&format!("  {name:widest$}  {}\n", escape(value.as_bytes())));
    }
    text
}

fn json(info: &TargetInfo) -> serde_json::Value {
    let facts: serde_json::Map<String, serde_json::Value> =
        info.facts.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    serde_json::json!({
        "status": "connected",
        "exit_code": 0,
        "target": { "url": info.url, "profile": info.profile },
        "facts": facts,
    })
}

/// Lists the ODBC drivers.
///
/// # Errors
/// What the driver manager says.
pub(super) fn list_drivers() -> Result<()> {
    list(&drivers()?, "no ODBC driver is installed (odbcinst.ini)\n")
}

/// Lists the ODBC data sources.
///
/// # Errors
/// What the driver manager says.
pub(super) fn list_data_sources() -> Result<()> {
    list(&data_sources()?, "no ODBC data source is defined (odbc.ini)\n")
}

fn list(found: &[Installed], none: &str) -> Result<()> {
    if found.is_empty() {
        return print(none.as_bytes());
    }
    print(listed(found).as_bytes())
}

fn listed(found: &[Installed]) -> String {
    let mut text = String::new();
    for one in found {
        text.push_str(&escape(one.name.as_bytes()));
        text.push('\n');
        for detail in &one.details {
            text.push_str("  ");
            text.push_str(&escape(detail.as_bytes()));
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_stand_under_their_names() {
        let found = [Installed { name: "A\u{1b}".into(), details: vec!["x=1".into()] }];
        assert_eq!(listed(&found), "A\\u{1b}\n  x=1\n");
    }

    #[test]
    fn facts_stand_in_their_order() {
        let fact = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let info = TargetInfo {
            url: "dsn:x".into(),
            profile: "db2".into(),
            facts: vec![fact("driver", "d\u{1b}"), fact("a", "b")],
        };
        assert_eq!(facts(&info), "connected to dsn:x\n  driver  d\\u{1b}\n  a       b\n");
        let json = json(&info).to_string();
        assert!(json.contains(r#""facts":{"driver":"d\u001b","a":"b"}"#), "{json}");
    }
}
