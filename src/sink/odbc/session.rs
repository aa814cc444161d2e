//! A connection for statements of the load itself.

use std::sync::Arc;
use std::time::Duration;

use super::bounded::{Limit, connection_limit};
use super::connect::{OdbcSpec, Session};
use super::execute::Plan;
use super::profile::profile;
use super::session_thread::SessionThread;
use super::spare::Spare;
use crate::sink::{ErrorClass, SinkError, SqlSession, StatementStop};

/// Warnings of a successful statement that a value was changed on its way.
const CHANGED_VALUE: &[&str] = &["01004", "01S07"];

/// Rows of a query, as text.
type Rows = Vec<Vec<Option<String>>>;

/// One connection, whose statements may run as long as they need, unless a limit is set: what
/// concerns a whole table takes the time of its rows, and `--query-timeout` is about batches.
pub(super) struct OdbcSession {
    plan: Arc<Plan>,
    /// `None` only inside `drop`.
    connection: Option<SessionThread>,
    limit: Limit,
    /// What the server calls the connection, where it can be asked to end a statement.
    own_id: Option<String>,
    /// Where the connection goes when it is not needed any more; `None`: it is closed.
    spare: Option<Arc<Spare>>,
    /// Whether a transaction may be open.
    is_open: bool,
    /// Whether the connection failed, not only a statement.
    is_broken: bool,
}

impl OdbcSession {
    /// A connection of its own.
    pub(super) fn open(plan: &Arc<Plan>) -> Result<Self, SinkError> {
        let mut session = Self::over(plan, connect(plan)?, None);
        if let Some(sql) = profile(plan.facts.profile).own_id_sql() {
            session.limit = connection_limit(&plan.spec);
            session.own_id = session.query(sql)?.into_iter().flatten().next().flatten();
            session.commit()?;
            session.limit = None;
        }
        Ok(session)
    }

    /// A connection for a few statements, none of which may take long; it may be the one of
    /// `spare`, and goes there at the end.
    pub(super) fn errand(plan: &Arc<Plan>, spare: &Arc<Spare>) -> Result<Self, SinkError> {
        let connection = spare.take().map_or_else(|| connect(plan), Ok)?;
        let mut session = Self::over(plan, connection, Some(Arc::clone(spare)));
        session.limit_statements();
        Ok(session)
    }

    fn over(plan: &Arc<Plan>, connection: SessionThread, spare: Option<Arc<Spare>>) -> Self {
        Self {
            plan: Arc::clone(plan),
            connection: Some(connection),
            limit: None,
            own_id: None,
            spare,
            is_open: false,
            is_broken: false,
        }
    }

    fn call<T: Send + 'static>(
        &mut self,
        doing: &str,
        task: impl FnOnce(&Session) -> Result<T, SinkError> + Send + 'static,
    ) -> Result<T, SinkError> {
        let connection = self.connection.as_mut().expect("taken by drop only");
        let answer = connection.call(self.limit, doing, ErrorClass::ConnectionLost, task);
        self.is_broken |= answer.as_ref().is_err_and(|e| e.class == ErrorClass::ConnectionLost);
        answer
    }
}

/// A new connection on a thread of its own.
pub(super) fn connect(plan: &Arc<Plan>) -> Result<SessionThread, SinkError> {
    let of_thread = Arc::clone(plan);
    SessionThread::start(connection_limit(&plan.spec), move || {
        let Plan { spec, facts, .. } = &*of_thread;
        Session::open(&unlimited(spec), profile(facts.profile), facts.width)
    })
}

impl SqlSession for OdbcSession {
    fn execute(&mut self, sql: &str) -> Result<Option<u64>, SinkError> {
        self.is_open = true;
        let sql = sql.to_owned();
        self.call("a statement", move |session| execute(session, &sql))
    }

    fn query(&mut self, sql: &str) -> Result<Rows, SinkError> {
        self.is_open = true;
        let sql = sql.to_owned();
        self.call("a query", move |session| session.query(&sql))
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        self.call("the end of a transaction", Session::commit)?;
        self.is_open = false;
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), SinkError> {
        self.call("the end of a transaction", Session::rollback)?;
        self.is_open = false;
        Ok(())
    }

    fn limit_statements(&mut self) {
        self.limit = connection_limit(&self.plan.spec);
    }

    fn statement_stop(&self) -> Option<Box<dyn StatementStop>> {
        let of_database = profile(self.plan.facts.profile);
        let sql = of_database.stop_sql(self.own_id.as_deref()?)?;
        Some(Box::new(Stop { plan: Arc::clone(&self.plan), sql }))
    }
}

impl Drop for OdbcSession {
    /// What was not committed is undone; the connection is closed, or left for the next errand.
    fn drop(&mut self) {
        let Some(spare) = self.spare.take() else { return };
        let is_clean = !self.is_broken && (!self.is_open || self.rollback().is_ok());
        match self.connection.take() {
            Some(connection) if is_clean => spare.put(connection),
            // What broke this one may have broken another that was left meanwhile.
            _ => spare.close(),
        }
    }
}

/// Statements of a session may take any time.
pub(super) fn unlimited(spec: &OdbcSpec) -> OdbcSpec {
    OdbcSpec { query_timeout: Duration::ZERO, ..spec.clone() }
}

fn execute(session: &Session, sql: &str) -> Result<Option<u64>, SinkError> {
    let mut statement = session.statement()?;
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
    outcome.ok().map_err(|outcome| session.error(&outcome))?;
    Ok(u64::try_from(rows).ok())
}

/// Asks the server over another connection: nothing of the first one is touched by two threads.
struct Stop {
    plan: Arc<Plan>,
    sql: String,
}

impl StatementStop for Stop {
    fn stop(&self) {
        let Plan { spec, facts, .. } = &*self.plan;
        let stopped = Session::open(&unlimited(spec), profile(facts.profile), facts.width)
            .and_then(|session| session.query(&self.sql));
        if let Err(error) = stopped {
            tracing::debug!(%error, "the statement could not be ended");
        }
    }
}
