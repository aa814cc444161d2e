//! Staging tables in Db2. Every statement but those of [`Attributes`] runs on Derby too, which has
//! no `PARTITION BY` and takes a table, not a query, as the source of a MERGE.

use super::super::{StagingFacts, StagingProfile};
use super::columns;
use crate::config::StagingAttribute;
use crate::sink::odbc::catalog::TableName;
use crate::sink::odbc::connect::Session;
use crate::sink::odbc::staging::DeclaredType;
use crate::sink::staging::{
    Changes, Keep, Part, StagingNames, StagingSpec, StagingSql, Step, standard,
};
use crate::sink::{SinkError, TableTask};

/// What is particular here.
pub(super) struct Db2Tables;

impl StagingProfile for Db2Tables {
    fn task_sql(
        &self,
        table: &TableName,
        quote: char,
        task: TableTask,
    ) -> Result<String, SinkError> {
        let name = table.sql(quote);
        match task {
            TableTask::Lock => Ok(format!("LOCK TABLE {name} IN EXCLUSIVE MODE")),
            TableTask::Statistics if table.schema.is_none() => Err(SinkError::permanent(
                "--runstats: RUNSTATS asks for the schema; write --table schema.table",
            )),
            TableTask::Statistics => Ok(format!(
                "CALL SYSPROC.ADMIN_CMD('RUNSTATS ON TABLE {} WITH DISTRIBUTION AND DETAILED \
                 INDEXES ALL')",
                name.replace('\'', "''")
            )),
            TableTask::Integrity => Ok(format!("SET INTEGRITY FOR {name} IMMEDIATE CHECKED")),
        }
    }

    fn first_sql(&self, names: &StagingNames, spec: &StagingSpec<'_>) -> Option<String> {
        let is_asked = spec.attributes.contains(&StagingAttribute::NotLogged);
        is_asked.then(|| format!("ALTER TABLE {} ACTIVATE NOT LOGGED INITIALLY", names.staging))
    }

    fn declared_types(
        &self,
        session: &Session,
        table: &TableName,
    ) -> Result<Option<Vec<DeclaredType>>, SinkError> {
        declared_types(session, table)
    }

    fn sql(
        &self,
        facts: &StagingFacts<'_>,
        names: StagingNames,
        create: String,
    ) -> Result<Box<dyn StagingSql>, SinkError> {
        Ok(Box::new(Db2Staging::new(facts, names, create)))
    }
}

/// Db2's statements.
#[derive(Debug)]
pub(super) struct Db2Staging {
    names: StagingNames,
    create: Vec<String>,
    /// Schema of the staging table in quotes and a dot: its index stands there too.
    schema: String,
}

impl Db2Staging {
    pub(super) fn new(facts: &StagingFacts<'_>, names: StagingNames, create: String) -> Self {
        let create = with_attributes(&names.staging, create, facts.spec.attributes);
        let schema = names.staging.rfind("\".\"").map_or("", |dot| &names.staging[..dot + 2]);
        Self { schema: schema.to_owned(), names, create }
    }

    fn index(&self) -> String {
        format!("{}\"FL_{}\"", self.schema, self.names.run_id.to_ascii_uppercase())
    }

    /// Whether row `w` counts in place of row `s` of the same key.
    fn counts_before(&self, keep: Keep) -> String {
        let [_, _, file, record] = &self.names.own;
        let than = match keep {
            Keep::First => '<',
            Keep::Last => '>',
        };
        format!(
            "(w.{file} {than} s.{file} OR (w.{file} = s.{file} AND w.{record} {than} s.{record}))"
        )
    }
}

impl StagingSql for Db2Staging {
    fn names(&self) -> &StagingNames {
        &self.names
    }

    fn create(&self) -> Vec<String> {
        self.create.clone()
    }

    fn first_rows(&self, rows: u64) -> String {
        format!("FETCH FIRST {rows} ROWS ONLY")
    }

    fn key_index(&self) -> Option<(String, String)> {
        let [_, run, file, record] = &self.names.own;
        let create = format!(
            "CREATE INDEX {} ON {} ({run}, {}, {file}, {record})",
            self.index(),
            self.names.staging,
            self.names.key_list("")
        );
        Some((create, format!("DROP INDEX {}", self.index())))
    }

    fn delete_losers(&self, keep: Keep) -> String {
        let names = &self.names;
        format!(
            "DELETE FROM {staging} s WHERE {ours} AND EXISTS (SELECT 1 FROM {staging} w WHERE \
             {theirs} AND {same} AND {before})",
            staging = names.staging,
            ours = names.ours("s", None),
            theirs = names.ours("w", None),
            same = names.same_key("w", "s"),
            before = self.counts_before(keep)
        )
    }

    fn losers(&self, keep: Keep, after: Option<(usize, u64)>, rows: u64) -> String {
        let names = &self.names;
        let [_, _, file, record] = &names.own;
        // The record that counts is the one that none counts before.
        let [_, _, x_file, x_record] = &names.own;
        let none_before = self.counts_before(keep).replace("w.", "x.").replace("s.", "w.");
        format!(
            "SELECT s.{file}, s.{record}, w.{x_file}, w.{x_record} FROM {staging} s, {staging} w \
             WHERE {ours} AND {theirs} AND {same} AND {before} AND NOT EXISTS (SELECT 1 FROM \
             {staging} x WHERE {others} AND {same_too} AND {none_before}){behind} \
             ORDER BY s.{file}, s.{record} {first}",
            staging = names.staging,
            ours = names.ours("s", None),
            theirs = names.ours("w", None),
            others = names.ours("x", None),
            same = names.same_key("w", "s"),
            same_too = names.same_key("x", "w"),
            before = self.counts_before(keep),
            behind = standard::behind(&format!("s.{file}"), &format!("s.{record}"), after),
            first = self.first_rows(rows)
        )
    }

    fn upsert(&self, part: Option<Part>) -> Vec<Step> {
        let names = &self.names;
        let sets = names.assignments("", "s");
        let ours = names.ours("s", part);
        let matched = if sets.is_empty() {
            String::new()
        } else {
            format!(" WHEN MATCHED AND {ours} THEN UPDATE SET {sets}")
        };
        // The run stands in both places: rows of other runs neither match nor count as new.
        let sql = format!(
            "MERGE INTO {} t USING {} s ON {} AND {ours}{matched} \
             WHEN NOT MATCHED AND {ours} THEN INSERT ({}) VALUES ({})",
            names.target,
            names.staging,
            names.same_key("t", "s"),
            names.list(""),
            names.list("s")
        );
        if sets.is_empty() {
            let there = Step::Count { sql: standard::there(names, part, self.search()) };
            return vec![Step::run(sql, Changes::Any), there];
        }
        vec![Step::run(sql, Changes::AllOrMore)]
    }
}

/// `APPEND ON` and `NOT LOGGED INITIALLY`, which must be in the transaction that makes the table.
fn with_attributes(table: &str, create: String, attributes: &[StagingAttribute]) -> Vec<String> {
    let mut statements = vec![create];
    if attributes.contains(&StagingAttribute::NotLogged) {
        statements[0].push_str(" NOT LOGGED INITIALLY");
    }
    if attributes.contains(&StagingAttribute::AppendOn) {
        statements.push(format!("ALTER TABLE {table} APPEND ON"));
    }
    statements
}

/// The types of a table's columns: SYSCAT's, or Derby's own words for them.
pub(super) fn declared_types(
    session: &Session,
    table: &TableName,
) -> Result<Option<Vec<DeclaredType>>, SinkError> {
    if let Some(rows) = columns::syscat(session, table)?.filter(|rows| !rows.is_empty()) {
        return Ok(Some(rows.iter().filter_map(|row| of_syscat(row)).collect()));
    }
    let rows = columns::derby(session, table)?;
    Ok(rows.map(|rows| {
        rows.iter()
            .filter_map(|row| match row.as_slice() {
                [Some(name), Some(ty), ..] => Some((name.clone(), of_derby(ty))),
                _ => None,
            })
            .collect()
    }))
}

/// Derby writes the nullability behind the type.
fn of_derby(ty: &str) -> String {
    ty.trim_end().trim_end_matches(" NOT NULL").to_owned()
}

/// A row of SYSCAT.COLUMNS (name, type, length, scale, …, code page, unit, length in it) as
/// `CREATE TABLE` takes it.
fn of_syscat(row: &[Option<String>]) -> Option<DeclaredType> {
    let cell = |index: usize| row.get(index).and_then(Option::as_deref).unwrap_or("").trim_end();
    let (name, ty, length, scale) = (row.first()?.clone()?, cell(1), cell(2), cell(3));
    let bit_data = cell(7) == "0";
    let text = |ty: &str| match cell(8) {
        _ if bit_data => format!("{ty}({length}) FOR BIT DATA"),
        "" => format!("{ty}({length})"),
        // With CODEUNITS32 the length in bytes is four times the one that was declared.
        unit => format!("{ty}({} {unit})", if cell(9).is_empty() { length } else { cell(9) }),
    };
    let declared = match ty {
        "CHARACTER" => text("CHAR"),
        "VARCHAR" => text("VARCHAR"),
        "CLOB" => text("CLOB"),
        "GRAPHIC" | "VARGRAPHIC" | "DBCLOB" => match cell(8) {
            "" => format!("{ty}({length})"),
            unit => format!("{ty}({} {unit})", if cell(9).is_empty() { length } else { cell(9) }),
        },
        "BINARY" | "VARBINARY" | "BLOB" => format!("{ty}({length})"),
        "DECIMAL" => format!("DECIMAL({length},{scale})"),
        "DECFLOAT" if length == "8" => "DECFLOAT(16)".to_owned(),
        "DECFLOAT" => "DECFLOAT(34)".to_owned(),
        "TIMESTAMP" => format!("TIMESTAMP({scale})"),
        "DOUBLE" if length == "4" => "REAL".to_owned(),
        other => other.to_owned(),
    };
    Some((name, declared))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> StagingNames {
        StagingNames {
            target: "\"S\".\"T\"".to_owned(),
            staging: "\"S\".\"T_FASTLOAD_ab1\"".to_owned(),
            columns: ["\"ID\"", "\"V\""].map(str::to_owned).to_vec(),
            key: vec![0],
            own: ["\"FL_ID\"", "\"FL_RUN_ID\"", "\"FL_FILE\"", "\"FL_RECORD\""].map(str::to_owned),
            run_id: "ab1".to_owned(),
        }
    }

    fn staging() -> Db2Staging {
        Db2Staging { names: names(), create: vec!["c".to_owned()], schema: "\"S\".".to_owned() }
    }

    #[test]
    fn a_merge_sees_one_run_only() {
        let steps = staging().upsert(None);
        assert_eq!(
            steps[0].sql(),
            "MERGE INTO \"S\".\"T\" t USING \"S\".\"T_FASTLOAD_ab1\" s ON t.\"ID\" = s.\"ID\" AND \
             s.\"FL_RUN_ID\" = 'ab1' WHEN MATCHED AND s.\"FL_RUN_ID\" = 'ab1' THEN UPDATE SET \
             \"V\" = s.\"V\" WHEN NOT MATCHED AND s.\"FL_RUN_ID\" = 'ab1' THEN INSERT (\"ID\", \
             \"V\") VALUES (s.\"ID\", s.\"V\")"
        );
        assert_eq!(staging().index(), "\"S\".\"FL_AB1\"");
    }

    #[test]
    fn attributes_stand_in_the_first_transaction() {
        use StagingAttribute::{AppendOn, NotLogged};
        let with = |attributes: &[_]| with_attributes("\"T\"", "CREATE TABLE x".into(), attributes);
        assert_eq!(with(&[]), ["CREATE TABLE x"]);
        assert_eq!(
            with(&[AppendOn, NotLogged]),
            ["CREATE TABLE x NOT LOGGED INITIALLY", "ALTER TABLE \"T\" APPEND ON"]
        );
    }

    #[test]
    fn tasks_of_a_server() {
        use crate::sink::odbc::catalog::TableName;
        let table = |schema: Option<&str>| TableName {
            schema: schema.map(str::to_owned),
            table: "O'T".to_owned(),
        };
        let sql = |schema, task| Db2Tables.task_sql(&table(schema), '"', task);
        let named = |task| sql(Some("S"), task).unwrap();
        assert_eq!(named(TableTask::Lock), "LOCK TABLE \"S\".\"O'T\" IN EXCLUSIVE MODE");
        assert_eq!(
            named(TableTask::Statistics),
            "CALL SYSPROC.ADMIN_CMD('RUNSTATS ON TABLE \"S\".\"O''T\" WITH DISTRIBUTION AND \
             DETAILED INDEXES ALL')"
        );
        assert!(sql(None, TableTask::Statistics).is_err());
        assert_eq!(
            named(TableTask::Integrity),
            "SET INTEGRITY FOR \"S\".\"O'T\" IMMEDIATE CHECKED"
        );
        let spec = |attributes| StagingSpec {
            table: "t",
            staging: None,
            columns: &[],
            key: &[],
            run_id: "ab1",
            attributes,
        };
        assert_eq!(Db2Tables.first_sql(&names(), &spec(&[StagingAttribute::AppendOn])), None);
        assert_eq!(
            Db2Tables.first_sql(&names(), &spec(&[StagingAttribute::NotLogged])).as_deref(),
            Some("ALTER TABLE \"S\".\"T_FASTLOAD_ab1\" ACTIVATE NOT LOGGED INITIALLY")
        );
    }

    #[test]
    fn types_of_the_catalogue_are_written_back() {
        let row = |cells: [&str; 10]| {
            cells.map(|cell| (!cell.is_empty()).then(|| cell.to_owned())).to_vec()
        };
        for (cells, declared) in [
            (
                ["A", "VARCHAR", "40", "0", "Y", "N", "", "1208", "OCTETS", "40"],
                "VARCHAR(40 OCTETS)",
            ),
            (
                ["A", "VARCHAR", "160", "0", "Y", "N", "", "1208", "CODEUNITS32", "40"],
                "VARCHAR(40 CODEUNITS32)",
            ),
            (["A", "CHARACTER", "8", "0", "Y", "N", "", "0", "", ""], "CHAR(8) FOR BIT DATA"),
            (["A", "VARCHAR", "9", "0", "Y", "N", "", "819", "", ""], "VARCHAR(9)"),
            (["A", "DECIMAL", "31", "10", "Y", "N", "", "", "", ""], "DECIMAL(31,10)"),
            (["A", "DECFLOAT", "8", "0", "Y", "N", "", "", "", ""], "DECFLOAT(16)"),
            (["A", "TIMESTAMP", "13", "12", "Y", "N", "", "", "", ""], "TIMESTAMP(12)"),
            (["A", "DOUBLE", "4", "0", "Y", "N", "", "", "", ""], "REAL"),
            (["A", "BIGINT", "8", "0", "Y", "N", "", "", "", ""], "BIGINT"),
            (
                ["A", "VARGRAPHIC", "7", "0", "Y", "N", "", "1200", "CODEUNITS16", "7"],
                "VARGRAPHIC(7 CODEUNITS16)",
            ),
        ] {
            assert_eq!(of_syscat(&row(cells)), Some(("A".to_owned(), declared.to_owned())));
        }
        assert_eq!(of_derby("VARCHAR(40) NOT NULL"), "VARCHAR(40)");
    }
}
