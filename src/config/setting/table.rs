//! Values about the table that is loaded.

use super::{Setting, join, plain_names, show_name};
use crate::config::StagingAttribute;

/// `--key a,b`: columns by name, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnNames(pub Vec<String>);

/// `--staging[=TABLE]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StagingChoice {
    /// No staging table (`false`).
    Off,
    /// One of our own, made for the load and dropped after it (`true`, the flag without a value).
    Own,
    /// This one.
    Named(String),
}

/// `--staging-attributes append-on,not-logged`: at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagingAttributes(pub Vec<StagingAttribute>);

impl Setting for StagingAttributes {
    fn parse(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(|word| StagingAttribute::parse(word.trim()))
            .collect::<Result<_, _>>()
            .map(Self)
    }
    fn show(&self) -> String {
        join(self.0.iter().map(StagingAttribute::show))
    }
}

impl Setting for ColumnNames {
    fn parse(text: &str) -> Result<Self, String> {
        let names = plain_names(text)?;
        if names.is_empty() {
            return Err("must name a column".to_owned());
        }
        if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name))
        {
            return Err(format!("names {} twice", twice.1));
        }
        Ok(Self(names))
    }
    fn show(&self) -> String {
        join(self.0.iter().map(|name| show_name(name)))
    }
}

impl Setting for StagingChoice {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "" | "true" => Self::Own,
            "false" => Self::Off,
            name => Self::Named(name.to_owned()),
        })
    }
    fn show(&self) -> String {
        match self {
            Self::Off => "false".to_owned(),
            Self::Own => "true".to_owned(),
            Self::Named(name) => name.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_names() {
        let key = ColumnNames::parse("a,\"b,c\"").expect("two names");
        assert_eq!(key.0, ["a", "b,c"]);
        assert_eq!(ColumnNames::parse(&key.show()), Ok(key));
        for bad in ["", "-a", "a,a"] {
            assert!(ColumnNames::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn staging_is_a_name_or_a_word() {
        for (text, choice) in [
            ("", StagingChoice::Own),
            ("true", StagingChoice::Own),
            ("false", StagingChoice::Off),
            ("s.t", StagingChoice::Named("s.t".to_owned())),
        ] {
            assert_eq!(StagingChoice::parse(text), Ok(choice.clone()));
            assert_eq!(StagingChoice::parse(&choice.show()), Ok(choice));
        }
    }
}
