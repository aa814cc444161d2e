//! A delimited file as target: what was loaded, in the plainest dialect.
//!
//! RFC 4180 with a header and LF. NULL is an empty field without quotes and the empty text is
//! `""`, so that loading the file gives the same rows; the `csv` crate cannot write that
//! difference, so the dozen lines of quoting are here.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::NamedTempFile;

use super::null::typed_cell;
use super::{Layout, Routing, RowAction, RowReject, Sink, SinkError, Target, TargetInfo, text};
use crate::arena::{Batch, CellRef, IndicatorWidth};
use crate::config::schema::Column;
use crate::record::RejectClass;

const BUFFER_BYTES: usize = 1 << 18;

const BATCH_ROWS: usize = 4_096;

/// The target `csv:PATH`, one writer.
///
/// Rows go to a temporary file in the same directory, which takes the name only in
/// [`Target::finish`]: a load that fails leaves nothing behind. A file that already has the name
/// is replaced only after [`Target::truncate`].
#[derive(Debug)]
pub struct CsvTarget {
    path: PathBuf,
    overwrite: AtomicBool,
    /// The file of the open or finished writer.
    written: Mutex<Option<NamedTempFile>>,
}

impl CsvTarget {
    /// A target of that name; nothing is touched yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), overwrite: AtomicBool::new(false), written: Mutex::new(None) }
    }

    fn failed(&self, doing: &str, error: &io::Error) -> SinkError {
        io_error(doing, &self.path, error)
    }

    fn written(&self) -> MutexGuard<'_, Option<NamedTempFile>> {
        // The slot holds a file or none: a panic elsewhere cannot leave it half set.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn create(&self) -> io::Result<NamedTempFile> {
        let directory = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        tempfile::Builder::new()
            .prefix(".fastload-")
            .suffix(".csv")
            // As any new file: the process's umask takes away what must not be.
            .permissions(std::fs::Permissions::from_mode(0o666))
            .tempfile_in(directory)
    }
}

fn io_error(doing: &str, path: &Path, error: &io::Error) -> SinkError {
    SinkError {
        native: error.raw_os_error(),
        ..SinkError::permanent(format!("{doing} {}: {error}", path.display()))
    }
}

impl Target for CsvTarget {
    fn info(&self) -> TargetInfo {
        TargetInfo {
            url: format!("csv:{}", self.path.display()),
            profile: "csv".to_owned(),
            facts: Vec::new(),
        }
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
        Err(SinkError::permanent("csv: holds no tables"))
    }

    fn truncate(&self, _table: &str) -> Result<(), SinkError> {
        self.overwrite.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn run_sql(&self, _sql: &str) -> Result<(), SinkError> {
        Err(SinkError::permanent("csv: runs no SQL"))
    }

    fn layout(
        &self,
        _table: &str,
        columns: &[Column],
        action: &RowAction,
    ) -> Result<Layout, SinkError> {
        action.only_insert("csv:")?;
        Ok(Layout {
            cells: columns.iter().map(|column| typed_cell(column.ty)).collect(),
            indicators: IndicatorWidth::Wide,
            writers_max: 1,
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
        columns: &[Column],
        _action: &RowAction,
    ) -> Result<Box<dyn Sink>, SinkError> {
        if !self.overwrite.load(Ordering::Relaxed) && self.path.symlink_metadata().is_ok() {
            return Err(SinkError::permanent(format!(
                "{} exists; --mode truncate replaces it",
                self.path.display()
            )));
        }
        let mut written = self.written();
        if written.is_some() {
            return Err(SinkError::permanent("csv: takes one writer"));
        }
        let failed = |error| self.failed("create", &error);
        let file = self.create().map_err(failed)?;
        let mut sink = CsvSink {
            path: self.path.clone(),
            out: BufWriter::with_capacity(BUFFER_BYTES, file.reopen().map_err(failed)?),
            committed_bytes: 0,
            line: Vec::new(),
            cell: Vec::new(),
        };
        let names = columns.iter().map(|column| CellRef::Text(column.name.as_bytes()));
        sink.render(names);
        sink.out.write_all(&sink.line).map_err(failed)?;
        sink.commit()?;
        *written = Some(file);
        Ok(Box::new(sink))
    }

    fn finish(&self) -> Result<(), SinkError> {
        let Some(file) = self.written().take() else {
            return Ok(());
        };
        if let Err(error) = file.as_file().sync_all() {
            return Err(self.failed("write", &error));
        }
        let renamed = if self.overwrite.load(Ordering::Relaxed) {
            file.persist(&self.path)
        } else {
            file.persist_noclobber(&self.path)
        };
        match renamed {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed("name", &error.error)),
        }
    }
}

struct CsvSink {
    path: PathBuf,
    out: BufWriter<File>,
    /// Length of the file at the last commit.
    committed_bytes: u64,
    /// The line that is being made.
    line: Vec<u8>,
    cell: Vec<u8>,
}

impl CsvSink {
    /// Makes `line` from the cells.
    fn render<'a>(&mut self, cells: impl Iterator<Item = CellRef<'a>>) {
        self.line.clear();
        for (index, cell) in cells.enumerate() {
            if index > 0 {
                self.line.push(b',');
            }
            self.cell.clear();
            text::append(cell, &mut self.cell);
            push_field(cell == CellRef::Null, &self.cell, &mut self.line);
        }
        self.line.push(b'\n');
    }

    fn failed(&self, doing: &str, error: &io::Error) -> SinkError {
        io_error(doing, &self.path, error)
    }
}

fn push_field(null: bool, value: &[u8], line: &mut Vec<u8>) {
    let special = |byte: &u8| matches!(byte, b',' | b'"' | b'\r' | b'\n');
    let blank_end = value.first() == Some(&b' ') || value.last() == Some(&b' ');
    if null || !(value.is_empty() || blank_end || value.iter().any(special)) {
        line.extend_from_slice(value);
        return;
    }
    line.push(b'"');
    for &byte in value {
        if byte == b'"' {
            line.push(b'"');
        }
        line.push(byte);
    }
    line.push(b'"');
}

impl Sink for CsvSink {
    fn write(&mut self, batch: &Batch) -> Result<Vec<RowReject>, SinkError> {
        let mut rejects = Vec::new();
        for row in 0..batch.rows() {
            self.render(batch.columns.iter().map(|column| column.cell(row)));
            if self.line == b"\n" {
                rejects.push(RowReject {
                    row,
                    class: RejectClass::Null,
                    column: Some(0),
                    sqlstate: None,
                    native: None,
                    message: "a row of a single NULL would be a blank line, which is no record"
                        .to_owned(),
                });
                continue;
            }
            if let Err(error) = self.out.write_all(&self.line) {
                return Err(self.failed("write", &error));
            }
        }
        Ok(rejects)
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        let end = self.out.flush().and_then(|()| self.out.stream_position());
        self.committed_bytes = end.map_err(|error| self.failed("write", &error))?;
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), SinkError> {
        // Seeking empties the buffer first; what was in it is cut off with the rest.
        let end = self.committed_bytes;
        self.out
            .seek(SeekFrom::Start(end))
            .and_then(|_| self.out.get_ref().set_len(end))
            .map_err(|error| self.failed("cut", &error))
    }

    fn reconnect(&mut self) -> Result<(), SinkError> {
        self.rollback()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::{CellType, Values};
    use crate::config::schema::SqlType;

    fn columns(names: &[&str]) -> Vec<Column> {
        let column = |name: &&str| Column {
            name: (*name).to_owned(),
            ty: SqlType::VarChar(None),
            nullable: true,
            generated: false,
        };
        names.iter().map(column).collect()
    }

    fn batch(rows: &[&[Option<&str>]]) -> Batch {
        let width = rows[0].len();
        let mut batch = Batch::new(&vec![CellType::Text; width], IndicatorWidth::Wide, 0);
        batch.lay_out(rows.len(), &vec![32; width]);
        for (row, cells) in rows.iter().enumerate() {
            for (column, cell) in batch.columns.iter_mut().zip(*cells) {
                let Values::Bytes { data, stride } = &mut column.values else { unreachable!() };
                let text = cell.unwrap_or_default().as_bytes();
                data[row * *stride..][..text.len()].copy_from_slice(text);
                let word = cell.map_or(-1, |text| i64::try_from(text.len()).unwrap());
                column.indicators.set(row, word);
            }
        }
        batch.set_rows(rows.len());
        batch
    }

    #[test]
    fn the_file_appears_at_the_end_without_what_was_rolled_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.csv");
        let target = CsvTarget::new(&path);
        let mut sink = target.open("", &columns(&["a", "b,c"]), &RowAction::Insert).unwrap();
        assert!(target.open("", &columns(&["a"]), &RowAction::Insert).is_err());
        let first = batch(&[&[None, Some("")], &[Some("x,y"), Some("q\"q\n")]]);
        let second = batch(&[&[Some("lost"), None]]);
        let third = batch(&[&[Some("001"), Some(" b")]]);
        assert_eq!(sink.write(&first).unwrap(), []);
        sink.commit().unwrap();
        sink.write(&second).unwrap();
        sink.rollback().unwrap();
        sink.write(&third).unwrap();
        sink.commit().unwrap();
        assert!(!path.exists());
        target.finish().unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "a,\"b,c\"\n,\"\"\n\"x,y\",\"q\"\"q\n\"\n001,\" b\"\n"
        );
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_csv_crate_reads_the_same_texts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.csv");
        let target = CsvTarget::new(&path);
        let mut sink = target.open("", &columns(&["a", "b"]), &RowAction::Insert).unwrap();
        let rows: [&[Option<&str>]; 3] =
            [&[Some("\r"), Some("\"")], &[Some(",,"), Some("\n\n")], &[Some("ü"), Some("")]];
        sink.write(&batch(&rows)).unwrap();
        sink.commit().unwrap();
        target.finish().unwrap();
        let mut reader = csv::Reader::from_path(&path).unwrap();
        for (record, row) in reader.records().zip(rows) {
            let record = record.unwrap();
            assert!(record.iter().eq(row.iter().map(|cell| cell.unwrap())));
        }
    }

    #[test]
    fn an_existing_file_stays_unless_it_is_to_be_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.csv");
        std::fs::write(&path, "old").unwrap();
        let target = CsvTarget::new(&path);
        let error = target.open("", &columns(&["a"]), &RowAction::Insert).err().unwrap();
        assert!(error.message.contains("--mode truncate"));
        target.truncate("").unwrap();
        let mut sink = target.open("", &columns(&["a"]), &RowAction::Insert).unwrap();
        let rejects = sink.write(&batch(&[&[None], &[Some("1")]])).unwrap();
        assert_eq!((rejects.len(), rejects[0].row), (1, 0));
        sink.commit().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        target.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\n1\n");
    }

    #[test]
    fn a_load_that_does_not_finish_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let target = CsvTarget::new(directory.path().join("out.csv"));
        let sink = target.open("", &columns(&["a"]), &RowAction::Insert).unwrap();
        drop(sink);
        drop(target);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
