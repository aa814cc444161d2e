//! The engine under faults: a target that fails, refuses, sleeps or panics, inputs that pause,
//! change or hold monstrous records, and every number at its bound. Whatever happens, each record
//! is a row once, a reject once, or counted as rolled back, and the load ends.

#[path = "../common/mod.rs"]
mod common;

mod inputs;
mod limits;
mod rejects;
mod retry;
mod stop;
mod support;
