//! Connection strings: taken apart, completed with values that cannot smuggle keywords, and shown
//! without secrets.

mod psqlodbc;

use std::fmt::Write as _;

use odbc_api::escape_attribute_value;

use super::driver::Driver;
use crate::config::connection_keywords::{is_keyword, is_secret, refusal};
use crate::sink::SinkError;

/// What stands in place of a secret.
const HIDDEN: &str = "***";

/// Characters that end, open or close something for one driver or another (ODBC Programmer's
/// Reference, `SQLDriverConnect`, "Comments").
const SPECIAL: &[char] =
    &['[', ']', '{', '}', '(', ')', ',', ';', '?', '*', '=', '!', '@', '+', ' ', '%', '\'', '"'];

/// Where the target's address comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum ConnectionText {
    /// A whole connection string: `odbc:CONNECTION-STRING`.
    Keywords(String),
    /// The name of a data source of `odbc.ini`: `dsn:NAME`.
    Dsn(String),
}

impl std::fmt::Debug for ConnectionText {
    /// Without secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match Keywords::parse(self) {
            Ok(keywords) => f.write_str(&keywords.url()),
            Err(_) => f.write_str("(malformed connection string)"),
        }
    }
}

/// A connection string as keywords and unescaped values, in order.
#[derive(Clone)]
pub(super) struct Keywords {
    pairs: Vec<(String, String)>,
    dsn_only: bool,
    driver: Driver,
    /// Parameters of libpq that psqlodbc has no keyword for.
    libpq: Vec<(&'static str, String)>,
}

impl Keywords {
    /// Takes a text apart: `KEY=VALUE;…`, where a value in braces runs to its closing brace and
    /// a doubled closing brace stands for one.
    ///
    /// # Errors
    /// A part without `=`, an open brace, a NUL. The text is never quoted: it may hold a secret.
    pub(super) fn parse(text: &ConnectionText) -> Result<Self, SinkError> {
        match text {
            ConnectionText::Dsn(name) if name.is_empty() || name.contains('\0') => {
                Err(SinkError::permanent("dsn: names no data source"))
            }
            ConnectionText::Dsn(name) => {
                Ok(Self::new(vec![("DSN".to_owned(), name.clone())], true))
            }
            ConnectionText::Keywords(text) => Ok(Self::new(parse_pairs(text)?, false)),
        }
    }

    fn new(pairs: Vec<(String, String)>, dsn_only: bool) -> Self {
        Self { pairs, dsn_only, driver: Driver::Other, libpq: Vec::new() }
    }

    /// The driver that will read them.
    pub(super) fn driver(&self) -> Driver {
        self.driver
    }

    /// Says which driver will read them.
    pub(super) fn set_driver(&mut self, driver: Driver) {
        self.driver = driver;
    }

    /// Refuses keywords that are not known to be harmless.
    ///
    /// # Errors
    /// A sentence with the keyword and without its value.
    pub(super) fn check(&self) -> Result<(), String> {
        self.pairs.iter().try_for_each(|(key, value)| match refusal(key, value) {
            Some(why) => Err(format!("the keyword {key} is refused: it {why}")),
            None => self.driver.check(key, value),
        })
    }

    /// Sets a parameter of libpq, for psqlodbc.
    pub(super) fn set_libpq(&mut self, name: &'static str, value: &str) {
        self.libpq.push((name, value.to_owned()));
    }

    /// The value of a keyword under one of its names.
    pub(super) fn get(&self, names: &[&str]) -> Option<&str> {
        let named = |key: &str| names.iter().any(|name| key.eq_ignore_ascii_case(name));
        let found = self.pairs.iter().find(|(key, _)| named(key));
        found.map(|(_, value)| value.as_str())
    }

    /// Sets a keyword, in place of every earlier setting under one of its names.
    pub(super) fn set(&mut self, names: &[&str], value: &str) {
        self.pairs.retain(|(key, _)| !names.iter().any(|name| key.eq_ignore_ascii_case(name)));
        self.pairs.push((names[0].to_owned(), value.to_owned()));
    }

    /// The text for the driver manager. Holds the secrets.
    ///
    /// It ends in a semicolon. Without one, MariaDB's driver behind unixODBC now and then took the
    /// last value longer than it is, when other threads had used the heap: a password at the end
    /// was then refused about once in a thousand connects.
    pub(super) fn to_text(&self) -> String {
        if self.driver == Driver::Psqlodbc {
            return psqlodbc::render(&self.pairs, &self.libpq);
        }
        render(self.pairs.iter().map(|(key, value)| (key, value.as_str())))
    }

    /// The URL to show: secrets replaced.
    pub(super) fn url(&self) -> String {
        if self.dsn_only
            && let Some((_, name)) = self.pairs.first()
        {
            return format!("dsn:{name}");
        }
        let shown = self.pairs.iter().map(|(key, value)| {
            let value = if is_secret(key) { HIDDEN } else { value };
            (key, value)
        });
        format!("odbc:{}", render(shown))
    }

    /// A driver's message with every secret of the string replaced.
    pub(super) fn scrub(&self, message: &str) -> String {
        let secrets = self.pairs.iter().filter(|(key, _)| is_secret(key));
        secrets
            .filter(|(_, value)| !value.is_empty())
            .fold(message.to_owned(), |text, (_, value)| text.replace(value.as_str(), HIDDEN))
    }
}

fn render<'a>(pairs: impl Iterator<Item = (&'a String, &'a str)>) -> String {
    let mut text = String::new();
    for (key, value) in pairs {
        write!(text, "{key}={};", escape(value)).expect("writing to a String cannot fail");
    }
    text
}

/// A value that ends where it should for every driver: in braces as soon as it holds anything
/// that one of them gives a meaning to.
fn escape(value: &str) -> String {
    let escaped = escape_attribute_value(value);
    let plain = matches!(escaped, std::borrow::Cow::Borrowed(_));
    if plain && value.contains(SPECIAL) {
        format!("{{{}}}", value.replace('}', "}}"))
    } else {
        escaped.into_owned()
    }
}

fn parse_pairs(text: &str) -> Result<Vec<(String, String)>, SinkError> {
    let malformed = |what: &str| {
        Err(SinkError::permanent(format!(
            "the connection string after odbc: is malformed: {what}; it reads KEYWORD=VALUE;… \
             with values in {{braces}} where they hold a semicolon"
        )))
    };
    if text.contains('\0') {
        return malformed("a NUL character");
    }
    let mut pairs = Vec::new();
    let mut rest = text.trim_start_matches([';', ' ']);
    while !rest.is_empty() {
        let Some((key, after)) = rest.split_once('=') else {
            return malformed("a part without =");
        };
        if key.contains(';') {
            return malformed("a part without =");
        }
        let after = after.trim_start_matches(' ');
        let (value, tail) = if let Some(inner) = after.strip_prefix('{') {
            let Some((value, tail)) = braced(inner) else {
                return malformed("an opening brace without its closing one");
            };
            if !tail.trim_start().is_empty() && !tail.trim_start().starts_with(';') {
                return malformed("text after a closing brace");
            }
            (value, tail)
        } else {
            let end = after.find(';').unwrap_or(after.len());
            (after[..end].trim_end().to_owned(), &after[end..])
        };
        let key = key.trim().to_owned();
        if !is_keyword(&key) {
            return malformed("a keyword that is empty or holds more than letters");
        }
        if pairs.iter().any(|(known, _): &(String, String)| known.eq_ignore_ascii_case(&key)) {
            return malformed("a keyword that stands there twice");
        }
        pairs.push((key, value));
        rest = tail.trim_start_matches([';', ' ']);
    }
    Ok(pairs)
}

/// The unescaped text up to the closing brace, and what follows it.
fn braced(inner: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = inner.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '}' {
            value.push(c);
        } else if chars.peek().is_some_and(|&(_, next)| next == '}') {
            chars.next();
            value.push('}');
        } else {
            return Some((value, &inner[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keywords(text: &str) -> Keywords {
        Keywords::parse(&ConnectionText::Keywords(text.to_owned())).unwrap()
    }

    #[test]
    fn takes_a_string_apart() {
        let parsed = keywords("DRIVER={Maria;DB};SERVER = h; PWD={a}}b;c};");
        assert_eq!(parsed.get(&["driver"]), Some("Maria;DB"));
        assert_eq!(parsed.get(&["server"]), Some("h"));
        assert_eq!(parsed.get(&["PWD"]), Some("a}b;c"));
    }

    #[test]
    fn refuses_what_is_malformed_without_quoting_it() {
        for text in ["secret", "A=1;secret", "A={secret", "A={x}secret;", "A=\0secret"] {
            let error =
                Keywords::parse(&ConnectionText::Keywords(text.to_owned())).err().expect(text);
            assert!(!error.message.contains("secret"), "{}", error.message);
        }
    }

    #[test]
    fn shows_no_secret() {
        let mut parsed = keywords("DRIVER=d;Password=hush1;SSLKEYPWD=hush2;pqopt={hush3};SERVER=h");
        parsed.set(&["PWD", "Password"], "hush4");
        let url = parsed.url();
        assert!(!url.contains("hush"), "{url}");
        assert!(url.contains("SERVER=h"), "{url}");
        assert_eq!(parsed.get(&["password"]), None);
        assert_eq!(parsed.scrub("login hush4 refused"), "login *** refused");
        let debug = format!("{:?}", ConnectionText::Keywords("PWD=hush5".to_owned()));
        assert!(!debug.contains("hush"), "{debug}");
    }

    proptest! {
        #[test]
        fn a_value_never_becomes_a_keyword(value in "[^\0]{0,12}|[{};=+ DRIVE]{0,16}") {
            let mut parsed = keywords("DRIVER=d");
            parsed.set(&["PWD"], &value);
            parsed.set(&["LAST"], "x");
            let again = keywords(&parsed.to_text());
            let keys: Vec<&str> = again.pairs.iter().map(|(key, _)| key.as_str()).collect();
            prop_assert_eq!(keys, ["DRIVER", "PWD", "LAST"]);
            if value.trim() == value {
                prop_assert_eq!(again.get(&["PWD"]), Some(value.as_str()));
            }
        }
    }
}
