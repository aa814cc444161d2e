//! What the starts of a job note for each other in the ledger, beside states and ranges.

use crate::error::{Error, ErrorKind, Result};
use crate::ledger::Facts;
use crate::rejects::{SegmentId, SegmentLengths};
use crate::sink::SinkError;

/// Note of how many parts the rows of each range have.
pub(super) const PARTS: &str = "note parts";

/// Note of the segment that holds the rejects of equal keys.
pub(super) const SETTLED_SEGMENT: &str = "note settled segment";

/// The number of [`PARTS`], once it is noted.
///
/// # Errors
/// Something else stands in its place: whose rows are loaded would be guessed.
pub(super) fn noted_parts(facts: &Facts) -> Result<Option<usize>> {
    let Some(text) = facts.get(PARTS) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| strange(PARTS, text))
}

/// The text of [`SETTLED_SEGMENT`].
pub(super) fn segment_text(id: SegmentId, lengths: impl Iterator<Item = SegmentLengths>) -> String {
    let mut text = format!("{} {}", id.epoch, id.writer);
    for SegmentLengths { raw_bytes, lines_bytes, index_bytes } in lengths {
        text.push_str(&format!(" {raw_bytes} {lines_bytes} {index_bytes}"));
    }
    text
}

/// The segment that [`segment_text`] tells of, and its lengths by input.
///
/// # Errors
/// A text that it does not write: rejects would be lost.
pub(super) fn noted_segments(facts: &Facts) -> Result<Vec<(usize, SegmentId, SegmentLengths)>> {
    let Some(text) = facts.get(SETTLED_SEGMENT) else { return Ok(Vec::new()) };
    let numbers: Option<Vec<u64>> = text.split(' ').map(|number| number.parse().ok()).collect();
    let parts = numbers.as_deref().and_then(|numbers| match numbers {
        [epoch, writer, lengths @ ..] => {
            let id = SegmentId { epoch: *epoch, writer: usize::try_from(*writer).ok()? };
            let (lengths, rest) = lengths.as_chunks::<3>();
            rest.is_empty().then_some((id, lengths))
        }
        _ => None,
    });
    let (id, lengths) = parts.ok_or_else(|| strange(SETTLED_SEGMENT, text))?;
    let one = |(file, &[raw_bytes, lines_bytes, index_bytes]): (usize, &[u64; 3])| {
        (file, id, SegmentLengths { raw_bytes, lines_bytes, index_bytes })
    };
    Ok(lengths.iter().enumerate().map(one).collect())
}

fn strange(name: &str, text: &str) -> Error {
    let message =
        format!("the ledger's {name:?} of the job is {text:?}, which nobody writes there");
    ErrorKind::Sql(SinkError::permanent(message)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(name: &str, text: &str) -> Facts {
        [(name.to_owned(), text.to_owned())].into_iter().collect()
    }

    #[test]
    fn segments_come_back() {
        let id = SegmentId { epoch: 7, writer: 2 };
        let lengths = [3, 0, 9].map(|bytes| SegmentLengths {
            raw_bytes: bytes,
            lines_bytes: bytes + 1,
            index_bytes: bytes + 2,
        });
        for count in 0..=lengths.len() {
            let text = segment_text(id, lengths[..count].iter().copied());
            let back = noted_segments(&facts(SETTLED_SEGMENT, &text)).expect("as written");
            let expected: Vec<_> =
                lengths[..count].iter().enumerate().map(|(at, &one)| (at, id, one)).collect();
            assert_eq!(back, expected);
        }
        assert_eq!(noted_segments(&Facts::default()).expect("nothing noted"), []);
    }

    #[test]
    fn what_nobody_writes_is_no_note() {
        for text in ["", "7", "7 2 3", "7 2 3 4 5 6", "7 2 3 4 x", "7  2 3 4 5", "-1 2 3 4 5"] {
            let error = noted_segments(&facts(SETTLED_SEGMENT, text)).expect_err(text);
            assert!(error.to_string().contains("which nobody writes there"), "{error}");
        }
        for text in ["", "two", "-1"] {
            noted_parts(&facts(PARTS, text)).expect_err(text);
        }
        assert_eq!(noted_parts(&facts(PARTS, "3")).expect("a number"), Some(3));
        assert_eq!(noted_parts(&Facts::default()).expect("nothing noted"), None);
    }
}
