//! Names of tables and what the database says about their columns.

use super::connect::Session;
use super::parameter::ParameterType;
use super::profile::{Bounds, Profile, quoted};
use super::raw::DescribedColumn;
use crate::config::schema::{Column, LengthUnit};
use crate::sink::SinkError;

/// A table's name, taken apart: the parts exactly as the catalog has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableName {
    /// Schema (or database), where one was given.
    pub(super) schema: Option<String>,
    /// Table.
    pub(super) table: String,
}

impl TableName {
    /// Takes `table`, `schema.table` or quoted parts (`"a.b"."c""d"`) apart.
    ///
    /// A part without quotes is folded as the profile says: most take it letter for letter. Both
    /// the quote character of the database and `"` are understood.
    ///
    /// # Errors
    /// An empty, unbalanced or over-long name, a NUL, more than two parts.
    pub(super) fn parse(text: &str, quote: char, profile: &dyn Profile) -> Result<Self, SinkError> {
        let bounds = &profile.bounds();
        let malformed = |what: &str| {
            SinkError::permanent(format!(
                "table name {text:?}: {what}; write table, schema.table, or parts in double \
                 quotes where they hold a dot"
            ))
        };
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let opening = rest.chars().next().filter(|&c| c == '"' || c == quote);
            let (part, after) = if let Some(mark) = opening.filter(|&c| c != ' ') {
                unquote(&rest[mark.len_utf8()..], mark)
                    .ok_or_else(|| malformed("a quote is not closed"))?
            } else {
                let end = rest.find('.').unwrap_or(rest.len());
                (profile.folded(&rest[..end]), &rest[end..])
            };
            check_name(&part, bounds)?;
            parts.push(part);
            match after.strip_prefix('.') {
                Some(next) => rest = next,
                None if after.is_empty() => break,
                None => return Err(malformed("text after a closing quote")),
            }
        }
        let table = parts.pop().expect("the loop pushed at least one");
        let schema = parts.pop();
        if !parts.is_empty() {
            return Err(malformed("more than two parts"));
        }
        Ok(Self { schema, table })
    }

    /// The name as [`Self::parse`] reads it back.
    pub(super) fn text(&self) -> String {
        self.sql('"')
    }

    /// The name as it stands in statements.
    pub(super) fn sql(&self, quote: char) -> String {
        let table = quoted(&self.table, quote);
        match &self.schema {
            Some(schema) => format!("{}.{table}", quoted(schema, quote)),
            None => table,
        }
    }
}

fn unquote(text: &str, mark: char) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = text;
    loop {
        let at = rest.find(mark)?;
        part.push_str(&rest[..at]);
        rest = &rest[at + mark.len_utf8()..];
        match rest.strip_prefix(mark) {
            Some(next) => {
                part.push(mark);
                rest = next;
            }
            None => return Some((part, rest)),
        }
    }
}

/// Refuses names that the database would cut, or that end early for some driver.
pub(super) fn check_name(name: &str, bounds: &Bounds) -> Result<(), SinkError> {
    let length = match bounds.name_unit {
        LengthUnit::Bytes => name.len(),
        LengthUnit::Characters => name.chars().count(),
    };
    let what = if name.is_empty() {
        "is empty".to_owned()
    } else if name.contains('\0') {
        "holds a NUL character".to_owned()
    } else if length > bounds.name {
        format!("is {length} long, and the database takes {}", bounds.name)
    } else {
        return Ok(());
    };
    Err(SinkError::permanent(format!("the name {name:?} {what}")))
}

/// A column with what its profile needs to load it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CatalogColumn {
    /// The column.
    pub(super) column: Column,
    /// The server's type as a cast may name it, without length or precision; empty where the
    /// profile casts nothing.
    pub(super) server_type: String,
    /// SQL type to announce for a bound array.
    pub(super) announced: ParameterType,
}

#[cfg(test)]
impl CatalogColumn {
    /// A column of a test's table that takes NULL.
    pub(super) fn nullable(
        name: &str,
        ty: crate::config::schema::SqlType,
        server_type: &str,
    ) -> Self {
        Self {
            column: Column { name: name.to_owned(), ty, nullable: true, generated: false },
            server_type: server_type.to_owned(),
            announced: super::profile::announced(ty),
        }
    }
}

/// Columns of a table by describing an empty result, or `None` when there is no such table.
pub(super) fn describe(
    session: &Session,
    table: &TableName,
    quote: char,
) -> Result<Option<Vec<DescribedColumn>>, SinkError> {
    let sql = format!("SELECT * FROM {} WHERE 1=0", table.sql(quote));
    let mut statement = session.statement()?;
    let executed = statement.execute_direct(&sql);
    if !executed.is_ok() {
        let first = executed.diagnostics.first();
        let missing = first.is_some_and(|d| MISSING_TABLE.contains(&d.sqlstate.as_str()));
        let error = session.error(&executed);
        session.rollback()?;
        return if missing { Ok(None) } else { Err(error) };
    }
    let described = statement.describe();
    described.map(Some).map_err(|outcome| session.error(&outcome))
}

/// As [`describe`], without executing anything: IBM's driver describes a prepared statement, and
/// loses the connection over the cursor of some.
pub(super) fn describe_prepared(
    session: &Session,
    table: &TableName,
    quote: char,
) -> Result<Option<Vec<DescribedColumn>>, SinkError> {
    let sql = format!("SELECT * FROM {} WHERE 1=0", table.sql(quote));
    let mut statement = session.statement()?;
    // The driver may put the preparation off until something is asked of it.
    let described = statement.prepare(&sql).ok().and_then(|()| statement.describe());
    match described {
        Ok(columns) => Ok(Some(columns)),
        Err(outcome) => {
            let first = outcome.diagnostics.first();
            let missing = first.is_some_and(|d| MISSING_TABLE.contains(&d.sqlstate.as_str()));
            let error = session.error(&outcome);
            drop(statement);
            if missing {
                session.rollback()?;
                return Ok(None);
            }
            Err(error)
        }
    }
}

/// States of a statement on a table that is not there: ODBC 3, ODBC 2, PostgreSQL, Db2, and for a
/// table and a schema Derby.
const MISSING_TABLE: &[&str] = &["42S02", "S0002", "42P01", "42704", "42X05", "42Y07"];

/// The catalog's columns for a list of columns to load, in the list's order.
pub(super) fn select(
    catalog: &[CatalogColumn],
    columns: &[Column],
    table: &str,
) -> Result<Vec<CatalogColumn>, SinkError> {
    columns
        .iter()
        .map(|column| {
            let found = catalog.iter().find(|c| c.column.name == column.name);
            let found = found.ok_or_else(|| {
                SinkError::permanent(format!("table {table} has no column {:?}", column.name))
            })?;
            Ok(CatalogColumn { column: column.clone(), ..found.clone() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::profile::{ProfileName, profile};
    use super::*;

    fn parse(text: &str) -> Result<TableName, String> {
        let profile = profile(ProfileName::Mariadb);
        TableName::parse(text, '`', profile).map_err(|error| error.message)
    }

    #[test]
    fn db2_folds_what_stands_without_quotes() {
        let parse = |text| TableName::parse(text, '"', profile(ProfileName::Db2)).unwrap();
        assert_eq!(parse("app.orders").sql('"'), "\"APP\".\"ORDERS\"");
        assert_eq!(parse("app.\"orders\"").sql('"'), "\"APP\".\"orders\"");
    }

    #[test]
    fn names_are_taken_apart() {
        for (text, schema, table) in [
            ("t", None, "t"),
            ("s.t", Some("s"), "t"),
            ("\"a.b\".\"c\"\"d\"", Some("a.b"), "c\"d"),
            ("`a``b`", None, "a`b"),
            ("Robert'); DROP TABLE t;--", None, "Robert'); DROP TABLE t;--"),
            ("we\"ird", None, "we\"ird"),
        ] {
            let name = parse(text).unwrap();
            assert_eq!((name.schema.as_deref(), name.table.as_str()), (schema, table));
        }
        assert_eq!(parse("s.t`x").unwrap().sql('`'), "`s`.`t``x`");
    }

    #[test]
    fn bad_names_are_refused() {
        let long = "x".repeat(65);
        for text in ["", "a.", ".a", "a.b.c", "\"a", "\"a\"b", "a\0b", long.as_str()] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse(&"é".repeat(64)).is_ok());
    }
}
