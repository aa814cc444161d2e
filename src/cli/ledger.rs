//! The ledger as the verbs about it see it.

use std::path::PathBuf;

use super::prepare::open_target;
use crate::config::resolve::Resolved;
use crate::config::target::TargetUrl;
use crate::error::{Error, Result};
use crate::input::fingerprint::Fingerprint;
use crate::ledger::{Facts, Store};
use crate::sink::Target;

/// Fact that holds the paths of the reject files, a line each.
const REJECTS: &str = "rejects";

/// What a fact about an input begins with; its number follows.
const INPUT: &str = "input ";

/// An input as a run has noted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotedInput {
    pub(super) path: String,
    /// `None`: a stream.
    pub(super) size_bytes: Option<u64>,
}

/// Opens the target and the ledger in it.
///
/// # Errors
/// A target that keeps none; no connection.
pub(super) fn open(resolved: &Resolved) -> Result<(std::sync::Arc<dyn Target>, Store)> {
    if !resolved.target.has_tables() {
        return Err(Error::usage(
            format!("{} keeps no ledger", resolved.target),
            "name the database with --to",
        ));
    }
    if let TargetUrl::Sqlite(path) = &resolved.target
        && !path.exists()
    {
        // Opening it would make it.
        return Err(Error::usage(
            format!("there is no database {}", path.display()),
            "name it with --to",
        ));
    }
    let target = open_target(resolved)?;
    let store = Store::open(&*target, table_of(resolved))?;
    Ok((target, store))
}

/// `--ledger-table`.
pub(super) fn table_of(resolved: &Resolved) -> Option<&str> {
    resolved.ledger.as_ref().and_then(|ledger| ledger.table.as_deref())
}

/// That there is no ledger where one was asked for.
pub(super) fn none(store: &Store, target: &dyn Target) -> Error {
    Error::usage(
        format!("there is no ledger {} in {}", store.sql().table(), target.info().url),
        "the first load makes it, or fastload init-ledger; --ledger-table names another one",
    )
}

/// The inputs of a run, in their order.
pub(super) fn inputs(facts: &Facts) -> Vec<NotedInput> {
    let one = |number: usize| {
        let (state, path) = facts.get(&format!("{INPUT}{number}"))?.split_once(' ')?;
        let size_bytes = Fingerprint::parse(state).map(|state| state.identity.size_bytes);
        Some(NotedInput { path: path.to_owned(), size_bytes })
    };
    (0..).map_while(one).collect()
}

/// Its reject files.
pub(super) fn reject_paths(facts: &Facts) -> Vec<PathBuf> {
    facts.get(REJECTS).unwrap_or_default().lines().map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_has_noted_is_read() {
        let mut facts = Facts::default();
        assert_eq!((inputs(&facts), reject_paths(&facts)), (Vec::new(), Vec::new()));
        facts.set("input 0", "1:2:3:77:5:6:00000000000000aa:00000000000000bb a b.csv");
        facts.set("input 1", " -");
        facts.set("rejects", "a b.csv.rejects\nx.rejects");
        let expected = [
            NotedInput { path: "a b.csv".to_owned(), size_bytes: Some(77) },
            NotedInput { path: "-".to_owned(), size_bytes: None },
        ];
        assert_eq!(inputs(&facts), expected);
        assert_eq!(reject_paths(&facts).len(), 2);
    }
}
