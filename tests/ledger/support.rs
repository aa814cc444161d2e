//! A job over a file, and its ledger.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fastload::config::{InputSpec, IoWay, LedgerConfig, Restart};
use fastload::engine::InputFile;
use fastload::error::Result;
use fastload::ledger::{Facts, InputState, Request, Run, Start, Store, start};
use fastload::sink::Holding;
use fastload::sink::sqlite::SqliteTarget;

/// Bytes of each record of the input.
pub(crate) const RECORD_BYTES: u64 = 10;

pub(crate) struct Job {
    directory: tempfile::TempDir,
    pub(crate) facts: Facts,
    pub(crate) restart: Restart,
    pub(crate) holding: Holding,
    pub(crate) has_heartbeat: bool,
    pub(crate) repeats: bool,
}

impl Job {
    /// A job over a file of so many records.
    pub(crate) fn new(records: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let job = Self {
            directory,
            facts: [("dialect".to_owned(), "csv".to_owned())].into_iter().collect(),
            restart: Restart::Auto,
            holding: Holding::Held,
            has_heartbeat: false,
            repeats: false,
        };
        job.write(records, b'x');
        let mut store = job.store();
        store.create().expect("the tables are made");
        store.session().commit().expect("and stay");
        job
    }

    /// Writes the file anew, of records of one letter.
    pub(crate) fn write(&self, records: u64, letter: u8) {
        let mut record = vec![letter; usize::try_from(RECORD_BYTES).expect("small") - 1];
        record.push(b'\n');
        let bytes = record.repeat(usize::try_from(records).expect("small"));
        std::fs::write(self.input(), bytes).expect("the input is written");
    }

    pub(crate) fn input(&self) -> PathBuf {
        self.directory.path().join("in.csv")
    }

    pub(crate) fn target(&self) -> SqliteTarget {
        SqliteTarget::open(self.directory.path().join("x.db")).expect("a database")
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(&self.target(), None).expect("a connection")
    }

    /// A start of the job as it is now.
    pub(crate) fn start(&self) -> Result<Start> {
        let config = LedgerConfig {
            job: None,
            restart: self.restart,
            table: None,
            lease: Duration::from_secs(60),
            retry_of: None,
        };
        let inputs = [state(&self.input())];
        let request = Request {
            config: &config,
            job: "j",
            table: "t",
            facts: self.facts.clone(),
            inputs: &inputs,
            repeats: self.repeats,
            holding: self.holding,
            has_heartbeat: self.has_heartbeat,
            hash: &|_, range| Ok(range.start + 1),
        };
        start(&mut self.store(), &request)
    }

    /// A start that finds something to do.
    pub(crate) fn run(&self) -> Run {
        match self.start().expect("it may start") {
            Start::Run(run) => *run,
            other => panic!("nothing to do: {other:?}"),
        }
    }
}

fn state(path: &Path) -> InputState {
    let spec = InputSpec::Path(path.to_path_buf());
    let file = InputFile::open(&spec, IoWay::Mmap, 4096, 1).expect("the test wrote it");
    InputState {
        path: path.to_string_lossy().into_owned(),
        fingerprint: file.fingerprint().expect("it can be read"),
        body_offset: 0,
    }
}
