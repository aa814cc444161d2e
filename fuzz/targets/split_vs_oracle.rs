//! The record reader gives the oracle's records for every input, dialect and window size.

#![no_main]

use fastload::config::dialect::{BareQuote, Dialect, FieldsRule, Terminator};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/common/reader.rs"]
mod reader;

/// The first bytes choose the dialect, the rest is the file.
fn dialect(choice: [u8; 3]) -> Dialect {
    let [flags, kinds, limit] = choice;
    let flag = |bit: u8| flags & (1 << bit) != 0;
    Dialect {
        delimiter: if flag(0) { b"||".to_vec() } else { b",".to_vec() },
        quote: (!flag(1)).then_some(b'"'),
        escape: flag(2).then_some(b'\\'),
        double_quote: !flag(3),
        comment: flag(4).then_some(b'#'),
        trim: flag(5),
        trailing_delimiter: flag(6),
        bare_quote: if flag(7) { BareQuote::Literal } else { BareQuote::Reject },
        terminator: match kinds & 3 {
            0 => Terminator::Auto,
            1 => Terminator::Lf,
            2 => Terminator::CrLf,
            _ => Terminator::Cr,
        },
        fields: match (kinds >> 2) % 3 {
            0 => FieldsRule::Exact,
            1 => FieldsRule::Pad,
            _ => FieldsRule::Truncate,
        },
        max_record_bytes: if limit < 64 { 1 + usize::from(limit) } else { 1 << 20 },
        ..Dialect::default()
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, file)) = input.split_first_chunk::<3>() else { return };
    reader::check(file, &dialect(*choice), 1 + usize::from(choice[1] >> 5));
});
