//! What the columns of a table are: from `SYSCAT.COLUMNS` where it answers, else from describing
//! an empty result.
//!
//! The driver's catalogue functions are not used: on some servers they fail, and `SQLColumns` ends
//! the process.

use crate::config::schema::{Column, LengthUnit, SqlType, TextLength};
use crate::sink::SinkError;
use crate::sink::odbc::catalog::{self, CatalogColumn, TableName};
use crate::sink::odbc::connect::Session;
use crate::sink::odbc::raw::DescribedColumn;

use super::pending::{self, Pending};
use super::types;

/// Columns of a table, or `None` when there is no such table.
pub(super) fn columns(
    session: &Session,
    table: &TableName,
    quote: char,
) -> Result<Option<Vec<CatalogColumn>>, SinkError> {
    let Some(described) = catalog::describe_prepared(session, table, quote)? else {
        return Ok(None);
    };
    // A view's or alias's own rows may be missing there; then the description counts.
    if let Some(rows) = syscat(session, table)?.filter(|rows| !rows.is_empty()) {
        return rows.iter().map(|row| of_syscat(row)).collect::<Result<_, _>>().map(Some);
    }
    // Derby has the other catalogue, and counts characters.
    let derby = derby(session, table)?;
    let unit = if derby.is_some() { LengthUnit::Characters } else { LengthUnit::Bytes };
    let columns = described.iter().map(|described| {
        let mut column = of_description(described, unit)?;
        let own = derby.iter().flatten().find(|row| row[0].as_ref() == Some(&described.name));
        if let Some([_, Some(ty), generated]) = own.map(Vec::as_slice) {
            if ty.starts_with("BOOLEAN") {
                // On the wire it is a number.
                let (name, nullable) = (&described.name, described.nullable);
                column = catalog_column(name, SqlType::Boolean, nullable, false);
            }
            column.column.generated = generated.as_deref() == Some("1");
        }
        Ok(column)
    });
    columns.collect::<Result<_, _>>().map(Some)
}

type Rows = Vec<Vec<Option<String>>>;

/// Columns of a table in the catalogue of a Db2 server, or `None` where there is no such one.
pub(super) fn syscat(session: &Session, table: &TableName) -> Result<Option<Rows>, SinkError> {
    answer(session, &syscat_sql(table))
}

/// Columns of a table in Derby's catalogue (name, type, generated), or `None` where there is no
/// such one.
pub(super) fn derby(session: &Session, table: &TableName) -> Result<Option<Rows>, SinkError> {
    answer(session, &derby_sql(table))
}

/// The rows of a catalogue query, or `None` where the server has no such catalogue.
pub(super) fn answer(session: &Session, sql: &str) -> Result<Option<Rows>, SinkError> {
    match session.query(sql) {
        Ok(rows) => Ok(Some(rows)),
        Err(error) if error.sqlstate.as_deref().is_some_and(is_refusal) => {
            session.rollback()?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What keeps a table from taking rows, by the catalogs that only Db2 has. The second one needs
/// privileges that not every loader has; without them the first must do.
pub(super) fn pending(session: &Session, table: &TableName) -> Result<Option<Pending>, SinkError> {
    let [full, plain] = state_sqls(table);
    let rows = match answer(session, &full)? {
        Some(rows) => Some(rows),
        None => answer(session, &plain)?,
    };
    Ok(rows.and_then(|rows| pending::of_catalog(rows.first()?)))
}

/// The question for a table's state, with and without the administrative view.
fn state_sqls(table: &TableName) -> [String; 2] {
    let (schema, name) = (schema_of(table), literal(&table.table));
    [
        format!(
            "SELECT T.STATUS, T.ACCESS_MODE, I.LOAD_STATUS, I.REORG_PENDING FROM SYSCAT.TABLES T \
             LEFT JOIN SYSIBMADM.ADMINTABINFO I ON I.TABSCHEMA = T.TABSCHEMA \
             AND I.TABNAME = T.TABNAME WHERE T.TABSCHEMA = {schema} AND T.TABNAME = {name}"
        ),
        format!(
            "SELECT STATUS, ACCESS_MODE FROM SYSCAT.TABLES \
             WHERE TABSCHEMA = {schema} AND TABNAME = {name}"
        ),
    ]
}

/// Whether a state says that the statement itself cannot be: no such name, no privilege, syntax.
fn is_refusal(sqlstate: &str) -> bool {
    sqlstate.starts_with("42") || sqlstate == "S0002" || sqlstate == "S0022"
}

/// A literal: neither Db2 nor Derby gives a backslash a meaning.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub(super) fn schema_of(table: &TableName) -> String {
    table.schema.as_deref().map_or_else(|| "CURRENT SCHEMA".to_owned(), literal)
}

fn syscat_sql(table: &TableName) -> String {
    format!(
        "SELECT COLNAME, TYPENAME, LENGTH, SCALE, NULLS, IDENTITY, GENERATED, CODEPAGE, \
         TYPESTRINGUNITS, STRINGUNITSLENGTH, ROWCHANGETIMESTAMP \
         FROM SYSCAT.COLUMNS WHERE TABSCHEMA = {} AND TABNAME = {} ORDER BY COLNO",
        schema_of(table),
        literal(&table.table)
    )
}

/// Derby's names, types, and whether it fills the column by itself (1).
fn derby_sql(table: &TableName) -> String {
    format!(
        "SELECT C.COLUMNNAME, CAST(C.COLUMNDATATYPE AS VARCHAR(1000)), \
         CASE WHEN C.AUTOINCREMENTINC IS NOT NULL \
         OR CAST(C.COLUMNDEFAULT AS VARCHAR(32672)) LIKE 'GENERATED%' THEN 1 ELSE 0 END \
         FROM SYS.SYSCOLUMNS C, SYS.SYSTABLES T, SYS.SYSSCHEMAS S \
         WHERE C.REFERENCEID = T.TABLEID AND T.SCHEMAID = S.SCHEMAID \
         AND S.SCHEMANAME = {} AND T.TABLENAME = {}",
        schema_of(table),
        literal(&table.table)
    )
}

fn not_loadable(name: &str, what: &str) -> SinkError {
    SinkError::permanent(format!(
        "column {name:?} is of type {what}: such columns cannot be loaded from text; leave it out"
    ))
}

fn of_description(
    described: &DescribedColumn,
    unit: LengthUnit,
) -> Result<CatalogColumn, SinkError> {
    let ty = types::described_type(described.code, described.size, described.digits, unit)
        .ok_or_else(|| {
            let what = format!(
                "code {}, size {}, digits {}",
                described.code, described.size, described.digits
            );
            not_loadable(&described.name, &what)
        })?;
    Ok(catalog_column(&described.name, ty, described.nullable, false))
}

fn catalog_column(name: &str, ty: SqlType, nullable: bool, generated: bool) -> CatalogColumn {
    CatalogColumn {
        column: Column { name: name.to_owned(), ty, nullable, generated },
        server_type: String::new(),
        announced: types::announced_for(ty),
    }
}

/// Code pages of text that is UTF-8, and of `FOR BIT DATA`.
const UTF_8: &str = "1208";
const BIT_DATA: &str = "0";

/// One row of [`syscat_sql`].
fn of_syscat(row: &[Option<String>]) -> Result<CatalogColumn, SinkError> {
    let cell = |index: usize| row.get(index).and_then(Option::as_deref).unwrap_or("").trim_end();
    let number = |index: usize| cell(index).parse::<u32>().ok();
    let (name, type_name) = (row[0].as_deref().unwrap_or(""), cell(1));
    let refused = || not_loadable(name, type_name);
    let (length, digits) = (number(2), || number(3).and_then(|n| u8::try_from(n).ok()));
    let characters = |max| TextLength { max, unit: LengthUnit::Characters };
    // Without a unit the column counts bytes of its own code page. In UTF-8 those are ours; in
    // another one a character has fewer, so that the server has the last word on the length.
    let text = || match (cell(8), cell(7)) {
        ("CODEUNITS32" | "CODEUNITS16", _) => number(9).map(characters),
        (_, UTF_8 | "") => length.map(|max| TextLength { max, unit: LengthUnit::Bytes }),
        _ => length.map(characters),
    };
    let double_byte = || length.map(characters);
    let bit_data = cell(7) == BIT_DATA;
    let ty = match type_name {
        "SMALLINT" => SqlType::SmallInt,
        "INTEGER" => SqlType::Integer,
        "BIGINT" => SqlType::BigInt,
        "REAL" => SqlType::Real,
        "DOUBLE" if length == Some(4) => SqlType::Real,
        "DOUBLE" => SqlType::Double,
        "DECIMAL" => SqlType::Decimal {
            precision: length.and_then(|n| u8::try_from(n).ok()).ok_or_else(refused)?,
            scale: digits().ok_or_else(refused)?,
        },
        // Its length is in bytes: 8 for 16 digits, 16 for 34.
        "DECFLOAT" => types::decfloat(if length == Some(8) { 16 } else { 34 }),
        "CHARACTER" if bit_data => SqlType::Binary(length.ok_or_else(refused)?),
        "VARCHAR" | "LONG VARCHAR" if bit_data => SqlType::VarBinary(length),
        "CHARACTER" => SqlType::Char(text().ok_or_else(refused)?),
        "VARCHAR" | "LONG VARCHAR" | "CLOB" => SqlType::VarChar(text()),
        "GRAPHIC" => SqlType::Char(double_byte().ok_or_else(refused)?),
        "VARGRAPHIC" | "LONG VARGRAPHIC" | "DBCLOB" => SqlType::VarChar(double_byte()),
        "BINARY" => SqlType::Binary(length.ok_or_else(refused)?),
        "VARBINARY" | "BLOB" => SqlType::VarBinary(length),
        "BOOLEAN" => SqlType::Boolean,
        "DATE" => SqlType::Date,
        "TIME" => SqlType::Time,
        // The struct that is bound has nine digits; Db2 keeps up to twelve.
        "TIMESTAMP" => SqlType::Timestamp { precision: digits().ok_or_else(refused)?.min(9) },
        _ => return Err(refused()),
    };
    let generated = cell(5) == "Y" || !cell(6).is_empty() || cell(10) == "Y";
    Ok(catalog_column(name, ty, cell(4) != "N", generated))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row as `SYSCAT.COLUMNS` has it, blanks of its CHAR columns included.
    fn syscat(
        ty: &str,
        length: &str,
        scale: &str,
        code_page: &str,
        units: &str,
    ) -> Result<CatalogColumn, SinkError> {
        let units: Vec<Option<String>> = match units.split_once(' ') {
            Some((unit, count)) => vec![Some(unit.to_owned()), Some(count.to_owned())],
            None => vec![None, None],
        };
        let cells = ["N", ty, length, scale, "Y", "N", " ", code_page];
        let mut row: Vec<Option<String>> = cells.map(|cell| Some(cell.to_owned())).into();
        row.extend(units);
        row.push(Some("N".to_owned()));
        of_syscat(&row)
    }

    fn text(max: u32, unit: LengthUnit) -> TextLength {
        TextLength { max, unit }
    }

    #[test]
    fn types_of_db2() {
        use LengthUnit::{Bytes, Characters};
        use SqlType as T;
        for (name, length, scale, page, units, ty) in [
            ("SMALLINT", "2", "0", "0", "", T::SmallInt),
            ("INTEGER", "4", "0", "0", "", T::Integer),
            ("BIGINT", "8", "0", "0", "", T::BigInt),
            ("REAL", "4", "0", "0", "", T::Real),
            ("DOUBLE", "8", "0", "0", "", T::Double),
            ("DECIMAL", "31", "10", "0", "", T::Decimal { precision: 31, scale: 10 }),
            ("DECFLOAT", "8", "0", "0", "", T::VarChar(Some(text(16, Bytes)))),
            ("DECFLOAT", "16", "0", "0", "", T::VarChar(Some(text(34, Bytes)))),
            ("CHARACTER", "10", "0", "1208", "OCTETS 10", T::Char(text(10, Bytes))),
            ("CHARACTER", "16", "0", "0", "", T::Binary(16)),
            ("VARCHAR", "40", "0", "1208", "OCTETS 40", T::VarChar(Some(text(40, Bytes)))),
            (
                "VARCHAR",
                "160",
                "0",
                "1208",
                "CODEUNITS32 40",
                T::VarChar(Some(text(40, Characters))),
            ),
            ("VARCHAR", "40", "0", "819", "", T::VarChar(Some(text(40, Characters)))),
            ("VARCHAR", "20", "0", "0", "", T::VarBinary(Some(20))),
            ("CLOB", "1048576", "0", "1208", "", T::VarChar(Some(text(1_048_576, Bytes)))),
            ("GRAPHIC", "5", "0", "1200", "CODEUNITS16 5", T::Char(text(5, Characters))),
            ("VARGRAPHIC", "50", "0", "1200", "", T::VarChar(Some(text(50, Characters)))),
            ("BINARY", "4", "0", "0", "", T::Binary(4)),
            ("VARBINARY", "9", "0", "0", "", T::VarBinary(Some(9))),
            ("BLOB", "1024", "0", "0", "", T::VarBinary(Some(1_024))),
            ("BOOLEAN", "1", "0", "0", "", T::Boolean),
            ("DATE", "4", "0", "0", "", T::Date),
            ("TIME", "3", "0", "0", "", T::Time),
            ("TIMESTAMP", "10", "6", "0", "", T::Timestamp { precision: 6 }),
            ("TIMESTAMP", "7", "0", "0", "", T::Timestamp { precision: 0 }),
            // More digits than a bound struct has.
            ("TIMESTAMP", "13", "12", "0", "", T::Timestamp { precision: 9 }),
        ] {
            let column = syscat(name, length, scale, page, units).unwrap();
            assert_eq!(column.column.ty, ty, "{name}({length})");
            assert!(column.column.nullable && !column.column.generated);
        }
        for name in ["XML", "ROW", "REFERENCE", "MY_TYPE"] {
            let error = syscat(name, "0", "0", "0", "").unwrap_err();
            assert!(error.message.contains(name) && error.message.contains("leave it out"));
        }
    }

    #[test]
    fn generated_columns_are_known() {
        for (nulls, identity, generated, row_change, is_generated) in [
            ("N", "N", " ", "N", false),
            ("N", "Y", "A", "N", true),
            ("N", "Y", "D", "N", true),
            ("Y", "N", "A", "N", true),
            ("N", "N", " ", "Y", true),
        ] {
            let cells =
                ["ID", "INTEGER", "4", "0", nulls, identity, generated, "0", "", "", row_change];
            let row: Vec<_> = cells.map(|cell| Some(cell.to_owned())).into();
            let column = of_syscat(&row).unwrap().column;
            assert_eq!((column.generated, column.nullable), (is_generated, nulls == "Y"));
        }
    }

    /// Large objects, truth values and wide characters go under the driver's own codes, the last
    /// ones never under that of `SQL_WVARCHAR`, which ends the connection.
    #[test]
    fn announced_codes() {
        for (name, length, code) in [
            ("CLOB", "1048576", types::CLOB),
            ("BLOB", "1048576", types::BLOB),
            ("BOOLEAN", "1", types::BOOLEAN),
            ("VARGRAPHIC", "50", 12),
            ("DECFLOAT", "16", 12),
            ("DBCLOB", "65536", types::CLOB),
        ] {
            assert_eq!(
                syscat(name, length, "0", "1200", "").unwrap().announced.code,
                code,
                "{name}"
            );
        }
    }

    #[test]
    fn names_stand_in_literals() {
        let table = TableName { schema: Some("S'X".into()), table: "T'; DROP TABLE U;--".into() };
        for sql in [syscat_sql(&table), derby_sql(&table)].iter().chain(&state_sqls(&table)) {
            assert!(sql.contains("= 'S''X'"), "{sql}");
            assert!(sql.contains("'T''; DROP TABLE U;--'"), "{sql}");
        }
    }
}
