//! A connection for statements of the load itself.

use std::sync::Arc;
use std::time::Duration;

use super::connect::{OdbcSpec, Session};
use super::execute::Plan;
use super::profile::profile;
use crate::sink::{SinkError, SqlSession, StatementStop};

/// Warnings of a successful statement that a value was changed on its way.
const CHANGED_VALUE: &[&str] = &["01004", "01S07"];

/// One connection, whose statements may run as long as they need: what concerns a whole table
/// takes the time of its rows, and `--query-timeout` is about batches.
pub(super) struct OdbcSession {
    session: Session,
    spec: OdbcSpec,
    /// What the server calls this connection, where it can be asked to end a statement.
    own_id: Option<String>,
}

impl OdbcSession {
    pub(super) fn open(plan: &Arc<Plan>) -> Result<Self, SinkError> {
        let spec = OdbcSpec { query_timeout: Duration::ZERO, ..plan.spec.clone() };
        let session = Session::open(&spec, profile(plan.facts.profile), plan.facts.width)?;
        let own_id = match session.profile.own_id_sql() {
            Some(sql) => session.scalar(sql)?,
            None => None,
        };
        session.commit()?;
        Ok(Self { session, spec, own_id })
    }
}

impl SqlSession for OdbcSession {
    fn execute(&mut self, sql: &str) -> Result<Option<u64>, SinkError> {
        let mut statement = self.session.statement()?;
        let outcome = statement.execute_direct(sql);
        let changed = outcome.diagnostics.iter().find(|diagnostic| {
            outcome.is_ok() && CHANGED_VALUE.contains(&diagnostic.sqlstate.as_str())
        });
        if let Some(diagnostic) = changed {
            return Err(SinkError {
                sqlstate: Some(diagnostic.sqlstate.clone()),
                native: Some(diagnostic.native),
                ..SinkError::permanent(format!("a value was changed: {}", diagnostic.message))
            });
        }
        let rows = statement.row_count();
        outcome.ok().map_err(|outcome| self.session.error(&outcome))?;
        Ok(u64::try_from(rows).ok())
    }

    fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, SinkError> {
        self.session.query(sql)
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        self.session.commit()
    }

    fn rollback(&mut self) -> Result<(), SinkError> {
        self.session.rollback()
    }

    fn statement_stop(&self) -> Option<Box<dyn StatementStop>> {
        let sql = self.session.profile.stop_sql(self.own_id.as_deref()?)?;
        let (spec, profile) = (self.spec.clone(), self.session.profile.name());
        let width = self.session.connection.width();
        Some(Box::new(Stop { spec, profile, width, sql }))
    }
}

/// Asks the server over another connection: nothing of the first one is touched by two threads.
struct Stop {
    spec: OdbcSpec,
    profile: super::ProfileName,
    width: crate::arena::IndicatorWidth,
    sql: String,
}

impl StatementStop for Stop {
    fn stop(&self) {
        let stopped = Session::open(&self.spec, profile(self.profile), self.width)
            .and_then(|session| session.query(&self.sql));
        if let Err(error) = stopped {
            tracing::debug!(%error, "the statement could not be ended");
        }
    }
}
