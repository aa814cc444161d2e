//! `--mode upsert` and `--mode delete` without a staging table, by the real program against real
//! databases: what is in the table afterwards is what a map says that takes one record after the
//! other, whatever the number of writers and the size of batches.

#![expect(clippy::unwrap_used, reason = "a test that unwraps what is not there has failed")]

#[path = "../cli/support.rs"]
#[expect(dead_code, reason = "the command line's tests ask for more of it")]
mod support;

mod database;
mod keys;
mod order;
mod session;
mod statements;
