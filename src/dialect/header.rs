//! What stands before the data of a file: skipped lines, and the header with the names of the
//! fields.

use std::path::Path;

use super::head::HeadReader;
use crate::config::dialect::{Dialect, Encoding, Terminator};
use crate::error::{Error, Result};

/// What stands before the data of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preamble {
    /// Names of the fields in their order, where the dialect has a header.
    pub names: Option<Vec<String>>,
    /// Offset in `body` of the first byte behind the skipped lines and the header.
    pub end: usize,
    /// Lines before it.
    pub lines: u64,
}

/// Reads what stands before the data: skipped lines and the header.
///
/// `body` is the head of the file behind its byte order mark; `complete` says that the file ends
/// with it. Names are taken as they stand: only `--trim` drops blanks. Names that are empty or
/// equal are no error here: they are one when a column depends on them ([`super::mapping`]).
///
/// # Errors
/// No header record in the head, a malformed one, or one that is not valid in the encoding
/// (input).
pub fn read_preamble(
    path: &Path,
    dialect: &Dialect,
    body: &[u8],
    complete: bool,
) -> Result<Preamble> {
    let wrong = |what: String, help: &str| Error::input(path, what, help);
    let mut reader = HeadReader::new(dialect, body, complete);
    if reader.offset() == body.len() && !complete {
        let what = format!("the skipped lines do not end within {} bytes", body.len());
        return Err(wrong(what, "check --skip-lines"));
    }
    let preamble = |names, end: usize| {
        let line_byte = if dialect.terminator == Terminator::Cr { b'\r' } else { b'\n' };
        let lines = body[..end].iter().filter(|&&byte| byte == line_byte).count() as u64;
        Preamble { names, end, lines }
    };
    if !dialect.header {
        return Ok(preamble(None, reader.offset()));
    }
    let Some(record) = reader.next() else {
        let what = if complete {
            "has no header record".to_owned()
        } else {
            format!("the header does not end within {} bytes", body.len())
        };
        return Err(wrong(what, "if there is no header, say --no-header"));
    };
    let fields = record.fields.map_err(|fault| {
        wrong(
            format!("the header record at byte {} is malformed: {fault:?}", record.start),
            "check --delimiter, --quote and --skip-lines",
        )
    })?;
    let names = fields.iter().enumerate().map(|(index, field)| {
        decode(&field.bytes, dialect.encoding).ok_or_else(|| {
            wrong(
                format!("the name of field {} is not valid {}", index + 1, dialect.encoding.name()),
                "say --encoding latin1 or windows-1252",
            )
        })
    });
    let names = names.collect::<Result<Vec<String>>>()?;
    Ok(preamble(Some(names), record.end))
}

/// Whether a whole file has a record behind what stands before the data: blank lines and comments
/// are none.
#[must_use]
pub fn has_record(dialect: &Dialect, data: &[u8]) -> bool {
    let dialect = Dialect { skip_lines: 0, ..dialect.clone() };
    HeadReader::new(&dialect, data, true).next().is_some()
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
        read_preamble(Path::new("f"), dialect, body, true).map(|preamble| preamble.names)
    }

    #[test]
    fn names_are_taken_as_they_stand() {
        let csv = Dialect::default();
        let found = names(&csv, b"id,\"a \"\"b\"\"\r\n\", c\n1,2,3\n").unwrap().unwrap();
        assert_eq!(found, ["id", "a \"b\"\r\n", " c"]);
        let none = Dialect { header: false, ..Dialect::default() };
        assert_eq!(names(&none, b"1,2\n").unwrap(), None);
    }

    #[test]
    fn encodings() {
        let in_encoding = |encoding| Dialect { encoding, ..Dialect::default() };
        assert!(names(&in_encoding(Encoding::Utf8), b"\xe9\n").is_err());
        let latin = names(&in_encoding(Encoding::Latin1), b"\xe9\n").unwrap().unwrap();
        assert_eq!(latin, ["é"]);
        let windows = names(&in_encoding(Encoding::Windows1252), b"\x80\n").unwrap().unwrap();
        assert_eq!(windows, ["€"]);
    }

    #[test]
    fn missing_and_malformed_headers() {
        let csv = Dialect::default();
        assert!(names(&csv, b"").unwrap_err().to_string().contains("no header"));
        assert!(names(&csv, b"a,b\"c\n").unwrap_err().to_string().contains("malformed"));
        let long = read_preamble(Path::new("f"), &csv, b"abc", false).unwrap_err();
        assert!(long.to_string().contains("within 3 bytes"));
    }

    #[test]
    fn blank_lines_and_comments_are_no_records() {
        let dialect = Dialect { comment: Some(b'#'), skip_lines: 1, ..Dialect::default() };
        for (data, has) in
            [("", false), ("\n\r\n\n", false), ("# a\n#b", false), ("\n1", true), (",", true)]
        {
            assert_eq!(has_record(&dialect, data.as_bytes()), has, "{data:?}");
        }
    }

    #[test]
    fn the_data_begins_behind_lines_and_header() {
        let csv = Dialect { skip_lines: 2, ..Dialect::default() };
        let body = b"junk\n\n\"a\nb\",c\r\n1,2\n";
        let found = read_preamble(Path::new("f"), &csv, body, true).unwrap();
        assert_eq!((found.end, found.lines), (15, 4));
        let bare = Dialect { header: false, ..csv };
        let found = read_preamble(Path::new("f"), &bare, body, true).unwrap();
        assert_eq!((found.names, found.end, found.lines), (None, 6, 2));
        assert!(read_preamble(Path::new("f"), &bare, b"junk", false).is_err());
    }
}
