//! Many parts to one reject file, in file order and bounded memory.

use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use tempfile::NamedTempFile;

use super::{IndexEntry, Part, with_suffix};
use crate::record::ByteRange;

/// Rejects that are sorted in memory at a time, 32 bytes each; more take more passes over the
/// indexes of the parts.
const SORTED_AT_ONCE: usize = 1 << 19;

const PIECE_BYTES: usize = 1 << 16;

/// Input and record number of a reject: no two rejects have the same.
type Key = (u64, u64);

/// A reject and where its index entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Reference {
    key: Key,
    part: u32,
    entry: u64,
}

/// Writes `path` and `path.jsonl`; says whether there was any reject. Without one, nothing is
/// touched.
pub(super) fn write_merged(path: &Path, parts: &[Part]) -> io::Result<bool> {
    write_merged_in_passes(path, parts, SORTED_AT_ONCE)
}

pub(super) fn write_merged_in_passes(
    path: &Path,
    parts: &[Part],
    sorted_at_once: usize,
) -> io::Result<bool> {
    parts.iter().try_for_each(check_index)?;
    let total: u64 = parts.iter().map(entries).sum();
    if total == 0 {
        return Ok(false);
    }
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Made with mode 0600, which the rename keeps.
    let raw = NamedTempFile::new_in(directory)?;
    let lines = NamedTempFile::new_in(directory)?;
    let mut out = Merged {
        raw: BufWriter::new(raw.as_file()),
        lines: BufWriter::new(lines.as_file()),
        piece: vec![0; PIECE_BYTES],
        terminated: true,
    };
    let mut written = 0;
    let mut after = None;
    loop {
        let pass = smallest(parts, after, sorted_at_once)?;
        let Some(last) = pass.last() else { break };
        after = Some(last.key);
        // A record that was rejected twice; where one of them is in the next pass, the count says
        // so.
        if let Some(twice) = pass.windows(2).find(|pair| pair[0].key == pair[1].key) {
            let (input, record) = twice[0].key;
            return Err(io::Error::other(format!(
                "record {record} of input {} stands twice in the segments",
                input.saturating_add(1)
            )));
        }
        written += pass.len() as u64;
        for reference in &pass {
            out.append(&parts[reference.part as usize], reference.entry)?;
        }
    }
    if written != total {
        return Err(io::Error::other(format!(
            "{total} records were rejected, but {written} different ones"
        )));
    }
    out.raw.flush()?;
    out.lines.flush()?;
    drop(out);
    raw.as_file().sync_all()?;
    lines.as_file().sync_all()?;
    // A rename replaces a symbolic link of that name; it does not write where the link points.
    lines.persist(with_suffix(path, ".jsonl"))?;
    raw.persist(path)?;
    File::open(directory)?.sync_all()?;
    Ok(true)
}

fn entries(part: &Part) -> u64 {
    part.lengths.index_bytes / IndexEntry::BYTES as u64
}

/// Whether the rejects of a part follow each other and are all of it. A segment may come from an
/// earlier process and a disk that did not keep what was written: no reject is lost or made up
/// without a word.
fn check_index(part: &Part) -> io::Result<()> {
    let (mut raw, mut lines) = (0, 0);
    let damaged = |at: u64| {
        let path = part.paths[2].display();
        io::Error::other(format!("{path} is damaged: its entry {at} does not follow the last one"))
    };
    for_each_entry(part, |at, entry| {
        let follows = entry.raw.start == raw && entry.lines.start == lines;
        let is_forward = entry.raw.end >= raw && entry.lines.end >= lines;
        (raw, lines) = (entry.raw.end, entry.lines.end);
        if follows && is_forward { Ok(()) } else { Err(damaged(at)) }
    })?;
    let is_whole = part.lengths.index_bytes.is_multiple_of(IndexEntry::BYTES as u64);
    let is_all = (raw, lines) == (part.lengths.raw_bytes, part.lengths.lines_bytes);
    if is_whole && is_all { Ok(()) } else { Err(damaged(entries(part))) }
}

/// Goes through the index of a part: number of the entry, and the entry.
fn for_each_entry(
    part: &Part,
    mut each: impl FnMut(u64, IndexEntry) -> io::Result<()>,
) -> io::Result<()> {
    let mut block = vec![0; 1024 * IndexEntry::BYTES];
    let (mut at, end) = (0, entries(part) * IndexEntry::BYTES as u64);
    while at < end {
        let want = usize::try_from(end - at).map_or(block.len(), |n| n.min(block.len()));
        part.index.get_ref().read_exact_at(&mut block[..want], at)?;
        let first = at / IndexEntry::BYTES as u64;
        let (chunks, _) = block[..want].as_chunks::<{ IndexEntry::BYTES }>();
        for (number, bytes) in (first..).zip(chunks) {
            each(number, IndexEntry::from_bytes(bytes))?;
        }
        at += want as u64;
    }
    Ok(())
}

/// The `count` smallest keys behind `after`, ascending.
fn smallest(parts: &[Part], after: Option<Key>, count: usize) -> io::Result<Vec<Reference>> {
    let mut heap = BinaryHeap::new();
    for (number, part) in (0_u32..).zip(parts) {
        for_each_entry(part, |entry, IndexEntry { file, record, .. }| {
            let key = (file, record);
            if after.is_some_and(|after| key <= after) {
                return Ok(());
            }
            let reference = Reference { key, part: number, entry };
            if heap.len() < count {
                heap.push(reference);
            } else if let Some(mut largest) = heap.peek_mut()
                && reference < *largest
            {
                *largest = reference;
            }
            Ok(())
        })?;
    }
    Ok(heap.into_sorted_vec())
}

/// The two files that are being written.
struct Merged<'a> {
    raw: BufWriter<&'a File>,
    lines: BufWriter<&'a File>,
    piece: Vec<u8>,
    /// Whether the last record written ends with a line end.
    terminated: bool,
}

impl Merged<'_> {
    fn append(&mut self, part: &Part, entry: u64) -> io::Result<()> {
        let mut bytes = [0; IndexEntry::BYTES];
        let at = entry * IndexEntry::BYTES as u64;
        part.index.get_ref().read_exact_at(&mut bytes, at)?;
        let entry = IndexEntry::from_bytes(&bytes);
        if !self.terminated {
            self.raw.write_all(b"\n")?;
        }
        let last = copy(part.raw.get_ref(), entry.raw, &mut self.raw, &mut self.piece)?;
        self.terminated = matches!(last, Some(b'\n' | b'\r'));
        copy(part.lines.get_ref(), entry.lines, &mut self.lines, &mut self.piece)?;
        Ok(())
    }
}

/// Copies a range and returns its last byte.
fn copy(
    from: &File,
    range: ByteRange,
    to: &mut impl Write,
    piece: &mut [u8],
) -> io::Result<Option<u8>> {
    let mut at = range.start;
    let mut last = None;
    while at < range.end {
        let want = usize::try_from(range.end - at).map_or(piece.len(), |n| n.min(piece.len()));
        let piece = &mut piece[..want];
        from.read_exact_at(piece, at)?;
        to.write_all(piece)?;
        last = piece.last().copied();
        at += want as u64;
    }
    Ok(last)
}
