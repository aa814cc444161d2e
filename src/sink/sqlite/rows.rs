//! The statements of a load, and how many rows each may change.

use super::catalog::{TableName, quote};
use super::errors::code_and_message;
use super::sink_error;
use crate::sink::staging::OWN_COLUMNS;
use crate::sink::{RowAction, SinkError};
use rusqlite::Connection;

/// What becomes of the rows of a load in SQLite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rows {
    /// New rows.
    Insert,
    /// New rows of a staging table, with file and record before their cells.
    Stage {
        /// The staging table.
        table: String,
        /// Id of the run.
        run_id: String,
    },
    /// Rows with a known key are changed: indices of the key's columns, ascending.
    Upsert(Vec<usize>),
    /// Rows with a known key are deleted; all columns are the key.
    Delete,
}

impl Rows {
    /// Of an action.
    pub(super) fn of(action: &RowAction) -> Self {
        match action {
            RowAction::Insert => Self::Insert,
            RowAction::Upsert { key } => Self::Upsert(key.clone()),
            RowAction::Delete { .. } => Self::Delete,
            RowAction::Stage { table, run_id, .. } => {
                Self::Stage { table: table.clone(), run_id: run_id.clone() }
            }
        }
    }

    /// The table that the rows go to, for a load into `table`.
    ///
    /// # Errors
    /// No such name can be.
    pub(super) fn place(
        &self,
        connection: &Connection,
        table: &str,
    ) -> Result<TableName, SinkError> {
        match self {
            Self::Stage { table, .. } => TableName::resolve(connection, table),
            _ => TableName::resolve(connection, table),
        }
    }

    /// Parameters of a row of so many columns.
    pub(super) const fn parameters(&self, columns: usize) -> usize {
        match self {
            Self::Stage { .. } => columns + 2,
            _ => columns,
        }
    }

    /// The verb, for messages.
    pub(super) const fn doing(&self) -> &'static str {
        match self {
            Self::Insert | Self::Stage { .. } => "insert into",
            Self::Upsert(_) => "upsert into",
            Self::Delete => "delete from",
        }
    }

    /// The statement for `rows` rows of `columns`.
    ///
    /// See the head of `sink.rs` for why OR ABORT. With an upsert it stays in force for all
    /// constraints but the one that is named.
    pub(super) fn sql(&self, name: &TableName, columns: &[String], rows: usize) -> String {
        let names: Vec<_> = columns.iter().map(|column| quote(column)).collect();
        if *self == Self::Delete {
            let conditions: Vec<_> = names.iter().map(|name| format!("{name} = ?")).collect();
            return format!("DELETE FROM {} WHERE {}", name.quoted(), conditions.join(" AND "));
        }
        let marks = vec!["?"; self.parameters(columns.len())].join(",");
        let (own, row) = match self {
            Self::Stage { run_id, .. } => {
                let [_, run, file, record] = OWN_COLUMNS.map(quote);
                (format!("{run},{file},{record},"), format!("('{run_id}',{marks})"))
            }
            _ => (String::new(), format!("({marks})")),
        };
        let insert = format!(
            "INSERT OR ABORT INTO {} ({own}{}) VALUES {}",
            name.quoted(),
            names.join(","),
            vec![row; rows].join(",")
        );
        match self {
            Self::Upsert(key) => format!("{insert} {}", on_conflict(&names, key)),
            Self::Insert | Self::Stage { .. } | Self::Delete => insert,
        }
    }

    /// Whether a statement that was sent `rows` rows and changed `changes` did what it was asked:
    /// every row of an insert or update is counted, a key that is not in the table changes none.
    pub(super) fn is_done(&self, rows: usize, changes: u64, columns: usize) -> bool {
        match self {
            Self::Insert | Self::Stage { .. } => u64::try_from(rows) == Ok(changes),
            Self::Upsert(key) if key.len() < columns => u64::try_from(rows) == Ok(changes),
            Self::Upsert(_) | Self::Delete => true,
        }
    }

    /// What a refused statement text means.
    pub(super) fn prepare_error(
        &self,
        error: &rusqlite::Error,
        table: &str,
        columns: &[String],
    ) -> SinkError {
        let (_, message) = code_and_message(error);
        match self {
            Self::Upsert(key) if message.contains("ON CONFLICT clause does not match") => {
                let names: Vec<&str> = key.iter().map(|&index| columns[index].as_str()).collect();
                crate::sink::no_unique_key(table, &names)
            }
            _ => sink_error(&format!("prepare to {} {table}", self.doing()), error),
        }
    }
}

fn on_conflict(names: &[String], key: &[usize]) -> String {
    let target: Vec<_> = key.iter().map(|&index| names[index].as_str()).collect();
    let others = names.iter().enumerate().filter(|(index, _)| !key.contains(index));
    let sets: Vec<_> = others.map(|(_, name)| format!("{name} = excluded.{name}")).collect();
    let then = if sets.is_empty() {
        "DO NOTHING".to_owned()
    } else {
        format!("DO UPDATE SET {}", sets.join(", "))
    };
    format!("ON CONFLICT ({}) {then}", target.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(rows: &Rows, columns: &[&str], count: usize) -> String {
        let columns: Vec<_> = columns.iter().map(|&column| column.to_owned()).collect();
        rows.sql(&TableName::plain("t"), &columns, count)
    }

    #[test]
    fn statements_name_the_key() {
        assert_eq!(
            sql(&Rows::Upsert(vec![1]), &["v", "k\"y"], 2),
            "INSERT OR ABORT INTO \"main\".\"t\" (\"v\",\"k\"\"y\") VALUES (?,?),(?,?) \
             ON CONFLICT (\"k\"\"y\") DO UPDATE SET \"v\" = excluded.\"v\""
        );
        assert!(sql(&Rows::Upsert(vec![0, 1]), &["a", "b"], 1).ends_with("DO NOTHING"));
        assert_eq!(
            sql(&Rows::Delete, &["a", "b"], 1),
            "DELETE FROM \"main\".\"t\" WHERE \"a\" = ? AND \"b\" = ?"
        );
    }

    #[test]
    fn only_a_count_that_must_be_exact_is_held_to() {
        assert!(!Rows::Insert.is_done(4, 3, 2));
        assert!(!Rows::Upsert(vec![0]).is_done(4, 3, 2));
        assert!(Rows::Upsert(vec![0, 1]).is_done(4, 0, 2));
        assert!(Rows::Delete.is_done(1, 0, 1));
    }
}
