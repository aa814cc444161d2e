//! Loads whose connections are cut, held, slow, refused, or lose their server.
//!
//! The moment is the same in every run: the shim holds the first execute with a given number, the
//! case arms its fault, and lets the connection go on. One execute on the wire is one row.

use std::time::Duration;

use crate::load::{COMMIT_ROWS, Ended, Load, Running};
use crate::support::{OwnServer, Shim, drop_table, variable};

const ROWS: u64 = 2000;
/// Executes before the first row of the last batch of the second transaction.
const BETWEEN_BATCHES: u64 = 900;
/// Executes before a row in the middle of that batch.
const INSIDE_A_BATCH: u64 = 950;

/// Starts a load that stands still where `executed` rows have been passed on to the server.
fn start_and_hold(shim: &Shim, load: &Load, executed: u64) -> Running {
    shim.tell(&format!("hold statement {}", executed + 1));
    let running = load.start(&shim.through("FASTLOAD_TEST_DB2"));
    shim.await_count("held", 1);
    running
}

/// A load to whose connection this happens where `executed` rows have been passed on.
fn load_with(fault: &str, executed: u64, load: &Load) -> (Ended, Shim) {
    let shim = Shim::start();
    let running = start_and_hold(&shim, load, executed);
    shim.tell(fault);
    shim.tell("release");
    let ended = running.end();
    assert_eq!(shim.count("unread"), 0, "the shim lost the thread");
    (ended, shim)
}

/// Where a connection is silent the server does not hear of its end either, and the transaction
/// keeps its locks, as one of a machine that has vanished does.
fn end_forgotten_sessions(shim: &Shim) {
    shim.tell("reset");
}

#[test]
fn a_load_in_peace() {
    let shim = Shim::start();
    let load = Load::new("PEACE", ROWS);
    let ended = load.start(&shim.through("FASTLOAD_TEST_DB2")).end().expect(0);
    assert_eq!(ended.retries("replays") + ended.retries("reconnects"), 0);
    load.table_holds(ROWS);
    assert!(shim.count("statements") >= ROWS, "one execute on the wire is one row");
    assert_eq!(shim.count("unread"), 0);
}

#[test]
fn a_cut_between_batches() {
    for fault in ["reset", "close"] {
        let load = Load::new("CUT_BETWEEN", ROWS);
        let (ended, _) = load_with(fault, BETWEEN_BATCHES, &load);
        assert_eq!(ended.recovered(&load).retries("reconnects"), 1);
    }
}

#[test]
fn a_cut_inside_an_array() {
    for fault in ["reset", "close"] {
        let load = Load::new("CUT_INSIDE", ROWS);
        let (ended, _) = load_with(fault, INSIDE_A_BATCH, &load);
        assert_eq!(ended.recovered(&load).retries("reconnects"), 1);
    }
}

#[test]
fn cuts_until_the_attempts_are_used_up() {
    let load = Load::new("CUT_EACH", ROWS).option("--max-retries", "2");
    let (ended, shim) = load_with("reset statement 30 each", INSIDE_A_BATCH, &load);
    let ended = ended.expect(10);
    assert_eq!(ended.retries("replays"), 2, "{ended:#?}");
    assert_eq!(shim.count("faults"), 1 + 3, "a hold, and a cut for each attempt");
    load.table_holds(ended.committed_of(&load));
}

#[test]
fn rejects_of_a_unit_that_was_sent_twice() {
    let load = Load::new("CUT_REJECTS", ROWS).option("--max-errors", "all");
    let mut bad = load.spoil(COMMIT_ROWS + 7);
    bad.extend(load.spoil(ROWS - 7));
    let (ended, _) = load_with("reset", INSIDE_A_BATCH, &load);
    let ended = ended.expect(2);
    assert!(ended.retries("replays") > 0, "{ended:#?}");
    assert_eq!(ended.total("rows_loaded"), ROWS - 2);
    assert_eq!(ended.total("rows_rejected"), 2);
    assert_eq!(std::fs::read(load.path("rows.csv.rejects")).unwrap(), bad);
}

/// The commit's outcome cannot be known, so the load says which bytes are in doubt, and tries
/// nothing more. Gives the numbers of the records in doubt.
fn in_doubt(ended: Ended, load: &Load, shim: &Shim) -> (u64, u64) {
    let ended = ended.expect(4);
    assert_eq!(ended.report["status"], "failed");
    assert_eq!(ended.retries("replays") + ended.retries("reconnects"), 0, "{ended:#?}");
    assert_eq!(shim.count("faults"), 2, "a hold and a cut: nothing came after the cut");
    let first = ended.total("rows_loaded") + 1;
    let last = first + COMMIT_ROWS - 1;
    let doubt = &ended.report["in_doubt"];
    assert_eq!(doubt["rows"], COMMIT_ROWS, "{doubt:#}");
    assert_eq!(doubt["ranges"].as_array().map(Vec::len), Some(1), "{doubt:#}");
    let (start, end) = load.bytes_of(first, last);
    let named = format!("rows.csv bytes {start}..{end} (500 rows, records {first} to {last})");
    assert!(ended.stderr.contains(&named), "{named} is not in\n{}", ended.stderr);
    (first, last)
}

#[test]
fn a_cut_before_the_commit_reaches_the_server() {
    let load = Load::new("DOUBT_BEFORE", ROWS);
    let (ended, shim) = load_with("reset commit", BETWEEN_BATCHES, &load);
    let (first, _) = in_doubt(ended, &load, &shim);
    load.table_holds(first - 1);
}

#[test]
fn a_cut_behind_the_commit() {
    for fault in ["reset committed", "close committed"] {
        let load = Load::new("DOUBT_BEHIND", ROWS);
        let (ended, shim) = load_with(fault, BETWEEN_BATCHES, &load);
        let (_, last) = in_doubt(ended, &load, &shim);
        load.table_holds(last);
    }
}

#[test]
fn a_commit_whose_answer_never_comes() {
    let load = Load::new("DOUBT_SILENT", ROWS).option("--query-timeout", "2s");
    let (ended, shim) = load_with("hold committed", BETWEEN_BATCHES, &load);
    let (_, last) = in_doubt(ended, &load, &shim);
    load.table_holds(last);
}

#[test]
fn a_killed_server_that_comes_back() {
    let server = OwnServer::start();
    let load = Load::into_server(&server.variable("FASTLOAD_TEST_DB2_WIDE"), "KILLED", ROWS);
    let shim = Shim::before(&server.variable("FASTLOAD_TEST_DB2_SERVER"));
    let running = start_and_hold(&shim, &load, INSIDE_A_BATCH);
    server.kill();
    shim.tell("release");
    server.start_again();
    assert!(running.end().recovered(&load).retries("reconnects") > 0);
}

#[test]
fn a_killed_server_that_stays_away() {
    let server = OwnServer::start();
    let load = Load::into_server(&server.variable("FASTLOAD_TEST_DB2_WIDE"), "GONE", ROWS)
        .option("--retry-budget", "2s");
    let shim = Shim::before(&server.variable("FASTLOAD_TEST_DB2_SERVER"));
    let running = start_and_hold(&shim, &load, INSIDE_A_BATCH);
    server.kill();
    shim.tell("release");
    let ended = running.end().expect(10);
    server.start_again();
    load.table_holds(ended.committed_of(&load));
}

#[test]
fn a_port_that_is_closed_for_a_while() {
    let shim = Shim::start();
    let load = Load::new("REFUSED", ROWS);
    let running = start_and_hold(&shim, &load, INSIDE_A_BATCH);
    shim.tell("refuse");
    shim.tell("reset");
    // Attempts to connect that fail are seen by nobody but the program.
    std::thread::sleep(Duration::from_secs(1));
    shim.tell("listen");
    assert_eq!(running.end().recovered(&load).retries("reconnects"), 1);
}

#[test]
fn a_port_that_stays_closed() {
    let shim = Shim::start();
    let load = Load::new("REFUSED_FOR_EVER", ROWS).option("--retry-budget", "2s");
    let running = start_and_hold(&shim, &load, INSIDE_A_BATCH);
    shim.tell("refuse");
    shim.tell("reset");
    let ended = running.end().expect(10);
    load.table_holds(ended.committed_of(&load));
}

#[test]
fn slow_answers_within_the_time_limit() {
    let load = Load::new("SLOW", ROWS).option("--query-timeout", "30s");
    let (ended, _) = load_with("delay 300", INSIDE_A_BATCH, &load);
    assert_eq!(ended.expect(0).retries("replays"), 0, "slow is not broken");
    load.table_holds(ROWS);
}

#[test]
fn an_answer_that_comes_too_late_once() {
    let load = Load::new("LATE", ROWS).option("--query-timeout", "2s");
    // The connection is slow; the next one is not.
    let (ended, _) = load_with("delay 10000", INSIDE_A_BATCH, &load);
    ended.recovered(&load);
}

#[test]
fn answers_that_always_come_too_late() {
    let load = Load::new("TOO_LATE", ROWS).option("--query-timeout", "2s");
    let shim = Shim::start();
    let running = start_and_hold(&shim, &load, INSIDE_A_BATCH);
    shim.tell("delay 10000 statement each");
    shim.tell("delay 10000");
    shim.tell("release");
    let ended = running.end();
    assert!([4, 10].contains(&ended.status), "{ended:#?}");
    assert!(ended.retries("replays") > 0, "it may be sent once more: {ended:#?}");
    end_forgotten_sessions(&shim);
    load.table_holds(ended.committed_of(&load));
}

#[test]
fn a_connection_that_goes_silent() {
    let load = Load::new("SILENT", ROWS).option("--query-timeout", "2s");
    let shim = Shim::start();
    let running = start_and_hold(&shim, &load, INSIDE_A_BATCH);
    let ended = running.end();
    end_forgotten_sessions(&shim);
    assert!(ended.recovered(&load).retries("reconnects") > 0);
}

#[test]
fn a_network_that_goes_silent() {
    let load = Load::new("BLACK_HOLE", ROWS)
        .option("--query-timeout", "2s")
        .option("--connect-timeout", "2s")
        .option("--retry-budget", "5s");
    let shim = Shim::start();
    let running = start_and_hold(&shim, &load, INSIDE_A_BATCH);
    shim.tell("hold connect each");
    let ended = running.end().expect(10);
    end_forgotten_sessions(&shim);
    load.table_holds(ended.committed_of(&load));
}

/// Left to itself the driver connects again without being asked, and the next commit succeeds
/// without the rows that were sent before (08506, -30108).
#[test]
fn a_driver_that_reroutes_by_itself() {
    for fault in ["reset", "close"] {
        let load = Load::new("REROUTED", ROWS).variable("DB2_MAX_CLIENT_CONNRETRIES", "3");
        let (ended, _) = load_with(fault, INSIDE_A_BATCH, &load);
        let ended = ended.recovered(&load);
        assert!(ended.stderr.contains("DB2_MAX_CLIENT_CONNRETRIES"), "{}", ended.stderr);
        assert!(ended.stderr.contains("-30108"), "the driver did not reroute: {}", ended.stderr);
    }
}

#[test]
fn a_driver_that_reroutes_during_the_commit() {
    for (fault, is_in) in [("reset commit", false), ("reset committed", true)] {
        let load = Load::new("REROUTED_COMMIT", ROWS).variable("DB2_MAX_CLIENT_CONNRETRIES", "3");
        let (ended, shim) = load_with(fault, BETWEEN_BATCHES, &load);
        let (first, last) = in_doubt(ended, &load, &shim);
        load.table_holds(if is_in { last } else { first - 1 });
    }
}

#[test]
fn two_writers_of_which_one_is_cut() {
    for fault in ["reset statement 700", "reset statement 120 each"] {
        let shim = Shim::start();
        let load = Load::new("TWO_WRITERS", 4 * ROWS).option("--writers", "2");
        shim.tell(fault);
        let ended = load.start(&shim.through("FASTLOAD_TEST_DB2")).end();
        if fault.ends_with("each") {
            let ended = ended.expect(10);
            assert_eq!(ended.total("rows_loaded"), 0);
            load.table_holds(0);
        } else {
            ended.recovered(&load);
        }
    }
}

/// Wherever a staged load is cut, its target has all rows or none: the transaction that moves them
/// is one. The cut comes at each commit behind the last staged row in turn, before it arrives or
/// behind it, until there is none left to cut.
#[test]
fn a_staged_load_that_is_cut_at_any_commit() {
    // A commit that took effect shows in the staging table; one that did not shows nowhere, because
    // the old session might still be at it.
    for (fault, expected) in [("reset commit", (1, 0)), ("reset committed", (0, 1))] {
        let (mut doubts, mut seen, mut cuts) = (0, 0, 0);
        for number in 1..=20 {
            let load = Load::new("STAGED", COMMIT_ROWS).option("--staging=STAGED_S", "");
            drop_table(&variable("FASTLOAD_TEST_DB2_WIDE"), "STAGED_S");
            let (ended, shim) = load_with(&format!("{fault} {number}"), COMMIT_ROWS - 1, &load);
            if shim.count("faults") == 1 {
                ended.expect(0);
                load.table_holds(COMMIT_ROWS);
                break;
            }
            cuts += 1;
            load.table_holds_all_or_nothing();
            match ended.status {
                0 => {
                    load.table_holds(COMMIT_ROWS);
                    let warnings = ended.report["warnings"].to_string();
                    seen += usize::from(warnings.contains("took effect"));
                }
                4 if ended.report["in_doubt"]["rows"] != 0 => doubts += 1,
                _ => load.table_holds(0),
            }
        }
        assert!(cuts > 1 && cuts < 20, "{fault}: {cuts} commits were cut");
        assert_eq!((doubts, seen), expected, "{fault}: the commit of the move, and no other");
    }
}
