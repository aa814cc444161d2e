//! Equal keys among the staged records.

use super::{Staging, number};
use crate::config::{Duplicates, Mode};
use crate::error::Result;
use crate::sink::staging::Keep;
use crate::sink::{SinkError, SqlSession};

/// A record, and the one with the same key that counts in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Index of the input of the record that does not count.
    pub file: usize,
    /// Its number.
    pub record: u64,
    /// Index of the input of the record that counts.
    pub kept_file: usize,
    /// Its number.
    pub kept_record: u64,
}

/// Records that are asked for at once where their bytes are needed.
pub const PAGE_ROWS: u64 = 100_000;

const fn kept(rule: Duplicates) -> Keep {
    match rule {
        Duplicates::Last => Keep::Last,
        Duplicates::Error | Duplicates::Reject | Duplicates::Skip => Keep::First,
    }
}

impl Staging {
    /// Whether equal keys matter.
    #[must_use]
    pub const fn has_key(&self) -> bool {
        self.has_key
    }

    /// The statements that settle equal keys, in order.
    pub(super) fn settling_statements(&self) -> Vec<String> {
        let (sql, rule) = (self.sql(), self.duplicates);
        let create = sql.key_index().map(|(create, _)| create);
        let mut statements: Vec<String> = create.into_iter().collect();
        if matches!(rule, Duplicates::Error | Duplicates::Reject) {
            let rows = if rule == Duplicates::Error { 1 } else { PAGE_ROWS };
            statements.push(sql.losers(kept(rule), None, rows));
        }
        if rule != Duplicates::Error {
            statements.push(sql.delete_losers(kept(rule)));
        }
        statements
    }

    /// Makes what the questions about equal keys need; whether anything was made.
    ///
    /// # Errors
    /// What the database says.
    pub fn index_key(&self, session: &mut dyn SqlSession) -> Result<bool, SinkError> {
        make(session, self.sql().key_index())
    }

    /// Makes the index that the move needs where the target has none on the key; whether one was
    /// made.
    ///
    /// # Errors
    /// What the database says: it may not take an index of these columns.
    pub fn index_move(&self, session: &mut dyn SqlSession) -> Result<bool, SinkError> {
        make(session, self.move_index())
    }

    pub(super) fn move_index(&self) -> Option<(String, String)> {
        let searches = matches!(self.mode, Mode::Upsert | Mode::Delete);
        self.sql().move_index().filter(|_| searches)
    }

    /// Takes the indexes that were made away again, so that the next load into the table need not
    /// keep them.
    ///
    /// # Errors
    /// What the database says.
    pub fn drop_indexes(&self, session: &mut dyn SqlSession) -> Result<(), SinkError> {
        for statement in self.index_drops() {
            session.execute(&statement)?;
        }
        session.commit()
    }

    /// The statements of [`Self::drop_indexes`]; none for a table that is dropped itself.
    #[must_use]
    pub fn index_drops(&self) -> Vec<String> {
        if self.is_own() || !self.has_key {
            return Vec::new();
        }
        let made = [self.sql().key_index(), self.move_index()];
        made.into_iter().flatten().map(|(_, drop)| drop).collect()
    }

    /// Records that do not count by `rule`, in their order, from behind `after` on, at most `rows`.
    ///
    /// # Errors
    /// What the database says.
    pub fn losers(
        &self,
        session: &mut dyn SqlSession,
        rule: Duplicates,
        after: Option<&Pair>,
        rows: u64,
    ) -> Result<Vec<Pair>, SinkError> {
        let after = after.map(|pair| (pair.file, pair.record));
        let found = session.query(&self.sql().losers(kept(rule), after, rows))?;
        found
            .iter()
            .map(|row| {
                let cell = |at| number(row.get(at));
                let file = |at| cell(at).and_then(|file| usize::try_from(file).ok());
                match (file(0), cell(1), file(2), cell(3)) {
                    (Some(file), Some(record), Some(kept_file), Some(kept_record)) => {
                        Ok(Pair { file, record, kept_file, kept_record })
                    }
                    _ => Err(SinkError::permanent(format!("a record without number: {row:?}"))),
                }
            })
            .collect()
    }

    /// Deletes the records that do not count by `rule`.
    ///
    /// # Errors
    /// What the database says.
    pub fn delete_losers(
        &self,
        session: &mut dyn SqlSession,
        rule: Duplicates,
    ) -> Result<(), SinkError> {
        session.execute(&self.sql().delete_losers(kept(rule)))?;
        Ok(())
    }
}

fn make(session: &mut dyn SqlSession, index: Option<(String, String)>) -> Result<bool, SinkError> {
    let Some((create, _)) = index else { return Ok(false) };
    session.execute(&create)?;
    session.commit()?;
    Ok(true)
}
