//! What other sessions of the database do to a load: administrators, lock holders, changes of
//! rights and of the table.

use std::time::{Duration, Instant};

use fastload::sink::SqlSession;

use crate::check::{assert_exact, assert_sound};
use crate::data::Data;
use crate::job::{Job, PATIENCE, Running, Way, Work};
use crate::kills::seeded;
use crate::network::{SERVERS, plain_work, proxied, settle};
use crate::place::{Kind, Place};
use crate::proxy::{Fault, Moment, Proxy};

/// Starts a load and lets it stand still at a moment.
fn hold(proxy: &Proxy, job: &Job, work: &Work, moment: Moment) -> Running {
    proxy.arm(moment, Fault::Hold);
    let running = job.start(work);
    proxy.wait("the hold", |counts| counts.faults == 1);
    running
}

/// Waits until the database says that something of the case's table waits for a lock.
fn await_lock_wait(place: &Place) {
    let sql = match place.kind {
        Kind::Postgresql => {
            "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE \
             '%$T%'"
        }
        _ => {
            "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' AND \
             trx_query LIKE '%$T%'"
        }
    };
    let began = Instant::now();
    while place.number(sql) == 0 {
        assert!(began.elapsed() < PATIENCE, "nobody waits for a lock");
        // MariaDB looks again only when nobody has asked for a tenth of a second.
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn run(session: &mut dyn SqlSession, place: &Place, sql: &str) {
    let sql = sql.replace("$T", &place.table);
    session.execute(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// A job of one parser and one writer whose records come in the order of their keys, 1 to `rows`,
/// as an upsert in one commit unit.
fn upsert_in_order(kind: Kind, table: &str, session_sql: &str) -> Job {
    let mut rng = fastrand::Rng::with_seed(5);
    let wanted = crate::data::Wanted {
        records: 1_000,
        bad_per_mille: 20,
        refused_by_database: true,
        keys_again: false,
        crlf: false,
    };
    let data = Data::generate(wanted, rng.u64(..));
    let job = Job::new(Place::new(kind, table), Way::Upsert, data);
    let first = |place: &Place, id: u32| {
        place.execute(&format!("INSERT INTO $T (id, name) VALUES ({id}, 'old')"));
    };
    // Rows that are there before; the file's records replace them.
    let good: Vec<u32> = job.data.rows.iter().filter_map(|row| id_of(row)).collect();
    first(&job.place, first_good(&good));
    first(&job.place, last_good(&good));
    job.option("--session-sql", session_sql)
}

fn id_of(row: &str) -> Option<u32> {
    row.split('"').nth(1)?.parse().ok()
}

fn first_good(ids: &[u32]) -> u32 {
    *ids.iter().min().expect("good records")
}

fn last_good(ids: &[u32]) -> u32 {
    *ids.iter().max().expect("good records")
}

fn ends(job: &Job) -> (u32, u32) {
    let ids: Vec<u32> = job.data.rows.iter().filter_map(|row| id_of(row)).collect();
    (first_good(&ids), last_good(&ids))
}

/// One commit unit of many batches.
fn one_unit() -> Work {
    let mut rng = fastrand::Rng::with_seed(1);
    Work::random(&mut rng)
        .and("--parsers", "1")
        .and("--writers", "1")
        .and("--batch-rows", "50")
        .and("--commit-rows", "10000000")
        .and("--ring-batches", "2")
}

/// An administrator ends the session of a writer, or all of the load, in a transaction.
#[test]
fn sessions_that_an_administrator_ends() {
    let mut rng = seeded("ended sessions");
    for kind in SERVERS {
        for number in [4, 5, 6, 7] {
            for moment in [Moment::Commit(number), Moment::Committed(number)] {
                let (proxy, job) = proxied(kind, Way::Append, "crash_ended", &mut rng);
                let running = hold(&proxy, &job, &plain_work(&mut rng), moment);
                let mut session = job.place.session();
                for port in proxy.server_ports() {
                    end_session(&mut *session, kind, port);
                }
                proxy.release();
                settle(&job, running.end(), &mut rng, &format!("{kind:?} {moment:?}"));
            }
        }
    }
}

/// Ends the session whose client is at this port; it may have ended.
fn end_session(session: &mut dyn SqlSession, kind: Kind, port: u16) {
    if kind == Kind::Postgresql {
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_port = {port}"
        );
        session.query(&sql).expect("an administrator");
        return;
    }
    let sql =
        format!("SELECT id FROM information_schema.processlist WHERE host LIKE '127.0.0.1:{port}'");
    for id in session.query(&sql).expect("an administrator").into_iter().flatten().flatten() {
        // It may end by itself between the two.
        let _ = session.execute(&format!("KILL CONNECTION {id}"));
    }
}

/// A row that another session holds: the wait is cut short by the database, which on MariaDB
/// undoes the statement only, and the unit is sent again until the row is free.
#[test]
fn a_row_that_another_session_holds() {
    for kind in SERVERS {
        let limit = match kind {
            Kind::Postgresql => "SET lock_timeout = '300ms'",
            _ => "SET SESSION innodb_lock_wait_timeout = 1",
        };
        let job = upsert_in_order(kind, "crash_lock", limit)
            .option("--max-retries", "50")
            .option("--retry-backoff", "1.1");
        let (_, last) = ends(&job);
        let mut holder = job.place.session();
        run(&mut *holder, &job.place, &format!("UPDATE $T SET v = 1 WHERE id = {last}"));
        let running = job.start(&one_unit());
        await_lock_wait(&job.place);
        // Longer than the limit, so that the wait ends before the row is free.
        std::thread::sleep(Duration::from_secs(3));
        holder.rollback().expect("a rollback");
        let ended = running.end();
        assert!(ended.retries("replays") > 0, "{kind:?}: {ended:#?}");
        assert_exact(&job, &ended, &format!("{kind:?}"));
    }
}

/// A deadlock in the last batch of a commit unit, of which the load is the victim: the whole unit
/// is sent again.
#[test]
fn a_deadlock_in_the_last_batch_of_a_unit() {
    for kind in SERVERS {
        // Of two that wait for each other, the one who waits longest looks first on PostgreSQL, and
        // gives way; it looks once, so the time must be enough to close the circle.
        let looks = match kind {
            Kind::Postgresql => "SET deadlock_timeout = '3s'",
            _ => "SELECT 1",
        };
        let job = upsert_in_order(kind, "crash_deadlock", looks);
        let (first, last) = ends(&job);
        let mut other = job.place.session();
        if kind == Kind::Postgresql {
            run(&mut *other, &job.place, "SET deadlock_timeout = '60s'");
        } else {
            // The one that has changed less gives way.
            job.place.execute("CREATE TABLE $T_heavy (n INTEGER PRIMARY KEY) ENGINE=InnoDB");
            let heavy = "INSERT INTO $T_heavy (n) SELECT seq FROM seq_1_to_50000";
            run(&mut *other, &job.place, heavy);
        }
        run(&mut *other, &job.place, &format!("UPDATE $T SET v = 1 WHERE id = {last}"));
        let running = job.start(&one_unit());
        await_lock_wait(&job.place);
        run(&mut *other, &job.place, &format!("UPDATE $T SET v = 1 WHERE id = {first}"));
        other.rollback().expect("a rollback");
        let ended = running.end();
        if kind == Kind::Mariadb {
            job.place.execute("DROP TABLE $T_heavy");
        }
        assert!(ended.retries("replays") > 0, "{kind:?}: {ended:#?}");
        assert_exact(&job, &ended, &format!("{kind:?}"));
    }
}

/// The whole table is locked by another session for two seconds.
#[test]
fn a_table_that_another_session_locks() {
    let mut rng = seeded("table lock");
    for kind in [Kind::Postgresql, Kind::Mariadb, Kind::Db2] {
        let data = Data::generate(Way::Append.wanted(900, &mut rng), rng.u64(..));
        let job = Job::new(Place::new(kind, "crash_locked"), Way::Append, data);
        let mut holder = job.place.session();
        let lock = match kind {
            Kind::Postgresql => "LOCK TABLE $T IN ACCESS EXCLUSIVE MODE",
            Kind::Mariadb => "LOCK TABLES $T WRITE",
            _ => "LOCK TABLE $T IN EXCLUSIVE MODE",
        };
        run(&mut *holder, &job.place, lock);
        let running = job.start(&Work::random(&mut rng));
        std::thread::sleep(Duration::from_secs(2));
        if kind == Kind::Mariadb {
            run(&mut *holder, &job.place, "UNLOCK TABLES");
        }
        holder.rollback().expect("a rollback");
        let ended = running.end();
        assert!(matches!(ended.status, 0 | 2), "{kind:?}: {ended:#?}");
        assert_exact(&job, &ended, &format!("{kind:?}"));
    }
}

/// Another process holds SQLite's write lock for two seconds.
#[test]
fn a_database_file_that_another_process_locks() {
    let mut rng = seeded("file lock");
    for kind in [Kind::Sqlite, Kind::SqliteWal] {
        let job = Job::of_seed(kind, "crash_locked", Way::Append, 900, &mut rng);
        let holder = rusqlite::Connection::open(job.place.path("x.db")).expect("a database");
        holder.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes");
        let running = job.start(&Work::random(&mut rng));
        std::thread::sleep(Duration::from_secs(2));
        holder.execute_batch("COMMIT").expect("an empty transaction");
        let ended = running.end();
        let last = match ended.status {
            0 | 2 => ended,
            _ => {
                assert_eq!(ended.status, 4, "{kind:?}: {ended:#?}");
                job.finish(&mut rng).pop().expect("a run")
            }
        };
        assert_exact(&job, &last, &format!("{kind:?}"));
    }
}

/// SQLite has no room for more pages: the load ends resumable, and goes on when there is room.
#[test]
fn a_database_file_that_is_full() {
    let mut rng = seeded("full file");
    for kind in [Kind::Sqlite, Kind::SqliteWal] {
        let job = Job::of_seed(kind, "crash_full", Way::Append, 6_000, &mut rng);
        let work = Work::random(&mut rng).and("--commit-rows", "250");
        let mut command = job.command(&work);
        command.args(["--session-sql", "PRAGMA max_page_count = 40"]);
        let ended = Running::of(command).end().expect(4);
        assert_sound(&job, "full");
        assert!(ended.stderr.contains("full"), "{}", ended.stderr);
        let ends = job.finish(&mut rng);
        assert_exact(&job, ends.last().expect("a run"), &format!("{kind:?}"));
    }
}

/// The right to insert is taken away while the load runs, and given back after it has ended.
#[test]
fn a_right_that_is_taken_away() {
    let mut rng = seeded("rights");
    for kind in SERVERS {
        let (proxy, mut job) = proxied(kind, Way::Append, "crash_right", &mut rng);
        let user = loader(&job.place, &job.ledger_table());
        let text = proxy.through(&kind.connection_text());
        let text = crate::place::with(&text, "UID", "crash_loader");
        job.place.url = format!("odbc:{}", crate::place::with(&text, "PWD", "only-for-tests"));
        let running = hold(&proxy, &job, &plain_work(&mut rng), Moment::Committed(6));
        job.place.execute(&format!("REVOKE INSERT ON $T FROM {user}"));
        proxy.release();
        let ended = running.end();
        assert_eq!(ended.status, 4, "{kind:?}: {ended:#?}");
        assert_sound(&job, "revoked");
        job.place.execute(&format!("GRANT INSERT ON $T TO {user}"));
        let ends = job.finish(&mut rng);
        assert_exact(&job, ends.last().expect("a run"), &format!("{kind:?}"));
    }
}

/// A user who may load into the case's table and keep its ledger, and nothing else.
fn loader(place: &Place, ledger: &str) -> &'static str {
    if place.kind == Kind::Postgresql {
        let there = "SELECT COUNT(*) FROM pg_roles WHERE rolname = 'crash_loader'";
        if place.number(there) == 0 {
            place.execute("CREATE ROLE crash_loader LOGIN PASSWORD 'only-for-tests'");
        }
        place.execute("GRANT CREATE, USAGE ON SCHEMA public TO crash_loader");
        place.execute("GRANT SELECT, INSERT ON $T TO crash_loader");
        return "crash_loader";
    }
    let user = "crash_loader@'127.0.0.1'";
    place.execute(&format!("CREATE USER IF NOT EXISTS {user} IDENTIFIED BY 'only-for-tests'"));
    place.execute(&format!("GRANT SELECT, INSERT ON $T TO {user}"));
    place.execute(&format!("GRANT CREATE TEMPORARY TABLES ON fastload.* TO {user}"));
    for end in ["", "_JOB", "_FENCE", "_FACT"] {
        place.execute(&format!(
            "GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON {ledger}{end} TO {user}"
        ));
    }
    user
}

/// The table is gone while the load runs, and comes back after it has ended.
#[test]
fn a_table_that_is_taken_away() {
    let mut rng = seeded("a table that goes");
    for kind in SERVERS {
        let (proxy, job) = proxied(kind, Way::Append, "crash_gone", &mut rng);
        let running = hold(&proxy, &job, &plain_work(&mut rng), Moment::Committed(6));
        job.place.execute("ALTER TABLE $T RENAME TO $T_away");
        proxy.release();
        let ended = running.end();
        assert_eq!(ended.status, 4, "{kind:?}: {ended:#?}");
        job.place.execute("ALTER TABLE $T_away RENAME TO $T");
        assert_sound(&job, "away");
        let ends = job.finish(&mut rng);
        assert_exact(&job, ends.last().expect("a run"), &format!("{kind:?}"));
    }
}

/// The table becomes another one: the load ends, and the job is not resumed into it.
#[test]
fn a_table_that_is_altered() {
    let mut rng = seeded("a table that changes");
    for kind in SERVERS {
        let (proxy, job) = proxied(kind, Way::Append, "crash_altered", &mut rng);
        let running = hold(&proxy, &job, &plain_work(&mut rng), Moment::Committed(6));
        job.place.execute("ALTER TABLE $T RENAME COLUMN day TO the_day");
        proxy.release();
        running.end().expect(4);
        job.place.execute("ALTER TABLE $T RENAME COLUMN the_day TO day");
        job.place.execute(match kind {
            Kind::Postgresql => "ALTER TABLE $T ALTER COLUMN name TYPE VARCHAR(200)",
            _ => "ALTER TABLE $T MODIFY COLUMN name VARCHAR(200)",
        });
        let before = job.place.rows();
        let refused = job.run(&plain_work(&mut rng)).expect(64);
        assert!(refused.stderr.contains("name"), "the difference is named: {}", refused.stderr);
        assert!(before == job.place.rows(), "nothing is loaded");
        assert_sound(&job, "altered");
    }
}
