//! Connection strings as psqlodbc reads them: it takes the braces off a password and off its text
//! for libpq, and leaves them around every other value.
//!
//! So host, port, database and user stand as they are, where they can; a semicolon would end them,
//! and an opening brace at their beginning would be taken for more than a character. Such a value
//! goes to libpq as one of its own parameters, by the same way as the trusted authorities.

use std::fmt::Write as _;

use super::escape;

/// Keywords whose values stay in their braces, with libpq's names for the same.
const BRACED: &[(&[&str], &str)] = &[
    (&["server", "servername"], "host"),
    (&["port"], "port"),
    (&["database"], "dbname"),
    (&["uid", "username"], "user"),
];

/// The text for the driver manager. Holds the secrets.
pub(super) fn render(pairs: &[(String, String)], libpq: &[(&str, String)]) -> String {
    let mut text = String::new();
    let mut parameters: Vec<(&str, &str)> =
        libpq.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for (key, value) in pairs {
        let named = |names: &[&str]| names.iter().any(|name| key.eq_ignore_ascii_case(name));
        let braced = BRACED.iter().find(|(names, _)| named(names));
        match braced {
            None => pair(&mut text, key, &escape(value)),
            Some((_, parameter)) if value.contains(';') || value.starts_with('{') => {
                parameters.push((parameter, value));
            }
            Some(_) => pair(&mut text, key, value),
        }
    }
    if !parameters.is_empty() {
        pair(&mut text, "pqopt", &format!("{{{}}}", conninfo(&parameters).replace('}', "}}")));
    }
    text
}

fn pair(text: &mut String, key: &str, value: &str) {
    write!(text, "{key}={value};").expect("writing to a String cannot fail");
}

/// Parameters as libpq reads them (PostgreSQL documentation, "Keyword/Value Connection Strings").
fn conninfo(parameters: &[(&str, &str)]) -> String {
    let one = |(name, value): &(&str, &str)| {
        format!("{name}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
    };
    parameters.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_stand_as_they_are_and_others_go_to_libpq() {
        let pairs =
            [("Driver", "a b"), ("UID", "o'x \"{}="), ("Database", "d;DRIVER=e"), ("PWD", "p;}")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(
            render(&pairs, &[("sslrootcert", "/c'\\}".to_owned())]),
            "Driver={a b};UID=o'x \"{}=;PWD={p;}}};\
             pqopt={sslrootcert='/c\\'\\\\}}' dbname='d;DRIVER=e'};"
        );
        let braced = [("uid".to_owned(), "{x}".to_owned())];
        assert_eq!(render(&braced, &[]), "pqopt={user='{x}}'};");
    }
}
