//! The fast conversions against the slow ones.

use jiff::civil;
use proptest::collection::vec;
use proptest::prelude::*;

use super::date::{calendar_date, iso_parts};
use super::oracle::{Cell, Field, Oracle};
use super::*;
use crate::config::schema::{Column, LengthUnit, TextLength};

/// An oracle for a nullable column of a type.
fn oracle(ty: SqlType, cell: CellType) -> Oracle {
    let column = Column {
        name: "c".to_owned(),
        ty,
        nullable: true,
        generated: false,
    };
    Oracle {
        column: LoadColumn {
            column,
            source: FieldSource::Field(1),
            empty_as_null: false,
        },
        cell,
        dialect: Dialect::default(),
        formats: DateFormats::default(),
        nul_in_text: false,
    }
}

fn plain(text: impl AsRef<[u8]>) -> Field {
    Field {
        raw: text.as_ref().to_vec(),
        quoted: false,
        escaped: false,
    }
}

fn quoted(text: impl AsRef<[u8]>) -> Field {
    Field {
        quoted: true,
        ..plain(text)
    }
}

/// Fields in a window: the tested one is the middle one of three, `lead` and `tail` bytes stand
/// around the block.
struct Window {
    bytes: Vec<u8>,
    base: usize,
    fields: Vec<FieldRef>,
}

impl Window {
    fn new(fields: &[Field], lead: usize, tail: usize) -> Self {
        let mut bytes = vec![b'7'; lead];
        let mut refs = Vec::new();
        for field in fields {
            let start = u32::try_from(bytes.len() - lead).unwrap();
            let len = u32::try_from(field.raw.len()).unwrap();
            bytes.extend_from_slice(&field.raw);
            refs.extend([
                FieldRef::MISSING,
                FieldRef::new(start, len, field.quoted, field.escaped),
                FieldRef::plain(start, len),
            ]);
            if tail > 0 {
                bytes.push(b',');
            }
        }
        bytes.resize(bytes.len() + tail, b'9');
        Self {
            bytes,
            base: lead,
            fields: refs,
        }
    }

    fn block(&self) -> FieldBlock<'_> {
        FieldBlock {
            bytes: &self.bytes,
            base: self.base,
            fields: &self.fields,
            field_count: 3,
            records: self.fields.len() / 3,
        }
    }
}

const FIRST_ROW: usize = 2;

/// Converts the fields, widening the column as long as it is asked for.
fn convert(
    oracle: &Oracle,
    window: &Window,
    width: IndicatorWidth,
    mut stride: usize,
) -> Vec<Result<Cell, Fault>> {
    let converter = Converter::new(
        &oracle.column,
        oracle.cell,
        &oracle.dialect,
        &oracle.formats,
        oracle.nul_in_text,
    )
    .unwrap();
    let block = window.block();
    let mut column = ColumnBuffer::new(oracle.cell, width);
    let mut faults = Vec::new();
    loop {
        column.lay_out(FIRST_ROW + block.records, stride);
        faults.clear();
        match converter.convert(&block, &mut column, FIRST_ROW, &mut faults) {
            Ok(()) => break,
            Err(need) => {
                assert!(need.bytes > stride, "no reason to ask for {need:?}");
                stride = need.bytes;
            }
        }
    }
    assert!(faults.is_sorted_by_key(|&(record, _)| record));
    for row in 0..FIRST_ROW {
        assert_eq!(
            column.indicators.get(row),
            0,
            "a row before the block was written"
        );
    }
    let mut faults = faults.into_iter().peekable();
    (0..block.records)
        .map(|record| {
            let cell = Cell::from(column.cell(FIRST_ROW + record));
            match faults.next_if(|&(at, _)| at as usize == record) {
                Some((_, fault)) => {
                    assert_eq!(cell, Cell::Null);
                    Err(fault)
                }
                None => Ok(cell),
            }
        })
        .collect()
}

/// Holds fast against slow, for both widths of indicator.
fn check(oracle: &Oracle, fields: &[Field], lead: usize, tail: usize, stride: usize) {
    let window = Window::new(fields, lead, tail);
    let slow: Vec<_> = fields.iter().map(|field| oracle.convert(field)).collect();
    for width in [IndicatorWidth::Narrow, IndicatorWidth::Wide] {
        let fast = convert(oracle, &window, width, stride);
        for ((fast, slow), field) in fast.iter().zip(&slow).zip(fields) {
            // As text, because -0.0 is not 0.0 here.
            let (fast, slow) = (format!("{fast:?}"), format!("{slow:?}"));
            assert_eq!(fast, slow, "{:?} {:?}", oracle.column.column.ty, field);
        }
    }
}

fn check_texts(ty: SqlType, cell: CellType, texts: &[&str]) {
    let fields: Vec<_> = texts
        .iter()
        .flat_map(|text| [plain(text), quoted(text)])
        .collect();
    for lead in [0, 1, 5, 40] {
        check(&oracle(ty, cell), &fields, lead, 40, 1);
        check(&oracle(ty, cell), &fields, lead, 0, 64);
    }
}

fn converted(oracle: &Oracle, field: Field) -> Result<Cell, Fault> {
    check(oracle, std::slice::from_ref(&field), 3, 3, 8);
    oracle.convert(&field)
}

const DECIMAL_15_2: SqlType = SqlType::Decimal {
    precision: 15,
    scale: 2,
};

const fn characters(max: u32) -> Option<TextLength> {
    Some(TextLength {
        max,
        unit: LengthUnit::Characters,
    })
}

const fn octets(max: u32) -> Option<TextLength> {
    Some(TextLength {
        max,
        unit: LengthUnit::Bytes,
    })
}

/// Every pair of type and cell with some parameters.
fn pairs() -> Vec<(SqlType, CellType)> {
    use CellType as C;
    let decimal = |precision, scale| SqlType::Decimal { precision, scale };
    let timestamp = |precision| SqlType::Timestamp { precision };
    vec![
        (SqlType::SmallInt, C::I16),
        (SqlType::SmallInt, C::I32),
        (SqlType::SmallInt, C::I64),
        (SqlType::Integer, C::I32),
        (SqlType::Integer, C::I64),
        (SqlType::BigInt, C::I64),
        (DECIMAL_15_2, C::Text),
        (decimal(5, 5), C::Text),
        (decimal(5, 0), C::Text),
        (decimal(31, 10), C::Text),
        (SqlType::Real, C::F32),
        (SqlType::Real, C::F64),
        (SqlType::Double, C::F64),
        (SqlType::Date, C::Date),
        (SqlType::Date, C::Text),
        (SqlType::Time, C::Time),
        (SqlType::Time, C::Text),
        (timestamp(9), C::Timestamp),
        (timestamp(6), C::Timestamp),
        (timestamp(0), C::Text),
        (timestamp(9), C::Text),
        (SqlType::Boolean, C::Bit),
        (SqlType::Boolean, C::I16),
        (SqlType::Boolean, C::I32),
        (SqlType::Boolean, C::I64),
        (SqlType::Boolean, C::Text),
        (SqlType::Binary(4), C::Bytes),
        (SqlType::VarBinary(Some(8)), C::Bytes),
        (SqlType::VarBinary(None), C::Bytes),
        (SqlType::VarChar(None), C::Text),
        (SqlType::VarChar(characters(10)), C::Text),
        (SqlType::VarChar(octets(20)), C::Text),
        (SqlType::Char(characters(3).unwrap()), C::Text),
    ]
}

#[test]
fn integers_at_their_limits() {
    let texts = [
        "0",
        "-0",
        "+0",
        "1",
        "-1",
        "+1",
        "32767",
        "32768",
        "-32768",
        "-32769",
        "2147483647",
        "2147483648",
        "-2147483648",
        "-2147483649",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "00000000000000000000000000000000000000000000000012",
        "99999999999999999999999999999999999999999999999999",
        "",
        "+",
        "-",
        "+-1",
        "1 ",
        " 1",
        "1.",
        "1e3",
        "0x10",
        "1_000",
        "--1",
        "12345678",
        "123456789",
        "1234567890123456",
        "12345678901234567",
        "1234567890123456/",
        "/234567890123456",
        "1234567:",
        ":2345678",
    ];
    for cell in [CellType::I16, CellType::I32, CellType::I64] {
        check_texts(SqlType::SmallInt, cell, &texts);
    }
    for cell in [CellType::I32, CellType::I64] {
        check_texts(SqlType::Integer, cell, &texts);
    }
    check_texts(SqlType::BigInt, CellType::I64, &texts);
    let value = |text| converted(&oracle(SqlType::SmallInt, CellType::I64), plain(text));
    assert_eq!(value("-32768"), Ok(Cell::Integer(-32768)));
    assert_eq!(value("32768"), Err(Fault::OutOfRange));
    assert_eq!(value("1 "), Err(Fault::Syntax));
}

#[test]
fn digits_of_every_length_at_every_alignment() {
    for length in 0..=25 {
        for prefix in ["", "-", "+", "-0"] {
            let digits: String = (0..length)
                .map(|n| char::from(b'1' + (n % 9) as u8))
                .collect();
            let field = plain(format!("{prefix}{digits}"));
            let with_point = (0..=length).map(|at| {
                let (whole, fraction) = digits.split_at(at);
                plain(format!("{prefix}{whole}.{fraction}"))
            });
            let fields: Vec<_> = [field.clone()].into_iter().chain(with_point).collect();
            for lead in 0..=17 {
                let block = &[field.clone()];
                check(
                    &oracle(SqlType::BigInt, CellType::I64),
                    block,
                    lead,
                    lead % 3,
                    0,
                );
                check(
                    &oracle(DECIMAL_15_2, CellType::Text),
                    &fields,
                    lead,
                    lead % 3,
                    1,
                );
                check(
                    &oracle(SqlType::Double, CellType::F64),
                    &fields,
                    lead,
                    lead % 3,
                    0,
                );
            }
        }
    }
}

#[test]
fn decimals_are_copied_as_they_stand() {
    let texts = [
        "0",
        "0.00",
        "-0.00",
        "+1.50",
        "1.5",
        "1.500",
        "1.501",
        ".5",
        "5.",
        ".",
        "-.",
        "+.5",
        "-5.",
        "",
        "-",
        "1234567890123.45",
        "12345678901234.5",
        "0001234567890123.45",
        "00000000000000000000000000000000000001.00",
        "-9999999999999.99",
        "1e5",
        "1,5",
        "1.2.3",
        "..",
        "1 ",
        " 1",
        "--1",
        "12345678901234567890123456789012345678901234567890.5",
    ];
    for (precision, scale) in [(15, 2), (5, 5), (5, 0), (31, 10), (38, 0), (38, 38), (1, 1)] {
        let ty = SqlType::Decimal { precision, scale };
        check_texts(ty, CellType::Text, &texts);
    }
    let value = |text| converted(&oracle(DECIMAL_15_2, CellType::Text), plain(text));
    assert_eq!(value("+1.50"), Ok(Cell::Text("1.50".to_owned())));
    assert_eq!(value("1.500"), Err(Fault::TooManyFractionDigits));
    assert_eq!(value("12345678901234"), Err(Fault::TooManyIntegerDigits));
}

#[test]
fn floats_are_the_nearest_ones() {
    let texts = [
        "0",
        "-0",
        "0.1",
        "-0.1",
        "1e22",
        "1e23",
        "9007199254740993",
        "9007199254740992.5",
        "1e308",
        "1e309",
        "-1e309",
        "5e-324",
        "2e-324",
        "1e-400",
        "0e-400",
        "0.0e999999999999",
        "16777217",
        "16777216.5",
        "3.4028235e38",
        "3.4028236e38",
        "1e-46",
        "1e-45",
        "inf",
        "NaN",
        "infinity",
        "0x1p3",
        "1e",
        "e5",
        "1e+",
        "1e+5",
        "1E-5",
        ".e5",
        ".5e1",
        "5.e1",
        "1..2",
        "1.2.3",
        "+1",
        "++1",
        "1 ",
        "1_0",
        "123456789012345.6",
        "1234567890.123456",
        "0.0000000000000001",
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
    for year in 0..=9999_i16 {
        for month in 0..=13_i8 {
            for day in 0..=32_i8 {
                let (y, m, d) = (
                    year.unsigned_abs(),
                    month.unsigned_abs(),
                    day.unsigned_abs(),
                );
                let expected = year >= 1 && civil::Date::new(year, month, day).is_ok();
                let found = calendar_date(y, m, d);
                assert_eq!(found.is_ok(), expected, "{year}-{month}-{day}");
                if expected {
                    let text = date::iso_text(found.unwrap());
                    assert_eq!(iso_parts(&text), Some((y, m, d)), "{year}-{month}-{day}");
                }
            }
        }
    }
    for month in 0..=99 {
        for day in 0..=99 {
            let valid = civil::Date::new(2024, month, day).is_ok();
            let found = calendar_date(2024, month.unsigned_abs(), day.unsigned_abs());
            assert_eq!(found.is_ok(), valid, "2024-{month}-{day}");
        }
    }
}

#[test]
fn dates_times_and_timestamps_in_their_forms() {
    let texts = [
        "2024-02-29",
        "2023-02-29",
        "1900-02-29",
        "2000-02-29",
        "0000-01-01",
        "0001-01-01",
        "9999-12-31",
        "2024-13-01",
        "2024-00-10",
        "2024-1-1",
        "2024/01/01",
        "20240101",
        "24-01-01",
        "2024-01-01 ",
        "2024-01-0:",
        "00:00:00",
        "23:59:59",
        "24:00:00",
        "23:59:60",
        "23:60:00",
        "12.34.56",
        "12:34.56",
        "12.34:56",
        "12:34",
        "1:02:03",
        "12;34;56",
        "2024-02-29 12:34:56",
        "2024-02-29T12:34:56",
        "2024-02-29-12.34.56",
        "2024-02-29t12:34:56",
        "2024-02-29-12:34:56",
        "2024-02-29 12.34.56",
        "2024-02-29 12:34:56.",
        "2024-02-29 12:34:56.1",
        "2024-02-29 12:34:56.123456",
        "2024-02-29-12.34.56.123456789",
        "2024-02-29 12:34:56.1234567890",
        "2024-02-29 12:34:56.12x",
        "2024-02-29 12:34:56,123",
        "2024-02-29 12:34:56Z",
        "2024-02-29 12:34:56+01:00",
        "2024-02-29 12:34",
        "2023-02-29 12:34:56.1234567890",
        "2024-02-29 24:00:00",
        "2024-02-29 23:59:60.1",
        "2024-02-29 12:34:56.000",
        "2024-02-29 12:34:56.12345678/",
    ];
    for (ty, cell) in pairs() {
        if matches!(
            ty,
            SqlType::Date | SqlType::Time | SqlType::Timestamp { .. }
        ) {
            check_texts(ty, cell, &texts);
        }
    }
}

#[test]
fn formats_of_the_user_come_first() {
    let mut dates = oracle(SqlType::Date, CellType::Text);
    for format in ["yyyymmdd", "YYYY/MM/DD", "dd.mm.yyyy", "yyyy-dd-mm"] {
        dates.formats.date = Some(format.to_owned());
        for text in [
            "20240229",
            "20230229",
            "2024/02/29",
            "29.02.2024",
            "2024-02-29",
            "2024-29-02",
        ] {
            converted(&dates, plain(text)).ok();
        }
    }
    let iso = Ok(Cell::Text("2024-02-01".to_owned()));
    assert_eq!(converted(&dates, plain("2024-01-02")), iso);
    dates.formats.date = Some("yyyymmdd".to_owned());
    assert_eq!(converted(&dates, plain("20240201")), iso);
    assert_eq!(converted(&dates, plain("2024-02-01")), iso);

    let mut times = oracle(SqlType::Time, CellType::Time);
    for format in ["hhmiss", "hh:mi", "ss-mi-hh"] {
        times.formats.time = Some(format.to_owned());
        for text in ["123456", "12:34", "56-34-12", "12:34:56", "246060"] {
            converted(&times, plain(text)).ok();
        }
    }

    for cell in [CellType::Timestamp, CellType::Text] {
        let mut stamps = oracle(SqlType::Timestamp { precision: 6 }, cell);
        for format in [
            "yyyymmddhhmissf",
            "yyyymmddThhmiss.fff",
            "yyyy-mm-dd",
            "ffffff yyyymmddhhmiss",
        ] {
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
                converted(&stamps, plain(text)).ok();
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
    let words = [
        "true", "FALSE", "t", "F", "Yes", "no", "y", "N", "1", "0", "on", "OFF", "2", "tr", "",
        "o", "yess", " t", "\u{11}",
    ];
    let bytes = [
        "00",
        "0x",
        "\\x",
        "0xdeadBEEF",
        "\\xff",
        "0Xff",
        "\\Xff",
        "abc",
        "abcg",
        "zz",
        "0x0",
        "x00",
        "00112233",
        "0011223344",
        "00112233445566778899aabb",
        "0011223344556677zz",
        "0",
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

#[test]
fn null_rules() {
    for (ty, cell) in pairs() {
        for nullable in [true, false] {
            for empty_as_null in [true, false] {
                let mut oracle = oracle(ty, cell);
                oracle.column.column.nullable = nullable;
                oracle.column.empty_as_null = empty_as_null;
                oracle.dialect.null_values =
                    vec![b"\\N".to_vec(), b"NULL".to_vec(), vec![b'x'; 70]];
                oracle.dialect.escape = Some(b'\\');
                oracle.dialect.max_field_bytes = 80;
                let escaped = Field {
                    escaped: true,
                    ..plain("\\N")
                };
                let fields = [
                    plain(""),
                    quoted(""),
                    plain("NULL"),
                    quoted("NULL"),
                    plain("\\N"),
                    quoted("\\N"),
                    escaped,
                    plain(vec![b'x'; 70]),
                    plain(vec![b'x'; 71]),
                    plain(vec![b'0'; 80]),
                    plain(vec![b'0'; 81]),
                    quoted(vec![b'0'; 81]),
                    plain("1"),
                ];
                check(&oracle, &fields, 1, 1, 10);
            }
        }
    }
}

#[test]
fn escapes_are_resolved_for_every_type() {
    let field = |raw: &[u8], quoted| Field {
        raw: raw.to_vec(),
        quoted,
        escaped: true,
    };
    let long = [b"0".repeat(600), b"\\1".to_vec()].concat();
    let fields = [
        field(b"\"\"", true),
        field(b"say \"\"hi\"\" and more", true),
        field(b"\\1\\2", false),
        field(b"20\\24-02-29", true),
        field(b"1\\.5", true),
        field(b"\"\"\"\"", false),
        field(b"\\\"", true),
        field(b"a\\", false),
        field(b"\\\\x00", true),
        field(&long, false),
        field("\\é\"\"".as_bytes(), true),
        field(b"\xff\"\"", true),
        field(b"\\\0", false),
        field(b"t\\rue", true),
    ];
    for (ty, cell) in pairs() {
        for escape in [None, Some(b'\\')] {
            for encoding in [Encoding::Utf8, Encoding::Windows1252] {
                let mut oracle = oracle(ty, cell);
                oracle.dialect.escape = escape;
                oracle.dialect.encoding = encoding;
                for stride in [0, 10, 700] {
                    check(&oracle, &fields, 2, 2, stride);
                }
            }
        }
    }
    let mut text = oracle(SqlType::VarChar(characters(2)), CellType::Text);
    text.dialect.escape = Some(b'\\');
    let value = converted(&text, field(b"\"\"\\x", true));
    assert_eq!(value, Ok(Cell::Text("\"x".to_owned())));
}

#[test]
fn text_in_its_encodings() {
    let all_bytes: Vec<u8> = (0..=255).collect();
    let mut fields: Vec<_> = all_bytes.iter().map(|&byte| plain([byte])).collect();
    fields.extend((1..200).map(|len| plain(&all_bytes[256 - len..])));
    fields.extend((1..120).map(|len| plain(&all_bytes[1..=len])));
    fields.extend((0..70).map(|len| plain(format!("{}ü", "a".repeat(len)))));
    fields.extend((0..70).map(|at| plain(format!("{}\0{}", "a".repeat(at), "b".repeat(69 - at)))));
    for encoding in [Encoding::Utf8, Encoding::Latin1, Encoding::Windows1252] {
        for length in [None, characters(17), octets(17), octets(1)] {
            for nul_in_text in [true, false] {
                let mut oracle = oracle(SqlType::VarChar(length), CellType::Text);
                oracle.dialect.encoding = encoding;
                oracle.nul_in_text = nul_in_text;
                for (lead, tail, stride) in [(0, 0, 0), (3, 70, 16), (1, 1, 400)] {
                    check(&oracle, &fields, lead, tail, stride);
                }
            }
        }
    }
    let chars = oracle(SqlType::Char(characters(3).unwrap()), CellType::Text);
    assert_eq!(
        converted(&chars, plain("äöü")),
        Ok(Cell::Text("äöü".to_owned()))
    );
    assert_eq!(converted(&chars, plain("ab  ")), Err(Fault::TooLong));
}

#[test]
fn a_need_of_stride_names_record_and_bytes() {
    let oracle = oracle(SqlType::VarChar(characters(50)), CellType::Text);
    let dialect = &oracle.dialect;
    let converter = Converter::new(
        &oracle.column,
        CellType::Text,
        dialect,
        &oracle.formats,
        false,
    )
    .unwrap();
    let fields = [plain("short"), plain("x".repeat(51)), plain("x".repeat(50))];
    let window = Window::new(&fields, 0, 1);
    let mut column = ColumnBuffer::new(CellType::Text, IndicatorWidth::Wide);
    column.lay_out(3, 49);
    let mut faults = Vec::new();
    let needed = converter.convert(&window.block(), &mut column, 0, &mut faults);
    let need = NeedStride {
        record: 2,
        bytes: 50,
    };
    assert_eq!(needed, Err(need));
    assert_eq!(faults, [(1, Fault::TooLong)]);
}

#[test]
fn constants_are_converted_once_and_copied() {
    let constant = |ty, cell, text: &str, nullable| {
        let mut oracle = oracle(ty, cell);
        oracle.column.source = FieldSource::Constant(text.as_bytes().to_vec());
        oracle.column.column.nullable = nullable;
        oracle.dialect.null_values = vec![b"NULL".to_vec()];
        oracle.dialect.encoding = Encoding::Latin1;
        Converter::new(
            &oracle.column,
            cell,
            &oracle.dialect,
            &oracle.formats,
            false,
        )
    };
    let fields = [plain("a"), plain("b")];
    let window = Window::new(&fields, 0, 0);
    for (ty, cell, text, expected) in [
        (SqlType::SmallInt, CellType::I64, "-7", Cell::Integer(-7)),
        (
            SqlType::VarChar(None),
            CellType::Text,
            "é",
            Cell::Text("é".to_owned()),
        ),
        (SqlType::Boolean, CellType::Bit, "yes", Cell::Bit(true)),
        (SqlType::Double, CellType::F64, "NULL", Cell::Null),
        (SqlType::VarChar(None), CellType::Text, "", Cell::Null),
    ] {
        for width in [IndicatorWidth::Narrow, IndicatorWidth::Wide] {
            let converter = constant(ty, cell, text, true).unwrap();
            let mut column = ColumnBuffer::new(cell, width);
            column.lay_out(4, 8);
            converter
                .convert(&window.block(), &mut column, 1, &mut Vec::new())
                .unwrap();
            for row in 1..3 {
                assert_eq!(Cell::from(column.cell(row)), expected);
            }
            column.lay_out(4, 1);
            let narrow = converter.convert(&window.block(), &mut column, 1, &mut Vec::new());
            assert_eq!(narrow.is_err(), expected == Cell::Text("é".to_owned()));
        }
    }
    let error = constant(SqlType::SmallInt, CellType::I16, "99999", true).unwrap_err();
    assert!(
        error.message.contains("\"99999\" is no SMALLINT"),
        "{error}"
    );
    assert!(constant(SqlType::SmallInt, CellType::I16, "", false).is_err());
}

#[test]
fn pairs_that_do_not_go_together_are_refused() {
    let oracle = oracle(SqlType::Integer, CellType::I16);
    let error = Converter::new(
        &oracle.column,
        CellType::I16,
        &oracle.dialect,
        &oracle.formats,
        false,
    );
    assert_eq!(
        error.unwrap_err().message,
        "column c: INTEGER cannot stand in cells of I16"
    );
}

/// Texts that are nearly values of some type.
fn near_values() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[+-]?[0-9]{0,25}",
        "[+-]?0{0,9}[0-9]{0,12}(\\.[0-9]{0,12})?",
        "[+-]?[0-9]{0,18}(\\.[0-9]{0,18})?([eE][+-]?[0-9]{0,3})?",
        "[-+0-9.eE ]{0,20}",
        "(2[0-9]{3}|19[0-9]{2}|[0-9]{4})-(0[0-9]|1[0-3])-([0-2][0-9]|3[0-2])",
        "[0-9]{4}-(02-2[789]|0[13578]-3[01]|11-3[01])[ T-][0-2][0-9][:.][0-6][0-9][:.][0-6][0-9](\\.[0-9]{0,10})?",
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
        1 => near_values().prop_flat_map(|text| (Just(text), any::<prop::sample::Index>(), any::<u8>()))
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
        texts in vec("[0-9]{8}|[0-9]{6}|(19|20)[0-9]{2}(0[0-9]|1[0-2])[0-3][0-9][0-9T ]{0,9}[0-9]{0,10}", 1..20),
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
