//! Staging tables in SQLite.

use rusqlite::{Connection, OptionalExtension as _};

use super::bind::column_collation;
use super::catalog::{CatalogColumn, TableName, quote};
use super::errors::sink_error;
use super::{SqliteTarget, check_column_count};
use crate::config::schema::Column;
use crate::sink::SinkError;
use crate::sink::staging::{
    Changes, Existing, Keep, OWN_COLUMNS, Part, Search, StagingNames, StagingSpec, StagingSql,
    StagingTable, Step, own_name, standard,
};

/// SQLite's statements.
#[derive(Debug)]
struct SqliteStaging {
    names: StagingNames,
    create: String,
    /// Whether a unique index of the target has exactly the key's columns.
    has_unique_key: bool,
    /// The index of the staged keys, where no index of the target begins with a column of the key.
    move_index: Option<(String, String)>,
}

impl StagingSql for SqliteStaging {
    fn names(&self) -> &StagingNames {
        &self.names
    }

    fn create(&self) -> Vec<String> {
        vec![self.create.clone()]
    }

    fn delete_losers(&self, keep: Keep) -> String {
        standard::delete_losers_by_window(&self.names, keep)
    }

    fn append(&self, part: Option<Part>) -> Vec<Step> {
        // OR ABORT overrides what the table says about conflicts; see the head of `sink.rs`.
        let sql = standard::append(&self.names, "INSERT OR ABORT INTO", part);
        vec![Step::run(sql, Changes::All)]
    }

    fn upsert(&self, part: Option<Part>) -> Vec<Step> {
        let names = &self.names;
        let sets = names.assignments("", "s");
        if self.has_unique_key && !sets.is_empty() {
            let insert = standard::append(names, "INSERT OR ABORT INTO", part);
            let key = names.key_list("");
            let sets = names.assignments("", "excluded");
            let sql = format!("{insert} ON CONFLICT ({key}) DO UPDATE SET {sets}");
            return vec![Step::run(sql, Changes::All)];
        }
        let update = format!(
            "UPDATE OR ABORT {} AS t SET {sets} FROM {} AS s WHERE {} AND {}",
            names.target,
            names.staging,
            names.ours("s", part),
            names.same_key("t", "s")
        );
        let update = (!sets.is_empty()).then_some(update);
        standard::update_then_insert(names, update, part, self.search())
    }

    fn delete(&self, part: Option<Part>) -> Vec<Step> {
        let names = &self.names;
        // With IN the target's index is searched for each staged key; without one the staged keys
        // are sorted once. EXISTS would read the staged rows for each row of the target.
        let sql = format!(
            "DELETE FROM {} AS t WHERE ({}) IN (SELECT {} FROM {} s WHERE {})",
            names.target,
            names.key_list("t"),
            names.key_list("s"),
            names.staging,
            names.ours("s", part)
        );
        let gone = standard::gone(names, part, self.search());
        vec![Step::run(sql, Changes::Any), Step::Count { sql: gone }]
    }

    fn move_index(&self) -> Option<(String, String)> {
        self.move_index.clone()
    }

    fn search(&self) -> Search {
        match self.move_index {
            None => Search::Target,
            // Neither side of a cross join is moved.
            Some(_) => Search::Staged { join: "CROSS JOIN" },
        }
    }
}

impl SqliteTarget {
    /// The statements for a load by way of a staging table.
    pub(super) fn staging_table(&self, spec: &StagingSpec<'_>) -> Result<StagingTable, SinkError> {
        spec.refuse_attributes("SQLite")?;
        let connection = self.connect()?;
        let target = TableName::resolve(&connection, spec.table)?;
        let name = match spec.staging {
            Some(name) => TableName::resolve(&connection, name)?,
            None => TableName {
                schema: target.schema.clone(),
                table: own_name(&target.table, spec.run_id, usize::MAX, str::len),
            },
        };
        check_column_count(&connection, spec.columns.len() + OWN_COLUMNS.len())?;
        let catalog = target
            .catalog(&connection)?
            .ok_or_else(|| SinkError::permanent(format!("there is no table {}", spec.table)))?;
        let types = spec
            .columns
            .iter()
            .map(|column| declared(&connection, &target, &catalog, column))
            .collect::<Result<Vec<_>, _>>()?;
        let there = name.catalog(&connection)?;
        let existing = there.as_ref().map(|there| -> Result<Existing, SinkError> {
            let find = |wanted: &Column| {
                there
                    .iter()
                    .any(|column| column.column.name.eq_ignore_ascii_case(&wanted.name))
                    .then(|| declared(&connection, &name, there, wanted))
                    .transpose()
            };
            let found = spec.columns.iter().map(find).collect::<Result<_, _>>()?;
            let names = there.iter().map(|column| column.column.name.clone()).collect();
            Ok(Existing::new(names, found, true))
        });
        let existing = existing.transpose()?;
        let names = StagingNames {
            target: target.quoted(),
            staging: name.quoted(),
            columns: spec.columns.iter().map(|column| quote(&column.name)).collect(),
            key: spec.key.to_vec(),
            own: OWN_COLUMNS.map(quote),
            run_id: spec.run_id.to_owned(),
        };
        let strict = is_strict(&connection, &target)?;
        let has_unique_key = has_unique_key(&connection, &target, spec)?;
        let create = create(&names, spec, &types, strict);
        let has_index = spec.key.is_empty() || has_index(&connection, &target, spec)?;
        let move_index = (!has_index).then(|| {
            let index =
                format!("{}.{}", quote(&name.schema), quote(&format!("FL_{}", spec.run_id)));
            // The key first: with the run in front the planner takes it for an index of the run,
            // and reads the target for each row of it.
            let (key, run) = (names.key_list(""), &names.own[1]);
            let create = format!("CREATE INDEX {index} ON {} ({key}, {run})", quote(&name.table));
            (create, format!("DROP INDEX {index}"))
        });
        Ok(StagingTable {
            name: format!("{}.{}", quote(&name.schema), quote(&name.table)),
            label: spec.staging.map_or(name.table, str::to_owned),
            first_sql: None,
            problems: existing.map(|existing| existing.problems(spec, &types)),
            sql: Box::new(SqliteStaging { names, create, has_unique_key, move_index }),
        })
    }
}

fn create(names: &StagingNames, spec: &StagingSpec<'_>, types: &[String], strict: bool) -> String {
    let [id, run, file, record] = &names.own;
    let mut lines = vec![
        format!("  {id} INTEGER PRIMARY KEY"),
        format!("  {run} TEXT NOT NULL"),
        format!("  {file} INTEGER NOT NULL"),
        format!("  {record} INTEGER NOT NULL"),
    ];
    let columns = names.columns.iter().zip(types).zip(spec.columns);
    lines.extend(columns.map(|((name, ty), column)| {
        format!("  {name} {ty}{}", if column.nullable { "" } else { " NOT NULL" })
    }));
    // Types mean other things in a strict table: ANY changes no value there, and numbers here.
    let strict = if strict { " STRICT" } else { "" };
    format!("CREATE TABLE {} (\n{}\n){strict}", names.staging, lines.join(",\n"))
}

/// Type and collation as `CREATE TABLE` takes them.
fn declared(
    connection: &Connection,
    table: &TableName,
    catalog: &[CatalogColumn],
    column: &Column,
) -> Result<String, SinkError> {
    let found = catalog.iter().find(|found| found.column.name.eq_ignore_ascii_case(&column.name));
    let found = found.ok_or_else(|| {
        SinkError::permanent(format!("table {} has no column {:?}", table.table, column.name))
    })?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "_ (),".contains(c);
    let ty = if found.declared.chars().all(plain) {
        found.declared.clone()
    } else {
        quote(&found.declared)
    };
    let collation = column_collation(connection, &table.schema, &table.table, &column.name)
        .map_err(|error| sink_error(&format!("describe {}", table.table), &error))?;
    Ok(match collation.as_str() {
        "BINARY" => ty,
        other => format!("{ty} COLLATE {}", quote(other)).trim_start().to_owned(),
    })
}

fn is_strict(connection: &Connection, table: &TableName) -> Result<bool, SinkError> {
    let strict = connection
        .query_row(
            "SELECT strict FROM pragma_table_list WHERE schema = ?2 AND name = ?1 COLLATE NOCASE",
            [&table.table, &table.schema],
            |row| row.get(0),
        )
        .optional();
    Ok(strict.map_err(|error| sink_error("describe the table", &error))?.unwrap_or(false))
}

/// Whether `ON CONFLICT (key)` finds an index: its columns in any order, whole, of the column's
/// own collation, for all rows.
fn has_unique_key(
    connection: &Connection,
    table: &TableName,
    spec: &StagingSpec<'_>,
) -> Result<bool, SinkError> {
    if spec.key.is_empty() {
        return Ok(false);
    }
    let failed = |error| sink_error(&format!("describe {}", table.table), &error);
    let mut key: Vec<String> =
        spec.key.iter().map(|&at| spec.columns[at].name.to_ascii_lowercase()).collect();
    key.sort();
    let columns = |sql: &str, parameters: &[&str]| -> rusqlite::Result<Vec<Option<String>>> {
        let mut statement = connection.prepare(sql)?;
        statement.query_map(rusqlite::params_from_iter(parameters), |row| row.get(0))?.collect()
    };
    let matches = |found: Vec<Option<String>>| {
        let mut found: Vec<String> =
            found.into_iter().map(|name| name.unwrap_or_default().to_ascii_lowercase()).collect();
        found.sort();
        found == key
    };
    let place = [table.table.as_str(), table.schema.as_str()];
    // The primary key of a table without an index of its own: the row's number.
    let primary = "SELECT name FROM pragma_table_info(?1, ?2) WHERE pk > 0";
    if matches(columns(primary, &place).map_err(failed)?) {
        return Ok(true);
    }
    let unique = "SELECT name FROM pragma_index_list(?1, ?2) WHERE \"unique\" = 1 AND partial = 0";
    for index in columns(unique, &place).map_err(failed)?.into_iter().flatten() {
        let parts = "SELECT x.name FROM pragma_index_xinfo(?1, ?2) x WHERE x.key = 1";
        if !matches(columns(parts, &[&index, &table.schema]).map_err(failed)?) {
            continue;
        }
        let collations = columns(
            "SELECT x.name || ' ' || x.coll FROM pragma_index_xinfo(?1, ?2) x WHERE x.key = 1",
            &[&index, &table.schema],
        );
        let own = collations.map_err(failed)?.into_iter().flatten().all(|text| {
            text.rsplit_once(' ').is_some_and(|(name, collation)| {
                column_collation(connection, &table.schema, &table.table, name)
                    .is_ok_and(|own| own.eq_ignore_ascii_case(collation))
            })
        });
        if own {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the row's number, or an index of all rows and the column's own collation, begins with a
/// column of the key.
fn has_index(
    connection: &Connection,
    table: &TableName,
    spec: &StagingSpec<'_>,
) -> Result<bool, SinkError> {
    let failed = |error| sink_error(&format!("describe {}", table.table), &error);
    let sql = "SELECT name, NULL FROM pragma_table_info(?1, ?2) \
               WHERE pk = 1 AND upper(type) = 'INTEGER' \
               UNION ALL \
               SELECT x.name, x.coll FROM pragma_index_list(?1, ?2) i \
               JOIN pragma_index_xinfo(i.name, ?2) x WHERE x.seqno = 0 AND i.partial = 0";
    let mut statement = connection.prepare(sql).map_err(failed)?;
    let rows = statement.query_map([&table.table, &table.schema], |row| {
        Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?))
    });
    let first: Vec<_> = rows.and_then(Iterator::collect).map_err(failed)?;
    let is_key =
        |name: &str| spec.key.iter().any(|&at| spec.columns[at].name.eq_ignore_ascii_case(name));
    Ok(first.iter().any(|(name, collation)| {
        let Some(name) = name.as_deref().filter(|name| is_key(name)) else { return false };
        collation.as_deref().is_none_or(|found| {
            column_collation(connection, &table.schema, &table.table, name)
                .is_ok_and(|own| own.eq_ignore_ascii_case(found))
        })
    }))
}
