//! Calls of a driver that are waited for only so long.
//!
//! A driver that waits for an answer over a connection that has fallen silent cannot be told to
//! stop, and may wait for ever. So whoever must not wait with it makes the call on another thread,
//! and leaves that behind when the time is up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
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

/// Makes a call on a thread of its own, for at most `limit`.
///
/// # Errors
/// Those of the call, or of class `CannotConnect` that it did not come back.
pub(super) fn within<T: Send + 'static>(
    limit: Limit,
    doing: &str,
    call: impl FnOnce() -> Result<T, SinkError> + Send + 'static,
) -> Result<T, SinkError> {
    let Some(limit) = limit else { return call() };
    let (sender, receiver) = channel();
    let body = move || {
        // Nobody listens any more where the time was up.
        drop(sender.send(call()));
    };
    let spawned = thread::Builder::new().name("fastload-connect".to_owned()).spawn(body);
    let thread = spawned.map_err(|error| SinkError {
        class: ErrorClass::CannotConnect,
        ..SinkError::permanent(error.to_string())
    })?;
    let result = match receiver.recv_timeout(limit) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => {
            return Err(left_behind(doing, limit, ErrorClass::CannotConnect));
        }
        Err(RecvTimeoutError::Disconnected) => {
            Err(SinkError::permanent(format!("{doing} ended in a panic")))
        }
    };
    // Libraries below the driver tidy up when a thread ends: not while the process ends.
    drop(thread.join());
    result
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn what_comes_back_is_given_on() {
        assert_eq!(within(None, "a call", || Ok(7)).unwrap(), 7);
        let limit = Some(Duration::from_secs(60));
        assert_eq!(within(limit, "a call", || Ok(7)).unwrap(), 7);
        let refused = within(limit, "a call", || Err::<(), _>(SinkError::permanent("no")));
        assert_eq!(refused.unwrap_err().message, "no");
    }

    #[test]
    fn what_does_not_come_back_is_left_behind() {
        let before = threads_left_behind();
        let (release, never) = channel::<()>();
        let call = move || {
            let _ = never.recv();
            Ok(())
        };
        let error = within(Some(Duration::from_millis(20)), "a call", call).unwrap_err();
        assert_eq!(error.class, ErrorClass::CannotConnect);
        assert!(error.message.starts_with("a call took longer than 20ms"), "{}", error.message);
        assert!(threads_left_behind() > before);
        drop(release);
    }
}
