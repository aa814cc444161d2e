//! The least that a program can do: arrays bound once, then `SQLExecute` and nothing else.

#![expect(unsafe_code, reason = "calls of the ODBC C interface, past fastload's own layer")]

use std::ffi::c_void;
use std::ptr;

use fastload::arena::column::Indicators;
use fastload::arena::{Batch, CellType, Values};
use fastload::config::schema::{Column, SqlType};
use odbc_api::{ConnectionOptions, environment, handles};
use odbc_sys::{
    CDataType, CompletionType, HStmt, Handle, HandleType, Len, ParamType, Pointer, SQLAllocHandle,
    SQLBindParameter, SQLEndTran, SQLExecDirectW, SQLExecute, SQLFetch, SQLFreeHandle, SQLGetData,
    SQLGetDiagRecW, SQLPrepareW, SqlDataType, SqlReturn,
};

unsafe extern "system" {
    // odbc-sys declares it with a closed enum, which has no number of Db2's own.
    fn SQLSetStmtAttr(statement: HStmt, attribute: i32, value: Pointer, length: i32) -> SqlReturn;
}

const ATTR_PARAMSET_SIZE: i32 = 22;
/// Db2's `SQL_ATTR_PARAMOPT_ATOMIC`; 0 is "not atomic", as fastload sets it.
const ATTR_PARAMOPT_ATOMIC: i32 = 1260;

/// A connection with autocommit off and one statement.
pub(crate) struct Bare {
    connection: handles::Connection<'static>,
    statement: HStmt,
}

impl Bare {
    /// Connects.
    pub(crate) fn connect(text: &str) -> Self {
        let connection = environment()
            .and_then(|all| all.connect_with_connection_string(text, ConnectionOptions::default()))
            .expect("the test database takes connections");
        connection.set_autocommit(false).expect("every driver has transactions");
        let connection = connection.into_handle();
        let statement = statement_of(&connection);
        Self { connection, statement }
    }

    fn words(&self) -> String {
        let (mut state, mut text) = ([0u16; 6], [0u16; 512]);
        let (mut native, mut length) = (0, 0);
        // SAFETY: the handle is open, every output is ours and as large as announced.
        let code = unsafe {
            SQLGetDiagRecW(
                HandleType::Stmt,
                self.statement.as_handle(),
                1,
                state.as_mut_ptr(),
                &raw mut native,
                text.as_mut_ptr(),
                512,
                &raw mut length,
            )
        };
        if code != SqlReturn::SUCCESS {
            return "no diagnostic".to_owned();
        }
        let text = text.split(|&unit| unit == 0).next().unwrap_or_default();
        String::from_utf16_lossy(&state[..5]) + " " + &String::from_utf16_lossy(text)
    }

    /// Panics unless a call succeeded without a remark.
    fn expect(&self, code: SqlReturn, what: &str) {
        assert_eq!(code, SqlReturn::SUCCESS, "{what}: {}", self.words());
    }

    /// Runs a statement without a result; whether it went well.
    pub(crate) fn run(&self, sql: &str) -> bool {
        let text: Vec<u16> = sql.encode_utf16().collect();
        let units = i32::try_from(text.len()).expect("a short statement");
        // SAFETY: the handle is open, the text is read during the call, `units` of it.
        let code = unsafe { SQLExecDirectW(self.statement, text.as_ptr(), units) };
        self.commit();
        code == SqlReturn::SUCCESS
    }

    /// The first cell of a query's first row.
    pub(crate) fn scalar(&self, sql: &str) -> String {
        let reader = statement_of(&self.connection);
        let text: Vec<u16> = sql.encode_utf16().collect();
        let units = i32::try_from(text.len()).expect("a short statement");
        let mut cell = [0u8; 256];
        // Zeroed and 8 bytes: the driver may write 4 of them.
        let mut length: Len = 0;
        // SAFETY: the handle is open and its own; text, cell and length outlive the calls and are
        // as large as announced.
        let codes = unsafe {
            [
                SQLExecDirectW(reader, text.as_ptr(), units),
                SQLFetch(reader),
                SQLGetData(
                    reader,
                    1,
                    CDataType::Char,
                    cell.as_mut_ptr().cast(),
                    256,
                    &raw mut length,
                ),
                SQLFreeHandle(HandleType::Stmt, reader.as_handle()),
            ]
        };
        // A sum that has left NULLs out is a success with a remark (01003).
        let went_well = |&code| code == SqlReturn::SUCCESS || code == SqlReturn::SUCCESS_WITH_INFO;
        assert!(codes.iter().all(went_well), "{sql}: {codes:?}");
        self.commit();
        let end = cell.iter().position(|&byte| byte == 0).expect("the driver ends a text");
        String::from_utf8(cell[..end].to_vec()).expect("a number")
    }

    /// Ends the transaction.
    pub(crate) fn commit(&self) {
        // SAFETY: the connection is open.
        let code = unsafe {
            SQLEndTran(
                HandleType::Dbc,
                self.connection.as_sys().as_handle(),
                CompletionType::Commit,
            )
        };
        assert_eq!(code, SqlReturn::SUCCESS, "commit");
    }

    /// Prepares the statement and binds the arena's rows to it, once.
    pub(crate) fn bind<'s, 'b>(
        &'s mut self,
        sql: &str,
        columns: &[Column],
        batch: &'b Batch,
    ) -> Bound<'s, 'b> {
        let text: Vec<u16> = sql.encode_utf16().collect();
        let units = i32::try_from(text.len()).expect("a short statement");
        // SAFETY: the handle is open, the text is read during the call, `units` of it.
        let code = unsafe { SQLPrepareW(self.statement, text.as_ptr(), units) };
        self.expect(code, "prepare");
        for (attribute, value) in [(ATTR_PARAMSET_SIZE, batch.rows()), (ATTR_PARAMOPT_ATOMIC, 0)] {
            // SAFETY: both attributes take a number in place of the pointer.
            let code = unsafe {
                SQLSetStmtAttr(self.statement, attribute, ptr::without_provenance_mut(value), 0)
            };
            self.expect(code, "attribute");
        }
        for (number, (buffer, column)) in (1u16..).zip(batch.columns.iter().zip(columns)) {
            let (code, size, digits) = announced(column.ty, buffer.stride());
            // SAFETY: values and indicators are those of `batch.rows()` rows, borrowed by the
            // `Bound` that is returned, and read only, as the direction says.
            let code = unsafe {
                SQLBindParameter(
                    self.statement,
                    number,
                    ParamType::Input,
                    c_type(buffer.cell_type()),
                    SqlDataType(code),
                    size,
                    digits,
                    first_value(&buffer.values).cast_mut(),
                    Len::try_from(buffer.stride()).expect("a short cell"),
                    first_indicator(&buffer.indicators).cast_mut(),
                )
            };
            self.expect(code, "bind");
        }
        Bound { bare: self, _rows: batch }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // SAFETY: the handle is open, belongs to this connection, and is not used again.
        let _ = unsafe { SQLFreeHandle(HandleType::Stmt, self.statement.as_handle()) };
        // An open handle that is freed while it is connected makes odbc-api panic.
        let _ = self.connection.rollback();
        let _ = self.connection.disconnect();
    }
}

/// Bound rows. They stay borrowed for as long as the driver knows where they stand.
pub(crate) struct Bound<'s, 'b> {
    bare: &'s mut Bare,
    _rows: &'b Batch,
}

impl Bound<'_, '_> {
    /// Sends the rows so many times.
    pub(crate) fn execute(&self, times: usize) {
        for _ in 0..times {
            // SAFETY: the handle is open and prepared; what is bound is borrowed by `self`.
            let code = unsafe { SQLExecute(self.bare.statement) };
            self.bare.expect(code, "execute");
        }
    }

    /// Ends the transaction.
    pub(crate) fn commit(&self) {
        self.bare.commit();
    }
}

fn statement_of(connection: &handles::Connection<'static>) -> HStmt {
    let mut handle = Handle::null();
    // SAFETY: the connection is open, the output is ours.
    let code = unsafe {
        SQLAllocHandle(HandleType::Stmt, connection.as_sys().as_handle(), &raw mut handle)
    };
    assert_eq!(code, SqlReturn::SUCCESS, "a statement handle");
    handle.as_hstmt()
}

fn first_value(values: &Values) -> *const c_void {
    match values {
        Values::I16(v) => v.as_ptr().cast(),
        Values::I32(v) => v.as_ptr().cast(),
        Values::I64(v) => v.as_ptr().cast(),
        Values::F32(v) => v.as_ptr().cast(),
        Values::F64(v) => v.as_ptr().cast(),
        Values::Bytes { data, .. } => data.as_ptr().cast(),
        Values::Date(v) => v.as_ptr().cast(),
        Values::Time(v) => v.as_ptr().cast(),
        Values::Timestamp(v) => v.as_ptr().cast(),
        Values::Bit(v) => v.as_ptr().cast(),
    }
}

/// The words stand in the width that the driver reads, whatever `Len` is here.
fn first_indicator(indicators: &Indicators) -> *const Len {
    match indicators {
        Indicators::Narrow(words) => words.as_ptr().cast(),
        Indicators::Wide(words) => words.as_ptr().cast(),
    }
}

fn c_type(cell: CellType) -> CDataType {
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

/// SQL type, size and digits of a parameter, for the types of the sample.
fn announced(ty: SqlType, stride: usize) -> (i16, usize, i16) {
    match ty {
        SqlType::SmallInt => (5, 5, 0),
        SqlType::BigInt => (-5, 19, 0),
        SqlType::Decimal { precision, scale } => (3, usize::from(precision), i16::from(scale)),
        SqlType::Double => (8, 15, 0),
        SqlType::Char(_) => (1, stride, 0),
        SqlType::VarChar(_) => (12, stride, 0),
        SqlType::Date => (91, 10, 0),
        SqlType::Timestamp { precision } => (93, 20 + usize::from(precision), i16::from(precision)),
        other => panic!("no column of the sample is {other:?}"),
    }
}
