//! What holds for all types: NULL, escapes, encodings, strides, constants.

use super::*;

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
                let escaped = Field { escaped: true, ..plain("\\N") };
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
    let field = |raw: &[u8], quoted| Field { raw: raw.to_vec(), quoted, escaped: true };
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
    let mut text = oracle(SqlType::VarChar(Some(characters(2))), CellType::Text);
    text.dialect.escape = Some(b'\\');
    let value = converted(&text, &field(b"\"\"\\x", true));
    assert_eq!(value, Ok(Cell::Text("\"x".to_owned())));
}

#[test]
fn text_in_its_encodings() {
    let all_bytes: Vec<u8> = (0..=255).collect();
    let mut fields: Vec<_> = all_bytes.iter().map(|&byte| plain([byte])).collect();
    fields.extend((1..200).map(|len| plain(&all_bytes[256 - len..])));
    fields.extend((1..120).map(|len| plain(&all_bytes[1..=len])));
    fields.extend((0..70).map(|len| plain(format!("{}ü", "a".repeat(len)))));
    for len in 1..=70 {
        for at in 0..len {
            let mut text = vec![b'a'; len];
            text[at] = 0;
            fields.push(plain(&text));
            text[at] = 0x80;
            fields.push(plain(&text));
        }
    }
    for encoding in [Encoding::Utf8, Encoding::Latin1, Encoding::Windows1252] {
        for length in [None, Some(characters(17)), Some(octets(17)), Some(octets(1))] {
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
    let chars = oracle(SqlType::Char(characters(3)), CellType::Text);
    assert_eq!(converted(&chars, &plain("äöü")), Ok(Cell::Text("äöü".to_owned())));
    assert_eq!(converted(&chars, &plain("ab  ")), Err(Fault::TooLong));
}

#[test]
fn a_need_of_stride_names_record_and_bytes() {
    let oracle = oracle(SqlType::VarChar(Some(characters(50))), CellType::Text);
    let dialect = &oracle.dialect;
    let converter =
        Converter::new(&oracle.column, CellType::Text, dialect, &oracle.formats, false).unwrap();
    let fields = [plain("short"), plain("x".repeat(51)), plain("x".repeat(50))];
    let window = Window::new(&fields, 0, 1);
    let mut column = ColumnBuffer::new(CellType::Text, IndicatorWidth::Wide);
    column.lay_out(3, 49);
    let mut faults = Vec::new();
    let needed = converter.convert(&window.block(), &mut column, 0, &mut faults);
    let need = NeedStride { record: 2, bytes: 50 };
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
        Converter::new(&oracle.column, cell, &oracle.dialect, &oracle.formats, false)
    };
    let fields = [plain("a"), plain("b")];
    let window = Window::new(&fields, 0, 0);
    for (ty, cell, text, expected) in [
        (SqlType::SmallInt, CellType::I64, "-7", Cell::Integer(-7)),
        (SqlType::VarChar(None), CellType::Text, "é", Cell::Text("é".to_owned())),
        (SqlType::Boolean, CellType::Bit, "yes", Cell::Bit(true)),
        (SqlType::Double, CellType::F64, "NULL", Cell::Null),
        (SqlType::VarChar(None), CellType::Text, "", Cell::Null),
    ] {
        for width in [IndicatorWidth::Narrow, IndicatorWidth::Wide] {
            let converter = constant(ty, cell, text, true).unwrap();
            let mut column = ColumnBuffer::new(cell, width);
            column.lay_out(4, 8);
            converter.convert(&window.block(), &mut column, 1, &mut Vec::new()).unwrap();
            for row in 1..3 {
                assert_eq!(Cell::from(column.cell(row)), expected);
            }
            column.lay_out(4, 1);
            let narrow = converter.convert(&window.block(), &mut column, 1, &mut Vec::new());
            assert_eq!(narrow.is_err(), expected == Cell::Text("é".to_owned()));
        }
    }
    let error = constant(SqlType::SmallInt, CellType::I16, "99999", true).unwrap_err();
    assert!(error.message.contains("\"99999\" is no SMALLINT"), "{error}");
    assert!(constant(SqlType::SmallInt, CellType::I16, "", false).is_err());
}

#[test]
fn pairs_that_do_not_go_together_are_refused() {
    let oracle = oracle(SqlType::Integer, CellType::I16);
    let error =
        Converter::new(&oracle.column, CellType::I16, &oracle.dialect, &oracle.formats, false);
    assert_eq!(error.unwrap_err().message, "column c: INTEGER cannot stand in cells of I16");
}
