use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};

use proptest::prelude::*;

/// An input of numbered lines, the last one without its newline.
fn input(records: u64) -> (Vec<u8>, Vec<(u64, u64)>) {
    let mut bytes = Vec::new();
    let mut places = Vec::new();
    for record in 1..=records {
        let start = bytes.len() as u64;
        bytes.extend_from_slice(format!("record {record}").as_bytes());
        if record < records {
            bytes.push(b'\n');
        }
        places.push((start, bytes.len() as u64 - start));
    }
    (bytes, places)
}

struct Fixture {
    directory: tempfile::TempDir,
    source: RawSource,
    places: Vec<(u64, u64)>,
}

impl Fixture {
    fn new(records: u64) -> Self {
        let (bytes, places) = input(records);
        Self {
            directory: tempfile::tempdir().unwrap(),
            source: RawSource::Owned { bytes: Arc::new(bytes), base: 0 },
            places,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn files(&self, targets: &[&str]) -> Result<RejectFiles> {
        let inputs: Vec<_> =
            (0..targets.len()).map(|index| PathBuf::from(format!("in{index}.csv"))).collect();
        RejectFiles::new(
            targets.iter().map(|name| self.path(name)).collect(),
            &inputs,
            &Keeping::default(),
        )
    }

    fn reject(&self, file: usize, record: u64) -> RejectRecord {
        let (byte_offset, byte_length) = self.places[usize::try_from(record).unwrap() - 1];
        RejectRecord {
            file,
            position: Position { byte_offset, record, line: record },
            byte_length,
            column_index: Some(3),
            column: Some("a \"b\"".to_owned()),
            type_name: None,
            class: RejectClass::Range,
            code: "FL-0312",
            sqlstate: None,
            native: Some(-1),
            message: "too\nlarge".to_owned(),
            source: self.source.clone(),
        }
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn segments_are_merged_in_file_order() {
    let fixture = Fixture::new(9);
    let files = fixture.files(&["r", "r"]).unwrap();
    let (mut first, mut second) = (files.segment(0), files.segment(1));
    for (segment, file, record) in [(0, 0, 5), (1, 1, 1), (1, 0, 9), (0, 0, 2), (1, 0, 3)] {
        let segment = if segment == 0 { &mut first } else { &mut second };
        segment.append(&fixture.reject(file, record)).unwrap();
    }
    let written = files.merge(vec![first, second]).unwrap();
    assert_eq!(written, [Some(fixture.path("r")), Some(fixture.path("r"))]);
    assert_eq!(
        fixture.text("r"),
        "record 2\nrecord 3\nrecord 5\nrecord 9\nrecord 1\n",
        "one LF is added behind record 9, the last of its file"
    );
    let lines = fixture.text("r.jsonl");
    assert_eq!(
        lines.lines().next().unwrap(),
        "{\"file\":\"in0.csv\",\"record\":2,\"line\":2,\"byte_offset\":9,\"byte_length\":9,\
         \"column_index\":3,\"column\":\"a \\\"b\\\"\",\"type\":null,\"class\":\"range\",\
         \"code\":\"FL-0312\",\"sqlstate\":null,\"native\":-1,\"message\":\"too\\nlarge\"}"
    );
    assert!(lines.lines().nth(3).unwrap().contains("\"byte_length\":8,"));
    assert_eq!(lines.lines().count(), 5);
    assert_eq!(fixture.names(), ["r", "r.jsonl"]);
    for name in ["r", "r.jsonl"] {
        let mode = fixture.path(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn each_input_may_have_its_own_file() {
    let fixture = Fixture::new(3);
    let files = fixture.files(&["a", "b", "a"]).unwrap();
    let mut segment = files.segment(0);
    segment.append(&fixture.reject(2, 1)).unwrap();
    let written = files.merge(vec![segment]).unwrap();
    assert_eq!(written, [Some(fixture.path("a")), None, Some(fixture.path("a"))]);
    assert_eq!(fixture.names(), ["a", "a.jsonl"]);
}

#[test]
fn a_transaction_takes_its_rejects_back() {
    let fixture = Fixture::new(9);
    let files = fixture.files(&["r"]).unwrap();
    let mut segment = files.segment(0);
    let nothing = segment.mark();
    segment.append(&fixture.reject(0, 1)).unwrap();
    segment.truncate_to(&nothing).unwrap();
    segment.append(&fixture.reject(0, 2)).unwrap();
    segment.flush().unwrap();
    let one = segment.mark();
    segment.append(&fixture.reject(0, 4)).unwrap();
    segment.flush().unwrap();
    segment.append(&fixture.reject(0, 5)).unwrap();
    segment.truncate_to(&one).unwrap();
    assert_eq!(segment.mark(), one);
    segment.append(&fixture.reject(0, 6)).unwrap();
    files.merge(vec![segment]).unwrap();
    assert_eq!(fixture.text("r"), "record 2\nrecord 6\n");
    assert_eq!(fixture.text("r.jsonl").lines().count(), 2);
}

#[test]
fn without_rejects_nothing_is_made_and_old_files_stay() {
    let fixture = Fixture::new(2);
    std::fs::write(fixture.path("r"), "old").unwrap();
    let files = fixture.files(&["r"]).unwrap();
    let mut segment = files.segment(0);
    let mark = segment.mark();
    segment.append(&fixture.reject(0, 1)).unwrap();
    segment.truncate_to(&mark).unwrap();
    assert_eq!(files.merge(vec![segment]).unwrap(), [None]);
    assert_eq!(fixture.text("r"), "old");
    assert_eq!(fixture.names(), ["r"]);
}

#[test]
fn old_files_and_planted_links_are_replaced_not_followed() {
    let fixture = Fixture::new(2);
    std::fs::write(fixture.path("precious"), "precious").unwrap();
    symlink(fixture.path("precious"), fixture.path("r")).unwrap();
    std::fs::write(fixture.path("r.jsonl"), "old").unwrap();
    let files = fixture.files(&["r"]).unwrap();
    let mut segment = files.segment(0);
    segment.append(&fixture.reject(0, 1)).unwrap();
    files.merge(vec![segment]).unwrap();
    assert_eq!(fixture.text("r"), "record 1\n");
    assert_eq!(fixture.text("r.jsonl").lines().count(), 1);
    assert_eq!(fixture.text("precious"), "precious");
}

#[test]
fn parts_of_another_run_are_never_touched() {
    let fixture = Fixture::new(2);
    let files = fixture.files(&["r"]).unwrap();
    symlink(fixture.directory.path(), fixture.path("r.parts")).unwrap();
    let error = files.segment(0).append(&fixture.reject(0, 1)).unwrap_err();
    assert!(error.to_string().contains("rejects of"), "{error}");
    let error = fixture.files(&["r"]).unwrap_err();
    assert!(error.to_string().contains("did not end"), "{error}");
}

/// A run of a job with one segment of two rejects, and what is committed of it.
fn left_segment(fixture: &Fixture) -> Keeping {
    let mut keeping = Keeping { run: Some("run".to_owned()), ..Keeping::default() };
    let files = taken_up(fixture, &keeping).unwrap();
    let mut segment = files.segment(0);
    segment.append(&fixture.reject(0, 1)).unwrap();
    segment.append(&fixture.reject(0, 2)).unwrap();
    segment.flush().unwrap();
    let lengths = files.lengths(&segment.mark(), 0);
    keeping.committed.push((0, SegmentId { epoch: 0, writer: 0 }, lengths));
    keeping.epoch = 1;
    keeping
}

fn taken_up(fixture: &Fixture, keeping: &Keeping) -> Result<RejectFiles> {
    RejectFiles::new(vec![fixture.path("r")], &[PathBuf::from("in.csv")], keeping)
}

#[test]
fn links_and_pipes_among_left_segments_are_refused() {
    let fixture = Fixture::new(3);
    let keeping = left_segment(&fixture);
    let raw = fixture.path("r.parts/0-0.raw");
    let elsewhere = fixture.path("elsewhere");
    std::fs::rename(&raw, &elsewhere).unwrap();
    let longer = [std::fs::read(&elsewhere).unwrap(), b"more".to_vec()].concat();
    std::fs::write(&elsewhere, &longer).unwrap();
    symlink(&elsewhere, &raw).unwrap();
    let error = taken_up(&fixture, &keeping).unwrap_err().to_string();
    assert!(error.contains("r.parts") && error.contains("damaged"), "{error}");
    assert_eq!(std::fs::read(&elsewhere).unwrap(), longer, "it was not cut");

    // A pipe at the name of the file that names the run: nobody writes into it.
    std::fs::remove_file(fixture.path("r.parts/run")).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, fixture.path("r.parts/run"), kind, mode, 0).unwrap();
    let error = taken_up(&fixture, &keeping).unwrap_err().to_string();
    assert!(error.contains("did not end"), "{error}");
}

#[test]
fn a_left_segment_with_a_damaged_index_is_refused() {
    let fixture = Fixture::new(3);
    let keeping = left_segment(&fixture);
    let index = fixture.path("r.parts/0-0.index");
    let bytes = std::fs::read(&index).unwrap();
    assert_eq!(bytes.len(), 2 * IndexEntry::BYTES);
    // A page that did not reach the disk reads as zeros: then the second reject would be lost.
    let mut zeros = bytes.clone();
    zeros[IndexEntry::BYTES..].fill(0);
    std::fs::write(&index, zeros).unwrap();
    let error = taken_up(&fixture, &keeping).unwrap().merge(Vec::new()).unwrap_err().to_string();
    assert!(error.contains("0-0.index is damaged"), "{error}");
    std::fs::write(&index, bytes).unwrap();
    taken_up(&fixture, &keeping).unwrap().merge(Vec::new()).unwrap();
    assert_eq!(fixture.text("r"), "record 1\nrecord 2\n");
}

#[test]
fn a_record_that_was_rejected_twice_is_an_error() {
    let fixture = Fixture::new(3);
    let files = fixture.files(&["r"]).unwrap();
    let (mut first, mut second) = (files.segment(0), files.segment(1));
    first.append(&fixture.reject(0, 2)).unwrap();
    second.append(&fixture.reject(0, 2)).unwrap();
    let error = files.merge(vec![first, second]).unwrap_err().to_string();
    assert!(error.contains("record 2 of input 1"), "{error}");
    assert_eq!(fixture.names(), ["r.parts"]);
}

#[test]
fn rejects_of_an_unknown_input_are_an_error() {
    let fixture = Fixture::new(3);
    let mut keeping = left_segment(&fixture);
    keeping.committed[0].0 = 1;
    let error = taken_up(&fixture, &keeping).unwrap_err().to_string();
    assert!(error.contains("input 2"), "{error}");
}

#[test]
fn bytes_are_copied_from_files_too() {
    let mut fixture = Fixture::new(3);
    let (bytes, _) = input(3);
    let file = tempfile::tempfile().unwrap();
    (&file).write_all(&bytes).unwrap();
    fixture.source = RawSource::File { file: Arc::new(file), base: 0 };
    let files = fixture.files(&["r"]).unwrap();
    let mut segment = files.segment(0);
    segment.append(&fixture.reject(0, 3)).unwrap();
    files.merge(vec![segment]).unwrap();
    assert_eq!(fixture.text("r"), "record 3", "unchanged: nothing follows");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The merged file is what sorting everything at once gives, whatever the memory.
    #[test]
    fn passes_of_any_size_give_the_same_file(
        writers in prop::collection::vec(
            prop::sample::subsequence((1..=40_u64).collect::<Vec<_>>(), 0..40).prop_shuffle(),
            1..4,
        ),
        sorted_at_once in 1..50_usize,
    ) {
        let fixture = Fixture::new(41);
        let files = fixture.files(&["r", "r", "r"]).unwrap();
        let mut segments = Vec::new();
        let mut expected = Vec::new();
        for (writer, records) in writers.iter().enumerate() {
            let mut segment = files.segment(writer);
            for &record in records {
                // A file for each writer keeps the keys different.
                segment.append(&fixture.reject(writer, record)).unwrap();
                expected.push((writer, record));
            }
            segment.flush().unwrap();
            segments.push(segment);
        }
        expected.sort_unstable();
        let parts: Vec<_> = segments.into_iter().filter_map(|mut s| s.parts[0].take()).collect();
        let path = fixture.path("r");
        let any = merge::write_merged_in_passes(&path, &parts, sorted_at_once).unwrap();
        prop_assert_eq!(any, !expected.is_empty());
        if any {
            let lines: Vec<_> = expected.iter().map(|(_, record)| format!("record {record}
")).collect();
            prop_assert_eq!(fixture.text("r"), lines.concat());
            prop_assert_eq!(fixture.text("r.jsonl").lines().count(), expected.len());
        }
    }
}
