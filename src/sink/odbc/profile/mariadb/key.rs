//! Rows of MariaDB that are found by a key: `ON DUPLICATE KEY UPDATE`, `DELETE`, and what the
//! catalog says about the key.

use super::super::keyed::{self, UniqueIndex, key_names, other_indexes};
use super::super::{Counted, KeyFacts, RowSql, quoted};
use super::name_condition;
use crate::config::schema::SqlType;
use crate::sink::odbc::catalog::{CatalogColumn, TableName};
use crate::sink::odbc::connect::Session;
use crate::sink::{RowAction, SinkError};

/// What follows an insert that changes the row with its key instead.
///
/// The names of the key's own columns are not set: they are equal, in the sense of the index. A
/// key alone is set to itself, because the statement must set something; `INSERT IGNORE` would
/// pass over every other error too.
pub(super) fn duplicate_sql(columns: &[CatalogColumn], key: &[usize], quote: char) -> String {
    let name = |index: usize| quoted(&columns[index].column.name, quote);
    let others = (0..columns.len()).filter(|index| !key.contains(index));
    let mut sets: Vec<String> =
        others.map(|index| format!("{0} = VALUES({0})", name(index))).collect();
    if sets.is_empty() {
        sets = key.iter().take(1).map(|&index| format!("{0} = {0}", name(index))).collect();
    }
    format!("ON DUPLICATE KEY UPDATE {}", sets.join(", "))
}

/// Rows are found by their values in the column's own type: a number compared with a text is
/// compared as a float, which calls different numbers equal.
pub(super) fn delete_sql(table: &str, columns: &[CatalogColumn], quote: char) -> RowSql {
    keyed::delete_sql(table, columns, quote, |column| match column.column.ty {
        // `name_type` of the catalog: the exact digits of the column.
        SqlType::Decimal { precision, scale } => {
            format!("CAST(? AS DECIMAL({precision},{scale}))")
        }
        SqlType::Date => "CAST(? AS DATE)".to_owned(),
        SqlType::Time => "CAST(? AS TIME)".to_owned(),
        SqlType::Timestamp { precision } => format!("CAST(? AS DATETIME({precision}))"),
        // Filled up with zero bytes, as the stored value is.
        SqlType::Binary(length) => format!("CAST(? AS BINARY({length}))"),
        _ => "?".to_owned(),
    })
}

/// A FLOAT is compared as a DOUBLE, and 0.1 in the one is not 0.1 in the other: a delete by such a
/// key would find no row, and say nothing. The staging table has the column's own type.
fn refuse_float_keys(columns: &[CatalogColumn], action: &RowAction) -> Result<(), SinkError> {
    let RowAction::Delete { key } = action else {
        return Ok(());
    };
    let mut keys = key.iter().map(|&index| &columns[index].column);
    match keys.find(|column| column.ty == SqlType::Real) {
        None => Ok(()),
        Some(column) => Err(SinkError::permanent(format!(
            "key column {} is a FLOAT, which a direct delete compares with other digits than it \
             holds; load with --staging",
            column.name
        ))),
    }
}

/// What the catalog says about a key: whether an upsert meets no other unique index, and whether
/// we know which keys are equal. The server takes the rows of an array one after the other.
pub(super) fn facts(
    session: &Session,
    table: &TableName,
    columns: &[CatalogColumn],
    action: &RowAction,
) -> Result<KeyFacts, SinkError> {
    let key = key_names(columns, action.key());
    let condition = name_condition(table);
    if matches!(action, RowAction::Upsert { .. }) {
        let sql = format!(
            "SELECT index_name, column_name, sub_part, \
               (SELECT c.extra FROM information_schema.columns c \
                WHERE c.table_schema = s.table_schema AND c.table_name = s.table_name \
                  AND c.column_name = s.column_name) \
             FROM information_schema.statistics s \
             WHERE non_unique = 0 AND {condition} ORDER BY index_name, seq_in_index"
        );
        let loaded = |name: &String| columns.iter().any(|column| column.column.name == *name);
        let indexes = unique_indexes(&session.query(&sql)?, loaded);
        if let Some(other) = other_indexes(&table.table, indexes, &key)?.first() {
            return Err(SinkError::permanent(format!(
                "table {} has the unique index {} ({}) besides the key: a direct upsert would \
                 change the row that it finds by either; load with --staging, which looks at the \
                 key only",
                table.table,
                other.name,
                other.columns.join(", ")
            )));
        }
    }
    refuse_float_keys(columns, action)?;
    let mut why = session.scalar(&program_sql(&condition))?;
    if why.is_none() {
        why = unknown_equality(session, &condition, &key)?;
    }
    Ok(KeyFacts { one_writer: why, ..KeyFacts::FREE })
}

/// What may let rows of different keys meet: triggers, foreign keys into the table itself.
fn program_sql(condition: &str) -> String {
    let triggers = condition
        .replace("BINARY table_schema", "BINARY event_object_schema")
        .replace("BINARY table_name", "BINARY event_object_table");
    format!(
        "SELECT CONCAT('trigger ', trigger_name, ' runs for each row') \
         FROM information_schema.triggers WHERE {triggers} \
         UNION ALL \
         SELECT CONCAT('foreign key ', constraint_name, ' points into the table itself') \
         FROM information_schema.key_column_usage WHERE {condition} \
           AND referenced_table_schema = table_schema AND referenced_table_name = table_name"
    )
}

/// Types whose values have more than one text (`year`: 26 is 2026).
const LOOSE_TYPES: &[&str] = &["uuid", "inet4", "inet6", "enum", "set", "year"];

fn unknown_equality(
    session: &Session,
    condition: &str,
    key: &[&str],
) -> Result<Option<String>, SinkError> {
    let sql = format!(
        "SELECT column_name, data_type, collation_name \
         FROM information_schema.columns WHERE {condition}"
    );
    let rows = session.query(&sql)?;
    let mut unknown = rows.iter().filter_map(|row| {
        let cell = |index: usize| row.get(index).and_then(Option::as_deref).unwrap_or("");
        let (name, ty, collation) = (cell(0), cell(1), cell(2));
        if !key.contains(&name) {
            return None;
        }
        if LOOSE_TYPES.contains(&ty) {
            return Some(format!("two texts may be the same {ty} in key column {name}"));
        }
        let is_exact = collation.is_empty() || collation.ends_with("_bin");
        (!is_exact).then(|| {
            format!("collation {collation} of key column {name} takes different texts for equal")
        })
    });
    Ok(unknown.next())
}

/// Rows (index, column, length of a prefix, what fills the column) as indexes.
fn unique_indexes(
    rows: &[Vec<Option<String>>],
    loaded: impl Fn(&String) -> bool,
) -> Vec<UniqueIndex> {
    let mut indexes: Vec<UniqueIndex> = Vec::new();
    for row in rows {
        let [Some(name), column, prefix, extra] = row.as_slice() else { continue };
        if indexes.last().is_none_or(|last| last.name != *name) {
            let name = name.clone();
            indexes.push(UniqueIndex { name, is_plain: true, ..UniqueIndex::default() });
        }
        let Some(index) = indexes.last_mut() else { continue };
        index.is_plain &= prefix.is_none() && column.is_some();
        if let Some(column) = column {
            let fills = extra.as_deref().unwrap_or("").to_ascii_lowercase();
            index.is_generated |= fills.contains("auto_increment") && !loaded(column);
            index.columns.push(column.clone());
        }
    }
    indexes
}

/// How many rows an upsert changes for each that it is sent: 1 for a new one, 2 for one that was
/// changed, and 1 for one that is as it was, because the connection counts rows that were found.
pub(super) const COUNTED: Counted = Counted::EachOrMore;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::Column;
    use crate::sink::odbc::profile::announced;

    fn columns() -> Vec<CatalogColumn> {
        [("k", SqlType::Decimal { precision: 9, scale: 2 }), ("v`v", SqlType::VarChar(None))]
            .map(|(name, ty)| CatalogColumn {
                column: Column { name: name.to_owned(), ty, nullable: true, generated: false },
                server_type: String::new(),
                announced: announced(ty),
            })
            .into()
    }

    #[test]
    fn statements_set_all_but_the_key() {
        let columns = columns();
        assert_eq!(
            duplicate_sql(&columns, &[0], '`'),
            "ON DUPLICATE KEY UPDATE `v``v` = VALUES(`v``v`)"
        );
        assert_eq!(duplicate_sql(&columns, &[0, 1], '`'), "ON DUPLICATE KEY UPDATE `k` = `k`");
        let delete = delete_sql("`t`", &columns, '`');
        assert_eq!(
            delete.text,
            "DELETE FROM `t` WHERE `k` = CAST(? AS DECIMAL(9,2)) AND `v``v` = ?"
        );
        assert_eq!((delete.marks, delete.counted), (vec![0, 1], Counted::Free));
    }

    #[test]
    fn indexes_are_put_together() {
        let text = |cell: &str| (!cell.is_empty()).then(|| cell.to_owned());
        let rows: Vec<Vec<Option<String>>> = [
            ["PRIMARY", "id", "", "auto_increment"],
            ["a", "x", "", ""],
            ["a", "y", "", ""],
            ["prefix", "x", "4", ""],
        ]
        .iter()
        .map(|row| row.iter().map(|&cell| text(cell)).collect())
        .collect();
        let indexes = unique_indexes(&rows, |name| name == "x");
        let shown: Vec<_> = indexes
            .iter()
            .map(|index| (index.columns.join(","), index.is_plain, index.is_generated))
            .collect();
        let expected = [("id", true, true), ("x,y", true, false), ("x", false, false)];
        assert_eq!(shown, expected.map(|(names, plain, own)| (names.to_owned(), plain, own)));
    }
}
