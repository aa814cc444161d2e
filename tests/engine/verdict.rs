//! Each stage made slow in turn, and named. What is slow sleeps far longer than all the rest works.

use std::io::Write;
use std::sync::Arc;
use std::thread::{available_parallelism, sleep, spawn};
use std::time::Duration;

use fastload::config::LoadConfig;
use fastload::report::Bottleneck;
use fastload::sink::null::NullTarget;

use crate::support::{Call, Hooked, fifo, given, lines, load, small};

/// Loads 400 records in 40 batches and 8 units, each call to the sink as long as `slow` says.
fn verdict(slow: fn(&Call<'_>) -> u64, change: impl FnOnce(&mut LoadConfig)) -> Bottleneck {
    let file = given(&lines(400, &[]));
    let target = Hooked::new(move |call| {
        sleep(Duration::from_millis(slow(call)));
        Ok(())
    });
    let mut config = small(&file.path);
    config.work.chunk_bytes = 500;
    change(&mut config);
    let outcome = load(config, Arc::new(target));
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    outcome.report.bottleneck
}

#[track_caller]
fn check(found: &Bottleneck, stage: &str, advice: &str) {
    assert_eq!(found.stage, stage, "{found:?}");
    assert!(found.advice.contains(advice), "{found:?}");
}

#[test]
fn a_slow_write() {
    let slow = |call: &Call<'_>| if matches!(call, Call::Write(_)) { 10 } else { 0 };
    check(&verdict(slow, |_| {}), "write", "--writers");
    check(&verdict(slow, |config| config.work.writers = 3), "write", "--writers");
    check(&verdict(slow, |config| config.work.parsers = 4), "write", "--writers");
}

#[test]
fn a_slow_commit() {
    let slow = |call: &Call<'_>| if matches!(call, Call::Commit) { 50 } else { 0 };
    check(&verdict(slow, |_| {}), "commit", "--commit-rows");
    let early = |config: &mut LoadConfig| {
        config.work.commit_rows = 1_000_000;
        config.work.memory_limit = 1;
    };
    check(&verdict(slow, early), "commit", "--memory-limit");
    let by_bytes = |config: &mut LoadConfig| config.work.commit_bytes = Some(300);
    check(&verdict(slow, by_bytes), "commit", "--commit-bytes");
}

#[test]
fn a_slow_input() {
    for parsers in [1, 3] {
        let (_dir, path) = fifo();
        let feeder = {
            let path = path.clone();
            spawn(move || {
                let text = lines(400, &[]);
                let mut pipe = std::fs::File::options().write(true).open(path).expect("a reader");
                for piece in text.chunks(200) {
                    sleep(Duration::from_millis(25));
                    pipe.write_all(piece).expect("it is read");
                }
            })
        };
        let mut config = small(&path);
        config.work.parsers = parsers;
        config.work.chunk_bytes = 150;
        let outcome = load(config, Arc::new(Hooked::new(|_| Ok(()))));
        feeder.join().expect("no panic");
        check(&outcome.report.bottleneck, "input", "the program that writes to the pipe");
    }
}

#[test]
fn a_limited_input() {
    let limited = |config: &mut LoadConfig| config.work.max_rate = Some(10_000);
    check(&verdict(|_| 0, limited), "input", "--max-rate");
}

#[test]
fn a_slow_parse() {
    let cores = available_parallelism().map_or(1, usize::from);
    for parsers in [1, cores] {
        let file = given(&lines(200_000, &[]));
        let mut config = small(&file.path);
        config.work.batch_rows = 1_000;
        config.work.commit_rows = 100_000;
        config.work.chunk_bytes = 1 << 16;
        config.work.parsers = parsers;
        let outcome = load(config, Arc::new(NullTarget));
        let advice = if parsers == cores { "core" } else { "--parsers" };
        check(&outcome.report.bottleneck, "parse", advice);
    }
}

#[test]
fn nothing_is_named_where_nothing_ran() {
    let file = given(b"");
    let outcome = load(small(&file.path), Arc::new(Hooked::new(|_| Ok(()))));
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    assert_ne!(outcome.report.bottleneck.stage, "move");
}
