//! The only module of this sink that calls the driver manager by itself: statements, parameter
//! arrays, descriptions, fetched text, diagnostics.
//!
//! Everything public here is safe to call. What makes it so:
//! - a [`Statement`] keeps its connection alive, and drops its handle first;
//! - a [`Parameter`] borrows the arena it points into, has checked every length word against the
//!   stride, and is bound and unbound within one call of [`Statement::execute_array`];
//! - every word that a driver writes a length or count into is 8 bytes, zeroed, and read through
//!   [`LengthWord`], because some drivers write only 4.

#![expect(unsafe_code, reason = "calls of the ODBC C interface")]

mod cancel;
mod diagnostics;

use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

pub(super) use cancel::Canceller;
pub(super) use diagnostics::{
    Diagnostic, NumberedDiagnostic, Outcome, connection_outcome, info_number, info_text,
};
use odbc_sys::{
    CDataType, FreeStmtOption, HStmt, Handle, HandleType, Len, Nullability, ParamType, Pointer,
    SQLAllocHandle, SQLBindParameter, SQLDescribeColW, SQLDescribeParam, SQLExecDirectW,
    SQLExecute, SQLFetch, SQLFreeHandle, SQLFreeStmt, SQLGetData, SQLNumResultCols, SQLPrepareW,
    SQLRowCount, SqlDataType, SqlReturn, ULen,
};

use super::connect::Connection;
use super::parameter::{LengthWord, Parameter};
use crate::arena::column::NULL_INDICATOR;
use crate::arena::{CellType, IndicatorWidth};

// odbc-sys declares it with a closed enum; the numbers of single drivers are not in it.
unsafe extern "system" {
    fn SQLSetStmtAttr(statement: HStmt, attribute: i32, value: Pointer, length: i32) -> SqlReturn;
}

const ATTR_QUERY_TIMEOUT: i32 = 0;
const ATTR_PARAM_BIND_TYPE: i32 = 18;
const ATTR_PARAM_STATUS_PTR: i32 = 20;
const ATTR_PARAMS_PROCESSED_PTR: i32 = 21;
const ATTR_PARAMSET_SIZE: i32 = 22;

/// What a status slot holds before the driver writes to it; no status of the standard.
pub(super) const STATUS_UNTOUCHED: u16 = 0x5A5A;

/// What an array execution left behind.
#[derive(Debug)]
pub(super) struct ArrayOutcome {
    /// Return code and diagnostics of the execute, or of the first call before it that failed.
    pub(super) outcome: Outcome,
    /// Parameter sets the driver says it processed; `None` when it wrote nothing.
    pub(super) processed: Option<i64>,
    /// Rows that the statement is said to have inserted; -1 is unknown.
    pub(super) row_count: i64,
    /// Every diagnostic with its row, where [`Statement::set_numbered`] asked for them and the
    /// execute did not plainly succeed.
    pub(super) numbered: Vec<NumberedDiagnostic>,
}

/// One column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DescribedColumn {
    /// Name.
    pub(super) name: String,
    /// One of [`sql_type`](super::parameter::sql_type), or a code of the driver's own.
    pub(super) code: i16,
    /// Column size.
    pub(super) size: u64,
    /// Digits after the point or the second.
    pub(super) digits: i16,
    /// Whether NULL may be there; unknown counts as yes.
    pub(super) nullable: bool,
}

fn len_ptr(word: &mut LengthWord) -> *mut Len {
    ptr::from_mut(word).cast()
}

fn ulen_ptr(word: &mut LengthWord) -> *mut ULen {
    ptr::from_mut(word).cast()
}

const fn c_type(cell: CellType) -> CDataType {
    match cell {
        CellType::I16 => CDataType::SShort,
        CellType::I32 => CDataType::SLong,
        CellType::I64 => CDataType::SBigInt,
        CellType::F32 => CDataType::Float,
        CellType::F64 => CDataType::Double,
        CellType::Text => CDataType::Char,
        CellType::Bytes => CDataType::Binary,
        CellType::Date => CDataType::TypeDate,
        CellType::Time => CDataType::TypeTime,
        CellType::Timestamp => CDataType::TypeTimestamp,
        CellType::Bit => CDataType::Bit,
    }
}

/// A statement handle.
#[derive(Debug)]
pub(super) struct Statement {
    handle: HStmt,
    statuses: Vec<u16>,
    numbered: bool,
    canceller: Arc<Canceller>,
    // Last: the handle above is freed before the connection can go.
    connection: Rc<Connection>,
}

impl Drop for Statement {
    fn drop(&mut self) {
        // Waits for a cancellation that is under way; after it there is none.
        self.canceller.disarm();
        // SAFETY: the handle was allocated by `new`, is not used again, and its connection is
        // still open, because this statement holds it.
        // A refusal leaves nothing that could be done here.
        let _ = unsafe { SQLFreeHandle(HandleType::Stmt, self.handle.as_handle()) };
    }
}

impl Statement {
    /// Allocates a handle on the connection.
    pub(super) fn new(connection: &Rc<Connection>) -> Result<Self, Outcome> {
        let mut handle = Handle::null();
        // SAFETY: the connection handle is open for as long as the `Rc` lives; the output is ours.
        let code = unsafe {
            SQLAllocHandle(HandleType::Stmt, connection.handle().as_handle(), &raw mut handle)
        };
        if code != SqlReturn::SUCCESS && code != SqlReturn::SUCCESS_WITH_INFO {
            return Err(connection_outcome(connection, code));
        }
        let handle = handle.as_hstmt();
        Ok(Self {
            canceller: Canceller::new(handle),
            handle,
            statuses: Vec::new(),
            numbered: false,
            connection: Rc::clone(connection),
        })
    }

    /// What another thread can end this statement's call with.
    pub(super) fn canceller(&self) -> Arc<Canceller> {
        Arc::clone(&self.canceller)
    }

    /// Width of the driver's words.
    pub(super) fn width(&self) -> IndicatorWidth {
        self.connection.width()
    }

    fn outcome(&self, code: SqlReturn) -> Outcome {
        let diagnostics = if code == SqlReturn::SUCCESS || code == SqlReturn::NO_DATA {
            Vec::new()
        } else {
            diagnostics::read(HandleType::Stmt, self.handle.as_handle())
        };
        Outcome { code, diagnostics }
    }

    /// Prepares a statement text.
    pub(super) fn prepare(&mut self, sql: &str) -> Outcome {
        let text: Vec<u16> = sql.encode_utf16().collect();
        let units = i32::try_from(text.len()).expect("statements are shorter than 2^31");
        // SAFETY: the handle is open; the text is read during the call only, `units` of it.
        let code = unsafe { SQLPrepareW(self.handle, text.as_ptr(), units) };
        self.outcome(code)
    }

    /// Runs a statement text without parameters.
    pub(super) fn execute_direct(&mut self, sql: &str) -> Outcome {
        let text: Vec<u16> = sql.encode_utf16().collect();
        let units = i32::try_from(text.len()).expect("statements are shorter than 2^31");
        // SAFETY: as in `prepare`; no parameter is bound outside of `execute_array`.
        let code = unsafe { SQLExecDirectW(self.handle, text.as_ptr(), units) };
        self.outcome(code)
    }

    /// Sets an attribute whose value is a number.
    pub(super) fn set_number(&mut self, attribute: i32, value: usize) -> Outcome {
        // SAFETY: the attributes used here take a number in place of the pointer.
        let code = unsafe {
            SQLSetStmtAttr(self.handle, attribute, ptr::without_provenance_mut(value), 0)
        };
        self.outcome(code)
    }

    /// Whether the driver takes an array of so many rows, and does not change the number.
    pub(super) fn takes_array(&mut self, rows: usize) -> bool {
        let taken = self.set_number(ATTR_PARAMSET_SIZE, rows).code == SqlReturn::SUCCESS;
        taken && self.set_number(ATTR_PARAMSET_SIZE, 1).is_ok()
    }

    /// Asks the driver to give up on a statement after so many seconds; 0 is never.
    pub(super) fn set_query_timeout_seconds(&mut self, seconds: usize) -> Outcome {
        self.set_number(ATTR_QUERY_TIMEOUT, seconds)
    }

    /// Whether all diagnostics of an array are to be read, with the rows that they belong to.
    pub(super) fn set_numbered(&mut self, numbered: bool) {
        self.numbered = numbered;
    }

    /// Executes the prepared statement once for each of the first `sets` rows of `parameters`,
    /// or, with no parameters, once.
    ///
    /// # Panics
    /// If a parameter has fewer rows.
    pub(super) fn execute_array(
        &mut self,
        parameters: &[Parameter<'_>],
        sets: usize,
    ) -> ArrayOutcome {
        assert!(parameters.iter().all(|parameter| parameter.rows >= sets));
        self.statuses.clear();
        self.statuses.resize(sets, STATUS_UNTOUCHED);
        let mut processed = LengthWord::FILLED;
        let outcome = if let Err(refused) = self.bind(parameters, sets, &mut processed) {
            refused
        } else {
            // SAFETY:
            // - the handle is open and prepared;
            // - each bound pointer has `sets` values and length words behind it
            //   (`Parameter::of_column`), borrowed until this call returns;
            // - the status array has `sets` slots, `processed` 8 bytes, and neither moves before
            //   `unbind`.
            let code = unsafe { SQLExecute(self.handle) };
            self.outcome(code)
        };
        let plain = [SqlReturn::SUCCESS, SqlReturn::NO_DATA].contains(&outcome.code);
        let numbered = if self.numbered && !plain {
            // A row fails with one record, now and then with two.
            diagnostics::read_numbered(self.handle, self.width(), sets.saturating_mul(2) + 1)
        } else {
            Vec::new()
        };
        // It takes the diagnostics with it.
        let row_count = self.row_count();
        self.unbind();
        let processed = processed.written_width().map(|_| processed.read(self.width()));
        ArrayOutcome { outcome, processed, row_count, numbered }
    }

    /// Rows that the last statement inserted, by the driver's words; -1 is unknown.
    pub(super) fn row_count(&mut self) -> i64 {
        let mut rows = LengthWord::ZERO;
        // SAFETY: the handle is open; the word has room for either width.
        let code = unsafe { SQLRowCount(self.handle, len_ptr(&mut rows)) };
        if code == SqlReturn::SUCCESS || code == SqlReturn::SUCCESS_WITH_INFO {
            rows.read(self.width())
        } else {
            -1
        }
    }

    /// Status slots of the last [`Self::execute_array`].
    pub(super) fn statuses(&self) -> &[u16] {
        &self.statuses
    }

    fn bind(
        &mut self,
        parameters: &[Parameter<'_>],
        sets: usize,
        processed: &mut LengthWord,
    ) -> Result<(), Outcome> {
        self.set_number(ATTR_PARAM_BIND_TYPE, 0).ok()?;
        self.set_number(ATTR_PARAMSET_SIZE, sets).ok()?;
        let statuses = self.statuses.as_mut_ptr().cast();
        let processed = ptr::from_mut(processed).cast();
        for (attribute, pointer) in
            [(ATTR_PARAM_STATUS_PTR, statuses), (ATTR_PARAMS_PROCESSED_PTR, processed)]
        {
            // SAFETY: the driver stores the pointer; `execute_array` says why it stays valid.
            let code = unsafe { SQLSetStmtAttr(self.handle, attribute, pointer, 0) };
            self.outcome(code).ok()?;
        }
        for (number, parameter) in (1u16..).zip(parameters) {
            let length = Len::try_from(parameter.stride_bytes).expect("a stride fits an address");
            // SAFETY: the driver stores the pointers and reads them in `SQLExecute` only; the
            // direction is input, so it never writes through them.
            let code = unsafe {
                SQLBindParameter(
                    self.handle,
                    number,
                    ParamType::Input,
                    c_type(parameter.cell),
                    SqlDataType(parameter.announced.code),
                    parameter.announced.size,
                    parameter.announced.digits,
                    parameter.values.cast_mut(),
                    length,
                    parameter.indicators.cast_mut().cast(),
                )
            };
            self.outcome(code).ok()?;
        }
        Ok(())
    }

    /// Takes every pointer of `bind` back from the driver.
    fn unbind(&mut self) {
        // SAFETY: the handle is open; null is the documented way to unset the two pointers.
        // Refusals are without consequence: nothing executes before `bind` sets all of them anew.
        let _ = unsafe {
            (
                SQLFreeStmt(self.handle, FreeStmtOption::ResetParams),
                SQLSetStmtAttr(self.handle, ATTR_PARAM_STATUS_PTR, ptr::null_mut(), 0),
                SQLSetStmtAttr(self.handle, ATTR_PARAMS_PROCESSED_PTR, ptr::null_mut(), 0),
                SQLSetStmtAttr(self.handle, ATTR_PARAMSET_SIZE, ptr::without_provenance_mut(1), 0),
            )
        };
    }

    /// Columns of the result of the prepared or executed statement.
    pub(super) fn describe(&mut self) -> Result<Vec<DescribedColumn>, Outcome> {
        let mut count = 0i16;
        // SAFETY: the handle is open, the output is ours.
        let code = unsafe { SQLNumResultCols(self.handle, &raw mut count) };
        self.outcome(code).ok()?;
        let count = u16::try_from(count).unwrap_or(0);
        (1..=count).map(|number| self.describe_one(number)).collect()
    }

    fn describe_one(&mut self, number: u16) -> Result<DescribedColumn, Outcome> {
        const NAME_UNITS: usize = 1024;
        let mut name = [0u16; NAME_UNITS];
        let mut name_units = 0i16;
        let mut code = SqlDataType(0);
        let mut size = LengthWord::ZERO;
        let mut digits = 0i16;
        let mut nullable = Nullability::UNKNOWN;
        // SAFETY: every output is ours and as large as announced; `size` has room for a wide word.
        let returned = unsafe {
            SQLDescribeColW(
                self.handle,
                number,
                name.as_mut_ptr(),
                1024,
                &raw mut name_units,
                &raw mut code,
                ulen_ptr(&mut size),
                &raw mut digits,
                &raw mut nullable,
            )
        };
        self.outcome(returned).ok()?;
        let units = usize::try_from(name_units).unwrap_or(0).min(NAME_UNITS - 1);
        Ok(DescribedColumn {
            name: String::from_utf16_lossy(&name[..units]),
            code: code.0,
            size: u64::try_from(size.read(self.width())).unwrap_or(0),
            digits,
            nullable: nullable != Nullability::NO_NULLS,
        })
    }

    /// Width of the words that the driver writes, asked of a prepared statement with a parameter
    /// and a result: `None` where it wrote none, or refused. The calls must agree; see `probe`.
    pub(super) fn written_widths(&mut self) -> [Option<IndicatorWidth>; 2] {
        let (mut size, mut column_size) = (LengthWord::FILLED, LengthWord::FILLED);
        let (mut code, mut digits) = (SqlDataType(0), 0i16);
        let mut nullable = Nullability::UNKNOWN;
        // SAFETY: the handle is open; all outputs are ours, and the words have room for either
        // width.
        let parameter = unsafe {
            SQLDescribeParam(
                self.handle,
                1,
                &raw mut code,
                ulen_ptr(&mut size),
                &raw mut digits,
                &raw mut nullable,
            )
        };
        let (mut name, mut name_units) = ([0u16; 8], 0i16);
        // SAFETY: as above; the name's buffer has the announced 8 units.
        let column = unsafe {
            SQLDescribeColW(
                self.handle,
                1,
                name.as_mut_ptr(),
                8,
                &raw mut name_units,
                &raw mut code,
                ulen_ptr(&mut column_size),
                &raw mut digits,
                &raw mut nullable,
            )
        };
        // A word that a refused call left behind may be the driver manager's.
        let done = |code| code == SqlReturn::SUCCESS || code == SqlReturn::SUCCESS_WITH_INFO;
        [(parameter, size), (column, column_size)]
            .map(|(code, word)| if done(code) { word.written_width() } else { None })
    }

    /// Goes to the next row of the result.
    pub(super) fn fetch(&mut self) -> Outcome {
        // SAFETY: the handle is open and no result column is bound.
        let code = unsafe { SQLFetch(self.handle) };
        self.outcome(code)
    }

    /// Text of a column (counted from 1) of the current row, or `None` for NULL.
    pub(super) fn text(&mut self, column: u16) -> Result<Option<String>, Outcome> {
        const CHUNK_UNITS: usize = 1024;
        let mut units: Vec<u16> = Vec::new();
        loop {
            let mut chunk = [0u16; CHUNK_UNITS];
            let mut word = LengthWord::ZERO;
            let room = Len::try_from(size_of_val(&chunk)).expect("a small buffer");
            // SAFETY: the buffer has `room` bytes, the word room for either width.
            let code = unsafe {
                SQLGetData(
                    self.handle,
                    column,
                    CDataType::WChar,
                    chunk.as_mut_ptr().cast(),
                    room,
                    len_ptr(&mut word),
                )
            };
            if code == SqlReturn::NO_DATA {
                break;
            }
            self.outcome(code).ok()?;
            if word.read(self.width()) == NULL_INDICATOR {
                return Ok(None);
            }
            let end = chunk.iter().position(|&unit| unit == 0);
            units.extend_from_slice(&chunk[..end.unwrap_or(CHUNK_UNITS)]);
            if code == SqlReturn::SUCCESS {
                break;
            }
        }
        Ok(Some(String::from_utf16_lossy(&units)))
    }

    /// Forgets the result that was fetched from.
    pub(super) fn close_cursor(&mut self) {
        // SAFETY: the handle is open; without a cursor the call does nothing.
        let _ = unsafe { SQLFreeStmt(self.handle, FreeStmtOption::Close) };
    }
}
