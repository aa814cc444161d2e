//! Reject files: the original bytes of every refused record and, beside them, the reasons.
//!
//! While a load runs, each writer appends to segments of its own in `PATH.parts/` (mode 0700, its
//! files 0600), so that a transaction that is rolled back can take its rejects back. At the end
//! [`RejectFiles::merge`] writes `PATH` and `PATH.jsonl` in the order of the inputs and gives them
//! their names by rename.
//!
//! - Records stand in `PATH` unchanged, one after the other. Where a record without a terminator
//!   (the last of its file) is followed by another one, an LF is put between them, so that the
//!   file can be loaded again; `byte_length` is the length in the input all the same.
//! - Reject files of an earlier run are replaced when this run has rejects. A run without rejects
//!   leaves them alone: they may be the only copy of rows that are not in the table.
//! - A `PATH.parts` of another run is never mixed with a new run's: the new run is refused until
//!   somebody has looked at it. One of the same run of a job is taken up again: its segments are
//!   cut to the lengths that are committed, and what is not committed at all is removed.

mod merge;
mod parts;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

pub use parts::remove_parts;
use parts::{Place, open_own};

use crate::error::{Error, Result};
use crate::failpoint;
use crate::input::RawSource;
use crate::record::{ByteRange, Position, RejectClass};

/// A refused record with its reason.
#[derive(Debug, Clone)]
pub struct RejectRecord {
    /// Index of the input.
    pub file: usize,
    /// Where the record stands.
    pub position: Position,
    /// Bytes of the record, terminator included.
    pub byte_length: u64,
    /// Index from 1 of the field at fault.
    pub column_index: Option<u32>,
    /// Name of the column at fault.
    pub column: Option<String>,
    /// Its type.
    pub type_name: Option<String>,
    /// Class.
    pub class: RejectClass,
    /// Stable code (`crate::codes`).
    pub code: &'static str,
    /// SQLSTATE, from a database.
    pub sqlstate: Option<String>,
    /// Native code, from a database.
    pub native: Option<i32>,
    /// The reason in words.
    pub message: String,
    /// Where the record's bytes are.
    pub source: RawSource,
}

/// One line of `PATH.jsonl` (cli.md, Errors).
#[derive(Serialize)]
struct Reason<'a> {
    file: &'a str,
    record: u64,
    line: u64,
    byte_offset: u64,
    byte_length: u64,
    column_index: Option<u32>,
    column: Option<&'a str>,
    r#type: Option<&'a str>,
    class: &'static str,
    code: &'static str,
    sqlstate: Option<&'a str>,
    native: Option<i32>,
    message: &'a str,
}

/// The reject files of a load: which input's rejects go where.
#[derive(Debug, Clone)]
pub struct RejectFiles(Arc<Plan>);

#[derive(Debug)]
struct Plan {
    /// Different reject files.
    places: Vec<Place>,
    /// For each input the index of its place.
    place_of_input: Vec<usize>,
    /// Names of the inputs as the reasons show them.
    inputs: Vec<String>,
    epoch: u64,
}

/// Which segments a load keeps, and which it finds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keeping {
    /// Words that tell a run of a job from every other one; `None`: the segments are this
    /// process's alone and never taken up again.
    pub run: Option<String>,
    /// How often the run was taken up: each time the writers begin new segments.
    pub epoch: u64,
    /// What is committed of earlier segments, by input.
    pub committed: Vec<(usize, SegmentId, SegmentLengths)>,
}

/// Whose segment it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentId {
    /// When in the life of the run.
    pub epoch: u64,
    /// The writer then.
    pub writer: usize,
}

/// The longest committed length of each segment of a place.
type CommittedSegments = BTreeMap<SegmentId, SegmentLengths>;

/// `path` with `suffix` behind its whole name.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Rejects are committed of an input that there is not.
fn stranger(input: usize) -> Error {
    Error::usage(
        format!("the ledger has rejects of input {}, and there is none", input + 1),
        "end the job (--restart terminate) and load anew",
    )
}

impl RejectFiles {
    /// Reject files for `inputs`; `targets[i]` takes the rejects of `inputs[i]`, and one path may
    /// stand for several inputs. Nothing is created before the first reject.
    ///
    /// # Errors
    /// When a `PATH.parts` of another run is in the way, or committed rejects are not in this one.
    ///
    /// # Panics
    /// If the two lists differ in length.
    pub fn new(targets: Vec<PathBuf>, inputs: &[PathBuf], keeping: &Keeping) -> Result<Self> {
        assert_eq!(targets.len(), inputs.len());
        let mut paths: Vec<PathBuf> = Vec::new();
        let mut place_of_input = Vec::with_capacity(targets.len());
        for path in targets {
            let known = paths.iter().position(|place| *place == path);
            place_of_input.push(known.unwrap_or(paths.len()));
            if known.is_none() {
                paths.push(path);
            }
        }
        let mut committed = vec![CommittedSegments::new(); paths.len()];
        for &(input, id, lengths) in &keeping.committed {
            let place = *place_of_input.get(input).ok_or_else(|| stranger(input))?;
            let longest = committed[place].entry(id).or_insert(lengths);
            // Segments only grow.
            if lengths.index_bytes > longest.index_bytes {
                *longest = lengths;
            }
        }
        let places = paths.into_iter().zip(committed);
        let places =
            places.map(|(path, committed)| Place::new(path, keeping.run.clone(), &committed));
        let names = inputs.iter().map(|input| input.to_string_lossy().into_owned());
        Ok(Self(Arc::new(Plan {
            places: places.collect::<Result<_>>()?,
            place_of_input,
            inputs: names.collect(),
            epoch: keeping.epoch,
        })))
    }

    /// The segment of one writer; `writer` is different for each.
    #[must_use]
    pub fn segment(&self, writer: usize) -> RejectSegment {
        RejectSegment {
            plan: Arc::clone(&self.0),
            writer,
            parts: self.0.places.iter().map(|_| None).collect(),
            line: Vec::new(),
        }
    }

    /// Writes the reject files from the segments of all writers, those of earlier epochs among
    /// them. Segments that nobody takes up again are removed; others stay until [`Self::remove`],
    /// so that this can be done again.
    ///
    /// Memory is bounded whatever the number of rejects. Returns for each input its reject file,
    /// or `None` when no reject went into that file.
    ///
    /// # Errors
    /// What the operating system says; what is in `PATH.parts` then stays.
    pub fn merge(&self, mut segments: Vec<RejectSegment>) -> Result<Vec<Option<PathBuf>>> {
        for segment in &mut segments {
            segment.flush()?;
        }
        let mut written = Vec::with_capacity(self.0.places.len());
        for (index, place) in self.0.places.iter().enumerate() {
            let mut parts = place.take_adopted();
            parts.extend(segments.iter_mut().filter_map(|segment| segment.parts[index].take()));
            let failed = |error| Error::io(format!("write {}", place.path.display()), error);
            let has_rejects = merge::write_merged(&place.path, &parts).map_err(failed)?;
            if !place.is_kept() {
                for part in parts.drain(..) {
                    part.remove().map_err(failed)?;
                }
                place.remove().map_err(failed)?;
            }
            written.push(has_rejects.then(|| place.path.clone()));
        }
        let places = self.0.place_of_input.iter();
        Ok(places.map(|&place| written[place].clone()).collect())
    }

    /// Removes the segments of a run that is over.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn remove(&self) -> Result<()> {
        self.0.places.iter().try_for_each(|place| {
            let failed = |error| Error::io(format!("tidy {}", place.path.display()), error);
            place.remove().map_err(failed)
        })
    }

    /// The lengths that `mark` has for the reject file of an input.
    ///
    /// # Panics
    /// If there is no such input.
    #[must_use]
    pub fn lengths(&self, mark: &RejectMark, input: usize) -> SegmentLengths {
        mark.0[self.0.place_of_input[input]]
    }
}

/// What one writer has rejected, in files of its own.
#[derive(Debug)]
pub struct RejectSegment {
    plan: Arc<Plan>,
    writer: usize,
    /// One for each place; made when the first reject comes.
    parts: Vec<Option<Part>>,
    /// The line that is being made.
    line: Vec<u8>,
}

/// Lengths of a segment's files; [`RejectSegment::truncate_to`] goes back to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectMark(Vec<SegmentLengths>);

/// Lengths in bytes of the three files of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SegmentLengths {
    /// Records.
    pub raw_bytes: u64,
    /// Reasons.
    pub lines_bytes: u64,
    /// Where each stands.
    pub index_bytes: u64,
}

/// Three files of one writer for one reject file: records, reasons, and where each stands.
#[derive(Debug)]
struct Part {
    raw: BufWriter<File>,
    lines: BufWriter<File>,
    index: BufWriter<File>,
    paths: [PathBuf; 3],
    /// What counts of the files. They hold more where they could not be cut.
    lengths: SegmentLengths,
    /// Whether something was written since the last sync.
    dirty: bool,
    /// Whether the files' names are on the disk.
    is_named: bool,
    /// Whether the files could not be cut, as on a full disk: then nothing may be appended.
    torn: bool,
}

/// One reject in a part's index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct IndexEntry {
    file: u64,
    record: u64,
    raw: ByteRange,
    lines: ByteRange,
}

impl IndexEntry {
    const BYTES: usize = 48;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let words = [
            self.file,
            self.record,
            self.raw.start,
            self.raw.end,
            self.lines.start,
            self.lines.end,
        ];
        let mut bytes = [0; Self::BYTES];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let word = |index: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[index * 8..][..8]);
            u64::from_le_bytes(word)
        };
        let range = |index| ByteRange { start: word(index), end: word(index + 1) };
        Self { file: word(0), record: word(1), raw: range(2), lines: range(4) }
    }
}

impl RejectSegment {
    /// Adds a reject: its bytes as they stand in the input, and its reason.
    ///
    /// # Errors
    /// What reading the input or writing the segment gave; the segment must then be cut back to a
    /// mark.
    pub fn append(&mut self, reject: &RejectRecord) -> Result<()> {
        let place = self.plan.place_of_input[reject.file];
        self.append_to(place, reject).map_err(|error| {
            let path = &self.plan.places[place].path;
            Error::io(format!("write the rejects of {}", path.display()), error)
        })
    }

    fn append_to(&mut self, place: usize, reject: &RejectRecord) -> io::Result<()> {
        self.line.clear();
        let line = Reason {
            file: &self.plan.inputs[reject.file],
            record: reject.position.record,
            line: reject.position.line,
            byte_offset: reject.position.byte_offset,
            byte_length: reject.byte_length,
            column_index: reject.column_index,
            column: reject.column.as_deref(),
            r#type: reject.type_name.as_deref(),
            class: reject.class.name(),
            code: reject.code,
            sqlstate: reject.sqlstate.as_deref(),
            native: reject.native,
            message: &reject.message,
        };
        serde_json::to_writer(&mut self.line, &line)?;
        self.line.push(b'\n');
        let part = match &mut self.parts[place] {
            Some(part) => part,
            empty => {
                let id = SegmentId { epoch: self.plan.epoch, writer: self.writer };
                empty.insert(Part::create(&self.plan.places[place], id)?)
            }
        };
        part.append(reject, &self.line)
    }

    /// Where the segment stands now.
    #[must_use]
    pub fn mark(&self) -> RejectMark {
        let lengths =
            |part: &Option<Part>| part.as_ref().map_or_else(SegmentLengths::default, |p| p.lengths);
        RejectMark(self.parts.iter().map(lengths).collect())
    }

    /// Forgets every reject since `mark`.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn truncate_to(&mut self, mark: &RejectMark) -> Result<()> {
        for (part, &lengths) in self.parts.iter_mut().zip(&mark.0) {
            if let Some(part) = part {
                part.truncate(lengths)
                    .map_err(|error| Error::io("cut the rejects of a transaction", error))?;
            }
        }
        Ok(())
    }

    /// Brings everything to the disk: what is committed to a database must find its rejects there.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn flush(&mut self) -> Result<()> {
        for part in self.parts.iter_mut().flatten() {
            part.sync().map_err(|error| Error::io("write the rejects to the disk", error))?;
        }
        Ok(())
    }
}

/// Names of a segment's files: records, reasons, index.
fn part_names(id: SegmentId) -> [String; 3] {
    ["raw", "jsonl", "index"].map(|what| format!("{}-{}.{what}", id.epoch, id.writer))
}

impl Part {
    fn create(place: &Place, id: SegmentId) -> io::Result<Self> {
        let directory = place.ensure()?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        Self::open(&directory, id, &mut options, SegmentLengths::default())
    }

    /// A segment of an earlier epoch, cut to what is committed of it.
    fn adopt(directory: &Path, id: SegmentId, lengths: SegmentLengths) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let mut part = Self::open(directory, id, &mut options, lengths)?;
        let wanted = [lengths.raw_bytes, lengths.lines_bytes, lengths.index_bytes];
        for (file, bytes) in [&part.raw, &part.lines, &part.index].into_iter().zip(wanted) {
            if file.get_ref().metadata()?.len() < bytes {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
        }
        part.truncate(lengths)?;
        part.sync()?;
        Ok(part)
    }

    fn open(
        directory: &Path,
        id: SegmentId,
        options: &mut OpenOptions,
        lengths: SegmentLengths,
    ) -> io::Result<Self> {
        let paths = part_names(id).map(|name| directory.join(name));
        let mut open = |path: &Path| open_own(options, path).map(BufWriter::new);
        Ok(Self {
            raw: open(&paths[0])?,
            lines: open(&paths[1])?,
            index: open(&paths[2])?,
            paths,
            lengths,
            dirty: false,
            is_named: false,
            torn: false,
        })
    }

    fn append(&mut self, reject: &RejectRecord, line: &[u8]) -> io::Result<()> {
        let start = reject.position.byte_offset;
        let record = ByteRange { start, end: start + reject.byte_length };
        let after = SegmentLengths {
            raw_bytes: self.lengths.raw_bytes + record.len(),
            lines_bytes: self.lengths.lines_bytes + line.len() as u64,
            index_bytes: self.lengths.index_bytes + IndexEntry::BYTES as u64,
        };
        let entry = IndexEntry {
            file: reject.file as u64,
            record: reject.position.record,
            raw: ByteRange { start: self.lengths.raw_bytes, end: after.raw_bytes },
            lines: ByteRange { start: self.lengths.lines_bytes, end: after.lines_bytes },
        };
        if self.torn {
            return Err(io::Error::other("rejects of an undone transaction could not be cut off"));
        }
        self.dirty = true;
        reject.source.copy_range(record, &mut self.raw)?;
        self.lines.write_all(line)?;
        self.index.write_all(&entry.to_bytes())?;
        self.lengths = after;
        Ok(())
    }

    fn truncate(&mut self, lengths: SegmentLengths) -> io::Result<()> {
        // First of all, so that the merge leaves out what a full disk does not let be cut off.
        self.lengths = lengths;
        self.dirty = true;
        self.torn = true;
        for (file, bytes) in [
            (&mut self.raw, lengths.raw_bytes),
            (&mut self.lines, lengths.lines_bytes),
            (&mut self.index, lengths.index_bytes),
        ] {
            // Seeking writes the buffer out first, so nothing can come after the cut.
            file.seek(SeekFrom::Start(bytes))?;
            file.get_ref().set_len(bytes)?;
        }
        self.torn = false;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if !self.dirty {
            return Ok(());
        }
        for file in [&mut self.raw, &mut self.lines, &mut self.index] {
            file.flush()?;
            file.get_ref().sync_data()?;
            // Once for each of the three: some are longer on the disk than others then.
            failpoint::reach("reject-sync");
        }
        if !self.is_named {
            // A file that is on the disk without its name is lost all the same.
            let directory = self.paths[0].parent().unwrap_or(Path::new("."));
            File::open(directory)?.sync_all()?;
            self.is_named = true;
        }
        self.dirty = false;
        Ok(())
    }

    fn remove(self) -> io::Result<()> {
        self.paths.iter().try_for_each(std::fs::remove_file)
    }
}

#[cfg(test)]
mod tests;
