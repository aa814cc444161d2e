//! Random and nearly valid fields.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Texts that are nearly values of some type.
fn near_values() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[+-]?[0-9]{0,25}",
        "[+-]?0{0,9}[0-9]{0,12}(\\.[0-9]{0,12})?",
        "[+-]?[0-9]{0,18}(\\.[0-9]{0,18})?([eE][+-]?[0-9]{0,3})?",
        "[-+0-9.eE ]{0,20}",
        "(2[0-9]{3}|19[0-9]{2}|[0-9]{4})-(0[0-9]|1[0-3])-([0-2][0-9]|3[0-2])",
        concat!(
            "[0-9]{4}-(02-2[789]|0[13578]-3[01]|11-3[01])",
            "[ T-][0-2][0-9][:.][0-6][0-9][:.][0-6][0-9](\\.[0-9]{0,10})?",
        ),
        "[0-2][0-9][:.][0-6][0-9][:.][0-6][0-9]",
        "(0x|\\\\x)?[0-9a-fA-F]{0,20}",
        "[a-zA-Z0-9 äß€]{0,40}",
        "[yYnNtTfF01]|[oO][nNfF]|true|False|yes|no",
    ]
    .prop_map(String::into_bytes)
}

fn any_field() -> impl Strategy<Value = Field> {
    let raw = prop_oneof![
        6 => near_values(),
        1 => near_values()
            .prop_flat_map(|text| (Just(text), any::<prop::sample::Index>(), any::<u8>()))
            .prop_map(|(mut text, at, byte)| {
                if !text.is_empty() {
                    let at = at.index(text.len());
                    text[at] = byte;
                }
                text
            }),
        1 => vec(any::<u8>(), 0..80),
        1 => vec(prop_oneof![Just(b'"'), Just(b'\\'), Just(b'1'), Just(b'a')], 0..20),
    ];
    (raw, any::<bool>(), prop::bool::weighted(0.2)).prop_map(|(raw, quoted, escaped)| Field {
        raw,
        quoted,
        escaped,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn fast_equals_slow(
        fields in vec(any_field(), 1..24),
        lead in 0..40_usize,
        tail in 0..70_usize,
        stride in 0..80_usize,
        nullable: bool,
        escape in prop::option::of(Just(b'\\')),
        encoding in prop_oneof![
            Just(Encoding::Utf8),
            Just(Encoding::Latin1),
            Just(Encoding::Windows1252),
        ],
        nul_in_text: bool,
    ) {
        for (ty, cell) in pairs() {
            let mut oracle = oracle(ty, cell);
            oracle.column.column.nullable = nullable;
            oracle.dialect.escape = escape;
            oracle.dialect.encoding = encoding;
            oracle.dialect.null_values = vec![b"0".to_vec(), b"NULL".to_vec()];
            oracle.dialect.max_field_bytes = 60;
            oracle.nul_in_text = nul_in_text;
            check(&oracle, &fields, lead, tail, stride);
        }
    }

    #[test]
    fn fast_equals_slow_with_formats(
        texts in vec(
            concat!(
                "[0-9]{8}|[0-9]{6}|",
                "(19|20)[0-9]{2}(0[0-9]|1[0-2])[0-3][0-9][0-9T ]{0,9}[0-9]{0,10}",
            ),
            1..20,
        ),
        cell_is_text: bool,
    ) {
        let formats = DateFormats {
            date: Some("yyyymmdd".to_owned()),
            time: Some("hhmiss".to_owned()),
            timestamp: Some("yyyymmddThhmissf".to_owned()),
        };
        let fields: Vec<_> = texts.iter().map(plain).collect();
        for (ty, cell) in [
            (SqlType::Date, CellType::Date),
            (SqlType::Time, CellType::Time),
            (SqlType::Timestamp { precision: 6 }, CellType::Timestamp),
        ] {
            let mut oracle = oracle(ty, if cell_is_text { CellType::Text } else { cell });
            oracle.formats = formats.clone();
            check(&oracle, &fields, 4, 4, 12);
        }
    }
}
