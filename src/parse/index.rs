//! The structural index: where the fields and records of a stretch end, found 64 bytes at a time
//! with the quotes taken into account.
//!
//! A stretch begins where a record begins, so outside quotes; the parity of the quotes before a
//! byte says whether it stands inside some. That is so as long as each quote stands where the
//! grammar has it: an opening one at the start of a field, a closing one before a delimiter or a
//! record end, two inside quotes for one. The index stops at the first byte that says otherwise.
//! What it found before is what [`super::record_reader::RecordReader::step`] finds; what it did not
//! take in, that one reads.

use super::simd::{Kernel, Lanes, STEP_BYTES, Work};
use crate::config::dialect::{Dialect, Terminator};

/// Bytes of a stretch: small enough that bytes and index stay in cache until the fields are
/// converted.
pub(super) const STRETCH_BYTES: usize = 16 << 10;

/// Bytes of the stretch behind a record that the index did not take in: another may be near.
const SHORT_STRETCH_BYTES: usize = 1 << 10;

/// Entries that a stretch of nothing but ends has, and a step more: steps write without asking. The
/// lists have one more, for the entry in front.
const ROOM: usize = STRETCH_BYTES + STEP_BYTES;

/// The end of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct RecordEnd {
    /// Field ends up to and with this record's newline.
    pub(super) fields: u32,
    /// Newline bytes up to and with this record's.
    pub(super) newlines: u32,
}

/// A quoted field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct QuotedField {
    /// Field ends before it.
    pub(super) field: u32,
    /// Whether it holds doubled quotes.
    pub(super) escaped: bool,
}

/// The index of one stretch of a window.
#[derive(Debug)]
pub(super) struct Index {
    kernel: Kernel,
    needles: Needles,
    /// Entry 0 stands before the first field; the others are offsets of delimiters and newlines
    /// from the start of the stretch.
    ends: Box<[u32; 1 + ROOM]>,
    records: Box<[RecordEnd; 1 + ROOM]>,
    quoted: Vec<QuotedField>,
    found: Found,
    stretch_bytes: usize,
}

/// The bytes with a role.
#[derive(Debug, Clone, Copy)]
struct Needles {
    delimiter: u8,
    newline: u8,
    /// The delimiter again where there is no quote.
    quote: u8,
    has_quote: bool,
    double_quote: bool,
    /// Whether a CR before the newline belongs to it.
    takes_cr: bool,
}

/// How much a scan found.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    ends: usize,
    records: usize,
    /// Not 0: there is a CR, which may belong to a record end.
    crs: u64,
}

impl Index {
    pub(super) fn new(dialect: &Dialect, kernel: Kernel) -> Self {
        let delimiter = dialect.delimiter[0];
        Self {
            kernel,
            needles: Needles {
                delimiter,
                newline: super::oracle::line_byte(dialect),
                quote: dialect.quote.unwrap_or(delimiter),
                has_quote: dialect.quote.is_some(),
                double_quote: dialect.double_quote,
                takes_cr: dialect.terminator == Terminator::Auto,
            },
            ends: boxed(u32::MAX),
            records: boxed(RecordEnd::default()),
            quoted: Vec::new(),
            found: Found::default(),
            stretch_bytes: STRETCH_BYTES,
        }
    }

    /// Forgets the stretch.
    pub(super) fn clear(&mut self) {
        self.found = Found::default();
        self.quoted.clear();
    }

    /// Makes the next stretch a short one: this one did not get far.
    pub(super) const fn shorten(&mut self) {
        self.stretch_bytes = SHORT_STRETCH_BYTES;
    }

    /// Indexes the stretch that begins with the record at `start`.
    pub(super) fn scan(&mut self, window: &[u8], start: usize) {
        self.clear();
        let end = window.len().min(start + self.stretch_bytes);
        self.stretch_bytes = STRETCH_BYTES.min(2 * self.stretch_bytes);
        let kernel = self.kernel;
        let ahead = &window[end..window.len().min(end + STRETCH_BYTES)];
        self.found = kernel.run(Scan { index: self, bytes: &window[start..end], ahead });
    }

    /// Records of the stretch that are complete.
    pub(super) fn records(&self) -> &[RecordEnd] {
        &self.records[..self.found.records]
    }

    /// Field ends, one more in front: field `i` is what stands between entries `i` and `i + 1`.
    pub(super) fn ends(&self) -> &[u32] {
        &self.ends[..=self.found.ends]
    }

    /// Whether a record may end in CR LF.
    pub(super) const fn may_hold_cr_lf(&self) -> bool {
        self.found.crs != 0
    }

    /// The quoted fields.
    pub(super) fn quoted(&self) -> &[QuotedField] {
        &self.quoted
    }
}

/// One scan, for any kernel.
struct Scan<'a> {
    index: &'a mut Index,
    bytes: &'a [u8],
    /// The next stretch: it is brought near while this one is taken in.
    ahead: &'a [u8],
}

/// What one step hands to the next: whether the byte before has a role, as the lowest bit.
#[derive(Clone, Copy)]
struct Carry {
    /// All bits set: the byte before stands inside quotes.
    quoted: u64,
    /// It ends a field.
    ended: u64,
    /// It closes quotes.
    closed: u64,
    /// It is a CR behind a closing quote.
    cr: u64,
    /// Newline bytes before.
    newlines: u32,
}

/// The bytes of one step by their role.
#[derive(Clone, Copy)]
struct Roles {
    delimiters: u64,
    newlines: u64,
    quotes: u64,
    crs: u64,
}

impl Work for Scan<'_> {
    type Output = Found;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Found {
        let Self { index, bytes, ahead } = self;
        let needles = index.needles;
        let (steps, rest) = bytes.as_chunks::<STEP_BYTES>();
        let mut found = Found::default();
        let mut carry = Carry { quoted: 0, ended: 1, closed: 0, cr: 0, newlines: 0 };
        let (ahead, _) = ahead.as_chunks::<STEP_BYTES>();
        for (step, bytes) in steps.iter().enumerate() {
            if let Some(ahead) = ahead.get(step) {
                lanes.prefetch(ahead);
            }
            let roles = needles.roles(lanes, bytes);
            if !index.step(lanes, needles.double_quote, step, roles, &mut carry, &mut found) {
                return found;
            }
        }
        if !rest.is_empty() {
            let mut last = [0; STEP_BYTES];
            last[..rest.len()].copy_from_slice(rest);
            let seen = (1 << rest.len()) - 1;
            let Roles { delimiters, newlines, quotes, crs } = needles.roles(lanes, &last);
            let roles = Roles {
                delimiters: delimiters & seen,
                newlines: newlines & seen,
                quotes: quotes & seen,
                crs: crs & seen,
            };
            // Bytes behind the stretch look like faults; no record ends there.
            index.step(lanes, needles.double_quote, steps.len(), roles, &mut carry, &mut found);
        }
        found
    }
}

impl Needles {
    #[inline(always)]
    fn roles<L: Lanes>(self, lanes: L, bytes: &[u8; STEP_BYTES]) -> Roles {
        let block = lanes.load(bytes);
        Roles {
            delimiters: lanes.equal(block, self.delimiter),
            newlines: lanes.equal(block, self.newline),
            quotes: if self.has_quote { lanes.equal(block, self.quote) } else { 0 },
            crs: if self.takes_cr { lanes.equal(block, b'\r') } else { 0 },
        }
    }
}

impl Index {
    /// Takes 64 bytes in; `false` when there is a fault among them, and what stands before it is
    /// taken in.
    #[inline(always)]
    fn step<L: Lanes>(
        &mut self,
        lanes: L,
        double_quote: bool,
        step: usize,
        roles: Roles,
        carry: &mut Carry,
        found: &mut Found,
    ) -> bool {
        let Roles { delimiters, newlines, quotes, crs } = roles;
        let either = delimiters | newlines;
        found.crs |= crs;
        let mut structural = either & !carry.quoted;
        let mut sound = true;
        if quotes | carry.closed | carry.cr != 0 {
            let quoted = lanes.parity(quotes) ^ carry.quoted;
            structural = either & !quoted;
            let (opening, closing) = (quotes & quoted, quotes & !quoted);
            let behind_end = structural << 1 | carry.ended;
            let behind_closing = closing << 1 | carry.closed;
            let mut first = opening & behind_end;
            let mut doubled = opening & behind_closing;
            let cr_behind_closing = crs & behind_closing;
            let behind_cr = cr_behind_closing << 1 | carry.cr;
            let second = if double_quote { quotes } else { 0 };
            let faults = (opening & !first & !behind_closing)
                | (behind_closing & !(structural | second | cr_behind_closing))
                | (behind_cr & !newlines);
            if faults != 0 {
                // Only what stands before the fault.
                let before = (faults & faults.wrapping_neg()).wrapping_sub(1);
                (structural, first, doubled) =
                    (structural & before, first & before, doubled & before);
                sound = false;
            }
            self.note_quoted(first, doubled, structural, found.ends);
            carry.quoted = (quoted.cast_signed() >> 63).cast_unsigned();
            carry.closed = closing >> 63;
            carry.cr = cr_behind_closing >> 63;
        }
        carry.ended = structural >> 63;
        self.push_records(newlines, structural, carry, *found);
        #[expect(clippy::cast_possible_truncation, reason = "a stretch is short")]
        let offset = (step * STEP_BYTES) as u32;
        let room = room_at(&mut self.ends, 1 + within(found.ends));
        lanes.write_bits(structural, offset, room);
        found.records += (structural & newlines).count_ones() as usize;
        found.ends += structural.count_ones() as usize;
        carry.newlines += newlines.count_ones();
        sound
    }

    /// Notes which fields are quoted, and which of these hold doubled quotes.
    #[inline(always)]
    fn note_quoted(&mut self, first: u64, doubled: u64, structural: u64, ends_before: usize) {
        let mut left = first | doubled;
        while left != 0 {
            let bit = left & left.wrapping_neg();
            left ^= bit;
            let before = ends_before + (structural & (bit - 1)).count_ones() as usize;
            if bit & first != 0 {
                #[expect(clippy::cast_possible_truncation, reason = "a stretch is short")]
                self.quoted.push(QuotedField { field: before as u32, escaped: false });
            } else if let Some(quoted) = self.quoted.last_mut() {
                quoted.escaped = true;
            }
        }
    }

    #[inline(always)]
    fn push_records(&mut self, newlines: u64, structural: u64, carry: &Carry, found: Found) {
        let mut left = structural & newlines;
        let room = room_at(&mut self.records, within(found.records));
        #[expect(clippy::cast_possible_truncation, reason = "a stretch is short")]
        let ends_before = found.ends as u32;
        for record in room {
            // Without a newline an entry is written too much, which the next one overwrites.
            let upto = left ^ left.wrapping_sub(1);
            *record = RecordEnd {
                fields: ends_before + (structural & upto).count_ones(),
                newlines: carry.newlines + (newlines & upto).count_ones(),
            };
            left &= left.wrapping_sub(1);
            if left == 0 {
                break;
            }
        }
    }
}

/// Entries before a step: fewer than the bytes of a stretch. The mask changes nothing, it saves the
/// question whether there is room.
#[inline(always)]
fn within(entries: usize) -> usize {
    debug_assert!(entries < STRETCH_BYTES);
    entries & (STRETCH_BYTES - 1)
}

const _: () = assert!(STRETCH_BYTES.is_power_of_two());

/// Room for as many entries as a step has bytes.
#[inline(always)]
fn room_at<T>(entries: &mut [T; 1 + ROOM], at: usize) -> &mut [T; STEP_BYTES] {
    entries[at..].first_chunk_mut().expect("there is room for a step behind a stretch")
}

fn boxed<T: Copy>(entry: T) -> Box<[T; 1 + ROOM]> {
    let Ok(entries) = vec![entry; 1 + ROOM].into_boxed_slice().try_into() else {
        unreachable!("so many were made")
    };
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many entries as there can be: each step writes as many as it may.
    #[test]
    fn a_stretch_of_nothing_but_ends() {
        let dialect = Dialect::default();
        for kernel in Kernel::available() {
            let mut index = Index::new(&dialect, kernel);
            for (byte, records) in [(b',', 0), (b'\n', STRETCH_BYTES)] {
                for bytes in [STRETCH_BYTES - 1, STRETCH_BYTES, STRETCH_BYTES + 100] {
                    index.scan(&vec![byte; bytes], 0);
                    let found = bytes.min(STRETCH_BYTES);
                    assert_eq!(index.ends().len(), 1 + found, "{kernel:?}");
                    let are_in_order =
                        index.ends()[1..].iter().zip(0..).all(|(&end, at)| end == at);
                    assert!(are_in_order);
                    assert_eq!(index.records().len(), records.min(found));
                }
            }
        }
    }
}
