//! Rows in the binary form of COPY (PostgreSQL documentation, "COPY", section "Binary Format").
//!
//! Each cell is its length in 32 bits and its bytes, NULL a length of -1; all numbers are
//! big-endian.

use jiff::civil;

use super::form::{Stamp, Wire};
use super::numeric;
use crate::arena::column::NULL_INDICATOR;
use crate::arena::column::odbc_struct::{Date, Time, Timestamp};
use crate::arena::{Batch, ColumnBuffer, Values};

/// Signature, no flags, no extension.
pub(super) const HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// The number of cells that no row has.
pub(super) const END: &[u8] = &[0xff, 0xff];

/// Length of NULL.
const NULL: [u8; 4] = [0xff; 4];

/// The day from which the server counts.
const EPOCH: civil::Date = civil::date(2000, 1, 1);

/// Seconds of a day, and microseconds of a second.
const DAY_SECONDS: i64 = 86_400;
const SECOND_US: i64 = 1_000_000;

/// Writes one row of a batch; `position` is its file and record, for a staging table.
pub(super) fn put_row(
    batch: &Batch,
    row: usize,
    wires: &[Wire],
    stamp: Option<(&Stamp, i32, i64)>,
    out: &mut Vec<u8>,
) {
    let own = if stamp.is_some() { 3 } else { 0 };
    let cells = i16::try_from(wires.len() + own).expect("1,600 columns at the most");
    out.extend_from_slice(&cells.to_be_bytes());
    if let Some((stamp, file, record)) = stamp {
        put(out, stamp.run_id.as_bytes());
        put(out, &file.to_be_bytes());
        put(out, &record.to_be_bytes());
    }
    for (column, wire) in batch.columns.iter().zip(wires) {
        let word = column.indicators.get(row);
        if word == NULL_INDICATOR {
            out.extend_from_slice(&NULL);
        } else {
            put_cell(column, row, word, *wire, out);
        }
    }
}

#[inline]
fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = i32::try_from(bytes.len()).expect("a cell is under 1 GiB");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

#[inline]
fn put_cell(column: &ColumnBuffer, row: usize, word: i64, wire: Wire, out: &mut Vec<u8>) {
    match &column.values {
        Values::I16(v) => put(out, &v[row].to_be_bytes()),
        Values::I32(v) => put(out, &v[row].to_be_bytes()),
        Values::I64(v) => put(out, &v[row].to_be_bytes()),
        Values::F32(v) => put(out, &one_nan32(v[row]).to_be_bytes()),
        Values::F64(v) => put(out, &one_nan64(v[row]).to_be_bytes()),
        Values::Bit(v) => put(out, &[u8::from(v[row] != 0)]),
        Values::Date(v) => put(out, &days(v[row]).to_be_bytes()),
        Values::Time(v) => put(out, &time_us(v[row]).to_be_bytes()),
        Values::Timestamp(v) => put(out, &timestamp_us(v[row]).to_be_bytes()),
        Values::Bytes { data, stride } => {
            let length = usize::try_from(word).expect("a length is not negative");
            let bytes = &data[row * stride..][..length];
            match wire {
                Wire::Numeric => put_numeric(out, bytes),
                // The server's own reading of the empty text.
                Wire::Char if bytes.is_empty() => put(out, &[0]),
                _ => put(out, bytes),
            }
        }
    }
}

fn put_numeric(out: &mut Vec<u8>, text: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    numeric::put(text, out);
    let length = i32::try_from(out.len() - start - 4).expect("a decimal of ours has few digits");
    out[start..][..4].copy_from_slice(&length.to_be_bytes());
}

/// As the server reads the text `NaN`: others are equal to it there, and other bits.
fn one_nan32(value: f32) -> f32 {
    if value.is_nan() { f32::NAN } else { value }
}

fn one_nan64(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}

fn days(date: Date) -> i32 {
    let part = |number: u16| i8::try_from(number).expect("the parser has checked it");
    let day = civil::date(date.year, part(date.month), part(date.day));
    let days = day.duration_since(EPOCH).as_hours() / 24;
    i32::try_from(days).expect("years have four digits")
}

fn time_us(time: Time) -> i64 {
    seconds(time.hour, time.minute, time.second) * SECOND_US
}

fn seconds(hour: u16, minute: u16, second: u16) -> i64 {
    (i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second)
}

fn timestamp_us(t: Timestamp) -> i64 {
    let day = days(Date { year: t.year, month: t.month, day: t.day });
    let seconds = i64::from(day) * DAY_SECONDS + seconds(t.hour, t.minute, t.second);
    // At most six digits: `Wire::of`.
    seconds * SECOND_US + i64::from(t.fraction_ns / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::{CellType, IndicatorWidth};

    #[test]
    fn days_and_moments() {
        let date = |year, month, day| Date { year, month, day };
        assert_eq!(days(date(2000, 1, 1)), 0);
        assert_eq!(days(date(1999, 12, 31)), -1);
        // Julian days 1721426 and 5373484 of the calendar, less 2451545.
        assert_eq!(days(date(1, 1, 1)), -730_119);
        assert_eq!(days(date(9999, 12, 31)), 2_921_939);
        let moment = Timestamp {
            year: 1999,
            month: 12,
            day: 31,
            hour: 23,
            minute: 59,
            second: 59,
            fraction_ns: 999_999_000,
        };
        assert_eq!(timestamp_us(moment), -1);
        assert_eq!(time_us(Time { hour: 23, minute: 59, second: 59 }), 86_399_000_000);
    }

    #[test]
    fn a_row_byte_by_byte() {
        let mut batch = Batch::new(
            &[CellType::I16, CellType::Text, CellType::Text, CellType::Bit],
            IndicatorWidth::Wide,
            0,
        );
        batch.lay_out(1, &[0, 4, 4, 0]);
        for (column, text) in [(1, "-1.5"), (2, "é")] {
            let Values::Bytes { data, .. } = &mut batch.columns[column].values else {
                unreachable!("text")
            };
            data[..text.len()].copy_from_slice(text.as_bytes());
            let length = i64::try_from(text.len()).unwrap();
            batch.columns[column].indicators.set(0, length);
        }
        batch.columns[0].values = Values::I16(vec![-2]);
        batch.columns[0].indicators.set(0, 2);
        batch.columns[3].indicators.set(0, NULL_INDICATOR);
        batch.set_rows(1);
        let wires = [Wire::Int2, Wire::Numeric, Wire::Text, Wire::Bool];
        let mut out = Vec::new();
        put_row(&batch, 0, &wires, None, &mut out);
        let expected: &[&[u8]] = &[
            &[0, 4],
            &[0, 0, 0, 2, 0xff, 0xfe],
            &[0, 0, 0, 12, 0, 2, 0, 0, 0x40, 0, 0, 1, 0, 1, 0x13, 0x88],
            &[0, 0, 0, 2, 0xc3, 0xa9],
            &[0xff; 4],
        ];
        assert_eq!(out, expected.concat());
        let stamp = Stamp::new("r1");
        out.clear();
        put_row(&batch, 0, &wires[..0], Some((&stamp, 1, 2)), &mut out);
        let expected: &[&[u8]] = &[
            &[0, 3],
            &[0, 0, 0, 2, b'r', b'1'],
            &[0, 0, 0, 4, 0, 0, 0, 1],
            &[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 2],
        ];
        assert_eq!(out, expected.concat());
    }
}
