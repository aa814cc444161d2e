//! Rows of PostgreSQL that are found by a key: `ON CONFLICT`, `DELETE … USING`, and what the
//! catalog says about the key.

use super::super::keyed::{UniqueIndex, key_names, other_indexes};
use super::super::{ArrayOrder, Counted, KeyFacts, hex};
use super::Unfolded;
use crate::config::schema::SqlType;
use crate::sink::odbc::catalog::{CatalogColumn, TableName};
use crate::sink::odbc::connect::Session;
use crate::sink::{RowAction, SinkError};

/// What happens to a row whose key is there, and how many rows are counted then.
pub(super) fn conflict_sql(names: &[String], key: &[usize]) -> (String, Counted) {
    let target: Vec<&str> = key.iter().map(|&index| names[index].as_str()).collect();
    let target = target.join(", ");
    let others = names.iter().enumerate().filter(|(index, _)| !key.contains(index));
    let sets: Vec<String> = others.map(|(_, name)| format!("{name} = EXCLUDED.{name}")).collect();
    if sets.is_empty() {
        return (format!("ON CONFLICT ({target}) DO NOTHING"), Counted::Free);
    }
    (format!("ON CONFLICT ({target}) DO UPDATE SET {}", sets.join(", ")), Counted::Each)
}

pub(super) fn delete_sql(table: &str, columns: &[CatalogColumn], quote: char) -> String {
    let Unfolded { names, cells, rows } = Unfolded::new(columns, quote);
    let conditions = names.iter().zip(&cells).zip(columns).map(|((name, cell), column)| {
        // As text the blanks at its end would count, and the index would not be used.
        let cast = match column.column.ty {
            SqlType::Char(_) if column.server_type.is_empty() => "::\"bpchar\"",
            _ => "",
        };
        format!("t.{name} = {cell}{cast}")
    });
    let conditions: Vec<String> = conditions.collect();
    format!("DELETE FROM {table} AS t USING {rows} WHERE {}", conditions.join(" AND "))
}

/// What the catalog says about a key: whether an upsert has its index, whether rows of different
/// keys can meet, and whether we know which keys are equal.
pub(super) fn facts(
    session: &Session,
    table: &TableName,
    columns: &[CatalogColumn],
    action: &RowAction,
) -> Result<KeyFacts, SinkError> {
    let key = key_names(columns, action.key());
    let ask = |sql: &str| session.query(&sql.replace("$NAME", &hex(&table.sql('"'))));
    let mut meeting = Vec::new();
    if matches!(action, RowAction::Upsert { .. }) {
        let loaded = |name: &String| columns.iter().any(|column| column.column.name == *name);
        let indexes = unique_indexes(&ask(INDEX_SQL)?, loaded);
        for index in other_indexes(&table.table, indexes, &key)? {
            meeting.push(format!("index {} is unique too", index.name));
        }
    }
    for row in ask(PROGRAM_SQL)? {
        meeting.extend(row.into_iter().flatten());
    }
    let unknown = unknown_equality(columns, action.key(), &ask(COLLATION_SQL)?);
    // A row may then go in only after an earlier one of another key is out of its way.
    let ordered = !meeting.is_empty() || unknown.is_some();
    let order = match action {
        RowAction::Upsert { key } if key.len() < columns.len() => {
            if ordered {
                ArrayOrder::Runs
            } else {
                ArrayOrder::Waves
            }
        }
        // A key may come twice in a statement that changes no row twice.
        _ => ArrayOrder::AsSent,
    };
    meeting.extend(unknown);
    let one_writer = (!meeting.is_empty()).then(|| meeting.join(", "));
    Ok(KeyFacts { order, one_writer, ..KeyFacts::FREE })
}

/// Whether an index says that a key stands in one row only.
pub(super) fn has_unique_key(
    session: &Session,
    table: &TableName,
    key: &[&str],
) -> Result<bool, SinkError> {
    let rows = session.query(&INDEX_SQL.replace("$NAME", &hex(&table.sql('"'))))?;
    let indexes = unique_indexes(&rows, |_| true);
    Ok(other_indexes(&table.table, indexes, key).is_ok())
}

/// A key column of which we cannot say when two values are equal.
fn unknown_equality(
    columns: &[CatalogColumn],
    key: &[usize],
    collated: &[Vec<Option<String>>],
) -> Option<String> {
    let mut keys = key.iter().map(|&index| &columns[index]);
    let is_collated =
        |name: &str| collated.iter().flatten().flatten().any(|collated| collated == name);
    let unknown =
        keys.find(|column| !column.server_type.is_empty() || is_collated(&column.column.name))?;
    let name = &unknown.column.name;
    Some(match unknown.server_type.as_str() {
        "" => format!("the collation of key column {name} takes different texts for equal"),
        ty => format!("two texts may be the same {ty} in key column {name}"),
    })
}

/// Rows of [`INDEX_SQL`] (name, column, plain, filled by the server) as indexes.
fn unique_indexes(
    rows: &[Vec<Option<String>>],
    loaded: impl Fn(&String) -> bool,
) -> Vec<UniqueIndex> {
    let mut indexes: Vec<UniqueIndex> = Vec::new();
    for row in rows {
        let [Some(name), column, plain, filled] = row.as_slice() else { continue };
        if indexes.last().is_none_or(|last| last.name != *name) {
            indexes.push(UniqueIndex {
                name: name.clone(),
                is_plain: plain.as_deref() == Some("y"),
                ..UniqueIndex::default()
            });
        }
        if let (Some(index), Some(column)) = (indexes.last_mut(), column) {
            index.is_generated |= filled.as_deref() == Some("y") && !loaded(column);
            index.columns.push(column.clone());
        }
    }
    indexes
}

/// Unique and exclusion indexes: name, column (NULL: an expression), whether `ON CONFLICT` finds
/// it by its columns, whether the server fills the column.
const INDEX_SQL: &str = "\
SELECT c.relname::text, a.attname::text, \
  CASE WHEN i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indimmediate \
         AND i.indisvalid THEN 'y' ELSE 'n' END, \
  CASE WHEN coalesce(to_jsonb(a)->>'attidentity', '') <> '' \
         OR coalesce(to_jsonb(a)->>'attgenerated', '') <> '' \
         OR pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%' THEN 'y' ELSE 'n' END \
FROM pg_catalog.pg_index i \
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
CROSS JOIN LATERAL generate_subscripts(i.indkey, 1) AS k(n) \
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.n] \
  AND i.indkey[k.n] <> 0 \
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = i.indrelid AND d.adnum = a.attnum \
WHERE i.indrelid = to_regclass(convert_from(decode('$NAME', 'hex'), 'UTF8')) \
  AND (i.indisunique OR i.indisexclusion) \
  AND k.n < coalesce((to_jsonb(i)->>'indnkeyatts')::int, i.indnatts) \
ORDER BY c.relname, k.n";

/// What else may let rows of different keys meet: triggers, rules, foreign keys into the table
/// itself.
const PROGRAM_SQL: &str = "\
WITH t(oid) AS (SELECT to_regclass(convert_from(decode('$NAME', 'hex'), 'UTF8'))::oid) \
SELECT 'trigger ' || g.tgname || ' runs for each row' \
FROM pg_catalog.pg_trigger g JOIN t ON g.tgrelid = t.oid WHERE NOT g.tgisinternal \
UNION ALL SELECT 'rule ' || r.rulename || ' rewrites its statements' \
FROM pg_catalog.pg_rewrite r JOIN t ON r.ev_class = t.oid \
UNION ALL SELECT 'foreign key ' || f.conname || ' points into the table itself' \
FROM pg_catalog.pg_constraint f JOIN t ON f.conrelid = t.oid AND f.confrelid = t.oid \
WHERE f.contype = 'f'";

/// Columns with a collation that takes different texts for equal: the column's own, or that of a
/// unique index on it, which `ON CONFLICT` finds by its columns whatever its collation is.
const COLLATION_SQL: &str = "\
SELECT a.attname::text FROM pg_catalog.pg_attribute a \
JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation \
WHERE a.attrelid = to_regclass(convert_from(decode('$NAME', 'hex'), 'UTF8')) \
  AND a.attnum > 0 AND to_jsonb(l)->>'collisdeterministic' = 'false' \
UNION \
SELECT a.attname::text FROM pg_catalog.pg_index i \
CROSS JOIN LATERAL generate_subscripts(i.indcollation, 1) AS k(n) \
JOIN pg_catalog.pg_collation l ON l.oid = i.indcollation[k.n] \
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.n] \
WHERE i.indrelid = to_regclass(convert_from(decode('$NAME', 'hex'), 'UTF8')) \
  AND i.indisunique AND to_jsonb(l)->>'collisdeterministic' = 'false'";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::{LengthUnit, TextLength};

    #[test]
    fn statements_name_the_key() {
        let names = ["\"a\"".to_owned(), "\"k\"".to_owned()];
        assert_eq!(
            conflict_sql(&names, &[1]),
            ("ON CONFLICT (\"k\") DO UPDATE SET \"a\" = EXCLUDED.\"a\"".to_owned(), Counted::Each)
        );
        let all = conflict_sql(&names, &[0, 1]);
        assert_eq!(all, ("ON CONFLICT (\"a\", \"k\") DO NOTHING".to_owned(), Counted::Free));
        let fixed = SqlType::Char(TextLength { max: 3, unit: LengthUnit::Characters });
        let columns = [
            CatalogColumn::nullable("n", SqlType::Integer, ""),
            CatalogColumn::nullable("c", fixed, ""),
        ];
        assert_eq!(
            delete_sql("\"t\"", &columns, '"'),
            "DELETE FROM \"t\" AS t USING unnest(?::int4[], ?::text[]) AS u(c1, c2) \
             WHERE t.\"n\" = u.c1 AND t.\"c\" = u.c2::\"bpchar\""
        );
    }

    #[test]
    fn indexes_are_put_together() {
        let rows: Vec<Vec<Option<String>>> = [
            ["a", "x", "y", "n"],
            ["a", "y", "y", "n"],
            ["id", "id", "y", "y"],
            ["part", "x", "n", "n"],
        ]
        .iter()
        .map(|row| row.iter().map(|&cell| Some(cell.to_owned())).collect())
        .collect();
        let indexes = unique_indexes(&rows, |name| name == "x");
        let shown: Vec<_> = indexes
            .iter()
            .map(|index| (index.columns.join(","), index.is_plain, index.is_generated))
            .collect();
        let expected = [("x,y", true, false), ("id", true, true), ("x", false, false)];
        assert_eq!(shown, expected.map(|(names, plain, own)| (names.to_owned(), plain, own)));
    }
}
