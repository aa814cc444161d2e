//! Staging tables behind ODBC: what the catalog says about the target becomes the statements.

use super::OdbcTarget;
use super::catalog::{TableName, check_name};
use super::connect::Session;
use super::profile::{Profile, StagingFacts, quoted};
use crate::config::schema::Column;
use crate::sink::SinkError;
use crate::sink::staging::{
    Existing, OWN_COLUMNS, StagingNames, StagingSpec, StagingTable, own_name,
};

/// Name and type of a column, the type as `CREATE TABLE` takes it.
pub(super) type DeclaredType = (String, String);

/// What `CREATE TABLE` says about a staging table beside the loaded columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct StagingForm {
    /// Type of the identity, with its being the primary key.
    pub(super) identity: &'static str,
    /// Type of the run's id.
    pub(super) run_id: &'static str,
    /// What follows the type of a column that takes NULL.
    pub(super) null: &'static str,
    /// What follows the list of columns.
    pub(super) end: &'static str,
}

impl StagingForm {
    /// Standard SQL.
    pub(super) const STANDARD: Self = Self {
        identity: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        run_id: "VARCHAR(40)",
        null: "",
        end: "",
    };
}

impl OdbcTarget {
    /// The statements for a load by way of a staging table.
    pub(super) fn staging_table(&self, spec: &StagingSpec<'_>) -> Result<StagingTable, SinkError> {
        let (profile, quote) = (self.profile(), self.facts().quote);
        let session = self.session()?;
        let target = self.table(spec.table)?;
        let bounds = profile.bounds();
        let name = match spec.staging {
            Some(name) => self.table(name)?,
            None => TableName {
                schema: target.schema.clone(),
                table: own_name(&target.table, spec.run_id, bounds.name, |name| {
                    match bounds.name_unit {
                        crate::config::schema::LengthUnit::Bytes => name.len(),
                        crate::config::schema::LengthUnit::Characters => name.chars().count(),
                    }
                }),
            },
        };
        check_name(&name.table, &bounds)?;
        super::check_column_count(
            &name.table,
            spec.columns.len() + OWN_COLUMNS.len(),
            bounds.columns,
        )?;
        let there = self.declared(&session, &target)?;
        let there = there
            .ok_or_else(|| SinkError::permanent(format!("there is no table {}", spec.table)))?;
        let types = spec
            .columns
            .iter()
            .map(|column| type_of(profile, &there, column).map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| SinkError::permanent("a loaded column is not in the table"))?;
        let existing = self.declared(&session, &name)?.map(|there| {
            let found = spec
                .columns
                .iter()
                .map(|column| type_of(profile, &there, column).map(str::to_owned));
            let found = found.collect();
            let names = there.into_iter().map(|(name, _)| name).collect();
            Existing::new(names, found, profile.staging().folds_columns())
        });
        if existing.is_some() {
            profile.check_table(&session, &name)?;
        }
        let names = StagingNames {
            target: target.sql(quote),
            staging: name.sql(quote),
            columns: spec.columns.iter().map(|column| quoted(&column.name, quote)).collect(),
            key: spec.key.to_vec(),
            own: OWN_COLUMNS.map(|name| quoted(name, quote)),
            run_id: spec.run_id.to_owned(),
        };
        let first_sql = profile.staging().first_sql(&names, spec);
        let create = create(&names, spec.columns, &types, profile.staging().form());
        let facts = StagingFacts { session: &session, target: &target, spec };
        let sql = profile.staging().sql(&facts, names, create)?;
        session.rollback()?;
        Ok(StagingTable {
            name: name.text(),
            label: spec.staging.map_or_else(
                || match &name.schema {
                    Some(schema) => format!("{schema}.{}", name.table),
                    None => name.table.clone(),
                },
                str::to_owned,
            ),
            first_sql,
            problems: existing.map(|existing| existing.problems(spec, &types)),
            sql,
        })
    }

    /// The columns of a table with their types as the server has them, or as we would declare them
    /// where it cannot be asked; `None` when there is no such table.
    fn declared(
        &self,
        session: &Session,
        table: &TableName,
    ) -> Result<Option<Vec<DeclaredType>>, SinkError> {
        let (profile, facts) = (self.profile(), self.facts());
        let Some(catalog) = profile.columns(session, table, facts.quote)? else {
            return Ok(None);
        };
        if let Some(types) = profile.staging().declared_types(session, table)? {
            return Ok(Some(types));
        }
        let columns: Vec<Column> = catalog.into_iter().map(|column| column.column).collect();
        let types = profile.type_names(&columns, facts.quote, facts.lengths);
        Ok(Some(columns.into_iter().map(|column| column.name).zip(types).collect()))
    }
}

fn type_of<'t>(
    profile: &dyn Profile,
    there: &'t [DeclaredType],
    column: &Column,
) -> Option<&'t str> {
    let folds = profile.staging().folds_columns();
    let same = |name: &str| name == column.name || folds && name.eq_ignore_ascii_case(&column.name);
    there.iter().find(|(name, _)| same(name)).map(|(_, ty)| ty.as_str())
}

fn create(names: &StagingNames, columns: &[Column], types: &[String], form: StagingForm) -> String {
    let [id, run, file, record] = &names.own;
    let mut lines = vec![
        format!("  {id} {}", form.identity),
        format!("  {run} {} NOT NULL", form.run_id),
        format!("  {file} INTEGER NOT NULL"),
        format!("  {record} BIGINT NOT NULL"),
    ];
    let loaded = names.columns.iter().zip(types).zip(columns);
    lines.extend(loaded.map(|((name, ty), column)| {
        format!("  {name} {ty}{}", if column.nullable { form.null } else { " NOT NULL" })
    }));
    format!("CREATE TABLE {} (\n{}\n){}", names.staging, lines.join(",\n"), form.end)
}
