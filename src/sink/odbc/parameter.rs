//! What crosses to a driver as memory: columns of values, and words that hold a length.
//!
//! This file calls nothing and has no unsafe code outside of its tests; it makes the pointers that
//! `raw` hands over, and is where the width of a length word is known.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;

use crate::arena::column::NULL_INDICATOR;
use crate::arena::{CellType, ColumnBuffer, IndicatorWidth, Indicators, Values};

/// Type codes of the SQL side of a parameter or column (`sql.h`, `sqlext.h`).
pub(super) mod sql_type {
    pub(in crate::sink::odbc) const CHAR: i16 = 1;
    pub(in crate::sink::odbc) const NUMERIC: i16 = 2;
    pub(in crate::sink::odbc) const DECIMAL: i16 = 3;
    pub(in crate::sink::odbc) const INTEGER: i16 = 4;
    pub(in crate::sink::odbc) const SMALLINT: i16 = 5;
    pub(in crate::sink::odbc) const FLOAT: i16 = 6;
    pub(in crate::sink::odbc) const REAL: i16 = 7;
    pub(in crate::sink::odbc) const DOUBLE: i16 = 8;
    pub(in crate::sink::odbc) const VARCHAR: i16 = 12;
    pub(in crate::sink::odbc) const DATE: i16 = 91;
    pub(in crate::sink::odbc) const TIME: i16 = 92;
    pub(in crate::sink::odbc) const TIMESTAMP: i16 = 93;
    pub(in crate::sink::odbc) const LONGVARCHAR: i16 = -1;
    pub(in crate::sink::odbc) const BINARY: i16 = -2;
    pub(in crate::sink::odbc) const VARBINARY: i16 = -3;
    pub(in crate::sink::odbc) const LONGVARBINARY: i16 = -4;
    pub(in crate::sink::odbc) const BIGINT: i16 = -5;
    pub(in crate::sink::odbc) const TINYINT: i16 = -6;
    pub(in crate::sink::odbc) const BIT: i16 = -7;
    pub(in crate::sink::odbc) const WCHAR: i16 = -8;
    pub(in crate::sink::odbc) const WVARCHAR: i16 = -9;
    pub(in crate::sink::odbc) const WLONGVARCHAR: i16 = -10;
}

/// Byte that fills an output word when the question is how much of it a driver writes.
const FILL: u8 = 0xAA;

/// A length, count or indicator that a driver writes: 8 bytes of room, 4 or 8 of them used.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub(super) struct LengthWord(u64);

impl LengthWord {
    /// A word of zeroes: a 4-byte write on a little-endian machine reads back right for any
    /// length, and NULL is told apart by the width.
    pub(super) const ZERO: Self = Self(0);

    /// A word in which a driver's write leaves a trace.
    pub(super) const FILLED: Self = Self(u64::from_ne_bytes([FILL; 8]));

    /// A word that holds a length for the driver to read.
    ///
    /// # Panics
    /// If `length` does not fit 31 bits, which the narrow drivers could not read.
    pub(super) fn length(length: usize, width: IndicatorWidth) -> Self {
        let narrow = i32::try_from(length).expect("a parameter is shorter than 2 GiB");
        match width {
            IndicatorWidth::Wide => Self(u64::from_ne_bytes(i64::from(narrow).to_ne_bytes())),
            IndicatorWidth::Narrow => {
                let mut bytes = [0; 8];
                bytes[..4].copy_from_slice(&narrow.to_ne_bytes());
                Self(u64::from_ne_bytes(bytes))
            }
        }
    }

    /// What the driver wrote, given the width of its words.
    pub(super) fn read(self, width: IndicatorWidth) -> i64 {
        let bytes = self.0.to_ne_bytes();
        match width {
            IndicatorWidth::Wide => i64::from_ne_bytes(bytes),
            IndicatorWidth::Narrow => {
                i64::from(i32::from_ne_bytes(bytes[..4].try_into().expect("four bytes of eight")))
            }
        }
    }

    /// How wide the driver's write into a [filled](Self::FILLED) word was; `None` when it wrote
    /// nothing. The words asked about are small counts, never a run of the fill byte.
    pub(super) fn written_width(self) -> Option<IndicatorWidth> {
        let bytes = self.0.to_ne_bytes();
        match (bytes[..4] == [FILL; 4], bytes[4..] == [FILL; 4]) {
            (true, true) => None,
            (false, true) => Some(IndicatorWidth::Narrow),
            (_, false) => Some(IndicatorWidth::Wide),
        }
    }
}

/// SQL type announced for a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ParameterType {
    /// One of [`sql_type`].
    pub(super) code: i16,
    /// Column size: digits of a decimal, longest text in bytes.
    pub(super) size: usize,
    /// Digits after the point or the second.
    pub(super) digits: i16,
}

/// One column of values that a driver may read: pointers into an arena that is borrowed meanwhile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter<'a> {
    /// First value.
    pub(super) values: *const c_void,
    /// First length word, in the width of the arena.
    pub(super) indicators: *const c_void,
    /// Bytes between two values.
    pub(super) stride_bytes: usize,
    /// Form of the values.
    pub(super) cell: CellType,
    /// SQL type.
    pub(super) announced: ParameterType,
    /// Values.
    pub(super) rows: usize,
    arena: PhantomData<&'a ColumnBuffer>,
}

impl<'a> Parameter<'a> {
    /// Rows `first_row .. first_row + rows` of a column.
    ///
    /// # Panics
    /// If the column has no such rows, or a length word passes the stride: the driver would read
    /// past the value.
    pub(super) fn of_column(
        column: &'a ColumnBuffer,
        first_row: usize,
        rows: usize,
        announced: ParameterType,
    ) -> Self {
        let stride = column.stride();
        let rows_of_values = match &column.values {
            Values::I16(v) => v.len(),
            Values::I32(v) => v.len(),
            Values::I64(v) => v.len(),
            Values::F32(v) => v.len(),
            Values::F64(v) => v.len(),
            Values::Bytes { data, stride: 0 } => {
                assert!(data.is_empty());
                usize::MAX
            }
            Values::Bytes { data, stride } => data.len() / stride,
            Values::Date(v) => v.len(),
            Values::Time(v) => v.len(),
            Values::Timestamp(v) => v.len(),
            Values::Bit(v) => v.len(),
        };
        let end = first_row.checked_add(rows).expect("rows of one arena");
        assert!(end <= rows_of_values, "rows past the value array");
        let longest = i64::try_from(stride).expect("a stride fits an address");
        let sound = |word: i64| word == NULL_INDICATOR || (0..=longest).contains(&word);
        let indicators = match &column.indicators {
            Indicators::Narrow(words) => {
                let words = &words[first_row..end];
                assert!(words.iter().all(|&word| sound(i64::from(word))));
                words.as_ptr().cast()
            }
            Indicators::Wide(words) => {
                let words = &words[first_row..end];
                assert!(words.iter().all(|&word| sound(word)));
                words.as_ptr().cast::<c_void>()
            }
        };
        Self {
            values: value_base(column).wrapping_byte_add(first_row * stride),
            indicators,
            stride_bytes: stride,
            cell: column.cell_type(),
            announced,
            rows,
            arena: PhantomData,
        }
    }

    /// One long text; `length` is its length word.
    ///
    /// # Panics
    /// If the word is not the length of the text.
    pub(super) fn of_text(text: &'a [u8], length: &'a LengthWord, width: IndicatorWidth) -> Self {
        assert_eq!(usize::try_from(length.read(width)), Ok(text.len()));
        Self {
            values: text.as_ptr().cast(),
            indicators: ptr::from_ref(length).cast(),
            stride_bytes: text.len(),
            cell: CellType::Text,
            announced: ParameterType {
                code: sql_type::LONGVARCHAR,
                size: text.len().max(1),
                digits: 0,
            },
            rows: 1,
            arena: PhantomData,
        }
    }
}

fn value_base(column: &ColumnBuffer) -> *const c_void {
    match &column.values {
        Values::I16(v) => v.as_ptr().cast(),
        Values::I32(v) => v.as_ptr().cast(),
        Values::I64(v) => v.as_ptr().cast(),
        Values::F32(v) => v.as_ptr().cast(),
        Values::F64(v) => v.as_ptr().cast(),
        Values::Bytes { data, .. } => data.as_ptr().cast(),
        Values::Date(v) => v.as_ptr().cast(),
        Values::Time(v) => v.as_ptr().cast(),
        Values::Timestamp(v) => v.as_ptr().cast(),
        Values::Bit(v) => v.as_ptr().cast(),
    }
}

#[cfg(test)]
#[expect(unsafe_code, reason = "a driver that reads the bound memory")]
mod tests {
    use super::*;

    const TYPE: ParameterType = ParameterType { code: sql_type::VARCHAR, size: 8, digits: 0 };

    /// Reads a bound text column as a driver does: from nothing but the pointers, the stride and
    /// its own idea of how wide a length word is.
    fn driver_reads(parameter: &Parameter<'_>, width: IndicatorWidth) -> Vec<Option<String>> {
        let read = |row: usize| {
            // SAFETY: the parameter was made from a column with `rows` rows, which outlives it;
            // the width is the column's own, so `row` words and values are behind the pointers.
            unsafe {
                let length = match width {
                    IndicatorWidth::Narrow => {
                        i64::from(parameter.indicators.cast::<i32>().add(row).read())
                    }
                    IndicatorWidth::Wide => parameter.indicators.cast::<i64>().add(row).read(),
                };
                if length == NULL_INDICATOR {
                    return None;
                }
                let value = parameter.values.cast::<u8>().add(row * parameter.stride_bytes);
                let length = usize::try_from(length).unwrap();
                let bytes = std::slice::from_raw_parts(value, length).to_vec();
                Some(String::from_utf8(bytes).unwrap())
            }
        };
        (0..parameter.rows).map(read).collect()
    }

    fn column(width: IndicatorWidth, cells: &[Option<&str>]) -> ColumnBuffer {
        let mut column = ColumnBuffer::new(CellType::Text, width);
        column.lay_out(cells.len(), 8);
        for (row, cell) in cells.iter().enumerate() {
            let Values::Bytes { data, .. } = &mut column.values else {
                unreachable!("a text column");
            };
            let text = cell.unwrap_or("");
            data[row * 8..][..text.len()].copy_from_slice(text.as_bytes());
            let length = i64::try_from(text.len()).unwrap();
            column.indicators.set(row, if cell.is_some() { length } else { NULL_INDICATOR });
        }
        column
    }

    /// A driver of 4-byte words that is given 8-byte ones finds every second text empty, and says
    /// nothing; in its own width every row is right, from any first row on.
    #[test]
    fn either_width_is_read_right() {
        let cells = [Some("a"), None, Some("é€"), Some(""), Some("12345678"), None, Some("x")];
        for width in [IndicatorWidth::Narrow, IndicatorWidth::Wide] {
            let column = column(width, &cells);
            for first in 0..cells.len() {
                for rows in 0..=cells.len() - first {
                    let parameter = Parameter::of_column(&column, first, rows, TYPE);
                    let expected: Vec<Option<String>> = cells[first..first + rows]
                        .iter()
                        .map(|cell| cell.map(str::to_owned))
                        .collect();
                    assert_eq!(driver_reads(&parameter, width), expected);
                }
            }
        }
        let wide = column(IndicatorWidth::Wide, &[Some("one"), Some("two"), Some("three")]);
        let parameter = Parameter::of_column(&wide, 0, 3, TYPE);
        #[cfg(target_endian = "little")]
        assert_eq!(
            driver_reads(&parameter, IndicatorWidth::Narrow),
            [Some("one".to_owned()), Some(String::new()), Some("thr".to_owned())]
        );
    }

    #[test]
    #[should_panic(expected = "assertion")]
    fn a_length_past_the_stride_is_never_bound() {
        let mut column = column(IndicatorWidth::Narrow, &[Some("a")]);
        column.indicators.set(0, 9);
        let _ = Parameter::of_column(&column, 0, 1, TYPE);
    }

    #[test]
    fn words_tell_how_much_was_written() {
        use IndicatorWidth::{Narrow, Wide};
        assert_eq!(LengthWord::FILLED.written_width(), None);
        // What IBM's libdb2.so left of such a word after SQLDescribeParam: size 10 in 4 bytes.
        let mut bytes = [FILL; 8];
        bytes[..4].copy_from_slice(&10i32.to_ne_bytes());
        let narrow = LengthWord(u64::from_ne_bytes(bytes));
        assert_eq!((narrow.written_width(), narrow.read(Narrow)), (Some(Narrow), 10));
        let wide = LengthWord(u64::from_ne_bytes(10i64.to_ne_bytes()));
        assert_eq!((wide.written_width(), wide.read(Wide)), (Some(Wide), 10));
        let null = LengthWord(u64::from_ne_bytes((-1i64).to_ne_bytes()));
        assert_eq!((null.read(Narrow), null.read(Wide)), (-1, -1));
        for width in [Narrow, Wide] {
            assert_eq!(LengthWord::length(70_000, width).read(width), 70_000);
        }
    }
}
