//! The arenas of one parser: how large they are laid out, and how many there may be.

use crate::arena::{Batch, CellType, ColumnBuffer, IndicatorWidth};
use crate::config::Work;
use crate::config::schema::{Column, SqlType};
use crate::sink::Layout;

/// First stride of a text or byte column whose values have not been seen: most texts are short,
/// and a longer one costs one early batch.
const FIRST_STRIDE_BYTES: usize = 32;

/// Fewer rows than this in an arena say that one huge value has set the stride.
const ROWS_OF_A_WIDE_LAYOUT: usize = 32;

/// Fewest arenas of a parser: one to fill, one on its way, one coming back.
pub(super) const ARENAS_MIN: usize = 3;

/// Bytes that the arenas of one parser may take: half of the memory limit is for them all.
pub(super) fn memory_bytes(work: &Work) -> usize {
    work.memory_limit / 2 / work.parsers
}

/// How arenas are laid out: rows and strides. Follows the values that come by.
#[derive(Debug, Clone)]
pub struct Shape {
    cells: Vec<CellType>,
    indicators: IndicatorWidth,
    batch_rows: usize,
    batch_bytes: usize,
    strides: Vec<usize>,
    /// Strides for a few huge rows; given up when the values are small again.
    wide: Option<Vec<usize>>,
}

impl Shape {
    /// The first shape for these columns.
    #[must_use]
    pub fn new(layout: &Layout, columns: &[Column], rows: usize, bytes: usize) -> Self {
        let strides = layout
            .cells
            .iter()
            .zip(columns)
            .map(|(&cell, column)| first_stride(column.ty, cell))
            .collect();
        Self {
            cells: layout.cells.clone(),
            indicators: layout.indicators,
            batch_rows: rows,
            batch_bytes: bytes,
            strides,
            wide: None,
        }
    }

    fn strides(&self) -> &[usize] {
        self.wide.as_deref().unwrap_or(&self.strides)
    }

    /// Bytes of one row: values and indicators.
    fn row_bytes(&self, strides: &[usize]) -> usize {
        let word = match self.indicators {
            IndicatorWidth::Narrow => 4,
            IndicatorWidth::Wide => 8,
        };
        let row =
            |(&cell, &stride): (&CellType, &usize)| word + fixed_bytes(cell).unwrap_or(stride);
        self.cells.iter().zip(strides).map(row).sum::<usize>()
            + size_of::<crate::arena::RowSource>()
    }

    fn rows_for(&self, strides: &[usize]) -> usize {
        (self.batch_bytes / self.row_bytes(strides)).clamp(1, self.batch_rows)
    }

    /// Rows that an arena of this shape holds.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows_for(self.strides())
    }

    /// Bytes that an arena of this shape takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.rows() * self.row_bytes(self.strides())
    }

    /// From now on an arena holds at most `rows` rows.
    pub(super) const fn hold_to(&mut self, rows: usize) {
        self.batch_rows = rows;
    }

    /// Bytes that `arena` was laid out for.
    pub(super) fn bytes_of(&self, arena: &Batch) -> usize {
        let strides: Vec<usize> = arena.columns.iter().map(ColumnBuffer::stride).collect();
        arena.capacity() * self.row_bytes(&strides)
    }

    /// Lays out an arena.
    pub fn lay_out(&self, batch: &mut Batch) {
        batch.lay_out(self.rows(), self.strides());
    }

    /// Lays out an arena for rows of `batch`, in its strides.
    pub(super) fn lay_out_for(&self, arena: &mut Batch, batch: &Batch) {
        let strides: Vec<usize> = batch.columns.iter().map(ColumnBuffer::stride).collect();
        arena.lay_out(self.rows_for(&strides), &strides);
    }

    /// Bytes of an arena that is laid out for rows of `batch`.
    pub(super) fn bytes_for(&self, batch: &Batch) -> usize {
        let strides: Vec<usize> = batch.columns.iter().map(ColumnBuffer::stride).collect();
        self.rows_for(&strides) * self.row_bytes(&strides)
    }

    /// A new arena without room.
    pub(super) fn make_bare(&self, parser: usize) -> Batch {
        Batch::new(&self.cells, self.indicators, parser)
    }

    /// A new arena.
    #[must_use]
    pub fn make(&self, parser: usize) -> Batch {
        let mut batch = self.make_bare(parser);
        self.lay_out(&mut batch);
        batch
    }

    /// Makes room for a value of `bytes` bytes in `column`.
    pub fn widen(&mut self, column: usize, bytes: usize) {
        let mut strides = self.strides().to_vec();
        strides[column] = bytes.next_power_of_two();
        let rows = self.rows_for(&strides);
        if rows < ROWS_OF_A_WIDE_LAYOUT && rows < self.batch_rows {
            // A row larger than an arena goes with few others, or alone, in strides that fit it.
            strides[column] = bytes;
            self.wide = Some(strides);
        } else {
            self.strides = strides;
            self.wide = None;
        }
    }

    /// Looks at a batch that was filled: after huge values the ordinary shape comes back.
    pub fn settle(&mut self, batch: &Batch) {
        if self.wide.is_none() {
            return;
        }
        let fits = batch.columns.iter().zip(&self.strides).all(|(column, &stride)| {
            fixed_bytes(column.cell_type()).is_some()
                || (0..batch.rows()).all(|row| {
                    usize::try_from(column.indicators.get(row)).map_or(true, |len| len <= stride)
                })
        });
        if fits {
            self.wide = None;
        }
    }
}

/// Bytes of a cell of fixed size, `None` for those that have a stride.
const fn fixed_bytes(cell: CellType) -> Option<usize> {
    match cell {
        CellType::Bit => Some(1),
        CellType::I16 => Some(2),
        CellType::I32 | CellType::F32 => Some(4),
        CellType::Date | CellType::Time => Some(6),
        CellType::I64 | CellType::F64 => Some(8),
        CellType::Timestamp => Some(16),
        CellType::Text | CellType::Bytes => None,
    }
}

/// Stride for values that have not been seen yet; 0 for cells of fixed size.
fn first_stride(ty: SqlType, cell: CellType) -> usize {
    if fixed_bytes(cell).is_some() {
        return 0;
    }
    let most = match ty {
        // Sign and point.
        SqlType::Decimal { precision, .. } => usize::from(precision) + 2,
        SqlType::Date => 10,
        SqlType::Time => 8,
        SqlType::Timestamp { precision: 0 } => 19,
        SqlType::Timestamp { precision } => 20 + usize::from(precision),
        SqlType::Char(length) | SqlType::VarChar(Some(length)) => length.max as usize,
        SqlType::Binary(length) | SqlType::VarBinary(Some(length)) => length as usize,
        _ => FIRST_STRIDE_BYTES,
    };
    most.clamp(1, FIRST_STRIDE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::{LengthUnit, TextLength};
    use crate::sink::Routing;

    fn text_columns(count: usize, max: u32) -> (Layout, Vec<Column>) {
        let ty = SqlType::VarChar(Some(TextLength { max, unit: LengthUnit::Characters }));
        let column = Column { name: "t".into(), ty, nullable: true, generated: false };
        let layout = Layout {
            cells: vec![CellType::Text; count],
            indicators: IndicatorWidth::Wide,
            writers_max: 8,
            batch_rows: 5_000,
            batch_rows_max: 5_000,
            nul_in_text: true,
            replays: true,
            statement: String::new(),
            routing: Routing::Any,
        };
        (layout, vec![column; count])
    }

    #[test]
    fn wide_columns_never_multiply_their_declared_length() {
        let (layout, columns) = text_columns(20, 4_000);
        let mut shape = Shape::new(&layout, &columns, 5_000, 4 << 20);
        assert!(shape.bytes() <= 4 << 20);
        for column in 0..20 {
            shape.widen(column, 4_000);
            assert!(shape.bytes() <= 4 << 20, "{}", shape.bytes());
        }
        assert!(shape.rows() >= 40);
    }

    #[test]
    fn a_huge_row_goes_alone_and_the_old_shape_comes_back() {
        let (layout, columns) = text_columns(2, 16 << 20);
        let mut shape = Shape::new(&layout, &columns, 5_000, 4 << 20);
        let rows = shape.rows();
        shape.widen(1, 10 << 20);
        assert_eq!(shape.rows(), 1);
        let mut batch = shape.make(0);
        batch.set_rows(1);
        batch.columns[1].indicators.set(0, 10 << 20);
        shape.settle(&batch);
        assert_eq!(shape.rows(), 1, "while values are huge the wide shape stays");
        batch.columns[1].indicators.set(0, 5);
        shape.settle(&batch);
        assert_eq!(shape.rows(), rows);
    }
}
