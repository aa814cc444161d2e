//! `fastload conn drivers|dsns`.

use super::args::ConnCommand;
use super::bad_record::escape;
use super::load::print;
use crate::error::Result;
use crate::sink::odbc::installed::{Installed, data_sources, drivers};

/// Lists what is installed.
///
/// # Errors
/// What the driver manager says.
pub(super) fn conn(command: ConnCommand) -> Result<()> {
    let (found, none) = match command {
        ConnCommand::Drivers => (drivers()?, "no ODBC driver is installed (odbcinst.ini)\n"),
        ConnCommand::Dsns => (data_sources()?, "no ODBC data source is defined (odbc.ini)\n"),
    };
    if found.is_empty() {
        return print(none.as_bytes());
    }
    print(listed(&found).as_bytes())
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
}
