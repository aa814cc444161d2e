//! What a job is about, as named texts that a later run is held against.
//!
//! The texts go into SQL statements as literals and come back through any driver, code page and
//! length of column: everything but plain ASCII is written as `%XX`, and long ones in parts.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Characters of a part of a text, as the column that holds it is declared.
pub(super) const PART_CHARS: usize = 1_000;

/// Named texts of a run: dialect, columns, inputs and whatever else must not change under it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts(BTreeMap<String, String>);

/// One thing that a later start says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What.
    pub name: String,
    /// As the run has it; `None`: it did not say.
    pub before: Option<String>,
    /// As it is asked for now.
    pub now: Option<String>,
}

impl Facts {
    /// Adds one.
    pub fn set(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.0.insert(name.into(), text.into());
    }

    /// The text of one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The first thing that `now` says otherwise, of all but those that `ignored` names.
    #[must_use]
    pub fn difference(&self, now: &Self, ignored: impl Fn(&str) -> bool) -> Option<Difference> {
        let names = self.0.keys().chain(now.0.keys()).filter(|name| !ignored(name));
        names.map(|name| (name, self.get(name), now.get(name))).find_map(|(name, before, now)| {
            (before != now).then(|| Difference {
                name: name.clone(),
                before: before.map(str::to_owned),
                now: now.map(str::to_owned),
            })
        })
    }
}

impl FromIterator<(String, String)> for Facts {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// Names of facts that a run notes on its way begin so; all others are those it began with.
pub(super) const NOTE: &str = "note ";

/// Whether a fact was noted on the way.
#[must_use]
pub(super) fn is_note(name: &str) -> bool {
    name.starts_with(NOTE)
}

/// A text as plain ASCII that may stand between single quotes in any SQL.
#[must_use]
pub(super) fn armoured(text: &str) -> String {
    let mut armoured = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b" ._-:/=,()+*@#~[]{}<>|!^$".contains(&byte);
        // A blank at either end would be lost in some databases.
        if plain && byte != b' ' {
            armoured.push(char::from(byte));
        } else {
            write!(armoured, "%{byte:02X}").expect("a String takes everything");
        }
    }
    armoured
}

/// The text that [`armoured`] was given; what is no such form stays as it is.
#[must_use]
pub(super) fn plain(armoured: &str) -> String {
    let mut bytes = Vec::with_capacity(armoured.len());
    let mut rest = armoured.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let code = (first == b'%')
            .then(|| behind.get(..2))
            .flatten()
            // A sign is no digit, though numbers may have one.
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(code) = code {
            bytes.push(code);
            rest = &behind[2..];
        } else {
            bytes.push(first);
            rest = behind;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_difference_is_named() {
        let mut before = Facts::default();
        before.set("dialect", "csv");
        before.set("mode", "append");
        let mut now = before.clone();
        assert_eq!(before.difference(&now, |_| false), None);
        now.set("dialect", "tsv");
        let difference = before.difference(&now, |_| false).expect("one");
        assert_eq!((difference.name.as_str(), difference.now.as_deref()), ("dialect", Some("tsv")));
        assert_eq!(before.difference(&now, |name| name == "dialect"), None);
        now = before.clone();
        now.set("key", "id");
        assert_eq!(before.difference(&now, |_| false).expect("one").before, None);
    }

    #[test]
    fn what_is_no_armour_stays() {
        for text in ["%", "%4", "%+1", "%-1", "% 1", "%g0", "a%", "%%", "%\u{e4}"] {
            assert_eq!(plain(text), text);
        }
        assert_eq!(plain("%25%2b%2B"), "%++");
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in any::<String>()) {
            let armoured = armoured(&text);
            prop_assert!(armoured.is_ascii() && !armoured.contains(['\'', '\\', '"', ' ', '?']));
            prop_assert_eq!(plain(&armoured), text);
        }
    }
}
