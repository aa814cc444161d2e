//! In which form a table's rows go: binary where each column has a form that its type reads back
//! exactly, else text for all of them, which the types read themselves as they do in an INSERT.

use std::fmt::Write as _;

use super::super::catalog::CatalogColumn;
use super::quoted;
use crate::arena::CellType;
use crate::config::schema::{LengthUnit, SqlType};
use crate::sink::staging::OWN_COLUMNS;

/// How a cell goes over the wire in binary: PostgreSQL's `…send` and `…recv` functions of the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// `int2`.
    Int2,
    /// `int4`.
    Int4,
    /// `int8`.
    Int8,
    /// `float4`.
    Float4,
    /// `float8`.
    Float8,
    /// `bool`: one byte.
    Bool,
    /// `numeric`: digits to base 10,000.
    Numeric,
    /// `text`, `varchar`, `bpchar`, `name`: bytes in the client's encoding.
    Text,
    /// `"char"`: exactly one byte.
    Char,
    /// `bytea`.
    Bytes,
    /// `date`: days since 2000.
    Date,
    /// `time`: microseconds.
    Time,
    /// `timestamp`: microseconds since 2000.
    Timestamp,
}

impl Wire {
    /// The form of a type of ours.
    fn of(ty: SqlType) -> Option<Self> {
        Some(match ty {
            SqlType::SmallInt => Self::Int2,
            SqlType::Integer => Self::Int4,
            SqlType::BigInt => Self::Int8,
            SqlType::Real => Self::Float4,
            SqlType::Double => Self::Float8,
            SqlType::Boolean => Self::Bool,
            SqlType::Decimal { .. } => Self::Numeric,
            // As the catalog of PostgreSQL has `"char"`, whose length is one byte.
            SqlType::Char(length) if length.unit == LengthUnit::Bytes => Self::Char,
            SqlType::Char(_) | SqlType::VarChar(_) => Self::Text,
            SqlType::Binary(_) | SqlType::VarBinary(_) => Self::Bytes,
            SqlType::Date => Self::Date,
            SqlType::Time => Self::Time,
            // A fraction that the server would have to round is left to it.
            SqlType::Timestamp { precision } if precision <= 6 => Self::Timestamp,
            SqlType::Timestamp { .. } => return None,
        })
    }

    /// The arena's form of such a cell.
    pub(super) const fn cell(self) -> CellType {
        match self {
            Self::Int2 => CellType::I16,
            Self::Int4 => CellType::I32,
            Self::Int8 => CellType::I64,
            Self::Float4 => CellType::F32,
            Self::Float8 => CellType::F64,
            Self::Bool => CellType::Bit,
            Self::Numeric | Self::Text | Self::Char => CellType::Text,
            Self::Bytes => CellType::Bytes,
            Self::Date => CellType::Date,
            Self::Time => CellType::Time,
            Self::Timestamp => CellType::Timestamp,
        }
    }
}

/// The form of a whole table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// Binary, with the form of each column.
    Binary(Vec<Wire>),
    /// Text.
    Text,
}

impl Form {
    /// For the columns to load, and the table's own of the same names. A type that is loaded as
    /// text with a cast (uuid, arrays, domains over them, whatever an extension brings) has no
    /// binary form here, and no column either whose values are to be checked as another type than
    /// its own.
    pub(super) fn choose(table: &[CatalogColumn], selected: &[CatalogColumn]) -> Self {
        let wires = selected.iter().map(|column| {
            let own = table.iter().find(|own| own.column.name == column.column.name)?;
            let wire = Wire::of(own.column.ty).filter(|_| own.server_type.is_empty())?;
            let asked = Wire::of(column.column.ty)?;
            (asked.cell() == wire.cell()).then_some(wire)
        });
        wires.collect::<Option<Vec<_>>>().map_or(Self::Text, Self::Binary)
    }
}

/// What stands before the loaded columns in a row of a staging table: the run, file and record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Id of the run.
    pub(super) run_id: String,
}

impl Stamp {
    /// Of a run.
    pub(super) fn new(run_id: &str) -> Self {
        Self { run_id: run_id.to_owned() }
    }
}

/// The statement.
pub(super) fn statement(
    table: &str,
    stamp: Option<&Stamp>,
    names: impl Iterator<Item = String>,
    form: &Form,
    quote: char,
) -> String {
    let [_, own @ ..] = OWN_COLUMNS;
    let own = own.iter().map(|name| quoted(name, quote)).filter(|_| stamp.is_some());
    let mut sql = format!("COPY {table} (");
    for (index, name) in own.chain(names).enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(sql, "{comma}{name}").expect("writing to a String cannot fail");
    }
    let word = if *form == Form::Text { "text" } else { "binary" };
    write!(sql, ") FROM STDIN (FORMAT {word})").expect("writing to a String cannot fail");
    sql
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::TextLength;

    #[test]
    fn one_column_without_a_binary_form_makes_it_text() {
        let byte = TextLength { max: 1, unit: LengthUnit::Bytes };
        let table = [
            CatalogColumn::nullable("n", SqlType::Integer, ""),
            CatalogColumn::nullable("c", SqlType::Char(byte), ""),
            CatalogColumn::nullable("u", SqlType::VarChar(None), "\"pg_catalog\".\"uuid\""),
        ];
        assert_eq!(Form::choose(&table, &table[..2]), Form::Binary(vec![Wire::Int4, Wire::Char]));
        assert_eq!(Form::choose(&table, &table), Form::Text);
        let wider = [CatalogColumn::nullable("n", SqlType::BigInt, "")];
        assert_eq!(Form::choose(&table, &wider), Form::Text);
        let finer = [CatalogColumn::nullable("n", SqlType::Timestamp { precision: 9 }, "")];
        assert_eq!(Form::choose(&finer, &finer), Form::Text);
    }

    #[test]
    fn statements() {
        let names = || ["\"a\"".to_owned(), "\"b\"".to_owned()].into_iter();
        assert_eq!(
            statement("\"t\"", None, names(), &Form::Text, '"'),
            "COPY \"t\" (\"a\", \"b\") FROM STDIN (FORMAT text)"
        );
        let stamp = Stamp::new("r");
        let [_, run, file, record] = OWN_COLUMNS;
        assert_eq!(
            statement("\"s\"", Some(&stamp), names(), &Form::Binary(Vec::new()), '"'),
            format!(
                "COPY \"s\" (\"{run}\", \"{file}\", \"{record}\", \"a\", \"b\") FROM STDIN \
                 (FORMAT binary)"
            )
        );
    }
}
