//! Records of an input found again by their numbers.

use crate::config::IoWay;
use crate::config::LoadConfig;
use crate::error::{Error, Result};
use crate::input::{Input, MappedFile};
use crate::limits;
use crate::parse::fields::FieldRef;
use crate::parse::record_reader::{RecordReader, Step};
use crate::record::{ByteRange, Position};

use super::files::OpenFile;

/// Bytes behind the reader that are kept before they are given back.
const RELEASE_BYTES: usize = 64 << 20;

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) position: Position,
    /// Terminator included.
    pub(super) byte_length: u64,
}

/// One walk over an input, from record to record, by the reader that the load used.
pub(super) struct RecordWalk {
    map: MappedFile,
    reader: RecordReader,
    fields: Vec<FieldRef>,
    at: usize,
    records: u64,
    lines: u64,
    released: usize,
}

impl RecordWalk {
    /// # Errors
    /// The input cannot be opened again, or not as a file.
    pub(super) fn new(config: &LoadConfig, file: &OpenFile) -> Result<Self> {
        let opened =
            crate::input::open(&config.inputs[file.index], IoWay::Mmap, limits::BLOCK_BYTES)?;
        let Input::Map(map) = opened.input else {
            return Err(Error::input(&file.path, "cannot be read a second time", ""));
        };
        let at = usize::try_from(file.body.byte_offset).expect("a mapped byte has an address");
        let mut reader = RecordReader::new(&config.dialect, config.field_count);
        reader.seek(at);
        let (records, lines) = (file.body.records, file.body.lines);
        Ok(Self { map, reader, fields: Vec::new(), at, records, lines, released: 0 })
    }

    /// The record with this number, which is higher than that of the call before; `None` when the
    /// input ends before it.
    pub(super) fn find(&mut self, record: u64) -> Option<Found> {
        let bytes = self.map.bytes();
        while self.at < bytes.len() {
            self.fields.clear();
            let start = self.at;
            let step = self.reader.step(bytes, true, start, start, &mut self.fields);
            let (is_record, end, newlines) = match step {
                Step::Record { end, newlines } | Step::Malformed { end, newlines, .. } => {
                    (true, end, newlines)
                }
                Step::Skipped { end, newlines } => (false, end, newlines),
                // The window is the whole file: what has no end in it ends with it.
                Step::Endless { fault } => (fault.is_some(), bytes.len(), 0),
                Step::NeedMore => (true, bytes.len(), 0),
            };
            self.records += u64::from(is_record);
            let line = self.lines + 1;
            self.at = end;
            self.lines += u64::from(newlines);
            if self.at - self.released > RELEASE_BYTES {
                let range = ByteRange { start: self.released as u64, end: start as u64 };
                self.map.release(range);
                self.released = start;
            }
            if is_record && self.records == record {
                return Some(Found {
                    position: Position { byte_offset: start as u64, record, line },
                    byte_length: (end - start) as u64,
                });
            }
        }
        None
    }
}
