//! The lock of a job in a database: one that its session holds and that ends with it.

use super::connect::Session;
use crate::sink::{Holding, JobHold, SinkError};

/// The session that holds the lock.
struct SessionLock {
    _session: Session,
}

impl JobHold for SessionLock {}

/// Takes the lock of `job` without waiting, where the database has such locks.
pub(super) fn hold_job(
    session: Session,
    job: &str,
) -> Result<(Holding, Option<Box<dyn JobHold>>), SinkError> {
    let Some(sql) = session.profile.hold_sql(job) else {
        return Ok((Holding::NotOffered, None));
    };
    let answer = session.scalar(&sql)?;
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
