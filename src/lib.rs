//! Bulk loading of delimited files into databases: many threads, one result.
//!
//! Every record of a file ends in exactly one place: as a row of the table, unchanged to the last
//! digit, or in the reject file, with its original bytes and a reason. The result does not depend
//! on the number of threads or on where the file was cut.
//!
//! # Where to start
//!
//! - To load a file, run the program: `fastload FILE --table T`. It is [`cli::run`].
//! - To load from a program of your own, build a [`config::LoadConfig`], open the inputs
//!   ([`engine::InputFile`]) and a [`sink::Target`], and run an [`engine::Load`], as below.
//! - To load somewhere else, implement [`sink::Target`] and [`sink::Sink`].
//! - To know what a file may look like, read [`parse::oracle`] (records) and [`parse::convert`]
//!   (values): the specification, slow and obvious, beside the fast code that is held to it.
//! - To change something, read ARCHITECTURE.md first.
//!
//! # What the library does not do
//!
//! Outside of [`cli`] it prints nothing, never ends the process, and installs no signal handler,
//! no allocator and no logger; it emits events for `tracing`. A regular file may be mapped
//! into memory, as [`config::IoWay`] says: if another process cuts the file short meanwhile, the
//! system ends this one with SIGBUS. A program that calls [`input::guard::install`] first gets an
//! error of the load instead; for others there is [`config::IoWay::Read`].
//!
//! # A whole program
//!
//! Three records into a SQLite database; the second is no date and lands in the reject file.
//!
//! ```
//! use std::sync::Arc;
//!
//! use fastload::config::dialect::Dialect;
//! use fastload::config::schema_text::parse_schema;
//! use fastload::config::work::{Surroundings, WorkOptions};
//! use fastload::config::{
//!     DateFormats, Duplicates, FieldSource, InputSpec, LoadColumn, LoadConfig, Mode, RejectLimit,
//!     TableCare,
//! };
//! use fastload::dialect::header::read_preamble;
//! use fastload::engine::{Control, InputFile, Load, TargetHandle};
//! use fastload::limits::{BLOCK_BYTES, SNIFF_BYTES};
//! use fastload::sink::Target;
//! use fastload::sink::sqlite::SqliteTarget;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path();
//! let path = directory.join("accounts.csv");
//! std::fs::write(
//!     &path,
//!     "id,balance,opened\n1,10.50,2024-02-29\n2,0.00,2023-02-29\n3,-7.25,2025-01-01\n",
//! )?;
//! let columns = parse_schema("id BIGINT NOT NULL, balance DECIMAL(15,2), opened DATE")?;
//!
//! // The table is there before the load.
//! let target = SqliteTarget::open(directory.join("bank.db"))?;
//! target.create_table("accounts", &columns)?;
//!
//! // Comma, double quotes, a header. The load begins behind the header.
//! let dialect = Dialect::default();
//! let work = WorkOptions::default().settle(&Surroundings::of_machine(1))?.work;
//! let spec = InputSpec::Path(path.clone());
//! let mut input = InputFile::open(&spec, work.io, BLOCK_BYTES, work.read_ahead)?;
//! let head = input.head(SNIFF_BYTES)?;
//! let preamble = read_preamble(&path, &dialect, &head, head.len() < SNIFF_BYTES)?;
//! input.body_offset = preamble.end as u64;
//! input.body_lines = preamble.lines;
//!
//! // Field n fills column n.
//! let load_column = |(field, column)| LoadColumn {
//!     column,
//!     source: FieldSource::Field(field),
//!     empty_as_null: false,
//! };
//! let load = Load {
//!     config: LoadConfig {
//!         inputs: vec![spec],
//!         table: "accounts".to_owned(),
//!         dialect,
//!         field_count: columns.len(),
//!         columns: columns.into_iter().enumerate().map(load_column).collect(),
//!         formats: DateFormats::default(),
//!         work,
//!         mode: Mode::Append,
//!         key: Vec::new(),
//!         duplicates: Duplicates::Error,
//!         staging: None,
//!         before: Vec::new(),
//!         after: Vec::new(),
//!         care: TableCare::default(),
//!         ledger: None,
//!         max_errors: RejectLimit::Count(10),
//!         rejects: vec![directory.join("accounts.rejects")],
//!         limit: None,
//!         offset_records: 0,
//!         allow_empty: false,
//!     },
//!     inputs: vec![input],
//!     target: TargetHandle(Arc::new(target)),
//!     control: Control::new(),
//! };
//! let outcome = load.run();
//!
//! assert!(outcome.error.is_none());
//! assert_eq!(outcome.report.totals.records_read, 3);
//! assert_eq!(outcome.report.totals.rows_loaded, 2);
//! let rejected = std::fs::read_to_string(directory.join("accounts.rejects"))?;
//! assert_eq!(rejected, "2,0.00,2023-02-29\n");
//! # Ok(())
//! # }
//! ```

pub mod arena;
pub mod cli;
pub mod codes;
pub mod config;
pub mod dialect;
pub mod engine;
pub mod error;
mod failpoint;
pub mod generate;
pub mod infer;
pub mod input;
pub mod ledger;
pub mod limits;
pub mod parse;
pub mod record;
pub mod rejects;
pub mod report;
pub mod ring;
pub mod sink;
pub mod split;
pub mod staging;
