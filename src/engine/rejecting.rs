//! Rejects of a batch into the reject file, and the error of a load that had one too many.

use super::reject_text::reason_text;
use super::shared::Shared;
use crate::arena::{Batch, ParseReject, Reason, Segment};
use crate::codes::Code;
use crate::config::FieldSource;
use crate::error::{BadRecord, Error, ErrorKind, Result};
use crate::record::ByteRange;
use crate::rejects::{RejectRecord, RejectSegment};
use crate::sink::RowReject;

/// Bytes of a bad record that its error shows at most.
pub(super) const SHOWN_BYTES: u64 = 4 << 10;

/// Writes the rejects of batches.
pub(super) struct Rejecting<'s> {
    pub(super) shared: &'s Shared,
}

impl Rejecting<'_> {
    /// Appends all rejects of `batch`, those of the parser and those of the database.
    pub(super) fn write_all(
        &self,
        segment: &mut RejectSegment,
        batch: &Batch,
        refused: &[RowReject],
    ) -> Result<()> {
        for reject in &batch.rejects {
            segment.append(&parse_record(self.shared, batch, reject))?;
        }
        for reject in refused {
            segment.append(&row_record(self.shared, batch, reject))?;
        }
        Ok(())
    }
}

const fn code_of(reason: &Reason) -> Code {
    match *reason {
        Reason::Malformed { what, .. } => Code::of_malformed(what),
        Reason::Fault { what, .. } => Code::of_fault(what),
    }
}

/// Index from 1 of the field that fills a column; `None` for a constant.
fn field_index(shared: &Shared, column: usize) -> Option<u32> {
    match shared.config.columns[column].source {
        FieldSource::Field(field) => u32::try_from(field + 1).ok(),
        FieldSource::Constant(_) => None,
    }
}

fn parse_record(shared: &Shared, batch: &Batch, reject: &ParseReject) -> RejectRecord {
    let segment = &batch.segments[reject.segment];
    let (column_index, column) = match reject.reason {
        Reason::Malformed { field, .. } => (Some(field + 1), None),
        Reason::Fault { column, .. } => {
            (field_index(shared, column as usize), Some(column as usize))
        }
    };
    RejectRecord {
        file: segment.file,
        position: batch.reject_position(reject),
        byte_length: reject.byte_length,
        column_index,
        column: column.map(|column| shared.config.columns[column].column.name.clone()),
        type_name: column.map(|column| shared.config.columns[column].column.ty.to_string()),
        class: reject.reason.class(),
        code: code_of(&reject.reason).code,
        sqlstate: None,
        native: None,
        message: reason_text(&reject.reason, &shared.config),
        source: segment.source.clone(),
    }
}

fn row_record(shared: &Shared, batch: &Batch, reject: &RowReject) -> RejectRecord {
    let segment = batch.segment_of_row(reject.row);
    let column = reject.column;
    RejectRecord {
        file: segment.file,
        position: batch.row_position(reject.row),
        byte_length: u64::from(batch.row_sources[reject.row].byte_length),
        column_index: column.and_then(|column| field_index(shared, column)),
        column: column.map(|column| shared.config.columns[column].column.name.clone()),
        type_name: column.map(|column| shared.config.columns[column].column.ty.to_string()),
        class: reject.class,
        code: Code::of_refused_row(reject.class).code,
        sqlstate: reject.sqlstate.clone(),
        native: reject.native,
        message: reject.message.clone(),
        source: segment.source.clone(),
    }
}

/// A record that the parser refused, as the error of a stopped load shows it.
pub(super) fn bad_record(shared: &Shared, batch: &Batch, reject: &ParseReject) -> BadRecord {
    let segment = &batch.segments[reject.segment];
    let (fault_byte_offset, field, column) = match reject.reason {
        Reason::Malformed { byte_offset, field, .. } => (byte_offset, Some(field + 1), None),
        Reason::Fault { byte_offset, column, .. } => {
            (byte_offset, field_index(shared, column as usize), Some(column as usize))
        }
    };
    let column = column.map(|column| &shared.config.columns[column].column);
    BadRecord {
        path: shared.files[segment.file].path.clone(),
        position: batch.reject_position(reject),
        fault_byte_offset: Some(fault_byte_offset),
        bytes: shown_bytes(segment, reject.byte_offset, reject.byte_length),
        column: column.map(|column| column.name.clone()),
        type_name: column.map(|column| column.ty.to_string()),
        field,
        class: reject.reason.class().name(),
        code: code_of(&reject.reason).code,
        message: reason_text(&reject.reason, &shared.config),
        help: code_of(&reject.reason).help.to_owned(),
        limit: shared.counter.limit_count(),
    }
}

/// A row that the database refused, as the error of a stopped load shows it.
pub(super) fn bad_row(shared: &Shared, batch: &Batch, reject: &RowReject) -> BadRecord {
    let segment = batch.segment_of_row(reject.row);
    let column = reject.column.map(|column| &shared.config.columns[column].column);
    let source = batch.row_sources[reject.row];
    BadRecord {
        path: shared.files[segment.file].path.clone(),
        position: batch.row_position(reject.row),
        fault_byte_offset: None,
        bytes: shown_bytes(segment, source.byte_offset, u64::from(source.byte_length)),
        column: column.map(|column| column.name.clone()),
        type_name: column.map(|column| column.ty.to_string()),
        field: reject.column.and_then(|column| field_index(shared, column)),
        class: reject.class.name(),
        code: Code::of_refused_row(reject.class).code,
        message: database_words(reject),
        help: Code::of_refused_row(reject.class).help.to_owned(),
        limit: shared.counter.limit_count(),
    }
}

/// The error of a load that `bad`, in input `file`, stopped.
pub(super) fn limit_error(shared: &Shared, file: usize, bad: BadRecord) -> Error {
    shared.counter.note_lowest(file, bad.clone());
    ErrorKind::RejectLimit(Box::new(bad)).into()
}

fn database_words(reject: &RowReject) -> String {
    match (&reject.sqlstate, reject.native) {
        (Some(state), Some(native)) => {
            format!("{} (SQLSTATE {state}, native {native})", reject.message)
        }
        (None, Some(native)) => format!("{} (native {native})", reject.message),
        (Some(state), None) => format!("{} (SQLSTATE {state})", reject.message),
        (None, None) => reject.message.clone(),
    }
}

/// The record as the terminal may show it; an unreadable source shows nothing.
fn shown_bytes(segment: &Segment, start: u64, length: u64) -> Vec<u8> {
    let range = ByteRange { start, end: start + length.min(SHOWN_BYTES) };
    let mut bytes = Vec::new();
    if let Err(error) = segment.source.copy_range(range, &mut bytes) {
        tracing::debug!(%error, "the bad record cannot be read again");
    }
    bytes
}
