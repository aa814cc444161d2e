//! The ledger's tables and statements, in SQL that PostgreSQL, MariaDB, SQLite, Db2 and Derby all
//! take: whole numbers, short ASCII texts, and no name in quotes.
//!
//! | table | a row is |
//! | --- | --- |
//! | `NAME` | a committed byte range of a run |
//! | `NAME_JOB` | a run of a job, with its state and epoch |
//! | `NAME_FENCE` | a writer of a run: it locks its row in each of its transactions |
//! | `NAME_FACT` | a part of a text that the run must be held to |

use super::facts::{PART_CHARS, armoured};
use super::{RangeRow, RunKey, State};
use crate::error::{Error, Result};

/// Table when the user names none.
pub const DEFAULT_TABLE: &str = "FASTLOAD_LEDGER";

/// Version of the tables; another one is refused.
pub(super) const VERSION: u64 = 1;

/// Longest name of a job.
pub const JOB_CHARS: usize = 100;

/// Columns of a range in the order in which they are read.
const RANGE_COLUMNS: &str = "FILE_NO, PART_NO, BYTE_FROM, BYTE_TO, RECORDS_BEFORE, RECORDS, \
     LINES_BEFORE, LINE_COUNT, ROWS_LOADED, ROWS_REJECTED, ROWS_SUPERSEDED, EPOCH, WRITER_NO, \
     RAW_BYTES, REASON_BYTES, INDEX_BYTES, DIGEST";

/// Columns of a run in the order in which they are read.
const JOB_COLUMNS: &str = "JOB_ID, RUN_NO, EPOCH, JOB_STATE, JOB_STEP, LEDGER_VERSION, \
     TARGET_TABLE, JOB_OWNER, STARTED_AT, UPDATED_AT";

/// Statements about one ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerSql {
    table: String,
    /// What follows the list of columns in `CREATE TABLE`.
    end: &'static str,
}

impl LedgerSql {
    /// Statements about the ledger of that name, `NAME` or `SCHEMA.NAME`.
    ///
    /// # Errors
    /// A name that is not made of letters, digits and `_`.
    pub fn new(table: Option<&str>, end: &'static str) -> Result<Self> {
        let table = table.unwrap_or(DEFAULT_TABLE);
        let is_word = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if table.split('.').count() > 2 || !table.split('.').all(is_word) {
            return Err(Error::usage(
                format!("{table:?} is no name of a ledger"),
                "--ledger-table takes NAME or SCHEMA.NAME, of letters, digits and _",
            ));
        }
        Ok(Self { table: table.to_owned(), end })
    }

    /// The ranges' table, as statements name it.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Statements that make the tables.
    #[must_use]
    pub fn create(&self) -> [String; 4] {
        let Self { table, end } = self;
        // A character of a name may take three in its armour.
        let key = format!("JOB_ID VARCHAR({}) NOT NULL, RUN_NO BIGINT NOT NULL", 3 * JOB_CHARS);
        let numbers = |names: &[&str]| {
            let all: Vec<String> = names.iter().map(|n| format!("{n} BIGINT NOT NULL")).collect();
            all.join(", ")
        };
        let ranges = RANGE_COLUMNS.split(", ").collect::<Vec<_>>();
        [
            format!(
                "CREATE TABLE {table}_JOB ({key}, {}, JOB_STATE VARCHAR(20) NOT NULL, \
                 TARGET_TABLE VARCHAR(600) NOT NULL, JOB_OWNER VARCHAR(400), \
                 PRIMARY KEY (JOB_ID, RUN_NO)){end}",
                numbers(&[
                    "EPOCH",
                    "JOB_STEP",
                    "LEDGER_VERSION",
                    "STARTED_AT",
                    "UPDATED_AT",
                    "SEEN"
                ])
            ),
            format!(
                "CREATE TABLE {table}_FENCE ({key}, {}, PRIMARY KEY (JOB_ID, RUN_NO, \
                 WRITER_NO)){end}",
                numbers(&["WRITER_NO", "EPOCH", "SEEN"])
            ),
            format!(
                "CREATE TABLE {table}_FACT ({key}, FACT_NAME VARCHAR(60) NOT NULL, PART_NO BIGINT \
                 NOT NULL, FACT_TEXT VARCHAR({}) NOT NULL, PRIMARY KEY (JOB_ID, RUN_NO, \
                 FACT_NAME, PART_NO)){end}",
                PART_CHARS + 1
            ),
            // The last one: where it is, the others are.
            format!(
                "CREATE TABLE {table} ({key}, {}, PRIMARY KEY (JOB_ID, RUN_NO, FILE_NO, PART_NO, \
                 BYTE_FROM)){end}",
                numbers(&ranges)
            ),
        ]
    }

    /// A query that fails when there is no ledger, or one of other columns.
    #[must_use]
    pub fn look(&self) -> [String; 2] {
        let Self { table, .. } = self;
        [
            format!("SELECT {RANGE_COLUMNS} FROM {table} WHERE 1 = 0"),
            format!("SELECT {JOB_COLUMNS}, SEEN FROM {table}_JOB WHERE 1 = 0"),
        ]
    }

    /// All runs, or those of a job, the latest last.
    #[must_use]
    pub fn runs(&self, job: Option<&str>) -> String {
        let which = job.map_or_else(String::new, |job| format!(" WHERE JOB_ID = '{}'", text(job)));
        let table = &self.table;
        format!("SELECT {JOB_COLUMNS} FROM {table}_JOB{which} ORDER BY STARTED_AT, JOB_ID, RUN_NO")
    }

    /// Adds a run.
    #[must_use]
    pub fn begin_run(&self, run: &RunKey, target: &str, owner: &str, now: u64) -> String {
        let Self { table, .. } = self;
        let (target, state) = (armoured(target), State::Starting.name());
        // What is cut here is shown to people only; identity is in the facts.
        let target = target.get(..600).unwrap_or(&target);
        format!(
            "INSERT INTO {table}_JOB (JOB_ID, RUN_NO, EPOCH, JOB_STATE, JOB_STEP, LEDGER_VERSION, \
             TARGET_TABLE, JOB_OWNER, STARTED_AT, UPDATED_AT, SEEN) VALUES ('{}', {}, 1, \
             '{state}', 0, {VERSION}, '{target}', '{owner}', {now}, {now}, 0)",
            text(&run.job),
            run.run
        )
    }

    /// Takes a run over from epoch `epoch`: changes one row, or none where somebody was faster.
    #[must_use]
    pub fn take_over(&self, run: &RunKey, epoch: u64, owner: &str, now: u64) -> String {
        let Self { table, .. } = self;
        format!(
            "UPDATE {table}_JOB SET EPOCH = EPOCH + 1, JOB_OWNER = '{owner}', UPDATED_AT = {now} \
             WHERE {} AND EPOCH = {epoch}",
            ours(run)
        )
    }

    /// Raises the epoch of a run's writers; waits for their open transactions.
    #[must_use]
    pub fn raise_fences(&self, run: &RunKey) -> String {
        format!("UPDATE {}_FENCE SET EPOCH = EPOCH + 1 WHERE {}", self.table, ours(run))
    }

    /// Writers that a run has fences for.
    #[must_use]
    pub fn fences(&self, run: &RunKey) -> String {
        format!("SELECT WRITER_NO FROM {}_FENCE WHERE {}", self.table, ours(run))
    }

    /// Adds the fence of a writer.
    #[must_use]
    pub fn add_fence(&self, run: &RunKey, writer: usize, epoch: u64) -> String {
        format!(
            "INSERT INTO {}_FENCE (JOB_ID, RUN_NO, WRITER_NO, EPOCH, SEEN) VALUES ('{}', {}, \
             {writer}, {epoch}, 0)",
            self.table,
            text(&run.job),
            run.run
        )
    }

    /// Locks the fence of a writer: changes one row, or none where the epoch is over.
    ///
    /// `SEEN` makes it a change: MariaDB counts no row that keeps its values.
    #[must_use]
    pub fn pass_fence(&self, run: &RunKey, writer: usize, epoch: u64) -> String {
        format!(
            "UPDATE {}_FENCE SET SEEN = SEEN + 1 WHERE {} AND WRITER_NO = {writer} AND EPOCH = \
             {epoch}",
            self.table,
            ours(run)
        )
    }

    /// Sets state and step of a run: changes one row, or none where the epoch is over.
    #[must_use]
    pub fn advance(
        &self,
        run: &RunKey,
        epoch: u64,
        (state, step): (State, u64),
        now: u64,
    ) -> String {
        format!(
            "UPDATE {}_JOB SET JOB_STATE = '{}', JOB_STEP = {step}, UPDATED_AT = {now}, SEEN = \
             SEEN + 1 WHERE {} AND EPOCH = {epoch}",
            self.table,
            state.name(),
            ours(run)
        )
    }

    /// Says that the owner lives: changes one row, or none where the epoch is over.
    #[must_use]
    pub fn touch(&self, run: &RunKey, epoch: u64, now: u64) -> String {
        format!(
            "UPDATE {}_JOB SET UPDATED_AT = {now}, SEEN = SEEN + 1 WHERE {} AND EPOCH = {epoch}",
            self.table,
            ours(run)
        )
    }

    /// Takes the owner's name away: the next start need not ask whether it lives.
    #[must_use]
    pub fn let_go(&self, run: &RunKey, epoch: u64) -> String {
        format!(
            "UPDATE {}_JOB SET JOB_OWNER = NULL WHERE {} AND EPOCH = {epoch}",
            self.table,
            ours(run)
        )
    }

    /// The texts of a run: name, text, in the order of their parts.
    #[must_use]
    pub fn facts(&self, run: &RunKey) -> String {
        format!(
            "SELECT FACT_NAME, FACT_TEXT FROM {}_FACT WHERE {} ORDER BY FACT_NAME, PART_NO",
            self.table,
            ours(run)
        )
    }

    /// One text of every run that has it, in the order of its parts: job, run, text.
    #[must_use]
    pub fn facts_named(&self, name: &str) -> String {
        format!(
            "SELECT JOB_ID, RUN_NO, FACT_TEXT FROM {}_FACT WHERE FACT_NAME = '{}' ORDER BY JOB_ID, \
             RUN_NO, PART_NO",
            self.table,
            text(name)
        )
    }

    /// Adds a text of a run.
    #[must_use]
    pub fn add_fact(&self, run: &RunKey, name: &str, value: &str) -> Vec<String> {
        let armoured = armoured(value);
        let mut parts: Vec<&str> = Vec::new();
        let mut rest = armoured.as_str();
        loop {
            let (part, behind) = rest.split_at(rest.len().min(PART_CHARS));
            parts.push(part);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        let one = |(number, part): (usize, &&str)| {
            // An empty text is NULL in some databases; the armour knows no blank of its own.
            format!(
                "INSERT INTO {}_FACT (JOB_ID, RUN_NO, FACT_NAME, PART_NO, FACT_TEXT) VALUES \
                 ('{}', {}, '{}', {number}, ' {part}')",
                self.table,
                text(&run.job),
                run.run,
                text(name)
            )
        };
        parts.iter().enumerate().map(one).collect()
    }

    /// Takes a text of a run away.
    #[must_use]
    pub fn remove_fact(&self, run: &RunKey, name: &str) -> String {
        format!(
            "DELETE FROM {}_FACT WHERE {} AND FACT_NAME = '{}'",
            self.table,
            ours(run),
            text(name)
        )
    }

    /// The ranges of a run, in the columns' order.
    #[must_use]
    pub fn ranges(&self, run: &RunKey) -> String {
        format!(
            "SELECT {RANGE_COLUMNS} FROM {} WHERE {} ORDER BY FILE_NO, PART_NO, BYTE_FROM",
            self.table,
            ours(run)
        )
    }

    /// How many ranges a run has.
    #[must_use]
    pub fn count_ranges(&self, run: &RunKey) -> String {
        format!("SELECT COUNT(*) FROM {} WHERE {}", self.table, ours(run))
    }

    /// How many records the ranges of a run have; NULL where there are none.
    #[must_use]
    pub fn count_records(&self, run: &RunKey) -> String {
        format!(
            "SELECT SUM(ROWS_LOADED + ROWS_REJECTED + ROWS_SUPERSEDED) FROM {} WHERE {}",
            self.table,
            ours(run)
        )
    }

    /// The first range of a file, from a byte on, whose bytes have a hash.
    #[must_use]
    pub fn hashed_range(&self, run: &RunKey, file: usize, from: u64) -> String {
        let (table, ours) = (&self.table, ours(run));
        let here = format!("{ours} AND FILE_NO = {file} AND PART_NO = 0 AND DIGEST <> 0");
        format!(
            "SELECT {RANGE_COLUMNS} FROM {table} WHERE {here} AND BYTE_FROM = (SELECT \
             MIN(BYTE_FROM) FROM {table} WHERE {here} AND BYTE_FROM >= {from})"
        )
    }

    /// Adds ranges.
    #[must_use]
    pub fn add_ranges(&self, run: &RunKey, rows: &[RangeRow]) -> String {
        let values: Vec<String> = rows.iter().map(|row| range_values(run, row)).collect();
        format!(
            "INSERT INTO {} (JOB_ID, RUN_NO, {RANGE_COLUMNS}) VALUES {}",
            self.table,
            values.join(", ")
        )
    }

    /// Gives a range its final counts.
    #[must_use]
    pub fn complete_range(&self, run: &RunKey, row: &RangeRow) -> String {
        format!(
            "UPDATE {} SET ROWS_LOADED = {}, ROWS_REJECTED = {}, RAW_BYTES = {}, REASON_BYTES = \
             {}, INDEX_BYTES = {} WHERE {} AND FILE_NO = {} AND PART_NO = {} AND BYTE_FROM = {}",
            self.table,
            row.loaded,
            row.rejected,
            row.rejects.raw_bytes,
            row.rejects.lines_bytes,
            row.rejects.index_bytes,
            ours(run),
            row.file,
            row.part,
            row.bytes.start
        )
    }

    /// Removes all ranges of a run.
    #[must_use]
    pub fn clear_ranges(&self, run: &RunKey) -> String {
        format!("DELETE FROM {} WHERE {}", self.table, ours(run))
    }
}

/// Condition on the rows of a run.
fn ours(run: &RunKey) -> String {
    format!("JOB_ID = '{}' AND RUN_NO = {}", text(&run.job), run.run)
}

/// A job's name, or one of ours, as it stands between quotes. It has none itself: names of jobs
/// are checked when they are given.
fn text(name: &str) -> String {
    armoured(name)
}

fn range_values(run: &RunKey, row: &RangeRow) -> String {
    format!(
        "('{}', {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})",
        text(&run.job),
        run.run,
        row.file,
        row.part,
        row.bytes.start,
        row.bytes.end,
        row.records_before,
        row.records,
        row.lines_before,
        row.lines,
        row.loaded,
        row.rejected,
        row.superseded,
        row.epoch,
        row.writer,
        row.rejects.raw_bytes,
        row.rejects.lines_bytes,
        row.rejects.index_bytes,
        // The column is signed.
        row.digest.cast_signed(),
    )
}
