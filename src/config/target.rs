//! `--to`: where the rows go.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::connection_keywords::{is_keyword, is_secret, refusal};
use super::setting::Setting;
use crate::error::{Error, Result};

/// Target when `--to` is not given.
pub const DEFAULT_TARGET: &str = "sqlite:fastload.db";

/// `--to` as it was given. It may hold a password, so that only [`TargetUrl`] shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct TargetText(pub String);

impl fmt::Debug for TargetText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match TargetUrl::parse(&self.0) {
            Ok(target) => fmt::Debug::fmt(&target, f),
            Err(_) => f.write_str("(no target)"),
        }
    }
}

impl Setting for TargetText {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
    fn show(&self) -> String {
        self.0.clone()
    }
}

/// A parsed target. Shown without secrets.
#[derive(Debug, Clone)]
pub enum TargetUrl {
    /// `sqlite:PATH`.
    Sqlite(PathBuf),
    /// `odbc:CONNECTION-STRING`.
    Odbc(ConnectionString),
    /// `dsn:NAME`: a data source of odbc.ini.
    Dsn(String),
    /// `null:`: parse and validate only.
    Null,
    /// `csv:PATH`: converted rows as a file.
    Csv(PathBuf),
}

/// Keywords and values of an ODBC connection string, in their order.
#[derive(Clone)]
pub struct ConnectionString {
    text: SecretString,
    keywords: Vec<(String, SecretString)>,
}

impl TargetUrl {
    /// Parses the text of `--to`.
    ///
    /// # Errors
    /// A usage error that names the forms.
    pub fn parse(text: &str) -> Result<Self> {
        const FORMS: &str =
            "write sqlite:PATH, odbc:CONNECTION-STRING, dsn:NAME, null: or csv:PATH";
        // The text may hold a password, so an error repeats only what stands before the colon.
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(Error::usage("--to does not say what kind of target it is", FORMS));
        };
        let path = |what: &str| match rest.strip_prefix("//").unwrap_or(rest) {
            "" => Err(Error::usage(format!("--to {what}: has no path"), FORMS)),
            path if path.contains('\0') => {
                Err(Error::usage("the path in --to holds a NUL byte", FORMS))
            }
            path => Ok(PathBuf::from(path)),
        };
        match scheme {
            "sqlite" => path("sqlite").map(Self::Sqlite),
            "csv" => path("csv").map(Self::Csv),
            "null" if rest.is_empty() => Ok(Self::Null),
            "null" => Err(Error::usage("--to null: takes nothing after the colon", FORMS)),
            "odbc" => ConnectionString::parse(rest).map(Self::Odbc),
            "dsn" if rest.is_empty() => Err(Error::usage("--to dsn: has no name", FORMS)),
            "dsn" if rest.chars().any(|c| ";{}[]()=,?*!@\\\0".contains(c)) => Err(Error::usage(
                "the name in --to dsn: holds a character that no data source name may hold",
                "write keywords with odbc:DSN=NAME;KEYWORD=VALUE",
            )),
            "dsn" => Ok(Self::Dsn(rest.to_owned())),
            _ => Err(Error::usage(format!("--to {scheme}: is no kind of target"), FORMS)),
        }
    }

    /// Whether the text carries a password.
    #[must_use]
    pub fn holds_password(&self) -> bool {
        match self {
            Self::Odbc(string) => string.password_keyword().is_some(),
            _ => false,
        }
    }

    /// Whether rows go to a table of a database.
    #[must_use]
    pub const fn has_tables(&self) -> bool {
        !matches!(self, Self::Null | Self::Csv(_))
    }

    /// Whether a user and a password mean something here.
    #[must_use]
    pub const fn takes_credentials(&self) -> bool {
        matches!(self, Self::Odbc(_) | Self::Dsn(_))
    }
}

impl fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Odbc(string) => write!(f, "odbc:{string}"),
            Self::Dsn(name) => write!(f, "dsn:{name}"),
            Self::Null => f.write_str("null:"),
            Self::Csv(path) => write!(f, "csv:{}", path.display()),
        }
    }
}

/// Whether the text of a `--to` carries a password, also when it cannot be parsed.
#[must_use]
pub fn holds_password(text: &str) -> bool {
    match TargetUrl::parse(text) {
        Ok(target) => target.holds_password(),
        Err(_) => {
            let text: String = text.to_ascii_lowercase().split_whitespace().collect();
            text.contains("pwd=") || text.contains("password=")
        }
    }
}

/// Refuses a password in a `--to` of the command line, which other users of the machine can read.
///
/// # Errors
/// A usage error with the cure.
pub fn refuse_password_on_command_line(text: &str) -> Result<()> {
    if !holds_password(text) {
        return Ok(());
    }
    Err(Error::usage(
        "--to holds a password, and the command line is visible to every user of this machine",
        "take it out and use --password-file, --password-command or FASTLOAD_PASSWORD; or put the \
         whole target into FASTLOAD_TO or a job file of mode 0600",
    ))
}

impl ConnectionString {
    /// Splits `KEYWORD=VALUE;…`, where a value in braces may hold `;` and doubled `}`.
    fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::usage(
                format!("the connection string in --to odbc: {why}"),
                "write KEYWORD=VALUE;KEYWORD={VALUE WITH ;}",
            )
        };
        if text.contains('\0') {
            return Err(wrong("holds a NUL byte"));
        }
        let mut keywords: Vec<(String, SecretString)> = Vec::new();
        let mut rest = text;
        while !rest.trim_matches([' ', ';']).is_empty() {
            rest = rest.trim_start_matches([' ', ';']);
            let (keyword, after) = rest.split_once('=').ok_or_else(|| wrong("lacks a `=`"))?;
            let keyword = keyword.trim().to_owned();
            if !is_keyword(&keyword) {
                return Err(wrong("has a keyword that is empty or holds more than letters"));
            }
            let after = after.trim_start_matches(' ');
            let (value, left) = match after.strip_prefix('{') {
                Some(braced) => braced_value(braced).ok_or_else(|| wrong("has an open brace"))?,
                None => {
                    let end = after.find(';').unwrap_or(after.len());
                    (after[..end].trim_end().to_owned(), &after[end..])
                }
            };
            if !left.trim_start_matches(' ').starts_with(';') && !left.trim().is_empty() {
                return Err(wrong("has text after a closing brace"));
            }
            if keywords.iter().any(|(known, _)| known.eq_ignore_ascii_case(&keyword)) {
                return Err(wrong(&format!("has the keyword {keyword} twice")));
            }
            if let Some(why) = refusal(&keyword, &value) {
                return Err(Error::usage(
                    format!("--to odbc: the keyword {keyword} is refused"),
                    why,
                ));
            }
            keywords.push((keyword, value.into()));
            rest = left;
        }
        if keywords.is_empty() {
            return Err(wrong("is empty"));
        }
        Ok(Self { text: text.into(), keywords })
    }

    /// The text as given, with its secrets.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// Value of a keyword, compared without case, as the driver would see it.
    #[must_use]
    pub fn value(&self, keyword: &str) -> Option<&str> {
        self.keywords
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(keyword))
            .map(|(_, value)| value.expose_secret())
    }

    fn password_keyword(&self) -> Option<&str> {
        self.keywords.iter().map(|(keyword, _)| keyword.as_str()).find(|keyword| is_secret(keyword))
    }
}

/// The value up to its closing brace, and what follows.
fn braced_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '}' {
            value.push(c);
        } else if chars.peek().is_some_and(|&(_, next)| next == '}') {
            value.push('}');
            chars.next();
        } else {
            return Some((value, &text[at + 1..]));
        }
    }
    None
}

impl fmt::Display for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (keyword, value)) in self.keywords.iter().enumerate() {
            let separator = if index == 0 { "" } else { ";" };
            let value = if is_secret(keyword) { "***" } else { value.expose_secret() };
            write!(f, "{separator}{keyword}={value}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionString({self})")
    }
}

/// Who logs in.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// The user, where one is given outside the target.
    pub user: Option<String>,
    /// The password, where one is given outside the target.
    pub password: Option<SecretString>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let show = |text: &str| TargetUrl::parse(text).expect(text).to_string();
        assert_eq!(show("sqlite:a b.db"), "sqlite:a b.db");
        assert_eq!(show("sqlite:///tmp/x.db"), "sqlite:/tmp/x.db");
        assert_eq!(show("null:"), "null:");
        assert_eq!(show("csv:out.csv"), "csv:out.csv");
        assert_eq!(show("dsn:PROD"), "dsn:PROD");
        for bad in ["", "fastload.db", "sqlite:", "null:x", "dsn:", "dsn:a;PWD=b", "db2:x", "odbc:"]
        {
            assert!(TargetUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_are_never_shown() {
        let text = "odbc:Driver={Some Driver};Server=h;UID=u;Pwd={a;b}}c};";
        let target = TargetUrl::parse(text).unwrap();
        assert_eq!(target.to_string(), "odbc:Driver=Some Driver;Server=h;UID=u;Pwd=***");
        assert!(!format!("{target:?}").contains("b}"));
        for text in [text, "odbc:DSN=x;Pwd={b}"] {
            assert!(!format!("{:?}", TargetText(text.to_owned())).contains("b}"));
        }
        let TargetUrl::Odbc(string) = target else { panic!() };
        assert_eq!(string.value("pwd"), Some("a;b}c"));
        for bad in ["odbc:Driver={x", "odbc:a", "odbc:a=1;A=2", "odbc:a={b}c;d=e"] {
            let error = TargetUrl::parse(bad).unwrap_err().to_string();
            assert!(error.contains("connection string"), "{error}");
        }
    }

    #[test]
    fn dangerous_keywords_are_refused_and_harmless_in_values() {
        for keyword in ["SAVEFILE", "InitStmt", "PLUGIN_DIR", "USE_MYCNF", "ConnSettings", "pqopt"]
        {
            let error = TargetUrl::parse(&format!("odbc:DSN=x;{keyword}=hush")).unwrap_err();
            assert!(error.to_string().contains(&format!("{keyword} is refused")), "{error}");
            assert!(!format!("{error:?}").contains("hush"), "{error:?}");
            let value = format!("odbc:DSN=x;UID={{a;{keyword}=b}};DATABASE={keyword}=c");
            let TargetUrl::Odbc(string) = TargetUrl::parse(&value).unwrap() else { panic!() };
            assert_eq!(string.value(keyword), None);
            assert_eq!(string.value("uid"), Some(&*format!("a;{keyword}=b")));
        }
    }

    #[test]
    fn passwords_on_the_command_line_are_refused() {
        for text in ["odbc:DSN=x;PWD=y", "odbc:DSN=x;password = y", "odbc:DSN=x;PWD={y"] {
            let error = refuse_password_on_command_line(text).unwrap_err();
            assert!(!error.to_string().contains('y') || !error.to_string().contains("PWD=y"));
        }
        refuse_password_on_command_line("odbc:DSN=x;Description={PWD=y}").unwrap();
        refuse_password_on_command_line("sqlite:pwd=x.db").unwrap();
    }
}
