//! The engine under faults: a target that fails, refuses, sleeps or panics, inputs that pause,
//! change or hold monstrous records, and every number at its bound. Whatever happens, each record
//! is a row once, a reject once, or counted as rolled back, and the load ends.

#![expect(clippy::unwrap_used, reason = "a test that unwraps what is not there has failed")]
#![expect(unreachable_pub, reason = "the modules of one test program share what is pub")]

#[path = "../common/mod.rs"]
mod common;

mod beginning;
mod bounds;
mod inputs;
mod limits;
mod liveness;
mod lost;
mod rate;
mod rejects;
mod resources;
mod retry;
mod routing;
mod staged;
mod stop;
mod support;
mod tuning;
mod tuning_resume;
mod tuning_writers;
mod verdict;
