//! Typed conversion against the slow one: the input is the value of a field, tried as every type,
//! unquoted, quoted and with escapes.

#![no_main]

use fastload::arena::{CellType, ColumnBuffer, IndicatorWidth};
use fastload::config::dialect::{Dialect, Encoding};
use fastload::config::schema::{Column, LengthUnit, SqlType, TextLength};
use fastload::config::{DateFormats, FieldSource, LoadColumn};
use fastload::parse::convert::oracle::{Cell, Field, Oracle};
use fastload::parse::convert::{Converter, FieldBlock};
use fastload::parse::fields::FieldRef;
use fastload::record::Fault;
use libfuzzer_sys::fuzz_target;

/// The same field stands in the block so often: at its start, in its middle and at its end.
const RECORDS: usize = 3;

/// No conversion looks at more than a few words of a value at a time; longer ones only cost time.
const LONGEST_BYTES: usize = 200;

/// Short lengths, so that mutation reaches both sides of them.
fn columns() -> [(SqlType, CellType); 17] {
    let length = |max, unit| TextLength { max, unit };
    let characters = length(7, LengthUnit::Characters);
    [
        (SqlType::SmallInt, CellType::I16),
        (SqlType::Integer, CellType::I32),
        (SqlType::BigInt, CellType::I64),
        (decimal(5, 2), CellType::Text),
        (decimal(31, 10), CellType::Text),
        (SqlType::Real, CellType::F32),
        (SqlType::Double, CellType::F64),
        (SqlType::Char(characters), CellType::Text),
        (SqlType::VarChar(Some(length(9, LengthUnit::Bytes))), CellType::Text),
        (SqlType::VarChar(None), CellType::Text),
        (SqlType::Date, CellType::Date),
        (SqlType::Date, CellType::Text),
        (SqlType::Time, CellType::Time),
        (SqlType::Timestamp { precision: 6 }, CellType::Timestamp),
        (SqlType::Timestamp { precision: 3 }, CellType::Text),
        (SqlType::Boolean, CellType::Bit),
        (SqlType::VarBinary(Some(6)), CellType::Bytes),
    ]
}

fn decimal(precision: u8, scale: u8) -> SqlType {
    SqlType::Decimal { precision, scale }
}

/// The value as fields that a parser could hand over, each with the dialect it belongs to.
fn fields(value: &[u8]) -> Vec<(Dialect, Field)> {
    let dialect = |encoding, escape| Dialect {
        encoding,
        escape,
        null_values: vec![b"NULL".to_vec()],
        ..Dialect::default()
    };
    let field = |raw: &[u8], quoted, escaped| Field { raw: raw.to_vec(), quoted, escaped };
    let mut doubled = Vec::with_capacity(value.len() + 2);
    for &byte in value {
        doubled.extend(std::iter::repeat_n(byte, if byte == b'"' { 2 } else { 1 }));
    }
    let has_quotes = doubled.len() > value.len();
    let mut fields = vec![
        (dialect(Encoding::Utf8, None), field(value, false, false)),
        (dialect(Encoding::Utf8, None), field(&doubled, true, has_quotes)),
        (dialect(Encoding::Latin1, None), field(value, false, false)),
        (dialect(Encoding::Windows1252, None), field(&doubled, true, has_quotes)),
    ];
    // An escape is never a field's last byte: it would have taken the delimiter into the field.
    if value.contains(&b'\\') && value.last() != Some(&b'\\') {
        let escapes = dialect(Encoding::Utf8, Some(b'\\'));
        fields.push((escapes, field(value, false, true)));
    }
    fields
}

fn oracle(ty: SqlType, cell: CellType, dialect: Dialect, nullable: bool) -> Oracle {
    let column = Column { name: "c".to_owned(), ty, nullable, generated: false };
    Oracle {
        column: LoadColumn { column, source: FieldSource::Field(0), empty_as_null: false },
        cell,
        dialect,
        formats: DateFormats::default(),
        nul_in_text: false,
    }
}

/// All records' cells or faults, converted in one block that begins `lead` bytes into its window.
fn convert(
    oracle: &Oracle,
    field: &Field,
    lead: usize,
    width: IndicatorWidth,
) -> Vec<Result<Cell, Fault>> {
    let converter = Converter::new(
        &oracle.column,
        oracle.cell,
        &oracle.dialect,
        &oracle.formats,
        oracle.nul_in_text,
    )
    .expect("the pairs of types and cells go together");
    let mut bytes = vec![b'7'; lead];
    let mut refs = Vec::new();
    for _ in 0..RECORDS {
        let start = u32::try_from(bytes.len() - lead).expect("inputs are short");
        let length = u32::try_from(field.raw.len()).expect("inputs are short");
        bytes.extend_from_slice(&field.raw);
        refs.push(FieldRef::new(start, length, field.quoted, field.escaped));
    }
    let block =
        FieldBlock { bytes: &bytes, base: lead, fields: &refs, field_count: 1, records: RECORDS };
    let mut column = ColumnBuffer::new(oracle.cell, width);
    let mut stride = 4;
    let mut faults = Vec::new();
    loop {
        column.lay_out(RECORDS, stride);
        faults.clear();
        match converter.convert(&block, &mut column, 0, &mut faults) {
            Ok(()) => break,
            Err(need) => {
                assert!(need.bytes > stride, "no reason to ask for {need:?}");
                stride = need.bytes;
            }
        }
    }
    let mut results: Vec<_> = (0..RECORDS).map(|row| Ok(Cell::from(column.cell(row)))).collect();
    for (record, fault) in faults {
        let result = &mut results[usize::try_from(record).expect("an index in the block")];
        assert_eq!(*result, Ok(Cell::Null), "a row at fault is NULL");
        *result = Err(fault);
    }
    results
}

fuzz_target!(|value: &[u8]| {
    if value.len() > LONGEST_BYTES {
        return;
    }
    // What is not the value's business follows from its length, so that a corpus file is a value.
    let lead = value.len() % 19;
    let nullable = value.len() % 2 == 0;
    let width = match value.len() % 3 {
        0 => IndicatorWidth::Narrow,
        _ => IndicatorWidth::Wide,
    };
    for (dialect, field) in fields(value) {
        for (ty, cell) in columns() {
            let oracle = oracle(ty, cell, dialect.clone(), nullable);
            let expected = oracle.convert(&field);
            for found in convert(&oracle, &field, lead, width) {
                assert_eq!(found, expected, "{ty} in {cell:?}, {width:?}, {field:?}");
            }
        }
    }
});
