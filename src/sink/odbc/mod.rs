//! Databases behind ODBC.
//!
//! [`OdbcTarget`] asks a driver what it does (`probe`), loads through arrays that are the arenas
//! themselves (`parameter`, `raw`, `execute`), believes no answer that contradicts itself
//! (`judge`), finds bad rows under savepoints (`isolate`), and keeps what is particular to a
//! database in its `profile`.

mod bounded;
mod catalog;
mod clue;
mod connect;
mod connection_text;
#[cfg(feature = "postgresql-copy")]
mod copy;
mod driver;
mod encryption;
pub mod environment;
mod execute;
mod hold;
pub mod installed;
mod isolate;
mod judge;
mod parameter;
mod probe;
mod profile;
mod raw;
mod session;
mod session_thread;
mod spare;
mod staging;
mod stamp;
mod statuses;
mod watchdog;
mod waves;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use bounded::threads_left_behind;
pub use connect::OdbcSpec;
pub use connection_text::ConnectionText;
pub use profile::ProfileName;

use bounded::connection_limit;
use catalog::{TableName, check_name};
use connect::{Connection, Session};
use driver::Driver;
use execute::{OdbcSink, Plan, Shipment};
use probe::{Facts, probe, profile_of};
use profile::{Counted, KeyFacts, Profile, RowSql, profile, quoted};
use session::{OdbcSession, connect, unlimited};
use session_thread::SessionThread;
use spare::Spare;
use watchdog::Watchdog;

use crate::arena::KeyNumbers;
use crate::config::schema::{Column, SqlType};
use crate::sink::staging::{StagingSpec, StagingTable};
use crate::sink::{
    ErrorClass, Holding, JobHold, Layout, LedgerForm, Routing, RowAction, Sink, SinkError,
    SqlSession, TableTask, Target, TargetInfo,
};

/// A database behind an ODBC driver.
///
/// It keeps no connection for long: what is asked before the first row goes over one, and what is
/// asked after the last, but a load of hours does not depend on one that was idle meanwhile.
/// Writers have their own.
#[derive(Debug, Clone)]
pub struct OdbcTarget {
    plan: Arc<Plan>,
    spare: Arc<Spare>,
    told: Arc<Mutex<Option<Told>>>,
    url: String,
    /// How writers connect where they do not by way of the driver.
    #[cfg(feature = "postgresql-copy")]
    copy: Option<Arc<copy::Way>>,
}

/// What the writers of a load were told, and for which rows.
#[derive(Debug)]
struct Told {
    table: String,
    columns: Vec<Column>,
    action: RowAction,
    shipment: Arc<Shipment>,
}

impl Told {
    fn is_of(&self, table: &str, columns: &[Column], action: &RowAction) -> bool {
        self.table == table && self.columns == columns && self.action == *action
    }
}

impl OdbcTarget {
    /// Connects, finds the profile, and asks the driver what it really does.
    ///
    /// # Errors
    /// [`ErrorClass::CannotConnect`],
    /// [`ErrorClass::LoginRefused`], or
    /// [`ErrorClass::Permanent`] when the connection string is
    /// malformed or the driver cannot be used safely. No message holds a secret.
    pub fn connect(spec: OdbcSpec) -> Result<Self, SinkError> {
        let keywords = spec.keywords(None)?;
        let limit = connection_limit(&spec);
        let of_thread = unlimited(&spec);
        // Two connections, where the database is not what the driver's name says.
        let opening = limit.map(|limit| limit * 2);
        let mut first = SessionThread::start(opening, move || open_first(&of_thread))?;
        let mut facts = first.call(limit, "asking the driver", ErrorClass::CannotConnect, probe)?;
        let profile = profile(facts.profile);
        let completed = spec.keywords(Some(profile))?;
        let of_connection = profile.connection_facts(&completed).into_iter();
        facts.shown.extend(of_connection.map(|(name, value)| (name.to_owned(), value)));
        let mut settings = profile.session_sql(spec.query_timeout);
        if !spec.session_sql.is_empty() {
            // Some statements of that kind hold a password.
            settings.push(format!("{} of --session-sql", spec.session_sql.len()));
        }
        let settings = if settings.is_empty() { "none".to_owned() } else { settings.join("; ") };
        facts.shown.push(("session settings".to_owned(), settings));
        let watchdog = Watchdog::new(spec.query_timeout, spec.connect_timeout);
        let spare = Arc::new(Spare::default());
        spare.put(first);
        Ok(Self {
            spare,
            told: Arc::default(),
            url: keywords.url(),
            plan: Arc::new(Plan { spec, facts, watchdog }),
            #[cfg(feature = "postgresql-copy")]
            copy: None,
        })
    }

    fn facts(&self) -> &Facts {
        &self.plan.facts
    }

    fn profile(&self) -> &'static dyn Profile {
        profile(self.facts().profile)
    }

    fn session(&self) -> Result<Session, SinkError> {
        self.plan.session()
    }

    /// Asks something that takes the server a moment, for so long at most: over the spare
    /// connection, or a new one, which is the spare one then.
    fn ask<T: Send + 'static>(
        &self,
        doing: &str,
        question: impl FnOnce(&Self, &Session) -> Result<T, SinkError> + Send + 'static,
    ) -> Result<T, SinkError> {
        let mut connection = self.spare.take().map_or_else(|| connect(&self.plan), Ok)?;
        let (target, limit) = (self.clone(), connection_limit(&self.plan.spec));
        let answer = connection.call(limit, doing, ErrorClass::CannotConnect, move |session| {
            let answer = question(&target, session)?;
            session.rollback()?;
            Ok(answer)
        })?;
        self.spare.put(connection);
        Ok(answer)
    }

    fn table(&self, name: &str) -> Result<TableName, SinkError> {
        TableName::parse(name, self.facts().quote, self.profile())
    }

    fn sql_name(&self, name: &str) -> Result<String, SinkError> {
        Ok(self.table(name)?.sql(self.facts().quote))
    }

    /// What a load sends: the catalog's columns, the statement, and what the key asks for. Columns
    /// of a table that is yet to be made are taken as they will be where it is only `planned`.
    fn shipment(
        &self,
        session: &Session,
        table: &str,
        columns: &[Column],
        action: &RowAction,
        planned: bool,
    ) -> Result<(Shipment, Option<String>), SinkError> {
        let name = self.table(table)?;
        let found = self.profile().columns(session, &name, self.facts().quote)?;
        let selected = match found {
            Some(found) => {
                self.profile().check_table(session, &name)?;
                catalog::select(&found, columns, table)?
            }
            None if planned => columns.iter().map(|c| self.profile().planned(c)).collect(),
            None => return Err(SinkError::permanent(format!("there is no table {table}"))),
        };
        let quote = self.facts().quote;
        let table = match action {
            RowAction::Stage { table, .. } => self.sql_name(table)?,
            _ => name.sql(quote),
        };
        let sql = match action {
            RowAction::Stage { run_id, .. } => {
                let mut columns = stamp::columns().to_vec();
                columns.extend(selected.iter().cloned());
                let text = self.profile().staging().stage_sql(&table, &columns, run_id, quote);
                RowSql::new(text, columns.len(), Counted::Each)
            }
            _ => self.profile().row_sql(action, &table, &selected, quote)?,
        };
        let facts = match action.key() {
            [] => KeyFacts::FREE,
            _ => self.profile().key_facts(session, &name, &selected, action)?,
        };
        let keys = KeyNumbers::new(columns, action.key());
        let (is_stamped, first_sql) = match action {
            RowAction::Stage { first_sql, .. } => (true, first_sql.clone()),
            _ => (false, None),
        };
        let KeyFacts { order, one_writer, remembers } = facts;
        let columns = selected;
        let shipment =
            Shipment { table, columns, sql, order, remembers, keys, is_stamped, first_sql };
        Ok((shipment, one_writer))
    }

    /// What every writer of a load sends. The first one asks, over a connection that is closed
    /// then.
    fn told(
        &self,
        table: &str,
        columns: &[Column],
        action: &RowAction,
    ) -> Result<Arc<Shipment>, SinkError> {
        let mut last = self.told_last();
        if let Some(told) = last.as_ref().filter(|told| told.is_of(table, columns, action)) {
            return Ok(Arc::clone(&told.shipment));
        }
        let (table, columns, action) = (table.to_owned(), columns.to_vec(), action.clone());
        let told = self.ask("asking about a table", move |target, session| {
            let (shipment, _) = target.shipment(session, &table, &columns, &action, false)?;
            Ok(Told { table, columns, action, shipment: Arc::new(shipment) })
        })?;
        self.spare.close();
        Ok(Arc::clone(&last.insert(told).shipment))
    }

    fn told_last(&self) -> MutexGuard<'_, Option<Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_transaction(&self, sql: &str) -> Result<(), SinkError> {
        let session = self.session()?;
        session.run(sql)?;
        session.commit()
    }

    fn create_sql(&self, table: &str, columns: &[Column]) -> String {
        let quote = self.facts().quote;
        let types = self.profile().type_names(columns, quote, self.facts().lengths);
        let lines: Vec<String> = columns
            .iter()
            .zip(types)
            .map(|(column, ty)| {
                let null = if column.nullable { "" } else { " NOT NULL" };
                // The constraint follows the type's own check, which both databases accept.
                format!("  {} {ty}{null}", quoted(&column.name, quote))
            })
            .collect();
        format!("CREATE TABLE {table} (\n{}\n)", lines.join(",\n"))
    }

    fn check_creation(&self, table: &str, columns: &[Column]) -> Result<(), SinkError> {
        let bounds = self.profile().bounds();
        check_column_count(table, columns.len(), bounds.columns)?;
        for column in columns {
            check_name(&column.name, &bounds)?;
            if let SqlType::Timestamp { precision } = column.ty
                && precision > bounds.timestamp_digits
            {
                return Err(SinkError::permanent(format!(
                    "column {:?} is TIMESTAMP({precision}), and the database keeps {} digits of a \
                     second; give another type with --schema",
                    column.name, bounds.timestamp_digits
                )));
            }
        }
        Ok(())
    }
}

/// The first connection, with the keywords and settings of its database's profile. Which that is
/// the driver's name tells, and the database confirms.
fn open_first(spec: &OdbcSpec) -> Result<Session, SinkError> {
    let keywords = spec.keywords(None)?;
    let guess = spec.profile.or_else(|| Driver::of(&keywords).usual_profile());
    let width = crate::arena::IndicatorWidth::Wide;
    let open = |name| {
        check_environment(name)?;
        Session::connect(spec, profile(name), width)
    };
    let found = match guess {
        Some(name) => {
            let session = open(name)?;
            let found = profile_of(&session.connection, spec.profile);
            if found.name() == name {
                session.settle(spec)?;
                return Ok(session);
            }
            found
        }
        None => profile_of(&Connection::open(&keywords, spec.connect_timeout)?, None),
    };
    let session = open(found.name())?;
    session.settle(spec)?;
    Ok(session)
}

fn check_environment(profile: ProfileName) -> Result<(), SinkError> {
    let Some(missing) = environment::missing().filter(|_| profile == ProfileName::Db2) else {
        return Ok(());
    };
    Err(SinkError::permanent(format!(
        "IBM's Db2 driver needs {missing} in the environment before it is loaded; without them it \
         stores wrong text or hides a lost transaction (a program that uses this library calls \
         sink::odbc::environment::prepare first)"
    )))
}

fn check_column_count(table: &str, count: usize, most: Option<usize>) -> Result<(), SinkError> {
    // Parameters are numbered in 16 bits.
    let most = most.unwrap_or(usize::from(u16::MAX));
    if count > most {
        return Err(SinkError::permanent(format!(
            "table {table}: {count} columns, and the database takes {most}; leave some out with \
             --columns"
        )));
    }
    if count == 0 {
        return Err(SinkError::permanent(format!("table {table}: no column is loaded")));
    }
    Ok(())
}

impl Target for OdbcTarget {
    fn stuck_calls(&self) -> Vec<SinkError> {
        self.plan.watchdog.stuck()
    }

    fn info(&self) -> TargetInfo {
        TargetInfo {
            url: self.url.clone(),
            profile: self.facts().profile.to_string(),
            facts: self.facts().shown.clone(),
        }
    }

    fn columns(&self, table: &str) -> Result<Option<Vec<Column>>, SinkError> {
        let name = self.table(table)?;
        self.ask("asking for the columns of a table", move |target, session| {
            let found = target.profile().columns(session, &name, target.facts().quote)?;
            Ok(found.map(|columns| columns.into_iter().map(|column| column.column).collect()))
        })
    }

    fn has_tables(&self) -> bool {
        true
    }

    fn create_table_sql(&self, table: &str, columns: &[Column]) -> String {
        // A name that cannot be is shown as it came; `create_table` refuses it.
        let name = self.sql_name(table).unwrap_or_else(|_| table.to_owned());
        self.create_sql(&name, columns)
    }

    fn remarks(&self, columns: &[Column]) -> Vec<String> {
        self.profile().remarks(columns, self.facts().lengths)
    }

    fn created_name(&self, name: &str) -> String {
        self.profile().folded(name)
    }

    fn create_table(&self, table: &str, columns: &[Column]) -> Result<(), SinkError> {
        let name = self.sql_name(table)?;
        self.check_creation(table, columns)?;
        self.in_transaction(&self.create_sql(&name, columns))
    }

    fn truncate(&self, table: &str) -> Result<(), SinkError> {
        let name = self.sql_name(table)?;
        let mut refused = None;
        for sql in self.profile().emptying_sql(&name) {
            match self.in_transaction(&sql) {
                Err(error) if error.class == ErrorClass::Permanent => refused = Some(error),
                done => return done,
            }
        }
        // The last form is the plain one, so its words say what is wrong.
        Err(refused.unwrap_or_else(|| SinkError::permanent("nothing empties this table")))
    }

    fn run_sql(&self, sql: &str) -> Result<(), SinkError> {
        self.in_transaction(sql)
    }

    fn layout(
        &self,
        table: &str,
        columns: &[Column],
        action: &RowAction,
    ) -> Result<Layout, SinkError> {
        #[cfg(feature = "postgresql-copy")]
        if self.copy.is_some() {
            return self.copy_layout(table, columns, action);
        }
        let profile = self.profile();
        let bounds = profile.bounds();
        check_column_count(table, columns.len(), bounds.columns)?;
        let (table, columns, asked) = (table.to_owned(), columns.to_vec(), action.clone());
        // Another load, whose table may not be what it was for the last.
        *self.told_last() = None;
        let (shipment, one_writer) = self.ask("asking about a table", move |target, session| {
            target.shipment(session, &table, &columns, &asked, true)
        })?;
        let routing = match (action.key(), one_writer) {
            ([], _) => Routing::Any,
            (key, None) => Routing::ByKey { key: key.to_vec() },
            (_, Some(why)) => Routing::InOrder { why },
        };
        Ok(Layout {
            cells: shipment.columns.iter().map(|column| profile.cell(column)).collect(),
            indicators: self.facts().width,
            writers_max: usize::MAX,
            batch_rows: bounds.batch_rows.min(self.facts().array_rows),
            batch_rows_max: self.facts().array_rows,
            // What is not logged is lost with the first error: nothing is sent again.
            replays: !matches!(action, RowAction::Stage { first_sql: Some(_), .. }),
            nul_in_text: bounds.nul_in_text,
            statement: shipment.sql.text,
            routing,
        })
    }

    fn open(
        &self,
        table: &str,
        columns: &[Column],
        action: &RowAction,
    ) -> Result<Box<dyn Sink>, SinkError> {
        #[cfg(feature = "postgresql-copy")]
        if let Some(way) = &self.copy {
            return self.copy_open(way, table, columns, action);
        }
        let told = || self.told(table, columns, action);
        Ok(Box::new(OdbcSink::open(Arc::clone(&self.plan), told)?))
    }

    fn session(&self) -> Result<Box<dyn SqlSession>, SinkError> {
        Ok(Box::new(OdbcSession::open(&self.plan)?))
    }

    fn errand(&self) -> Result<Box<dyn SqlSession>, SinkError> {
        Ok(Box::new(OdbcSession::errand(&self.plan, &self.spare)?))
    }

    fn close_idle(&self) {
        self.spare.close();
    }

    fn task_sql(&self, table: &str, task: TableTask) -> Result<Option<String>, SinkError> {
        let (name, quote) = (self.table(table)?, self.facts().quote);
        self.profile().staging().task_sql(&name, quote, task).map(Some)
    }

    fn staging(&self, spec: &StagingSpec<'_>) -> Result<StagingTable, SinkError> {
        self.staging_table(spec)
    }

    fn ledger(&self) -> Option<LedgerForm> {
        Some(self.profile().ledger())
    }

    fn hold_job(&self, job: &str) -> Result<(Holding, Option<Box<dyn JobHold>>), SinkError> {
        hold::hold_job(self.profile().hold_sql(job), || Target::session(self))
    }

    fn table_sql(&self, table: &str) -> Result<String, SinkError> {
        self.sql_name(table)
    }
}
