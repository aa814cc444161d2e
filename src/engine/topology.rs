//! Cores: how many there are for us, and pinning threads to them. The only file that names
//! `core_affinity`.

use std::num::NonZero;

use core_affinity::CoreId;

/// Cores that this process may run on, in ascending order.
///
/// Must be asked before any thread is pinned: afterwards a thread sees its own core only.
#[must_use]
pub fn available_cores() -> Vec<usize> {
    let mut cores: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect();
    cores.sort_unstable();
    cores
}

/// Number of threads that can run at the same time, at least 1.
#[must_use]
pub fn parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Pins the calling thread to the `index`-th of `cores`, counted round and round. Returns the core
/// if that worked; nothing is done for an empty list.
#[must_use]
pub fn pin_current_thread(cores: &[usize], index: usize) -> Option<usize> {
    let core = *cores.get(index.checked_rem(cores.len())?)?;
    core_affinity::set_for_current(CoreId { id: core }).then_some(core)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_take_the_cores_in_turn() {
        let cores = available_cores();
        assert!(!cores.is_empty());
        for index in 0..2 * cores.len() {
            let pinned = std::thread::scope(|scope| {
                let thread = scope.spawn(|| {
                    let pinned = pin_current_thread(&cores, index);
                    (pinned, available_cores())
                });
                thread.join().expect("no panic")
            });
            let core = cores[index % cores.len()];
            assert_eq!(pinned, (Some(core), vec![core]));
        }
    }

    #[test]
    fn no_list_no_pinning() {
        assert_eq!(pin_current_thread(&[], 3), None);
    }
}
