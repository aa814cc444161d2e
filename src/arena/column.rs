//! One bound column of an arena: a value array of fixed stride and an indicator array, laid out as
//! ODBC column-wise parameter binding reads them (ODBC Programmer's Reference, "Column-Wise
//! Binding of Parameters").

use odbc_struct::{Date, Time, Timestamp};

/// Indicator value that means NULL (`SQL_NULL_DATA`).
pub const NULL_INDICATOR: i64 = -1;

/// The date and time structs of the ODBC C interface, field for field (`sql.h`, `DATE_STRUCT`,
/// `TIME_STRUCT`, `TIMESTAMP_STRUCT`), so that a driver may read the parser's memory.
pub mod odbc_struct {
    /// `SQL_DATE_STRUCT`.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Date {
        /// 1 to 9999.
        pub year: i16,
        /// 1 to 12.
        pub month: u16,
        /// 1 to 31.
        pub day: u16,
    }

    /// `SQL_TIME_STRUCT`.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Time {
        /// 0 to 23.
        pub hour: u16,
        /// 0 to 59.
        pub minute: u16,
        /// 0 to 59.
        pub second: u16,
    }

    /// `SQL_TIMESTAMP_STRUCT`.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Timestamp {
        /// 1 to 9999.
        pub year: i16,
        /// 1 to 12.
        pub month: u16,
        /// 1 to 31.
        pub day: u16,
        /// 0 to 23.
        pub hour: u16,
        /// 0 to 59.
        pub minute: u16,
        /// 0 to 59.
        pub second: u16,
        /// Billionths of a second.
        pub fraction_ns: u32,
    }
}

/// How a cell stands in the arena: the C type that a driver (or the C API of SQLite) is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CellType {
    /// `SQL_C_SSHORT`.
    I16,
    /// `SQL_C_SLONG`.
    I32,
    /// `SQL_C_SBIGINT`.
    I64,
    /// `SQL_C_FLOAT`.
    F32,
    /// `SQL_C_DOUBLE`.
    F64,
    /// `SQL_C_CHAR`, UTF-8, no terminating NUL: the indicator holds the length in bytes.
    ///
    /// Also the form of decimals, and of dates and times where the profile wants text; these are
    /// validated against the column's type and stand in their ISO form.
    Text,
    /// `SQL_C_BINARY`, decoded bytes.
    Bytes,
    /// `SQL_C_TYPE_DATE`.
    Date,
    /// `SQL_C_TYPE_TIME`.
    Time,
    /// `SQL_C_TYPE_TIMESTAMP`.
    Timestamp,
    /// `SQL_C_BIT`: 0 or 1 in one byte.
    Bit,
}

/// Width of the length-or-NULL word that a driver reads (IBM's `libdb2.so`: 4 bytes; all else: 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum IndicatorWidth {
    /// 4 bytes a word.
    Narrow,
    /// 8 bytes a word.
    #[default]
    Wide,
}

/// Value array of a column. Its variant is its [`CellType`].
#[derive(Debug)]
pub enum Values {
    /// `SQL_C_SSHORT`.
    I16(Vec<i16>),
    /// `SQL_C_SLONG`.
    I32(Vec<i32>),
    /// `SQL_C_SBIGINT`.
    I64(Vec<i64>),
    /// `SQL_C_FLOAT`.
    F32(Vec<f32>),
    /// `SQL_C_DOUBLE`.
    F64(Vec<f64>),
    /// `SQL_C_CHAR` or `SQL_C_BINARY`: `stride` bytes a row.
    Bytes {
        /// Rows one after the other, each in `stride` bytes.
        data: Vec<u8>,
        /// Bytes between the starts of two rows; also the longest value this layout holds.
        stride: usize,
    },
    /// `SQL_C_TYPE_DATE`.
    Date(Vec<Date>),
    /// `SQL_C_TYPE_TIME`.
    Time(Vec<Time>),
    /// `SQL_C_TYPE_TIMESTAMP`.
    Timestamp(Vec<Timestamp>),
    /// `SQL_C_BIT`.
    Bit(Vec<u8>),
}

/// Length-or-NULL words of a column, in the width that the driver reads.
#[derive(Debug)]
pub enum Indicators {
    /// For drivers that read 4 bytes a row.
    Narrow(Vec<i32>),
    /// For drivers that read 8 bytes a row.
    Wide(Vec<i64>),
}

impl Indicators {
    fn new(width: IndicatorWidth) -> Self {
        match width {
            IndicatorWidth::Narrow => Self::Narrow(Vec::new()),
            IndicatorWidth::Wide => Self::Wide(Vec::new()),
        }
    }

    fn resize(&mut self, rows: usize) {
        match self {
            Self::Narrow(words) => words.resize(rows, 0),
            Self::Wide(words) => words.resize(rows, 0),
        }
    }

    /// The word of one row: a length in bytes, or [`NULL_INDICATOR`].
    #[must_use]
    pub fn get(&self, row: usize) -> i64 {
        match self {
            Self::Narrow(words) => i64::from(words[row]),
            Self::Wide(words) => words[row],
        }
    }

    /// Writes the word of one row. `word` is a length under 2^29 or [`NULL_INDICATOR`].
    ///
    /// # Panics
    /// If the row is out of range, or the word does not fit a narrow indicator.
    #[inline]
    pub fn set(&mut self, row: usize, word: i64) {
        match self {
            Self::Narrow(words) => {
                words[row] = i32::try_from(word).expect("lengths are under 2^29");
            }
            Self::Wide(words) => words[row] = word,
        }
    }

    fn copy_within(&mut self, from: usize, to: usize) {
        match self {
            Self::Narrow(words) => words[to] = words[from],
            Self::Wide(words) => words[to] = words[from],
        }
    }
}

/// One column of an arena.
#[derive(Debug)]
pub struct ColumnBuffer {
    /// Value array; its length is the capacity in rows.
    pub values: Values,
    /// Indicator array; same length.
    pub indicators: Indicators,
    cell: CellType,
}

/// A cell as a sink without arrays reads it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CellRef<'a> {
    /// NULL.
    Null,
    /// Any of the three integer widths.
    Integer(i64),
    /// 32-bit float.
    F32(f32),
    /// 64-bit float.
    F64(f64),
    /// UTF-8 text.
    Text(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Date.
    Date(Date),
    /// Time.
    Time(Time),
    /// Timestamp.
    Timestamp(Timestamp),
    /// Truth value.
    Bit(bool),
}

impl ColumnBuffer {
    /// An empty column of `cell`; [`Self::lay_out`] gives it its rows.
    #[must_use]
    pub fn new(cell: CellType, width: IndicatorWidth) -> Self {
        let values = match cell {
            CellType::I16 => Values::I16(Vec::new()),
            CellType::I32 => Values::I32(Vec::new()),
            CellType::I64 => Values::I64(Vec::new()),
            CellType::F32 => Values::F32(Vec::new()),
            CellType::F64 => Values::F64(Vec::new()),
            CellType::Text | CellType::Bytes => Values::Bytes { data: Vec::new(), stride: 0 },
            CellType::Date => Values::Date(Vec::new()),
            CellType::Time => Values::Time(Vec::new()),
            CellType::Timestamp => Values::Timestamp(Vec::new()),
            CellType::Bit => Values::Bit(Vec::new()),
        };
        Self { values, indicators: Indicators::new(width), cell }
    }

    /// Form of the cells.
    #[must_use]
    pub const fn cell_type(&self) -> CellType {
        self.cell
    }

    /// Bytes between two values.
    #[must_use]
    pub const fn stride(&self) -> usize {
        match &self.values {
            Values::I16(_) => 2,
            Values::I32(_) | Values::F32(_) => 4,
            Values::I64(_) | Values::F64(_) => 8,
            Values::Bytes { stride, .. } => *stride,
            Values::Date(_) | Values::Time(_) => 6,
            Values::Timestamp(_) => 16,
            Values::Bit(_) => 1,
        }
    }

    /// Gives the column room for `rows` values; `text_stride` is read by text and byte columns.
    /// What the column held before is lost. Allocates only when the room grows.
    pub fn lay_out(&mut self, rows: usize, text_stride: usize) {
        match &mut self.values {
            Values::I16(v) => v.resize(rows, 0),
            Values::I32(v) => v.resize(rows, 0),
            Values::I64(v) => v.resize(rows, 0),
            Values::F32(v) => v.resize(rows, 0.0),
            Values::F64(v) => v.resize(rows, 0.0),
            Values::Bytes { data, stride } => {
                *stride = text_stride;
                let bytes = rows * text_stride;
                // A layout for one huge value must not stay for the rest of the load, nor one for
                // many rows that another column has made too wide.
                if data.capacity() > bytes + bytes / 2 && data.capacity() > (64 << 10) {
                    *data = Vec::new();
                }
                data.resize(bytes, 0);
            }
            Values::Date(v) => v.resize(rows, Date::default()),
            Values::Time(v) => v.resize(rows, Time::default()),
            Values::Timestamp(v) => v.resize(rows, Timestamp::default()),
            Values::Bit(v) => v.resize(rows, 0),
        }
        self.indicators.resize(rows);
    }

    /// The cell of one row.
    ///
    /// # Panics
    /// If the row is out of range.
    #[must_use]
    #[inline]
    pub fn cell(&self, row: usize) -> CellRef<'_> {
        let word = self.indicators.get(row);
        if word == NULL_INDICATOR {
            return CellRef::Null;
        }
        match &self.values {
            Values::I16(v) => CellRef::Integer(i64::from(v[row])),
            Values::I32(v) => CellRef::Integer(i64::from(v[row])),
            Values::I64(v) => CellRef::Integer(v[row]),
            Values::F32(v) => CellRef::F32(v[row]),
            Values::F64(v) => CellRef::F64(v[row]),
            Values::Bytes { data, stride } => {
                let length = usize::try_from(word).expect("a length is not negative");
                let value = &data[row * stride..][..length];
                match self.cell {
                    CellType::Bytes => CellRef::Bytes(value),
                    _ => CellRef::Text(value),
                }
            }
            Values::Date(v) => CellRef::Date(v[row]),
            Values::Time(v) => CellRef::Time(v[row]),
            Values::Timestamp(v) => CellRef::Timestamp(v[row]),
            Values::Bit(v) => CellRef::Bit(v[row] != 0),
        }
    }

    /// Copies `rows` of another column of the same form to the rows from `to` on. Values are no
    /// longer than this column's stride.
    ///
    /// # Panics
    /// If the forms differ, or a row is out of range.
    pub fn copy_rows(&mut self, to: usize, from: &Self, rows: &[usize]) {
        fn gather<T: Copy>(to: &mut [T], from: &[T], rows: &[usize]) {
            for (cell, &row) in to.iter_mut().zip(rows) {
                *cell = from[row];
            }
        }
        for (index, &row) in rows.iter().enumerate() {
            self.indicators.set(to + index, from.indicators.get(row));
        }
        let end = to + rows.len();
        match (&mut self.values, &from.values) {
            (Values::I16(v), Values::I16(w)) => gather(&mut v[to..end], w, rows),
            (Values::I32(v), Values::I32(w)) => gather(&mut v[to..end], w, rows),
            (Values::I64(v), Values::I64(w)) => gather(&mut v[to..end], w, rows),
            (Values::F32(v), Values::F32(w)) => gather(&mut v[to..end], w, rows),
            (Values::F64(v), Values::F64(w)) => gather(&mut v[to..end], w, rows),
            (Values::Date(v), Values::Date(w)) => gather(&mut v[to..end], w, rows),
            (Values::Time(v), Values::Time(w)) => gather(&mut v[to..end], w, rows),
            (Values::Timestamp(v), Values::Timestamp(w)) => gather(&mut v[to..end], w, rows),
            (Values::Bit(v), Values::Bit(w)) => gather(&mut v[to..end], w, rows),
            (Values::Bytes { data, stride }, Values::Bytes { data: other, stride: step }) => {
                for (index, &row) in rows.iter().enumerate() {
                    // NULL is a negative word, and has no bytes.
                    let length = usize::try_from(from.indicators.get(row)).unwrap_or(0);
                    let value = &other[row * *step..][..length];
                    data[(to + index) * *stride..][..length].copy_from_slice(value);
                }
            }
            _ => panic!("columns of different forms"),
        }
    }

    /// Copies one row over another: how a block of records is closed over its rejected rows.
    pub fn copy_row(&mut self, from: usize, to: usize) {
        match &mut self.values {
            Values::I16(v) => v[to] = v[from],
            Values::I32(v) => v[to] = v[from],
            Values::I64(v) => v[to] = v[from],
            Values::F32(v) => v[to] = v[from],
            Values::F64(v) => v[to] = v[from],
            Values::Bytes { data, stride } => {
                let start = from * *stride;
                data.copy_within(start..start + *stride, to * *stride);
            }
            Values::Date(v) => v[to] = v[from],
            Values::Time(v) => v[to] = v[from],
            Values::Timestamp(v) => v[to] = v[from],
            Values::Bit(v) => v[to] = v[from],
        }
        self.indicators.copy_within(from, to);
    }
}
