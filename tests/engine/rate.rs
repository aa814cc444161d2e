//! A limited rate changes when records are read, and nothing else.

use std::sync::Arc;

use fastload::config::IoWay;
use fastload::sink::memory::MemoryTarget;

use crate::support::{check_all, given, lines, load, small};

#[test]
fn a_limited_load_is_the_same_load() {
    let (records, bad) = (2_000, [1, 77, 1_999]);
    let text = lines(records, &bad);
    let bytes = u32::try_from(text.len()).expect("a small file");
    let rate = 200_000;
    for (parsers, chunk_bytes, io) in [
        (1, 1 << 20, IoWay::Mmap),
        (3, 1 << 20, IoWay::Mmap),
        (4, 97, IoWay::Mmap),
        (2, 3_000, IoWay::Read),
        (5, 11, IoWay::Read),
    ] {
        let file = given(&text);
        let target = Arc::new(MemoryTarget::new(None));
        let mut config = small(&file.path);
        config.work.parsers = parsers;
        config.work.chunk_bytes = chunk_bytes;
        config.work.io = io;
        config.work.max_rate = Some(rate);
        let outcome = load(config, Arc::clone(&target) as _);
        check_all(&outcome, &target, &file.path, records, &bad, &[]);
        // The bytes of all parsers together, each counted once.
        let seconds = outcome.report.seconds;
        assert!(seconds >= f64::from(bytes) / 200e3, "{bytes} bytes in {seconds} s");
        let waited = outcome.report.stages.parse.paced_seconds;
        let parsers = u32::try_from(parsers).expect("a few");
        assert!(waited <= seconds * f64::from(parsers), "{waited} s of {seconds} s");
    }
}
