//! Where batches go. A [`Target`] is a table in a place; a [`Sink`] is one writer's connection to
//! it.
//!
//! What differs between databases stays behind these two traits: the engine knows rows, batches,
//! transactions and the classes of [`SinkError`], nothing else.

pub mod csv;
pub mod memory;
pub mod null;
pub mod odbc;
pub mod sqlite;
pub mod staging;
mod text;

use crate::arena::{Batch, CellType, IndicatorWidth};
use crate::config::schema::Column;
use crate::record::RejectClass;
use staging::{StagingSpec, StagingTable};

pub use crate::error::{ErrorClass, SinkError};

/// A row that the database refused while the other rows of its batch went in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowReject {
    /// Index of the row in the batch.
    pub row: usize,
    /// Class.
    pub class: RejectClass,
    /// Index of the column in the batch, where the database or the sink can tell.
    pub column: Option<usize>,
    /// SQLSTATE.
    pub sqlstate: Option<String>,
    /// Native code.
    pub native: Option<i32>,
    /// The database's words.
    pub message: String,
}

/// What becomes of each row of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RowAction {
    /// It is added to the table.
    #[default]
    Insert,
    /// It is added to a staging table of the target's column types, with the run's id, the index
    /// of its file and the number of its record.
    Stage {
        /// The staging table; [`staging::StagingTable::name`].
        table: String,
        /// Id of the run: letters, digits and `-` only.
        run_id: String,
        /// Statement at the start of the only transaction, where there can be only one.
        first_sql: Option<String>,
    },
    /// The row with its key gets its values; without such a row it is added.
    Upsert {
        /// Indices of the key's columns, ascending.
        key: Vec<usize>,
    },
    /// The row with its key is deleted, if there is one.
    Delete {
        /// Indices of the key's columns, ascending.
        key: Vec<usize>,
    },
}

/// A connection for statements of the load itself: staging tables, the move to the target. A
/// transaction is open from the first statement until `commit` or `rollback`; dropping the session
/// undoes what was not committed.
pub trait SqlSession: Send {
    /// Runs a statement that returns no rows: the number of rows it changed, where the driver
    /// says so.
    ///
    /// # Errors
    /// What the database says.
    fn execute(&mut self, sql: &str) -> Result<Option<u64>, SinkError>;

    /// All rows of a query as text, `None` for NULL.
    ///
    /// # Errors
    /// What the database says.
    fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, SinkError>;

    /// Ends the transaction; errors as of [`Sink::commit`].
    ///
    /// # Errors
    /// What the database says.
    fn commit(&mut self) -> Result<(), SinkError>;

    /// Undoes the transaction.
    ///
    /// # Errors
    /// What the database says.
    fn rollback(&mut self) -> Result<(), SinkError>;

    /// From now on no statement is waited for longer than the target's `--query-timeout` and the
    /// time to connect: for statements that concern a few rows. Where a call is given up the
    /// session is lost.
    fn limit_statements(&mut self) {}

    /// What ends a statement that runs in this session, from another thread; `None` where there is
    /// no way.
    fn statement_stop(&self) -> Option<Box<dyn StatementStop>>;
}

/// Ends the statement that runs in a session, if one does. That fails then, and the session must be
/// rolled back.
pub trait StatementStop: Send + Sync {
    /// Asks for it; the session's own call returns when the database has obeyed.
    fn stop(&self);
}

/// What a target asks of the arenas and of the engine for a given list of columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Form of the cells, one a column.
    pub cells: Vec<CellType>,
    /// Width of the indicators.
    pub indicators: IndicatorWidth,
    /// Most connections that make sense (1 for SQLite).
    pub writers_max: usize,
    /// Rows in a batch that this target likes.
    pub batch_rows: usize,
    /// Largest array the driver takes.
    pub batch_rows_max: usize,
    /// Whether text may hold NUL bytes.
    pub nul_in_text: bool,
    /// Whether an error may ask for a commit unit to be sent again (deadlock, lost connection).
    /// Then the arenas of a unit are kept until its commit; otherwise they go back at once.
    pub replays: bool,
    /// Statement that will be executed, for `--explain`; empty where there is none.
    pub statement: String,
    /// Which rows may go to which writer.
    pub routing: Routing,
}

/// Which rows may go to which writer, and whether their order counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Routing {
    /// Any row to any writer, in any order.
    #[default]
    Any,
    /// Rows with equal keys to the same writer, in the order of their files.
    ByKey {
        /// Indices of the key's columns.
        key: Vec<usize>,
    },
    /// All rows to one writer, in the order of their files.
    InOrder {
        /// Why there cannot be more, as the end of a sentence.
        why: String,
    },
}

impl RowAction {
    /// The key by which rows are found; empty where none is looked for.
    #[must_use]
    pub fn key(&self) -> &[usize] {
        match self {
            Self::Insert | Self::Stage { .. } => &[],
            Self::Upsert { key } | Self::Delete { key } => key,
        }
    }

    /// Refuses everything but plain rows, for places that cannot do more.
    ///
    /// # Errors
    /// A permanent error that names the place.
    pub(crate) fn only_insert(&self, place: &str) -> Result<(), SinkError> {
        match self {
            Self::Insert => Ok(()),
            _ => Err(SinkError::permanent(format!("{place} takes new rows only"))),
        }
    }
}

/// An upsert whose table has no unique index on exactly its key.
fn no_unique_key(table: &str, key: &[&str]) -> SinkError {
    SinkError::permanent(format!(
        "table {table} has no unique index on exactly {}: a direct upsert finds its rows by one; \
         make it, name the columns of another with --key, or load with --staging",
        key.join(", ")
    ))
}

/// Something that is done to a table as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableTask {
    /// Nobody else writes to it until the end of the transaction.
    Lock,
    /// Its statistics are renewed.
    Statistics,
    /// Its constraints are checked, so that it can be used again.
    Integrity,
}

impl TableTask {
    /// The flag that asks for it.
    #[must_use]
    pub const fn flag(self) -> &'static str {
        match self {
            Self::Lock => "--lock-table",
            Self::Statistics => "--runstats",
            Self::Integrity => "--set-integrity",
        }
    }
}

/// What is known about a target, for the report and `--explain`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetInfo {
    /// The URL without secrets.
    pub url: String,
    /// `sqlite`, `postgresql`, `mariadb`, `generic`, `null`, `csv`.
    pub profile: String,
    /// Probed facts in the order in which they should be read: (name, value).
    pub facts: Vec<(String, String)>,
}

/// What is particular about a ledger in one kind of place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerForm {
    /// What follows the list of columns of its tables.
    pub create_end: &'static str,
    /// Whether several rows go in one INSERT.
    pub many_rows: bool,
    /// Whether others may write while a writer's transaction is open, so that a run can say from
    /// time to time that it lives.
    pub has_heartbeat: bool,
    /// Statement after which a lock of another transaction is not waited for for ever, for this
    /// transaction; `None`: it is not anyway.
    pub patience_sql: Option<&'static str>,
}

/// Whether another start of a job lives, as far as a place can tell by a lock that dies with the
/// session or process that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// The lock is ours now: no other one lives.
    Held,
    /// Another one has it.
    Taken,
    /// There is no such lock here.
    NotOffered,
}

/// A lock on a job; dropping it lets the job go.
pub trait JobHold {}

/// A table in a place. Shared by all threads; connections are made on the threads that use them.
pub trait Target: Send + Sync {
    /// What is known about the place.
    fn info(&self) -> TargetInfo;

    /// Columns of the table, or `None` when there is no such table.
    ///
    /// # Errors
    /// When the place cannot be asked.
    fn columns(&self, table: &str) -> Result<Option<Vec<Column>>, SinkError>;

    /// Whether this kind of place holds tables at all: without (`null:`, `csv:`) the column types
    /// come from `--schema` or inference and nothing is created.
    fn has_tables(&self) -> bool;

    /// The statement that would create the table.
    fn create_table_sql(&self, table: &str, columns: &[Column]) -> String;

    /// What a user should know about such a table, a sentence each: limits that its columns come
    /// near, lengths that count something else than elsewhere.
    fn remarks(&self, _columns: &[Column]) -> Vec<String> {
        Vec::new()
    }

    /// The name that a new column gets: Db2 folds ordinary names to upper case, as it does in
    /// statements, so that nobody has to quote them.
    fn created_name(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Creates the table.
    ///
    /// # Errors
    /// What the database says; too many columns is named before the first row.
    fn create_table(&self, table: &str, columns: &[Column]) -> Result<(), SinkError>;

    /// Deletes all rows of the table, in a transaction of its own.
    ///
    /// # Errors
    /// What the database says.
    fn truncate(&self, table: &str) -> Result<(), SinkError>;

    /// Runs one statement of the user (`--before`, `--after`) in a transaction of its own.
    ///
    /// # Errors
    /// What the database says.
    fn run_sql(&self, sql: &str) -> Result<(), SinkError>;

    /// How batches for these columns (in this order) must look.
    ///
    /// # Errors
    /// When the place cannot take such rows: too many columns, a type it cannot hold.
    fn layout(
        &self,
        table: &str,
        columns: &[Column],
        action: &RowAction,
    ) -> Result<Layout, SinkError>;

    /// Opens one writer's end. Called on the writer's own thread.
    ///
    /// # Errors
    /// [`ErrorClass::CannotConnect`], [`ErrorClass::LoginRefused`], or what preparing the
    /// statement gave.
    fn open(
        &self,
        table: &str,
        columns: &[Column],
        action: &RowAction,
    ) -> Result<Box<dyn Sink>, SinkError>;

    /// Opens a connection for statements of the load itself.
    ///
    /// # Errors
    /// As of [`Self::open`]; a place without tables has no statements.
    fn session(&self) -> Result<Box<dyn SqlSession>, SinkError> {
        Err(SinkError::permanent("this target runs no statements"))
    }

    /// A connection for a few statements that concern a few rows and leave nothing behind in its
    /// session; none of them is waited for longer than after [`SqlSession::limit_statements`]. It
    /// may be one that an earlier errand has left a moment ago.
    ///
    /// # Errors
    /// As of [`Self::session`].
    fn errand(&self) -> Result<Box<dyn SqlSession>, SinkError> {
        let mut session = self.session()?;
        session.limit_statements();
        Ok(session)
    }

    /// Closes a connection that an errand has left: the next one may be hours away.
    fn close_idle(&self) {}

    /// Calls of this target's sinks that were given up and have not come back, with what to say
    /// of each. Their threads are lost: nobody can end them, and the engine leaves them behind.
    fn stuck_calls(&self) -> Vec<SinkError> {
        Vec::new()
    }

    /// The statement that does something to a table as a whole; `None` where nothing is to be done.
    ///
    /// # Errors
    /// The place knows no such thing; its words say what it has instead.
    fn task_sql(&self, _table: &str, task: TableTask) -> Result<Option<String>, SinkError> {
        Err(SinkError::permanent(format!("{} means nothing here", task.flag())))
    }

    /// The statements for a load by way of a staging table; nothing is made or changed.
    ///
    /// # Errors
    /// There is no target, the place has no tables, or what the catalog says.
    fn staging(&self, _spec: &StagingSpec<'_>) -> Result<StagingTable, SinkError> {
        Err(SinkError::permanent("this target has no staging tables"))
    }

    /// What a ledger in this place is like; `None`: it keeps none.
    fn ledger(&self) -> Option<LedgerForm> {
        None
    }

    /// Takes the lock of a job without waiting.
    ///
    /// # Errors
    /// When the place cannot be asked.
    fn hold_job(&self, _job: &str) -> Result<(Holding, Option<Box<dyn JobHold>>), SinkError> {
        Ok((Holding::NotOffered, None))
    }

    /// The table as statements name it.
    ///
    /// # Errors
    /// A name that cannot be, or a place without statements.
    fn table_sql(&self, _table: &str) -> Result<String, SinkError> {
        Err(SinkError::permanent("this target runs no statements"))
    }

    /// Called once after the last commit of a load that ended well.
    ///
    /// # Errors
    /// When what was written cannot be finished (flush of a file).
    fn finish(&self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// One writer's connection. A transaction is open from the first `write` until `commit` or
/// `rollback`.
pub trait Sink {
    /// Sends the rows of one batch inside the open transaction and returns those that the
    /// database refused, in ascending order; all the others are in.
    ///
    /// # Errors
    /// Anything that is not the fault of single rows. The caller rolls back.
    fn write(&mut self, batch: &Batch) -> Result<Vec<RowReject>, SinkError>;

    /// Runs a statement of the load itself in the open transaction, which begins with it where none
    /// is: the number of rows it changed, where the driver says so.
    ///
    /// # Errors
    /// What the database says; the caller rolls back.
    fn execute(&mut self, _sql: &str) -> Result<Option<u64>, SinkError> {
        Err(SinkError::permanent("this target runs no statements"))
    }

    /// Ends the transaction. On an error it is unknown whether it took effect, unless the class is
    /// [rolled back for certain](ErrorClass::is_rolled_back): a sink gives one of those classes to
    /// nothing else.
    ///
    /// # Errors
    /// What the database says.
    fn commit(&mut self) -> Result<(), SinkError>;

    /// Undoes everything since the last commit.
    ///
    /// # Errors
    /// What the database says.
    fn rollback(&mut self) -> Result<(), SinkError>;

    /// Makes the connection again after it was lost and repeats every session setting.
    ///
    /// # Errors
    /// As [`Target::open`].
    fn reconnect(&mut self) -> Result<(), SinkError>;
}
