//! The writing connection of a SQLite load.
//!
//! What makes a load exact here:
//! - `INSERT OR ABORT` overrides every ON CONFLICT clause of the table, so no row is skipped,
//!   replaced or half undone without an error ("The ON CONFLICT Clause");
//! - several rows go in one statement, because a statement costs more than a row; when one of
//!   them is refused, ABORT has undone the whole statement and nothing else, and its rows are
//!   sent again in smaller groups, and one by one in the end. No savepoint is needed for that;
//! - a trigger may do what ABORT does not undo (`RAISE(FAIL)`, `RAISE(IGNORE)`), a virtual table
//!   may not undo at all, and a foreign key into the same table sees how rows are grouped. Such
//!   tables take one row a statement, inside a savepoint of its own; `grouping.rs` has more that
//!   take one row a statement;
//! - `RAISE(ROLLBACK)` ends the transaction and takes the earlier rows with it: that is seen and
//!   ends the load.

use rusqlite::Connection;

use super::bind::Statements;
use super::catalog::{TableName, refuse_nul};
use super::errors::{refused_commit, row_reject, sink_error};
use super::grouping::Level;
use super::guard::Guards;
use super::rows::Rows;
use super::{SqliteTarget, check_column_count, grouping};
use crate::arena::Batch;
use crate::config::schema::Column;
use crate::record::RejectClass;
use crate::sink::{ErrorClass, RowReject, Sink, SinkError};

/// The one writing connection.
pub(super) struct SqliteSink {
    target: SqliteTarget,
    /// As the user wrote it.
    table: String,
    columns: Vec<Column>,
    rows: Rows,
    session: Session,
}

/// What a connection has prepared.
struct Session {
    statements: Statements,
    name: TableName,
    column_names: Vec<String>,
    rows: Rows,
    guards: Guards,
    /// One row in a savepoint at a time.
    delicate: bool,
    /// Rows and index of each prepared statement, from the one of most rows to that of one.
    groups: Vec<(usize, usize)>,
    level: Level,
}

impl SqliteSink {
    pub(super) fn connect(
        target: SqliteTarget,
        table: &str,
        columns: &[Column],
        rows: Rows,
    ) -> Result<Self, SinkError> {
        let session = Session::prepare(&target, table, columns, &rows)?;
        Ok(Self { target, table: table.to_owned(), columns: columns.to_vec(), rows, session })
    }

    fn connection(&self) -> &Connection {
        self.session.statements.connection()
    }

    fn begin(&self) -> Result<(), SinkError> {
        if !self.connection().is_autocommit() {
            return Ok(());
        }
        // IMMEDIATE: the write lock is waited for here, not in the middle of the rows.
        self.run("begin a transaction", "BEGIN IMMEDIATE")
    }

    fn run(&self, doing: &str, sql: &str) -> Result<(), SinkError> {
        self.connection().execute_batch(sql).map_err(|error| sink_error(doing, &error))
    }
}

impl Session {
    fn prepare(
        target: &SqliteTarget,
        table: &str,
        columns: &[Column],
        rows: &Rows,
    ) -> Result<Self, SinkError> {
        let connection = target.connect()?;
        let name = rows.place(&connection, table)?;
        let parameters = rows.parameters(columns.len());
        check_column_count(&connection, parameters)?;
        // Of a staged row the columns of its target decide what may be in it.
        let catalog = TableName::resolve(&connection, table)?
            .catalog(&connection)?
            .ok_or_else(|| SinkError::permanent(format!("there is no table {table}")))?;
        let guards = Guards::new(columns, &catalog);
        let delicate = name.is_delicate(&connection)?;
        let sizes = if delicate {
            vec![1]
        } else {
            grouping::sizes(&connection, &name, rows, columns.len())?
        };
        let column_names: Vec<_> = columns.iter().map(|column| column.name.clone()).collect();
        for column in &column_names {
            refuse_nul("column", column)?;
        }
        let mut statements = Statements::new(connection, matches!(rows, Rows::Stage { .. }));
        let mut prepare = |count| {
            statements
                .prepare(&rows.sql(&name, &column_names, count))
                .map_err(|error| rows.prepare_error(&error, table, &column_names))
        };
        let groups = sizes.into_iter().map(|size| Ok((size, prepare(size)?)));
        let groups = groups.collect::<Result<Vec<_>, SinkError>>()?;
        let level = Level::new(groups.len());
        let rows = rows.clone();
        Ok(Self { statements, name, column_names, rows, guards, delicate, groups, level })
    }

    /// Sends the rows that the guards let pass; `rejects` holds the others and takes those that
    /// the database refuses.
    fn send(&mut self, batch: &Batch, rejects: &mut Vec<RowReject>) -> Result<(), SinkError> {
        let mut refused = rejects.iter().map(|reject| reject.row).peekable();
        let rows = (0..batch.rows()).filter(|row| refused.next_if_eq(row).is_none());
        let rows: Vec<usize> = rows.collect();
        for group in rows.chunks(self.groups[0].0) {
            self.send_rows(self.level.at(), batch, group, rejects)?;
        }
        rejects.sort_by_key(|reject| reject.row);
        Ok(())
    }

    /// As many rows in one statement as there are, by the groups from `level` on; when one of a
    /// group is refused, its rows by the next.
    fn send_rows(
        &mut self,
        level: usize,
        batch: &Batch,
        rows: &[usize],
        rejects: &mut Vec<RowReject>,
    ) -> Result<(), SinkError> {
        let (size, statement) = self.groups[level];
        if size == 1 {
            return self.send_one_by_one(batch, rows, rejects);
        }
        let groups = rows.chunks_exact(size);
        let rest = groups.remainder();
        for group in groups {
            match self.statements.insert(statement, batch, group) {
                Ok(()) => {
                    self.check_changes(size)?;
                    self.level.passed(level);
                }
                Err(error) => {
                    // ABORT has undone the statement: none of its rows is in, the transaction
                    // stands.
                    self.reject_of(&error, group[0])?;
                    self.level.refused(level);
                    self.send_rows(level + 1, batch, group, rejects)?;
                }
            }
        }
        self.send_rows(level + 1, batch, rest, rejects)
    }

    /// The statement of one row.
    fn single(&self) -> usize {
        self.groups[self.groups.len() - 1].1
    }

    fn send_one_by_one(
        &mut self,
        batch: &Batch,
        rows: &[usize],
        rejects: &mut Vec<RowReject>,
    ) -> Result<(), SinkError> {
        for row in rows {
            let outcome = if self.delicate {
                self.send_in_savepoint(batch, *row)?
            } else {
                match self.statements.insert(self.single(), batch, &[*row]) {
                    Ok(()) => self.check_changes(1).map(|()| None)?,
                    Err(error) => Some(self.reject_of(&error, *row)?),
                }
            };
            rejects.extend(outcome);
        }
        Ok(())
    }

    /// A row whose failure may leave something behind.
    fn send_in_savepoint(
        &mut self,
        batch: &Batch,
        row: usize,
    ) -> Result<Option<RowReject>, SinkError> {
        self.savepoint("SAVEPOINT fastload_row")?;
        let reject = match self.statements.insert(self.single(), batch, &[row]) {
            Ok(()) if self.is_done(1) => None,
            Ok(()) => Some(RowReject {
                row,
                class: RejectClass::Other,
                column: None,
                sqlstate: None,
                native: None,
                message: "a trigger of the table left the row out (RAISE(IGNORE))".to_owned(),
            }),
            Err(error) => Some(self.reject_of(&error, row)?),
        };
        if reject.is_some() {
            self.savepoint("ROLLBACK TO fastload_row")?;
        }
        self.savepoint("RELEASE fastload_row")?;
        Ok(reject)
    }

    fn savepoint(&self, sql: &str) -> Result<(), SinkError> {
        self.statements.connection().execute_batch(sql).map_err(|error| sink_error(sql, &error))
    }

    /// The reject, when the error is a row's fault and the transaction still stands.
    fn reject_of(&self, error: &rusqlite::Error, row: usize) -> Result<RowReject, SinkError> {
        let doing = format!("{} {}", self.rows.doing(), self.name.table);
        let reject = row_reject(error, row, &self.name.table, &self.column_names)
            .ok_or_else(|| sink_error(&doing, error))?;
        if self.statements.connection().is_autocommit() {
            // Sent again, the same row would do it again.
            return Err(SinkError {
                class: ErrorClass::Permanent,
                sqlstate: None,
                native: reject.native,
                message: format!(
                    "{doing}: the table rolls the whole transaction back for a bad row \
                     (RAISE(ROLLBACK) in a trigger): {}",
                    reject.message
                ),
            });
        }
        Ok(reject)
    }

    /// Counts what the statement put in; only a table changed under our feet makes a difference.
    fn check_changes(&self, rows: usize) -> Result<(), SinkError> {
        if self.is_done(rows) {
            return Ok(());
        }
        Err(SinkError::permanent(format!(
            "{} of {rows} rows went into {}: a trigger was added during the load",
            self.statements.connection().changes(),
            self.name.table
        )))
    }

    fn is_done(&self, rows: usize) -> bool {
        let changes = self.statements.connection().changes();
        self.rows.is_done(rows, changes, self.column_names.len())
    }
}

impl Sink for SqliteSink {
    fn write(&mut self, batch: &Batch) -> Result<Vec<RowReject>, SinkError> {
        if batch.rows() == 0 {
            return Ok(Vec::new());
        }
        self.begin()?;
        let mut rejects = self.session.guards.check(batch);
        self.session.send(batch, &mut rejects)?;
        Ok(rejects)
    }

    fn execute(&mut self, sql: &str) -> Result<Option<u64>, SinkError> {
        self.begin()?;
        let failed = |error| sink_error("write the ledger", &error);
        let mut statement = self.connection().prepare(sql).map_err(failed)?;
        let changed = statement.raw_execute().map_err(failed)?;
        Ok(u64::try_from(changed).ok())
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        if self.connection().is_autocommit() {
            return Ok(());
        }
        self.run("commit", "COMMIT").map_err(|error| {
            // A commit that was refused (a reader holds the file, a deferred foreign key is open)
            // leaves the transaction open. Rolled back, its outcome is certain.
            match self.rollback() {
                Ok(()) => refused_commit(error),
                // The connection's end will do it, but that is nothing to rely on.
                Err(_) => SinkError { class: ErrorClass::Permanent, ..error },
            }
        })
    }

    fn rollback(&mut self) -> Result<(), SinkError> {
        if self.connection().is_autocommit() {
            return Ok(());
        }
        self.run("roll back", "ROLLBACK")
    }

    fn reconnect(&mut self) -> Result<(), SinkError> {
        self.session = Session::prepare(&self.target, &self.table, &self.columns, &self.rows)?;
        Ok(())
    }
}
