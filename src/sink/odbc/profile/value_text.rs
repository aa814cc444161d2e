//! Values as PostgreSQL reads them, the same inside array literals and in the rows of COPY
//! (PostgreSQL documentation, "Data Types"). What text and bytes look like differs between the two:
//! only the digits of bytes are written here.

use std::io::Write as _;

use crate::arena::CellRef;

/// Writes a value that has nothing to be escaped.
///
/// # Panics
/// If it is NULL, text or bytes.
pub(in crate::sink::odbc) fn put_value(cell: CellRef<'_>, out: &mut Vec<u8>) {
    match cell {
        CellRef::Null | CellRef::Text(_) | CellRef::Bytes(_) => {
            unreachable!("the caller has a form of its own for it")
        }
        CellRef::Integer(value) => {
            out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        }
        CellRef::F32(value) if value.is_finite() => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
        }
        CellRef::F32(value) => out.extend_from_slice(not_finite(f64::from(value))),
        CellRef::F64(value) if value.is_finite() => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
        }
        CellRef::F64(value) => out.extend_from_slice(not_finite(value)),
        CellRef::Bit(value) => out.push(if value { b't' } else { b'f' }),
        CellRef::Date(d) => {
            write_all(out, format_args!("{:04}-{:02}-{:02}", d.year, d.month, d.day));
        }
        CellRef::Time(t) => {
            write_all(out, format_args!("{:02}:{:02}:{:02}", t.hour, t.minute, t.second));
        }
        CellRef::Timestamp(t) => write_all(
            out,
            format_args!(
                "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:09}",
                t.year, t.month, t.day, t.hour, t.minute, t.second, t.fraction_ns
            ),
        ),
    }
}

/// Writes bytes as hexadecimal digits.
pub(in crate::sink::odbc) fn put_digits(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |byte: u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    out.extend(bytes.iter().flat_map(|&byte| digits(byte)));
}

fn write_all(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a Vec cannot fail");
}

fn not_finite(value: f64) -> &'static [u8] {
    if value.is_nan() {
        b"NaN"
    } else if value > 0.0 {
        b"Infinity"
    } else {
        b"-Infinity"
    }
}
