//! A connection on a thread of its own, so that whoever uses it need not wait for ever with the
//! driver: see `bounded.rs`.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};

use super::bounded::{Limit, left_behind};
use super::connect::Session;
use crate::sink::{ErrorClass, SinkError};

/// What the thread does with its connection.
type Task = Box<dyn FnOnce(&Session) + Send>;

/// One connection and the thread that alone touches it.
pub(super) struct SessionThread {
    /// `None` once it is closed.
    tasks: Option<Sender<Task>>,
    /// Nothing comes from it; it ends when the connection is closed.
    closed: Receiver<()>,
    /// How long closing is waited for.
    closing: Limit,
    /// Whether a call has not come back.
    is_lost: bool,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for SessionThread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionThread").field("is_lost", &self.is_lost).finish_non_exhaustive()
    }
}

impl SessionThread {
    /// Starts the thread, which connects by `open`, for at most `limit`.
    ///
    /// # Errors
    /// Those of `open`, or of class `CannotConnect` that it did not come back.
    pub(super) fn start(
        limit: Limit,
        open: impl FnOnce() -> Result<Session, SinkError> + Send + 'static,
    ) -> Result<Self, SinkError> {
        let (tasks, given) = channel::<Task>();
        let (opened, answer) = channel();
        let (closing, closed) = channel::<()>();
        let body = move || {
            // Dropped last.
            let _closing = closing;
            let session = match open() {
                Ok(session) => session,
                Err(error) => return drop(opened.send(Err(error))),
            };
            if opened.send(Ok(())).is_ok() {
                for task in given {
                    task(&session);
                }
            }
        };
        let spawned = thread::Builder::new().name("fastload-session".to_owned()).spawn(body);
        let thread = spawned.map_err(|error| SinkError {
            class: ErrorClass::CannotConnect,
            ..SinkError::permanent(format!("starting a thread: {error}"))
        })?;
        let tasks = Some(tasks);
        let thread = Some(thread);
        let mut started = Self { tasks, closed, closing: limit, is_lost: false, thread };
        started.wait(&answer, limit, "a new connection", ErrorClass::CannotConnect)?;
        Ok(started)
    }

    /// Has the thread do something, for at most `limit`. What does not come back by then is left
    /// behind with its thread, as an error of `class`.
    ///
    /// # Errors
    /// Those of `task`; that it did not come back; that an earlier one did not.
    pub(super) fn call<T: Send + 'static>(
        &mut self,
        limit: Limit,
        doing: &str,
        class: ErrorClass,
        task: impl FnOnce(&Session) -> Result<T, SinkError> + Send + 'static,
    ) -> Result<T, SinkError> {
        let (sender, answer) = channel();
        // Nobody listens any more where the time was up.
        let task: Task = Box::new(move |session| drop(sender.send(task(session))));
        let tasks = self.tasks.as_ref().filter(|_| !self.is_lost);
        if tasks.is_none_or(|tasks| tasks.send(task).is_err()) {
            let lost = SinkError::permanent("the connection is lost");
            return Err(SinkError { class: ErrorClass::ConnectionLost, ..lost });
        }
        self.wait(&answer, limit, doing, class)
    }

    fn wait<T>(
        &mut self,
        answer: &Receiver<Result<T, SinkError>>,
        limit: Limit,
        doing: &str,
        class: ErrorClass,
    ) -> Result<T, SinkError> {
        let received = match limit {
            Some(limit) => answer.recv_timeout(limit),
            None => answer.recv().map_err(RecvTimeoutError::from),
        };
        received.unwrap_or_else(|error| match (error, limit) {
            (RecvTimeoutError::Timeout, Some(limit)) => {
                self.is_lost = true;
                Err(left_behind(doing, limit, class))
            }
            _ => Err(SinkError::permanent(format!("{doing} ended in a panic"))),
        })
    }
}

impl Drop for SessionThread {
    /// Waits until the connection is closed: what its transaction held is free then. And for the
    /// end of its thread, at which libraries below the driver tidy up: the process must not do the
    /// same at that moment, because it ends.
    fn drop(&mut self) {
        drop(self.tasks.take());
        if self.is_lost {
            return;
        }
        if let Some(limit) = self.closing {
            if self.closed.recv_timeout(limit).err() == Some(RecvTimeoutError::Timeout) {
                let error = left_behind("closing a connection", limit, ErrorClass::ConnectionLost);
                tracing::warn!(%error, "a connection is left behind");
                return;
            }
        } else {
            // It sends nothing any more.
            let _ = self.closed.recv();
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bounded::threads_left_behind;
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_error_of_connecting_is_given_on() {
        for limit in [None, Some(Duration::from_secs(60))] {
            let refused = SessionThread::start(limit, || Err(SinkError::permanent("no")));
            assert_eq!(refused.unwrap_err().message, "no");
        }
    }

    #[test]
    fn a_panic_is_an_error() {
        let error = SessionThread::start(None, || panic!("on purpose")).unwrap_err();
        assert_eq!(error.message, "a new connection ended in a panic");
    }

    #[test]
    fn what_does_not_come_back_is_left_behind() {
        let before = threads_left_behind();
        let (release, never) = channel::<()>();
        let open = move || {
            let _ = never.recv();
            Err(SinkError::permanent("too late"))
        };
        let error = SessionThread::start(Some(Duration::from_millis(20)), open).unwrap_err();
        assert_eq!(error.class, ErrorClass::CannotConnect);
        let words = "a new connection took longer than 20ms";
        assert!(error.message.starts_with(words), "{}", error.message);
        assert!(threads_left_behind() > before);
        drop(release);
    }
}
