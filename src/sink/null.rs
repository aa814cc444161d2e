//! No place at all: rows are parsed, validated, and forgotten.

use super::{Layout, Routing, RowAction, RowReject, Sink, SinkError, Target, TargetInfo};
use crate::arena::{Batch, CellType, IndicatorWidth};
use crate::config::schema::{Column, SqlType};

/// Rows in a batch: large enough that the hand-over costs nothing, small enough for the cache.
const BATCH_ROWS: usize = 2_048;

/// The target `null:`: takes any number of columns and of writers.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullTarget;

/// The form that costs a parser least and keeps every value of the type: numbers, dates and times
/// as structs; decimals as text, because no C type holds 38 digits.
#[must_use]
pub(super) const fn typed_cell(ty: SqlType) -> CellType {
    match ty {
        SqlType::SmallInt => CellType::I16,
        SqlType::Integer => CellType::I32,
        SqlType::BigInt => CellType::I64,
        SqlType::Real => CellType::F32,
        SqlType::Double => CellType::F64,
        SqlType::Decimal { .. } | SqlType::Char(_) | SqlType::VarChar(_) => CellType::Text,
        SqlType::Date => CellType::Date,
        SqlType::Time => CellType::Time,
        SqlType::Timestamp { .. } => CellType::Timestamp,
        SqlType::Boolean => CellType::Bit,
        SqlType::Binary(_) | SqlType::VarBinary(_) => CellType::Bytes,
    }
}

impl Target for NullTarget {
    fn info(&self) -> TargetInfo {
        TargetInfo { url: "null:".to_owned(), profile: "null".to_owned(), facts: Vec::new() }
    }

    fn columns(&self, _table: &str) -> Result<Option<Vec<Column>>, SinkError> {
        Ok(None)
    }

    fn has_tables(&self) -> bool {
        false
    }

    fn create_table_sql(&self, _table: &str, _columns: &[Column]) -> String {
        String::new()
    }

    fn create_table(&self, _table: &str, _columns: &[Column]) -> Result<(), SinkError> {
        Err(SinkError::permanent("null: holds no tables"))
    }

    fn truncate(&self, _table: &str) -> Result<(), SinkError> {
        Ok(())
    }

    fn run_sql(&self, _sql: &str) -> Result<(), SinkError> {
        Err(SinkError::permanent("null: runs no SQL"))
    }

    fn layout(
        &self,
        _table: &str,
        columns: &[Column],
        _action: &RowAction,
    ) -> Result<Layout, SinkError> {
        Ok(Layout {
            cells: columns.iter().map(|column| typed_cell(column.ty)).collect(),
            indicators: IndicatorWidth::Wide,
            writers_max: usize::MAX,
            batch_rows: BATCH_ROWS,
            batch_rows_max: usize::MAX,
            replays: false,
            nul_in_text: true,
            statement: String::new(),
            routing: Routing::Any,
        })
    }

    fn open(
        &self,
        _table: &str,
        _columns: &[Column],
        _action: &RowAction,
    ) -> Result<Box<dyn Sink>, SinkError> {
        Ok(Box::new(NullSink))
    }
}

struct NullSink;

impl Sink for NullSink {
    fn write(&mut self, _batch: &Batch) -> Result<Vec<RowReject>, SinkError> {
        Ok(Vec::new())
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn reconnect(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_columns_is_taken() {
        let columns: Vec<_> = (0..10_000)
            .map(|index| Column {
                name: format!("c{index}"),
                ty: SqlType::Timestamp { precision: 6 },
                nullable: true,
                generated: false,
            })
            .collect();
        let layout = NullTarget.layout("", &columns, &RowAction::Insert).unwrap();
        assert_eq!(layout.cells, vec![CellType::Timestamp; 10_000]);
        let mut sink = NullTarget.open("", &columns, &RowAction::Insert).unwrap();
        let batch = Batch::new(&layout.cells, layout.indicators, 0);
        assert_eq!(sink.write(&batch).unwrap(), []);
        sink.commit().unwrap();
    }
}
