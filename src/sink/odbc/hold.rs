//! The lock of a job in a database: one that its session holds and that ends with it.

use crate::sink::{Holding, JobHold, SinkError, SqlSession};

/// The session that holds the lock.
struct SessionLock {
    _session: Box<dyn SqlSession>,
}

impl JobHold for SessionLock {}

/// Takes a lock by `sql`, the profile's query for it, without waiting; `None`: the database has no
/// such locks.
pub(super) fn hold_job(
    sql: Option<String>,
    open: impl FnOnce() -> Result<Box<dyn SqlSession>, SinkError>,
) -> Result<(Holding, Option<Box<dyn JobHold>>), SinkError> {
    let Some(sql) = sql else {
        return Ok((Holding::NotOffered, None));
    };
    let mut session = open()?;
    session.limit_statements();
    let answer = session.query(&sql)?.into_iter().flatten().next().flatten();
    // The lock is the session's; the transaction has nothing to do with it.
    session.commit()?;
    match answer.as_deref() {
        Some("1" | "t" | "true") => {
            Ok((Holding::Held, Some(Box::new(SessionLock { _session: session }))))
        }
        Some(_) => Ok((Holding::Taken, None)),
        None => Err(SinkError::permanent("the database did not say whether a lock was taken")),
    }
}
