//! `CREATE TABLE` for Db2: types, lengths, and what limits a row.
//!
//! Lengths stand without a unit, which Db2 and Derby take alike: Db2 counts bytes then, so that a
//! length in characters becomes four times as many; Derby counts characters.

use crate::config::schema::{Column, LengthUnit, SqlType, TextLength};

use super::is_ordinary;
use super::types::{CHAR_BYTES, VARCHAR_BYTES};

/// Bytes that a row may have in a table space with pages of 4, 8, 16 and 32 KB (Db2 SQL Reference,
/// "Database manager page size-specific limits").
const ROW_BYTES: [(u64, u64); 4] = [(4, 4_005), (8, 8_101), (16, 16_293), (32, 32_677)];

/// Columns of a table on pages of 4 KB.
const COLUMNS_4K: usize = 500;

/// Types, one a column. The widest texts become large objects until a row fits the largest page.
pub(super) fn type_names(columns: &[Column], lengths: LengthUnit) -> Vec<String> {
    let large = large_objects(columns, lengths);
    let name = |(column, large)| type_name(column, large, lengths);
    columns.iter().map(|column| column.ty).zip(large).map(name).collect()
}

/// Which columns are large objects.
fn large_objects(columns: &[Column], lengths: LengthUnit) -> Vec<bool> {
    let size = |column: &Column| length_of(column.ty, lengths);
    let mut large: Vec<bool> =
        columns.iter().map(|column| size(column).is_some_and(|max| max > VARCHAR_BYTES)).collect();
    let mut order: Vec<usize> = (0..columns.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(size(&columns[index]).unwrap_or(0)));
    for index in order {
        let widest = size(&columns[index]).unwrap_or(0);
        let fits = row_bytes(columns, &large, lengths) <= ROW_BYTES[3].1;
        if fits || u64::from(widest) <= descriptor_bytes(widest) {
            break;
        }
        large[index] = true;
    }
    large
}

/// Bytes (or, for Derby, characters) of a text or binary column; `None` for other types.
fn length_of(ty: SqlType, lengths: LengthUnit) -> Option<u32> {
    match ty {
        SqlType::Char(length) | SqlType::VarChar(Some(length)) => Some(declared(length, lengths)),
        SqlType::Binary(max) | SqlType::VarBinary(Some(max)) => Some(max),
        SqlType::VarChar(None) | SqlType::VarBinary(None) => Some(u32::MAX),
        _ => None,
    }
}

/// The number to write for a length.
fn declared(length: TextLength, lengths: LengthUnit) -> u32 {
    match (length.unit, lengths) {
        (LengthUnit::Characters, LengthUnit::Bytes) => length.max.saturating_mul(4),
        _ => length.max,
    }
}

fn type_name(ty: SqlType, large: bool, lengths: LengthUnit) -> String {
    const LARGEST: u32 = 2_147_483_647;
    let max = length_of(ty, lengths).unwrap_or(0).min(LARGEST);
    match ty {
        SqlType::SmallInt => "SMALLINT".to_owned(),
        SqlType::Integer => "INTEGER".to_owned(),
        SqlType::BigInt => "BIGINT".to_owned(),
        SqlType::Decimal { precision, scale } => format!("DECIMAL({precision},{scale})"),
        SqlType::Real => "REAL".to_owned(),
        SqlType::Double => "DOUBLE".to_owned(),
        SqlType::Date => "DATE".to_owned(),
        SqlType::Time => "TIME".to_owned(),
        // Six digits are the default, and all that Derby has.
        SqlType::Timestamp { precision } if precision == 6 || lengths != LengthUnit::Bytes => {
            "TIMESTAMP".to_owned()
        }
        SqlType::Timestamp { precision } => format!("TIMESTAMP({precision})"),
        SqlType::Boolean => "BOOLEAN".to_owned(),
        SqlType::Char(_) | SqlType::VarChar(_) if large => format!("CLOB({max})"),
        SqlType::Char(_) if max <= CHAR_BYTES => format!("CHAR({max})"),
        SqlType::Char(_) | SqlType::VarChar(_) => format!("VARCHAR({max})"),
        SqlType::Binary(_) | SqlType::VarBinary(_) if large => format!("BLOB({max})"),
        SqlType::Binary(_) if max <= CHAR_BYTES => format!("CHAR({max}) FOR BIT DATA"),
        SqlType::Binary(_) | SqlType::VarBinary(_) => format!("VARCHAR({max}) FOR BIT DATA"),
    }
}

/// Bytes of a row (Db2 SQL Reference, `CREATE TABLE`, "Byte Counts").
fn row_bytes(columns: &[Column], large: &[bool], lengths: LengthUnit) -> u64 {
    let bytes = |(column, large): (&Column, &bool)| {
        let max = length_of(column.ty, lengths).unwrap_or(0);
        let own = match column.ty {
            SqlType::Boolean => 1,
            SqlType::SmallInt => 2,
            SqlType::Time => 3,
            SqlType::Integer | SqlType::Real | SqlType::Date => 4,
            SqlType::BigInt | SqlType::Double => 8,
            SqlType::Decimal { precision, .. } => u64::from(precision) / 2 + 1,
            SqlType::Timestamp { precision } => u64::from(precision).div_ceil(2) + 7,
            _ if *large => descriptor_bytes(max),
            SqlType::Char(_) | SqlType::Binary(_) if max <= CHAR_BYTES => u64::from(max),
            _ => u64::from(max) + 4,
        };
        own + u64::from(column.nullable)
    };
    columns.iter().zip(large).map(bytes).sum()
}

/// Bytes in the row for a large object of that length.
fn descriptor_bytes(max: u32) -> u64 {
    match max {
        0..=1_024 => 68,
        1_025..=8_192 => 92,
        8_193..=65_536 => 116,
        65_537..=524_000 => 140,
        524_001..=4_190_000 => 164,
        4_190_001..=134_000_000 => 196,
        134_000_001..=536_000_000 => 220,
        536_000_001..=1_070_000_000 => 252,
        1_070_000_001..=1_470_000_000 => 276,
        _ => 312,
    }
}

/// What a user should know about such a table.
pub(super) fn remarks(columns: &[Column], lengths: LengthUnit) -> Vec<String> {
    if lengths != LengthUnit::Bytes {
        return vec!["this server counts characters: it is not Db2, and has other limits".into()];
    }
    let names = |wanted: &dyn Fn(usize) -> bool| {
        let names = columns.iter().enumerate().filter(|(index, _)| wanted(*index));
        names.map(|(_, column)| column.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let mut said = Vec::new();
    let is_text = |column: &Column| column.ty.is_text();
    if columns.iter().any(is_text) {
        said.push(
            "text lengths are bytes (OCTETS) of the database's code page, which must be 1208 \
             (UTF-8): a character takes up to 4"
                .to_owned(),
        );
    }
    let large = large_objects(columns, lengths);
    let bytes = row_bytes(columns, &large, lengths);
    let large_names = names(&|index| large[index]);
    if !large_names.is_empty() {
        said.push(format!(
            "large objects, because longer than {VARCHAR_BYTES} bytes or for the row's length: \
             {large_names}; they take no index and no comparison, and load more slowly"
        ));
    }
    let fitting = ROW_BYTES.iter().find(|(_, most)| bytes <= *most);
    match fitting {
        Some((4, _)) if columns.len() <= COLUMNS_4K => {}
        Some((kilobytes, _)) => said.push(format!(
            "a row of {bytes} bytes and {} columns needs a table space with pages of {} KB",
            columns.len(),
            kilobytes.max(&8)
        )),
        None => said.push(format!(
            "a row of {bytes} bytes is longer than the {} that the largest page takes",
            ROW_BYTES[3].1
        )),
    }
    let folds = |index: usize| {
        let name: &str = &columns[index].name;
        is_ordinary(name) && !name.bytes().any(|byte| byte.is_ascii_lowercase())
    };
    let quoted = names(&|index| !folds(index));
    if !quoted.is_empty() {
        said.push(format!("these names need double quotes wherever they are used: {quoted}"));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, ty: SqlType) -> Column {
        Column { name: name.to_owned(), ty, nullable: true, generated: false }
    }

    fn text(max: u32, unit: LengthUnit) -> SqlType {
        SqlType::VarChar(Some(TextLength { max, unit }))
    }

    #[test]
    fn lengths_are_bytes_on_db2_and_characters_on_derby() {
        let columns = [
            column("A", text(10, LengthUnit::Characters)),
            column("B", text(10, LengthUnit::Bytes)),
            column("C", SqlType::Char(TextLength { max: 100, unit: LengthUnit::Characters })),
            column("D", SqlType::Timestamp { precision: 3 }),
            column("E", SqlType::Binary(16)),
            column("F", SqlType::VarChar(None)),
            column("G", text(8_192, LengthUnit::Characters)),
        ];
        assert_eq!(
            type_names(&columns, LengthUnit::Bytes),
            [
                "VARCHAR(40)",
                "VARCHAR(10)",
                "VARCHAR(400)",
                "TIMESTAMP(3)",
                "CHAR(16) FOR BIT DATA",
                "CLOB(2147483647)",
                "CLOB(32768)",
            ]
        );
        assert_eq!(
            type_names(&columns[..4], LengthUnit::Characters),
            ["VARCHAR(10)", "VARCHAR(10)", "CHAR(100)", "TIMESTAMP"]
        );
    }

    #[test]
    fn the_widest_columns_leave_a_row_that_is_too_long() {
        let columns: Vec<Column> = (1..=10)
            .map(|n| column(&format!("C{n}"), text(n * 1_000, LengthUnit::Bytes)))
            .collect();
        // 55,000 bytes: without the two of 10,000 and 9,000 it is 36,000, without 8,000 it fits.
        let names = type_names(&columns, LengthUnit::Bytes);
        let large = names.iter().filter(|name| name.starts_with("CLOB")).count();
        assert_eq!(large, 3, "{names:?}");
        assert_eq!(names[6], "VARCHAR(7000)");
        let said = remarks(&columns, LengthUnit::Bytes).join("\n");
        assert!(said.contains("C8, C9, C10"), "{said}");
        assert!(said.contains("32 KB"), "{said}");
    }

    #[test]
    fn remarks_say_what_a_create_table_does_not() {
        let plain = [column("ID", SqlType::Integer)];
        assert_eq!(remarks(&plain, LengthUnit::Bytes), Vec::<String>::new());
        let odd = [column("id", SqlType::Integer), column("A B", text(5, LengthUnit::Bytes))];
        let said = remarks(&odd, LengthUnit::Bytes).join("\n");
        assert!(said.contains("double quotes wherever they are used: id, A B"), "{said}");
        assert!(said.contains("OCTETS"), "{said}");
        let many: Vec<Column> =
            (0..600).map(|n| column(&format!("C{n}"), SqlType::SmallInt)).collect();
        assert!(remarks(&many, LengthUnit::Bytes).join("").contains("pages of 8 KB"));
    }
}
