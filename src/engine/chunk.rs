//! One chunk from its bytes to proven rows: over a map, or over owned blocks.

use std::fs::File;
use std::io::{Seek, Write};
use std::sync::Arc;
use std::time::Instant;

use memchr::{memchr, memchr_iter};

use super::files::{Chunk, ChunkBytes, OpenFile};
use super::parser::{Attempt, Halt, Parser};
use crate::arena::{ParseReject, Reason};
use crate::config::dialect::Terminator;
use crate::error::{Error, ErrorKind};
use crate::input::RawSource;
use crate::input::block::{Block, Next};
use crate::input::mmap::MappedFile;
use crate::parse::rows::{Pause, Window};
use crate::record::{ByteRange, Malformed};
use crate::split::{self, ChunkStart};

/// Bytes of a map searched for a newline before they are given back.
const SEARCH_BYTES: usize = 4 << 20;

/// Bytes beyond chunk and longest record that a parser sees, so that the end of a record of the
/// longest length is in the window.
const WINDOW_SLACK_BYTES: usize = 64;

impl Parser<'_> {
    /// Parses one chunk: on a guess while its start is not proven, again if the guess was wrong.
    pub(super) fn parse_chunk(&mut self, file: &OpenFile, chunk: &Chunk) -> Result<(), Halt> {
        let mut proven = file.chain.proven(chunk.index);
        if proven.is_none() && self.shared.needs_record_numbers() {
            proven = Some(self.wait_for_proof(file, chunk.index)?);
        }
        if let Some(start) = proven.filter(|start| file.reached_limit(start.records)) {
            // All records that are wanted stand before this chunk.
            file.end_early();
            file.publish(chunk.index, start)?;
            return Ok(());
        }
        let (start, end) = match &chunk.bytes {
            ChunkBytes::Map { range, .. } => (range.start, range.end),
            ChunkBytes::Block(block) => (block.offset, block.end()),
        };
        self.begin_paying(start);
        self.parse_attempts(file, chunk, proven)?;
        // Bytes that belong to a record of an earlier chunk.
        if !file.is_ended_early() {
            self.pay(end, end)?;
        }
        Ok(())
    }

    fn parse_attempts(
        &mut self,
        file: &OpenFile,
        chunk: &Chunk,
        mut proven: Option<ChunkStart>,
    ) -> Result<(), Halt> {
        loop {
            let tried = match &chunk.bytes {
                ChunkBytes::Map { map, range } => {
                    self.parse_map(file, chunk.index, map, *range, proven)
                }
                ChunkBytes::Block(block) => self.parse_block(file, chunk.index, block, proven),
            };
            match tried {
                Err(Halt::Misguessed(start)) => proven = Some(start),
                other => return other,
            }
        }
    }

    fn parse_map(
        &mut self,
        file: &OpenFile,
        index: u64,
        map: &MappedFile,
        range: ByteRange,
        proven: Option<ChunkStart>,
    ) -> Result<(), Halt> {
        let bytes = map.bytes();
        let until = usize_of(range.end);
        let dialect = self.rows.dialect();
        let longest = dialect.max_record_bytes + WINDOW_SLACK_BYTES;
        let start = match proven {
            Some(start) => Some(start.byte_offset),
            // What begins behind the chunk is not its own: no need to look there.
            None => split::guess(dialect.terminator, &bytes[..until], usize_of(range.start))
                .map(|start| start as u64),
        };
        let Some(start) = start else {
            // Not even a guess: perhaps a record of the left neighbour covers the whole chunk.
            let start = self.wait_for_proof(file, index)?;
            return Err(Halt::Misguessed(start));
        };
        let mut attempt = self.begin(file, index, start, proven)?;
        let source = file.raw.clone().expect("a mapped file can be read again");
        self.open_segment(&mut attempt, start, source.clone());
        attempt.cursor.at = usize_of(start);
        loop {
            // A guess inside a quoted field may run far; it is bounded by the longest record.
            let seen = bytes.len().min(until.max(attempt.cursor.at) + longest);
            let window =
                Window { bytes: &bytes[..seen], byte_offset: 0, last: seen == bytes.len() };
            match self.parse_window(&mut attempt, window, until, &source)? {
                Pause::ChunkEnd => break,
                Pause::NeedMore if seen == bytes.len() => unreachable!("the window is the file"),
                Pause::Endless { fault } => {
                    self.prove(&mut attempt)?;
                    let skipped = newline_in_map(map, attempt.cursor.at, window, self.terminator());
                    self.skip_record(&mut attempt, window, fault, skipped)?;
                    attempt.cursor.at = usize_of(skipped.end);
                }
                // The window grows with the cursor, which has moved to the last record seen.
                _ => {}
            }
        }
        let end = attempt.cursor.at as u64;
        let window = Window { bytes, byte_offset: 0, last: true };
        self.close_segment(&attempt, end, Some(window));
        self.prove(&mut attempt)?;
        self.finish(attempt, end)?;
        let read = ByteRange { start: range.start.min(start), end: range.end };
        if let Some(behind) = file.to_give_back(index, read) {
            map.release(behind);
        }
        Ok(())
    }

    fn terminator(&self) -> Terminator {
        self.rows.dialect().terminator
    }

    /// Books a record or comment whose end was searched for.
    fn skip_record(
        &mut self,
        attempt: &mut Attempt<'_>,
        window: Window<'_>,
        fault: Option<(Malformed, usize, u32)>,
        skipped: Skipped,
    ) -> Result<(), Halt> {
        let start = window.byte_offset + attempt.cursor.at as u64;
        if let Some((what, at, field)) = fault {
            attempt.cursor.records += 1;
            let batch = self.open.as_mut().expect("an arena is open while a chunk is parsed");
            batch.rejects.push(ParseReject {
                segment: batch.segments.len() - 1,
                byte_offset: start,
                byte_length: skipped.end - start,
                record: attempt.cursor.records,
                line: attempt.cursor.lines + 1,
                reason: Reason::Malformed {
                    what,
                    byte_offset: window.byte_offset + at as u64,
                    field,
                },
            });
        }
        let lines = u32::try_from(skipped.lines)
            .ok()
            .and_then(|lines| attempt.cursor.lines.checked_add(lines));
        attempt.cursor.lines = lines.ok_or_else(|| {
            let message = "more than 4 billion lines in one record".to_owned();
            Error::from(ErrorKind::Internal(message))
        })?;
        Ok(())
    }

    fn parse_block(
        &mut self,
        file: &OpenFile,
        index: u64,
        block: &Arc<Block>,
        proven: Option<ChunkStart>,
    ) -> Result<(), Halt> {
        let block_end = block.end();
        let start = match proven {
            Some(start) => start.byte_offset,
            None => match split::guess(self.terminator(), block.bytes(), 0) {
                Some(start) => block.offset + start as u64,
                None => {
                    let start = self.wait_for_proof(file, index)?;
                    return Err(Halt::Misguessed(start));
                }
            },
        };
        let mut attempt = self.begin(file, index, start, proven)?;
        // A record before covers the whole block, or was left unread.
        let end = if start > block_end || start < block.offset {
            start
        } else {
            self.parse_block_from(&mut attempt, block, block_end)?
        };
        self.prove(&mut attempt)?;
        self.finish(attempt, end)
    }

    /// Parses the records that begin in the block; returns the offset of the next one.
    fn parse_block_from(
        &mut self,
        attempt: &mut Attempt<'_>,
        block: &Arc<Block>,
        block_end: u64,
    ) -> Result<u64, Halt> {
        let source = attempt.file.raw.clone().unwrap_or_else(|| RawSource::Owned {
            bytes: block.shared_bytes(),
            base: block.offset,
        });
        let window = Window { bytes: block.bytes(), byte_offset: block.offset, last: false };
        self.open_segment(attempt, attempt.start, source.clone());
        attempt.cursor.at = usize_of(attempt.start - block.offset);
        let pause = self.parse_window(attempt, window, block.bytes().len(), &source)?;
        let at = window.byte_offset + attempt.cursor.at as u64;
        self.close_segment(attempt, at, Some(window));
        match pause {
            Pause::ChunkEnd => Ok(at),
            // The record that goes on behind the block is not wanted: nobody waits for its end.
            _ if attempt.is_beyond_limit() => Ok(at),
            _ => self.parse_carry(attempt, block, block_end),
        }
    }

    /// Parses the record that begins in the block and goes on behind it: its bytes, and those of
    /// the blocks that follow, are put together. One whose rest is not waited for is left unread.
    fn parse_carry(
        &mut self,
        attempt: &mut Attempt<'_>,
        block: &Arc<Block>,
        block_end: u64,
    ) -> Result<u64, Halt> {
        let mut carry = std::mem::take(&mut self.carry);
        carry.clear();
        carry.extend_from_slice(&block.bytes()[attempt.cursor.at..]);
        let carry_offset = block.offset + attempt.cursor.at as u64;
        let mut tail = Arc::clone(block);
        let mut last = false;
        attempt.cursor.at = 0;
        let until = usize_of(block_end - carry_offset);
        loop {
            if !last {
                match self.extend(&mut carry, &mut tail, attempt.file) {
                    Err(Halt::Cut) => break,
                    extended => last = !extended?,
                }
            }
            if attempt.cursor.at == carry.len() && last {
                break;
            }
            let source = attempt.file.raw.clone().unwrap_or_else(|| RawSource::Owned {
                bytes: Arc::new(carry.clone()),
                base: carry_offset,
            });
            let window = Window { bytes: &carry, byte_offset: carry_offset, last };
            self.open_segment(attempt, carry_offset + attempt.cursor.at as u64, source.clone());
            let pause = self.parse_window(attempt, window, until, &source)?;
            if let Pause::Endless { fault } = pause {
                self.prove(attempt)?;
                // What stands before the record keeps its source.
                let start = carry_offset + attempt.cursor.at as u64;
                self.close_segment(attempt, start, Some(window));
                let skipped = self.skip_blocks(attempt, &carry, carry_offset, &tail);
                if matches!(skipped, Err(Halt::Cut)) {
                    break;
                }
                let (skipped, spilled) = skipped?;
                self.open_segment(attempt, start, spilled.unwrap_or(source));
                self.skip_record(attempt, window, fault, skipped)?;
                self.close_segment(attempt, skipped.end, None);
                self.carry = carry;
                return Ok(skipped.end);
            }
            self.close_segment(attempt, carry_offset + attempt.cursor.at as u64, Some(window));
            if pause == Pause::ChunkEnd {
                break;
            }
        }
        let end = carry_offset + attempt.cursor.at as u64;
        self.carry = carry;
        Ok(end)
    }

    /// Doubles the carried bytes as far as blocks are read, at least by the next block. Returns
    /// whether there was any.
    fn extend(
        &mut self,
        carry: &mut Vec<u8>,
        tail: &mut Arc<Block>,
        file: &OpenFile,
    ) -> Result<bool, Halt> {
        let want = carry.len() * 2;
        let mut any = false;
        while !any || carry.len() < want {
            // What is there may be enough: no second block is waited for.
            let next = if any { tail.next_if_read() } else { self.next_block(tail, file)? };
            let Some(next) = next else { return Ok(any) };
            carry.extend_from_slice(next.bytes());
            *tail = next;
            any = true;
        }
        Ok(any)
    }

    fn next_block(
        &mut self,
        block: &Arc<Block>,
        file: &OpenFile,
    ) -> Result<Option<Arc<Block>>, Halt> {
        let started = Instant::now();
        let next = block.next();
        self.times.input += started.elapsed();
        match next {
            Ok(Next::Block(next)) => {
                // Only blocks without a newline before the end of a proven record are given up; who
                // follows a record from a guess began behind a newline, so behind that end.
                assert!(!next.bytes().is_empty(), "a block that is needed was given up");
                Ok(Some(next))
            }
            Ok(Next::End) => Ok(None),
            Ok(Next::Cut) => Err(Halt::Cut),
            Err(_) if self.shared.is_stopped() => Err(Halt::Stopped),
            Err(error) => Err(file.read_error(error).into()),
        }
    }

    /// Finds the end of a record that is longer than the longest one, block by block, giving up
    /// those that it covers. Where the input cannot be read again its bytes go to a file without a
    /// name.
    fn skip_blocks(
        &mut self,
        attempt: &Attempt<'_>,
        carry: &[u8],
        carry_offset: u64,
        tail: &Arc<Block>,
    ) -> Result<(Skipped, Option<RawSource>), Halt> {
        let failed = |error| Halt::from(Error::io("keeping a record that is too long", error));
        let start = carry_offset + attempt.cursor.at as u64;
        let mut spill = match attempt.file.raw {
            Some(_) => None,
            None => Some(tempfile::tempfile().map_err(failed)?),
        };
        let keep = |spill: &mut Option<File>, bytes: &[u8]| match spill {
            Some(file) => file.write_all(bytes).map_err(failed),
            None => Ok(()),
        };
        keep(&mut spill, &carry[attempt.cursor.at..])?;
        let mut search = NewlineSearch::after(self.terminator(), &carry[attempt.cursor.at..]);
        let carried = tail.index;
        let mut tail = Arc::clone(tail);
        let end = loop {
            let Some(next) = self.next_block(&tail, attempt.file)? else {
                break tail.end();
            };
            if tail.index > carried {
                // Not before there is another: the chunk in which the record ends has its bytes.
                tail.pass();
            }
            let found = search.find(next.bytes());
            let taken = found.unwrap_or(next.bytes().len());
            keep(&mut spill, &next.bytes()[..taken])?;
            tail = next;
            if found.is_some() {
                break tail.offset + taken as u64;
            }
        };
        let spilled = match spill {
            None => None,
            Some(mut file) => {
                file.rewind().map_err(failed)?;
                Some(RawSource::File { file: Arc::new(file), base: start })
            }
        };
        let lines = search.lines;
        Ok((Skipped { end, lines }, spilled))
    }
}

/// A record or comment whose end was searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Skipped {
    /// Offset in the file after it.
    end: u64,
    /// Lines that end in it.
    lines: u64,
}

/// Skips to the first raw newline of a map at or after `from`, giving pages back on the way.
fn newline_in_map(
    map: &MappedFile,
    from: usize,
    seen: Window<'_>,
    terminator: Terminator,
) -> Skipped {
    let bytes = map.bytes();
    // What was seen holds none, except perhaps the first half of one at its end.
    let mut at = seen.bytes.len().saturating_sub(1).max(from);
    let mut search = NewlineSearch::after(terminator, &bytes[from..at]);
    while at < bytes.len() {
        let end = bytes.len().min(at + SEARCH_BYTES);
        if let Some(found) = search.find(&bytes[at..end]) {
            return Skipped { end: (at + found) as u64, lines: search.lines };
        }
        map.release(ByteRange { start: at as u64, end: end as u64 });
        at = end;
    }
    Skipped { end: at as u64, lines: search.lines }
}

/// Searches the first raw newline in pieces.
struct NewlineSearch {
    terminator: Terminator,
    /// Whether the last byte of the pieces so far was a CR.
    after_cr: bool,
    /// Lines that end in the pieces so far.
    lines: u64,
}

impl NewlineSearch {
    fn after(terminator: Terminator, searched: &[u8]) -> Self {
        let mut search = Self { terminator, after_cr: searched.last() == Some(&b'\r'), lines: 0 };
        search.count_lines(searched);
        search
    }

    /// Offset in `piece` after the newline, if it ends there.
    fn find(&mut self, piece: &[u8]) -> Option<usize> {
        let found = match self.terminator {
            Terminator::Auto | Terminator::Lf => memchr(b'\n', piece).map(|at| at + 1),
            Terminator::Cr => memchr(b'\r', piece).map(|at| at + 1),
            Terminator::CrLf if self.after_cr && piece.first() == Some(&b'\n') => Some(1),
            Terminator::CrLf => memchr::memmem::find(piece, b"\r\n").map(|at| at + 2),
        };
        if let Some(&last) = piece.last() {
            self.after_cr = last == b'\r';
        }
        self.count_lines(&piece[..found.unwrap_or(piece.len())]);
        found
    }

    /// Only where CR and LF stand together does a lone LF end a line and no record.
    fn count_lines(&mut self, piece: &[u8]) {
        let line_end = match self.terminator {
            Terminator::Cr => b'\r',
            Terminator::Auto | Terminator::Lf | Terminator::CrLf => b'\n',
        };
        self.lines += memchr_iter(line_end, piece).count() as u64;
    }
}

fn usize_of(offset: u64) -> usize {
    usize::try_from(offset).expect("a mapped or held byte has an address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newline_may_stand_across_two_pieces() {
        let mut search = NewlineSearch::after(Terminator::CrLf, b"ab\r");
        assert_eq!(search.find(b"\nx"), Some(1));
        let mut search = NewlineSearch::after(Terminator::CrLf, b"a\nb");
        assert_eq!(search.find(b"\nx\r"), None);
        assert_eq!(search.find(b""), None);
        assert_eq!(search.find(b"\n\n"), Some(1));
        assert_eq!(search.lines, 3);
        let mut search = NewlineSearch::after(Terminator::Auto, b"ab");
        assert_eq!(search.find(b"c\r\nd"), Some(3));
    }
}
