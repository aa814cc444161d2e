//! What the process has used, from `/proc/self` (proc(5)).

use std::fs;
use std::time::Duration;

/// Most resident memory of the process so far, in bytes; 0 where the system does not tell.
#[must_use]
pub fn peak_resident_bytes() -> u64 {
    // "VmHWM:     12345 kB"
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// How long the calling thread has been on a core or waited for one; `None` where the system does
/// not tell. The rest of its life it waited for something else.
#[must_use]
pub fn thread_runnable() -> Option<Duration> {
    runnable(&fs::read_to_string("/proc/thread-self/schedstat").ok()?)
}

/// "123 45 6": nanoseconds on a core, nanoseconds in the queue for one, turns.
fn runnable(schedstat: &str) -> Option<Duration> {
    let mut words = schedstat.split_whitespace();
    let mut number = || words.next()?.parse::<u64>().ok();
    let (running, queued) = (number()?, number()?);
    // A kernel that does not count says zero.
    (running > 0).then(|| Duration::from_nanos(running + queued))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{runnable, thread_runnable};

    #[test]
    fn on_a_core_or_in_the_queue() {
        assert_eq!(runnable("1501 500 3\n"), Some(Duration::from_nanos(2_001)));
        for unknown in ["", "0 0 0", "12", "a b c"] {
            assert_eq!(runnable(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_thread_that_sleeps_is_neither() {
        let Some(before) = thread_runnable() else { return };
        let started = Instant::now();
        std::thread::sleep(Duration::from_millis(50));
        let after = thread_runnable().expect("it was known before");
        let runnable = after.checked_sub(before).expect("it only grows");
        assert!(runnable + Duration::from_millis(40) < started.elapsed(), "{runnable:?}");
    }

    #[test]
    fn the_peak_follows_what_is_touched() {
        let before = super::peak_resident_bytes();
        assert!(before > 0);
        let touched = vec![1_u8; 64 << 20];
        assert!(touched.iter().all(|&byte| byte == 1));
        assert!(super::peak_resident_bytes() >= before.max(64 << 20));
    }
}
