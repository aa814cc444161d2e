//! Chosen texts of each type.

use jiff::civil;

use super::super::date::{CivilDay, iso_day, iso_text};
use super::*;

#[test]
fn integers_at_their_limits() {
    #[rustfmt::skip]
    let texts = [
        "0", "-0", "+0", "1", "-1", "+1", "32767", "32768", "-32768", "-32769", "2147483647",
        "2147483648", "-2147483648", "-2147483649", "9223372036854775807", "9223372036854775808",
        "-9223372036854775808", "-9223372036854775809", "18446744073709551615",
        "18446744073709551616", "00000000000000000000000000000000000000000000000012",
        "99999999999999999999999999999999999999999999999999", "", "+", "-", "+-1", "1 ", " 1", "1.",
        "1e3", "0x10", "1_000", "--1", "12345678", "123456789", "1234567890123456",
        "12345678901234567", "1234567890123456/", "/234567890123456", "1234567:", ":2345678",
    ];
    for cell in [CellType::I16, CellType::I32, CellType::I64] {
        check_texts(SqlType::SmallInt, cell, &texts);
    }
    for cell in [CellType::I32, CellType::I64] {
        check_texts(SqlType::Integer, cell, &texts);
    }
    check_texts(SqlType::BigInt, CellType::I64, &texts);
    let value = |text| converted(&oracle(SqlType::SmallInt, CellType::I64), &plain(text));
    assert_eq!(value("-32768"), Ok(Cell::Integer(-32768)));
    assert_eq!(value("32768"), Err(Fault::OutOfRange));
    assert_eq!(value("1 "), Err(Fault::Syntax));
}

#[test]
fn digits_of_every_length_at_every_alignment() {
    for length in 0..=25 {
        for prefix in ["", "-", "+", "-0"] {
            let digits: String = (0..length).map(|n| char::from(b"123456789"[n % 9])).collect();
            let field = plain(format!("{prefix}{digits}"));
            let with_point = (0..=length).map(|at| {
                let (whole, fraction) = digits.split_at(at);
                plain(format!("{prefix}{whole}.{fraction}"))
            });
            let fields: Vec<_> = [field.clone()].into_iter().chain(with_point).collect();
            for lead in 0..=17 {
                let block = std::slice::from_ref(&field);
                check(&oracle(SqlType::BigInt, CellType::I64), block, lead, lead % 3, 0);
                check(&oracle(DECIMAL_15_2, CellType::Text), &fields, lead, lead % 3, 1);
                check(&oracle(SqlType::Double, CellType::F64), &fields, lead, lead % 3, 0);
            }
        }
    }
}

#[test]
fn decimals_are_copied_as_they_stand() {
    #[rustfmt::skip]
    let texts = [
        "0", "0.00", "-0.00", "+1.50", "1.5", "1.500", "1.501", ".5", "5.", ".", "-.", "+.5", "-5.",
        "", "-", "1234567890123.45", "12345678901234.5", "0001234567890123.45",
        "00000000000000000000000000000000000001.00", "-9999999999999.99", "1e5", "1,5", "1.2.3",
        "..", "1 ", " 1", "--1", "12345678901234567890123456789012345678901234567890.5",
    ];
    for (precision, scale) in [(15, 2), (5, 5), (5, 0), (31, 10), (38, 0), (38, 38), (1, 1)] {
        let ty = SqlType::Decimal { precision, scale };
        check_texts(ty, CellType::Text, &texts);
    }
    let value = |text| converted(&oracle(DECIMAL_15_2, CellType::Text), &plain(text));
    assert_eq!(value("+1.50"), Ok(Cell::Text("1.50".to_owned())));
    assert_eq!(value("1.500"), Err(Fault::TooManyFractionDigits));
    assert_eq!(value("12345678901234"), Err(Fault::TooManyIntegerDigits));
}

#[test]
fn floats_are_the_nearest_ones() {
    #[rustfmt::skip]
    let texts = [
        "0", "-0", "0.1", "-0.1", "1e22", "1e23", "9007199254740993", "9007199254740992.5", "1e308",
        "1e309", "-1e309", "5e-324", "2e-324", "1e-400", "0e-400", "0.0e999999999999", "16777217",
        "16777216.5", "3.4028235e38", "3.4028236e38", "1e-46", "1e-45", "inf", "NaN", "infinity",
        "0x1p3", "1e", "e5", "1e+", "1e+5", "1E-5", ".e5", ".5e1", "5.e1", "1..2", "1.2.3", "+1",
        "++1", "1 ", "1_0", "123456789012345.6", "1234567890.123456", "0.0000000000000001",
    ];
    for (ty, cell) in [
        (SqlType::Double, CellType::F64),
        (SqlType::Real, CellType::F32),
        (SqlType::Real, CellType::F64),
    ] {
        check_texts(ty, cell, &texts);
    }
}

#[test]
fn every_day_of_the_calendar() {
    let written = |year: i16, month: i8, day: i8| CivilDay {
        year: year.unsigned_abs(),
        month: month.unsigned_abs(),
        day: day.unsigned_abs(),
    };
    let in_calendar = |year, month, day| year > 0 && civil::Date::new(year, month, day).is_ok();
    for year in 0..=9999 {
        for month in 0..=13 {
            for day in 0..=32 {
                let found = written(year, month, day);
                let expected = in_calendar(year, month, day);
                assert_eq!(found.is_in_calendar(), expected, "{found:?}");
                assert_eq!(iso_day(&iso_text(found)), (true, found));
            }
        }
    }
    for month in 0..=99 {
        for day in 0..=99 {
            let found = written(2024, month, day);
            let expected = in_calendar(2024, month, day);
            assert_eq!(found.is_in_calendar(), expected, "{found:?}");
        }
    }
}

#[test]
fn dates_times_and_timestamps_in_their_forms() {
    #[rustfmt::skip]
    let texts = [
        "2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "0000-01-01", "0001-01-01",
        "9999-12-31", "2024-13-01", "2024-00-10", "2024-1-1", "2024/01/01", "20240101", "24-01-01",
        "2024-01-01 ", "2024-01-0:", "00:00:00", "23:59:59", "24:00:00", "23:59:60", "23:60:00",
        "12.34.56", "12:34.56", "12.34:56", "12:34", "1:02:03", "12;34;56", "2024-02-29 12:34:56",
        "2024-02-29T12:34:56", "2024-02-29-12.34.56", "2024-02-29t12:34:56", "2024-02-29-12:34:56",
        "2024-02-29 12.34.56", "2024-02-29 12:34:56.", "2024-02-29 12:34:56.1",
        "2024-02-29 12:34:56.123456", "2024-02-29-12.34.56.123456789",
        "2024-02-29 12:34:56.1234567890", "2024-02-29 12:34:56.12x", "2024-02-29 12:34:56,123",
        "2024-02-29 12:34:56Z", "2024-02-29 12:34:56+01:00", "2024-02-29 12:34",
        "2023-02-29 12:34:56.1234567890", "2024-02-29 24:00:00", "2024-02-29 23:59:60.1",
        "2024-02-29 12:34:56.000", "2024-02-29 12:34:56.12345678/",
    ];
    for (ty, cell) in pairs() {
        if matches!(ty, SqlType::Date | SqlType::Time | SqlType::Timestamp { .. }) {
            check_texts(ty, cell, &texts);
        }
    }
}

#[test]
fn formats_of_the_user_come_first() {
    let mut dates = oracle(SqlType::Date, CellType::Text);
    for format in ["yyyymmdd", "YYYY/MM/DD", "dd.mm.yyyy", "yyyy-dd-mm"] {
        dates.formats.date = Some(format.to_owned());
        for text in ["20240229", "20230229", "2024/02/29", "29.02.2024", "2024-02-29", "2024-29-02"]
        {
            converted(&dates, &plain(text)).ok();
        }
    }
    let iso = Ok(Cell::Text("2024-02-01".to_owned()));
    assert_eq!(converted(&dates, &plain("2024-01-02")), iso);
    dates.formats.date = Some("yyyymmdd".to_owned());
    assert_eq!(converted(&dates, &plain("20240201")), iso);
    assert_eq!(converted(&dates, &plain("2024-02-01")), iso);

    let mut times = oracle(SqlType::Time, CellType::Time);
    for format in ["hhmiss", "hh:mi", "ss-mi-hh"] {
        times.formats.time = Some(format.to_owned());
        for text in ["123456", "12:34", "56-34-12", "12:34:56", "246060"] {
            converted(&times, &plain(text)).ok();
        }
    }

    for cell in [CellType::Timestamp, CellType::Text] {
        let mut stamps = oracle(SqlType::Timestamp { precision: 6 }, cell);
        for format in
            ["yyyymmddhhmissf", "yyyymmddThhmiss.fff", "yyyy-mm-dd", "ffffff yyyymmddhhmiss"]
        {
            stamps.formats.timestamp = Some(format.to_owned());
            for text in [
                "20240229123456123456",
                "202402291234561234567",
                "20240229123456",
                "2024-02-29",
                "20240229T123456.123",
                "20240229T123456.12",
                "123456 20240229123456",
                "20240229T123456.1234",
                "202402291234561234567891011",
            ] {
                converted(&stamps, &plain(text)).ok();
            }
        }
    }
}

#[test]
fn formats_that_cannot_be_read_are_named() {
    let compile = |text, scope| Format::compile(text, scope).unwrap_err();
    assert!(compile("yymmdd", Scope::Date).contains("'y' is none of"));
    assert!(compile("yyyymm", Scope::Date).contains("'dd' is missing"));
    assert!(compile("yyyymmddmm", Scope::Date).contains("'mm' occurs twice"));
    assert!(compile("yyyymmddhh", Scope::Date).contains("'hh' has no place"));
    assert!(compile("", Scope::Time).contains("'hh' is missing"));
    assert!(compile("hhss", Scope::Time).contains("'mi' is missing"));
    assert!(compile("yyyymmddss", Scope::Timestamp).contains("'ss' without 'mi'"));
    assert!(compile("fyyyymmddhhmiss", Scope::Timestamp).contains("after 'f'"));
    assert!(compile("yyyymmddhhmissffffffffff", Scope::Timestamp).contains("9 digits"));
    assert!(compile("yyyymmdd", Scope::Time).starts_with("--time-format 'yyyymmdd': "));
}

#[test]
fn booleans_and_bytes() {
    #[rustfmt::skip]
    let words = [
        "true", "FALSE", "t", "F", "Yes", "no", "y", "N", "1", "0", "on", "OFF", "2", "tr", "",
        "o", "yess", " t", "\u{11}",
    ];
    #[rustfmt::skip]
    let bytes = [
        "00", "0x", "\\x", "0xdeadBEEF", "\\xff", "0Xff", "\\Xff", "abc", "abcg", "zz", "0x0",
        "x00", "00112233", "0011223344", "00112233445566778899aabb", "0011223344556677zz", "0",
        "\u{e9}\u{e9}",
    ];
    for (ty, cell) in pairs() {
        match ty {
            SqlType::Boolean => check_texts(ty, cell, &words),
            SqlType::Binary(_) | SqlType::VarBinary(_) => check_texts(ty, cell, &bytes),
            _ => {}
        }
    }
}

/// Every second byte of every lead, and the third and fourth bytes on both sides of what is one.
#[test]
fn utf8_is_what_the_standard_library_says() {
    let edges = [0x7f, 0x80, 0xbf, 0xc0_u8];
    let mut texts: Vec<Vec<u8>> = Vec::new();
    for lead in 0x7f..=0xff_u8 {
        for second in 0x7f..=0xff_u8 {
            texts.push(vec![lead, second]);
            if lead >= 0xdf && second <= 0xc0 {
                texts.extend(edges.map(|third| vec![lead, second, third]));
                texts.extend(edges.map(|fourth| vec![lead, second, 0x80, fourth]));
            }
        }
    }
    let oracle = oracle(SqlType::VarChar(None), CellType::Text);
    // At the front, and where the text ends with a step of 64 bytes.
    for lead_bytes in [0, 58, 60, 61, 62] {
        let fields: Vec<_> = texts
            .iter()
            .map(|text| plain([&b"a".repeat(lead_bytes), text.as_slice()].concat()))
            .collect();
        check(&oracle, &fields, 0, 1, 64);
        for (field, text) in fields.iter().zip(&texts) {
            assert_eq!(oracle.convert(field).is_ok(), std::str::from_utf8(text).is_ok());
        }
    }
}

#[test]
fn short_exponents_are_read_as_the_standard_library_does() {
    let mut texts = Vec::new();
    for mantissa in ["1", "9.5", "0.1", "123456789012", "1.2345678901", ".5", "5.", "00.10", "."] {
        for exponent in ["e-0", "e-1", "E-9", "e-", "e5", "e+5", "e-10", "e--", "e-a", "-5", "xe-5"]
        {
            texts.extend(["", "-", "+"].map(|sign| format!("{sign}{mantissa}{exponent}")));
        }
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    check_texts(SqlType::Double, CellType::F64, &texts);
    check_texts(SqlType::Real, CellType::F32, &texts);
    let oracle = oracle(SqlType::Double, CellType::F64);
    for text in texts {
        if let Ok(Cell::F64(number)) = converted(&oracle, &plain(text)) {
            assert_eq!(number.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        }
    }
}
