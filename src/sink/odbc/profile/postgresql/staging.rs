//! Staging tables in PostgreSQL.

use super::super::{StagingFacts, hex};
use super::key;
use crate::sink::SinkError;
use crate::sink::odbc::catalog::TableName;
use crate::sink::odbc::connect::Session;
use crate::sink::odbc::staging::DeclaredType;
use crate::sink::staging::{Changes, Keep, Part, StagingNames, StagingSql, Step, standard};

/// First server with MERGE.
const MERGE_VERSION: u32 = 150_000;

/// How rows with a known key are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upsert {
    /// `MERGE`.
    Merge,
    /// `INSERT … ON CONFLICT`, by an index on exactly the key.
    OnConflict,
    /// `UPDATE`, then `INSERT` of the rest.
    TwoSteps,
}

/// PostgreSQL's statements.
#[derive(Debug)]
pub(super) struct PostgresqlStaging {
    pub(super) names: StagingNames,
    pub(super) create: String,
    pub(super) upsert: Upsert,
    /// Whether a key can stand in one row of the target only.
    pub(super) is_unique: bool,
}

impl PostgresqlStaging {
    pub(super) fn new(
        facts: &StagingFacts<'_>,
        names: StagingNames,
        create: String,
    ) -> Result<Self, SinkError> {
        let version = facts.session.scalar("SHOW server_version_num")?;
        let version: u32 = version.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let is_unique = !facts.spec.key.is_empty()
            && key::has_unique_key(facts.session, facts.target, &facts.key_names())?;
        let upsert = match (version >= MERGE_VERSION, is_unique) {
            (true, _) => Upsert::Merge,
            (false, true) => Upsert::OnConflict,
            (false, false) => Upsert::TwoSteps,
        };
        Ok(Self { names, create, upsert, is_unique })
    }

    /// Every staged row finds its row in the target, or becomes one.
    fn changes(&self) -> Changes {
        if self.is_unique { Changes::All } else { Changes::AllOrMore }
    }
}

impl StagingSql for PostgresqlStaging {
    fn names(&self) -> &StagingNames {
        &self.names
    }

    fn create(&self) -> Vec<String> {
        vec![self.create.clone()]
    }

    fn staged(&self) -> Vec<String> {
        // A table that was just filled has no statistics, and is taken for small.
        vec![format!("ANALYZE {}", self.names.staging)]
    }

    fn delete_losers(&self, keep: Keep) -> String {
        format!(
            "DELETE FROM {staging} s USING ({ranked}) d WHERE d.fl_rank > 1 AND d.fl_at = s.{id}",
            staging = self.names.staging,
            ranked = standard::ranked(&self.names, keep),
            id = self.names.own[0]
        )
    }

    fn upsert(&self, part: Option<Part>) -> Vec<Step> {
        let names = &self.names;
        let sets = names.assignments("", "s");
        match self.upsert {
            Upsert::Merge if !sets.is_empty() => {
                let sql = format!(
                    "MERGE INTO {} t USING (SELECT {} FROM {} s WHERE {}) s ON {} \
                     WHEN MATCHED THEN UPDATE SET {sets} \
                     WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})",
                    names.target,
                    names.list("s"),
                    names.staging,
                    names.ours("s", part),
                    names.same_key("t", "s"),
                    names.list(""),
                    names.list("s")
                );
                vec![Step::run(sql, self.changes())]
            }
            Upsert::OnConflict if !sets.is_empty() => {
                let insert = standard::append(names, "INSERT INTO", part);
                let sets = names.assignments("", "excluded");
                let key = names.key_list("");
                let sql = format!("{insert} ON CONFLICT ({key}) DO UPDATE SET {sets}");
                vec![Step::run(sql, Changes::All)]
            }
            _ => {
                let update = format!(
                    "UPDATE {} t SET {sets} FROM {} s WHERE {} AND {}",
                    names.target,
                    names.staging,
                    names.ours("s", part),
                    names.same_key("t", "s")
                );
                standard::update_then_insert(names, (!sets.is_empty()).then_some(update), part)
            }
        }
    }
}

/// The types of a table's columns, domains and collations included.
pub(super) fn declared_types(
    session: &Session,
    table: &TableName,
) -> Result<Vec<DeclaredType>, SinkError> {
    let rows = session.query(&TYPES_SQL.replace("$NAME", &hex(&table.sql('"'))))?;
    let typed = rows.into_iter().filter_map(|row| match row.as_slice() {
        [Some(name), Some(ty)] => Some((name.clone(), ty.clone())),
        _ => None,
    });
    Ok(typed.collect())
}

const TYPES_SQL: &str = "\
SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod) || \
  CASE WHEN a.attcollation <> 0 AND a.attcollation <> t.typcollation \
  THEN ' COLLATE ' || quote_ident(n.nspname) || '.' || quote_ident(c.collname) ELSE '' END \
FROM pg_catalog.pg_attribute a \
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation \
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace \
WHERE a.attrelid = to_regclass(convert_from(decode('$NAME', 'hex'), 'UTF8')) \
  AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
