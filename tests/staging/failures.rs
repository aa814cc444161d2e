//! Moves that fail, or are stopped.

use std::time::{Duration, Instant};

use crate::support::{Kind, Place, Run, lines};

pub(crate) fn a_move_that_is_refused_changes_nothing(kind: Kind) {
    let place = Place::seeded(kind, "st_refused");
    // Key 9 is in the target: the database refuses the whole insert.
    place.write("f.csv", "id,name,v\n5,a,1\n9,b,2\n6,c,3\n");
    for staging in ["--staging", "--staging=st_refused_wait"] {
        let run = place.run(4, &["f.csv", staging]).says(&["nothing reached st_refused"]);
        assert_eq!(run.totals(), [0, 0, 0, 3]);
        assert_eq!(run.report["status"], "failed");
        assert_eq!(run.staging("moved"), "nothing");
        assert_eq!(run.staging("rows_staged"), 3);
        assert_eq!(run.staging("rows_left"), false);
        assert_eq!(place.content(), ["1|one|10", "2|two|20", "9|nine|90"]);
    }
    assert_eq!(place.query("SELECT COUNT(*) FROM st_refused_wait")[0][0].as_deref(), Some("0"));
    // The deletion of a replacing load is undone with it.
    place.write("g.csv", "id,name,v\n5,a,1\n5,b,2\n");
    place.run(4, &["g.csv", "--mode", "replace", "--yes"]);
    assert_eq!(place.content().len(), 3);
}

/// The records that the reader refused are told to the user, whatever became of the others.
pub(crate) fn rejects_of_a_move_that_is_refused_stay(kind: Kind) {
    let place = Place::seeded(kind, "st_stay");
    place.write("f.csv", "id,name,v\n5,a,1\nbad,b,2\n9,c,3\n");
    let run = place.run(4, &["f.csv", "--staging", "--max-errors", "5"]);
    assert_eq!(run.totals(), [0, 1, 0, 2]);
    assert_eq!(place.read("f.csv.rejects"), "bad,b,2\n");
}

/// A trigger that makes each row of a move take a while.
fn slow(place: &Place) {
    match place.kind {
        Kind::Postgresql => {
            place.execute(
                "CREATE OR REPLACE FUNCTION $T_slow() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END $$",
            );
            place.execute(
                "CREATE TRIGGER $T_slow BEFORE INSERT ON $T FOR EACH ROW \
                 EXECUTE FUNCTION $T_slow()",
            );
        }
        Kind::Mariadb => {
            place.execute("CREATE TRIGGER $T_slow BEFORE INSERT ON $T FOR EACH ROW DO SLEEP(0.05)");
        }
        Kind::Sqlite => place.execute(
            "CREATE TRIGGER $T_slow BEFORE INSERT ON $T BEGIN \
             SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
             WHERE i < 300000) SELECT i FROM n); END",
        ),
        Kind::Db2 => unreachable!("Derby ends no statement from outside"),
    }
}

/// Whether the last staged row is committed, and the move runs or is about to.
fn is_staged(place: &Place, rows: usize) -> bool {
    // No table yet, or one that is locked, is an answer as well.
    let count = place.try_query(&format!("SELECT COUNT(*) FROM {}_wait", place.table));
    count.is_ok_and(|count| count[0][0] == Some(rows.to_string()))
}

pub(crate) fn an_interrupted_move_changes_nothing(kind: Kind) {
    if kind == Kind::Db2 {
        // docs/staging.md: there is no way to end a statement there; the signal waits for it.
        return interrupted_while_reading(kind);
    }
    let place = Place::seeded(kind, "st_signal");
    let lines = lines(100..700, |id| format!("{id},x,1\n"));
    place.write("f.csv", format!("id,name,v\n{lines}"));
    slow(&place);
    let started = Instant::now();
    let child = place.start(&["f.csv", "--staging=st_signal_wait"]);
    while !is_staged(&place, 600) {
        assert!(started.elapsed() < Duration::from_secs(60), "the rows are never staged");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(400));
    let signalled = Instant::now();
    interrupt(&child);
    let run = Run::of(child, 130).says(&["nothing reached st_signal"]);
    // 600 rows take the trigger 30 seconds.
    assert!(signalled.elapsed() < Duration::from_secs(20), "the statement went on to its end");
    assert_eq!(run.totals(), [0, 0, 0, 600]);
    assert_eq!(run.staging("rows_left"), false);
    assert_eq!(place.content().len(), 3);
    assert_eq!(place.query("SELECT COUNT(*) FROM st_signal_wait")[0][0].as_deref(), Some("0"));
}

fn interrupt(child: &std::process::Child) {
    let pid = child.id().to_string();
    let done = std::process::Command::new("kill").args(["-INT", &pid]).status();
    assert!(done.expect("kill runs").success());
}

/// A signal while rows are still read from a pipe that stays open.
fn interrupted_while_reading(kind: Kind) {
    let place = Place::seeded(kind, "st_signal");
    let arguments = ["-", "--staging=st_signal_wait", "--rejects", "r", "--commit-rows", "1"];
    let mut command = place.command(&arguments);
    command.stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    // More than the head in which the dialect is looked for.
    let lines = lines(100..200_000, |id| format!("{id},x,1\n"));
    let text = format!("id,name,v\n{lines}");
    let writing = std::thread::spawn(move || {
        let _ = std::io::Write::write_all(&mut pipe, text.as_bytes());
        pipe
    });
    let started = Instant::now();
    while place.tables_like("st_signal_wait").is_empty() {
        assert!(started.elapsed() < Duration::from_secs(60), "the table is never made");
        std::thread::sleep(Duration::from_millis(20));
    }
    interrupt(&child);
    let run = Run::of(child, 130).says(&["nothing reached st_signal"]);
    drop(writing.join());
    assert_eq!(run.staging("rows_left"), false);
    assert_eq!(place.content().len(), 3);
    assert_eq!(place.query("SELECT COUNT(*) FROM st_signal_wait")[0][0].as_deref(), Some("0"));
}

/// Rows that a trigger leaves out are missed.
#[test]
fn a_trigger_that_drops_rows_is_seen() {
    let place = Place::seeded(Kind::Postgresql, "st_drops");
    place.execute(
        "CREATE OR REPLACE FUNCTION $T_drops() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN IF NEW.id = 6 THEN RETURN NULL; END IF; RETURN NEW; END $$",
    );
    place.execute(
        "CREATE TRIGGER $T_drops BEFORE INSERT ON $T FOR EACH ROW EXECUTE FUNCTION $T_drops()",
    );
    place.write("f.csv", "id,name,v\n5,a,1\n6,b,2\n7,c,3\n");
    for mode in ["append", "upsert"] {
        let run = place.run(4, &["f.csv", "--staging", "--mode", mode, "--key", "id"]);
        let run = run.says(&["3 rows were sent", "2", "nothing reached st_drops"]);
        assert_eq!(run.totals(), [0, 0, 0, 3]);
        assert_eq!(place.content().len(), 3);
    }
    place.execute("DROP TRIGGER $T_drops ON $T");
    place.execute("DROP FUNCTION $T_drops()");
}

/// `ON DUPLICATE KEY` would change the row that has the other unique value.
#[test]
fn another_unique_index_of_mariadb_is_no_key() {
    let place = Place::seeded(Kind::Mariadb, "st_second");
    place.execute("CREATE UNIQUE INDEX second ON $T (name)");
    place.write("f.csv", "id,name,v\n5,one,1\n");
    let arguments = ["f.csv", "--staging", "--mode", "upsert", "--key", "id"];
    place.run(4, &arguments).says(&["nothing reached st_second"]);
    assert_eq!(place.content(), ["1|one|10", "2|two|20", "9|nine|90"]);
    place.write("f.csv", "id,name,v\n1,uno,1\n5,five,5\n");
    place.run(0, &arguments);
    assert_eq!(place.content(), ["1|uno|1", "2|two|20", "5|five|5", "9|nine|90"]);
}
