//! The ODBC sink against real PostgreSQL and MariaDB servers, and COPY against PostgreSQL: one body
//! a case, run for all.

#![expect(clippy::unwrap_used, reason = "a test that unwraps what is not there has failed")]

#[path = "../common/mod.rs"]
mod common;

mod bad_rows;
mod catalog;
mod connections;
#[cfg(feature = "postgresql-copy")]
mod copy;
mod support;
mod timeouts;
mod tuned;
mod values;

use bad_rows::*;
use catalog::*;
use connections::*;
use fastload::sink::odbc::ProfileName;
use support::Server;
use timeouts::*;
use tuned::*;
use values::*;

macro_rules! for_all {
    ($($case:ident),* $(,)?) => {
        #[cfg(feature = "postgresql-copy")]
        mod postgresql_copy {
            use super::*;
            $(#[test] fn $case() { super::$case(&Server::by_copy()); })*
        }
        mod postgresql {
            use super::*;
            $(#[test] fn $case() { super::$case(&Server::get(ProfileName::Postgresql)); })*
        }
        mod mariadb {
            use super::*;
            $(#[test] fn $case() { super::$case(&Server::get(ProfileName::Mariadb)); })*
        }
    };
}

for_all!(
    types_come_back,
    facts_are_probed,
    one_bad_row,
    bad_rows_of_every_kind,
    several_bad_rows,
    every_row_bad,
    equal_keys_inside_a_batch,
    statements_between_bad_rows,
    hostile_names,
    names_in_any_script,
    one_megabyte_values,
    twenty_wide_columns,
    transactions,
    a_failed_transaction_cannot_commit,
    a_killed_connection,
    a_lock_that_is_held,
    a_statement_that_the_server_ends,
    a_statement_that_only_we_end,
    a_commit_that_the_server_refuses,
    refused_connections,
    passwords_with_special_characters,
    too_many_columns,
    missing_table,
    catalog_describes_what_was_created,
    own_types,
    deferred_constraints,
    a_row_larger_than_a_request,
    generic_profile,
    session_statements,
    writers_that_come_and_go,
);
