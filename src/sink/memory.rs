//! Rows kept in memory, and every fault that a database can have, on demand: for tests of what
//! stands above the sinks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::null::typed_cell;
use super::{
    ErrorClass, Layout, Routing, RowAction, RowReject, Sink, SinkError, Target, TargetInfo,
};
use crate::arena::column::odbc_struct::{Date, Time, Timestamp};
use crate::arena::{Batch, CellRef, IndicatorWidth};
use crate::config::schema::Column;
use crate::record::{Position, RejectClass};

/// An owned cell.
#[derive(Debug, Clone, PartialEq)]
pub enum CellValue {
    /// NULL.
    Null,
    /// Any of the three integer widths.
    Integer(i64),
    /// 32-bit float.
    F32(f32),
    /// 64-bit float.
    F64(f64),
    /// UTF-8 text.
    Text(Vec<u8>),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Date.
    Date(Date),
    /// Time.
    Time(Time),
    /// Timestamp.
    Timestamp(Timestamp),
    /// Truth value.
    Bit(bool),
}

impl From<CellRef<'_>> for CellValue {
    fn from(cell: CellRef<'_>) -> Self {
        match cell {
            CellRef::Null => Self::Null,
            CellRef::Integer(value) => Self::Integer(value),
            CellRef::F32(value) => Self::F32(value),
            CellRef::F64(value) => Self::F64(value),
            CellRef::Text(text) => Self::Text(text.to_vec()),
            CellRef::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
            CellRef::Date(date) => Self::Date(date),
            CellRef::Time(time) => Self::Time(time),
            CellRef::Timestamp(at) => Self::Timestamp(at),
            CellRef::Bit(value) => Self::Bit(value),
        }
    }
}

/// A committed row.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryRow {
    /// Index of the input.
    pub file: usize,
    /// Where its record stands.
    pub position: Position,
    /// Its cells.
    pub cells: Vec<CellValue>,
}

/// What a [`MemoryTarget`] is told to do wrong. Opens, writes and commits are counted from 1 over
/// all writers, replays included.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Opens that fail, and how.
    pub open: Vec<(u64, ErrorClass)>,
    /// Record numbers that are refused, and the class.
    pub rows: Vec<(u64, RejectClass)>,
    /// Writes that fail, and how. Nothing of the batch is kept.
    pub writes: Vec<(u64, ErrorClass)>,
    /// Commits that fail, and how.
    pub commits: Vec<CommitFault>,
    /// Rows of open transactions that there is room for, over all writers: a write that needs more
    /// fails with [`ErrorClass::Resources`], and every end of a transaction gives its rows back.
    pub log_rows: Option<usize>,
    /// How long each write takes.
    pub write_time: Duration,
}

/// A commit that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitFault {
    /// Which commit, from 1.
    pub commit: u64,
    /// How.
    pub class: ErrorClass,
    /// Whether the rows are in all the same: the answer was lost, not the question.
    pub took_effect: bool,
}

/// A table in memory. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryTarget {
    columns: Option<Vec<Column>>,
    writers_max: usize,
    batch_rows: usize,
    faults: Arc<Faults>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    rows: Vec<MemoryRow>,
    opens: u64,
    writes: u64,
    commits: u64,
    reconnects: u64,
    /// Rows in the log, of transactions that are open.
    log_rows: usize,
    statements: Vec<String>,
    finished: bool,
}

impl MemoryTarget {
    /// A table with these columns; `None` is a place without tables, as `null:`.
    #[must_use]
    pub fn new(columns: Option<Vec<Column>>) -> Self {
        Self {
            columns,
            writers_max: usize::MAX,
            batch_rows: 1_000,
            faults: Arc::default(),
            shared: Arc::default(),
        }
    }

    /// The same with faults.
    #[must_use]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = Arc::new(faults);
        self
    }

    /// The same with a bound on connections and a batch size in rows.
    #[must_use]
    pub const fn with_layout(mut self, writers_max: usize, batch_rows: usize) -> Self {
        self.writers_max = writers_max;
        self.batch_rows = batch_rows;
        self
    }

    /// The committed rows, by input and record number.
    #[must_use]
    pub fn rows(&self) -> Vec<MemoryRow> {
        let mut rows = self.shared().rows.clone();
        rows.sort_by_key(|row| (row.file, row.position));
        rows
    }

    /// The committed rows in the order in which they were committed, those of one transaction in
    /// the order in which they were sent: what an upsert or delete by key would have seen.
    #[must_use]
    pub fn applied(&self) -> Vec<MemoryRow> {
        self.shared().rows.clone()
    }

    /// Commits asked for, failed ones included.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.shared().commits
    }

    /// Connections made again.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.shared().reconnects
    }

    /// Statements of the user, in order; `TRUNCATE` for [`Target::truncate`].
    #[must_use]
    pub fn statements(&self) -> Vec<String> {
        self.shared().statements.clone()
    }

    /// Whether [`Target::finish`] was called.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.shared().finished
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // Every change is one step: a panicking test thread leaves nothing half done.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fault(class: ErrorClass, what: &str, count: u64) -> SinkError {
    SinkError { class, ..SinkError::permanent(format!("{what} {count} fails on demand")) }
}

impl Target for MemoryTarget {
    fn info(&self) -> TargetInfo {
        TargetInfo { url: "memory:".to_owned(), profile: "memory".to_owned(), facts: Vec::new() }
    }

    fn columns(&self, _table: &str) -> Result<Option<Vec<Column>>, SinkError> {
        Ok(self.columns.clone())
    }

    fn has_tables(&self) -> bool {
        self.columns.is_some()
    }

    fn create_table_sql(&self, _table: &str, _columns: &[Column]) -> String {
        String::new()
    }

    fn create_table(&self, _table: &str, _columns: &[Column]) -> Result<(), SinkError> {
        Err(SinkError::permanent("memory: creates no tables"))
    }

    fn truncate(&self, _table: &str) -> Result<(), SinkError> {
        let mut shared = self.shared();
        shared.rows.clear();
        shared.statements.push("TRUNCATE".to_owned());
        Ok(())
    }

    fn run_sql(&self, sql: &str) -> Result<(), SinkError> {
        self.shared().statements.push(sql.to_owned());
        Ok(())
    }

    fn layout(
        &self,
        _table: &str,
        columns: &[Column],
        action: &RowAction,
    ) -> Result<Layout, SinkError> {
        let routing = match action {
            RowAction::Insert | RowAction::Stage { .. } => Routing::Any,
            RowAction::Upsert { key } | RowAction::Delete { key } => {
                Routing::ByKey { key: key.clone() }
            }
        };
        Ok(Layout {
            cells: columns.iter().map(|column| typed_cell(column.ty)).collect(),
            indicators: IndicatorWidth::Wide,
            writers_max: self.writers_max,
            batch_rows: self.batch_rows,
            batch_rows_max: usize::MAX,
            replays: true,
            nul_in_text: true,
            statement: String::new(),
            routing,
        })
    }

    fn open(
        &self,
        _table: &str,
        _columns: &[Column],
        _action: &RowAction,
    ) -> Result<Box<dyn Sink>, SinkError> {
        let opens = {
            let mut shared = self.shared();
            shared.opens += 1;
            shared.opens
        };
        if let Some(&(_, class)) = self.faults.open.iter().find(|(count, _)| *count == opens) {
            return Err(fault(class, "open", opens));
        }
        Ok(Box::new(MemorySink {
            target: self.clone(),
            open_rows: Vec::new(),
            logged_rows: 0,
            lost: false,
        }))
    }

    fn finish(&self) -> Result<(), SinkError> {
        self.shared().finished = true;
        Ok(())
    }
}

struct MemorySink {
    target: MemoryTarget,
    /// Rows of the open transaction.
    open_rows: Vec<MemoryRow>,
    /// Rows that it has in the log.
    logged_rows: usize,
    /// Whether the connection is gone until the next reconnect.
    lost: bool,
}

impl MemorySink {
    fn check_connection(&self) -> Result<(), SinkError> {
        if self.lost {
            return Err(SinkError {
                class: ErrorClass::ConnectionLost,
                ..SinkError::permanent("the connection is gone")
            });
        }
        Ok(())
    }

    fn fail(&mut self, error: SinkError) -> SinkError {
        if error.class == ErrorClass::ConnectionLost {
            self.lost = true;
            self.forget();
        }
        error
    }

    /// Takes room in the log for `rows` rows, if there is as much.
    fn log(&mut self, rows: usize) -> Result<(), SinkError> {
        let mut shared = self.target.shared();
        if self.target.faults.log_rows.is_some_and(|most| shared.log_rows + rows > most) {
            let message = format!("the log is full: {} rows, and {rows} more", shared.log_rows);
            return Err(SinkError {
                class: ErrorClass::Resources,
                ..SinkError::permanent(message)
            });
        }
        shared.log_rows += rows;
        self.logged_rows += rows;
        Ok(())
    }

    /// Ends the open transaction without its rows.
    fn forget(&mut self) {
        self.open_rows.clear();
        self.target.shared().log_rows -= std::mem::take(&mut self.logged_rows);
    }
}

impl Drop for MemorySink {
    fn drop(&mut self) {
        self.forget();
    }
}

impl Sink for MemorySink {
    fn write(&mut self, batch: &Batch) -> Result<Vec<RowReject>, SinkError> {
        self.check_connection()?;
        let faults = Arc::clone(&self.target.faults);
        let writes = {
            let mut shared = self.target.shared();
            shared.writes += 1;
            shared.writes
        };
        if !faults.write_time.is_zero() {
            std::thread::sleep(faults.write_time);
        }
        if let Some(&(_, class)) = faults.writes.iter().find(|(count, _)| *count == writes) {
            return Err(self.fail(fault(class, "write", writes)));
        }
        self.log(batch.rows())?;
        let mut rejects = Vec::new();
        for row in 0..batch.rows() {
            let position = batch.row_position(row);
            let refused = faults.rows.iter().find(|(record, _)| *record == position.record);
            if let Some(&(record, class)) = refused {
                rejects.push(RowReject {
                    row,
                    class,
                    column: None,
                    sqlstate: Some("23505".to_owned()),
                    native: None,
                    message: format!("record {record} is refused on demand"),
                });
                continue;
            }
            self.open_rows.push(MemoryRow {
                file: batch.segment_of_row(row).file,
                position,
                cells: batch.columns.iter().map(|column| column.cell(row).into()).collect(),
            });
        }
        Ok(rejects)
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        self.check_connection()?;
        let mut shared = self.target.shared();
        shared.commits += 1;
        let commits = shared.commits;
        let faults = &self.target.faults.commits;
        let failing = faults.iter().find(|fault| fault.commit == commits).copied();
        if failing.is_none_or(|fault| fault.took_effect) {
            shared.rows.append(&mut self.open_rows);
        }
        drop(shared);
        // Whatever the answer, the transaction is over.
        self.forget();
        match failing {
            None => Ok(()),
            Some(failing) => Err(self.fail(fault(failing.class, "commit", commits))),
        }
    }

    fn rollback(&mut self) -> Result<(), SinkError> {
        self.forget();
        self.check_connection()
    }

    fn reconnect(&mut self) -> Result<(), SinkError> {
        self.forget();
        self.lost = false;
        self.target.shared().reconnects += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::{CellType, RowSource, Segment, Values};
    use crate::input::RawSource;
    use crate::record::ByteRange;

    fn batch(records: &[u32]) -> Batch {
        let mut batch = Batch::new(&[CellType::I64], IndicatorWidth::Wide, 0);
        batch.lay_out(records.len(), &[0]);
        for (row, &record) in records.iter().enumerate() {
            let Values::I64(values) = &mut batch.columns[0].values else { unreachable!() };
            values[row] = i64::from(record) * 10;
            batch.columns[0].indicators.set(row, 8);
            batch.row_sources[row] = RowSource { record, ..RowSource::default() };
        }
        batch.segments.push(Segment {
            file: 0,
            range: ByteRange::default(),
            base_record: 0,
            base_line: 0,
            records: 0,
            first_row: 0,
            source: RawSource::Owned { bytes: Arc::default(), base: 0 },
            share_bytes: None,
            records_before: 0,
            numbered: 0,
            lines_before: 0,
            lines: 0,
            digest: 0,
        });
        batch.set_rows(records.len());
        batch
    }

    fn records(target: &MemoryTarget) -> Vec<u64> {
        target.rows().iter().map(|row| row.position.record).collect()
    }

    #[test]
    fn only_committed_rows_are_kept_in_record_order() {
        let target = MemoryTarget::new(None);
        let mut sink = target.open("", &[], &RowAction::Insert).unwrap();
        sink.write(&batch(&[3, 4])).unwrap();
        sink.commit().unwrap();
        sink.write(&batch(&[5])).unwrap();
        sink.rollback().unwrap();
        sink.write(&batch(&[1])).unwrap();
        sink.commit().unwrap();
        sink.write(&batch(&[9])).unwrap();
        assert_eq!(records(&target), [1, 3, 4]);
        assert_eq!(target.rows()[0].cells, [CellValue::Integer(10)]);
    }

    #[test]
    fn faults_come_when_they_are_asked_for() {
        let target = MemoryTarget::new(None).with_faults(Faults {
            open: vec![(2, ErrorClass::CannotConnect)],
            rows: vec![(2, RejectClass::Duplicate)],
            writes: vec![(2, ErrorClass::ConnectionLost)],
            commits: vec![CommitFault {
                commit: 1,
                class: ErrorClass::ConnectionLost,
                took_effect: true,
            }],
            ..Faults::default()
        });
        let mut sink = target.open("", &[], &RowAction::Insert).unwrap();
        assert!(target.open("", &[], &RowAction::Insert).is_err());
        let rejects = sink.write(&batch(&[1, 2, 3])).unwrap();
        assert_eq!((rejects.len(), rejects[0].row), (1, 1));
        for error in [sink.write(&batch(&[4])), sink.write(&batch(&[4]))] {
            assert_eq!(error.unwrap_err().class, ErrorClass::ConnectionLost);
        }
        assert!(sink.commit().is_err());
        sink.reconnect().unwrap();
        sink.write(&batch(&[4])).unwrap();
        assert!(sink.commit().is_err(), "the answer is lost");
        assert_eq!(records(&target), [4], "but the rows are in");
    }

    #[test]
    fn the_log_is_one_for_all_and_every_end_gives_room_back() {
        let faults = Faults { log_rows: Some(5), ..Faults::default() };
        let target = MemoryTarget::new(None).with_faults(faults);
        let open = || target.open("", &[], &RowAction::Insert).unwrap();
        let (mut one, mut two) = (open(), open());
        one.write(&batch(&[1, 2, 3])).unwrap();
        assert_eq!(two.write(&batch(&[4, 5, 6])).unwrap_err().class, ErrorClass::Resources);
        two.write(&batch(&[7, 8])).unwrap();
        one.rollback().unwrap();
        two.commit().unwrap();
        one.write(&batch(&[1, 2, 3, 4])).unwrap();
        drop(one);
        two.write(&batch(&[11, 12, 13, 14, 15])).unwrap();
        two.commit().unwrap();
        assert_eq!(records(&target), [7, 8, 11, 12, 13, 14, 15]);
    }
}
