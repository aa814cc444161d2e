//! Names and columns of a SQLite table, and what about it makes inserts delicate.

use rusqlite::{Connection, OptionalExtension};

use super::errors::sink_error;
use super::types::{Affinity, parse_declared};
use crate::config::schema::Column;
use crate::sink::SinkError;

/// Schema and name of a table, not quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableName {
    pub(super) schema: String,
    pub(super) table: String,
}

/// A column with what SQLite does to its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CatalogColumn {
    pub(super) column: Column,
    pub(super) declared: String,
    pub(super) affinity: Affinity,
}

/// The name between double quotes, those inside doubled.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// No SQLite name holds a NUL byte: the text of a statement ends there.
pub(super) fn refuse_nul(what: &str, name: &str) -> Result<(), SinkError> {
    if name.contains('\0') {
        return Err(SinkError::permanent(format!(
            "the {what} name {name:?} holds a NUL byte, which no SQLite name can"
        )));
    }
    Ok(())
}

/// Takes a name in double quotes from the front of a text; `None` when it begins with no quote.
fn unquote(text: &str) -> Result<Option<(String, &str)>, SinkError> {
    let Some(mut rest) = text.strip_prefix('"') else {
        return Ok(None);
    };
    let mut name = String::new();
    loop {
        let (part, after) = rest.split_once('"').ok_or_else(|| odd_quotes(text))?;
        name.push_str(part);
        match after.strip_prefix('"') {
            None => return Ok(Some((name, after))),
            Some(next) => {
                name.push('"');
                rest = next;
            }
        }
    }
}

fn odd_quotes(text: &str) -> SinkError {
    SinkError::permanent(format!(
        "table name {text:?}: write table, schema.table, or parts in double quotes; the schema \
         must be attached"
    ))
}

impl TableName {
    /// A table of the main schema.
    pub(super) fn plain(table: &str) -> Self {
        Self { schema: "main".to_owned(), table: table.to_owned() }
    }

    /// `schema.table` where the connection has such a schema; else the whole text is the name.
    ///
    /// Both parts may stand in double quotes, as in the names of other databases: then a dot in
    /// them is a letter, and a doubled quote stands for one.
    ///
    /// # Errors
    /// A NUL byte, a quote that is not closed, text after a closing quote.
    pub(super) fn resolve(connection: &Connection, text: &str) -> Result<Self, SinkError> {
        refuse_nul("table", text)?;
        let (first, rest) = match unquote(text)? {
            Some((name, "")) => return Ok(Self::plain(&name)),
            Some((name, rest)) => (name, rest.strip_prefix('.')),
            None => match text.split_once('.') {
                Some((name, rest)) => (name.to_owned(), Some(rest)),
                None => return Ok(Self::plain(text)),
            },
        };
        if let Some(rest) = rest {
            let attached = connection
                .query_row(
                    "SELECT name FROM pragma_database_list WHERE name = ?1 COLLATE NOCASE",
                    [&first],
                    |row| row.get(0),
                )
                .optional()
                .map_err(|error| sink_error("list the schemas", &error))?;
            if let Some(schema) = attached {
                let table = match unquote(rest)? {
                    None => rest.to_owned(),
                    Some((table, "")) => table,
                    Some(_) => return Err(odd_quotes(text)),
                };
                return Ok(Self { schema, table });
            }
        }
        if text.starts_with('"') {
            return Err(odd_quotes(text));
        }
        Ok(Self::plain(text))
    }

    /// As it stands in a statement.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.table))
    }

    /// The columns, or `None` when there is no such table. A view is an error.
    pub(super) fn catalog(
        &self,
        connection: &Connection,
    ) -> Result<Option<Vec<CatalogColumn>>, SinkError> {
        let failed = |error| sink_error(&format!("describe {}", self.table), &error);
        let Some(kind) = self.kind(connection).map_err(failed)? else {
            return Ok(None);
        };
        if kind.kind == "view" {
            return Err(SinkError::permanent(format!(
                "{} is a view: rows are loaded into tables only",
                self.table
            )));
        }
        let mut statement = connection
            .prepare(
                "SELECT name, type, \"notnull\", hidden \
                 FROM pragma_table_xinfo(?1, ?2) ORDER BY cid",
            )
            .map_err(failed)?;
        let rows = statement.query_map([&self.table, &self.schema], |row| {
            let declared: String = row.get(1)?;
            let affinity = Affinity::of(&declared, kind.strict);
            Ok(CatalogColumn {
                column: Column {
                    name: row.get(0)?,
                    ty: parse_declared(&declared, affinity),
                    nullable: !row.get::<_, bool>(2)?,
                    // Hidden columns of virtual tables are 1, generated columns 2 and 3.
                    generated: row.get::<_, i64>(3)? != 0,
                },
                declared,
                affinity,
            })
        });
        let columns = rows.and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(failed)?;
        Ok(Some(columns))
    }

    /// Whether an insert into this table can do more than add its row, or leave something behind
    /// when it fails: triggers, virtual tables, foreign keys into the table itself.
    pub(super) fn is_delicate(&self, connection: &Connection) -> Result<bool, SinkError> {
        let triggers = format!(
            "SELECT EXISTS (SELECT 1 FROM {0}.sqlite_schema
                            WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE)
                 OR EXISTS (SELECT 1 FROM sqlite_temp_schema
                            WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE)
                 OR EXISTS (SELECT 1 FROM pragma_foreign_key_list(?1, ?2)
                            WHERE \"table\" = ?1 COLLATE NOCASE)",
            quote(&self.schema)
        );
        let failed = |error| sink_error(&format!("describe {}", self.table), &error);
        let kind = self.kind(connection).map_err(failed)?;
        let programs: bool = connection
            .query_row(&triggers, [&self.table, &self.schema], |row| row.get(0))
            .map_err(failed)?;
        Ok(programs || kind.is_some_and(|kind| kind.kind != "table"))
    }

    /// Whether the table has a primary key or an index.
    pub(super) fn has_keys(&self, connection: &Connection) -> Result<bool, SinkError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM pragma_index_list(?1, ?2))
                       OR EXISTS (SELECT 1 FROM pragma_table_info(?1, ?2) WHERE pk > 0)";
        self.ask(connection, sql)
    }

    /// Whether rows of the table refer to others.
    pub(super) fn has_foreign_keys(&self, connection: &Connection) -> Result<bool, SinkError> {
        self.ask(connection, "SELECT EXISTS (SELECT 1 FROM pragma_foreign_key_list(?1, ?2))")
    }

    /// Whether rows of a table refer to those of this one.
    pub(super) fn is_parent(&self, connection: &Connection) -> Result<bool, SinkError> {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM {}.sqlite_schema m, pragma_foreign_key_list(m.name, ?2) f
                            WHERE m.type = 'table' AND f.\"table\" = ?1 COLLATE NOCASE)",
            quote(&self.schema)
        );
        self.ask(connection, &sql)
    }

    /// The answer to a question about the table and its schema.
    fn ask(&self, connection: &Connection, sql: &str) -> Result<bool, SinkError> {
        connection
            .query_row(sql, [&self.table, &self.schema], |row| row.get(0))
            .map_err(|error| sink_error(&format!("describe {}", self.table), &error))
    }

    fn kind(&self, connection: &Connection) -> rusqlite::Result<Option<Kind>> {
        connection
            .query_row(
                "SELECT type, strict FROM pragma_table_list
                 WHERE schema = ?2 AND name = ?1 COLLATE NOCASE",
                [&self.table, &self.schema],
                |row| Ok(Kind { kind: row.get(0)?, strict: row.get(1)? }),
            )
            .optional()
    }
}

struct Kind {
    kind: String,
    strict: bool,
}
