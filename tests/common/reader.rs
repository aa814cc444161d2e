//! The record reader against the oracle, in windows of every kind: shared by the property tests
//! and the fuzz target.

use std::sync::Arc;

use fastload::arena::{Batch, CellRef, CellType, IndicatorWidth, Reason, Segment};
use fastload::config::dialect::{Dialect, Encoding, Terminator};
use fastload::config::schema::{Column, SqlType};
use fastload::config::{DateFormats, FieldSource, LoadColumn};
use fastload::input::RawSource;
use fastload::parse::convert::Converter;
use fastload::parse::fields::FieldRef;
use fastload::parse::oracle::{Content, OracleField, OracleRecord, line_byte, read_records};
use fastload::parse::record_reader::{RecordReader, Step};
use fastload::parse::rows::{Cursor, Pause, RowParser, Window};
use fastload::parse::simd::Kernel;
use fastload::record::ByteRange;

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

/// Parses all of it into texts, in one window; the records as the oracle shows them, in its order,
/// as far as they have their end in the window. The fields come without how they were written.
fn read_rows(
    bytes: &[u8],
    dialect: &Dialect,
    field_count: usize,
    kernel: Kernel,
) -> Vec<(usize, usize, u64, Vec<Option<String>>)> {
    // Each byte is a character there, so that every field is a text.
    let dialect = Dialect { encoding: Encoding::Latin1, ..dialect.clone() };
    let column = |field| LoadColumn {
        column: Column {
            name: "c".to_owned(),
            ty: SqlType::VarChar(None),
            nullable: true,
            generated: false,
        },
        source: FieldSource::Field(field),
        empty_as_null: false,
    };
    let converter = |field| {
        let (cell, formats) = (CellType::Text, DateFormats::default());
        Converter::new(&column(field), cell, &dialect, &formats, true)
            .expect("every column can be text")
            .with_kernel(kernel)
    };
    let mut parser = RowParser::new(
        RecordReader::with_kernel(&dialect, field_count, kernel),
        (0..field_count).map(converter).collect(),
        (0..field_count).map(Some).collect(),
    );
    let mut batch = Batch::new(&vec![CellType::Text; field_count], IndicatorWidth::Wide, 0);
    batch.lay_out(bytes.len() + 1, &vec![2 * bytes.len() + 1; field_count]);
    batch.segments.push(segment());
    let window = Window { bytes, byte_offset: 0, last: true };
    parser.seek(0);
    let pause = parser.parse(window, bytes.len(), &mut Cursor::default(), &mut batch);
    assert!(matches!(pause, Pause::ChunkEnd | Pause::Endless { .. }), "{pause:?}");
    let place = |offset: u64, length: u64| {
        let start = usize::try_from(offset).expect("small");
        (start, start + usize::try_from(length).expect("small"))
    };
    let rows = (0..batch.rows()).map(|row| {
        let source = batch.row_sources[row];
        let texts = batch.columns.iter().map(|column| match column.cell(row) {
            CellRef::Text(text) => Some(String::from_utf8(text.to_vec()).expect("checked")),
            _ => None,
        });
        let (start, end) = place(source.byte_offset, source.byte_length.into());
        (source.record, (start, end, source.line.into(), texts.collect()))
    });
    let rejects = batch.rejects.iter().map(|reject| {
        assert!(matches!(reject.reason, Reason::Malformed { .. }), "{reject:?}");
        let (start, end) = place(reject.byte_offset, reject.byte_length);
        (reject.record, (start, end, reject.line.into(), Vec::new()))
    });
    let mut records: Vec<_> = rows.chain(rejects).collect();
    records.sort_by_key(|&(record, _)| record);
    assert!(records.iter().zip(1..).all(|(&(record, _), number)| record == number));
    records.into_iter().map(|(_, record)| record).collect()
}

fn segment() -> Segment {
    Segment {
        file: 0,
        range: ByteRange::default(),
        base_record: 0,
        base_line: 0,
        records: 0,
        first_row: 0,
        source: RawSource::Owned { bytes: Arc::default(), base: 0 },
        share_bytes: None,
        records_before: 0,
        numbered: 0,
        lines_before: 0,
        lines: 0,
        digest: 0,
    }
}

/// Holds rows against the oracle's records, with each kernel.
fn check_rows(bytes: &[u8], dialect: &Dialect, field_count: usize, expected: &[OracleRecord]) {
    let text = |field: &OracleField| {
        let is_null = field.value.is_empty() && !field.quoted;
        (!is_null).then(|| field.value.iter().copied().map(char::from).collect())
    };
    let expected: Vec<(usize, usize, u64, Vec<Option<String>>)> = expected
        .iter()
        .map(|record| {
            let texts = match &record.content {
                Content::Fields(fields) => fields.iter().map(text).collect(),
                Content::Malformed { .. } => Vec::new(),
            };
            (record.start, record.end, record.line, texts)
        })
        .collect();
    for kernel in Kernel::available() {
        let found = read_rows(bytes, dialect, field_count, kernel);
        let complete = expected.get(..found.len()).expect("no record too many");
        assert_eq!(found, complete, "{} {dialect:?}", kernel.name());
        let endless =
            |record: &(usize, usize, _, _)| record.1 - record.0 > dialect.max_record_bytes;
        let stopped_at = expected.get(found.len());
        assert!(
            stopped_at.is_none_or(endless) || dialect.comment.is_some(),
            "{} stopped before {stopped_at:?}",
            kernel.name()
        );
    }
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
    check_rows(bytes, dialect, field_count, &expected);
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
