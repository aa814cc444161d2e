//! What a driver says: diagnostics after a call, and information about itself.

#![expect(unsafe_code, reason = "calls of the ODBC C interface")]

use std::ptr;

use odbc_sys::{HDbc, Handle, HandleType, Pointer, SQLGetDiagRecW, SqlReturn};

use crate::limits::DIAGNOSTICS_PER_EXECUTE;
use crate::sink::odbc::connect::Connection;

// odbc-sys declares it with a closed enum; newer information types are not in it.
unsafe extern "system" {
    fn SQLGetInfoW(
        connection: HDbc,
        info: u16,
        value: Pointer,
        buffer_bytes: i16,
        value_bytes: *mut i16,
    ) -> SqlReturn;
}

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
    let mut records = Vec::new();
    let most = i16::try_from(DIAGNOSTICS_PER_EXECUTE).expect("a small number");
    for number in 1..=most {
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
            break;
        }
        let end = message.iter().position(|&unit| unit == 0);
        let mut text = String::from_utf16_lossy(&message[..end.unwrap_or(MESSAGE_UNITS)]);
        text.truncate(text.trim_end().len());
        if usize::try_from(units).is_ok_and(|units| units >= MESSAGE_UNITS) {
            text.push('…');
        }
        records.push(Diagnostic {
            sqlstate: String::from_utf16_lossy(&state[..5]),
            native,
            message: text,
        });
    }
    records
}
