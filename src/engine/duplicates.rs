//! Equal keys among the staged records, settled by the rule of the load.

use super::limit::RejectCounter;
use super::rejecting;
use super::reread::{Found, RecordWalk};
use super::shared::Shared;
use super::staged::Staged;
use super::watch::Watch;
use crate::codes::Code;
use crate::config::Duplicates;
use crate::error::{BadRecord, Error, ErrorKind, Result};
use crate::record::{ByteRange, Position, RejectClass};
use crate::rejects::{RejectRecord, RejectSegment};
use crate::staging::{PAGE_ROWS, Pair};

/// Leaves one record of each key in the staging table.
pub(super) fn settle(
    staged: &mut Staged<'_>,
    watch: &Watch,
    segment: &mut RejectSegment,
) -> Result<()> {
    let rule = staged.shared.config.duplicates;
    let made = staged.attempt(watch, |staging, session| Ok(staging.index_key(session)?))?;
    staged.has_index |= made;
    let mut rejected = vec![0; staged.shared.files.len()];
    match rule {
        Duplicates::Error => {
            let first = staged
                .attempt(watch, |staging, session| Ok(staging.losers(session, rule, None, 1)?))?;
            if let Some(pair) = first.first() {
                return Err(ErrorKind::RejectLimit(Box::new(bad_pair(staged.shared, pair))).into());
            }
        }
        Duplicates::Reject => reject_all(staged, watch, segment, &mut rejected)?,
        Duplicates::Skip | Duplicates::Last => {}
    }
    if rule != Duplicates::Error {
        staged.leave_one(watch, rule, &rejected, segment)?;
    }
    Ok(())
}

/// Counts the rejects of equal keys, by input, when the move that they belong to is committed or
/// may be.
pub(super) fn keep_rejects(shared: &Shared, rejected: &[u64]) {
    let mut classes = [0; RejectClass::ALL.len()];
    classes[RejectClass::Duplicate as usize] = rejected.iter().sum();
    shared.committed_classes(&classes);
}

/// The inputs are read a second time for the original bytes, page by page of the records that do
/// not count.
fn reject_all(
    staged: &mut Staged<'_>,
    watch: &Watch,
    segment: &mut RejectSegment,
    rejected: &mut [u64],
) -> Result<()> {
    let shared = staged.shared;
    let mut walk: Option<(usize, RecordWalk)> = None;
    let mut last: Option<Pair> = None;
    loop {
        let page = staged.attempt(watch, |staging, session| {
            Ok(staging.losers(session, Duplicates::Reject, last.as_ref(), PAGE_ROWS)?)
        })?;
        for pair in &page {
            if shared.is_stopped() {
                let signal = shared.control.signal();
                return Err(ErrorKind::Interrupted { signal }.into());
            }
            let file = &shared.files[pair.file];
            let walk = match &mut walk {
                Some((index, walk)) if *index == pair.file => walk,
                other => &mut other.insert((pair.file, RecordWalk::new(&shared.config, file)?)).1,
            };
            let found = walk.find(pair.record).ok_or_else(|| lost(shared, pair))?;
            count(&shared.counter, shared, pair, &found)?;
            segment.append(&reject(shared, pair, &found)?)?;
            rejected[pair.file] += 1;
        }
        if (page.len() as u64) < PAGE_ROWS {
            break;
        }
        last = page.last().copied();
    }
    Ok(())
}

/// The record was there when the load read it.
fn lost(shared: &Shared, pair: &Pair) -> Error {
    let file = &shared.files[pair.file];
    let message = format!("record {} is not there any more", pair.record);
    file.check_unchanged().err().unwrap_or_else(|| Error::input(&file.path, message, ""))
}

fn count(counter: &RejectCounter, shared: &Shared, pair: &Pair, found: &Found) -> Result<()> {
    let records = counter.records();
    let bad = || described(shared, pair, Some(found));
    counter.note_any(pair.file, pair.record, bad);
    match counter.add_rejects(1, |_| records) {
        Some(_) => Err(rejecting::limit_error(shared, pair.file, bad())),
        None => Ok(()),
    }
}

fn reject(shared: &Shared, pair: &Pair, found: &Found) -> Result<RejectRecord> {
    let file = &shared.files[pair.file];
    let source = file.raw.clone();
    let source = source
        .ok_or_else(|| Error::input(&file.path, "cannot be read a second time", String::new()))?;
    Ok(RejectRecord {
        file: pair.file,
        position: found.position,
        byte_length: found.byte_length,
        column_index: None,
        column: None,
        type_name: None,
        class: RejectClass::Duplicate,
        code: Code::same_key().code,
        sqlstate: None,
        native: None,
        message: message(shared, pair),
        source,
    })
}

fn message(shared: &Shared, pair: &Pair) -> String {
    let key: Vec<&str> = shared
        .config
        .key
        .iter()
        .map(|&at| shared.config.columns[at].column.name.as_str())
        .collect();
    let elsewhere = if pair.kept_file == pair.file {
        String::new()
    } else {
        format!(" of {}", shared.files[pair.kept_file].path.display())
    };
    format!("the same {} as record {}{elsewhere}", key.join(", "), pair.kept_record)
}

/// The first pair of equal keys, as the error of a stopped load shows it.
fn bad_pair(shared: &Shared, pair: &Pair) -> BadRecord {
    let file = &shared.files[pair.file];
    // What cannot be read again is shown by its number only.
    let found = file.raw.as_ref().and_then(|_| {
        let walk = RecordWalk::new(&shared.config, file);
        walk.ok().and_then(|mut walk| walk.find(pair.record))
    });
    described(shared, pair, found.as_ref())
}

fn described(shared: &Shared, pair: &Pair, found: Option<&Found>) -> BadRecord {
    let file = &shared.files[pair.file];
    let mut bytes = Vec::new();
    if let (Some(found), Some(source)) = (found, &file.raw) {
        let start = found.position.byte_offset;
        let end = start + found.byte_length.min(rejecting::SHOWN_BYTES);
        if let Err(error) = source.copy_range(ByteRange { start, end }, &mut bytes) {
            tracing::debug!(%error, "the record cannot be read again");
        }
    }
    let code = Code::same_key();
    BadRecord {
        path: file.path.clone(),
        position: found
            .map_or(Position { byte_offset: 0, record: pair.record, line: 0 }, |found| {
                found.position
            }),
        fault_byte_offset: None,
        bytes,
        column: None,
        type_name: None,
        field: None,
        class: RejectClass::Duplicate.name(),
        code: code.code,
        message: format!("record {} has {}", pair.record, message(shared, pair)),
        help: code.help.to_owned(),
        limit: shared.counter.limit_count(),
    }
}
