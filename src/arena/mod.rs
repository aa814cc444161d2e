//! Arenas: the memory of one batch, whose columns are the buffers that the driver reads.

pub mod batch;
pub mod column;
mod key;

pub use batch::{Batch, ParseReject, Reason, RowSource, Segment};
pub use column::{CellRef, CellType, ColumnBuffer, IndicatorWidth, Indicators, Values};
pub use key::KeyNumbers;
