//! Values that a column of an existing table would not give back are refused before they are
//! sent.

use super::catalog::CatalogColumn;
use super::exact::Exactness;
use super::types::Affinity;
use crate::arena::{Batch, CellRef};
use crate::config::schema::{Column, SqlType};
use crate::record::RejectClass;
use crate::sink::RowReject;

/// The columns of a load whose values must be looked at.
pub(super) struct Guards(Vec<Guard>);

struct Guard {
    /// Index in the batch.
    column: usize,
    name: String,
    declared: String,
    affinity: Affinity,
    rule: Rule,
}

enum Rule {
    /// Text into a column that turns number-like text into numbers.
    Text(Exactness),
    /// SQLite stores a `NaN` as NULL (`sqlite3_bind_double`).
    Float,
}

impl Guards {
    pub(super) fn new(columns: &[Column], catalog: &[CatalogColumn]) -> Self {
        let guards = columns.iter().enumerate().filter_map(|(index, column)| {
            let target = catalog
                .iter()
                .find(|target| target.column.name.eq_ignore_ascii_case(&column.name))?;
            let rule = match column.ty {
                SqlType::Real | SqlType::Double => Rule::Float,
                ty => match Exactness::of(ty, target.affinity) {
                    Exactness::Always => return None,
                    exactness => Rule::Text(exactness),
                },
            };
            Some(Guard {
                column: index,
                name: column.name.clone(),
                declared: target.declared.clone(),
                affinity: target.affinity,
                rule,
            })
        });
        Self(guards.collect())
    }

    /// The rows that must not be sent, in ascending order, each with its first bad column.
    pub(super) fn check(&self, batch: &Batch) -> Vec<RowReject> {
        let mut rejects: Vec<_> = self.0.iter().flat_map(|guard| guard.check(batch)).collect();
        rejects.sort_by_key(|reject| (reject.row, reject.column));
        rejects.dedup_by_key(|reject| reject.row);
        rejects
    }
}

impl Guard {
    fn check<'a>(&'a self, batch: &'a Batch) -> impl Iterator<Item = RowReject> + 'a {
        let column = &batch.columns[self.column];
        (0..batch.rows()).filter(|&row| !self.holds(column.cell(row))).map(|row| RowReject {
            row,
            class: RejectClass::Range,
            column: Some(self.column),
            sqlstate: None,
            native: None,
            message: self.message(),
        })
    }

    fn holds(&self, cell: CellRef<'_>) -> bool {
        match (&self.rule, cell) {
            (Rule::Text(exactness), CellRef::Text(text)) => exactness.holds(text),
            (Rule::Float, CellRef::F64(value)) => !value.is_nan(),
            _ => true,
        }
    }

    fn message(&self) -> String {
        match self.rule {
            Rule::Float => format!("column {}: SQLite stores NaN as NULL", self.name),
            Rule::Text(_) => format!(
                "column {} is declared {} and has {} affinity: SQLite would not give this value \
                 back unchanged (a column with TEXT affinity would)",
                self.name,
                if self.declared.is_empty() { "without a type" } else { &self.declared },
                self.affinity.name(),
            ),
        }
    }
}
