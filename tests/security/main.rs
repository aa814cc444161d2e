//! What the program promises about secrets, connection strings, encryption, files that it writes,
//! and terminals (SECURITY.md), held against the real program, real drivers and real servers.

#![expect(clippy::unwrap_used, reason = "a test that unwraps what is not there has failed")]

#[path = "../cli/support.rs"]
#[expect(dead_code, reason = "the command line's tests ask for more of it")]
mod support;

mod core_dumps;
mod encryption;
mod files;
mod keywords;
mod logins;
mod proxy;
mod secrets;
mod terminal;
