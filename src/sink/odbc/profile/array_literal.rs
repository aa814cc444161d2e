//! Columns of an arena as PostgreSQL array literals (PostgreSQL documentation, "Arrays", section
//! "Array Input and Output Syntax").

use super::value_text::{put_digits, put_value};
use crate::arena::{CellRef, ColumnBuffer};

/// Writes rows of a column as one array literal over what `out` held.
///
/// Text stands in double quotes with `"` and `\` escaped, so that the text NULL, the empty text
/// and text with braces or commas stay what they are; NULL is the bare word.
pub(super) fn render(column: &ColumnBuffer, rows: &[usize], out: &mut Vec<u8>) {
    out.clear();
    out.push(b'{');
    for (index, &row) in rows.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        render_cell(column.cell(row), out);
    }
    out.push(b'}');
}

fn render_cell(cell: CellRef<'_>, out: &mut Vec<u8>) {
    match cell {
        CellRef::Null => out.extend_from_slice(b"NULL"),
        CellRef::Text(value) => render_text(value, out),
        CellRef::Bytes(value) => render_bytes(value, out),
        // It has a blank inside.
        CellRef::Timestamp(_) => {
            out.push(b'"');
            put_value(cell, out);
            out.push(b'"');
        }
        _ => put_value(cell, out),
    }
}

fn render_text(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = value;
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(&[b'\\', rest[at]]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Bytes in the server's hexadecimal form; the backslash is doubled inside the quotes.
fn render_bytes(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"\\\\x");
    put_digits(value, out);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::arena::column::NULL_INDICATOR;
    use crate::arena::{CellType, IndicatorWidth, Values};

    /// A slow reader of one-dimensional array literals: elements, `None` for NULL.
    fn parse(literal: &str) -> Vec<Option<String>> {
        let inner = literal.strip_prefix('{').unwrap().strip_suffix('}').unwrap();
        let mut elements = Vec::new();
        if inner.is_empty() {
            return elements;
        }
        let mut chars = inner.chars().peekable();
        loop {
            let mut text = String::new();
            let mut was_quoted = false;
            while let Some(&c) = chars.peek() {
                if c == ',' {
                    break;
                }
                chars.next();
                match c {
                    '"' => {
                        was_quoted = true;
                        loop {
                            match chars.next().expect("an open quote") {
                                '"' => break,
                                '\\' => text.push(chars.next().expect("an open escape")),
                                other => text.push(other),
                            }
                        }
                    }
                    '\\' => text.push(chars.next().expect("an open escape")),
                    '{' | '}' => panic!("a bare brace"),
                    other => text.push(other),
                }
            }
            let is_null = !was_quoted && text.eq_ignore_ascii_case("null");
            elements.push((!is_null).then_some(text));
            if chars.next().is_none() {
                return elements;
            }
        }
    }

    fn text_column(cells: &[Option<String>]) -> ColumnBuffer {
        let stride = cells.iter().flatten().map(String::len).max().unwrap_or(0).max(1);
        let mut column = ColumnBuffer::new(CellType::Text, IndicatorWidth::Wide);
        column.lay_out(cells.len(), stride);
        for (row, cell) in cells.iter().enumerate() {
            let word = cell.as_ref().map_or(NULL_INDICATOR, |text| {
                let Values::Bytes { data, .. } = &mut column.values else {
                    unreachable!("a text column");
                };
                data[row * stride..][..text.len()].copy_from_slice(text.as_bytes());
                i64::try_from(text.len()).unwrap()
            });
            column.indicators.set(row, word);
        }
        column
    }

    proptest! {
        #[test]
        fn text_comes_back(
            cells in prop::collection::vec(
                prop::option::weighted(0.8, "(NULL|null|)[\"\\\\{},' a\n😀é]{0,6}|\\PC{0,9}"),
                0..20,
            ),
            cut in 0.0..1.0f64,
        ) {
            let column = text_column(&cells);
            let from = (f64::from(u32::try_from(cells.len()).unwrap()) * cut).floor();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "under 20")]
            let from = from as usize;
            let mut literal = b"left over".to_vec();
            let rows: Vec<usize> = (from..cells.len()).filter(|row| row % 3 != 1).collect();
            let expected: Vec<_> = rows.iter().map(|&row| cells[row].clone()).collect();
            render(&column, &rows, &mut literal);
            prop_assert_eq!(parse(std::str::from_utf8(&literal).unwrap()), expected);
        }

        #[test]
        fn floats_come_back(value in any::<f64>(), small in any::<f32>()) {
            let mut wide = ColumnBuffer::new(CellType::F64, IndicatorWidth::Wide);
            wide.lay_out(1, 0);
            wide.values = Values::F64(vec![value]);
            let mut narrow = ColumnBuffer::new(CellType::F32, IndicatorWidth::Narrow);
            narrow.lay_out(1, 0);
            narrow.values = Values::F32(vec![small]);
            let mut out = Vec::new();
            render(&wide, &[0], &mut out);
            let text = parse(std::str::from_utf8(&out).unwrap())[0].clone().unwrap();
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
            render(&narrow, &[0], &mut out);
            let text = parse(std::str::from_utf8(&out).unwrap())[0].clone().unwrap();
            prop_assert_eq!(text.parse::<f32>().unwrap().to_bits(), small.to_bits());
        }
    }

    #[test]
    fn bytes_stand_in_hexadecimal() {
        let mut out = Vec::new();
        render_bytes(&[0, 0x5c, 0xff], &mut out);
        assert_eq!(out, b"\"\\\\x005cff\"");
    }
}
