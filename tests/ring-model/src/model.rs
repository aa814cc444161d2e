//! What `ring/mod.rs` is compiled with here in place of the standard library and `ArrayQueue`.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

pub use loom::hint::spin_loop;
pub use loom::sync::Arc;
pub use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering, fence};
pub use loom::thread::{self, Thread, park};

/// Parks; the model has no clock, so a deadline never comes.
pub fn park_timeout(_timeout: Duration) {
    park();
}

/// A bounded queue that promises no more than crossbeam's, which brings its own proof.
///
/// What tells empty and full, and makes an element visible, is a counter with the orderings of
/// crossbeam's slot stamps. The mutex is the standard one, which the model does not see: it is
/// never contended, because no thread is switched under it, and it orders nothing, so that it
/// cannot hide a missing fence.
#[derive(Debug)]
pub struct ArrayQueue<T> {
    elements: Mutex<VecDeque<T>>,
    count: AtomicUsize,
    capacity: usize,
}

impl<T> ArrayQueue<T> {
    /// Returns an empty queue.
    pub fn new(capacity: usize) -> Self {
        Self {
            elements: Mutex::new(VecDeque::with_capacity(capacity)),
            count: AtomicUsize::new(0),
            capacity,
        }
    }

    /// Puts an element in, or gives it back when the queue is full.
    pub fn push(&self, element: T) -> Result<(), T> {
        if self.is_full() {
            return Err(element);
        }
        self.elements.lock().expect("no test panics under the lock").push_back(element);
        self.count.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Takes the oldest element.
    pub fn pop(&self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let element = self
            .elements
            .lock()
            .expect("no test panics under the lock")
            .pop_front()
            .expect("it is counted after it went in");
        self.count.fetch_sub(1, Ordering::Release);
        Some(element)
    }

    /// Elements in the queue.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity
    }

    /// Room for elements.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}
