//! `--limit`, `--offset-records`, several files and whole files to a parser.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastload::config::dialect::Dialect;
use fastload::config::{InputMode, IoWay};
use fastload::report::Status;
use fastload::sink::memory::MemoryTarget;

use crate::common::{config, reject_path};
use crate::support::{
    check_report, described_records, fifo, given, lines, load, loaded_records, small, two_columns,
};

fn remove_rejects(path: &Path) {
    let mut described = reject_path(path).into_os_string();
    described.push(".jsonl");
    drop(std::fs::remove_file(described));
    drop(std::fs::remove_file(reject_path(path)));
}

#[test]
fn offset_and_limit_count_records_for_every_cut() {
    let bad = &[4, 30, 31, 60, 99];
    let file = given(&lines(100, bad));
    for (offset, limit) in [
        (0, Some(1)),
        (0, Some(31)),
        (30, Some(1)),
        (29, Some(40)),
        (98, Some(1)),
        (99, Some(50)),
        (100, None),
        (150, Some(3)),
        (57, None),
        (0, Some(0)),
    ] {
        for parsers in [1, 2, 5] {
            for chunk_bytes in [1, 9, 50, 333, 4_096] {
                let mut config = small(&file.path);
                config.offset_records = offset;
                config.limit = limit;
                config.work.parsers = parsers;
                config.work.writers = 1 + parsers % 2;
                config.work.chunk_bytes = chunk_bytes;
                config.work.io = [IoWay::Mmap, IoWay::Read][parsers % 2];
                let case = format!("{offset} {limit:?} {parsers} parsers, {chunk_bytes} bytes");
                let target = Arc::new(MemoryTarget::new(None));
                let outcome = load(config, Arc::clone(&target) as _);
                assert!(outcome.error.is_none(), "{case}: {:?}", outcome.error);
                let last = limit.map_or(100, |limit| (offset + limit).min(100));
                let wanted: Vec<u64> = (offset + 1..=last).collect();
                let (rejected, rows): (Vec<u64>, Vec<u64>) =
                    wanted.iter().partition(|n| bad.contains(n));
                assert_eq!(loaded_records(&target), rows, "{case}");
                let counts = check_report(&outcome);
                assert_eq!(counts.rows_filtered, offset.min(last), "{case}");
                assert_eq!(counts.records_read, last, "{case}");
                assert_eq!(counts.rows_rejected, rejected.len() as u64, "{case}");
                if !rejected.is_empty() {
                    assert_eq!(described_records(&file.path), rejected, "{case}");
                }
                remove_rejects(&file.path);
            }
        }
    }
}

#[test]
fn a_pipe_that_stays_open_behind_the_limit_does_not_hold_the_load() {
    for parsers in [1, 4] {
        let (_dir, path) = fifo();
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let writer = path.clone();
        std::thread::spawn(move || {
            let mut pipe = std::fs::File::options().write(true).open(writer).expect("a reader");
            pipe.write_all(&lines(20, &[])).expect("the load reads");
            pipe.write_all(b"21,\"open").expect("the load reads");
            held.recv().unwrap_err();
        });
        let mut config = small(&path);
        config.limit = Some(10);
        config.work.parsers = parsers;
        config.work.chunk_bytes = 30;
        let target = Arc::new(MemoryTarget::new(None));
        let outcome = load(config, Arc::clone(&target) as _);
        assert!(outcome.error.is_none(), "{:?}", outcome.error);
        assert_eq!(loaded_records(&target), (1..=10).collect::<Vec<_>>());
        check_report(&outcome);
        drop(hold);
    }
}

fn several(dir: &Path) -> (Vec<PathBuf>, Vec<(u64, Vec<u64>)>) {
    let contents =
        vec![(40, vec![2, 40]), (0, vec![]), (1, vec![]), (120, vec![1, 119]), (77, vec![])];
    let paths =
        (0..contents.len()).map(|index| dir.join(format!("{index}.csv"))).collect::<Vec<_>>();
    for (path, (records, bad)) in paths.iter().zip(&contents) {
        std::fs::write(path, lines(*records, bad)).expect("a file");
    }
    (paths, contents)
}

#[test]
fn several_files_in_both_modes() {
    for mode in [InputMode::Single, InputMode::Multi] {
        for parsers in [1, 2, 8] {
            for io in [IoWay::Mmap, IoWay::Read] {
                for limit in [None, Some(30)] {
                    let dir = tempfile::tempdir().expect("a directory");
                    let (paths, contents) = several(dir.path());
                    let inputs: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
                    let mut config = config(&inputs, &two_columns(), Dialect::default());
                    config.work.input_mode = mode;
                    config.work.parsers = parsers;
                    config.work.writers = 2;
                    config.work.batch_rows = 10;
                    config.work.chunk_bytes = 64;
                    config.work.io = io;
                    config.limit = limit;
                    let target = Arc::new(MemoryTarget::new(None));
                    let outcome = load(config, Arc::clone(&target) as _);
                    assert!(outcome.error.is_none(), "{:?}", outcome.error);
                    assert_eq!(outcome.report.status, Status::LoadedWithRejects);
                    check_report(&outcome);
                    let rows = target.rows();
                    for (index, (records, bad)) in contents.iter().enumerate() {
                        let last = limit.map_or(*records, |limit| limit.min(*records));
                        let (rejected, good): (Vec<u64>, Vec<u64>) =
                            (1..=last).partition(|n| bad.contains(n));
                        let found = rows.iter().filter(|row| row.file == index);
                        let found: Vec<u64> = found.map(|row| row.position.record).collect();
                        assert_eq!(found, good, "file {index}");
                        let report = &outcome.report.files[index];
                        assert_eq!(report.path, paths[index]);
                        assert_eq!(report.counts.records_read, last);
                        assert_eq!(report.counts.rows_rejected, rejected.len() as u64);
                        if limit.is_none() {
                            let length = std::fs::metadata(&paths[index]).expect("it exists").len();
                            assert_eq!(report.counts.bytes, length);
                        }
                        assert_eq!(report.rejects.is_some(), !rejected.is_empty());
                        if !rejected.is_empty() {
                            assert_eq!(described_records(&paths[index]), rejected);
                        }
                    }
                }
            }
        }
    }
}
