//! A connection for statements of the load itself.
//!
//! It lives on a thread of its own, so that whoever uses it need not wait for ever with the driver:
//! see `bounded.rs`.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::bounded::{Limit, connection_limit, left_behind};
use super::connect::{OdbcSpec, Session};
use super::execute::Plan;
use super::profile::profile;
use crate::sink::{ErrorClass, SinkError, SqlSession, StatementStop};

/// Warnings of a successful statement that a value was changed on its way.
const CHANGED_VALUE: &[&str] = &["01004", "01S07"];

/// Rows of a query, as text.
type Rows = Vec<Vec<Option<String>>>;

/// What is asked of the thread.
enum Request {
    Execute(String),
    Query(String),
    Commit,
    Rollback,
}

/// What it answers.
enum Reply {
    /// It is connected: what the server calls the connection, where it can be asked to end a
    /// statement.
    Opened(Result<Option<String>, SinkError>),
    Changed(Result<Option<u64>, SinkError>),
    Rows(Result<Rows, SinkError>),
    Ended(Result<(), SinkError>),
}

/// One connection, whose statements may run as long as they need, unless a limit is set: what
/// concerns a whole table takes the time of its rows, and `--query-timeout` is about batches.
pub(super) struct OdbcSession {
    plan: Arc<Plan>,
    /// `None` once it is closed.
    requests: Option<Sender<Request>>,
    replies: Receiver<Reply>,
    limit: Limit,
    /// Whether a call has not come back.
    is_lost: bool,
    own_id: Option<String>,
    thread: Option<JoinHandle<()>>,
}

impl OdbcSession {
    pub(super) fn open(plan: &Arc<Plan>) -> Result<Self, SinkError> {
        let (requests, asked) = channel();
        let (answer, replies) = channel();
        let of_thread = Arc::clone(plan);
        let thread = thread::Builder::new()
            .name("fastload-session".to_owned())
            .spawn(move || serve(&of_thread, &asked, &answer))
            .map_err(|error| SinkError::permanent(format!("starting a thread: {error}")))?;
        let mut session = Self {
            plan: Arc::clone(plan),
            requests: Some(requests),
            replies,
            limit: None,
            is_lost: false,
            own_id: None,
            thread: Some(thread),
        };
        let limit = connection_limit(&plan.spec);
        let opened = session.reply(limit, "a new connection", ErrorClass::CannotConnect)?;
        let Reply::Opened(own_id) = opened else { return Err(out_of_step()) };
        session.own_id = own_id?;
        Ok(session)
    }

    fn ask(&mut self, request: Request, doing: &str) -> Result<Reply, SinkError> {
        let requests = self.requests.as_ref().filter(|_| !self.is_lost);
        let sent = requests.is_some_and(|requests| requests.send(request).is_ok());
        if !sent {
            let lost = SinkError::permanent("the connection is lost");
            return Err(SinkError { class: ErrorClass::ConnectionLost, ..lost });
        }
        self.reply(self.limit, doing, ErrorClass::ConnectionLost)
    }

    /// Waits for the thread's answer, for at most `limit`.
    fn reply(&mut self, limit: Limit, doing: &str, class: ErrorClass) -> Result<Reply, SinkError> {
        let answer = match limit {
            Some(limit) => self.replies.recv_timeout(limit),
            None => self.replies.recv().map_err(RecvTimeoutError::from),
        };
        answer.map_err(|error| match (error, limit) {
            (RecvTimeoutError::Timeout, Some(limit)) => {
                self.is_lost = true;
                left_behind(doing, limit, class)
            }
            _ => SinkError::permanent(format!("{doing} ended in a panic")),
        })
    }
}

fn out_of_step() -> SinkError {
    SinkError::permanent("a connection's answers are out of step")
}

impl SqlSession for OdbcSession {
    fn execute(&mut self, sql: &str) -> Result<Option<u64>, SinkError> {
        match self.ask(Request::Execute(sql.to_owned()), "a statement")? {
            Reply::Changed(changed) => changed,
            _ => Err(out_of_step()),
        }
    }

    fn query(&mut self, sql: &str) -> Result<Rows, SinkError> {
        match self.ask(Request::Query(sql.to_owned()), "a query")? {
            Reply::Rows(rows) => rows,
            _ => Err(out_of_step()),
        }
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        match self.ask(Request::Commit, "the end of a transaction")? {
            Reply::Ended(ended) => ended,
            _ => Err(out_of_step()),
        }
    }

    fn rollback(&mut self) -> Result<(), SinkError> {
        match self.ask(Request::Rollback, "the end of a transaction")? {
            Reply::Ended(ended) => ended,
            _ => Err(out_of_step()),
        }
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
    /// Waits until the connection is closed: what its transaction held is free then. And for the
    /// end of its thread, at which libraries below the driver tidy up: the process must not do the
    /// same at that moment, because it ends.
    fn drop(&mut self) {
        drop(self.requests.take());
        if self.is_lost {
            return;
        }
        if let Some(limit) = connection_limit(&self.plan.spec) {
            if self.replies.recv_timeout(limit).err() == Some(RecvTimeoutError::Timeout) {
                let error = left_behind("closing a connection", limit, ErrorClass::ConnectionLost);
                tracing::warn!(%error, "a connection is left behind");
                return;
            }
        } else {
            // It sends nothing any more.
            let _ = self.replies.recv();
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Statements of a session may take any time.
fn unlimited(spec: &OdbcSpec) -> OdbcSpec {
    OdbcSpec { query_timeout: Duration::ZERO, ..spec.clone() }
}

/// The thread: connects, and does what it is asked until nobody asks any more.
fn serve(plan: &Plan, requests: &Receiver<Request>, answer: &Sender<Reply>) {
    let opened = open(plan);
    let own_id = opened.as_ref().map(|(_, own_id)| own_id.clone()).map_err(Clone::clone);
    if answer.send(Reply::Opened(own_id)).is_err() {
        return;
    }
    let Ok((session, _)) = opened else { return };
    for request in requests {
        let reply = match request {
            Request::Execute(sql) => Reply::Changed(execute(&session, &sql)),
            Request::Query(sql) => Reply::Rows(session.query(&sql)),
            Request::Commit => Reply::Ended(session.commit()),
            Request::Rollback => Reply::Ended(session.rollback()),
        };
        if answer.send(reply).is_err() {
            return;
        }
    }
}

fn open(plan: &Plan) -> Result<(Session, Option<String>), SinkError> {
    let spec = unlimited(&plan.spec);
    let session = Session::open(&spec, profile(plan.facts.profile), plan.facts.width)?;
    let own_id = match session.profile.own_id_sql() {
        Some(sql) => session.scalar(sql)?,
        None => None,
    };
    session.commit()?;
    Ok((session, own_id))
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
