//! A connection for statements of the load itself.

use rusqlite::{Connection, InterruptHandle};

use super::SqliteTarget;
use super::errors::sink_error;
use crate::sink::{SinkError, SqlSession, StatementStop};

/// A transaction begins with the first statement that may write, and takes the write lock at once:
/// a lock that is taken later cannot always be waited for. What is only asked before it waits for
/// no writer.
pub(super) struct SqliteSession {
    connection: Connection,
}

impl SqliteSession {
    pub(super) fn open(target: &SqliteTarget) -> Result<Self, SinkError> {
        Ok(Self { connection: target.connect()? })
    }

    fn begin(&self) -> Result<(), SinkError> {
        if self.connection.is_autocommit() { self.run("BEGIN IMMEDIATE") } else { Ok(()) }
    }

    fn run(&self, sql: &str) -> Result<(), SinkError> {
        self.connection.execute_batch(sql).map_err(|error| sink_error(sql, &error))
    }
}

impl SqlSession for SqliteSession {
    fn execute(&mut self, sql: &str) -> Result<Option<u64>, SinkError> {
        self.begin()?;
        let failed = |error| sink_error(first_words(sql), &error);
        match self.connection.prepare(sql) {
            Ok(mut statement) if statement.column_count() == 0 => {
                let changed = statement.raw_execute().map_err(failed)?;
                Ok(u64::try_from(changed).ok())
            }
            // The user's own: several statements, or one with an answer that nobody wants.
            Ok(_) | Err(rusqlite::Error::MultipleStatement) => {
                self.connection.execute_batch(sql).map_err(failed)?;
                Ok(None)
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, SinkError> {
        let failed = |error| sink_error(first_words(sql), &error);
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            (0..columns)
                .map(|at| {
                    use rusqlite::types::Value;
                    Ok(match row.get(at)? {
                        Value::Null => None,
                        Value::Integer(number) => Some(number.to_string()),
                        Value::Real(number) => Some(number.to_string()),
                        Value::Text(text) => Some(text),
                        Value::Blob(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
                    })
                })
                .collect()
        });
        rows.and_then(Iterator::collect).map_err(failed)
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.run("COMMIT").inspect_err(|_| {
            // A refused commit leaves the transaction open; see the sink's own.
            let _ = self.rollback();
        })
    }

    fn rollback(&mut self) -> Result<(), SinkError> {
        if self.connection.is_autocommit() { Ok(()) } else { self.run("ROLLBACK") }
    }

    fn statement_stop(&self) -> Option<Box<dyn StatementStop>> {
        Some(Box::new(Interrupt(self.connection.get_interrupt_handle())))
    }
}

struct Interrupt(InterruptHandle);

impl StatementStop for Interrupt {
    fn stop(&self) {
        self.0.interrupt();
    }
}

/// The start of a statement, for messages.
fn first_words(sql: &str) -> &str {
    let end = sql.char_indices().filter(|(_, c)| *c == ' ').nth(3).map_or(sql.len(), |(at, _)| at);
    &sql[..end]
}
