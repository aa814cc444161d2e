//! Typed, strict conversion of the fields of a block of records into one column of an arena.
//!
//! One column at a time: the type, the width of the indicators and the form of the cells are chosen
//! once for a block ([`crate::limits::BLOCK_RECORDS`] records), and the loop inside knows them all.
//! Digits are handled in words of 8 and 16 bytes, loaded so that they end where the field ends: the
//! bytes before a field are other fields of the same window, and masks take them out.
//!
//! A value is either in the cell exactly as the file says it, or a [`Fault`]. What each type takes
//! is said at the head of its file; [`oracle`] says it again, slowly, and the tests hold the two
//! together.

mod binary;
mod boolean;
mod date;
mod decimal;
mod field;
mod float;
mod format;
mod integer;
pub mod oracle;
pub(super) mod swar;
mod text;
mod time;
mod timestamp;

use std::fmt;

use crate::arena::column::NULL_INDICATOR;
use crate::arena::{CellType, ColumnBuffer, IndicatorWidth, Indicators, Values};
use crate::config::dialect::{Dialect, Encoding};
use crate::config::schema::SqlType;
use crate::config::{DateFormats, FieldSource, LoadColumn};
use crate::record::Fault;

use super::fields::FieldRef;
use super::simd::Kernel;
use field::{Decode, DecodeBlock, QuotedEmpty, Render, RenderBlock, Rows, Rules, Word};
use format::{Format, Scope};

/// The fields of some records that follow each other.
#[derive(Debug, Clone, Copy)]
pub struct FieldBlock<'a> {
    /// The whole visible window. Bytes outside the fields may be read, never used.
    pub bytes: &'a [u8],
    /// Offset in `bytes` of the block's start: field offsets count from there.
    pub base: usize,
    /// Fields, record after record.
    pub fields: &'a [FieldRef],
    /// Fields of each record.
    pub field_count: usize,
    /// Records; `fields` has `records * field_count` entries.
    pub records: usize,
}

/// A text or byte value does not fit the arena's present stride though the column takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeedStride {
    /// Index in the block of the record that holds it.
    pub record: u32,
    /// Bytes of the value in the arena.
    pub bytes: usize,
}

/// A column that cannot be converted as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// A sentence that names the column and what is wrong: a pair of type and cell, a format of
    /// dates, a constant that is no value of the type.
    pub message: String,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unsupported {}

/// One column's conversion, compiled from a [`LoadColumn`].
#[derive(Debug)]
pub struct Converter {
    rules: Rules,
    conversion: Conversion,
    source: Source,
    kernel: Kernel,
}

#[derive(Debug)]
enum Source {
    Field(usize),
    /// One row, converted when the converter was made.
    Constant(ColumnBuffer),
}

#[derive(Debug)]
enum Conversion {
    Integer(integer::Integer),
    Decimal(decimal::Decimal),
    Real(float::Real),
    Double(float::Double),
    Date(date::Dates),
    Time(time::Times),
    Timestamp(timestamp::Timestamps),
    Utf8(text::Utf8),
    SingleByte(text::SingleByte),
    Binary(binary::Binary),
    Boolean(boolean::Boolean),
}

/// Whether values of a type can stand in cells of a form.
fn is_supported(ty: SqlType, cell: CellType) -> bool {
    use CellType as Cell;
    match ty {
        SqlType::SmallInt => matches!(cell, Cell::I16 | Cell::I32 | Cell::I64),
        SqlType::Integer => matches!(cell, Cell::I32 | Cell::I64),
        SqlType::BigInt => matches!(cell, Cell::I64),
        SqlType::Real => matches!(cell, Cell::F32 | Cell::F64),
        SqlType::Double => matches!(cell, Cell::F64),
        SqlType::Decimal { .. } | SqlType::Char(_) | SqlType::VarChar(_) => cell == Cell::Text,
        SqlType::Date => matches!(cell, Cell::Date | Cell::Text),
        SqlType::Time => matches!(cell, Cell::Time | Cell::Text),
        SqlType::Timestamp { .. } => matches!(cell, Cell::Timestamp | Cell::Text),
        SqlType::Boolean => {
            matches!(cell, Cell::Bit | Cell::I16 | Cell::I32 | Cell::I64 | Cell::Text)
        }
        SqlType::Binary(_) | SqlType::VarBinary(_) => cell == Cell::Bytes,
    }
}

impl Conversion {
    fn new(
        ty: SqlType,
        encoding: Encoding,
        formats: &DateFormats,
        nul_in_text: bool,
    ) -> Result<Self, String> {
        let format = |text: &Option<String>, scope| {
            let compiled = text.as_deref().map(|text| Format::compile(text, scope));
            compiled.transpose()
        };
        let text = |length| match text::SingleByte::new(encoding, length, nul_in_text) {
            Some(conversion) => Self::SingleByte(conversion),
            None => Self::Utf8(text::Utf8::new(length, nul_in_text)),
        };
        let binary = |max_bytes| Self::Binary(binary::Binary { max_bytes });
        Ok(match ty {
            SqlType::SmallInt => Self::Integer(integer::Integer::up_to(i16::MAX.into())),
            SqlType::Integer => Self::Integer(integer::Integer::up_to(i32::MAX.into())),
            SqlType::BigInt => Self::Integer(integer::Integer::up_to(i64::MAX)),
            SqlType::Decimal { precision, scale } => {
                Self::Decimal(decimal::Decimal::new(precision, scale))
            }
            SqlType::Real => Self::Real(float::Real),
            SqlType::Double => Self::Double(float::Double),
            SqlType::Char(length) => text(Some(length)),
            SqlType::VarChar(length) => text(length),
            SqlType::Date => {
                Self::Date(date::Dates { format: format(&formats.date, Scope::Date)? })
            }
            SqlType::Time => {
                Self::Time(time::Times { format: format(&formats.time, Scope::Time)? })
            }
            SqlType::Timestamp { precision } => Self::Timestamp(timestamp::Timestamps {
                precision: usize::from(precision),
                format: format(&formats.timestamp, Scope::Timestamp)?,
            }),
            SqlType::Boolean => Self::Boolean(boolean::Boolean),
            SqlType::Binary(max) | SqlType::VarBinary(Some(max)) => binary(max as usize),
            SqlType::VarBinary(None) => binary(usize::MAX),
        })
    }
}

impl Converter {
    /// Compiles the conversion of one column into cells of the form `cell`.
    ///
    /// A constant is converted here, once; it is a text in UTF-8, not quoted: empty is NULL, and
    /// so are the dialect's NULL values.
    ///
    /// # Errors
    /// For a pair of type and cell that does not go together, a format of dates that cannot be
    /// read, and a constant that is no value of the column.
    pub fn new(
        column: &LoadColumn,
        cell: CellType,
        dialect: &Dialect,
        formats: &DateFormats,
        nul_in_text: bool,
    ) -> Result<Self, Unsupported> {
        let (name, ty) = (&column.column.name, column.column.ty);
        let fail = |reason: String| Unsupported { message: format!("column {name}: {reason}") };
        if !is_supported(ty, cell) {
            return Err(fail(format!("{ty} cannot stand in cells of {cell:?}")));
        }
        let encoding = match column.source {
            FieldSource::Field(_) => dialect.encoding,
            FieldSource::Constant(_) => Encoding::Utf8,
        };
        let quoted_empty = match (column.empty_as_null, ty.is_text()) {
            (true, _) => QuotedEmpty::Null,
            (false, true) => QuotedEmpty::Text,
            (false, false) => QuotedEmpty::Fault,
        };
        let mut converter = Self {
            rules: Rules::new(dialect, quoted_empty, column.column.nullable),
            conversion: Conversion::new(ty, encoding, formats, nul_in_text).map_err(fail)?,
            source: Source::Field(0),
            kernel: Kernel::fastest(),
        };
        converter.source = match &column.source {
            FieldSource::Field(index) => Source::Field(*index),
            FieldSource::Constant(text) => {
                let row = converter.constant(text, cell).map_err(|fault| {
                    let text = String::from_utf8_lossy(text);
                    fail(format!("the constant {text:?} is no {ty} ({fault:?})"))
                })?;
                Source::Constant(row)
            }
        };
        Ok(converter)
    }

    /// The same conversion with a certain kernel; without this it is the fastest one.
    #[must_use]
    pub fn with_kernel(mut self, kernel: Kernel) -> Self {
        self.kernel = kernel;
        self
    }

    /// A column of one row with the constant in it.
    fn constant(&self, text: &[u8], cell: CellType) -> Result<ColumnBuffer, Fault> {
        let length = u32::try_from(text.len()).map_err(|_| Fault::FieldTooLong)?;
        if text.len() > self.rules.max_field_bytes {
            return Err(Fault::FieldTooLong);
        }
        let block = FieldBlock {
            bytes: text,
            base: 0,
            fields: &[FieldRef::plain(0, length)],
            field_count: 1,
            records: 1,
        };
        let mut row = ColumnBuffer::new(cell, IndicatorWidth::Wide);
        let mut faults = Vec::new();
        let mut stride = text.len();
        loop {
            row.lay_out(1, stride);
            match self.convert_field(0, &block, &mut row, 0, &mut faults) {
                Ok(()) => break,
                Err(need) => stride = need.bytes,
            }
        }
        match faults.first() {
            Some(&(_, fault)) => Err(fault),
            None => Ok(row),
        }
    }

    /// Converts the column's field of each record of `block` into the rows from `first_row` on.
    ///
    /// Faults are pushed as (index of the record in the block, fault), ascending, at most one a
    /// record; the row is NULL then. Rows behind the block's are not filled yet and may be written
    /// over, so blocks are converted in the order of their rows.
    ///
    /// # Errors
    /// [`NeedStride`] for the first text or byte value that needs a wider layout. What was pushed
    /// and written before stays; the caller takes it back and converts the block again in a layout
    /// that has room.
    ///
    /// # Panics
    /// If `out` has other cells than the converter was made for or too few rows, or if `fields` is
    /// shorter than `records` say.
    pub fn convert(
        &self,
        block: &FieldBlock<'_>,
        out: &mut ColumnBuffer,
        first_row: usize,
        faults: &mut Vec<(u32, Fault)>,
    ) -> Result<(), NeedStride> {
        match &self.source {
            Source::Field(index) => self.convert_field(*index, block, out, first_row, faults),
            Source::Constant(row) => copy_constant(row, out, first_row, block.records),
        }
    }

    fn convert_field(
        &self,
        index: usize,
        block: &FieldBlock<'_>,
        out: &mut ColumnBuffer,
        first_row: usize,
        faults: &mut Vec<(u32, Fault)>,
    ) -> Result<(), NeedStride> {
        let end = first_row + block.records;
        match &mut out.indicators {
            Indicators::Narrow(words) => {
                let rows = Rows { index, words: &mut words[first_row..end] };
                self.convert_rows(block, rows, &mut out.values, first_row, faults)
            }
            Indicators::Wide(words) => {
                let rows = Rows { index, words: &mut words[first_row..end] };
                self.convert_rows(block, rows, &mut out.values, first_row, faults)
            }
        }
    }

    fn convert_rows<W: Word>(
        &self,
        block: &FieldBlock<'_>,
        rows: Rows<'_, W>,
        values: &mut Values,
        first_row: usize,
        faults: &mut Vec<(u32, Fault)>,
    ) -> Result<(), NeedStride> {
        let job = Job {
            kernel: self.kernel,
            rules: &self.rules,
            block: FieldBlock {
                fields: &block.fields[..block.records * block.field_count],
                ..*block
            },
            rows,
            first_row,
            faults,
        };
        match (&self.conversion, values) {
            (Conversion::Integer(c), Values::I16(cells)) => job.decode(c, cells),
            (Conversion::Integer(c), Values::I32(cells)) => job.decode(c, cells),
            (Conversion::Integer(c), Values::I64(cells)) => job.decode(c, cells),
            (Conversion::Real(c), Values::F32(cells)) => job.decode(c, cells),
            (Conversion::Real(c), Values::F64(cells)) => job.decode(c, cells),
            (Conversion::Double(c), Values::F64(cells)) => job.decode(c, cells),
            (Conversion::Date(c), Values::Date(cells)) => job.decode(c, cells),
            (Conversion::Time(c), Values::Time(cells)) => job.decode(c, cells),
            (Conversion::Timestamp(c), Values::Timestamp(cells)) => job.decode(c, cells),
            (Conversion::Boolean(c), Values::Bit(cells)) => job.decode(c, cells),
            (Conversion::Boolean(c), Values::I16(cells)) => job.decode(c, cells),
            (Conversion::Boolean(c), Values::I32(cells)) => job.decode(c, cells),
            (Conversion::Boolean(c), Values::I64(cells)) => job.decode(c, cells),
            (conversion, Values::Bytes { data, stride }) => {
                return job.render_as(conversion, data, *stride);
            }
            _ => panic!("{WRONG_CELLS}"),
        }
        Ok(())
    }
}

const WRONG_CELLS: &str = "the column has the cells that its converter was made for";

/// One call of [`Converter::convert`] after the width of the indicators is known.
struct Job<'c, W> {
    kernel: Kernel,
    rules: &'c Rules,
    block: FieldBlock<'c>,
    rows: Rows<'c, W>,
    first_row: usize,
    faults: &'c mut Vec<(u32, Fault)>,
}

impl<W: Word> Job<'_, W> {
    fn decode<C, D: Decode<C>>(self, decode: &D, cells: &mut [C]) {
        let cells = &mut cells[self.first_row..][..self.block.records];
        let Self { kernel, rules, block, rows, faults, .. } = self;
        kernel.run(DecodeBlock { decode, rules, block, rows, cells, faults });
    }

    fn render<R: Render>(
        self,
        render: &R,
        data: &mut [u8],
        stride: usize,
    ) -> Result<(), NeedStride> {
        let data = &mut data[self.first_row * stride..];
        let Self { kernel, rules, block, rows, faults, .. } = self;
        kernel.run(RenderBlock { render, rules, block, rows, data, stride, faults })
    }

    fn render_as(
        self,
        conversion: &Conversion,
        data: &mut [u8],
        stride: usize,
    ) -> Result<(), NeedStride> {
        match conversion {
            Conversion::Decimal(c) => self.render(c, data, stride),
            Conversion::Utf8(c) => self.render(c, data, stride),
            Conversion::SingleByte(c) => self.render(c, data, stride),
            Conversion::Date(c) => self.render(c, data, stride),
            Conversion::Time(c) => self.render(c, data, stride),
            Conversion::Timestamp(c) => self.render(c, data, stride),
            Conversion::Binary(c) => self.render(c, data, stride),
            Conversion::Boolean(c) => self.render(c, data, stride),
            Conversion::Integer(_) | Conversion::Real(_) | Conversion::Double(_) => {
                panic!("{WRONG_CELLS}")
            }
        }
    }
}

/// Copies the one row of `from` into `records` rows of `to`.
fn copy_constant(
    from: &ColumnBuffer,
    to: &mut ColumnBuffer,
    first_row: usize,
    records: usize,
) -> Result<(), NeedStride> {
    let word = from.indicators.get(0);
    let rows = first_row..first_row + records;
    if word != NULL_INDICATOR {
        match (&from.values, &mut to.values) {
            (Values::I16(from), Values::I16(to)) => to[rows.clone()].fill(from[0]),
            (Values::I32(from), Values::I32(to)) => to[rows.clone()].fill(from[0]),
            (Values::I64(from), Values::I64(to)) => to[rows.clone()].fill(from[0]),
            (Values::F32(from), Values::F32(to)) => to[rows.clone()].fill(from[0]),
            (Values::F64(from), Values::F64(to)) => to[rows.clone()].fill(from[0]),
            (Values::Date(from), Values::Date(to)) => to[rows.clone()].fill(from[0]),
            (Values::Time(from), Values::Time(to)) => to[rows.clone()].fill(from[0]),
            (Values::Timestamp(from), Values::Timestamp(to)) => to[rows.clone()].fill(from[0]),
            (Values::Bit(from), Values::Bit(to)) => to[rows.clone()].fill(from[0]),
            (Values::Bytes { data: text, .. }, Values::Bytes { data, stride }) => {
                let bytes = usize::try_from(word).expect("a length is not negative");
                if bytes > *stride {
                    return Err(NeedStride { record: 0, bytes });
                }
                for row in rows.clone() {
                    data[row * *stride..][..bytes].copy_from_slice(&text[..bytes]);
                }
            }
            _ => panic!("{WRONG_CELLS}"),
        }
    }
    for row in rows {
        to.indicators.set(row, word);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
