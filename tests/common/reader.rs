//! The record reader against the oracle, in windows of every kind: shared by the property tests
//! and the fuzz target.

use fastload::config::dialect::{Dialect, Terminator};
use fastload::parse::fields::FieldRef;
use fastload::parse::oracle::{Content, OracleField, OracleRecord, line_byte, read_records};
use fastload::parse::record_reader::{RecordReader, Step};

/// Reads everything through windows that begin at the current record and grow by `window_bytes`
/// until the record is whole.
pub(crate) fn read_fast(
    bytes: &[u8],
    dialect: &Dialect,
    field_count: usize,
    window_bytes: usize,
) -> Vec<OracleRecord> {
    let mut reader = RecordReader::new(dialect, field_count);
    let mut records = Vec::new();
    let (mut at, mut line) = (0, 1);
    let mut end_of_window = 0;
    while at < bytes.len() {
        if end_of_window <= at {
            end_of_window = bytes.len().min(at + window_bytes);
        }
        let window = &bytes[..end_of_window];
        let mut fields = Vec::new();
        reader.seek(at);
        let step = reader.step(window, end_of_window == bytes.len(), at, at, &mut fields);
        let (content, end, newlines) = match step {
            Step::NeedMore => {
                assert!(end_of_window < bytes.len(), "asked for more at the end of the file");
                assert!(fields.is_empty());
                end_of_window = bytes.len().min(end_of_window + window_bytes);
                continue;
            }
            Step::Record { end, newlines } => {
                let fields =
                    fields.iter().map(|&field| resolve(window, at, field, dialect)).collect();
                (Some(Content::Fields(fields)), end, newlines)
            }
            Step::Skipped { end, newlines } => (None, end, newlines),
            Step::Malformed { what, at, field, end, newlines } => {
                (Some(Content::Malformed { what, at, field }), end, newlines)
            }
            Step::Endless { fault } => {
                assert!(end_of_window - at > dialect.max_record_bytes);
                let (end, newlines) = raw_newline(bytes, at, dialect);
                let content = fault.map(|(what, at, field)| Content::Malformed { what, at, field });
                (content, end, newlines)
            }
        };
        if let Some(content) = content {
            records.push(OracleRecord { start: at, end, line, content });
        }
        line += u64::from(newlines);
        at = end;
    }
    records
}

fn raw_newline(bytes: &[u8], from: usize, dialect: &Dialect) -> (usize, u32) {
    let newline: &[u8] = match dialect.terminator {
        Terminator::Auto | Terminator::Lf => b"\n",
        Terminator::CrLf => b"\r\n",
        Terminator::Cr => b"\r",
    };
    let found = bytes[from..].windows(newline.len()).position(|window| window == newline);
    let end = found.map_or(bytes.len(), |at| from + at + newline.len());
    let newlines = bytes[from..end].iter().filter(|&&b| b == line_byte(dialect)).count();
    (end, u32::try_from(newlines).expect("tests are short"))
}

/// A field as the oracle shows it. Missing fields of a padded record look like unquoted empty ones.
fn resolve(window: &[u8], base: usize, field: FieldRef, dialect: &Dialect) -> OracleField {
    let raw = &window[base + field.start()..][..field.len()];
    let mut value = Vec::new();
    let mut at = 0;
    while at < raw.len() {
        let escape = Some(raw[at]) == dialect.escape;
        let doubled = field.is_quoted()
            && dialect.double_quote
            && Some(raw[at]) == dialect.quote
            && raw.get(at + 1) == Some(&raw[at]);
        if escape || doubled {
            assert!(field.is_escaped());
            at += 1;
        }
        value.push(raw[at]);
        at += 1;
    }
    OracleField { value, quoted: field.is_quoted(), raw: raw.to_vec() }
}

/// Holds the fast reader against the oracle.
pub(crate) fn check(bytes: &[u8], dialect: &Dialect, field_count: usize) {
    let mut expected = read_records(bytes, 0, 1, dialect, field_count);
    for record in &mut expected {
        if let Content::Fields(fields) = &mut record.content {
            let empty = OracleField { value: Vec::new(), quoted: false, raw: Vec::new() };
            fields.resize(field_count, empty);
        }
    }
    for window_bytes in [1, 2, 3, 7, 64, bytes.len().max(1)] {
        let found = read_fast(bytes, dialect, field_count, window_bytes);
        assert_eq!(
            found,
            expected,
            "window of {window_bytes}, {field_count} fields, {dialect:?}, input {:?}",
            String::from_utf8_lossy(bytes)
        );
    }
}
