//! Db2 through IBM's own driver, against the rig of `scripts/databases`: Derby behind a shim that
//! breaks connections at chosen moments. docs/testing.md says what that shows and what it does not.

#![expect(clippy::unwrap_used, reason = "a test that unwraps what is not there has failed")]

mod bad_rows;
mod driver;
mod faults;
mod load;
mod support;
mod target;
mod values;
