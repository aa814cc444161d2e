//! arrow-csv's reader with the types of the accounts file.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use arrow_schema::{DataType, Field, Schema, TimeUnit};

use crate::columns::{BATCH_ROWS, Sums};
use crate::{Answer, Failure};

fn schema() -> Schema {
    let fields = [
        ("account_id", DataType::Int64),
        ("branch", DataType::Int16),
        ("customer_name", DataType::Utf8),
        ("balance", DataType::Decimal128(15, 2)),
        ("currency", DataType::Utf8),
        ("opened", DataType::Date32),
        ("last_txn", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("status", DataType::Utf8),
        ("rate", DataType::Float64),
        ("memo", DataType::Utf8),
    ];
    Schema::new(fields.map(|(name, ty)| Field::new(name, ty, true)).to_vec())
}

/// Reads records without their header.
///
/// # Errors
/// What the reader says.
pub fn read(body: &[u8]) -> Result<Answer, Failure> {
    let reader = arrow_csv::ReaderBuilder::new(Arc::new(schema()))
        .with_batch_size(BATCH_ROWS)
        .build_buffered(body)?;
    let mut rows = 0;
    let mut sums = Sums::default();
    for batch in reader {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        let ids = batch.column(0).as_primitive::<Int64Type>();
        sums.account_id += ids.iter().flatten().map(i128::from).sum::<i128>();
        let balances = batch.column(3).as_primitive::<Decimal128Type>();
        sums.balance_cents += balances.iter().flatten().sum::<i128>();
    }
    Ok(Answer { rows, sums: Some(sums) })
}
