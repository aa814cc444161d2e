//! The fast conversions against the slow ones: what all the tests use.

mod random;
mod rules;
mod values;

use super::oracle::{Cell, Field, Oracle};
use super::*;
use crate::config::schema::{Column, LengthUnit, TextLength};

/// An oracle for a nullable column of a type.
fn oracle(ty: SqlType, cell: CellType) -> Oracle {
    let column = Column { name: "c".to_owned(), ty, nullable: true, generated: false };
    Oracle {
        column: LoadColumn { column, source: FieldSource::Field(1), empty_as_null: false },
        cell,
        dialect: Dialect::default(),
        formats: DateFormats::default(),
        nul_in_text: false,
    }
}

fn plain(text: impl AsRef<[u8]>) -> Field {
    Field { raw: text.as_ref().to_vec(), quoted: false, escaped: false }
}

fn quoted(text: impl AsRef<[u8]>) -> Field {
    Field { quoted: true, ..plain(text) }
}

/// Fields in a window: the tested one is the middle one of three, `lead` and `tail` bytes stand
/// around the block.
struct Window {
    bytes: Vec<u8>,
    base: usize,
    fields: Vec<FieldRef>,
}

impl Window {
    fn new(fields: &[Field], lead: usize, tail: usize) -> Self {
        let mut bytes = vec![b'7'; lead];
        let mut refs = Vec::new();
        for field in fields {
            let start = u32::try_from(bytes.len() - lead).unwrap();
            let len = u32::try_from(field.raw.len()).unwrap();
            bytes.extend_from_slice(&field.raw);
            refs.extend([
                FieldRef::MISSING,
                FieldRef::new(start, len, field.quoted, field.escaped),
                FieldRef::plain(start, len),
            ]);
            if tail > 0 {
                bytes.push(b',');
            }
        }
        bytes.resize(bytes.len() + tail, b'9');
        Self { bytes, base: lead, fields: refs }
    }

    fn block(&self) -> FieldBlock<'_> {
        FieldBlock {
            bytes: &self.bytes,
            base: self.base,
            fields: &self.fields,
            field_count: 3,
            records: self.fields.len() / 3,
        }
    }
}

const FIRST_ROW: usize = 2;

/// Converts the fields, widening the column as long as it is asked for. The column has room for
/// `spare_rows` more.
fn convert(
    oracle: &Oracle,
    window: &Window,
    width: IndicatorWidth,
    mut stride: usize,
    kernel: Kernel,
    spare_rows: usize,
) -> Vec<Result<Cell, Fault>> {
    let converter = Converter::new(
        &oracle.column,
        oracle.cell,
        &oracle.dialect,
        &oracle.formats,
        oracle.nul_in_text,
    )
    .unwrap()
    .with_kernel(kernel);
    let block = window.block();
    let mut column = ColumnBuffer::new(oracle.cell, width);
    let mut faults = Vec::new();
    loop {
        column.lay_out(FIRST_ROW + block.records + spare_rows, stride);
        faults.clear();
        match converter.convert(&block, &mut column, FIRST_ROW, &mut faults) {
            Ok(()) => break,
            Err(need) => {
                assert!(need.bytes > stride, "no reason to ask for {need:?}");
                stride = need.bytes;
            }
        }
    }
    assert!(faults.is_sorted_by_key(|&(record, _)| record));
    for row in 0..FIRST_ROW {
        assert_eq!(column.indicators.get(row), 0, "a row before the block was written");
    }
    let mut faults = faults.into_iter().peekable();
    (0..block.records)
        .map(|record| {
            let cell = Cell::from(column.cell(FIRST_ROW + record));
            match faults.next_if(|&(at, _)| at as usize == record) {
                Some((_, fault)) => {
                    assert_eq!(cell, Cell::Null);
                    Err(fault)
                }
                None => Ok(cell),
            }
        })
        .collect()
}

/// Holds fast against slow: with each kernel, for both widths of indicator, at the end of window
/// and column and far from it.
fn check(oracle: &Oracle, fields: &[Field], lead: usize, tail: usize, stride: usize) {
    let slow: Vec<_> = fields.iter().map(|field| oracle.convert(field)).collect();
    for (width, more) in [(IndicatorWidth::Narrow, 0), (IndicatorWidth::Wide, 160)] {
        let window = Window::new(fields, lead + more, tail + more);
        for kernel in Kernel::available() {
            let fast = convert(oracle, &window, width, stride, kernel, more);
            for ((fast, slow), field) in fast.iter().zip(&slow).zip(fields) {
                // As text, because -0.0 is not 0.0 here.
                let (fast, slow) = (format!("{fast:?}"), format!("{slow:?}"));
                let ty = oracle.column.column.ty;
                assert_eq!(fast, slow, "{ty:?} {field:?} {}", kernel.name());
            }
        }
    }
}

fn check_texts(ty: SqlType, cell: CellType, texts: &[&str]) {
    let fields: Vec<_> = texts.iter().flat_map(|text| [plain(text), quoted(text)]).collect();
    for lead in [0, 1, 5, 40] {
        check(&oracle(ty, cell), &fields, lead, 40, 1);
        check(&oracle(ty, cell), &fields, lead, 0, 64);
    }
}

fn converted(oracle: &Oracle, field: &Field) -> Result<Cell, Fault> {
    check(oracle, std::slice::from_ref(field), 3, 3, 8);
    oracle.convert(field)
}

const DECIMAL_15_2: SqlType = SqlType::Decimal { precision: 15, scale: 2 };

const fn characters(max: u32) -> TextLength {
    TextLength { max, unit: LengthUnit::Characters }
}

const fn octets(max: u32) -> TextLength {
    TextLength { max, unit: LengthUnit::Bytes }
}

/// Every pair of type and cell with some parameters.
fn pairs() -> Vec<(SqlType, CellType)> {
    use CellType as C;
    let decimal = |precision, scale| SqlType::Decimal { precision, scale };
    let timestamp = |precision| SqlType::Timestamp { precision };
    vec![
        (SqlType::SmallInt, C::I16),
        (SqlType::SmallInt, C::I32),
        (SqlType::SmallInt, C::I64),
        (SqlType::Integer, C::I32),
        (SqlType::Integer, C::I64),
        (SqlType::BigInt, C::I64),
        (DECIMAL_15_2, C::Text),
        (decimal(5, 5), C::Text),
        (decimal(5, 0), C::Text),
        (decimal(31, 10), C::Text),
        (SqlType::Real, C::F32),
        (SqlType::Real, C::F64),
        (SqlType::Double, C::F64),
        (SqlType::Date, C::Date),
        (SqlType::Date, C::Text),
        (SqlType::Time, C::Time),
        (SqlType::Time, C::Text),
        (timestamp(9), C::Timestamp),
        (timestamp(6), C::Timestamp),
        (timestamp(0), C::Text),
        (timestamp(9), C::Text),
        (SqlType::Boolean, C::Bit),
        (SqlType::Boolean, C::I16),
        (SqlType::Boolean, C::I32),
        (SqlType::Boolean, C::I64),
        (SqlType::Boolean, C::Text),
        (SqlType::Binary(4), C::Bytes),
        (SqlType::VarBinary(Some(8)), C::Bytes),
        (SqlType::VarBinary(None), C::Bytes),
        (SqlType::VarChar(None), C::Text),
        (SqlType::VarChar(Some(characters(10))), C::Text),
        (SqlType::VarChar(Some(octets(20))), C::Text),
        (SqlType::Char(characters(3)), C::Text),
    ]
}
