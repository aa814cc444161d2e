//! Staging tables in MariaDB.

use super::super::{StagingFacts, StagingProfile};
use super::name_condition;
use crate::sink::odbc::catalog::TableName;
use crate::sink::odbc::connect::Session;
use crate::sink::odbc::staging::{DeclaredType, StagingForm};
use crate::sink::staging::{Changes, Keep, Part, Search, StagingNames, StagingSql, Step, standard};
use crate::sink::{SinkError, TableTask};

/// What is particular here.
pub(super) struct MariadbTables;

impl StagingProfile for MariadbTables {
    fn task_sql(
        &self,
        table: &TableName,
        quote: char,
        task: TableTask,
    ) -> Result<String, SinkError> {
        match task {
            TableTask::Lock => Err(SinkError::permanent(
                "--lock-table: LOCK TABLES of MariaDB ends the transaction in which rows are moved",
            )),
            TableTask::Statistics => Ok(format!("ANALYZE TABLE {}", table.sql(quote))),
            TableTask::Integrity => {
                Err(SinkError::permanent("--set-integrity: MariaDB checks constraints as it goes"))
            }
        }
    }

    fn form(&self) -> StagingForm {
        FORM
    }

    fn declared_types(
        &self,
        session: &Session,
        table: &TableName,
    ) -> Result<Option<Vec<DeclaredType>>, SinkError> {
        declared_types(session, table).map(Some)
    }

    fn folds_columns(&self) -> bool {
        true
    }

    fn sql(
        &self,
        facts: &StagingFacts<'_>,
        names: StagingNames,
        create: String,
    ) -> Result<Box<dyn StagingSql>, SinkError> {
        facts.spec.refuse_attributes("MariaDB")?;
        Ok(Box::new(MariadbStaging::new(facts, names, create)?))
    }
}

/// How staging tables are declared.
pub(super) const FORM: StagingForm = StagingForm {
    identity: "BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY",
    run_id: "VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin",
    // A TIMESTAMP without a word is NOT NULL on some servers.
    null: " NULL",
    end: " ENGINE=InnoDB",
};

/// A join that the optimizer does not turn round.
const FROM_LEFT_TO_RIGHT: &str = "STRAIGHT_JOIN";

/// MariaDB's statements.
#[derive(Debug)]
pub(super) struct MariadbStaging {
    names: StagingNames,
    create: String,
    /// Whether the key's index is the only unique one of the target: `ON DUPLICATE KEY` acts on
    /// any of them.
    is_only_index: bool,
    /// Whether an index of the target begins with a column of the key.
    has_index: bool,
}

impl MariadbStaging {
    pub(super) fn new(
        facts: &StagingFacts<'_>,
        names: StagingNames,
        create: String,
    ) -> Result<Self, SinkError> {
        let is_only_index = !facts.spec.key.is_empty()
            && is_only_index(facts.session, facts.target, &facts.key_names())?;
        let has_index = facts.spec.key.is_empty()
            || has_index(facts.session, facts.target, &facts.key_names())?;
        Ok(Self { names, create, is_only_index, has_index })
    }

    /// The join of target and staging table, the target first where it must be read as a whole.
    const fn join(&self) -> &'static str {
        if self.has_index { "JOIN" } else { FROM_LEFT_TO_RIGHT }
    }

    fn index(&self) -> String {
        format!("`FL_{}`", self.names.run_id)
    }

    /// Reads what is there now, not what was there when the transaction began.
    fn current(step: Step) -> Step {
        match step {
            Step::Count { sql } => Step::Count { sql: format!("{sql} LOCK IN SHARE MODE") },
            run @ Step::Run { .. } => run,
        }
    }
}

impl StagingSql for MariadbStaging {
    fn names(&self) -> &StagingNames {
        &self.names
    }

    fn create(&self) -> Vec<String> {
        vec![self.create.clone()]
    }

    fn move_index(&self) -> Option<(String, String)> {
        let (index, names) = (self.index(), &self.names);
        (!self.has_index).then(|| {
            let key = names.key_list("");
            let create =
                format!("CREATE INDEX {index} ON {} ({}, {key})", names.staging, names.own[1]);
            (create, format!("DROP INDEX {index} ON {}", names.staging))
        })
    }

    fn search(&self) -> Search {
        match self.has_index {
            true => Search::Target,
            false => Search::Staged { join: FROM_LEFT_TO_RIGHT },
        }
    }

    fn delete_losers(&self, keep: Keep) -> String {
        format!(
            "DELETE s FROM {staging} s JOIN ({ranked}) d ON d.fl_at = s.{id} WHERE d.fl_rank > 1",
            staging = self.names.staging,
            ranked = standard::ranked(&self.names, keep),
            id = self.names.own[0]
        )
    }

    fn upsert(&self, part: Option<Part>) -> Vec<Step> {
        let names = &self.names;
        let sets: Vec<String> =
            names.values().map(|name| format!("{name} = VALUES({name})")).collect();
        let mut steps = if self.is_only_index && !sets.is_empty() {
            let insert = standard::append(names, "INSERT INTO", part);
            let sql = format!("{insert} ON DUPLICATE KEY UPDATE {}", sets.join(", "));
            // A row that changes counts twice, any other once.
            let there = Step::Count { sql: standard::there(names, part, self.search()) };
            vec![Step::run(sql, Changes::Any), there]
        } else {
            let update = format!(
                "UPDATE {} t {} {} s ON {} SET {} WHERE {}",
                names.target,
                self.join(),
                names.staging,
                names.same_key("t", "s"),
                names.assignments("t", "s"),
                names.ours("s", part)
            );
            let update = (!sets.is_empty()).then_some(update);
            standard::update_then_insert(names, update, part, self.search())
        };
        steps = steps.into_iter().map(Self::current).collect();
        steps
    }

    fn delete(&self, part: Option<Part>) -> Vec<Step> {
        let names = &self.names;
        // An alias after DELETE FROM is newer than the oldest servers in use.
        let sql = format!(
            "DELETE t FROM {} t {} {} s ON {} WHERE {}",
            names.target,
            self.join(),
            names.staging,
            names.same_key("t", "s"),
            names.ours("s", part)
        );
        let gone = Step::Count { sql: standard::gone(names, part, self.search()) };
        vec![Step::run(sql, Changes::Any), Self::current(gone)]
    }
}

/// The types of a table's columns, with their character sets.
pub(super) fn declared_types(
    session: &Session,
    table: &TableName,
) -> Result<Vec<DeclaredType>, SinkError> {
    let sql = format!(
        "SELECT column_name, CONCAT(column_type, \
         COALESCE(CONCAT(' CHARACTER SET ', character_set_name, ' COLLATE ', collation_name), '')) \
         FROM information_schema.columns WHERE {} ORDER BY ordinal_position",
        name_condition(table)
    );
    let typed = session.query(&sql)?.into_iter().filter_map(|row| match row.as_slice() {
        [Some(name), Some(ty)] => Some((name.clone(), ty.clone())),
        _ => None,
    });
    Ok(typed.collect())
}

/// Whether the table has one unique index, on exactly these columns.
fn is_only_index(session: &Session, table: &TableName, key: &[&str]) -> Result<bool, SinkError> {
    let sql = format!(
        "SELECT index_name, column_name, sub_part FROM information_schema.statistics \
         WHERE non_unique = 0 AND {} ORDER BY index_name, seq_in_index",
        name_condition(table)
    );
    let rows = session.query(&sql)?;
    let is_one = rows.windows(2).all(|pair| pair[0].first() == pair[1].first());
    let is_key = rows.iter().all(|row| match row.as_slice() {
        [_, Some(column), None] => key.iter().any(|name| name.eq_ignore_ascii_case(column)),
        _ => false,
    });
    Ok(is_one && is_key && rows.len() == key.len())
}

/// Whether an index that can be searched begins with a column of the key.
fn has_index(session: &Session, table: &TableName, key: &[&str]) -> Result<bool, SinkError> {
    let sql = format!(
        "SELECT column_name FROM information_schema.statistics \
         WHERE seq_in_index = 1 AND index_type = 'BTREE' AND {}",
        name_condition(table)
    );
    let mut first = session.query(&sql)?.into_iter().flatten().flatten();
    Ok(first.any(|column| key.iter().any(|name| name.eq_ignore_ascii_case(&column))))
}
