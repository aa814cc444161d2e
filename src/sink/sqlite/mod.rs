//! SQLite, embedded: one connection, rows sent from the arena by static binds.
//!
//! The journal mode and every other setting of the database stay as they are.

mod bind;
mod catalog;
mod errors;
mod exact;
mod grouping;
mod guard;
mod hold;
mod rows;
mod session;
mod sink;
mod staging;
mod types;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, ffi};

use self::catalog::{TableName, quote, refuse_nul};
use self::errors::{open_error, sink_error};
use self::rows::Rows;
use self::session::SqliteSession;
use self::sink::SqliteSink;
use self::types::declare;
use crate::arena::{CellType, IndicatorWidth};
use crate::config::schema::{Column, SqlType};
use crate::sink::staging::{StagingSpec, StagingTable};
use crate::sink::{
    Holding, JobHold, Layout, LedgerForm, Routing, RowAction, Sink, SinkError, SqlSession,
    TableTask, Target, TargetInfo,
};

/// Rows in a batch: enough to make the hand-over between threads cheap; SQLite itself gains
/// nothing from larger ones.
const BATCH_ROWS: usize = 2_000;

/// How long a lock of another process is waited for when nothing else is said.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// A SQLite database file.
#[derive(Debug, Clone)]
pub struct SqliteTarget {
    path: PathBuf,
    busy_timeout: Duration,
    session_sql: Vec<String>,
}

impl SqliteTarget {
    /// Opens the database file, or prepares to create it, and checks that it is one.
    ///
    /// # Errors
    /// [`crate::sink::ErrorClass::CannotConnect`] when the file cannot be opened or is no database;
    /// [`crate::sink::ErrorClass::Permanent`] for `:memory:`, which would be another database for
    /// each connection.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SinkError> {
        let path = path.as_ref();
        if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
            return Err(SinkError::permanent(
                "sqlite: takes the path of a file; a database in memory ends with its connection",
            ));
        }
        let target =
            Self { path: path.to_owned(), busy_timeout: BUSY_TIMEOUT, session_sql: Vec::new() };
        let connection = target.connect()?;
        connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
            .map_err(|error| open_error(&target.doing("open"), &error))?;
        Ok(target)
    }

    /// The same target with another patience for locks of other processes.
    #[must_use]
    pub const fn with_busy_timeout(mut self, busy_timeout: Duration) -> Self {
        self.busy_timeout = busy_timeout;
        self
    }

    /// The same target with statements that run on every connection: `PRAGMA`, `ATTACH`.
    ///
    /// # Errors
    /// What SQLite says of one of them, or that it leaves a transaction open.
    pub fn with_session_sql(mut self, statements: Vec<String>) -> Result<Self, SinkError> {
        self.session_sql = statements;
        self.connect()?;
        Ok(self)
    }

    fn doing(&self, what: &str) -> String {
        format!("{what} {}", self.path.display())
    }

    pub(super) fn connect(&self) -> Result<Connection, SinkError> {
        // A relative name starts with "./", because this build of SQLite takes "file:x" for a URI.
        let path = if self.path.is_relative() {
            Path::new(".").join(&self.path)
        } else {
            self.path.clone()
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |error| open_error(&self.doing("open"), &error);
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(self.busy_timeout).map_err(failed)?;
        for (index, sql) in self.session_sql.iter().enumerate() {
            run_session_sql(&connection, index + 1, sql)?;
        }
        Ok(connection)
    }

    /// Runs `work` between BEGIN IMMEDIATE and COMMIT.
    fn in_transaction(
        &self,
        doing: &str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), SinkError> {
        let connection = self.connect()?;
        // Without COMMIT the transaction ends with its connection, rolled back.
        connection
            .execute_batch("BEGIN IMMEDIATE")
            .and_then(|()| work(&connection))
            .and_then(|()| connection.execute_batch("COMMIT"))
            .map_err(|error| sink_error(doing, &error))
    }
}

impl Target for SqliteTarget {
    fn info(&self) -> TargetInfo {
        let mut facts = vec![("sqlite".to_owned(), rusqlite::version().to_owned())];
        if let Ok(connection) = self.connect() {
            for pragma in ["journal_mode", "synchronous", "foreign_keys", "encoding"] {
                let value = connection.query_row(&format!("PRAGMA {pragma}"), [], |row| {
                    row.get::<_, rusqlite::types::Value>(0)
                });
                if let Ok(value) = value {
                    facts.push((pragma.to_owned(), pragma_text(pragma, &value)));
                }
            }
        }
        TargetInfo {
            url: format!("sqlite:{}", self.path.display()),
            profile: "sqlite".to_owned(),
            facts,
        }
    }

    fn columns(&self, table: &str) -> Result<Option<Vec<Column>>, SinkError> {
        let connection = self.connect()?;
        let name = TableName::resolve(&connection, table)?;
        let columns = name.catalog(&connection)?;
        Ok(columns.map(|columns| columns.into_iter().map(|column| column.column).collect()))
    }

    fn has_tables(&self) -> bool {
        true
    }

    fn create_table_sql(&self, table: &str, columns: &[Column]) -> String {
        let name = self
            .connect()
            .and_then(|connection| TableName::resolve(&connection, table))
            .unwrap_or_else(|_| TableName::plain(table));
        create_table_sql(&name, columns)
    }

    fn create_table(&self, table: &str, columns: &[Column]) -> Result<(), SinkError> {
        let connection = self.connect()?;
        let name = TableName::resolve(&connection, table)?;
        check_column_count(&connection, columns.len())?;
        for column in columns {
            refuse_nul("column", &column.name)?;
        }
        let sql = create_table_sql(&name, columns);
        self.in_transaction(&format!("create table {table}"), |connection| {
            connection.execute_batch(&sql)
        })
    }

    fn truncate(&self, table: &str) -> Result<(), SinkError> {
        let name = TableName::resolve(&self.connect()?, table)?;
        let sql = format!("DELETE FROM {}", name.quoted());
        self.in_transaction(&format!("empty table {table}"), |connection| {
            connection.execute_batch(&sql)
        })
    }

    fn run_sql(&self, sql: &str) -> Result<(), SinkError> {
        self.in_transaction("run the statement", |connection| connection.execute_batch(sql))
    }

    fn layout(
        &self,
        table: &str,
        columns: &[Column],
        action: &RowAction,
    ) -> Result<Layout, SinkError> {
        let rows = Rows::of(action);
        let connection = self.connect()?;
        let name = rows.place(&connection, table)?;
        let parameters = rows.parameters(columns.len());
        check_column_count(&connection, parameters)?;
        let names: Vec<_> = columns.iter().map(|column| column.name.clone()).collect();
        let statement = rows.sql(&name, &names, 1);
        if matches!(rows, Rows::Upsert(_) | Rows::Delete) {
            // A key without its index is told before the first row is read.
            let prepared = connection.prepare(&statement);
            prepared.map_err(|error| rows.prepare_error(&error, table, &names))?;
        }
        Ok(Layout {
            cells: columns.iter().map(|column| cell_type(column.ty)).collect(),
            indicators: IndicatorWidth::Wide,
            writers_max: 1,
            batch_rows: BATCH_ROWS,
            batch_rows_max: usize::MAX,
            replays: false,
            nul_in_text: true,
            statement,
            routing: match rows {
                Rows::Insert | Rows::Stage { .. } => Routing::Any,
                Rows::Upsert(_) | Rows::Delete => {
                    Routing::InOrder { why: "SQLite has one write connection".to_owned() }
                }
            },
        })
    }

    fn open(
        &self,
        table: &str,
        columns: &[Column],
        action: &RowAction,
    ) -> Result<Box<dyn Sink>, SinkError> {
        let sink = SqliteSink::connect(self.clone(), table, columns, Rows::of(action))?;
        Ok(Box::new(sink))
    }

    fn task_sql(&self, table: &str, task: TableTask) -> Result<Option<String>, SinkError> {
        match task {
            // A transaction locks the whole file against other writers.
            TableTask::Lock => Ok(None),
            TableTask::Statistics => {
                let name = TableName::resolve(&self.connect()?, table)?;
                Ok(Some(format!("ANALYZE {}", name.quoted())))
            }
            TableTask::Integrity => {
                Err(SinkError::permanent("--set-integrity: SQLite checks constraints as it goes"))
            }
        }
    }

    fn session(&self) -> Result<Box<dyn SqlSession>, SinkError> {
        Ok(Box::new(SqliteSession::open(self)?))
    }

    fn staging(&self, spec: &StagingSpec<'_>) -> Result<StagingTable, SinkError> {
        self.staging_table(spec)
    }

    fn ledger(&self) -> Option<LedgerForm> {
        // One write connection: a heartbeat would wait for the writer's transaction.
        Some(LedgerForm {
            create_end: "",
            many_rows: true,
            has_heartbeat: false,
            patience_sql: None,
        })
    }

    fn hold_job(&self, job: &str) -> Result<(Holding, Option<Box<dyn JobHold>>), SinkError> {
        hold::hold_job(&self.path, job)
    }

    fn table_sql(&self, table: &str) -> Result<String, SinkError> {
        Ok(TableName::resolve(&self.connect()?, table)?.quoted())
    }
}

/// Runs the `number`-th statement of `--session-sql`. Its text may hold a secret (a key of ATTACH)
/// and is not repeated.
fn run_session_sql(connection: &Connection, number: usize, sql: &str) -> Result<(), SinkError> {
    let doing = format!("run statement {number} of --session-sql");
    connection.execute_batch(sql).map_err(|error| sink_error(&doing, &error))?;
    if connection.is_autocommit() {
        return Ok(());
    }
    Err(SinkError::permanent(format!("{doing}: it begins a transaction and does not end it")))
}

/// Form of the cells: whatever SQLite has no storage class for is text in its ISO form.
const fn cell_type(ty: SqlType) -> CellType {
    match ty {
        SqlType::SmallInt => CellType::I16,
        SqlType::Integer => CellType::I32,
        SqlType::BigInt => CellType::I64,
        SqlType::Real | SqlType::Double => CellType::F64,
        SqlType::Boolean => CellType::Bit,
        SqlType::Binary(_) | SqlType::VarBinary(_) => CellType::Bytes,
        SqlType::Decimal { .. }
        | SqlType::Char(_)
        | SqlType::VarChar(_)
        | SqlType::Date
        | SqlType::Time
        | SqlType::Timestamp { .. } => CellType::Text,
    }
}

/// The words for the number that `PRAGMA synchronous` answers; everything else as it is.
fn pragma_text(pragma: &str, value: &rusqlite::types::Value) -> String {
    use rusqlite::types::Value;
    match (pragma, value) {
        ("synchronous", Value::Integer(level)) => match level {
            0 => "off".to_owned(),
            1 => "normal".to_owned(),
            2 => "full".to_owned(),
            3 => "extra".to_owned(),
            other => other.to_string(),
        },
        (_, Value::Integer(number)) => number.to_string(),
        (_, Value::Text(text)) => text.clone(),
        (_, other) => format!("{other:?}"),
    }
}

pub(super) fn check_column_count(connection: &Connection, columns: usize) -> Result<(), SinkError> {
    let most = bind::limit(connection, ffi::SQLITE_LIMIT_COLUMN)
        .min(bind::limit(connection, ffi::SQLITE_LIMIT_VARIABLE_NUMBER));
    if columns == 0 {
        return Err(SinkError::permanent("no column is loaded"));
    }
    if columns > most {
        return Err(SinkError::permanent(format!(
            "{columns} columns: SQLite takes at most {most} in a table; choose some with --columns"
        )));
    }
    Ok(())
}

fn create_table_sql(name: &TableName, columns: &[Column]) -> String {
    let lines: Vec<_> = columns
        .iter()
        .map(|column| {
            let null = if column.nullable { "" } else { " NOT NULL" };
            format!("  {} {}{null}", quote(&column.name), declare(column.ty))
        })
        .collect();
    format!("CREATE TABLE {} (\n{}\n)", name.quoted(), lines.join(",\n"))
}

#[cfg(test)]
mod tests;
