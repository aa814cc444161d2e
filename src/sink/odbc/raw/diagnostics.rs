//! What a driver says: diagnostics after a call, and information about itself.

#![expect(unsafe_code, reason = "calls of the ODBC C interface")]

use std::ptr;

use odbc_sys::{HDbc, HStmt, Handle, HandleType, Pointer, SQLGetDiagRecW, SqlReturn};

use crate::arena::IndicatorWidth;
use crate::limits::DIAGNOSTICS_PER_EXECUTE;
use crate::sink::odbc::connect::Connection;
use crate::sink::odbc::parameter::LengthWord;

// odbc-sys declares it with a closed enum; newer information types are not in it.
unsafe extern "system" {
    fn SQLGetInfoW(
        connection: HDbc,
        info: u16,
        value: Pointer,
        buffer_bytes: i16,
        value_bytes: *mut i16,
    ) -> SqlReturn;
    fn SQLGetDiagFieldW(
        kind: i16,
        handle: Handle,
        record: i16,
        field: i16,
        value: Pointer,
        buffer_bytes: i16,
        value_bytes: *mut i16,
    ) -> SqlReturn;
}

/// `SQL_HANDLE_STMT`.
const HANDLE_STATEMENT: i16 = 3;

/// `SQL_DIAG_ROW_NUMBER`: counted from 1; -1 is no row, -2 an unknown one.
const DIAG_ROW_NUMBER: i16 = -1248;

/// Longest diagnostic text that is kept, in UTF-16 units.
const MESSAGE_UNITS: usize = 2048;

/// One diagnostic record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sink::odbc) struct Diagnostic {
    /// Five characters.
    pub(in crate::sink::odbc) sqlstate: String,
    /// Code of the database or driver.
    pub(in crate::sink::odbc) native: i32,
    /// Text.
    pub(in crate::sink::odbc) message: String,
}

/// A record of an array's execution, with the row that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sink::odbc) struct NumberedDiagnostic {
    /// Index of the row in the array, from 0; `None` where the driver names none.
    pub(in crate::sink::odbc) row: Option<usize>,
    /// The record.
    pub(in crate::sink::odbc) diagnostic: Diagnostic,
}

/// Return code of an ODBC call, with the diagnostics read before anything else touched the handle.
#[derive(Debug)]
pub(in crate::sink::odbc) struct Outcome {
    /// The raw return code.
    pub(in crate::sink::odbc) code: SqlReturn,
    /// At most [`DIAGNOSTICS_PER_EXECUTE`] records; empty after plain success.
    pub(in crate::sink::odbc) diagnostics: Vec<Diagnostic>,
}

impl Outcome {
    /// Plain success.
    #[cfg(test)]
    pub(in crate::sink::odbc) fn success() -> Self {
        Self { code: SqlReturn::SUCCESS, diagnostics: Vec::new() }
    }

    /// Whether the call did what it was asked to, perhaps with something to say about it.
    pub(in crate::sink::odbc) fn is_ok(&self) -> bool {
        [SqlReturn::SUCCESS, SqlReturn::SUCCESS_WITH_INFO, SqlReturn::NO_DATA].contains(&self.code)
    }

    /// Whether there is nothing (more) to fetch.
    pub(in crate::sink::odbc) fn is_no_data(&self) -> bool {
        self.code == SqlReturn::NO_DATA
    }

    /// `Ok` when the call did what it was asked to.
    pub(in crate::sink::odbc) fn ok(self) -> Result<(), Self> {
        if self.is_ok() { Ok(()) } else { Err(self) }
    }
}

/// Outcome of a call on the connection itself.
pub(in crate::sink::odbc) fn connection_outcome(
    connection: &Connection,
    code: SqlReturn,
) -> Outcome {
    Outcome { code, diagnostics: read(HandleType::Dbc, connection.handle().as_handle()) }
}

/// A text that the driver says about itself (`SQLGetInfo`).
pub(in crate::sink::odbc) fn info_text(connection: &Connection, info: u16) -> Option<String> {
    let mut units = [0u16; 512];
    let mut bytes = 0i16;
    // SAFETY: the connection is open; the buffer has the announced 1,024 bytes.
    let code = unsafe {
        SQLGetInfoW(connection.handle(), info, units.as_mut_ptr().cast(), 1024, &raw mut bytes)
    };
    if code != SqlReturn::SUCCESS && code != SqlReturn::SUCCESS_WITH_INFO {
        return None;
    }
    let end = units.iter().position(|&unit| unit == 0).unwrap_or(512);
    Some(String::from_utf16_lossy(&units[..end]))
}

/// A number that the driver says about itself; the word is zeroed, because the numbers of
/// `SQLGetInfo` have two or four bytes.
pub(in crate::sink::odbc) fn info_number(connection: &Connection, info: u16) -> Option<u32> {
    let mut number = 0u32;
    let mut bytes = 0i16;
    // SAFETY: the connection is open; the output has four bytes, the most such a number has.
    let code = unsafe {
        SQLGetInfoW(connection.handle(), info, ptr::from_mut(&mut number).cast(), 4, &raw mut bytes)
    };
    (code == SqlReturn::SUCCESS || code == SqlReturn::SUCCESS_WITH_INFO).then_some(number)
}

/// At most [`DIAGNOSTICS_PER_EXECUTE`] records of a handle; read before any other call on it.
pub(super) fn read(kind: HandleType, handle: Handle) -> Vec<Diagnostic> {
    let most = i16::try_from(DIAGNOSTICS_PER_EXECUTE).expect("a small number");
    (1..=most).map_while(|number| record(kind, handle, number)).collect()
}

/// At most `most` records of a statement with the rows of the array that they are about; read
/// before any other call on it.
pub(super) fn read_numbered(
    statement: HStmt,
    width: IndicatorWidth,
    most: usize,
) -> Vec<NumberedDiagnostic> {
    // Records are numbered in 16 bits.
    let most = i16::try_from(most).unwrap_or(i16::MAX);
    let handle = statement.as_handle();
    let numbered = |number| {
        let diagnostic = record(HandleType::Stmt, handle, number)?;
        let mut row = LengthWord::ZERO;
        // SAFETY: the handle is open; the field is a length word, and ours has room for either
        // width.
        let code = unsafe {
            SQLGetDiagFieldW(
                HANDLE_STATEMENT,
                handle,
                number,
                DIAG_ROW_NUMBER,
                ptr::from_mut(&mut row).cast(),
                0,
                ptr::null_mut(),
            )
        };
        let known = code == SqlReturn::SUCCESS || code == SqlReturn::SUCCESS_WITH_INFO;
        let row = usize::try_from(row.read(width)).ok().filter(|_| known);
        Some(NumberedDiagnostic { row: row.and_then(|row| row.checked_sub(1)), diagnostic })
    };
    (1..=most).map_while(numbered).collect()
}

/// One record of a handle, counted from 1.
fn record(kind: HandleType, handle: Handle, number: i16) -> Option<Diagnostic> {
    let mut state = [0u16; 6];
    let mut native = 0i32;
    let mut message = [0u16; MESSAGE_UNITS];
    let mut units = 0i16;
    // SAFETY: the handle is open; every buffer is ours and as large as announced.
    let code = unsafe {
        SQLGetDiagRecW(
            kind,
            handle,
            number,
            state.as_mut_ptr(),
            &raw mut native,
            message.as_mut_ptr(),
            2048,
            &raw mut units,
        )
    };
    if code != SqlReturn::SUCCESS && code != SqlReturn::SUCCESS_WITH_INFO {
        return None;
    }
    let end = message.iter().position(|&unit| unit == 0);
    let mut text = String::from_utf16_lossy(&message[..end.unwrap_or(MESSAGE_UNITS)]);
    text.truncate(text.trim_end().len());
    if usize::try_from(units).is_ok_and(|units| units >= MESSAGE_UNITS) {
        text.push('…');
    }
    Some(Diagnostic { sqlstate: String::from_utf16_lossy(&state[..5]), native, message: text })
}
