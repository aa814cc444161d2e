//! Tables for which COPY would do something else than INSERT.

use super::super::catalog::{CatalogColumn, TableName};
use super::super::connect::Session;
use super::super::profile::hex;
use crate::sink::SinkError;

/// One row for each difference: what it is, and the column's name where it is one of a column.
/// COPY passes over rules, writes into identity columns into which INSERT must not, and takes
/// nothing where row security is active.
const SQL: &str = "\
WITH t AS (SELECT to_regclass(convert_from(decode('$NAME', 'hex'), 'UTF8')) AS oid) \
SELECT 'rule', '' FROM t WHERE EXISTS ( \
  SELECT FROM pg_catalog.pg_rewrite r WHERE r.ev_class = t.oid AND r.ev_type = '3') \
UNION ALL \
SELECT 'security', '' FROM t WHERE row_security_active(t.oid) \
UNION ALL \
SELECT 'identity', a.attname::text FROM t \
JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid \
WHERE to_jsonb(a)->>'attidentity' = 'a' AND NOT a.attisdropped";

/// Refuses such tables.
///
/// # Errors
/// What COPY would do otherwise, with the cure.
pub(super) fn check(
    session: &Session,
    name: &TableName,
    columns: &[CatalogColumn],
) -> Result<(), SinkError> {
    let rows = session.query(&SQL.replace("$NAME", &hex(&name.sql('"'))))?;
    let table = name.text();
    for row in &rows {
        let cell = |index: usize| row.get(index).and_then(Option::as_deref).unwrap_or("");
        let what = match cell(0) {
            "rule" => format!("table {table} has a rule for INSERT, and COPY passes over rules"),
            "security" => format!("row security is active on table {table}: COPY is refused there"),
            _ if !columns.iter().any(|column| column.column.name == cell(1)) => continue,
            _ => format!(
                "column {:?} of table {table} is GENERATED ALWAYS AS IDENTITY, and COPY writes \
                 into it",
                cell(1)
            ),
        };
        return Err(SinkError::permanent(format!("{what}; leave out --copy")));
    }
    Ok(())
}
