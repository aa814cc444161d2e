//! A ledger in a database: its rows read and written over a session.

use std::time::{SystemTime, UNIX_EPOCH};

use super::facts::{Facts, plain};
use super::sql::VERSION;
use super::{LedgerSql, Owner, RETRY_OF, RangeRow, RunKey, State};
use crate::error::{Error, ErrorKind, Result};
use crate::record::ByteRange;
use crate::rejects::SegmentLengths;
use crate::sink::{ErrorClass, SinkError, SqlSession, Target};

/// Where in a file, in sixteenths, ranges are looked for that are read again at the end of its
/// load: the first few are far apart already.
const SAMPLED_STEPS: [u64; 16] = [0, 8, 12, 4, 14, 6, 10, 2, 15, 7, 11, 3, 13, 5, 9, 1];

/// Bytes of a file that are read again at the end of its load, if they are more than its share; the
/// last range may go beyond.
const SAMPLED_BYTES: u64 = 16 << 20;

/// The share of a file that is read again, as a divisor.
const SAMPLED_SHARE: u64 = 64;

/// A run as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// Which.
    pub key: RunKey,
    /// Raised by each takeover.
    pub epoch: u64,
    /// How far it is.
    pub state: State,
    /// How far in its state.
    pub step: u64,
    /// The table that is loaded, for people.
    pub table: String,
    /// Who works on it; `None`: nobody.
    pub owner: Option<Owner>,
    /// Seconds since 1970.
    pub started_at: u64,
    /// When it was last heard of; seconds since 1970.
    pub updated_at: u64,
}

/// A ledger and a connection to it.
pub struct Store {
    session: Box<dyn SqlSession>,
    sql: LedgerSql,
    patience_sql: Option<&'static str>,
}

/// Whether a statement failed because a row with its key is there.
#[must_use]
pub fn is_duplicate(error: &SinkError) -> bool {
    matches!(
        (error.sqlstate.as_deref(), error.native),
        (Some("23505"), _)
            | (Some("23000"), Some(1062))
            // SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE
            | (None, Some(1555 | 2067))
    )
}

/// Now, in seconds since 1970, as the host's clock has it.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("sql", &self.sql).finish_non_exhaustive()
    }
}

impl Store {
    /// Connects to the ledger of that name in `target`; whether it is there is not looked at.
    ///
    /// # Errors
    /// A target without a ledger, a wrong name, or no connection.
    pub fn open(target: &dyn Target, table: Option<&str>) -> Result<Self> {
        let form = target.ledger().ok_or_else(|| {
            Error::usage(format!("{} keeps no ledger", target.info().url), "leave the flag out")
        })?;
        let sql = LedgerSql::new(table, form.create_end)?;
        // Few rows each: what takes long is a server that does not answer.
        let session = target.errand()?;
        Ok(Self { session, sql, patience_sql: form.patience_sql })
    }

    /// Its statements.
    #[must_use]
    pub const fn sql(&self) -> &LedgerSql {
        &self.sql
    }

    /// Its connection, for statements in the same transaction.
    pub fn session(&mut self) -> &mut dyn SqlSession {
        &mut *self.session
    }

    /// Whether the tables are there.
    ///
    /// # Errors
    /// What the database says, but for a missing table.
    pub fn exists(&mut self) -> Result<bool> {
        for query in self.sql.look() {
            match self.session.query(&query) {
                Ok(_) => {}
                Err(error) if error.class == ErrorClass::Permanent => {
                    self.session.rollback()?;
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Makes the tables where they are missing; whether they were. Where the database has
    /// transactions for tables, they are there for others once the session commits: what comes next
    /// may be of the same one, each costs a first load time.
    ///
    /// # Errors
    /// What the database says: no right to make tables, or tables of that name with other columns.
    pub fn create(&mut self) -> Result<bool> {
        if self.exists()? {
            self.session.commit()?;
            return Ok(false);
        }
        let statements = self.sql.create();
        let made =
            statements.iter().try_for_each(|statement| self.session.execute(statement).map(drop));
        match made {
            Ok(()) => return Ok(true),
            Err(error) => {
                tracing::debug!(%error, "making the tables of the ledger");
                self.session.rollback()?;
            }
        }
        for statement in statements {
            // Another load may be making them at this moment.
            let made = self.session.execute(&statement).and_then(|_| self.session.commit());
            if let Err(error) = made {
                tracing::debug!(%error, "making a table of the ledger");
                self.session.rollback()?;
                let is_last_resort = !self.settled(&statement);
                if is_last_resort {
                    return Err(no_ledger(&self.sql, error));
                }
            }
        }
        if self.exists()? {
            self.session.commit()?;
            return Ok(true);
        }
        Err(ErrorKind::Sql(SinkError::permanent(format!(
            "the ledger {} has other columns than this version makes; name another one with \
             --ledger-table",
            self.sql.table()
        )))
        .into())
    }

    /// Whether the table that `create` makes is there after all.
    fn settled(&mut self, create: &str) -> bool {
        let name = create.split_whitespace().nth(2).unwrap_or_default();
        for _ in 0..10 {
            let found = self.session.query(&format!("SELECT JOB_ID FROM {name} WHERE 1 = 0"));
            let ended = self.session.rollback();
            if found.is_ok() {
                return ended.is_ok();
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        false
    }

    /// All runs, or those of one job, the latest last.
    ///
    /// # Errors
    /// What the database says, or a row that this version did not write.
    pub fn runs(&mut self, job: Option<&str>) -> Result<Vec<RunRow>> {
        let rows = self.session.query(&self.sql.runs(job))?;
        rows.iter().map(|row| run_row(row).ok_or_else(|| strange(&self.sql, row))).collect()
    }

    /// What a run must be held to.
    ///
    /// # Errors
    /// What the database says.
    pub fn facts(&mut self, run: &RunKey) -> Result<Facts> {
        let rows = self.session.query(&self.sql.facts(run))?;
        let mut texts: Vec<(String, String)> = Vec::new();
        for row in rows {
            let mut cells = row.into_iter().map(Option::unwrap_or_default);
            let (name, part) = (cells.next(), cells.next());
            let (name, part) = (name.unwrap_or_default(), part.unwrap_or_default());
            let (name, part) = (plain(name.trim()), part.trim());
            match texts.last_mut() {
                Some((last, text)) if *last == name => text.push_str(part),
                _ => texts.push((name, part.to_owned())),
            }
        }
        Ok(texts.into_iter().map(|(name, text)| (name, plain(&text))).collect())
    }

    /// The runs that load mended rejects, each with the run whose rejects they were.
    ///
    /// # Errors
    /// What the database says.
    pub fn retries(&mut self) -> Result<Vec<(RunKey, RunKey)>> {
        let rows = self.session.query(&self.sql.facts_named(RETRY_OF))?;
        let mut texts: Vec<(RunKey, String)> = Vec::new();
        for row in &rows {
            let key = text(row.first()).zip(number(row.get(1)));
            let (job, run) = key.ok_or_else(|| strange(&self.sql, row))?;
            let key = RunKey { job: plain(job), run };
            let part = text(row.get(2)).unwrap_or_default();
            match texts.last_mut() {
                Some((last, fact)) if *last == key => fact.push_str(part),
                _ => texts.push((key, part.to_owned())),
            }
        }
        let of = |(key, fact): (RunKey, String)| Some((key, RunKey::of_fact(&plain(&fact))?));
        Ok(texts.into_iter().filter_map(of).collect())
    }

    /// The committed ranges of a run.
    ///
    /// # Errors
    /// What the database says, or a row that this version did not write.
    pub fn ranges(&mut self, run: &RunKey) -> Result<Vec<RangeRow>> {
        let rows = self.session.query(&self.sql.ranges(run))?;
        rows.iter().map(|row| range_row(row).ok_or_else(|| strange(&self.sql, row))).collect()
    }

    /// How many ranges a run has.
    ///
    /// # Errors
    /// What the database says.
    pub fn count_ranges(&mut self, run: &RunKey) -> Result<u64> {
        let rows = self.session.query(&self.sql.count_ranges(run))?;
        Ok(rows.first().and_then(|row| number(row.first())).unwrap_or(0))
    }

    /// How many records the ranges of a run have.
    ///
    /// # Errors
    /// What the database says.
    pub fn count_records(&mut self, run: &RunKey) -> Result<u64> {
        let rows = self.session.query(&self.sql.count_records(run))?;
        // A sum may be a decimal number, which some drivers end with a point.
        let sum = text(rows.first().and_then(|row| row.first()));
        Ok(sum.and_then(|sum| sum.trim_end_matches('.').parse().ok()).unwrap_or(0))
    }

    /// Ranges of a file of `length` bytes that are worth another look at their bytes: a few, from
    /// all over the file, and no more than a look at them may cost.
    ///
    /// # Errors
    /// What the database says, or a row that this version did not write.
    pub fn samples(&mut self, run: &RunKey, file: usize, length: u64) -> Result<Vec<RangeRow>> {
        let affordable_bytes = SAMPLED_BYTES.max(length / SAMPLED_SHARE);
        let mut samples: Vec<RangeRow> = Vec::new();
        // Behind it there is none.
        let mut end = u64::MAX;
        for step in SAMPLED_STEPS {
            let from = (length / SAMPLED_STEPS.len() as u64).saturating_mul(step);
            let sampled_bytes: u64 = samples.iter().map(|sample| sample.bytes.len()).sum();
            if sampled_bytes >= affordable_bytes {
                break;
            }
            if from >= end {
                continue;
            }
            let rows = self.session.query(&self.sql.hashed_range(run, file, from))?;
            let Some(row) = rows.first() else {
                end = from;
                continue;
            };
            let range = range_row(row).ok_or_else(|| strange(&self.sql, row))?;
            if !samples.contains(&range) {
                samples.push(range);
            }
        }
        Ok(samples)
    }

    /// Runs statements that each must find the run in this epoch; the caller commits.
    ///
    /// # Errors
    /// What the database says, or that another run has taken the job.
    pub fn conditional(&mut self, run: &RunKey, sql: &str) -> Result<()> {
        conditional(&mut *self.session, run, sql)
    }

    /// From here to the end of the transaction no lock is waited for for ever.
    pub(super) fn be_impatient(&mut self) -> Result<()> {
        if let Some(sql) = self.patience_sql {
            self.session.execute(sql)?;
        }
        Ok(())
    }

    /// Gives a run up; the caller has taken it over.
    ///
    /// # Errors
    /// What the database says.
    pub fn abort(&mut self, run: &RunRow) -> Result<()> {
        let sql = self.sql.advance(&run.key, run.epoch, (State::Aborted, run.step), now());
        self.conditional(&run.key, &sql)?;
        self.session.execute(&self.sql.let_go(&run.key, run.epoch))?;
        self.session.commit()?;
        Ok(())
    }
}

/// Runs a statement that changes the run's row, or none where another run has taken the job.
pub(super) fn conditional(session: &mut dyn SqlSession, run: &RunKey, sql: &str) -> Result<()> {
    match session.execute(sql)? {
        Some(1) => Ok(()),
        Some(0) => Err(taken(run)),
        other => Err(ErrorKind::Sql(SinkError::permanent(format!(
            "the driver says that {other:?} rows of the ledger changed, where one must; without \
             its counts there can be no ledger (--restart off)"
        )))
        .into()),
    }
}

/// Another run works on the job now.
pub(super) fn taken(run: &RunKey) -> Error {
    ErrorKind::JobHeld(format!("{run} was taken over by another start of the job")).into()
}

fn no_ledger(sql: &LedgerSql, error: SinkError) -> Error {
    let note = format!(
        "there is no ledger {} and it cannot be made; let `fastload init-ledger` make it with the \
         rights for it, name another one with --ledger-table, or load without restart \
         (--restart off)",
        sql.table()
    );
    error.with_note(&note).into()
}

fn strange(sql: &LedgerSql, row: &[Option<String>]) -> Error {
    ErrorKind::Sql(SinkError::permanent(format!(
        "the ledger {} holds a row that this version did not write: {row:?}",
        sql.table()
    )))
    .into()
}

fn text(cell: Option<&Option<String>>) -> Option<&str> {
    cell?.as_deref().map(str::trim)
}

fn number(cell: Option<&Option<String>>) -> Option<u64> {
    text(cell)?.parse().ok()
}

fn index(cell: Option<&Option<String>>) -> Option<usize> {
    text(cell)?.parse().ok()
}

fn run_row(row: &[Option<String>]) -> Option<RunRow> {
    if number(row.get(5))? != VERSION {
        return None;
    }
    Some(RunRow {
        key: RunKey { job: plain(text(row.first())?), run: number(row.get(1))? },
        epoch: number(row.get(2))?,
        state: State::parse(text(row.get(3))?)?,
        step: number(row.get(4))?,
        table: plain(text(row.get(6))?),
        owner: text(row.get(7)).and_then(Owner::parse),
        started_at: number(row.get(8))?,
        updated_at: number(row.get(9))?,
    })
}

fn range_row(row: &[Option<String>]) -> Option<RangeRow> {
    let cell = |at| number(row.get(at));
    Some(RangeRow {
        file: index(row.first())?,
        part: index(row.get(1))?,
        bytes: ByteRange { start: cell(2)?, end: cell(3)? },
        records_before: cell(4)?,
        records: cell(5)?,
        lines_before: cell(6)?,
        lines: cell(7)?,
        loaded: cell(8)?,
        rejected: cell(9)?,
        superseded: cell(10)?,
        epoch: cell(11)?,
        writer: index(row.get(12))?,
        rejects: SegmentLengths {
            raw_bytes: cell(13)?,
            lines_bytes: cell(14)?,
            index_bytes: cell(15)?,
        },
        digest: text(row.get(16))?.parse::<i64>().ok()?.cast_unsigned(),
    })
}
