//! The engine: parser threads and writer threads around the rings, joined to one load.
//!
//! `load.rs` prepares a load, `threads.rs` runs its threads, `ending.rs` makes the report.
//! `parser.rs` and `chunk.rs` are a parser thread; `writer.rs` is a writer thread, `unit.rs` its
//! transaction, `recovery.rs` what it does when the database undid it, `desk.rs` what is left when
//! its thread is lost. Nothing here knows a database, a terminal or a signal.

mod abort;
mod arenas;
mod beginning;
mod booking;
mod chunk;
mod climb;
mod control;
mod crew;
mod desk;
mod dial;
mod duplicates;
mod ending;
mod files;
mod given_back;
mod heartbeat;
mod infer;
mod job;
mod limit;
mod load;
mod monitor;
mod notes;
mod pace;
mod parser;
mod rate;
mod recovery;
mod reject_text;
mod rejecting;
mod reread;
mod resume;
mod retry;
mod routing;
mod settling;
mod shared;
mod staged;
mod stock;
mod threads;
mod times;
pub mod topology;
mod tuned;
mod unit;
pub mod usage;
mod verdict;
mod watch;
mod writer;

pub use abort::abort_job;
pub use arenas::Shape;
pub use control::{Control, Metrics, Snapshot};
pub use files::InputFile;
pub use infer::{InferConfig, InferInput, infer};
pub use load::{Load, Outcome, TargetHandle, row_action, row_parser};
pub use monitor::{Finding, Look};
