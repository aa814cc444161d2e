//! What is particular about the staging tables of one kind of database.

use super::quoted;
use crate::sink::odbc::catalog::{CatalogColumn, TableName};
use crate::sink::odbc::connect::Session;
use crate::sink::odbc::staging::{DeclaredType, StagingForm};
use crate::sink::staging::{OWN_COLUMNS, StagingNames, StagingSpec, StagingSql, Standard};
use crate::sink::{SinkError, TableTask};

/// What the statements of a staging table follow from.
pub(in crate::sink::odbc) struct StagingFacts<'a> {
    /// A connection to ask.
    pub(in crate::sink::odbc) session: &'a Session,
    /// The target.
    pub(in crate::sink::odbc) target: &'a TableName,
    /// What is asked for.
    pub(in crate::sink::odbc) spec: &'a StagingSpec<'a>,
}

impl StagingFacts<'_> {
    /// Names of the key's columns.
    pub(in crate::sink::odbc) fn key_names(&self) -> Vec<&str> {
        self.spec.key.iter().map(|&at| self.spec.columns[at].name.as_str()).collect()
    }
}

/// One kind of database.
pub(in crate::sink::odbc) trait StagingProfile: Send + Sync {
    /// The statement that adds rows to a staging table; the first two columns are those of file
    /// and record.
    fn stage_sql(
        &self,
        table: &str,
        columns: &[CatalogColumn],
        run_id: &str,
        quote: char,
    ) -> String {
        let names: Vec<String> =
            columns.iter().map(|column| quoted(&column.column.name, quote)).collect();
        let marks = vec!["?"; columns.len()].join(", ");
        let run = quoted(OWN_COLUMNS[1], quote);
        format!("INSERT INTO {table} ({run}, {}) VALUES ('{run_id}', {marks})", names.join(", "))
    }

    /// How staging tables are declared.
    fn form(&self) -> StagingForm {
        StagingForm::STANDARD
    }

    /// Columns of a table with their types as the server itself has them; `None` where it cannot
    /// be asked.
    fn declared_types(
        &self,
        _session: &Session,
        _table: &TableName,
    ) -> Result<Option<Vec<DeclaredType>>, SinkError> {
        Ok(None)
    }

    /// Whether columns whose names differ in case only are the same.
    fn folds_columns(&self) -> bool {
        false
    }

    /// The statement that does something to a table as a whole.
    ///
    /// # Errors
    /// The database knows no such thing.
    fn task_sql(
        &self,
        table: &TableName,
        quote: char,
        task: TableTask,
    ) -> Result<String, SinkError> {
        match task {
            TableTask::Lock => Ok(format!("LOCK TABLE {} IN EXCLUSIVE MODE", table.sql(quote))),
            TableTask::Statistics | TableTask::Integrity => Err(SinkError::permanent(format!(
                "{}: no statement for it is known of this database; run one with --after",
                task.flag()
            ))),
        }
    }

    /// Statement at the start of the transaction that fills the table, where one is asked for.
    fn first_sql(&self, _names: &StagingNames, _spec: &StagingSpec<'_>) -> Option<String> {
        None
    }

    /// Statements about a staging table that `create` makes.
    fn sql(
        &self,
        facts: &StagingFacts<'_>,
        names: StagingNames,
        create: String,
    ) -> Result<Box<dyn StagingSql>, SinkError> {
        facts.spec.refuse_attributes("this database")?;
        Ok(Box::new(Standard { names, create }))
    }
}

/// Standard SQL.
pub(super) struct StandardStaging;

impl StagingProfile for StandardStaging {}
