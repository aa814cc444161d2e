//! Calls of a driver that are waited for only so long.
//!
//! A driver that waits for an answer over a connection that has fallen silent cannot be told to
//! stop, and may wait for ever. So whoever must not wait with it makes the call on another thread
//! (`session_thread.rs`), and leaves that behind when the time is up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::connect::OdbcSpec;
use crate::sink::{ErrorClass, SinkError};

/// Calls that may take as long as they like have no limit.
pub(super) type Limit = Option<Duration>;

/// Threads that are blocked in a driver and were given up, of this process so far.
static LEFT_BEHIND: AtomicUsize = AtomicUsize::new(0);

/// How many threads of this process are, or were, blocked in a driver in calls that were given up.
/// A program that ends now should not run the exit handlers of its libraries, which may wait for
/// them.
#[must_use]
pub fn threads_left_behind() -> usize {
    LEFT_BEHIND.load(Ordering::Relaxed)
}

/// Counts a thread that is given up; the error of its call.
pub(super) fn left_behind(doing: &str, limit: Duration, class: ErrorClass) -> SinkError {
    LEFT_BEHIND.fetch_add(1, Ordering::Relaxed);
    let message = format!(
        "{doing} took longer than {}; the driver's call has not come back and is left behind",
        humantime::format_duration(limit)
    );
    SinkError { class, ..SinkError::permanent(message) }
}

/// How long a connection may take to be made, its settings included; no limit where statements
/// have none.
pub(super) fn connection_limit(spec: &OdbcSpec) -> Limit {
    let is_bounded = !spec.query_timeout.is_zero();
    // Drivers try twice, or more than one address; and then come the session's statements.
    is_bounded.then(|| spec.connect_timeout * 2 + spec.query_timeout)
}
