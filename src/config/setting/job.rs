//! Values about the job that a load is, and about the ledger that keeps it.

use super::Setting;

/// Longest name of a job.
const JOB_NAME_CHARS: usize = 100;

/// Longest name of the ledger's table or of its schema: PostgreSQL cuts names behind 63 bytes
/// without an error, and the ledger puts endings of its own behind this one.
const TABLE_NAME_CHARS: usize = 48;

/// `--job NAME`: printable ASCII without quotes and backslashes, so that it reads the same in a
/// shell, a database and a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobName(pub String);

/// `--ledger-table [SCHEMA.]NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerTable(pub String);

/// `--stop-at HH:MM`: a time of day where the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockTime {
    /// 0 to 23.
    pub hour: i8,
    /// 0 to 59.
    pub minute: i8,
}

impl Setting for JobName {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a job's name must not be empty".to_owned());
        }
        let odd =
            |c: &char| !(c.is_ascii_graphic() || *c == ' ') || matches!(c, '"' | '\'' | '`' | '\\');
        if let Some(c) = text.chars().find(odd) {
            return Err(format!(
                "a job's name is printable ASCII without quotes and backslashes, and this one \
                 holds {}",
                show_char(c)
            ));
        }
        if text.trim() != text {
            // Databases that pad texts with blanks take `a` and `a ` for one name.
            return Err("a job's name must not begin or end with a blank".to_owned());
        }
        let chars = text.len();
        if chars > JOB_NAME_CHARS {
            return Err(format!(
                "a job's name has at most {JOB_NAME_CHARS} characters, and this one has {chars}"
            ));
        }
        Ok(Self(text.to_owned()))
    }
    fn show(&self) -> String {
        self.0.clone()
    }
}

/// A character as a message may hold it.
fn show_char(c: char) -> String {
    if c.is_ascii_graphic() { c.to_string() } else { c.escape_unicode().to_string() }
}

impl Setting for LedgerTable {
    fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('.').collect();
        if parts.len() > 2 {
            return Err(format!("`{text}` is neither NAME nor SCHEMA.NAME"));
        }
        for part in parts {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if !part.chars().all(is_word) || part.is_empty() {
                return Err(format!(
                    "`{text}` is not NAME or SCHEMA.NAME of ASCII letters, digits and _"
                ));
            }
            if part.starts_with(|c: char| c.is_ascii_digit()) {
                return Err(format!("`{part}` must not begin with a digit"));
            }
            if part.len() > TABLE_NAME_CHARS {
                return Err(format!("`{part}` is longer than {TABLE_NAME_CHARS} characters"));
            }
        }
        Ok(Self(text.to_owned()))
    }
    fn show(&self) -> String {
        self.0.clone()
    }
}

impl Setting for ClockTime {
    fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a time of day such as 05:30, from 00:00 to 23:59");
        let (hour, minute) = text.split_once(':').ok_or_else(bad)?;
        let part = |digits: &str, lengths: &[usize], most: i8| {
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            let number = digits.parse().ok().filter(|number| *number <= most);
            number.filter(|_| is_number && lengths.contains(&digits.len())).ok_or_else(bad)
        };
        Ok(Self { hour: part(hour, &[1, 2], 23)?, minute: part(minute, &[2], 59)? })
    }
    fn show(&self) -> String {
        format!("{:02}:{:02}", self.hour, self.minute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal<T: Setting + std::fmt::Debug>(text: &str) -> String {
        T::parse(text).expect_err(text)
    }

    #[test]
    fn names_of_jobs() {
        let longest = "n".repeat(100);
        for name in ["nightly", "bank.accounts (2026-11-28) #1", longest.as_str()] {
            assert_eq!(JobName::parse(name).map(|name| name.show()), Ok(name.to_owned()));
        }
        for (name, why) in [
            ("", "empty"),
            ("it's", "holds '"),
            ("a\"b", "holds \""),
            ("a\\b", "holds \\"),
            ("a\nb", "\\u{a}"),
            ("a\u{7f}", "\\u{7f}"),
            ("nächtlich", "\\u{e4}"),
            (" a", "blank"),
            (&"n".repeat(101), "has 101"),
        ] {
            assert!(refusal::<JobName>(name).contains(why), "{name}: {}", refusal::<JobName>(name));
        }
    }

    #[test]
    fn names_of_ledgers() {
        let longest = format!("{0}.{0}", "a".repeat(48));
        for name in ["LEDGER", "ops.fastload_ledger", "_x1", longest.as_str()] {
            assert_eq!(LedgerTable::parse(name).map(|name| name.show()), Ok(name.to_owned()));
        }
        let long = "a".repeat(49);
        for name in ["", ".", "a.", ".a", "a.b.c", "a-b", "a b", "\"a\"", "1a", "a;b", "ä", &long]
        {
            assert!(refusal::<LedgerTable>(name).contains('`'), "{name}");
        }
    }

    #[test]
    fn times_of_day() {
        for (text, hour, minute, shown) in
            [("05:30", 5, 30, "05:30"), ("0:00", 0, 0, "00:00"), ("23:59", 23, 59, "23:59")]
        {
            let time = ClockTime { hour, minute };
            assert_eq!(ClockTime::parse(text), Ok(time));
            assert_eq!(time.show(), shown);
        }
        for text in ["", "5", "24:00", "12:60", "12:5", "+5:30", "-1:00", "12:00:00", "012:00"] {
            assert!(refusal::<ClockTime>(text).contains("time of day"), "{text}");
        }
    }
}
