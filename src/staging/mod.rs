//! Loads by way of a staging table: the rows wait there until all of them have arrived, equal keys
//! are settled among them, and then they reach the target in one transaction.
//!
//! Each function here is one attempt on a session that the caller opens, watches, commits and rolls
//! back; the caller also knows the inputs. docs/staging.md tells the same for users.

mod moving;
mod settling;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};

pub use moving::{MoveFailure, Moved};
pub use settling::{PAGE_ROWS, Pair};

use crate::config::schema::Column;
use crate::config::{Duplicates, LoadConfig, Mode, StagingConfig};
use crate::error::{Error, ErrorKind, Result};
use crate::sink::staging::{Part, StagingSpec, StagingSql, StagingTable, Step};
use crate::sink::{ErrorClass, RowAction, SinkError, SqlSession, TableTask, Target};

/// Other runs that are named, at most.
const OTHER_RUNS_SHOWN: usize = 5;

/// An id that no other run has: 12 hexadecimal digits.
#[must_use]
pub fn new_run_id() -> String {
    // The keys of each `RandomState` come from the system's random numbers.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    format!("{:012x}", hasher.finish() & 0xffff_ffff_ffff)
}

/// A staging table for one load.
#[derive(Debug)]
pub struct Staging {
    table: StagingTable,
    /// What comes first in each transaction of the move.
    lock_sql: Option<String>,
    settings: StagingConfig,
    mode: Mode,
    has_key: bool,
    duplicates: Duplicates,
    /// The target as the user wrote it.
    target: String,
}

impl Staging {
    /// Finds the statements for a load; nothing is made or changed. `None`: the load goes to its
    /// table directly.
    ///
    /// # Errors
    /// There is no target table, or its kind of database has no staging tables.
    pub fn plan(target: &dyn Target, config: &LoadConfig) -> Result<Option<Self>> {
        let Some(settings) = &config.staging else {
            return Ok(None);
        };
        let columns: Vec<Column> =
            config.columns.iter().map(|column| column.column.clone()).collect();
        let lock_sql = match config.care.lock {
            true => target.task_sql(&config.table, TableTask::Lock).map_err(refused_task)?,
            false => None,
        };
        let table = target.staging(&StagingSpec {
            table: &config.table,
            staging: settings.table.as_deref(),
            columns: &columns,
            key: &config.key,
            run_id: &settings.run_id,
            attributes: &settings.attributes,
        });
        // Attributes that a database does not know are a wrong flag.
        let table = match settings.attributes.as_slice() {
            [] => table?,
            _ => table.map_err(refused_task)?,
        };
        Ok(Some(Self {
            table,
            lock_sql,
            settings: settings.clone(),
            mode: config.mode,
            has_key: !config.key.is_empty(),
            duplicates: config.duplicates,
            target: config.table.clone(),
        }))
    }

    /// What the writers do.
    #[must_use]
    pub fn action(&self) -> RowAction {
        RowAction::Stage {
            table: self.table.name.clone(),
            run_id: self.settings.run_id.clone(),
            first_sql: self.table.first_sql.clone(),
        }
    }

    /// Name of the staging table, for people.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.table.label
    }

    /// Id of the run.
    #[must_use]
    pub fn run_id(&self) -> &str {
        &self.settings.run_id
    }

    /// The target as the user wrote it.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Whether the table is made for this load and dropped after it.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        self.settings.table.is_none()
    }

    /// Whether the target sees all rows of the load at once, or none of them.
    #[must_use]
    pub const fn is_all_or_nothing(&self) -> bool {
        self.settings.merge_rows.is_none() && !matches!(self.mode, Mode::Truncate)
    }

    fn sql(&self) -> &dyn StagingSql {
        &*self.table.sql
    }

    /// The statements before the first row, for `--explain`.
    #[must_use]
    pub fn first_statements(&self) -> Vec<String> {
        if self.table.problems.is_none() { self.sql().create() } else { Vec::new() }
    }

    /// The statements after the last row, in order, for `--explain`.
    #[must_use]
    pub fn later_statements(&self) -> Vec<String> {
        let sql = self.sql();
        let mut statements = vec![sql.count(None)];
        statements.extend(sql.staged());
        if self.has_key {
            statements.extend(self.settling_statements());
        }
        statements.extend(self.move_index().map(|(create, _)| create));
        let part = self.settings.merge_rows.map(|rows| {
            statements.push(sql.part_end(0, rows));
            Part { after: 0, through: 0 }
        });
        statements.extend(self.lock_sql.clone());
        statements.extend(sql.steps(self.mode, part).iter().map(|step| step.sql().to_owned()));
        match part {
            Some(part) => statements.push(sql.delete_part(part)),
            None => statements.push(sql.last_row()),
        }
        statements.extend(self.index_drops());
        statements.push(self.removal());
        statements
    }

    /// Makes the table, or looks at the one that is there; what the user should know about it.
    ///
    /// # Errors
    /// A table that lacks columns or has other types, or what the database says.
    pub fn prepare(&self, session: &mut dyn SqlSession) -> Result<Vec<String>> {
        match &self.table.problems {
            None => {
                self.make(session)?;
                Ok(Vec::new())
            }
            Some(problems) if problems.is_empty() => {
                let others = self.other_runs(session)?;
                session.commit()?;
                Ok(others)
            }
            Some(problems) => Err(Error::usage(
                format!(
                    "the staging table {} cannot hold the rows of {}: {}",
                    self.label(),
                    self.target,
                    problems.join("; ")
                ),
                format!(
                    "give the name of a table that does not exist, which is then made by: {}",
                    self.sql().create().join("; ")
                ),
            )),
        }
    }

    /// Makes the load's own table anew, whatever an earlier start of the job has left of it.
    ///
    /// # Errors
    /// What the database says.
    pub fn prepare_again(&self, session: &mut dyn SqlSession) -> Result<()> {
        // It was made before the ledger said so, or it was not.
        if let Err(error) = self.remove(session) {
            tracing::debug!(%error, "no staging table was left");
            session.rollback()?;
        }
        self.make(session)
    }

    fn make(&self, session: &mut dyn SqlSession) -> Result<()> {
        for statement in self.sql().create() {
            session.execute(&statement)?;
        }
        Ok(session.commit()?)
    }

    /// Rows that other runs left, or are working on: nobody here can tell.
    fn other_runs(&self, session: &mut dyn SqlSession) -> Result<Vec<String>> {
        let runs = session.query(&self.sql().other_runs())?;
        let mut texts: Vec<String> = Vec::new();
        for row in runs.iter().take(OTHER_RUNS_SHOWN) {
            let [Some(run), Some(rows)] = row.as_slice() else {
                continue;
            };
            // The id came from the table: quotes in it would end the literal.
            let clean = self.sql().clean(&run.replace('\'', "''"));
            texts.push(format!(
                "{} holds {rows} rows of run {run}; if that run has ended, remove them: {clean}",
                self.label()
            ));
        }
        if runs.len() > OTHER_RUNS_SHOWN {
            texts.push(format!("{} more runs have rows in it", runs.len() - OTHER_RUNS_SHOWN));
        }
        Ok(texts)
    }

    /// Rows of this run in the table, one number for each of `files` inputs.
    ///
    /// # Errors
    /// What the database says.
    pub fn count(
        &self,
        session: &mut dyn SqlSession,
        part: Option<Part>,
        files: usize,
    ) -> Result<Vec<u64>, SinkError> {
        let mut counts = vec![0; files];
        for row in session.query(&self.sql().count(part))? {
            let place = number(row.first()).and_then(|file| usize::try_from(file).ok());
            let place = place.and_then(|file| counts.get_mut(file));
            match (place, number(row.get(1))) {
                (Some(place), Some(rows)) => *place = rows,
                _ => {
                    return Err(SinkError::permanent(format!(
                        "{} holds rows of run {} that this load has not put there: {row:?}",
                        self.label(),
                        self.run_id()
                    )));
                }
            }
        }
        Ok(counts)
    }

    /// Holds what is staged against what the writers have committed.
    ///
    /// # Errors
    /// What the database says; another number of rows.
    pub fn check_staged(&self, session: &mut dyn SqlSession, committed: &[u64]) -> Result<()> {
        let staged = self.count(session, None, committed.len())?;
        if staged != committed {
            return Err(ErrorKind::Sql(SinkError::permanent(format!(
                "{} holds {staged:?} rows of this run, by input, and {committed:?} were committed: \
                 rows were lost or changed there",
                self.label()
            )))
            .into());
        }
        for statement in self.sql().staged() {
            session.execute(&statement)?;
        }
        Ok(())
    }

    /// Removes this run from the table, or the table.
    ///
    /// # Errors
    /// What the database says.
    pub fn remove(&self, session: &mut dyn SqlSession) -> Result<(), SinkError> {
        session.execute(&self.removal())?;
        session.commit()
    }

    /// The statement of [`Self::remove`].
    #[must_use]
    pub fn removal(&self) -> String {
        if self.is_own() { self.sql().drop() } else { self.sql().clean(self.run_id()) }
    }

    /// The query that counts what is left of this run.
    #[must_use]
    pub fn rows_left(&self) -> String {
        let names = self.sql().names();
        format!("SELECT COUNT(*) FROM {} s WHERE {}", names.staging, names.ours("s", None))
    }

    fn steps(&self, part: Option<Part>) -> Vec<Step> {
        self.sql().steps(self.mode, part)
    }
}

/// A task that the database does not know is a wrong flag.
pub fn refused_task(error: SinkError) -> Error {
    match error.class {
        ErrorClass::Permanent if error.sqlstate.is_none() && error.native.is_none() => {
            Error::usage(error.message, "leave it out")
        }
        _ => error.into(),
    }
}

/// A cell that holds a number.
fn number(cell: Option<&Option<String>>) -> Option<u64> {
    cell?.as_deref()?.trim().parse().ok()
}
