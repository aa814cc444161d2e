//! The grammar of the files: presets, sniffing, header, mapping of fields to columns. No I/O.

pub mod head;
pub mod header;
pub mod mapping;
pub mod presets;
pub mod sniff;
