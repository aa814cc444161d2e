//! Random actions on a ledger, cut anywhere, held against a map of bytes.

use fastload::ledger::{RangeRow, Run, State, is_duplicate, remainder};
use fastload::record::ByteRange;
use fastload::sink::{SqlSession, Target};
use proptest::prelude::*;

use crate::support::{Job, RECORD_BYTES};

const RECORDS: u64 = 20;
const LENGTH: u64 = RECORDS * RECORD_BYTES;

/// One step of the world.
#[derive(Debug, Clone)]
enum Action {
    /// The owner commits a stretch of what is left: where in it, how long, how many are refused.
    Commit { gap: usize, skip: u64, records: u64, refused: u64 },
    /// The same, and the process dies after so many of its statements.
    Cut { gap: usize, records: u64, after: usize },
    /// The commit takes effect, and its answer is lost: the range is asked for again.
    LostAnswer { gap: usize, records: u64 },
    /// The next start takes over.
    Restart,
    /// An earlier owner goes on.
    Zombie { which: usize },
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let one = prop_oneof![
        4 => (0_usize..4, 0_u64..3, 1_u64..6, 0_u64..3).prop_map(|(gap, skip, records, refused)| {
            Action::Commit { gap, skip, records, refused }
        }),
        2 => (0_usize..4, 1_u64..6, 0_usize..4)
            .prop_map(|(gap, records, after)| Action::Cut { gap, records, after }),
        1 => (0_usize..4, 1_u64..6).prop_map(|(gap, records)| Action::LostAnswer { gap, records }),
        1 => Just(Action::Restart),
        1 => (0_usize..4).prop_map(|which| Action::Zombie { which }),
    ];
    prop::collection::vec(one, 0..40)
}

/// The ledger of a job, and what it must say.
struct World {
    job: Job,
    run: Run,
    earlier: Vec<Run>,
    /// For each record: whether it is committed, and as what.
    records: Vec<Option<bool>>,
}

impl World {
    fn new() -> Self {
        let job = Job::new(RECORDS);
        let run = job.run();
        let mut world = Self { job, run, earlier: Vec::new(), records: vec![None; 20] };
        world.fence();
        let mut store = world.job.store();
        let sql = store.sql().advance(&world.run.key, world.run.epoch, (State::Loading, 0), 1);
        store.conditional(&world.run.key, &sql).expect("ours");
        store.session().commit().expect("committed");
        world
    }

    fn session(&self) -> Box<dyn SqlSession> {
        self.job.target().session().expect("a connection")
    }

    /// The fence of the only writer.
    fn fence(&mut self) {
        let mut store = self.job.store();
        let key = &self.run.key;
        if store.session().query(&store_sql(self).fences(key)).expect("asked").is_empty() {
            let sql = store.sql().add_fence(key, 0, self.run.epoch);
            store.session().execute(&sql).expect("added");
        }
        store.session().commit().expect("committed");
    }

    /// A range of what is left, as the ledger itself says what that is.
    fn range(&self, gap: usize, skip: u64, records: u64) -> Option<RangeRow> {
        let mut store = self.job.store();
        let committed = store.ranges(&self.run.key).expect("asked");
        let committed: Vec<_> = committed.iter().map(RangeRow::committed).collect();
        let left = remainder(LENGTH, &committed).expect("disjoint").gaps;
        let gap = left.get(gap % left.len().max(1))?;
        let first =
            gap.start.records + skip.min((gap.end - gap.start.byte_offset) / RECORD_BYTES - 1);
        assert_eq!(gap.start.records * RECORD_BYTES, gap.start.byte_offset, "numbers are known");
        let last = (first + records).min(gap.end / RECORD_BYTES);
        Some(RangeRow {
            bytes: ByteRange { start: first * RECORD_BYTES, end: last * RECORD_BYTES },
            records_before: first,
            records: last - first,
            lines_before: first,
            lines: last - first,
            loaded: last - first,
            epoch: self.run.epoch,
            ..RangeRow::default()
        })
    }

    /// The statements of a transaction, in their order.
    fn statements(&self, run: &Run, row: &RangeRow) -> [String; 3] {
        let sql = store_sql(self);
        [
            sql.pass_fence(&run.key, 0, run.epoch),
            sql.add_ranges(&run.key, std::slice::from_ref(row)),
            sql.complete_range(&run.key, row),
        ]
    }

    fn book(&mut self, row: &RangeRow) {
        let first = usize::try_from(row.bytes.start / RECORD_BYTES).expect("small");
        let count = usize::try_from(row.records).expect("small");
        for (at, record) in self.records[first..first + count].iter_mut().enumerate() {
            assert_eq!(*record, None, "a record is committed once");
            *record = Some(at as u64 >= row.rejected);
        }
    }

    fn act(&mut self, action: &Action) {
        match *action {
            Action::Commit { gap, skip, records, refused } => {
                let Some(mut row) = self.range(gap, skip, records) else { return };
                let [fence, insert, _] = self.statements(&self.run, &row);
                row.rejected = refused.min(row.records);
                row.loaded = row.records - row.rejected;
                let [.., complete] = self.statements(&self.run, &row);
                let mut session = self.session();
                for sql in [fence, insert, complete] {
                    assert_eq!(session.execute(&sql).expect("done"), Some(1));
                }
                session.commit().expect("committed");
                self.book(&row);
            }
            Action::Cut { gap, records, after } => {
                let Some(row) = self.range(gap, 0, records) else { return };
                let mut session = self.session();
                for sql in self.statements(&self.run, &row).iter().take(after) {
                    session.execute(sql).expect("done");
                }
                drop(session);
                self.restart();
            }
            Action::LostAnswer { gap, records } => {
                let Some(row) = self.range(gap, 0, records) else { return };
                let mut session = self.session();
                let [fence, insert, _] = self.statements(&self.run, &row);
                session.execute(&fence).expect("done");
                session.execute(&insert).expect("done");
                session.commit().expect("committed, though nobody hears of it");
                self.book(&row);
                let again = session.execute(&insert).expect_err("it is there");
                assert!(is_duplicate(&again), "{again}");
            }
            Action::Restart => self.restart(),
            Action::Zombie { which } => {
                let Some(zombie) = self.earlier.get(which % self.earlier.len().max(1)) else {
                    return;
                };
                let sql = store_sql(self).pass_fence(&zombie.key, 0, zombie.epoch);
                assert_eq!(self.session().execute(&sql).expect("asked"), Some(0), "fenced");
            }
        }
    }

    fn restart(&mut self) {
        let next = self.job.run();
        assert!(next.is_resumed && next.epoch == self.run.epoch + 1);
        self.earlier.push(std::mem::replace(&mut self.run, next));
        self.check(&self.run.ranges);
    }

    /// Ranges and model agree, record by record, in sum.
    fn check(&self, ranges: &[RangeRow]) {
        let mut covered = vec![0_u64; self.records.len()];
        for range in ranges {
            let first = usize::try_from(range.bytes.start / RECORD_BYTES).expect("small");
            let count = usize::try_from(range.records).expect("small");
            covered[first..first + count].iter_mut().for_each(|times| *times += 1);
            assert_eq!(range.loaded + range.rejected, range.records);
        }
        let expected: Vec<u64> =
            self.records.iter().map(|record| u64::from(record.is_some())).collect();
        assert_eq!(covered, expected);
        let loaded: u64 = ranges.iter().map(|range| range.loaded).sum();
        assert_eq!(
            loaded,
            self.records.iter().filter(|record| **record == Some(true)).count() as u64
        );
    }
}

fn store_sql(world: &World) -> fastload::ledger::LedgerSql {
    world.job.store().sql().clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn counts_add_up_whatever_happens(actions in actions()) {
        let mut world = World::new();
        for action in &actions {
            world.act(action);
        }
        world.restart();
        // Faults stop: what is left is committed, and the file is covered.
        while let Some(row) = world.range(0, 0, RECORDS) {
            let mut session = world.session();
            for sql in world.statements(&world.run, &row) {
                session.execute(&sql).expect("done");
            }
            session.commit().expect("committed");
            world.book(&row);
        }
        world.restart();
        prop_assert!(world.records.iter().all(Option::is_some));
    }
}
