//! The way of the staged rows to the target.

use super::{Staging, number};
use crate::config::Mode;
use crate::error::{Error, ErrorKind};
use crate::sink::staging::{Changes, Part, Step};
use crate::sink::{SinkError, SqlSession};

/// What one transaction moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Rows by input.
    pub rows: Vec<u64>,
    /// Rows of the target that the database says it changed, where it does.
    pub changes: Option<u64>,
    /// Identity of the last moved row.
    pub through: i64,
    /// Rows of this run that are left in the staging table once the transaction is committed. One
    /// less than before tells that it is, even where the answer to the commit is lost.
    pub left: u64,
}

/// Why nothing was moved.
#[derive(Debug)]
pub enum MoveFailure {
    /// What the database says.
    Sink(SinkError),
    /// The numbers are not what they must be.
    Wrong(String),
    /// Something beside the database.
    Load(Error),
}

impl From<Error> for MoveFailure {
    fn from(error: Error) -> Self {
        match error.into_kind() {
            ErrorKind::Sql(error) | ErrorKind::Connect(error) => Self::Sink(error),
            kind => Self::Load(kind.into()),
        }
    }
}

impl From<SinkError> for MoveFailure {
    fn from(error: SinkError) -> Self {
        Self::Sink(error)
    }
}

impl Staging {
    /// Empties the target of a truncating load: it has a transaction of its own.
    #[must_use]
    pub fn empties_first(&self) -> bool {
        self.mode == Mode::Truncate
    }

    /// Whether all rows are moved in one transaction.
    #[must_use]
    pub const fn is_one_move(&self) -> bool {
        self.settings.merge_rows.is_none()
    }

    /// Sends the statements of the move, or of its next part behind identity `after`, and checks
    /// what the database says about each. The caller commits, or rolls back. `staged` are the rows
    /// of this run in the table, by input. `None`: there is nothing left to move.
    ///
    /// # Errors
    /// What the database says; other numbers than those that must be.
    pub fn move_rows(
        &self,
        session: &mut dyn SqlSession,
        after: i64,
        staged: &[u64],
    ) -> Result<Option<Moved>, MoveFailure> {
        let total: u64 = staged.iter().sum();
        if let Some(lock) = &self.lock_sql {
            session.execute(lock)?;
        }
        match self.settings.merge_rows {
            None => self.move_all(session, staged, total).map(Some),
            Some(rows) => self.move_part(session, after, rows, staged.len(), total),
        }
    }

    fn move_all(
        &self,
        session: &mut dyn SqlSession,
        staged: &[u64],
        total: u64,
    ) -> Result<Moved, MoveFailure> {
        let changes = self.run_steps(session, None, total)?;
        let mut moved = Moved { rows: staged.to_vec(), changes, through: 0, left: total };
        // One row less tells whoever asks later that this transaction took effect.
        if let Some(last) = identity(session, &self.sql().last_row())? {
            let part = Part { after: last - 1, through: last };
            session.execute(&self.sql().delete_part(part))?;
            moved.through = last;
            moved.left = total - 1;
        }
        Ok(moved)
    }

    fn move_part(
        &self,
        session: &mut dyn SqlSession,
        after: i64,
        rows: u64,
        files: usize,
        total: u64,
    ) -> Result<Option<Moved>, MoveFailure> {
        let Some(through) = identity(session, &self.sql().part_end(after, rows))? else {
            return Ok(None);
        };
        let part = Part { after, through };
        let counts = self.count(session, Some(part), files)?;
        let expected = counts.iter().sum();
        let changes = self.run_steps(session, Some(part), expected)?;
        let deleted = session.execute(&self.sql().delete_part(part))?;
        if deleted.is_some_and(|deleted| deleted != expected) {
            return Err(MoveFailure::Wrong(format!(
                "{deleted:?} rows were taken out of {}, and {expected} were moved",
                self.label()
            )));
        }
        let left = total.saturating_sub(expected);
        Ok(Some(Moved { rows: counts, changes, through, left }))
    }

    fn run_steps(
        &self,
        session: &mut dyn SqlSession,
        part: Option<Part>,
        expected: u64,
    ) -> Result<Option<u64>, MoveFailure> {
        let mut sum = Some(0);
        for step in self.steps(part) {
            match step {
                Step::Run { sql, changes } => {
                    let changed = session.execute(&sql)?;
                    check_changes(self.target(), changes, changed, expected)?;
                    sum = sum.zip(changed).map(|(sum, changed)| sum + changed);
                }
                Step::Count { sql } => {
                    let rows = session.query(&sql)?;
                    let found = number(rows.first().and_then(|row| row.first()));
                    if found != Some(expected) {
                        return Err(MoveFailure::Wrong(format!(
                            "{expected} rows were sent to {}, and {} of them show there (a trigger \
                             or a rule may have dropped some)",
                            self.target(),
                            found.unwrap_or(0)
                        )));
                    }
                }
            }
        }
        Ok(sum)
    }
}

/// The identity that a query answers.
fn identity(session: &mut dyn SqlSession, sql: &str) -> Result<Option<i64>, SinkError> {
    let rows = session.query(sql)?;
    let cell = rows.first().and_then(|row| row.first()).and_then(Option::as_deref);
    Ok(cell.and_then(|text| text.trim().parse().ok()))
}

/// Holds a statement to the number of rows that it must change.
fn check_changes(
    target: &str,
    rule: Changes,
    changed: Option<u64>,
    expected: u64,
) -> Result<(), MoveFailure> {
    let right = match (rule, changed) {
        (Changes::Any, _) => true,
        (Changes::All, Some(changed)) => changed == expected,
        (Changes::AllOrMore, Some(changed)) => changed >= expected,
        (Changes::All | Changes::AllOrMore, None) => {
            return Err(MoveFailure::Wrong(format!(
                "the driver does not say how many rows reached {target}, so that nobody could tell \
                 whether all did"
            )));
        }
    };
    if right {
        return Ok(());
    }
    Err(MoveFailure::Wrong(format!(
        "{expected} rows were sent to {target}, and the database says that {} changed there (a \
         trigger or a rule may have dropped some)",
        changed.unwrap_or(0)
    )))
}
