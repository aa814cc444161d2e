//! Static binds of SQLite's C API: the library reads the arena itself while a statement runs.
//!
//! Binding through the safe wrapper costs a copy and a dynamic dispatch a value (measured: the
//! whole load takes half as long again). Everything unsafe about SQLite is in this file.

#![expect(unsafe_code, reason = "calls of the SQLite C interface")]

use std::ffi::{CStr, CString, c_int};
use std::ptr::{self, NonNull};

use rusqlite::{Connection, ffi};

use crate::arena::{Batch, CellRef};

/// A connection and the insert statements prepared on it.
///
/// Invariants, on which the `unsafe` blocks rest:
/// - every pointer in `prepared` came from `sqlite3_prepare_v3` on `connection`, is finalized
///   only in `drop`, and `drop` runs before the fields are dropped, so while `connection` is open;
/// - the type is neither `Send` nor `Sync` (it holds raw pointers), so no two threads are ever in
///   one statement;
/// - a statement is stepped only in [`Self::insert`], directly after each of its parameters was
///   bound to the batch that the same call borrows.
pub(super) struct Statements {
    prepared: Vec<InsertStatement>,
    /// Whether each row begins with the index of its file and the number of its record.
    is_stamped: bool,
    connection: Connection,
}

#[derive(Clone, Copy)]
struct InsertStatement {
    raw: NonNull<ffi::sqlite3_stmt>,
    /// Parameters that SQLite counts in the statement.
    parameters: usize,
}

impl Statements {
    /// Takes the connection; no statement is prepared yet.
    pub(super) const fn new(connection: Connection, is_stamped: bool) -> Self {
        Self { prepared: Vec::new(), is_stamped, connection }
    }

    /// The connection, for everything that is not an insert.
    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Prepares a statement that will run many times and returns its index.
    ///
    /// # Errors
    /// What SQLite says of the text; a text longer than `c_int` holds is `SQLITE_TOOBIG`.
    pub(super) fn prepare(&mut self, sql: &str) -> rusqlite::Result<usize> {
        let Ok(length) = c_int::try_from(sql.len()) else {
            return Err(failure(ffi::SQLITE_TOOBIG, None));
        };
        let mut raw = ptr::null_mut();
        // SAFETY:
        // - `handle` gives the open handle of a connection that we own and that outlives the call;
        // - `sql` is valid for `length` bytes, which is all that SQLite reads of it;
        // - `raw` is a place for one pointer; the unused tail of the text may be asked with null.
        let (code, parameters) = unsafe {
            let code = ffi::sqlite3_prepare_v3(
                self.connection.handle(),
                sql.as_ptr().cast(),
                length,
                ffi::SQLITE_PREPARE_PERSISTENT,
                &raw mut raw,
                ptr::null_mut(),
            );
            // A null statement (after an error) has no parameters: SQLite answers 0.
            (code, ffi::sqlite3_bind_parameter_count(raw))
        };
        match NonNull::new(raw) {
            Some(raw) if code == ffi::SQLITE_OK => {
                let parameters = usize::try_from(parameters).expect("a count is not negative");
                self.prepared.push(InsertStatement { raw, parameters });
                Ok(self.prepared.len() - 1)
            }
            _ => Err(self.failure(code)),
        }
    }

    /// Runs a statement with the cells of `rows`, row after row, column after column.
    ///
    /// Text and bytes are bound as static: SQLite reads them in the arena while it steps and
    /// keeps no copy.
    ///
    /// # Errors
    /// What SQLite says; the statement is reset and may run again.
    ///
    /// # Panics
    /// If the statement has another number of parameters than the rows have cells.
    pub(super) fn insert(
        &mut self,
        statement: usize,
        batch: &Batch,
        rows: &[usize],
    ) -> rusqlite::Result<()> {
        let InsertStatement { raw, parameters } = self.prepared[statement];
        // Holds the third invariant: no parameter keeps a pointer of an earlier batch.
        let stamps = if self.is_stamped { 2 } else { 0 };
        assert_eq!(parameters, rows.len() * (stamps + batch.columns.len()));
        let mut parameter: c_int = 0;
        let mut bind_next = |cell: CellRef<'_>| {
            parameter += 1;
            match bind(raw, parameter, cell) {
                ffi::SQLITE_OK => Ok(()),
                code => Err(self.failure(code)),
            }
        };
        for &row in rows {
            if self.is_stamped {
                stamp(batch, row).into_iter().try_for_each(&mut bind_next)?;
            }
            for column in &batch.columns {
                bind_next(column.cell(row))?;
            }
        }
        // SAFETY:
        // - `raw` is a live statement of the open connection (first invariant), on this thread;
        // - all its parameters were bound above to cells of `batch`, whose columns cannot move or
        //   change while this function borrows it; step and reset have ended when it returns;
        // - later calls bind every parameter anew before they step, and unbinding a static value
        //   does not read it, so the pointers left behind are never followed.
        let (stepped, code) =
            unsafe { (ffi::sqlite3_step(raw.as_ptr()), ffi::sqlite3_reset(raw.as_ptr())) };
        match (stepped, code) {
            (ffi::SQLITE_DONE, ffi::SQLITE_OK) => Ok(()),
            // Reset repeats the error of the step.
            (_, code) if code != ffi::SQLITE_OK => Err(self.failure(code)),
            (stepped, _) => {
                Err(failure(ffi::SQLITE_MISUSE, Some(format!("an insert answered {stepped}"))))
            }
        }
    }

    /// The last error of the connection, with its message.
    fn failure(&self, code: c_int) -> rusqlite::Error {
        // SAFETY:
        // - the handle is open and used by this thread only, so the message cannot be replaced
        //   between the call and the copy;
        // - SQLite returns a NUL-terminated text that it owns, or (out of memory) a static one.
        let message = unsafe {
            let text = ffi::sqlite3_errmsg(self.connection.handle());
            (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
        };
        failure(code, message)
    }
}

impl Drop for Statements {
    fn drop(&mut self) {
        for statement in self.prepared.drain(..) {
            // SAFETY:
            // - the statement is live (nobody else finalizes it) and leaves the list here;
            // - the connection is dropped after this function, so it is still open.
            unsafe { ffi::sqlite3_finalize(statement.raw.as_ptr()) };
        }
    }
}

/// Index of a row's file and number of its record.
fn stamp(batch: &Batch, row: usize) -> [CellRef<'static>; 2] {
    let file = i64::try_from(batch.segment_of_row(row).file).expect("a list of inputs");
    let record = i64::try_from(batch.row_position(row).record).expect("records of a file");
    [CellRef::Integer(file), CellRef::Integer(record)]
}

/// Collating sequence of a column: what decides whether two of its texts are equal.
pub(super) fn column_collation(
    connection: &Connection,
    schema: &str,
    table: &str,
    column: &str,
) -> rusqlite::Result<String> {
    let text = |text: &str| CString::new(text).map_err(rusqlite::Error::NulError);
    let (schema, table, column) = (text(schema)?, text(table)?, text(column)?);
    let mut collation = ptr::null();
    // SAFETY:
    // - the handle is open for as long as `connection` is borrowed;
    // - the three names end in NUL and outlive the call; outputs that are not wanted may be null;
    // - what SQLite puts into `collation` is a NUL-terminated text that stays until the schema
    //   changes: it is copied before anything else can run on the connection.
    let (code, found) = unsafe {
        let code = ffi::sqlite3_table_column_metadata(
            connection.handle(),
            schema.as_ptr(),
            table.as_ptr(),
            column.as_ptr(),
            ptr::null_mut(),
            &raw mut collation,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
        );
        let found = (code == ffi::SQLITE_OK && !collation.is_null())
            .then(|| CStr::from_ptr(collation).to_string_lossy().into_owned());
        (code, found)
    };
    found.ok_or_else(|| failure(code, Some("the column has no collation".to_owned())))
}

/// Most of something (`SQLITE_LIMIT_COLUMN`, …) that this build of SQLite takes.
pub(super) fn limit(connection: &Connection, which: c_int) -> usize {
    // SAFETY:
    // - the handle is open for as long as `connection` is borrowed;
    // - a negative new value asks without changing anything (documentation of `sqlite3_limit`).
    let value = unsafe { ffi::sqlite3_limit(connection.handle(), which, -1) };
    usize::try_from(value).unwrap_or(0)
}

/// Binds one cell; the caller steps only while the cell's memory is borrowed.
#[inline]
fn bind(raw: NonNull<ffi::sqlite3_stmt>, parameter: c_int, cell: CellRef<'_>) -> c_int {
    let statement = raw.as_ptr();
    // SAFETY:
    // - `raw` is live: `insert`, the only caller, takes it from the list of statements;
    // - an index out of range is answered with SQLITE_RANGE;
    // - text and bytes are given with pointer and length of a slice; a slice's pointer is never
    //   null, not even an empty one's, so that empty does not become NULL;
    // - SQLITE_STATIC promises that the memory stays until the statement is stepped or bound
    //   anew: argued in `insert`.
    unsafe {
        match cell {
            CellRef::Null => ffi::sqlite3_bind_null(statement, parameter),
            CellRef::Integer(value) => ffi::sqlite3_bind_int64(statement, parameter, value),
            CellRef::F32(value) => ffi::sqlite3_bind_double(statement, parameter, value.into()),
            CellRef::F64(value) => ffi::sqlite3_bind_double(statement, parameter, value),
            CellRef::Bit(value) => ffi::sqlite3_bind_int(statement, parameter, value.into()),
            CellRef::Text(value) => match c_int::try_from(value.len()) {
                Ok(length) => ffi::sqlite3_bind_text(
                    statement,
                    parameter,
                    value.as_ptr().cast(),
                    length,
                    ffi::SQLITE_STATIC(),
                ),
                Err(_) => ffi::SQLITE_TOOBIG,
            },
            CellRef::Bytes(value) => match c_int::try_from(value.len()) {
                Ok(length) => ffi::sqlite3_bind_blob(
                    statement,
                    parameter,
                    value.as_ptr().cast(),
                    length,
                    ffi::SQLITE_STATIC(),
                ),
                Err(_) => ffi::SQLITE_TOOBIG,
            },
            // The layout of this target asks for dates and times as text.
            CellRef::Date(_) | CellRef::Time(_) | CellRef::Timestamp(_) => ffi::SQLITE_MISUSE,
        }
    }
}

fn failure(code: c_int, message: Option<String>) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), message)
}
