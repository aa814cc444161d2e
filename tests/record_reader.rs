//! The fast record reader against the oracle, in windows of every kind.

#[path = "common/reader.rs"]
mod reader;

use fastload::config::dialect::{BareQuote, Dialect, FieldsRule, Terminator};
use fastload::parse::oracle::{Content, read_records};
use proptest::prelude::*;
use reader::{check, read_fast};

fn dialects() -> impl Strategy<Value = Dialect> {
    let delimiter =
        prop_oneof![4 => Just(b",".to_vec()), 1 => Just(b"||".to_vec()), 1 => Just(b"\t".to_vec())];
    let terminator = prop_oneof![
        4 => Just(Terminator::Auto),
        1 => Just(Terminator::Lf),
        1 => Just(Terminator::CrLf),
        1 => Just(Terminator::Cr)
    ];
    let fields = prop_oneof![
        3 => Just(FieldsRule::Exact),
        1 => Just(FieldsRule::Pad),
        1 => Just(FieldsRule::Truncate)
    ];
    let bare = prop_oneof![Just(BareQuote::Reject), Just(BareQuote::Literal)];
    let limit = prop_oneof![3 => Just(1 << 20), 1 => 1_usize..20];
    let flags = (
        proptest::bool::weighted(0.8),
        proptest::bool::weighted(0.2),
        proptest::bool::weighted(0.8),
        proptest::bool::weighted(0.2),
        proptest::bool::weighted(0.2),
        proptest::bool::weighted(0.2),
    );
    (delimiter, terminator, fields, bare, limit, flags).prop_map(
        |(delimiter, terminator, fields, bare_quote, max_record_bytes, flags)| {
            let (quote, escape, double_quote, comment, trim, trailing_delimiter) = flags;
            Dialect {
                delimiter,
                quote: quote.then_some(b'"'),
                escape: escape.then_some(b'\\'),
                double_quote,
                terminator,
                comment: comment.then_some(b'#'),
                trim,
                trailing_delimiter,
                bare_quote,
                fields,
                max_record_bytes,
                ..Dialect::default()
            }
        },
    )
}

fn inputs() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        3 => Just(b'a'),
        3 => Just(b','),
        2 => Just(b'"'),
        2 => Just(b'\n'),
        1 => Just(b'\r'),
        1 => Just(b' '),
        1 => Just(b'\t'),
        1 => Just(b'|'),
        1 => Just(b'\\'),
        1 => Just(b'#'),
    ];
    proptest::collection::vec(byte, 0..60)
}

/// Random cases: `PROPTEST_CASES` where it is set, for the longer form.
fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(20_000)))]
    #[test]
    fn equals_the_oracle(bytes in inputs(), dialect in dialects(), field_count in 1_usize..5) {
        check(&bytes, &dialect, field_count);
    }

    #[test]
    fn equals_the_oracle_on_the_default_dialect(bytes in inputs(), field_count in 1_usize..4) {
        check(&bytes, &Dialect::default(), field_count);
    }
}

#[test]
fn one_stray_quote_costs_one_record() {
    let bytes = b"1,a\n2,\"b\n3,c\n4,d\n";
    let records = read_records(bytes, 0, 1, &Dialect::default(), 2);
    let good: Vec<_> = records
        .iter()
        .filter(|record| matches!(record.content, Content::Fields(_)))
        .map(|record| record.line)
        .collect();
    assert_eq!(good, [1, 3, 4]);
    check(bytes, &Dialect::default(), 2);
}

#[test]
fn a_record_longer_than_many_scan_windows() {
    let mut bytes = b"1,\"".to_vec();
    for number in 0..20_000 {
        bytes.extend(format!("line {number}, with \"\"quotes\"\"\n").bytes());
    }
    bytes.extend(b"\"\r\n2,b\r\n");
    let dialect = Dialect::default();
    let expected = read_records(&bytes, 0, 1, &dialect, 2);
    assert_eq!(expected.len(), 2);
    assert_eq!(read_fast(&bytes, &dialect, 2, 1 << 16), expected);
    assert_eq!(read_fast(&bytes, &dialect, 2, bytes.len()), expected);
}
