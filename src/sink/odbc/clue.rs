//! Which row of a refused array the database may have meant.
//!
//! What is found here is a guess that saves attempts; [`isolate`](super::isolate) sends the row
//! alone before it believes anything.

use std::collections::HashSet;

use super::catalog::CatalogColumn;
use super::isolate::RowFault;
use crate::arena::Batch;
use crate::arena::column::CellRef;
use crate::config::schema::SqlType;
use crate::record::RejectClass;

/// How a database leads to a bad row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clues {
    /// It does not.
    None,
    /// Its message shows values of the row ([`by_words`]).
    Words,
    /// It is asked for the number of the row, right after the array and before anything else.
    Asked {
        /// Statements that keep the number; a server that refuses them does not know it.
        statements: &'static [&'static str],
        /// Query for the number, which counts from 1.
        query: &'static str,
    },
}

/// Texts from this length on may have been cut in a message.
const SHOWN_BYTES_MAX: usize = 60;

/// Position among `rows` of the first one that has the values of PostgreSQL's message: those of a
/// key, `Key (a, b)=(1, x)`, or of the whole row, `Failing row contains (1, x, null)`. The words
/// around them are in the server's language, so only brackets and commas count.
///
/// Of several rows with the same key the second one is meant, when the key must be unique: the
/// first one was taken.
pub(super) fn by_words(
    fault: &RowFault,
    batch: &Batch,
    rows: &[usize],
    columns: &[CatalogColumn],
) -> Option<usize> {
    // The first line has names and no values.
    let detail = fault.message.split_once('\n')?.1.lines().next()?;
    let close = detail.rfind(')')?;
    if let Some((names, values)) = detail[..close].split_once(")=(") {
        let names = &names[names.find('(')? + 1..];
        let key = Key::new(names, values, columns)?;
        let mut alike = (0..rows.len()).filter(|&at| key.is_of(batch, rows[at]));
        let first = alike.next()?;
        let second = alike.next().filter(|_| fault.class == RejectClass::Duplicate);
        return Some(second.unwrap_or(first));
    }
    let shown: HashSet<&str> =
        detail.get(detail.find('(')? + 1..close)?.split(", ").map(str::trim_end).collect();
    (0..rows.len()).find(|&at| is_shown(batch, rows[at], columns, &shown))
}

/// Values of some columns.
struct Key<'a>(Vec<(usize, &'a str)>);

impl<'a> Key<'a> {
    fn new(names: &'a str, values: &'a str, columns: &[CatalogColumn]) -> Option<Self> {
        let names: Vec<&str> = names.split(", ").collect();
        let values: Vec<&str> = values.split(", ").collect();
        if names.len() != values.len() {
            return None;
        }
        let indices = names.iter().map(|name| {
            let name = name.trim_matches('"');
            columns.iter().position(|column| column.column.name == name)
        });
        let key: Vec<_> = indices.collect::<Option<Vec<_>>>()?.into_iter().zip(values).collect();
        Some(Self(key))
    }

    /// Whether the row has these values, as far as they can be compared; one must be.
    fn is_of(&self, batch: &Batch, row: usize) -> bool {
        let mut compared = false;
        for &(column, value) in &self.0 {
            match batch.columns[column].cell(row) {
                CellRef::Integer(number) => {
                    if value.parse() != Ok(number) {
                        return false;
                    }
                    compared = true;
                }
                CellRef::Text(text) => {
                    if plain(text) != plain(value.as_bytes()) {
                        return false;
                    }
                    compared = true;
                }
                CellRef::Null => return false,
                _ => {}
            }
        }
        compared
    }
}

/// A text without the blanks of a CHAR column, a number without the zeroes that end its fraction.
fn plain(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii_end();
    let is_number = text.iter().all(|byte| byte.is_ascii_digit() || b"+-.".contains(byte));
    if !is_number || !text.contains(&b'.') {
        return text;
    }
    let digits = text.iter().rposition(|&byte| byte != b'0').map_or(0, |last| last + 1);
    text[..digits].strip_suffix(b".").unwrap_or(&text[..digits])
}

/// Whether all values of the row that can be compared are among those of a message.
fn is_shown(batch: &Batch, row: usize, columns: &[CatalogColumn], shown: &HashSet<&str>) -> bool {
    let mut compared = false;
    let mut number = itoa::Buffer::new();
    for (buffer, column) in batch.columns.iter().zip(columns) {
        let text = match buffer.cell(row) {
            CellRef::Integer(value) => number.format(value),
            CellRef::Text(text)
                if matches!(column.column.ty, SqlType::Char(_) | SqlType::VarChar(_)) =>
            {
                match std::str::from_utf8(text) {
                    Ok(text) if text.len() < SHOWN_BYTES_MAX && !text.contains(", ") => {
                        text.trim_end()
                    }
                    _ => continue,
                }
            }
            _ => continue,
        };
        if !shown.contains(text) {
            return false;
        }
        compared = true;
    }
    compared
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::{CellType, IndicatorWidth, Values};
    use crate::config::schema::{Column, LengthUnit, TextLength};
    use crate::sink::odbc::profile::announced;

    fn columns() -> Vec<CatalogColumn> {
        let length = TextLength { max: 10, unit: LengthUnit::Characters };
        [
            ("id", SqlType::Integer),
            ("Name", SqlType::VarChar(Some(length))),
            ("amount", SqlType::Decimal { precision: 9, scale: 2 }),
        ]
        .map(|(name, ty)| CatalogColumn {
            column: Column { name: name.to_owned(), ty, nullable: true, generated: false },
            server_type: String::new(),
            announced: announced(ty),
        })
        .into()
    }

    fn batch(cells: &[(i32, &str, &str)]) -> Batch {
        let types = [CellType::I32, CellType::Text, CellType::Text];
        let mut batch = Batch::new(&types, IndicatorWidth::Wide, 0);
        batch.lay_out(cells.len(), &[0, 20, 20]);
        for (row, &(id, name, amount)) in cells.iter().enumerate() {
            let Values::I32(ids) = &mut batch.columns[0].values else { unreachable!() };
            ids[row] = id;
            batch.columns[0].indicators.set(row, 4);
            for (column, text) in [(1, name), (2, amount)] {
                let Values::Bytes { data, stride } = &mut batch.columns[column].values else {
                    unreachable!()
                };
                data[row * *stride..][..text.len()].copy_from_slice(text.as_bytes());
                let length = i64::try_from(text.len()).unwrap();
                batch.columns[column].indicators.set(row, length);
            }
        }
        batch.set_rows(cells.len());
        batch
    }

    fn suspect(class: RejectClass, detail: &str, rows: &[usize]) -> Option<usize> {
        let batch = batch(&[
            (7, "a", "1.5"),
            (8, "b", "17"),
            (7, "c", "1.50"),
            (9, "d, e", "0.25"),
            (8, "b", "3.00"),
        ]);
        let message = format!("ERROR: something (7)\n{detail};\nError while executing the query");
        let fault = RowFault { class, column: None, sqlstate: None, native: None, message };
        by_words(&fault, &batch, rows, &columns())
    }

    #[test]
    fn messages_lead_to_rows() {
        use RejectClass::{Constraint, Duplicate};
        let all = [0, 1, 2, 3, 4];
        for (class, detail, rows, found) in [
            (Duplicate, "DETAIL: Key (id)=(9) already exists.", &all[..], Some(3)),
            (Duplicate, "DETAIL: Key (id)=(7) already exists.", &all, Some(2)),
            (Duplicate, "DETAIL: Key (id)=(7) already exists.", &all[1..], Some(1)),
            (Duplicate, "DÉTAIL: La clé « (id)=(8) » existe déjà.", &all, Some(4)),
            (Duplicate, "DETAIL: Key (id, \"Name\")=(8, b) already exists.", &all, Some(4)),
            (Duplicate, "DETAIL: Key (amount)=(1.50) already exists.", &all, Some(2)),
            (Constraint, "DETAIL: Key (id)=(7) is not present in table \"x\".", &all, Some(0)),
            (Constraint, "DETAIL: Failing row contains (8, b, 3.00).", &all, Some(1)),
            (Constraint, "DETAIL: Failing row contains (x, 9, d, e, 0.25, null).", &all, Some(3)),
            (Duplicate, "DETAIL: Key (id)=(10) already exists.", &all, None),
            (Duplicate, "DETAIL: Key (lower(\"Name\"))=(b) already exists.", &all, None),
            (Duplicate, "DETAIL: Key (id, \"Name\")=(9, d, e) already exists.", &all, None),
            (Duplicate, "DETAIL: Key (id)=(", &all, None),
            (Duplicate, "DETAIL: )=(", &all, None),
            (Duplicate, ")(", &all, None),
            (Duplicate, "", &all, None),
        ] {
            assert_eq!(suspect(class, detail, rows), found, "{detail}");
        }
    }
}
