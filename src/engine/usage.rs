//! What the process has used, from `/proc/self` (proc(5)).

use std::fs;

/// Most resident memory of the process so far, in bytes; 0 where the system does not tell.
#[must_use]
pub fn peak_resident_bytes() -> u64 {
    // "VmHWM:     12345 kB"
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_peak_follows_what_is_touched() {
        let before = super::peak_resident_bytes();
        assert!(before > 0);
        let touched = vec![1_u8; 64 << 20];
        assert!(touched.iter().all(|&byte| byte == 1));
        assert!(super::peak_resident_bytes() >= before.max(64 << 20));
    }
}
