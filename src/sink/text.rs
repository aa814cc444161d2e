//! Cells as text, in the forms that a load reads back.

use std::io::Write;

use crate::arena::CellRef;

/// Appends the text of a cell; nothing for NULL.
///
/// Integers plainly, floats as the shortest decimal that names them, dates and times in ISO form
/// with a space between (fraction of a second without zeros at its end, left out when it is zero),
/// truth values as `true` and `false`, bytes as hexadecimal digits, texts as they are.
pub(super) fn append(cell: CellRef<'_>, out: &mut Vec<u8>) {
    const INFALLIBLE: &str = "writing into memory does not fail";
    match cell {
        CellRef::Null => {}
        CellRef::Integer(value) => {
            out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        }
        CellRef::F32(value) => {
            out.extend_from_slice(zmij::Buffer::new().format(value).as_bytes());
        }
        CellRef::F64(value) => {
            out.extend_from_slice(zmij::Buffer::new().format(value).as_bytes());
        }
        CellRef::Text(text) => out.extend_from_slice(text),
        CellRef::Bytes(bytes) => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            for byte in bytes {
                out.push(DIGITS[usize::from(byte >> 4)]);
                out.push(DIGITS[usize::from(byte & 15)]);
            }
        }
        CellRef::Date(date) => {
            write!(out, "{:04}-{:02}-{:02}", date.year, date.month, date.day).expect(INFALLIBLE);
        }
        CellRef::Time(time) => {
            write!(out, "{:02}:{:02}:{:02}", time.hour, time.minute, time.second)
                .expect(INFALLIBLE);
        }
        CellRef::Timestamp(at) => {
            write!(
                out,
                "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
                at.year, at.month, at.day, at.hour, at.minute, at.second
            )
            .expect(INFALLIBLE);
            if at.fraction_ns != 0 {
                write!(out, ".{:09}", at.fraction_ns).expect(INFALLIBLE);
                while out.last() == Some(&b'0') {
                    out.pop();
                }
            }
        }
        CellRef::Bit(value) => {
            out.extend_from_slice(if value { b"true" } else { b"false" });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::column::odbc_struct::{Date, Time, Timestamp};

    #[test]
    fn cells_have_their_iso_forms() {
        let date = Date { year: 987, month: 2, day: 3 };
        let time = Time { hour: 1, minute: 2, second: 3 };
        let at = Timestamp {
            year: 2024,
            month: 2,
            day: 29,
            hour: 23,
            minute: 0,
            second: 59,
            fraction_ns: 120_000,
        };
        let whole = Timestamp { fraction_ns: 0, ..at };
        for (cell, text) in [
            (CellRef::Null, ""),
            (CellRef::Integer(i64::MIN), "-9223372036854775808"),
            (CellRef::F32(0.1), "0.1"),
            (CellRef::F64(1.0e-7), "1e-7"),
            (CellRef::Text("ü,".as_bytes()), "ü,"),
            (CellRef::Bytes(&[0, 0xab]), "00ab"),
            (CellRef::Date(date), "0987-02-03"),
            (CellRef::Time(time), "01:02:03"),
            (CellRef::Timestamp(at), "2024-02-29 23:00:59.00012"),
            (CellRef::Timestamp(whole), "2024-02-29 23:00:59"),
            (CellRef::Bit(true), "true"),
        ] {
            let mut out = Vec::new();
            append(cell, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
