//! Statements that several databases share.

use super::{Changes, Keep, Part, StagingNames, StagingSql, Step};

/// In which order the keys of the staging table and of the target are held together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    /// The rows of the target are looked up, by an index of the target or as the database likes.
    Target,
    /// The target has no index on the key: its rows are read once, and the staged ones looked up
    /// by [`StagingSql::move_index`]. The text is the join that keeps the tables in this order.
    Staged {
        /// `JOIN`, or the database's form that does not change places.
        join: &'static str,
    },
}

/// Any database that takes standard SQL with identity columns and window functions.
#[derive(Debug, Clone)]
pub struct Standard {
    /// Names.
    pub names: StagingNames,
    /// Statement that makes the table.
    pub create: String,
}

impl StagingSql for Standard {
    fn names(&self) -> &StagingNames {
        &self.names
    }

    fn create(&self) -> Vec<String> {
        vec![self.create.clone()]
    }

    fn first_rows(&self, rows: u64) -> String {
        format!("FETCH FIRST {rows} ROWS ONLY")
    }

    fn delete_losers(&self, keep: Keep) -> String {
        delete_losers_by_window(&self.names, keep)
    }

    fn upsert(&self, part: Option<Part>) -> Vec<Step> {
        update_then_insert(&self.names, update_by_queries(&self.names, part), part, Search::Target)
    }
}

/// One insert of all staged rows; `verb` is `INSERT INTO` or the database's form of it.
pub(crate) fn append(names: &StagingNames, verb: &str, part: Option<Part>) -> String {
    format!(
        "{verb} {} ({}) SELECT {} FROM {} s WHERE {}",
        names.target,
        names.list(""),
        names.list("s"),
        names.staging,
        names.ours("s", part)
    )
}

/// The rows whose key is not in the target yet.
fn append_new(names: &StagingNames, part: Option<Part>, search: Search) -> String {
    let verb = "INSERT INTO";
    match search {
        Search::Target => format!(
            "{} AND NOT EXISTS (SELECT 1 FROM {} t WHERE {})",
            append(names, verb, part),
            names.target,
            names.same_key("t", "s")
        ),
        Search::Staged { join } => format!(
            "{verb} {} ({}) SELECT {} {}",
            names.target,
            names.list(""),
            names.list("s"),
            not_found(names, part, join)
        ),
    }
}

/// Identities of the staged rows whose key is in the target. That they are made different keeps
/// this a query of its own, which is run once and not for each row.
fn found(names: &StagingNames, part: Option<Part>, join: &str) -> String {
    format!(
        "SELECT DISTINCT w.{} AS fl_at FROM {} t {join} {} w ON {} AND {}",
        names.own[0],
        names.target,
        names.staging,
        names.same_key("w", "t"),
        names.ours("w", part)
    )
}

/// The staged rows whose key is not in the target, from `FROM` on.
fn not_found(names: &StagingNames, part: Option<Part>, join: &str) -> String {
    format!(
        "FROM {} s LEFT JOIN ({}) d ON d.fl_at = s.{} WHERE {} AND d.fl_at IS NULL",
        names.staging,
        found(names, part, join),
        names.own[0],
        names.ours("s", part)
    )
}

/// An update of standard SQL, one query for each column; `None` when every column is of the key.
pub(crate) fn update_by_queries(names: &StagingNames, part: Option<Part>) -> Option<String> {
    let sets: Vec<String> = names
        .values()
        .map(|name| {
            format!(
                "{name} = (SELECT s.{name} FROM {} s WHERE {} AND {})",
                names.staging,
                names.ours("s", part),
                names.same_key("s", &names.target)
            )
        })
        .collect();
    (!sets.is_empty()).then(|| {
        format!(
            "UPDATE {} SET {} WHERE {}",
            names.target,
            sets.join(", "),
            is_staged(names, &names.target, part)
        )
    })
}

/// An update (unless every column is of the key), an insert of the rest, and the question whether
/// each key is there now: neither count says it, because an update may leave out rows that do not
/// change.
pub(crate) fn update_then_insert(
    names: &StagingNames,
    update: Option<String>,
    part: Option<Part>,
    search: Search,
) -> Vec<Step> {
    let mut steps = Vec::new();
    steps.extend(update.map(|sql| Step::run(sql, Changes::Any)));
    steps.push(Step::run(append_new(names, part, search), Changes::Any));
    steps.push(Step::Count { sql: there(names, part, search) });
    steps
}

/// Whether the row of an alias has a staged key.
pub(crate) fn is_staged(names: &StagingNames, alias: &str, part: Option<Part>) -> String {
    format!(
        "EXISTS (SELECT 1 FROM {} s WHERE {} AND {})",
        names.staging,
        names.ours("s", part),
        names.same_key("s", alias)
    )
}

/// Staged rows whose key is in the target.
pub(crate) fn there(names: &StagingNames, part: Option<Part>, search: Search) -> String {
    match search {
        Search::Target => traced(names, part, "EXISTS"),
        Search::Staged { join } => {
            format!("SELECT COUNT(*) FROM ({}) d", found(names, part, join))
        }
    }
}

/// Staged rows whose key is not in the target.
pub(crate) fn gone(names: &StagingNames, part: Option<Part>, search: Search) -> String {
    match search {
        Search::Target => traced(names, part, "NOT EXISTS"),
        Search::Staged { join } => format!("SELECT COUNT(*) {}", not_found(names, part, join)),
    }
}

fn traced(names: &StagingNames, part: Option<Part>, exists: &str) -> String {
    format!(
        "SELECT COUNT(*) FROM {} s WHERE {} AND {exists} (SELECT 1 FROM {} t WHERE {})",
        names.staging,
        names.ours("s", part),
        names.target,
        names.same_key("t", "s")
    )
}

/// `ORDER BY` of the records of one key, the one that counts first.
fn order(names: &StagingNames, keep: Keep) -> String {
    let [_, _, file, record] = &names.own;
    match keep {
        Keep::First => format!("s.{file}, s.{record}"),
        Keep::Last => format!("s.{file} DESC, s.{record} DESC"),
    }
}

/// Identity and rank among the records of one key.
pub(crate) fn ranked(names: &StagingNames, keep: Keep) -> String {
    format!(
        "SELECT s.{} AS fl_at, ROW_NUMBER() OVER (PARTITION BY {} ORDER BY {}) AS fl_rank FROM {} \
         s WHERE {}",
        names.own[0],
        names.key_list("s"),
        order(names, keep),
        names.staging,
        names.ours("s", None)
    )
}

/// One sort of the keys, no index: faster than making one, where it was measured.
pub(crate) fn delete_losers_by_window(names: &StagingNames, keep: Keep) -> String {
    format!(
        "DELETE FROM {} WHERE {} IN (SELECT d.fl_at FROM ({}) d WHERE d.fl_rank > 1)",
        names.staging,
        names.own[0],
        ranked(names, keep)
    )
}

/// As [`StagingSql::losers`], by window functions.
pub(super) fn losers_by_window(
    names: &StagingNames,
    keep: Keep,
    after: Option<(usize, u64)>,
    first_rows: &str,
) -> String {
    let [_, _, file, record] = &names.own;
    let window =
        format!("OVER (PARTITION BY {} ORDER BY {})", names.key_list("s"), order(names, keep));
    format!(
        "SELECT d.fl_f, d.fl_r, d.fl_wf, d.fl_wr FROM (SELECT s.{file} AS fl_f, \
         s.{record} AS fl_r, FIRST_VALUE(s.{file}) {window} AS fl_wf, \
         FIRST_VALUE(s.{record}) {window} AS fl_wr, \
         ROW_NUMBER() {window} AS fl_rank FROM {} s WHERE {}) d WHERE d.fl_rank > 1{} \
         ORDER BY d.fl_f, d.fl_r {first_rows}",
        names.staging,
        names.ours("s", None),
        behind("d.fl_f", "d.fl_r", after)
    )
}

/// Condition on the records behind one.
pub(crate) fn behind(file: &str, record: &str, after: Option<(usize, u64)>) -> String {
    after.map_or_else(String::new, |(at_file, at_record)| {
        format!(" AND ({file} > {at_file} OR ({file} = {at_file} AND {record} > {at_record}))")
    })
}
