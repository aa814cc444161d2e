//! The sniffer: any bytes get a dialect that is valid, or an error; the same ones every time; and
//! the records that it bases its answer on lie in the head, one behind the other.

#![no_main]

use std::path::Path;

use fastload::config::dialect_options::DialectOptions;
use fastload::dialect::head::HeadReader;
use fastload::dialect::sniff::{Sniffed, field_count, find_dialect};
use fastload::limits::SNIFF_BYTES;
use libfuzzer_sys::fuzz_target;

fn sniff(head: &[u8], complete: bool) -> Result<Sniffed, String> {
    let path = Path::new("input");
    let options = DialectOptions::default();
    find_dialect(path, head, complete, &options, &["id", "amount"])
        .map_err(|error| error.to_string())
}

fn check(head: &[u8], complete: bool, sniffed: &Sniffed) {
    sniffed.dialect.validate().expect("a dialect that was found is valid");
    assert!(!sniffed.flags.is_empty(), "the answer can be pasted");

    let body = &head[sniffed.body_offset..];
    let mut end = 0;
    for record in HeadReader::new(&sniffed.dialect, body, complete) {
        assert!(
            end <= record.start && record.start < record.end && record.end <= body.len(),
            "{record:?} follows a record that ends at {end}"
        );
        end = record.end;
    }
    if let Some(fields) = field_count(&sniffed.dialect, body, complete) {
        assert!(fields > 0, "a record has at least one field");
    }
}

fuzz_target!(|data: &[u8]| {
    let head = &data[..data.len().min(SNIFF_BYTES)];
    for complete in [true, false] {
        let found = sniff(head, complete);
        assert_eq!(found, sniff(head, complete), "the same question twice");
        if let Ok(sniffed) = found {
            check(head, complete, &sniffed);
        }
    }
});
