//! `fastload init-ledger`: the ledger's tables, where loads have no right to make them.

use super::ledger;
use super::load::{note, print};
use super::prepare::open_target;
use crate::config::resolve::Resolved;
use crate::config::setting::OutputFormat;
use crate::error::{Error, Result};
use crate::ledger::Store;

/// Makes the tables, or prints the statements that would.
///
/// # Errors
/// No connection, no right to make tables.
pub(super) fn init_ledger(resolved: &Resolved, only_print: bool) -> Result<()> {
    if !resolved.target.has_tables() {
        return Err(Error::usage(
            format!("{} keeps no ledger", resolved.target),
            "name the database with --to",
        ));
    }
    let target = open_target(resolved)?;
    let mut store = Store::open(&*target, ledger::table_of(resolved))?;
    let name = store.sql().table().to_owned();
    if only_print {
        return print(statements(&store).as_bytes());
    }
    let is_new = store.create()?;
    store.session().commit()?;
    match resolved.output.format {
        OutputFormat::Json => {
            let result = serde_json::json!({ "ledger": name, "created": is_new });
            print(format!("{result}\n").as_bytes())
        }
        OutputFormat::Text if resolved.output.quiet => Ok(()),
        OutputFormat::Text => {
            let done = if is_new { "is made" } else { "was there already" };
            note(&format!("the ledger {name} {done} in {}", target.info().url));
            Ok(())
        }
    }
}

/// The statements as a client program of the database takes them.
fn statements(store: &Store) -> String {
    let mut text = String::new();
    for statement in store.sql().create() {
        text.push_str(&format!("{statement};\n"));
    }
    text.push_str(
        "-- Who loads needs SELECT, INSERT, UPDATE and DELETE on each of these tables.\n",
    );
    text
}
