//! What windows that differ by chance say about the rate under some numbers.

/// Windows that a mean remembers: what came before counts less and less, as servers change.
const REMEMBERED: u32 = 8;

/// Windows after which the mean decides about a step, however near the bar it is.
const MOST_WINDOWS: u32 = 4;

/// Standard errors by which a rate must miss or pass the bar for a step to be decided before.
const SURE: f64 = 1.5;

/// Relative standard error that the rate may have that steps are held against.
const KNOWN_ERROR: f64 = 0.04;

/// Relative deviation of windows from which on one pass over the numbers is not enough.
const LOUD: f64 = 0.05;

/// Relative deviation of windows before any were alike, and how many windows that is worth.
const FIRST_DEVIATION: f64 = 0.04;
const FIRST_WEIGHT: f64 = 2.0;

/// Deviation of windows under the same numbers, as a part of their rate.
#[derive(Debug)]
pub(super) struct Noise {
    squares: f64,
    weight: f64,
}

impl Noise {
    pub(super) const fn new() -> Self {
        Self { squares: FIRST_DEVIATION * FIRST_DEVIATION * FIRST_WEIGHT, weight: FIRST_WEIGHT }
    }

    fn add(&mut self, square: f64) {
        self.squares += square;
        self.weight += 1.0;
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.weight).sqrt()
    }

    /// Whether windows differ so much that a good step may have looked like a bad one.
    pub(super) fn is_loud(&self) -> bool {
        self.deviation() > LOUD
    }
}

/// Whether a rate reaches a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
    /// Not to be told yet: another window may.
    Unknown,
}

/// The mean rate of some windows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Estimate {
    mean: f64,
    windows: u32,
}

impl Estimate {
    /// After one window.
    pub(super) const fn of(rate: f64) -> Self {
        Self { mean: rate, windows: 1 }
    }

    /// Whether there were windows enough to hold a step against them.
    pub(super) fn is_known(&self, noise: &Noise) -> bool {
        let error = noise.deviation() / f64::from(self.windows.max(1)).sqrt();
        self.windows >= REMEMBERED || self.windows > 0 && error <= KNOWN_ERROR
    }

    /// Adds a window, and what it says about the noise.
    pub(super) fn add(&mut self, rate: f64, noise: &mut Noise) {
        let windows = f64::from(self.windows);
        if self.windows > 0 && self.mean > 0.0 {
            let off = rate / self.mean - 1.0;
            noise.add(off * off * windows / (windows + 1.0));
        }
        self.windows = (self.windows + 1).min(REMEMBERED);
        self.mean += (rate - self.mean) / f64::from(self.windows);
    }

    /// Whether the rate is `bar` times that of `base`.
    pub(super) fn reaches(&self, base: &Self, bar: f64, noise: &Noise) -> Answer {
        let above = self.mean / (base.mean * bar).max(f64::MIN_POSITIVE) - 1.0;
        let per_window =
            1.0 / f64::from(self.windows.max(1)) + 1.0 / f64::from(base.windows.max(1));
        let sure = SURE * noise.deviation() * per_window.sqrt();
        match above {
            _ if self.windows >= MOST_WINDOWS => {
                if above >= 0.0 {
                    Answer::Yes
                } else {
                    Answer::No
                }
            }
            above if above < -sure => Answer::No,
            above if above > sure && self.windows > 1 => Answer::Yes,
            _ => Answer::Unknown,
        }
    }

    /// Whether `rate` is another one by more than `part`.
    pub(super) fn differs(&self, rate: f64, part: f64) -> bool {
        (rate / self.mean.max(f64::MIN_POSITIVE) - 1.0).abs() > part
    }
}
