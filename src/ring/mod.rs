//! Bounded rings between threads, and how an idle thread waits for them.
//!
//! # Properties
//!
//! - One producer, one consumer: [`ring`] hands back two ends, neither can be cloned, and pushing
//!   and popping take `&mut self`. The compiler enforces it, not a comment.
//! - Elements come out in the order in which they went in, each exactly once.
//! - Bounded: the capacity is fixed when the ring is made. A push into a full ring gives the
//!   element back; that is the back-pressure.
//! - [`Producer::push`] and [`Consumer::pop`] never wait, never allocate and take no lock.
//! - Dropping an end is how the other one learns to stop. What was pushed before the producer went
//!   can still be popped; what the consumer left behind is dropped with the ring.
//! - Every push, every pop from a full ring and every drop of an end wakes the thread at the other
//!   end, if it sleeps. A pop from a ring that was not full wakes nobody: there was room before.
//! - A thread may doze before it sleeps ([`Sleeper::doze`]): then only a push that leaves at most a
//!   quarter of the ring, or one place, wakes it; others are found when it looks again by itself.
//! - No end waits by itself: a thread has one [`Sleeper`] and waits with it on as many rings as it
//!   likes, because the condition is its own.
//!
//! # Which answers may be stale
//!
//! The other end works on while a question is answered. `len` is exact only in one direction: for
//! the producer it can only have shrunk since, for the consumer it can only have grown. A `false`
//! of `is_abandoned` may be wrong by the time it is read; a `true` of `is_abandoned` or
//! [`Consumer::is_finished`] is final.

use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

#[cfg(not(fastload_loom))]
use {
    crossbeam_queue::ArrayQueue,
    std::hint::spin_loop,
    std::sync::Arc,
    std::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence},
    std::thread::{self, Thread, park, park_timeout},
};

// The model of tests/ring-model compiles this very file with loom's threads and atomics.
#[cfg(fastload_loom)]
use super::model::{
    Arc, ArrayQueue, AtomicBool, AtomicU8, Ordering, Thread, fence, park, park_timeout, spin_loop,
    thread,
};

/// Looks at the condition before the thread gives up its core.
///
/// A full batch takes milliseconds, so spinning longer would only burn a core that the other side
/// may need; this many looks cover an element that is just being pushed. The model does not spin:
/// it would only see the same looks again before the ones that matter.
const SPINS: usize = if cfg!(fastload_loom) { 0 } else { 32 };

/// The one way in which a thread waits; it belongs to the thread that first sleeps on it.
///
/// It may be made elsewhere and moved to its thread. Others wake it through [`Waker`]s.
#[derive(Debug)]
pub struct Sleeper {
    bed: Arc<Bed>,
}

/// Wakes the thread of one [`Sleeper`]; cheap to clone, callable from any thread.
#[derive(Debug, Clone)]
pub struct Waker {
    bed: Arc<Bed>,
}

/// What a sleeper and its wakers share.
#[derive(Debug)]
struct Bed {
    /// [`AWAKE`], or how deep the thread is parked, or about to park and looking at its condition a
    /// last time.
    depth: AtomicU8,
    /// The thread; set before `depth` is ever another than [`AWAKE`].
    thread: OnceLock<Thread>,
}

const AWAKE: u8 = 0;

/// Looks again by itself soon: [`Waker::nudge`] lets it be.
const DOZING: u8 = 1;

const ASLEEP: u8 = 2;

impl Sleeper {
    /// Returns a sleeper that no thread uses yet.
    #[must_use]
    pub fn new() -> Self {
        Self { bed: Arc::new(Bed { depth: AtomicU8::new(AWAKE), thread: OnceLock::new() }) }
    }

    /// Returns a waker of this sleeper.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker { bed: Arc::clone(&self.bed) }
    }

    /// Returns as soon as `ready` says true; parks the thread until then.
    ///
    /// `ready` is asked again after every wake-up, so it must be cheap and must not block. It has
    /// to depend only on what is followed by a wake-up: that a ring made with this sleeper's waker
    /// has elements to pop, has room to push, or has lost its other end, or shared state whose
    /// writers call [`Waker::wake`] after they wrote.
    ///
    /// # Panics
    /// When another thread has slept on this sleeper before: its wakers would wake that one.
    pub fn sleep_until(&mut self, mut ready: impl FnMut() -> bool) {
        let woken = self.sleep(ASLEEP, None, &mut ready);
        debug_assert!(woken, "only a deadline ends a sleep early");
    }

    /// Returns true as soon as `ready` says so, false when it has not after `timeout`.
    ///
    /// Otherwise like [`Sleeper::sleep_until`].
    ///
    /// # Panics
    /// When another thread has slept on this sleeper before.
    pub fn sleep_until_or_timeout(
        &mut self,
        timeout: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> bool {
        // A deadline past the end of the clock is none.
        self.sleep(ASLEEP, Instant::now().checked_add(timeout), &mut ready)
    }

    /// Like [`Sleeper::sleep_until_or_timeout`], for a short `timeout` in which most pushes wake
    /// nobody: a condition that a push has made true may be seen as late as that.
    ///
    /// For a thread that is given much more often than it has to look: being woken costs the one
    /// who wakes some microseconds (between cores of a virtual machine, and those of a kernel that
    /// let the other core rest), and it is the one that should not wait.
    ///
    /// # Panics
    /// When another thread has slept on this sleeper before.
    pub fn doze(&mut self, timeout: Duration, mut ready: impl FnMut() -> bool) -> bool {
        self.sleep(DOZING, Instant::now().checked_add(timeout), &mut ready)
    }

    fn sleep(
        &mut self,
        depth: u8,
        deadline: Option<Instant>,
        ready: &mut dyn FnMut() -> bool,
    ) -> bool {
        for _ in 0..SPINS {
            if ready() {
                return true;
            }
            spin_loop();
        }
        let this_thread = thread::current();
        let owner = self.bed.thread.get_or_init(|| this_thread.clone());
        assert!(
            owner.id() == this_thread.id(),
            "a sleeper belongs to the one thread that first slept on it"
        );
        loop {
            // Going to bed and the look at the condition are on either side of a fence, and so are,
            // in `wake`, the change of the condition and the look at `depth`. Of two such fences
            // one comes first: either `ready` sees the change, or `wake` sees the sleeper. A
            // wake-up between here and `park` leaves a token, and `park` returns at once. All
            // changes of `depth` are read-modify-writes, so that they stand in one order.
            self.bed.depth.swap(depth, Ordering::AcqRel);
            fence(Ordering::SeqCst);
            if ready() {
                self.bed.depth.swap(AWAKE, Ordering::AcqRel);
                return true;
            }
            match deadline {
                None => park(),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        self.bed.depth.swap(AWAKE, Ordering::AcqRel);
                        return false;
                    }
                    park_timeout(left);
                }
            }
        }
    }
}

impl Default for Sleeper {
    fn default() -> Self {
        Self::new()
    }
}

impl Waker {
    /// Makes the sleeper look at its condition again, if it sleeps or dozes; costs a fence and a
    /// load if not.
    ///
    /// Call it after the change that it is to see.
    pub fn wake(&self) {
        self.rouse(DOZING);
    }

    /// As [`Waker::wake`], but lets a dozing thread be: it looks at its condition soon.
    pub fn nudge(&self) {
        self.rouse(ASLEEP);
    }

    /// Wakes a thread that is at least so deep asleep.
    fn rouse(&self, depth: u8) {
        // Pairs with the fence in `Sleeper::sleep`. A thread that dozes here and sleeps later looks
        // at its condition in between, behind a fence that comes after this one.
        fence(Ordering::SeqCst);
        if self.bed.depth.load(Ordering::Relaxed) >= depth
            && self.bed.depth.swap(AWAKE, Ordering::AcqRel) != AWAKE
        {
            // Absent only if `depth` could be seen before the thread was set. The load that saw
            // another depth, the fences and the set in program order before the store rule it out.
            if let Some(thread) = self.bed.thread.get() {
                thread.unpark();
            }
        }
    }
}

/// Makes a ring for `capacity` elements.
///
/// `producer_waker` wakes the thread that will own the [`Producer`], `consumer_waker` that of the
/// [`Consumer`].
///
/// # Panics
/// When `capacity` is 0.
///
/// # Examples
/// ```
/// use fastload::ring::{Sleeper, ring};
///
/// let (mut here, mut there) = (Sleeper::new(), Sleeper::new());
/// let (mut producer, mut consumer) = ring(2, here.waker(), there.waker());
/// let thread = std::thread::spawn(move || {
///     let mut sum = 0;
///     loop {
///         there.sleep_until(|| !consumer.is_empty() || consumer.is_finished());
///         match consumer.pop() {
///             Some(number) => sum += number,
///             None => return sum,
///         }
///     }
/// });
/// for number in 1..=10 {
///     here.sleep_until(|| !producer.is_full());
///     producer.push(number).expect("there is room, and the consumer stays until the end");
/// }
/// drop(producer);
/// assert_eq!(thread.join().expect("it does not panic"), 55);
/// ```
#[must_use]
pub fn ring<T>(
    capacity: usize,
    producer_waker: Waker,
    consumer_waker: Waker,
) -> (Producer<T>, Consumer<T>) {
    let shared = Arc::new(Shared {
        queue: ArrayQueue::new(capacity),
        producer_gone: AtomicBool::new(false),
        consumer_gone: AtomicBool::new(false),
    });
    let producer = Producer { shared: Arc::clone(&shared), consumer_waker };
    let consumer = Consumer { shared, producer_waker };
    (producer, consumer)
}

struct Shared<T> {
    queue: ArrayQueue<T>,
    producer_gone: AtomicBool,
    consumer_gone: AtomicBool,
}

/// End of a ring that elements go in at.
pub struct Producer<T> {
    shared: Arc<Shared<T>>,
    consumer_waker: Waker,
}

/// End of a ring that elements come out of.
pub struct Consumer<T> {
    shared: Arc<Shared<T>>,
    producer_waker: Waker,
}

/// Why an element did not go in; it gives the element back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PushError<T> {
    /// The ring is full; the consumer's next pop wakes the producer.
    Full(T),
    /// The consumer was dropped: nobody will ever take the element.
    Abandoned(T),
}

impl<T> Producer<T> {
    /// Puts `element` in and wakes the consumer's thread, where that dozes only when at most a
    /// quarter of the ring, or one place, is left; never waits.
    ///
    /// Success does not mean that the consumer will see the element: it may be dropped the moment
    /// after, and the element is then dropped with the ring.
    ///
    /// # Errors
    /// [`PushError::Full`] and [`PushError::Abandoned`], with the element.
    pub fn push(&mut self, element: T) -> Result<(), PushError<T>> {
        if self.is_abandoned() {
            return Err(PushError::Abandoned(element));
        }
        self.shared.queue.push(element).map_err(PushError::Full)?;
        let capacity = self.shared.queue.capacity();
        if self.shared.queue.len() + (capacity / 4).max(1) >= capacity {
            self.consumer_waker.wake();
        } else {
            self.consumer_waker.nudge();
        }
        Ok(())
    }

    /// Elements in the ring; it may hold fewer by now, never more.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.queue.len()
    }

    /// Whether the ring holds nothing; final until the next push.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.queue.is_empty()
    }

    /// Whether there is no room; a `true` may be stale, after a `false` the next push finds room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.shared.queue.is_full()
    }

    /// Elements that the ring has room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared.queue.capacity()
    }

    /// Whether the consumer was dropped; a `true` is final, a `false` may be stale.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.shared.consumer_gone.load(Ordering::Acquire)
    }
}

impl<T> Consumer<T> {
    /// Takes the oldest element, and wakes the producer's thread if the ring was full; never waits.
    ///
    /// `None` means empty at this moment; ask [`Consumer::is_finished`] whether it is for good.
    pub fn pop(&mut self) -> Option<T> {
        let element = self.shared.queue.pop()?;
        // A producer that sleeps pushes nothing, so one that found the ring full leaves exactly one
        // place. The fence pairs with the one in `Sleeper::sleep`: either `ready` sees this pop, or
        // the length here counts what was pushed before it.
        fence(Ordering::SeqCst);
        if self.shared.queue.len() + 1 >= self.shared.queue.capacity() {
            self.producer_waker.wake();
        }
        Some(element)
    }

    /// Elements in the ring; it may hold more by now, never fewer.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.queue.len()
    }

    /// Whether there is nothing to pop; a `true` may be stale, after a `false` the next pop
    /// succeeds.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.queue.is_empty()
    }

    /// Elements that the ring has room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared.queue.capacity()
    }

    /// Whether the producer was dropped; a `true` is final, a `false` may be stale.
    ///
    /// The ring may still hold elements: to know that none will come any more, ask
    /// [`Consumer::is_finished`].
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.shared.producer_gone.load(Ordering::Acquire)
    }

    /// Whether the producer was dropped and everything was popped; a `true` is final.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        // In this order: what was pushed before the producer went is visible once it is seen gone.
        self.is_abandoned() && self.is_empty()
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        self.shared.producer_gone.store(true, Ordering::Release);
        self.consumer_waker.wake();
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.shared.consumer_gone.store(true, Ordering::Release);
        self.producer_waker.wake();
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("is_abandoned", &self.is_abandoned())
            .finish()
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("is_abandoned", &self.is_abandoned())
            .finish()
    }
}

impl<T> fmt::Debug for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(_)",
            Self::Abandoned(_) => "Abandoned(_)",
        })
    }
}

impl<T> fmt::Display for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the ring is full",
            Self::Abandoned(_) => "the consumer of the ring is gone",
        })
    }
}

impl<T> std::error::Error for PushError<T> {}

#[cfg(all(test, not(fastload_loom)))]
mod tests;
