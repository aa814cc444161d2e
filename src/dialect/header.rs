//! The header: names of the fields.

use std::path::Path;

use super::head::HeadReader;
use crate::config::dialect::{Dialect, Encoding};
use crate::error::{Error, Result};

/// Names of the fields in their order, or `None` when the dialect has no header.
///
/// `body` is the head of the file behind its byte order mark. Names are taken as they stand:
/// only `--trim` drops blanks. Names that are empty or equal are no error here: they are one when a
/// column depends on them ([`super::mapping`]).
///
/// # Errors
/// No header record in the head, a malformed one, or one that is not valid in the encoding
/// (input).
pub fn read_header(
    path: &Path,
    dialect: &Dialect,
    body: &[u8],
    complete: bool,
) -> Result<Option<Vec<String>>> {
    if !dialect.header {
        return Ok(None);
    }
    let wrong = |what: String, help: &str| Error::input(path, what, help);
    let Some(record) = HeadReader::new(dialect, body, complete).next() else {
        let what = if complete {
            "has no header record".to_owned()
        } else {
            format!("the header does not end within {} bytes", body.len())
        };
        return Err(wrong(what, "if there is no header, say --no-header"));
    };
    let fields = record.fields.map_err(|fault| {
        wrong(
            format!(
                "the header record at byte {} is malformed: {fault:?}",
                record.start
            ),
            "check --delimiter, --quote and --skip-lines",
        )
    })?;
    let names = fields.iter().enumerate().map(|(index, field)| {
        decode(&field.bytes, dialect.encoding).ok_or_else(|| {
            wrong(
                format!(
                    "the name of field {} is not valid {}",
                    index + 1,
                    dialect.encoding.name()
                ),
                "say --encoding latin1 or windows-1252",
            )
        })
    });
    names.collect::<Result<Vec<String>>>().map(Some)
}

fn decode(bytes: &[u8], encoding: Encoding) -> Option<String> {
    match encoding {
        Encoding::Utf8 => std::str::from_utf8(bytes).ok().map(str::to_owned),
        Encoding::Latin1 => Some(bytes.iter().map(|&byte| char::from(byte)).collect()),
        Encoding::Windows1252 => {
            let (text, _) = encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes);
            Some(text.into_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dialect: &Dialect, body: &[u8]) -> Result<Option<Vec<String>>> {
        read_header(Path::new("f"), dialect, body, true)
    }

    #[test]
    fn names_are_taken_as_they_stand() {
        let csv = Dialect::default();
        let found = names(&csv, b"id,\"a \"\"b\"\"\r\n\", c\n1,2,3\n")
            .unwrap()
            .unwrap();
        assert_eq!(found, ["id", "a \"b\"\r\n", " c"]);
        let none = Dialect {
            header: false,
            ..Dialect::default()
        };
        assert_eq!(names(&none, b"1,2\n").unwrap(), None);
    }

    #[test]
    fn encodings() {
        let in_encoding = |encoding| Dialect {
            encoding,
            ..Dialect::default()
        };
        assert!(names(&in_encoding(Encoding::Utf8), b"\xe9\n").is_err());
        let latin = names(&in_encoding(Encoding::Latin1), b"\xe9\n")
            .unwrap()
            .unwrap();
        assert_eq!(latin, ["é"]);
        let windows = names(&in_encoding(Encoding::Windows1252), b"\x80\n")
            .unwrap()
            .unwrap();
        assert_eq!(windows, ["€"]);
    }

    #[test]
    fn missing_and_malformed_headers() {
        let csv = Dialect::default();
        assert!(
            names(&csv, b"")
                .unwrap_err()
                .to_string()
                .contains("no header")
        );
        assert!(
            names(&csv, b"a,b\"c\n")
                .unwrap_err()
                .to_string()
                .contains("malformed")
        );
        let long = read_header(Path::new("f"), &csv, b"abc", false).unwrap_err();
        assert!(long.to_string().contains("within 3 bytes"));
    }
}
