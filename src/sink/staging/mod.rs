//! Staging tables as SQL: what is the same everywhere, and a trait for what is not.
//!
//! A staging table has four columns of its own before the data: `FL_ID` (identity, primary key),
//! `FL_RUN_ID`, `FL_FILE` (index of the input from 0) and `FL_RECORD` (number of the record in it
//! from 1). File and record give the order of all records of a load; the identity only numbers the
//! rows, so that they can be moved in pieces.
//!
//! Nothing here runs a statement: `crate::staging` does.

pub(super) mod standard;

use std::fmt;

use super::SinkError;
use crate::config::schema::Column;
use crate::config::setting::Setting as _;
use crate::config::{Mode, StagingAttribute};

pub use standard::{Search, Standard};

/// Names of the staging table's own columns: identity, run, file, record.
pub const OWN_COLUMNS: [&str; 4] = ["FL_ID", "FL_RUN_ID", "FL_FILE", "FL_RECORD"];

/// Longest run id, as the column that holds it is declared.
pub const RUN_ID_CHARS: usize = 40;

/// What statements about a staging table are made of. All names stand as in statements: quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagingNames {
    /// Target table.
    pub target: String,
    /// Staging table.
    pub staging: String,
    /// Loaded columns, the same in both tables.
    pub columns: Vec<String>,
    /// Which of them are the key.
    pub key: Vec<usize>,
    /// [`OWN_COLUMNS`] in quotes.
    pub own: [String; 4],
    /// Id of the run: letters, digits and `-` only.
    pub run_id: String,
}

/// Rows with an identity above `after`, up to and including `through`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Identity of the last row before the part.
    pub after: i64,
    /// Identity of its last row.
    pub through: i64,
}

/// Which one of the records with equal keys counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The one with the lowest file and record number.
    First,
    /// The one with the highest.
    Last,
}

/// How many rows a statement of the move must change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// As many as are moved.
    All,
    /// As many as are moved, or more: a key may stand in several rows of the target.
    AllOrMore,
    /// Any number, also an unknown one.
    Any,
}

/// One step of the move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A statement, and how many rows it must change.
    Run {
        /// Its text.
        sql: String,
        /// What the database must say about it.
        changes: Changes,
    },
    /// A query whose answer is the number of moved rows of which the target shows the trace; it
    /// must be that of all rows that are moved.
    Count {
        /// Its text.
        sql: String,
    },
}

impl Step {
    pub(crate) fn run(sql: impl Into<String>, changes: Changes) -> Self {
        Self::Run { sql: sql.into(), changes }
    }

    /// Its text.
    #[must_use]
    pub fn sql(&self) -> &str {
        match self {
            Self::Run { sql, .. } | Self::Count { sql } => sql,
        }
    }
}

impl StagingNames {
    /// Condition on the rows of this run, and of one part of them.
    #[must_use]
    pub fn ours(&self, alias: &str, part: Option<Part>) -> String {
        let [id, run, ..] = &self.own;
        let mut text = format!("{alias}.{run} = '{}'", self.run_id);
        if let Some(Part { after, through }) = part {
            text.push_str(&format!(" AND {alias}.{id} > {after} AND {alias}.{id} <= {through}"));
        }
        text
    }

    /// The loaded columns of an alias, or without one.
    #[must_use]
    pub fn list(&self, alias: &str) -> String {
        self.columns.iter().map(|name| dotted(alias, name)).collect::<Vec<_>>().join(", ")
    }

    /// The key's columns of an alias, or without one.
    #[must_use]
    pub fn key_list(&self, alias: &str) -> String {
        let key = self.key.iter().map(|&at| dotted(alias, &self.columns[at]));
        key.collect::<Vec<_>>().join(", ")
    }

    /// Whether the keys of two aliases are equal, in the database's own sense.
    #[must_use]
    pub fn same_key(&self, one: &str, other: &str) -> String {
        let equal = |&at: &usize| {
            let name = &self.columns[at];
            format!("{one}.{name} = {other}.{name}")
        };
        self.key.iter().map(equal).collect::<Vec<_>>().join(" AND ")
    }

    /// The columns that are not of the key.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        let columns = self.columns.iter().enumerate();
        columns.filter(|(at, _)| !self.key.contains(at)).map(|(_, name)| name.as_str())
    }

    /// `name = alias.name` for each column that is not of the key.
    #[must_use]
    pub fn assignments(&self, to: &str, from: &str) -> String {
        let one = |name| format!("{} = {from}.{name}", dotted(to, name));
        self.values().map(one).collect::<Vec<_>>().join(", ")
    }
}

fn dotted(alias: &str, name: &str) -> String {
    if alias.is_empty() { name.to_owned() } else { format!("{alias}.{name}") }
}

/// Statements about one staging table and its target, in the SQL of one database.
///
/// The provided ones are standard SQL that PostgreSQL, MariaDB, SQLite, Db2 and Derby all take.
pub trait StagingSql: fmt::Debug + Send + Sync {
    /// The names.
    fn names(&self) -> &StagingNames;

    /// Makes the staging table.
    fn create(&self) -> Vec<String>;

    /// The first `rows` rows of a query.
    fn first_rows(&self, rows: u64) -> String {
        format!("LIMIT {rows}")
    }

    /// Drops the staging table.
    fn drop(&self) -> String {
        format!("DROP TABLE {}", self.names().staging)
    }

    /// Deletes the rows of a run.
    fn clean(&self, run_id: &str) -> String {
        let names = self.names();
        format!("DELETE FROM {} WHERE {} = '{run_id}'", names.staging, names.own[1])
    }

    /// Rows of this run by file: file, number of rows.
    fn count(&self, part: Option<Part>) -> String {
        let names = self.names();
        let file = &names.own[2];
        format!(
            "SELECT s.{file}, COUNT(*) FROM {} s WHERE {} GROUP BY s.{file}",
            names.staging,
            names.ours("s", part)
        )
    }

    /// Rows of other runs: run id, number of rows.
    fn other_runs(&self) -> String {
        let names = self.names();
        let run = &names.own[1];
        format!(
            "SELECT s.{run}, COUNT(*) FROM {} s WHERE s.{run} <> '{}' GROUP BY s.{run}",
            names.staging, names.run_id
        )
    }

    /// Statements after the last row is staged, so that the next ones are planned well.
    fn staged(&self) -> Vec<String> {
        Vec::new()
    }

    /// Makes what finding equal keys needs, and takes it away again.
    fn key_index(&self) -> Option<(String, String)> {
        None
    }

    /// Makes an index of the staged keys, and takes it away again, where the target has none on
    /// the key: else each staged row would read the whole target.
    fn move_index(&self) -> Option<(String, String)> {
        None
    }

    /// Deletes the records whose key another one has too, all but the one that counts.
    fn delete_losers(&self, keep: Keep) -> String;

    /// The records whose key another one has too, but for the one that counts, in their order,
    /// from behind file and record `after`, at most `rows` of them: file and record, then those of
    /// the record that counts.
    fn losers(&self, keep: Keep, after: Option<(usize, u64)>, rows: u64) -> String {
        standard::losers_by_window(self.names(), keep, after, &self.first_rows(rows))
    }

    /// The identity up to which the next `rows` rows behind `after` stand; NULL without any.
    fn part_end(&self, after: i64, rows: u64) -> String {
        let names = self.names();
        let id = &names.own[0];
        format!(
            "SELECT MAX(p.{id}) FROM (SELECT s.{id} FROM {} s WHERE {} AND s.{id} > {after} \
             ORDER BY s.{id} {}) p",
            names.staging,
            names.ours("s", None),
            self.first_rows(rows)
        )
    }

    /// The highest identity of this run; NULL without any row.
    fn last_row(&self) -> String {
        let names = self.names();
        format!(
            "SELECT MAX(s.{}) FROM {} s WHERE {}",
            names.own[0],
            names.staging,
            names.ours("s", None)
        )
    }

    /// Takes what was moved out of the staging table.
    fn delete_part(&self, part: Part) -> String {
        let names = self.names();
        let [id, run, ..] = &names.own;
        format!(
            "DELETE FROM {} WHERE {run} = '{}' AND {id} > {} AND {id} <= {}",
            names.staging, names.run_id, part.after, part.through
        )
    }

    /// Adds the staged rows to the target.
    fn append(&self, part: Option<Part>) -> Vec<Step> {
        vec![Step::run(standard::append(self.names(), "INSERT INTO", part), Changes::All)]
    }

    /// Deletes all rows of the target; part of the transaction.
    fn empty_target(&self) -> String {
        format!("DELETE FROM {}", self.names().target)
    }

    /// How keys of the two tables are held together.
    fn search(&self) -> Search {
        Search::Target
    }

    /// Gives the target's rows the staged values by their key, and adds the others.
    fn upsert(&self, part: Option<Part>) -> Vec<Step>;

    /// Deletes the target's rows with a staged key.
    fn delete(&self, part: Option<Part>) -> Vec<Step> {
        let names = self.names();
        let sql = format!(
            "DELETE FROM {} AS t WHERE {}",
            names.target,
            standard::is_staged(names, "t", part)
        );
        let gone = standard::gone(names, part, self.search());
        vec![Step::run(sql, Changes::Any), Step::Count { sql: gone }]
    }

    /// What the mode does to the target, in one transaction.
    fn steps(&self, mode: Mode, part: Option<Part>) -> Vec<Step> {
        match mode {
            Mode::Append | Mode::Truncate => self.append(part),
            Mode::Replace => {
                let mut steps = vec![Step::run(self.empty_target(), Changes::Any)];
                steps.extend(self.append(part));
                steps
            }
            Mode::Upsert => self.upsert(part),
            Mode::Delete => self.delete(part),
        }
    }
}

/// What a staging table for a load is asked to be.
#[derive(Debug, Clone, Copy)]
pub struct StagingSpec<'a> {
    /// Target, as the user wrote it.
    pub table: &'a str,
    /// The user's own staging table; `None`: one is made.
    pub staging: Option<&'a str>,
    /// Loaded columns.
    pub columns: &'a [Column],
    /// Which of them are the key.
    pub key: &'a [usize],
    /// Id of the run.
    pub run_id: &'a str,
    /// What is particular about the table.
    pub attributes: &'a [StagingAttribute],
}

/// A staging table with its statements.
#[derive(Debug)]
pub struct StagingTable {
    /// Its name as [`super::Target::columns`] takes it.
    pub name: String,
    /// Its name for people: as the user wrote it, or without quotes.
    pub label: String,
    /// Statement at the start of the one transaction that fills it, where it asks for one.
    pub first_sql: Option<String>,
    /// What keeps the table that is there from being used; `None`: there is none.
    pub problems: Option<Vec<String>>,
    /// Its statements.
    pub sql: Box<dyn StagingSql>,
}

impl StagingSpec<'_> {
    /// For databases that know none of the attributes.
    pub(super) fn refuse_attributes(&self, database: &str) -> Result<(), SinkError> {
        match self.attributes.first() {
            None => Ok(()),
            Some(attribute) => Err(SinkError::permanent(format!(
                "{database} knows no --staging-attributes {}",
                attribute.show()
            ))),
        }
    }
}

/// Columns of a staging table that is there.
pub(super) struct Existing {
    names: Vec<String>,
    /// Type of each loaded column, as [`StagingSql::create`] would write it.
    types: Vec<Option<String>>,
    folds: bool,
}

impl Existing {
    /// `folds`: the database takes names that differ in case for the same.
    pub(super) const fn new(names: Vec<String>, types: Vec<Option<String>>, folds: bool) -> Self {
        Self { names, types, folds }
    }

    fn has(&self, wanted: &str) -> bool {
        let same = |name: &str| {
            if self.folds { name.eq_ignore_ascii_case(wanted) } else { name == wanted }
        };
        self.names.iter().any(|name| same(name))
    }

    /// Why rows of these columns and types cannot wait in it.
    pub(super) fn problems(&self, spec: &StagingSpec<'_>, types: &[String]) -> Vec<String> {
        let missing = OWN_COLUMNS.iter().filter(|name| !self.has(name));
        let mut problems: Vec<String> =
            missing.map(|name| format!("it has no column {name}")).collect();
        for ((column, wanted), found) in spec.columns.iter().zip(types).zip(&self.types) {
            match found {
                None => problems.push(format!("it has no column {}", column.name)),
                Some(found) if found != wanted => problems.push(format!(
                    "its column {} is {found}, and the target's is {wanted}",
                    column.name
                )),
                Some(_) => {}
            }
        }
        problems
    }
}

/// Name of a staging table of our own: `length` of it is at most `most`.
pub(super) fn own_name(
    table: &str,
    run_id: &str,
    most: usize,
    length: impl Fn(&str) -> usize,
) -> String {
    let end = format!("_FASTLOAD_{run_id}");
    let mut start = table.to_owned();
    while !start.is_empty() && length(&start) + length(&end) > most {
        start.pop();
    }
    format!("{start}{end}")
}
