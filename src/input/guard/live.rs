//! The maps that are alive, in a form that a signal handler can read: atomics in a static array, no
//! lock and no allocation on the reading side.

use std::ops::Range;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Maps that can be watched at a time: more than Linux gives to one process by default.
const SLOTS: usize = 1 << 16;

/// The addresses of one map; `end` is 0 while nobody has the slot.
#[derive(Debug)]
struct Slot {
    start: AtomicUsize,
    end: AtomicUsize,
    is_poisoned: AtomicBool,
}

impl Slot {
    const fn new() -> Self {
        Self {
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            is_poisoned: AtomicBool::new(false),
        }
    }

    /// The addresses of the map that has the slot now.
    fn range(&self) -> Option<Range<usize>> {
        let end = self.end.load(SeqCst);
        let start = self.start.load(SeqCst);
        // An end that is the same before and after belongs to the start: a slot is given away only
        // by way of an end of 0.
        (end != 0 && self.end.load(SeqCst) == end).then_some(start..end)
    }
}

/// Untouched, it takes address space only.
static LIVE: [Slot; SLOTS] = [const { Slot::new() }; SLOTS];

/// Slots that ever were in use: the first ones.
static USED: AtomicUsize = AtomicUsize::new(0);

/// Slots among them that nobody has now. Never locked by the handler.
static FREE: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());

fn free() -> MutexGuard<'static, Vec<&'static Slot>> {
    // A push or a pop cannot be left half done.
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place in the list of maps, for as long as the map is alive.
#[derive(Debug)]
pub(in crate::input) struct LiveMap {
    slot: &'static Slot,
}

impl LiveMap {
    /// Enters the map of `bytes` bytes at address `start`; `None` if the list is full.
    pub(in crate::input) fn new(start: usize, bytes: usize) -> Option<Self> {
        let mut free = free();
        let slot = free.pop().or_else(|| {
            let slot = LIVE.get(USED.load(SeqCst))?;
            USED.fetch_add(1, SeqCst);
            Some(slot)
        })?;
        drop(free);
        slot.is_poisoned.store(false, SeqCst);
        slot.start.store(start, SeqCst);
        slot.end.store(start + bytes, SeqCst);
        Some(Self { slot })
    }

    /// Whether [`poison`] was called for an address in this map.
    pub(in crate::input) fn is_poisoned(&self) -> bool {
        self.slot.is_poisoned.load(SeqCst)
    }
}

impl Drop for LiveMap {
    fn drop(&mut self) {
        self.slot.end.store(0, SeqCst);
        free().push(self.slot);
    }
}

/// Marks the map that `address` is in as poisoned; returns its addresses, `None` if it is in none.
///
/// Safe in a signal handler: it only loads and stores atomics. Who reads bytes of a map keeps it
/// alive, so that the slot of the map that a thread faults in does not change while this runs on
/// that thread; a slot that does change belongs to another map.
pub(super) fn poison(address: usize) -> Option<Range<usize>> {
    let used = LIVE.get(..USED.load(SeqCst)).unwrap_or(&LIVE);
    for slot in used {
        if let Some(range) = slot.range().filter(|range| range.contains(&address)) {
            slot.is_poisoned.store(true, SeqCst);
            return Some(range);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    // Addresses that no map has: they belong to the kernel's half.
    const BASE: usize = 1 << 63;

    #[test]
    fn only_the_map_of_the_address_is_poisoned() {
        let first = LiveMap::new(BASE, 100).expect("room");
        let second = LiveMap::new(BASE + 100, 100).expect("room");
        assert_eq!(poison(BASE - 1), None);
        assert_eq!(poison(BASE + 200), None);
        assert!(!first.is_poisoned() && !second.is_poisoned());
        assert_eq!(poison(BASE + 100), Some(BASE + 100..BASE + 200));
        assert!(!first.is_poisoned() && second.is_poisoned());
        drop(second);
        assert_eq!(poison(BASE + 100), None);
        // Whoever comes into the slot is not poisoned.
        let third = LiveMap::new(BASE + 100, 50).expect("room");
        assert!(!third.is_poisoned());
        assert_eq!(poison(BASE + 99), Some(BASE..BASE + 100));
        assert!(first.is_poisoned() && !third.is_poisoned());
    }

    #[test]
    fn a_list_in_motion_finds_what_stands_still() {
        let still = LiveMap::new(BASE + (1 << 40), 10).expect("room");
        std::thread::scope(|scope| {
            for thread in 0..3 {
                scope.spawn(move || {
                    for round in 0..20_000 {
                        // Neighbours of either side, whose slots are mixed all the time.
                        let below = BASE + (1 << 40) - 1000 * (thread + 1);
                        let above = BASE + (1 << 40) + 10 + 1000 * thread;
                        let start = if round % 2 == 0 { below } else { above };
                        let map = LiveMap::new(start, 1000).expect("room");
                        assert!(!map.is_poisoned());
                    }
                });
            }
            for _ in 0..20_000 {
                assert_eq!(
                    poison(still.slot.start.load(SeqCst) + 5).map(|range| range.len()),
                    Some(10)
                );
            }
        });
    }
}
