//! The conversions once more, one value at a time, slow and obvious: what [`super::Converter`] is
//! held against in tests and fuzzing.
//!
//! Nothing here is shared with the fast path: bytes become a `String` of characters, integers an
//! `i128`, floats go through `str::parse`, dates through the calendar of `jiff`. Where the fast
//! path says [`Fault`], this one says the same one.

use jiff::civil;

use crate::arena::column::odbc_struct;
use crate::arena::{CellRef, CellType};
use crate::config::dialect::{Dialect, Encoding};
use crate::config::schema::{LengthUnit, SqlType, TextLength};
use crate::config::{DateFormats, LoadColumn};
use crate::record::Fault;

/// A cell that owns its value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// Any of the three integer widths.
    Integer(i64),
    /// 32-bit float.
    F32(f32),
    /// 64-bit float.
    F64(f64),
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Date.
    Date(odbc_struct::Date),
    /// Time.
    Time(odbc_struct::Time),
    /// Timestamp.
    Timestamp(odbc_struct::Timestamp),
    /// Truth value.
    Bit(bool),
}

impl From<CellRef<'_>> for Cell {
    /// # Panics
    /// If text is not UTF-8: then the fast path is wrong.
    fn from(cell: CellRef<'_>) -> Self {
        match cell {
            CellRef::Null => Self::Null,
            CellRef::Integer(v) => Self::Integer(v),
            CellRef::F32(v) => Self::F32(v),
            CellRef::F64(v) => Self::F64(v),
            CellRef::Text(v) => {
                Self::Text(String::from_utf8(v.to_vec()).expect("text in an arena is UTF-8"))
            }
            CellRef::Bytes(v) => Self::Bytes(v.to_vec()),
            CellRef::Date(v) => Self::Date(v),
            CellRef::Time(v) => Self::Time(v),
            CellRef::Timestamp(v) => Self::Timestamp(v),
            CellRef::Bit(v) => Self::Bit(v),
        }
    }
}

/// One field as it stands in the file, without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Bytes, escapes and doubled quotes not resolved.
    pub raw: Vec<u8>,
    /// Whether it stood in quotes.
    pub quoted: bool,
    /// Whether it holds escapes or doubled quotes.
    pub escaped: bool,
}

/// Everything that a conversion depends on besides the field.
#[derive(Debug, Clone)]
pub struct Oracle {
    /// The column; its source is not looked at.
    pub column: LoadColumn,
    /// Form of the cell.
    pub cell: CellType,
    /// Dialect of the file.
    pub dialect: Dialect,
    /// Formats of the user.
    pub formats: DateFormats,
    /// Whether the target holds NUL bytes in text.
    pub nul_in_text: bool,
}

impl Oracle {
    /// The cell of a field.
    ///
    /// # Errors
    /// Why it cannot become one.
    pub fn convert(&self, field: &Field) -> Result<Cell, Fault> {
        let null = if self.column.column.nullable { Ok(Cell::Null) } else { Err(Fault::Null) };
        let ty = self.column.column.ty;
        if field.raw.is_empty() {
            return match field.quoted {
                false => null,
                true if self.column.empty_as_null => null,
                true if ty.is_text() => Ok(Cell::Text(String::new())),
                true => Err(Fault::QuotedEmpty),
            };
        }
        if field.raw.len() > self.dialect.max_field_bytes {
            return Err(Fault::FieldTooLong);
        }
        if !field.quoted && self.dialect.null_values.contains(&field.raw) {
            return null;
        }
        let bytes = self.unescape(field);
        match ty {
            SqlType::Char(length) => self.text(&bytes, Some(length)),
            SqlType::VarChar(length) => self.text(&bytes, length),
            _ => {
                // Anything but ASCII is wrong in all other types.
                let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
                self.value(ty, &text)
            }
        }
    }

    fn unescape(&self, field: &Field) -> Vec<u8> {
        if !field.escaped {
            return field.raw.clone();
        }
        let mut out = Vec::new();
        let mut bytes = field.raw.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            let doubles = field.quoted && self.dialect.double_quote;
            if Some(byte) == self.dialect.escape {
                out.push(bytes.next().unwrap_or(byte));
            } else {
                out.push(byte);
                if doubles && Some(byte) == self.dialect.quote && bytes.peek() == Some(&byte) {
                    bytes.next();
                }
            }
        }
        out
    }

    fn text(&self, bytes: &[u8], length: Option<TextLength>) -> Result<Cell, Fault> {
        let text = match self.dialect.encoding {
            Encoding::Utf8 => String::from_utf8(bytes.to_vec()).map_err(|_| Fault::Encoding)?,
            Encoding::Latin1 => bytes.iter().map(|&byte| char::from(byte)).collect(),
            Encoding::Windows1252 => {
                let decoded = encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes);
                decoded.0.into_owned()
            }
        };
        if !self.nul_in_text && text.contains('\0') {
            return Err(Fault::NulByte);
        }
        if let Some(TextLength { max, unit }) = length {
            let counted = match unit {
                LengthUnit::Bytes => text.len(),
                LengthUnit::Characters => text.chars().count(),
            };
            if counted > max as usize {
                return Err(Fault::TooLong);
            }
        }
        Ok(Cell::Text(text))
    }

    fn value(&self, ty: SqlType, text: &str) -> Result<Cell, Fault> {
        match ty {
            SqlType::SmallInt => integer(text, i16::MIN.into(), i16::MAX.into()),
            SqlType::Integer => integer(text, i32::MIN.into(), i32::MAX.into()),
            SqlType::BigInt => integer(text, i64::MIN, i64::MAX),
            SqlType::Decimal { precision, scale } => decimal(text, precision, scale),
            SqlType::Real => real(text, self.cell),
            SqlType::Double => double(text).map(Cell::F64),
            SqlType::Date => {
                let parts = Parts::find(text, self.formats.date.as_deref(), &["yyyy-mm-dd"])?;
                let date = parts.date()?;
                Ok(match self.cell {
                    CellType::Text => Cell::Text(date.to_string()),
                    _ => Cell::Date(date_struct(date)),
                })
            }
            SqlType::Time => {
                let built_in = ["hh:mi:ss", "hh.mi.ss"];
                let parts = Parts::find(text, self.formats.time.as_deref(), &built_in)?;
                let time = parts.time()?;
                Ok(match self.cell {
                    CellType::Text => Cell::Text(time.strftime("%H:%M:%S").to_string()),
                    _ => Cell::Time(odbc_struct::Time {
                        hour: unsigned(time.hour()),
                        minute: unsigned(time.minute()),
                        second: unsigned(time.second()),
                    }),
                })
            }
            SqlType::Timestamp { precision } => self.timestamp(text, precision),
            SqlType::Boolean => {
                let truth = boolean(text)?;
                Ok(match self.cell {
                    CellType::Text => Cell::Text(truth.to_string()),
                    CellType::Bit => Cell::Bit(truth),
                    _ => Cell::Integer(truth.into()),
                })
            }
            SqlType::Binary(max) | SqlType::VarBinary(Some(max)) => binary(text, max as usize),
            SqlType::VarBinary(None) => binary(text, usize::MAX),
            SqlType::Char(_) | SqlType::VarChar(_) => unreachable!("text is converted as bytes"),
        }
    }

    fn timestamp(&self, text: &str, precision: u8) -> Result<Cell, Fault> {
        let built_in = [
            "yyyy-mm-dd hh:mi:ss",
            "yyyy-mm-ddThh:mi:ss",
            "yyyy-mm-dd-hh.mi.ss",
            "yyyy-mm-dd hh:mi:ss.f",
            "yyyy-mm-ddThh:mi:ss.f",
            "yyyy-mm-dd-hh.mi.ss.f",
        ];
        let parts = Parts::find(text, self.formats.timestamp.as_deref(), &built_in)?;
        let (date, time) = (parts.date()?, parts.time()?);
        if parts.fraction.len() > usize::from(precision) {
            return Err(Fault::TooManyFractionDigits);
        }
        if self.cell == CellType::Text {
            let point = if parts.fraction.is_empty() { "" } else { "." };
            let clock = time.strftime("%H:%M:%S");
            return Ok(Cell::Text(format!("{date} {clock}{point}{}", parts.fraction)));
        }
        let day = date_struct(date);
        Ok(Cell::Timestamp(odbc_struct::Timestamp {
            year: day.year,
            month: day.month,
            day: day.day,
            hour: unsigned(time.hour()),
            minute: unsigned(time.minute()),
            second: unsigned(time.second()),
            fraction_ns: format!("{:0<9}", parts.fraction)
                .parse()
                .expect("nine digits are a number"),
        }))
    }
}

/// A sign and the rest.
fn split_sign(text: &str) -> (bool, &str) {
    match (text.strip_prefix('-'), text.strip_prefix('+')) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => (false, text),
    }
}

fn is_digits(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit())
}

fn integer(text: &str, min: i64, max: i64) -> Result<Cell, Fault> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() || !is_digits(digits) {
        return Err(Fault::Syntax);
    }
    let digits = digits.trim_start_matches('0');
    if digits.len() > 30 {
        return Err(Fault::OutOfRange);
    }
    let magnitude: i128 = format!("0{digits}").parse().expect("at most 31 digits");
    let number = if negative { -magnitude } else { magnitude };
    if number < i128::from(min) || number > i128::from(max) {
        return Err(Fault::OutOfRange);
    }
    Ok(Cell::Integer(i64::try_from(number).expect("inside min and max")))
}

fn decimal(text: &str, precision: u8, scale: u8) -> Result<Cell, Fault> {
    let (_, number) = split_sign(text);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if !is_digits(whole) || !is_digits(fraction) || whole.len() + fraction.len() == 0 {
        return Err(Fault::Syntax);
    }
    if whole.trim_start_matches('0').len() > usize::from(precision - scale) {
        return Err(Fault::TooManyIntegerDigits);
    }
    if fraction.len() > usize::from(scale) {
        return Err(Fault::TooManyFractionDigits);
    }
    Ok(Cell::Text(text.strip_prefix('+').unwrap_or(text).to_owned()))
}

/// Whether the text is `[+-]digits[.digits][e[+-]digits]`, and whether it is zero.
fn float_syntax(text: &str) -> Result<bool, Fault> {
    let (_, number) = split_sign(text);
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(split_sign(exponent).1)),
        None => (number, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_ok =
        is_digits(whole) && is_digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    let exponent_ok = exponent.is_none_or(|digits| !digits.is_empty() && is_digits(digits));
    if !mantissa_ok || !exponent_ok {
        return Err(Fault::Syntax);
    }
    Ok(mantissa.chars().all(|c| matches!(c, '0' | '.')))
}

fn double(text: &str) -> Result<f64, Fault> {
    let zero = float_syntax(text)?;
    let number: f64 = text.parse().map_err(|_| Fault::Syntax)?;
    if number.is_infinite() || (number == 0.0 && !zero) {
        return Err(Fault::OutOfRange);
    }
    Ok(number)
}

fn real(text: &str, cell: CellType) -> Result<Cell, Fault> {
    let zero = float_syntax(text)?;
    let number: f32 = text.parse().map_err(|_| Fault::Syntax)?;
    if number.is_infinite() || (number == 0.0 && !zero) {
        return Err(Fault::OutOfRange);
    }
    if cell == CellType::F64 {
        return double(text).map(Cell::F64);
    }
    Ok(Cell::F32(number))
}

fn boolean(text: &str) -> Result<bool, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Ok(false),
        _ => Err(Fault::Syntax),
    }
}

fn binary(text: &str, max_bytes: usize) -> Result<Cell, Fault> {
    let prefix = ["0x", "0X", "\\x"].into_iter().find(|&prefix| text.starts_with(prefix));
    let digits: Vec<char> = text[prefix.map_or(0, str::len)..].chars().collect();
    let mut bytes = Vec::new();
    for pair in digits.chunks(2) {
        let &[high, low] = pair else {
            return Err(Fault::Syntax);
        };
        let value = |c: char| c.to_digit(16).ok_or(Fault::Syntax);
        let byte = value(high)? * 16 + value(low)?;
        bytes.push(u8::try_from(byte).expect("two hexadecimal digits are a byte"));
    }
    if bytes.len() > max_bytes {
        return Err(Fault::TooLong);
    }
    Ok(Cell::Bytes(bytes))
}

/// Date and time as texts of digits, by the letters of a format.
#[derive(Debug, Default)]
struct Parts {
    year: String,
    month: String,
    day: String,
    hour: String,
    minute: String,
    second: String,
    fraction: String,
}

impl Parts {
    /// The first of the user's format and the built-in ones whose shape the text has.
    fn find(text: &str, user: Option<&str>, built_in: &[&str]) -> Result<Self, Fault> {
        let mut formats = user.into_iter().chain(built_in.iter().copied());
        formats.find_map(|format| Self::read(text, format)).ok_or(Fault::Syntax)
    }

    fn read(text: &str, format: &str) -> Option<Self> {
        let mut parts = Self::default();
        let (mut text, mut format) = (text, format);
        while !format.is_empty() {
            let lower = format.to_ascii_lowercase();
            let fraction = lower.chars().take_while(|&c| c == 'f').count();
            let (part, letters, digits) = match lower {
                f if f.starts_with("yyyy") => (&mut parts.year, 4, 4),
                f if f.starts_with("mm") => (&mut parts.month, 2, 2),
                f if f.starts_with("dd") => (&mut parts.day, 2, 2),
                f if f.starts_with("hh") => (&mut parts.hour, 2, 2),
                f if f.starts_with("mi") => (&mut parts.minute, 2, 2),
                f if f.starts_with("ss") => (&mut parts.second, 2, 2),
                _ if fraction == 1 => {
                    let present = text.chars().take_while(char::is_ascii_digit).count();
                    (&mut parts.fraction, 1, present.max(1))
                }
                _ if fraction > 1 => (&mut parts.fraction, fraction, fraction),
                _ => {
                    let literal = format.chars().next()?;
                    text = text.strip_prefix(literal)?;
                    format = &format[literal.len_utf8()..];
                    continue;
                }
            };
            let found = text.get(..digits).filter(|found| is_digits(found))?;
            found.clone_into(part);
            text = &text[digits..];
            format = &format[letters..];
        }
        text.is_empty().then_some(parts)
    }

    fn date(&self) -> Result<civil::Date, Fault> {
        let date = civil::Date::new(
            number(&self.year),
            narrow(number(&self.month)),
            narrow(number(&self.day)),
        );
        date.ok().filter(|date| date.year() >= 1).ok_or(Fault::NotInCalendar)
    }

    fn time(&self) -> Result<civil::Time, Fault> {
        civil::Time::new(
            narrow(number(&self.hour)),
            narrow(number(&self.minute)),
            narrow(number(&self.second)),
            0,
        )
        .map_err(|_| Fault::NotInCalendar)
    }
}

/// Number of at most four digits; none are 0.
fn number(digits: &str) -> i16 {
    format!("0{digits}").parse().expect("at most four digits")
}

fn narrow(number: i16) -> i8 {
    i8::try_from(number).expect("two digits")
}

fn unsigned(number: i8) -> u16 {
    u16::try_from(number).expect("parts of a date are not negative")
}

fn date_struct(date: civil::Date) -> odbc_struct::Date {
    odbc_struct::Date {
        year: date.year(),
        month: unsigned(date.month()),
        day: unsigned(date.day()),
    }
}
