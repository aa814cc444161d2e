//! Hostile input: what a nightly load meets that nobody asked for, by the real program. The list of
//! all cases, with where each is tested, is docs/faults.md.

#[path = "../cli/support.rs"]
#[expect(dead_code, reason = "the command line's tests ask for more of it")]
mod support;

mod aftermath;
mod case;
mod encodings;
mod endings;
mod files;
mod io_errors;
mod line_ends;
mod quotes;
mod restarts;
mod rows;
mod scarce;
mod servers;
mod structure;
mod users;
mod values;
