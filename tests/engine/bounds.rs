//! Every number at its bound: memory, arenas, units, strides, tiny chunks.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastload::arena::{Batch, Values};
use fastload::config::dialect::Dialect;
use fastload::sink::memory::{CellValue, Faults, MemoryTarget};

use crate::common::{config, text};
use crate::support::{Call, Hooked, check_all, check_report, given, lines, load, small};

/// Bytes that the value arrays of a batch really take.
fn arena_bytes(batch: &Batch) -> usize {
    let bytes = |values: &Values| match values {
        Values::Bytes { data, .. } => data.capacity(),
        other => panic!("text columns only, not {other:?}"),
    };
    batch.columns.iter().map(|column| bytes(&column.values)).sum()
}

#[test]
fn units_larger_than_memory_are_committed_early() {
    for (parsers, writers) in [(1, 1), (1, 4), (4, 1), (5, 3)] {
        let file = given(&lines(5_000, &[9, 4_000]));
        let arenas = Arc::new(Mutex::new(HashSet::new()));
        let target = {
            let arenas = Arc::clone(&arenas);
            Arc::new(Hooked::new(move |call| {
                if let Call::Write(batch) = call {
                    let Values::Bytes { data, .. } = &batch.columns[0].values else {
                        panic!("a text column");
                    };
                    arenas.lock().unwrap().insert(data.as_ptr() as usize);
                }
                Ok(())
            }))
        };
        let mut config = small(&file.path);
        config.work.parsers = parsers;
        config.work.writers = writers;
        config.work.ring_batches = 1;
        config.work.chunk_bytes = 700;
        config.work.commit_rows = 10_000_000;
        // Not even one arena: three for each parser all the same.
        config.work.memory_limit = 1;
        let outcome = load(config, Arc::clone(&target) as _);
        check_all(&outcome, &target.table, &file.path, 5_000, &[9, 4_000], &[]);
        assert!(target.table.commits() > 10, "{}", target.table.commits());
        let arenas = arenas.lock().unwrap().len();
        assert!(arenas <= 3 * parsers, "{arenas} arenas for {parsers} parsers");
    }
}

#[test]
fn a_slow_sink_holds_the_parsers_back() {
    let file = given(&lines(3_000, &[]));
    let target = Arc::new(
        MemoryTarget::new(None)
            .with_faults(Faults { write_time: Duration::from_millis(2), ..Faults::default() }),
    );
    let mut config = small(&file.path);
    config.work.parsers = 3;
    config.work.writers = 2;
    config.work.chunk_bytes = 200;
    let outcome = load(config, Arc::clone(&target) as _);
    check_all(&outcome, &target, &file.path, 3_000, &[], &[]);
    let high_water = outcome.report.stages.ring.high_water;
    assert!(high_water <= 3 * 2 * 2, "{high_water}");
}

#[test]
fn texts_that_grow_stay_under_the_memory_limit() {
    // Short at first, so that many arenas seem to be affordable; then as long as they may be.
    let mut bytes = String::new();
    for record in 0..6_000 {
        let length = if record < 1_000 { 5 } else { 3_900 };
        bytes.push_str(&format!("{record},{}\n", "t".repeat(length)));
    }
    let file = given(bytes.as_bytes());
    let open_unit = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let target = {
        let (open_unit, most) = (Arc::clone(&open_unit), Arc::clone(&most));
        Arc::new(Hooked::new(move |call| {
            match call {
                Call::Write(batch) => {
                    let held = open_unit.fetch_add(arena_bytes(batch), Ordering::Relaxed)
                        + arena_bytes(batch);
                    most.fetch_max(held, Ordering::Relaxed);
                }
                _ => open_unit.store(0, Ordering::Relaxed),
            }
            Ok(())
        }))
    };
    let columns = [text("a", 10), text("b", 4_000)];
    let mut config = config(&[&file.path], &columns, Dialect::default());
    config.work.batch_rows = 500;
    config.work.commit_rows = 1_000_000;
    config.work.memory_limit = 8 << 20;
    config.work.batch_bytes = 1 << 20;
    let outcome = load(config, Arc::clone(&target) as _);
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    assert_eq!(check_report(&outcome).rows_loaded, 6_000);
    let most = most.load(Ordering::Relaxed);
    assert!(most <= 8 << 20, "{most} bytes in one unit");
}

#[test]
fn twenty_wide_columns_stay_under_the_bytes_of_a_batch() {
    let mut bytes = String::new();
    for record in 0..2_000_usize {
        let row: Vec<String> = (0..20)
            .map(|column| "w".repeat(if record % 50 == column { 4_000 } else { 3 }))
            .collect();
        bytes.push_str(&row.join(","));
        bytes.push('\n');
    }
    let file = given(bytes.as_bytes());
    let largest = Arc::new(AtomicUsize::new(0));
    let target = {
        let largest = Arc::clone(&largest);
        Arc::new(Hooked::new(move |call| {
            if let Call::Write(batch) = call {
                largest.fetch_max(arena_bytes(batch), Ordering::Relaxed);
            }
            Ok(())
        }))
    };
    let columns: Vec<_> = (0..20).map(|n| text(&format!("c{n}"), 4_000)).collect();
    let mut config = config(&[&file.path], &columns, Dialect::default());
    config.work.batch_rows = 5_000;
    config.work.batch_bytes = 4 << 20;
    let outcome = load(config, Arc::clone(&target) as _);
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    assert_eq!(check_report(&outcome).rows_loaded, 2_000);
    let largest = largest.load(Ordering::Relaxed);
    assert!(largest <= 8 << 20, "{largest} bytes in an arena of 4 MiB");
}

#[test]
fn a_value_longer_than_the_stride_anywhere_in_a_block() {
    // Blocks are 128 records, batches 300.
    for at in [1, 2, 127, 128, 129, 255, 256, 299, 300, 301, 600, 900] {
        for length in [33, 64, 5_000, 1 << 20] {
            let mut bytes = lines(900, &[at + 1]);
            let long = format!("{at},{}\n", "l".repeat(length));
            let plain = format!("\n{at},v{at}\n");
            let mut content = b"\n".to_vec();
            content.append(&mut bytes);
            let start = content
                .windows(plain.len())
                .position(|window| window == plain.as_bytes())
                .expect("record `at` is good");
            content.splice(start + 1..start + plain.len(), long.into_bytes());
            let file = given(&content);
            let columns = [text("a", 10), text("b", 8 << 20)];
            let mut config = config(&[&file.path], &columns, Dialect::default());
            config.work.batch_rows = 300;
            config.work.parsers = 2;
            config.work.chunk_bytes = 3_000;
            let target = Arc::new(MemoryTarget::new(None));
            let outcome = load(config, Arc::clone(&target) as _);
            assert!(outcome.error.is_none(), "{:?}", outcome.error);
            let counts = check_report(&outcome);
            let rejected = u64::from(at < 900);
            assert_eq!(counts.rows_rejected, rejected);
            assert_eq!(counts.rows_loaded, 900 - rejected);
            for row in target.rows() {
                let record = row.position.record;
                let value = if record == at { "l".repeat(length) } else { format!("v{record}") };
                let expected = [record.to_string(), value].map(|v| CellValue::Text(v.into_bytes()));
                assert!(row.cells == expected, "record {record}");
            }
        }
    }
}

#[test]
fn tiny_chunks_leave_no_more_than_the_records_need() {
    let file = given(&lines(3_000, &[5, 6, 7]));
    let target = Arc::new(Hooked::new(|call| {
        if let Call::Write(batch) = call {
            let (segments, records) = (batch.segments.len() as u64, batch.records());
            assert!(segments <= records + 1, "{segments} segments, {records} records");
        }
        Ok(())
    }));
    let mut config = small(&file.path);
    config.work.batch_rows = 2_000;
    config.work.commit_rows = 2_000;
    config.work.chunk_bytes = 1;
    config.work.parsers = 2;
    let outcome = load(config, Arc::clone(&target) as _);
    check_all(&outcome, &target.table, &file.path, 3_000, &[5, 6, 7], &[]);
}

#[test]
fn no_unit_is_larger_than_asked() {
    let file = given(&lines(500, &[5]));
    for (commit_rows, batch_rows) in [(25, 10), (7, 100), (1, 3), (30, 30)] {
        let rows = Arc::new(AtomicUsize::new(0));
        let target = {
            let rows = Arc::clone(&rows);
            Arc::new(Hooked::new(move |call| {
                match call {
                    Call::Write(batch) => {
                        let rows = rows.fetch_add(batch.rows(), Ordering::Relaxed) + batch.rows();
                        assert!(rows as u64 <= commit_rows, "{rows} rows in a unit");
                    }
                    _ => rows.store(0, Ordering::Relaxed),
                }
                Ok(())
            }))
        };
        let mut config = small(&file.path);
        config.work.batch_rows = batch_rows;
        config.work.commit_rows = commit_rows;
        let outcome = load(config, Arc::clone(&target) as _);
        check_all(&outcome, &target.table, &file.path, 500, &[5], &[]);
    }
}
