//! Formats of dates and times that the user declares, compiled once.
//!
//! Letters, in either case: `yyyy` year, `mm` month, `dd` day, `hh` hour (00 to 23), `mi` minute,
//! `ss` second, `f` a fraction of 1 to 9 digits, `ff` to `fffffffff` a fraction of just so many
//! digits. `T` and every byte that is no letter or digit stand for themselves. Each part has its
//! full width in the file and occurs once.
//!
//! A date needs year, month and day, a time hour and minute, a timestamp year, month and day. A
//! part of the day that the format leaves out is zero, but none may be left out between two
//! others.

use super::timestamp::Moment;

/// What a format is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Date,
    Time,
    Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    /// As many digits as there are.
    Fraction,
    /// A known count of digits.
    FractionOf(usize),
    Literal(u8),
}

/// A compiled format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format {
    parts: Vec<Part>,
}

impl Scope {
    const fn flag(self) -> &'static str {
        match self {
            Self::Date => "--date-format",
            Self::Time => "--time-format",
            Self::Timestamp => "--timestamp-format",
        }
    }

    const fn allows(self, part: Part) -> bool {
        match part {
            Part::Year | Part::Month | Part::Day => !matches!(self, Self::Time),
            Part::Hour | Part::Minute | Part::Second => !matches!(self, Self::Date),
            Part::Fraction | Part::FractionOf(_) => matches!(self, Self::Timestamp),
            Part::Literal(_) => true,
        }
    }

    const fn needs(self) -> &'static [Part] {
        match self {
            Self::Date | Self::Timestamp => &[Part::Year, Part::Month, Part::Day],
            Self::Time => &[Part::Hour, Part::Minute],
        }
    }
}

impl Part {
    const fn letters(self) -> &'static str {
        match self {
            Self::Year => "yyyy",
            Self::Month => "mm",
            Self::Day => "dd",
            Self::Hour => "hh",
            Self::Minute => "mi",
            Self::Second => "ss",
            Self::Fraction | Self::FractionOf(_) => "f",
            Self::Literal(_) => "",
        }
    }

    /// The part at the head of a format and how many bytes of the format it takes.
    fn first_of(text: &[u8]) -> Result<(Self, usize), String> {
        for part in [Self::Year, Self::Month, Self::Day, Self::Hour, Self::Minute, Self::Second] {
            let letters = part.letters().as_bytes();
            if text.len() >= letters.len() && text[..letters.len()].eq_ignore_ascii_case(letters) {
                return Ok((part, letters.len()));
            }
        }
        let fraction = text.iter().take_while(|b| matches!(b, b'f' | b'F')).count();
        match (fraction, text[0]) {
            (0, b'T') => Ok((Self::Literal(b'T'), 1)),
            (0, byte) if byte.is_ascii_alphanumeric() => {
                Err(format!("'{}' is none of yyyy, mm, dd, hh, mi, ss, f", char::from(byte)))
            }
            (0, byte) => Ok((Self::Literal(byte), 1)),
            (1, _) => Ok((Self::Fraction, 1)),
            (2..=9, _) => Ok((Self::FractionOf(fraction), fraction)),
            _ => Err("a fraction has at most 9 digits".to_owned()),
        }
    }
}

impl Format {
    /// Compiles a format as the user wrote it.
    ///
    /// # Errors
    /// A sentence that names the flag, the format and the place.
    pub(super) fn compile(text: &str, scope: Scope) -> Result<Self, String> {
        let fail = |reason: String| format!("{} '{text}': {reason}", scope.flag());
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let (part, taken) = Part::first_of(rest).map_err(fail)?;
            rest = &rest[taken..];
            if !scope.allows(part) {
                return Err(fail(format!("'{}' has no place in it", part.letters())));
            }
            let is_literal = matches!(part, Part::Literal(_));
            if !is_literal && parts.iter().any(|p| p.letters() == part.letters()) {
                return Err(fail(format!("'{}' occurs twice", part.letters())));
            }
            if parts.last() == Some(&Part::Fraction) && !is_literal {
                return Err(fail("digits after 'f' cannot be told from it".to_owned()));
            }
            parts.push(part);
        }
        let format = Self { parts };
        format.check_complete(scope).map_err(fail)?;
        Ok(format)
    }

    fn check_complete(&self, scope: Scope) -> Result<(), String> {
        for need in scope.needs() {
            if !self.parts.contains(need) {
                return Err(format!("'{}' is missing", need.letters()));
            }
        }
        let has = |part: Part| self.parts.iter().any(|p| p.letters() == part.letters());
        let day = [Part::Hour, Part::Minute, Part::Second, Part::Fraction];
        for pair in day.windows(2) {
            if has(pair[1]) && !has(pair[0]) {
                return Err(format!("'{}' without '{}'", pair[1].letters(), pair[0].letters()));
            }
        }
        Ok(())
    }

    /// The parts of `text`, if it has exactly this shape; not checked against the calendar.
    pub(super) fn parse(&self, text: &[u8]) -> Option<Moment> {
        let mut moment = Moment::default();
        let mut rest = text;
        for &part in &self.parts {
            match part {
                Part::Literal(byte) => rest = rest.strip_prefix(&[byte])?,
                Part::Year => {
                    let (century, after) = two_digits(rest)?;
                    let (year, after) = two_digits(after)?;
                    moment.day.year = u16::from(century) * 100 + u16::from(year);
                    rest = after;
                }
                Part::Month => (moment.day.month, rest) = two_digits(rest)?,
                Part::Day => (moment.day.day, rest) = two_digits(rest)?,
                Part::Hour => (moment.clock.hour, rest) = two_digits(rest)?,
                Part::Minute => (moment.clock.minute, rest) = two_digits(rest)?,
                Part::Second => (moment.clock.second, rest) = two_digits(rest)?,
                Part::Fraction | Part::FractionOf(_) => {
                    let present = rest.iter().take_while(|b| b.is_ascii_digit()).count();
                    let count = match part {
                        Part::FractionOf(count) => count,
                        _ => present.max(1),
                    };
                    if count > present {
                        return None;
                    }
                    moment.fraction_digits = count;
                    moment.fraction_ns = nanoseconds(&rest[..count]);
                    rest = &rest[count..];
                }
            }
        }
        rest.is_empty().then_some(moment)
    }
}

fn two_digits(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&[tens, ones], rest) = text.split_first_chunk::<2>()?;
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| (tens * 10 + ones, rest))
}

/// Nanoseconds of the first nine of some digits.
fn nanoseconds(digits: &[u8]) -> u32 {
    let padded = digits.iter().copied().chain(std::iter::repeat(b'0'));
    padded.take(9).fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
}
