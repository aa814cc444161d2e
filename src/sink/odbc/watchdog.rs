//! Watches the calls of all writers of a target: a statement that runs longer than
//! `--query-timeout` is cancelled from here, where neither server nor driver kept the time, and a
//! call that does not come back even then is reported as stuck.
//!
//! One thread for a target, which looks at the clock a few times a second. A call costs two short
//! locks that nobody else wants. What a thread that is blocked in a driver holds is lost with it:
//! it cannot be ended, only left behind, which the engine does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::sink::{ErrorClass, SinkError};

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// How much longer than the limit a statement may take before it is cancelled: the server's or the
/// driver's own limit comes first, and its answer says more.
const MARGIN: Duration = Duration::from_secs(1);

/// How long a call may go on after it was cancelled, at least and at most.
const GRACE: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(30)];

/// Gives up what a statement does, from another thread than its own.
pub(super) trait Cancel: Send + Sync {
    /// Whether the driver took the request; the statement ends, if at all, by itself.
    fn cancel(&self) -> bool;
}

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// A statement runs.
    Statement,
    /// A transaction ends; there is nothing that could be cancelled.
    EndOfTransaction,
    /// A connection is made.
    Connect,
}

/// One thread over all connections of a target.
pub(super) struct Watchdog {
    /// `None`: statements may take any time, and nothing is watched.
    limits: Option<Limits>,
    watches: Arc<Mutex<Vec<Weak<Watch>>>>,
    /// Dropped with this: the thread ends.
    thread: Mutex<Option<Sender<()>>>,
}

/// How long calls may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    query: Duration,
    connect: Duration,
    /// How long a call may go on after that.
    grace: Duration,
}

/// The calls of one connection, one at a time.
#[derive(Default)]
pub(super) struct Watch {
    limits: Option<Limits>,
    calls: AtomicU64,
    call: Mutex<Option<Call>>,
    /// Held while a cancellation is under way: the statement's next call waits for its end.
    cancelling: Mutex<()>,
}

#[derive(Clone)]
struct Call {
    /// Tells it from the connection's other calls.
    number: u64,
    doing: Doing,
    since: Instant,
    canceller: Option<Arc<dyn Cancel>>,
    /// When it was cancelled, or its time was up and there was nothing to cancel.
    expired: Option<Instant>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is one step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Limits {
    fn of(&self, doing: Doing) -> Duration {
        match doing {
            Doing::Statement | Doing::EndOfTransaction => self.query,
            // Drivers try twice, or more than one address; and then come the session's statements.
            Doing::Connect => self.connect * 2 + self.query,
        }
    }
}

impl Watchdog {
    /// For statements of at most `query`, zero being without bound, and connections that are made
    /// in `connect`.
    pub(super) fn new(query: Duration, connect: Duration) -> Self {
        let grace = (query / 2).clamp(GRACE[0], GRACE[1]);
        let limits = Limits { query: query + MARGIN, connect, grace };
        Self::with_limits((!query.is_zero()).then_some(limits))
    }

    fn with_limits(limits: Option<Limits>) -> Self {
        Self { limits, watches: Arc::default(), thread: Mutex::new(None) }
    }

    /// A watch for one connection. The first one starts the thread; without a thread nothing is
    /// watched, and the log says so.
    pub(super) fn watch(&self) -> Arc<Watch> {
        if self.limits.is_none() {
            return Arc::default();
        }
        let watch = Arc::new(Watch { limits: self.limits, ..Watch::default() });
        let mut watches = lock(&self.watches);
        watches.retain(|watch| watch.strong_count() > 0);
        watches.push(Arc::downgrade(&watch));
        drop(watches);
        let mut running = lock(&self.thread);
        if running.is_none() {
            let (sender, receiver) = channel();
            let watches = Arc::clone(&self.watches);
            let spawned = thread::Builder::new()
                .name("fastload-watchdog".to_owned())
                .spawn(move || patrol(&receiver, &watches));
            match spawned {
                Ok(_detached) => *running = Some(sender),
                Err(error) => tracing::warn!(%error, "no thread to keep --query-timeout"),
            }
        }
        watch
    }

    /// Calls that were given up and still have not come back.
    pub(super) fn stuck(&self) -> Vec<SinkError> {
        let watches = lock(&self.watches);
        watches.iter().filter_map(Weak::upgrade).filter_map(|watch| watch.stuck()).collect()
    }
}

/// Looks at all watches until the watchdog is dropped.
fn patrol(ended: &Receiver<()>, watches: &Mutex<Vec<Weak<Watch>>>) {
    while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        let living: Vec<_> = lock(watches).iter().filter_map(Weak::upgrade).collect();
        for watch in living {
            watch.look();
        }
    }
}

impl Watch {
    /// Makes a call; says whether it was cancelled from here.
    pub(super) fn during<T>(
        &self,
        doing: Doing,
        canceller: Option<Arc<dyn Cancel>>,
        call: impl FnOnce() -> T,
    ) -> (T, bool) {
        if self.limits.is_none() {
            return (call(), false);
        }
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let begun = Call { number, doing, since: Instant::now(), canceller, expired: None };
        let before = lock(&self.call).replace(begun);
        debug_assert!(before.is_none(), "one call of a connection at a time");
        let result = call();
        (result, self.end())
    }

    fn end(&self) -> bool {
        let expired = lock(&self.call).as_ref().is_some_and(|call| call.expired.is_some());
        // A cancellation that is under way would hit the next call. While it is waited for, the
        // call counts as running, and as stuck if that takes long.
        let cancelling = expired.then(|| lock(&self.cancelling));
        let ended = lock(&self.call).take();
        drop(cancelling);
        ended.is_some_and(|call| call.expired.is_some() && call.canceller.is_some())
    }

    /// Cancels the call if its time is up.
    fn look(self: &Arc<Self>) {
        let Some(limits) = self.limits else { return };
        let mut running = lock(&self.call);
        let Some(call) = running.as_mut() else { return };
        if call.expired.is_some() || call.since.elapsed() < limits.of(call.doing) {
            return;
        }
        call.expired = Some(Instant::now());
        tracing::warn!(doing = ?call.doing, "a call of the database takes too long");
        let Some(canceller) = call.canceller.clone() else { return };
        let (number, watch) = (call.number, Arc::clone(self));
        drop(running);
        // On a thread of its own: drivers cancel over a new connection, which may take as long as
        // what is to be cancelled.
        let spawned = thread::Builder::new().name("fastload-cancel".to_owned()).spawn(move || {
            let cancelling = lock(&watch.cancelling);
            let is_running = lock(&watch.call).as_ref().is_some_and(|call| call.number == number);
            if is_running && !canceller.cancel() {
                tracing::warn!("the driver refused to cancel a statement");
            }
            // Before the statement goes on, and may be freed.
            drop(canceller);
            drop(cancelling);
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, "no thread to cancel a statement");
        }
    }

    fn stuck(&self) -> Option<SinkError> {
        let grace = self.limits?.grace;
        let call = lock(&self.call).clone()?;
        if call.expired?.elapsed() < grace {
            return None;
        }
        let seconds = call.since.elapsed().as_secs();
        let (class, what) = match call.doing {
            Doing::Statement => (
                ErrorClass::ConnectionLost,
                "a statement ran longer than --query-timeout allows, and did not end when it was \
                 cancelled",
            ),
            Doing::EndOfTransaction => (
                ErrorClass::ConnectionLost,
                "the end of a transaction took longer than --query-timeout allows",
            ),
            Doing::Connect => (
                ErrorClass::CannotConnect,
                "a new connection took longer than --connect-timeout allows",
            ),
        };
        let message = format!(
            "{what}; the driver's call has not come back for {seconds} s and is left behind"
        );
        Some(SinkError { class, ..SinkError::permanent(message) })
    }
}

/// The error of a statement that was cancelled from here, from what the driver made of it.
pub(super) fn cancelled(limit: Duration, error: SinkError) -> SinkError {
    if error.class == ErrorClass::ConnectionLost {
        return error;
    }
    let limit = humantime::format_duration(limit);
    let message = format!("cancelled after --query-timeout ({limit}): {}", error.message);
    SinkError { class: ErrorClass::TimedOut, message, ..error }
}

impl std::fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watchdog").field("limits", &self.limits).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::SyncSender;

    use super::*;

    /// Ends the call that it belongs to.
    struct Ends(SyncSender<()>);

    impl Cancel for Ends {
        fn cancel(&self) -> bool {
            self.0.send(()).is_ok()
        }
    }

    fn watchdog(grace: Duration) -> Watchdog {
        let soon = Duration::from_millis(1);
        Watchdog::with_limits(Some(Limits { query: soon, connect: soon, grace }))
    }

    const FOR_EVER: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_statement_that_takes_too_long_is_cancelled() {
        let watchdog = watchdog(FOR_EVER);
        let watch = watchdog.watch();
        let (sender, cancelled) = std::sync::mpsc::sync_channel(1);
        let canceller = Some(Arc::new(Ends(sender)) as Arc<dyn Cancel>);
        let (result, was_cancelled) =
            watch.during(Doing::Statement, canceller, || cancelled.recv());
        assert_eq!(result, Ok(()));
        assert!(was_cancelled);
        assert!(watchdog.stuck().is_empty());
        // The next call starts anew.
        assert!(!watch.during(Doing::Statement, None, || ()).1);
    }

    #[test]
    fn a_call_that_does_not_come_back_is_stuck_until_it_does() {
        let watchdog = watchdog(Duration::ZERO);
        for (doing, class) in [
            (Doing::EndOfTransaction, ErrorClass::ConnectionLost),
            (Doing::Connect, ErrorClass::CannotConnect),
        ] {
            let watch = watchdog.watch();
            let ((), was_cancelled) = watch.during(doing, None, || {
                let mut stuck = Vec::new();
                while stuck.is_empty() {
                    thread::yield_now();
                    stuck = watchdog.stuck();
                }
                assert_eq!((stuck.len(), stuck[0].class), (1, class));
            });
            assert!(!was_cancelled, "there was nothing to cancel");
            assert!(watchdog.stuck().is_empty());
        }
    }

    #[test]
    fn without_a_limit_nothing_is_watched() {
        let watchdog = Watchdog::new(Duration::ZERO, Duration::from_secs(1));
        let watch = watchdog.watch();
        assert!(!watch.during(Doing::Statement, None, || ()).1);
        assert!(lock(&watchdog.watches).is_empty());
        assert!(lock(&watchdog.thread).is_none());
    }

    #[test]
    fn what_was_cancelled_timed_out_unless_the_connection_went_too() {
        let limit = Duration::from_secs(60);
        let refused = SinkError { sqlstate: Some("HY008".into()), ..SinkError::permanent("no") };
        let error = cancelled(limit, refused.clone());
        assert_eq!(error.class, ErrorClass::TimedOut);
        assert_eq!(error.message, "cancelled after --query-timeout (1m): no");
        let lost = SinkError { class: ErrorClass::ConnectionLost, ..refused };
        assert_eq!(cancelled(limit, lost.clone()), lost);
    }
}
