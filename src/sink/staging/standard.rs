//! Statements that several databases share.

use super::{Changes, Keep, Part, StagingNames, StagingSql, Step};

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
        let values: Vec<&str> = self.names.values().collect();
        let sets = values.iter().map(|name| {
            format!(
                "{name} = (SELECT s.{name} FROM {} s WHERE {} AND {})",
                self.names.staging,
                self.names.ours("s", part),
                self.names.same_key("s", &self.names.target)
            )
        });
        let update = format!(
            "UPDATE {target} SET {} WHERE {}",
            sets.collect::<Vec<_>>().join(", "),
            is_staged(&self.names, &self.names.target, part),
            target = self.names.target
        );
        update_then_insert(&self.names, (!values.is_empty()).then_some(update), part)
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
pub(crate) fn append_new(names: &StagingNames, verb: &str, part: Option<Part>) -> String {
    format!(
        "{} AND NOT EXISTS (SELECT 1 FROM {} t WHERE {})",
        append(names, verb, part),
        names.target,
        names.same_key("t", "s")
    )
}

/// An update (unless every column is of the key), an insert of the rest, and the question whether
/// each key is there now: neither count says it, because an update may leave out rows that do not
/// change.
pub(crate) fn update_then_insert(
    names: &StagingNames,
    update: Option<String>,
    part: Option<Part>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    steps.extend(update.map(|sql| Step::run(sql, Changes::Any)));
    steps.push(Step::run(append_new(names, "INSERT INTO", part), Changes::Any));
    steps.push(Step::Count { sql: there(names, part) });
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
pub(crate) fn there(names: &StagingNames, part: Option<Part>) -> String {
    traced(names, part, "EXISTS")
}

/// Staged rows whose key is not in the target.
pub(crate) fn gone(names: &StagingNames, part: Option<Part>) -> String {
    traced(names, part, "NOT EXISTS")
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
