//! simd-csv's fastest reader of fields, and the conversions behind it.

use crate::columns::{BATCH_ROWS, COLUMNS, Columns, Sums};
use crate::convert::SLACK_BYTES;
use crate::{Answer, Failure};

/// Longest record; those of the accounts file have less than half of it.
const RECORD_BYTES_MAX: usize = 1024;

/// Reads records without their header.
///
/// # Errors
/// What the reader says; a record of another form than the accounts'; a value that is none.
pub fn read(body: &[u8]) -> Result<Answer, Failure> {
    let mut reader = simd_csv::ZeroCopyReaderBuilder::new()
        .has_headers(false)
        .buffer_capacity(64 << 10)
        .from_reader(body);
    let mut columns = Columns::default();
    let mut sums = Sums::default();
    let mut rows = 0;
    // The conversions read a little beyond a field on both sides.
    let mut copy = [0; RECORD_BYTES_MAX + 2 * SLACK_BYTES];
    while let Some(record) = reader.read_byte_record()? {
        let bytes = record.as_slice();
        if record.len() != COLUMNS || bytes.len() > RECORD_BYTES_MAX {
            return Err(format!("record {} is none of the accounts file", rows + 1).into());
        }
        copy[SLACK_BYTES..SLACK_BYTES + bytes.len()].copy_from_slice(bytes);
        let mut start = SLACK_BYTES;
        let fields = std::array::from_fn(|column| {
            let end = start + record[column].len();
            let field = start..end;
            start = end + 1;
            field
        });
        // SAFETY: each range stands inside `copy`, with the slack before and behind it.
        unsafe { columns.push(&copy, &fields) };
        rows += 1;
        if columns.rows() == BATCH_ROWS {
            columns.add_to(&mut sums);
            columns.clear();
        }
    }
    columns.add_to(&mut sums);
    if columns.bad() > 0 {
        return Err(format!("{} values could not be converted", columns.bad()).into());
    }
    Ok(Answer { rows, sums: Some(sums) })
}
