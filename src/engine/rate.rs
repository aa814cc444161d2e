//! `--max-rate`: bytes of input a second, of all parsers together.
//!
//! The bytes that are parsed stand one behind the other on a line of time, each stretch as long as
//! it takes at the rate. Before a parser reads a stretch it takes the next place on the line, and
//! waits for the end of that place. Stretches are short beside the time in which the rate must
//! hold, whatever the size of chunks and batches, and the line is the same for all parsers, so that
//! their number does not matter.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::parser::{Halt, Parser};

/// Stretches in a second.
const STRETCHES_PER_SECOND: u64 = 100;

/// Time whose bytes may be made up for after a delay: a late thread, a commit that held the parsers
/// back. What is missed beyond is lost. In 5 s it is 1.6 %.
const CREDIT: Duration = Duration::from_millis(80);

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// The line of time, for a clock that somebody else reads.
#[derive(Debug)]
struct Line {
    bytes_per_second: u64,
    /// Where the last place ends.
    end: Duration,
}

impl Line {
    /// Takes the next place, for `bytes` bytes; how long its end is away.
    fn take(&mut self, bytes: u64, now: Duration) -> Duration {
        let nanos = u128::from(bytes) * NANOS_PER_SECOND / u128::from(self.bytes_per_second);
        let length = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.end = self.end.max(now.saturating_sub(CREDIT)).saturating_add(length);
        self.end.saturating_sub(now)
    }
}

/// The rate of a load.
#[derive(Debug)]
pub(super) struct RateLimit {
    started: Instant,
    stretch_bytes: u64,
    line: Mutex<Line>,
}

impl RateLimit {
    /// A limit of `bytes_per_second`, at least 1.
    pub(super) fn new(bytes_per_second: u64) -> Self {
        let bytes_per_second = bytes_per_second.max(1);
        Self {
            started: Instant::now(),
            stretch_bytes: stretch_bytes(bytes_per_second),
            line: Mutex::new(Line { bytes_per_second, end: Duration::ZERO }),
        }
    }

    /// Most bytes that are taken at a time.
    pub(super) const fn stretch_bytes(&self) -> u64 {
        self.stretch_bytes
    }

    /// Takes `bytes` bytes of input; they may be read after the time that is returned.
    pub(super) fn take(&self, bytes: u64) -> Duration {
        // A place is taken in one step.
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.take(bytes, self.started.elapsed())
    }
}

fn stretch_bytes(bytes_per_second: u64) -> u64 {
    (bytes_per_second / STRETCHES_PER_SECOND).max(1)
}

impl Parser<'_> {
    /// A chunk that begins at this byte of its file is parsed next.
    pub(super) const fn begin_paying(&mut self, byte_offset: u64) {
        self.paid_until = byte_offset;
    }

    /// Waits until the chunk may be read beyond byte `from` of its file; returns how far, at most
    /// to `until`. A chunk that is parsed again has been waited for.
    pub(super) fn pay(&mut self, from: u64, until: u64) -> Result<u64, Halt> {
        let shared = self.shared;
        let Some(limit) = &shared.rate else { return Ok(until) };
        while self.paid_until <= from && self.paid_until < until {
            let end = until.min(self.paid_until + limit.stretch_bytes());
            let wait = limit.take(end - self.paid_until);
            self.paid_until = end;
            if !wait.is_zero() {
                let started = Instant::now();
                self.sleeper.sleep_until_or_timeout(wait, || shared.is_stopped());
                self.times.paced += started.elapsed();
            }
            if shared.is_stopped() {
                return Err(Halt::Stopped);
            }
        }
        Ok(self.paid_until.min(until))
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Parsers that take chunks from one line, each stretch by stretch. They compute for
    /// `compute_ns` a stretch, and every wait is longer by up to `late_ns`. Returns when how many
    /// bytes were read, in order.
    fn run(
        rate: u64,
        parsers: usize,
        chunk_bytes: u64,
        (compute_ns, late_ns): (u64, u64),
        seconds: u64,
    ) -> Vec<(u64, u64)> {
        let mut line = Line { bytes_per_second: rate, end: Duration::ZERO };
        let mut random = fastrand::Rng::with_seed(parsers as u64 ^ chunk_bytes);
        let mut reads = Vec::new();
        // When each parser asks next, and what is left of its chunk.
        let mut asks: BinaryHeap<_> = (0..parsers).map(|_| Reverse((0, 0_u64))).collect();
        while let Some(Reverse((now, left))) = asks.pop() {
            if now > seconds * SECOND {
                continue;
            }
            let left = if left == 0 { chunk_bytes } else { left };
            let bytes = left.min(stretch_bytes(rate));
            let wait = line.take(bytes, Duration::from_nanos(now));
            let wait = u64::try_from(wait.as_nanos()).unwrap();
            let late = if wait > 0 { random.u64(0..=late_ns) } else { 0 };
            let read_at = now + wait + late;
            reads.push((read_at, bytes));
            asks.push(Reverse((read_at + compute_ns, left - bytes)));
        }
        reads.sort_unstable();
        reads
    }

    /// The lowest and the highest rate in windows of 5 s after the first 2 s, as parts of `rate`.
    fn extremes(reads: &[(u64, u64)], rate: u64, seconds: u64) -> (f64, f64) {
        #[expect(clippy::cast_precision_loss, reason = "figures far below 2^53")]
        let shares = (2 * SECOND..(seconds - 6) * SECOND).step_by(37_000_000).map(|start| {
            let inside = reads.iter().skip_while(|(at, _)| *at < start);
            let bytes: u64 =
                inside.take_while(|(at, _)| *at < start + 5 * SECOND).map(|(_, bytes)| bytes).sum();
            bytes as f64 / (5 * rate) as f64
        });
        shares.fold((f64::MAX, 0.0), |(low, high), share| (low.min(share), high.max(share)))
    }

    #[test]
    fn every_window_has_the_rate() {
        for rate in [10_000, 1_000_000, 50_000_000, 2_000_000_000] {
            for parsers in [1, 2, 7, 64] {
                for chunk_bytes in [1, 4_096, 1 << 20, 1 << 30] {
                    if stretch_bytes(rate) / chunk_bytes > 10 {
                        // So many tiny chunks are slower than the rate.
                        continue;
                    }
                    // Four fifths of what the parsers can do, and threads that are up to 3 ms late.
                    let compute_ns = SECOND * parsers as u64 / STRETCHES_PER_SECOND / 8;
                    let reads = run(rate, parsers, chunk_bytes, (compute_ns, 3_000_000), 20);
                    let (low, high) = extremes(&reads, rate, 20);
                    let case = format!("{rate} B/s, {parsers} parsers, {chunk_bytes} B");
                    assert!(low >= 0.98 && high <= 1.02, "{case}: {low:.4} to {high:.4}");
                }
            }
        }
    }

    #[test]
    fn what_is_read_is_never_ahead_of_the_rate_since_the_start() {
        for parsers in [1, 3, 16] {
            let (rate, mut sum) = (1_000_000, 0);
            for (at, bytes) in run(rate, parsers, 70_000, (0, 10_000_000), 5) {
                sum += bytes;
                assert!(sum * SECOND <= rate * at, "{sum} bytes after {at} ns");
            }
            assert!(sum > 4 * rate);
        }
    }

    #[test]
    fn a_short_delay_is_made_up_for_and_a_long_one_is_not() {
        let mut line = Line { bytes_per_second: 1_000, end: Duration::ZERO };
        let at = Duration::from_millis;
        assert_eq!(line.take(100, at(0)), at(100));
        assert_eq!(line.take(100, at(100)), at(100));
        // 50 ms late: the next 100 ms begin where they should have.
        assert_eq!(line.take(100, at(250)), at(50));
        // A minute late: 80 ms count.
        assert_eq!(line.take(100, at(60_300)), at(20));
    }
}
