//! What the outside sees of a running load, and how it asks it to stop.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::dial::Dial;
use super::monitor::Look;
use crate::config::Numbers;

/// Counters of a running load. Written by the threads of the load, read by anybody at any time;
/// each number is right by itself, the set of them may be a moment apart.
#[derive(Debug, Default)]
pub struct Metrics {
    pub(super) bytes_total: AtomicU64,
    pub(super) bytes_read: AtomicU64,
    pub(super) records_read: AtomicU64,
    pub(super) rows_loaded: AtomicU64,
    pub(super) rows_rejected: AtomicU64,
    pub(super) ring_batches: AtomicUsize,
    pub(super) ring_capacity: AtomicUsize,
    /// Batches that fit in the rings of one writer.
    pub(super) writer_capacity: AtomicUsize,
    pub(super) ring_high_water: AtomicUsize,
}

impl Metrics {
    /// So many writers get batches, and so many wait for each at most.
    pub(super) fn note_capacity(&self, writers: usize, batches_each: usize) {
        self.writer_capacity.store(batches_each, Ordering::Relaxed);
        self.ring_capacity.store(writers * batches_each, Ordering::Relaxed);
    }

    /// Counts a batch that a parser tries to put in a ring; returns how many there are.
    pub(super) fn batch_queued(&self) -> usize {
        self.ring_batches.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A batch went in when `batches` were counted, those included that others tried to put in.
    pub(super) fn note_waiting(&self, batches: usize) {
        let waiting = batches.min(self.ring_capacity.load(Ordering::Relaxed));
        self.ring_high_water.fetch_max(waiting, Ordering::Relaxed);
    }

    pub(super) fn batch_taken(&self) {
        self.ring_batches.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A look at the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Bytes of all inputs; 0 when one of them is a stream of unknown length.
    pub bytes_total: u64,
    /// Bytes parsed.
    pub bytes_read: u64,
    /// Records parsed.
    pub records_read: u64,
    /// Rows committed.
    pub rows_loaded: u64,
    /// Records rejected and committed as such.
    pub rows_rejected: u64,
    /// Full batches waiting in all rings.
    pub ring_batches: usize,
    /// Batches that fit in the rings of the writers that get batches.
    pub ring_capacity: usize,
    /// Most batches seen waiting.
    pub ring_high_water: usize,
    /// Blocks read and not yet taken by a parser (streams only).
    pub chunks_ahead: usize,
    /// Bound of `chunks_ahead`; 0 over a map.
    pub chunks_ahead_max: usize,
}

type StopHook = Box<dyn Fn() + Send>;

/// Tells how many blocks are read ahead, and how many may be.
type DepthsHook = Box<dyn Fn() -> (usize, usize) + Send>;

type LookHook = Box<dyn Fn(&Look) + Send>;

/// Handle to a running load: counters, and the way to stop it.
#[derive(Default)]
pub struct Control {
    pub(super) metrics: Metrics,
    pub(super) dial: Dial,
    signal: AtomicI32,
    /// Signal that [`Self::wind_down`] was given, 0 if none.
    winding_down: AtomicI32,
    stop: AtomicBool,
    hooks: Mutex<Vec<StopHook>>,
    wind_down_hooks: Mutex<Vec<StopHook>>,
    retune_hooks: Mutex<Vec<StopHook>>,
    depths: Mutex<Option<DepthsHook>>,
    observers: Mutex<Vec<LookHook>>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("metrics", &self.metrics).finish_non_exhaustive()
    }
}

impl Control {
    /// A handle for one load.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Asks the load to stop because of `signal`: open transactions are rolled back, and the load
    /// ends with [`crate::error::ErrorKind::Interrupted`]. Returns at once.
    pub fn stop(&self, signal: i32) {
        self.signal.store(signal, Ordering::Relaxed);
        self.halt();
    }

    /// The signal given to [`Self::stop`], 0 if none.
    #[must_use]
    pub fn signal(&self) -> i32 {
        self.signal.load(Ordering::Relaxed)
    }

    /// Asks the load to read no further: what is read is committed, and the load ends as
    /// [`Self::stop`] with `signal` would end it, unless nothing was left to do. Returns at once.
    /// A stream is waited for no more: a record whose rest is not there stays unread.
    pub fn wind_down(&self, signal: i32) {
        self.winding_down.store(signal, Ordering::Release);
        for hook in lock(&self.wind_down_hooks).iter() {
            hook();
        }
    }

    /// Runs `hook` when the load is wound down, at once if it is already.
    pub(super) fn on_wind_down(&self, hook: StopHook) {
        let mut hooks = lock(&self.wind_down_hooks);
        if self.winding_down().is_some() {
            hook();
        }
        hooks.push(hook);
    }

    /// The signal that [`Self::wind_down`] was given, if it was.
    pub(super) fn winding_down(&self) -> Option<i32> {
        match self.winding_down.load(Ordering::Acquire) {
            0 => None,
            signal => Some(signal),
        }
    }

    /// Changes the writers that get batches, and the most rows of the batches and transactions that
    /// are begun from now on, as far as the load may ([`crate::config::Work::tuning`]); what is in
    /// force then. `None`: this load changes nothing.
    ///
    /// A load that measures ([`crate::config::Tuning::window`]) goes on from its own numbers.
    pub fn retune(&self, numbers: Numbers) -> Option<Numbers> {
        let set = self.dial.set(numbers);
        self.renumbered();
        set
    }

    /// There cannot be more than `most` writers.
    pub(super) fn hold_writers(&self, most: usize) {
        self.dial.hold_writers(most);
        self.renumbered();
    }

    /// Lets everybody know of the numbers that are in force now.
    fn renumbered(&self) {
        if let Some(writers) = self.dial.writers() {
            let batches_each = self.metrics.writer_capacity.load(Ordering::Relaxed);
            self.metrics.note_capacity(writers, batches_each);
        }
        for hook in lock(&self.retune_hooks).iter() {
            hook();
        }
    }

    /// Runs `hook` after each change of the numbers.
    pub(super) fn on_retune(&self, hook: StopHook) {
        lock(&self.retune_hooks).push(hook);
    }

    /// Whether the load is asked to stop, or has failed.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The counters now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let m = &self.metrics;
        let (chunks_ahead, chunks_ahead_max) = self.depths();
        Snapshot {
            bytes_total: m.bytes_total.load(Ordering::Relaxed),
            bytes_read: m.bytes_read.load(Ordering::Relaxed),
            records_read: m.records_read.load(Ordering::Relaxed),
            rows_loaded: m.rows_loaded.load(Ordering::Relaxed),
            rows_rejected: m.rows_rejected.load(Ordering::Relaxed),
            ring_batches: m.ring_batches.load(Ordering::Relaxed),
            ring_capacity: m.ring_capacity.load(Ordering::Relaxed),
            ring_high_water: m.ring_high_water.load(Ordering::Relaxed),
            chunks_ahead,
            chunks_ahead_max,
        }
    }

    /// Stops without a signal: a thread of the load failed.
    pub(super) fn halt(&self) {
        self.stop.store(true, Ordering::Release);
        let hooks = lock(&self.hooks);
        for hook in hooks.iter() {
            hook();
        }
    }

    /// Runs `observer` with each look of the monitor at the queues, every five seconds while the
    /// load runs, on the monitor's thread.
    pub fn on_look(&self, observer: Box<dyn Fn(&Look) + Send>) {
        lock(&self.observers).push(observer);
    }

    /// Tells the observers of a look.
    pub(super) fn tell(&self, look: &Look) {
        for observer in lock(&self.observers).iter() {
            observer(look);
        }
    }

    /// From now on `depths` tells what is read ahead.
    pub(super) fn on_depths(&self, depths: Box<dyn Fn() -> (usize, usize) + Send>) {
        *lock(&self.depths) = Some(depths);
    }

    fn depths(&self) -> (usize, usize) {
        lock(&self.depths).as_ref().map_or((0, 0), |depths| depths())
    }

    /// The load has ended: nobody is to be woken, and its files can be closed.
    pub(super) fn forget_hooks(&self) {
        lock(&self.hooks).clear();
        lock(&self.wind_down_hooks).clear();
        lock(&self.retune_hooks).clear();
        *lock(&self.depths) = None;
    }

    /// Runs `hook` when the load is stopped, at once if it is already: wakes who waits.
    pub(super) fn on_stop(&self, hook: StopHook) {
        let mut hooks = lock(&self.hooks);
        if self.is_stopped() {
            hook();
        }
        hooks.push(hook);
    }
}

/// Lists of hooks: each change is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
