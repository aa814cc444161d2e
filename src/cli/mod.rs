//! The command line: the only place that prints, asks, or ends the process.

pub mod args;
pub mod bad_record;
mod completions;
mod config;
pub mod exit;
mod r#gen;
mod logging;
mod messages;
mod progress;

mod render;
