//! Records to rows: scanning, fields, typed conversion into arenas. No I/O, no threads, no
//! database.

pub mod convert;
mod field_writer;
pub mod fields;
mod general_walk;
mod index;
mod indexed_walk;
pub mod oracle;
pub mod record_reader;
pub mod rows;
pub mod scan;
pub mod simd;
