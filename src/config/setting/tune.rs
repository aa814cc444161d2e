//! Values about numbers that are found while a load runs.

use super::{Setting, number};

/// `MIN..MAX` of `--tune-writers`, `--tune-batch-rows` and `--tune-commit-rows`: both belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountRange(pub u64, pub u64);

impl Setting for CountRange {
    fn parse(text: &str) -> Result<Self, String> {
        let ends = text.split_once("..").map(|(low, high)| (number(low), number(high)));
        match ends {
            Some((Ok(low), Ok(high))) if 0 < low && low <= high => Ok(Self(low, high)),
            _ => Err(format!("`{text}` is not a range such as 1000..20000")),
        }
    }
    fn show(&self) -> String {
        format!("{}..{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_two_ends() {
        for (text, range) in [("1..1", (1, 1)), ("1_000..20000", (1_000, 20_000))] {
            let read = CountRange::parse(text).unwrap();
            assert_eq!(read, CountRange(range.0, range.1));
            assert_eq!(CountRange::parse(&read.show()).unwrap(), read);
        }
        for bad in ["", "5", "..5", "5..", "0..5", "6..5", "1...5", "-1..5", "a..b"] {
            assert!(CountRange::parse(bad).is_err(), "{bad}");
        }
    }
}
