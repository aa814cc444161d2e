//! Statements for rows that are found by a key, and what their tables must be like.

use super::super::catalog::CatalogColumn;
use super::quoted;
use crate::sink::{RowAction, SinkError};

/// A statement for the rows of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sink::odbc) struct RowSql {
    /// Its text.
    pub(in crate::sink::odbc) text: String,
    /// The column of each parameter mark, in the order of the marks; a column may come again.
    pub(in crate::sink::odbc) marks: Vec<usize>,
    /// What the number of changed rows must be.
    pub(in crate::sink::odbc) counted: Counted,
}

impl RowSql {
    /// A statement with one mark for each column.
    pub(in crate::sink::odbc) fn new(text: String, columns: usize, counted: Counted) -> Self {
        Self { text, marks: (0..columns).collect(), counted }
    }
}

/// What the number of rows that a statement is said to have changed must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sink::odbc) enum Counted {
    /// One for each row that was sent.
    Each,
    /// One or more for each row that was sent.
    EachOrMore,
    /// Anything: rows that are not there, or are there already, are not counted.
    Free,
}

/// In which arrays rows may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sink::odbc) enum ArrayOrder {
    /// As they come: the server takes the rows of an array one after the other.
    AsSent,
    /// No key twice in a statement. Rows of other keys may change places: first come the first
    /// rows of all keys, then the second ones, …
    Waves,
    /// No key twice in a statement, and no row before an earlier one: the array is cut where a key
    /// comes again.
    Runs,
}

/// What a table's catalog says about finding its rows by a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sink::odbc) struct KeyFacts {
    /// In which arrays rows may be sent.
    pub(in crate::sink::odbc) order: ArrayOrder,
    /// Why there can be one writer only, as the end of a sentence; `None`: any number.
    pub(in crate::sink::odbc) one_writer: Option<String>,
    /// Whether the statement remembers a row that it failed on: then no status behind the first
    /// bad one is believed, and it is prepared anew before it is executed again.
    pub(in crate::sink::odbc) remembers: bool,
}

impl KeyFacts {
    /// Rows in any number of writers, as far as their keys are equal to us where they are equal to
    /// the database.
    pub(in crate::sink::odbc) const FREE: Self =
        Self { order: ArrayOrder::AsSent, one_writer: None, remembers: false };
}

/// A unique index as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::sink::odbc) struct UniqueIndex {
    /// Name.
    pub(in crate::sink::odbc) name: String,
    /// Its columns, in any order.
    pub(in crate::sink::odbc) columns: Vec<String>,
    /// Whether it is on nothing but whole columns, for all rows, and checked at once.
    pub(in crate::sink::odbc) is_plain: bool,
    /// Whether one of its columns is filled by the server and not by the load.
    pub(in crate::sink::odbc) is_generated: bool,
}

impl UniqueIndex {
    fn is_on(&self, key: &[&str]) -> bool {
        self.is_plain
            && self.columns.len() == key.len()
            && key.iter().all(|name| self.columns.iter().any(|column| column == name))
    }
}

/// The unique indexes that a row may meet besides the one on the key.
///
/// # Errors
/// No index is on exactly the key.
pub(in crate::sink::odbc) fn other_indexes(
    table: &str,
    indexes: Vec<UniqueIndex>,
    key: &[&str],
) -> Result<Vec<UniqueIndex>, SinkError> {
    if !indexes.iter().any(|index| index.is_on(key)) {
        return Err(crate::sink::no_unique_key(table, key));
    }
    Ok(besides(indexes, key))
}

/// The unique indexes that are not on the key and that a row of another key may meet.
pub(in crate::sink::odbc) fn besides(indexes: Vec<UniqueIndex>, key: &[&str]) -> Vec<UniqueIndex> {
    // A number that the server makes for the row meets no other.
    indexes.into_iter().filter(|index| !index.is_generated && !index.is_on(key)).collect()
}

/// Names of the key's columns.
pub(in crate::sink::odbc) fn key_names<'c>(
    columns: &'c [CatalogColumn],
    key: &[usize],
) -> Vec<&'c str> {
    key.iter().map(|&index| columns[index].column.name.as_str()).collect()
}

/// `DELETE … WHERE a = ? AND b = ?`; `mark` writes the parameter of a column.
pub(in crate::sink::odbc) fn delete_sql(
    table: &str,
    columns: &[CatalogColumn],
    quote: char,
    mark: impl Fn(&CatalogColumn) -> String,
) -> RowSql {
    let conditions: Vec<String> = columns
        .iter()
        .map(|column| format!("{} = {}", quoted(&column.column.name, quote), mark(column)))
        .collect();
    let text = format!("DELETE FROM {table} WHERE {}", conditions.join(" AND "));
    RowSql::new(text, columns.len(), Counted::Free)
}

/// An action that a database cannot do directly.
pub(in crate::sink::odbc) fn not_direct(action: &RowAction, profile: &str) -> SinkError {
    let what = match action {
        RowAction::Insert => "an insert",
        RowAction::Stage { .. } => "a staged row",
        RowAction::Upsert { .. } => "an upsert",
        RowAction::Delete { .. } => "a delete",
    };
    SinkError::permanent(format!(
        "profile {profile}: {what} has no statement of its own here; load with --staging"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(name: &str, columns: &[&str]) -> UniqueIndex {
        UniqueIndex {
            name: name.to_owned(),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            is_plain: true,
            is_generated: false,
        }
    }

    #[test]
    fn the_key_has_an_index_of_its_own() {
        let own = index("own", &["b", "a"]);
        let other = index("other", &["a"]);
        let numbered = UniqueIndex { is_generated: true, ..index("id", &["id"]) };
        let partial = UniqueIndex { is_plain: false, ..own.clone() };
        let all = vec![own.clone(), other.clone(), numbered];
        assert_eq!(other_indexes("t", all, &["a", "b"]), Ok(vec![other.clone()]));
        assert_eq!(other_indexes("t", vec![own.clone()], &["a", "b"]), Ok(Vec::new()));
        for (indexes, key) in [
            (vec![other.clone()], &["a", "b"][..]),
            (vec![own], &["a"]),
            (vec![partial, other], &["a", "b"]),
            (Vec::new(), &["a"]),
        ] {
            let error = other_indexes("t", indexes, key).expect_err("no index");
            assert!(error.message.contains("--key") && error.message.contains("--staging"));
        }
    }
}
