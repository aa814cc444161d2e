//! Records to rows: scanning, fields, typed conversion into arenas. No I/O, no threads, no database.

pub mod convert;
pub mod fields;
