//! Rows in the text form of COPY (PostgreSQL documentation, "COPY", section "Text Format"): cells
//! between tabs, `\N` for NULL, and a backslash before whatever means something.

use std::io::Write as _;

use super::super::profile::value_text::{put_digits, put_value};
use super::form::Stamp;
use crate::arena::{Batch, CellRef};

/// Writes one row of a batch; `position` is its file and record, for a staging table.
pub(super) fn put_row(
    batch: &Batch,
    row: usize,
    stamp: Option<(&Stamp, i32, i64)>,
    out: &mut Vec<u8>,
) {
    if let Some((stamp, file, record)) = stamp {
        put_text(stamp.run_id.as_bytes(), out);
        write!(out, "\t{file}\t{record}\t").expect("writing to a Vec cannot fail");
    }
    for (index, column) in batch.columns.iter().enumerate() {
        if index > 0 {
            out.push(b'\t');
        }
        put_cell(column.cell(row), out);
    }
    out.push(b'\n');
}

fn put_cell(cell: CellRef<'_>, out: &mut Vec<u8>) {
    match cell {
        CellRef::Null => out.extend_from_slice(b"\\N"),
        CellRef::Text(value) => put_text(value, out),
        CellRef::Bytes(value) => put_bytes(value, out),
        _ => put_value(cell, out),
    }
}

fn put_text(value: &[u8], out: &mut Vec<u8>) {
    for &byte in value {
        let escaped = match byte {
            b'\\' => b'\\',
            b'\t' => b't',
            b'\n' => b'n',
            b'\r' => b'r',
            _ => {
                out.push(byte);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', escaped]);
    }
}

/// Bytes in the server's hexadecimal form.
fn put_bytes(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\\\x");
    put_digits(value, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(cell: CellRef<'_>) -> String {
        let mut out = Vec::new();
        put_cell(cell, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_means_something_is_escaped() {
        for (text, expected) in [
            ("", ""),
            ("\\N", "\\\\N"),
            ("\\.", "\\\\."),
            ("a\tb\nc\rd", "a\\tb\\nc\\rd"),
            ("NULL é {,\"'", "NULL é {,\"'"),
        ] {
            assert_eq!(written(CellRef::Text(text.as_bytes())), expected);
        }
        assert_eq!(written(CellRef::Null), "\\N");
        assert_eq!(written(CellRef::Bytes(&[0, 0x5c, 0xff])), "\\\\x005cff");
    }

    #[test]
    fn numbers() {
        assert_eq!(written(CellRef::Integer(i64::MIN)), i64::MIN.to_string());
        assert_eq!(written(CellRef::F64(f64::NEG_INFINITY)), "-Infinity");
        assert_eq!(written(CellRef::F32(f32::NAN)), "NaN");
        for value in [0.1, -0.0, f64::MAX, f64::MIN_POSITIVE, 5e-324] {
            let read: f64 = written(CellRef::F64(value)).parse().unwrap();
            assert_eq!(read.to_bits(), value.to_bits());
        }
    }
}
