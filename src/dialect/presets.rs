//! Named dialects, single overrides on top of them, and the way back: a dialect as flags.

use crate::config::dialect::{Dialect, Encoding, FieldsRule, Terminator};
use crate::config::dialect_options::DialectOptions;
use crate::config::setting::{ByteRole, Delimiter, Preset, Setting};

/// All presets, in the order in which the sniffer tries them.
pub const PRESETS: [Preset; 4] = [Preset::Csv, Preset::Tsv, Preset::Pipe, Preset::Tbl];

/// The dialect that a name stands for.
#[must_use]
pub fn preset(name: Preset) -> Dialect {
    let csv = Dialect::default();
    match name {
        Preset::Csv => csv,
        Preset::Tsv => Dialect { delimiter: b"\t".to_vec(), ..csv },
        Preset::Pipe => Dialect { delimiter: b"|".to_vec(), ..csv },
        Preset::Tbl => Dialect {
            delimiter: b"|".to_vec(),
            quote: None,
            header: false,
            trailing_delimiter: true,
            ..csv
        },
    }
}

/// The dialect with every override that was given.
#[must_use]
pub fn apply(options: &DialectOptions, base: Dialect) -> Dialect {
    Dialect {
        delimiter: options.delimiter.clone().unwrap_or(base.delimiter),
        quote: options.quote.unwrap_or(base.quote),
        escape: options.escape.unwrap_or(base.escape),
        double_quote: options.double_quote.unwrap_or(base.double_quote),
        terminator: options.eol.unwrap_or(base.terminator),
        comment: options.comment.unwrap_or(base.comment),
        header: options.header.unwrap_or(base.header),
        skip_lines: options.skip_lines.unwrap_or(base.skip_lines),
        null_values: if options.null_values.is_empty() {
            base.null_values
        } else {
            options.null_values.clone()
        },
        trim: options.trim.unwrap_or(base.trim),
        trailing_delimiter: options.trailing_delimiter.unwrap_or(base.trailing_delimiter),
        bare_quote: options.bare_quote.unwrap_or(base.bare_quote),
        fields: options.fields.unwrap_or(base.fields),
        encoding: options.encoding.unwrap_or(base.encoding),
        max_record_bytes: options.max_record_bytes.unwrap_or(base.max_record_bytes),
        max_field_bytes: options.max_field_bytes.unwrap_or(base.max_field_bytes),
    }
}

/// The dialect as flag and value: the nearest preset, then what differs from it.
#[must_use]
pub fn as_flags(dialect: &Dialect) -> Vec<(&'static str, String)> {
    PRESETS
        .iter()
        .map(|&name| {
            let mut flags = vec![("--dialect", name.show())];
            flags.extend(differences(dialect, &preset(name)));
            flags
        })
        .min_by_key(Vec::len)
        .unwrap_or_default()
}

/// The same as text that a shell takes.
#[must_use]
pub fn command_line(dialect: &Dialect) -> String {
    let word = |(flag, value): (&str, String)| match value.as_str() {
        "" if flag != "--null-value" => flag.to_owned(),
        "true" | "false" => format!("{flag}={value}"),
        _ => format!("{flag} {}", shell_word(&value)),
    };
    as_flags(dialect).into_iter().map(word).collect::<Vec<_>>().join(" ")
}

fn shell_word(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,/:+%".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', "'\\''"))
    }
}

fn differences(dialect: &Dialect, base: &Dialect) -> Vec<(&'static str, String)> {
    let mut flags = Vec::new();
    let mut differ = |flag: &'static str, differs: bool, value: String| {
        if differs {
            flags.push((flag, value));
        }
    };
    let d = dialect;
    let delimiter = Delimiter(d.delimiter.clone()).show();
    differ("--delimiter", d.delimiter != base.delimiter, delimiter);
    differ("--quote", d.quote != base.quote, ByteRole(d.quote).show());
    differ("--escape", d.escape != base.escape, ByteRole(d.escape).show());
    differ("--double-quote", d.double_quote != base.double_quote, d.double_quote.to_string());
    differ("--header", d.header && !base.header, String::new());
    differ("--no-header", !d.header && base.header, String::new());
    differ("--skip-lines", d.skip_lines != base.skip_lines, d.skip_lines.to_string());
    differ("--comment", d.comment != base.comment, ByteRole(d.comment).show());
    differ("--eol", d.terminator != Terminator::Auto, d.terminator.show());
    differ("--encoding", d.encoding != Encoding::Utf8, d.encoding.show());
    for null in &d.null_values {
        differ("--null-value", true, String::from_utf8_lossy(null).into_owned());
    }
    differ("--trim", d.trim != base.trim, d.trim.to_string());
    differ(
        "--trailing-delimiter",
        d.trailing_delimiter != base.trailing_delimiter,
        d.trailing_delimiter.to_string(),
    );
    differ("--bare-quote", d.bare_quote != base.bare_quote, d.bare_quote.show());
    differ("--fields", d.fields != FieldsRule::Exact, d.fields.show());
    let (record, field) = (d.max_record_bytes, d.max_field_bytes);
    let differs = record != base.max_record_bytes;
    differ("--max-record-bytes", differs, record.to_string());
    let differs = field != base.max_field_bytes;
    differ("--max-field-bytes", differs, field.to_string());
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_is_its_own_flag() {
        for name in PRESETS {
            assert_eq!(command_line(&preset(name)), format!("--dialect {}", name.show()));
            preset(name).validate().unwrap();
        }
    }

    #[test]
    fn overrides_come_back_as_flags() {
        let options = DialectOptions {
            delimiter: Some(b";".to_vec()),
            quote: Some(Some(b'\'')),
            header: Some(false),
            null_values: vec![b"\\N".to_vec()],
            trim: Some(true),
            ..DialectOptions::default()
        };
        let dialect = apply(&options, preset(Preset::Csv));
        assert_eq!(
            command_line(&dialect),
            "--dialect csv --delimiter ';' --quote ''\\''' --no-header --null-value '\\N' \
             --trim=true"
        );
    }
}
