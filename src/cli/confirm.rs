//! Questions to the user.

use std::io::{self, BufRead, IsTerminal, Write};

use super::bad_record::escape;
use crate::error::{Error, Result};

/// Asks on the terminal; without one the answer is no.
///
/// # Errors
/// The terminal cannot be read.
pub(super) fn agrees(question: &str) -> Result<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(false);
    }
    let question = escape(question.as_bytes());
    let asked = write!(io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    let read = asked.and_then(|()| io::stdin().lock().read_line(&mut answer));
    read.map_err(|source| Error::io("asking for a yes", source))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
