//! Ending a statement's call from another thread.

#![expect(
    unsafe_code,
    reason = "a call of the ODBC C interface, and a handle that crosses threads"
)]

use std::sync::{Arc, Mutex, PoisonError};

use odbc_sys::{HStmt, SQLCancel, SqlReturn};

use crate::sink::odbc::watchdog::Cancel;

/// Ends what a statement is doing; of a statement that is gone, nothing.
#[derive(Debug)]
pub(in crate::sink::odbc) struct Canceller(Mutex<Option<Cancellable>>);

/// A handle on which nothing but `SQLCancel` is called.
#[derive(Debug)]
struct Cancellable(HStmt);

// SAFETY: the handle is a number of the driver manager. ODBC allows one call on a handle that
// another thread is in the middle of using, `SQLCancel`; nothing else is done with this copy. That
// the handle is open is what `Canceller`'s lock is for.
unsafe impl Send for Cancellable {}

impl Canceller {
    /// For a statement, which calls [`Self::disarm`] before it frees its handle.
    pub(super) fn new(handle: HStmt) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(Cancellable(handle)))))
    }

    /// From here on nothing is cancelled; waits for a call that is under way.
    pub(super) fn disarm(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Cancel for Canceller {
    fn cancel(&self) -> bool {
        let armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Cancellable(handle)) = armed.as_ref() else {
            return false;
        };
        // SAFETY: the handle is open: its statement takes it away from here, under the lock that
        // is held, before it frees it.
        let code = unsafe { SQLCancel(*handle) };
        code == SqlReturn::SUCCESS || code == SqlReturn::SUCCESS_WITH_INFO
    }
}
