//! What each mode does to the target.

use crate::support::{Kind, Place, Run};

const FILE: &str = "id,name,v\n2,zwei,22\n3,drei,\n4,,44\n";

/// The state of a move that went well, and no staging table left.
#[track_caller]
fn all_moved(place: &Place, run: &Run, rows: u64) {
    assert_eq!(run.total("rows_loaded"), rows);
    assert_eq!(run.staging("moved"), "everything");
    assert_eq!(run.staging("rows_left"), false);
    assert_eq!(run.staging("rows_moved"), rows);
    assert_eq!(place.tables_like(&place.table).len(), 1);
}

pub(crate) fn append_adds(kind: Kind) {
    let place = Place::seeded(kind, "st_append");
    place.write("f.csv", "id,name,v\n3,drei,\n4,,44\n");
    let run = place.run(0, &["f.csv", "--staging"]);
    all_moved(&place, &run, 2);
    assert_eq!(run.staging("all_or_nothing"), true);
    assert_eq!(run.staging("rows_changed"), 2);
    assert_eq!(place.content(), ["1|one|10", "2|two|20", "3|drei|", "4||44", "9|nine|90"]);
}

pub(crate) fn upsert_changes_and_adds(kind: Kind) {
    let place = Place::seeded(kind, "st_upsert");
    place.write("f.csv", FILE);
    let run = place.run(0, &["f.csv", "--staging", "--mode", "upsert", "--key", "id"]);
    all_moved(&place, &run, 3);
    let expected = ["1|one|10", "2|zwei|22", "3|drei|", "4||44", "9|nine|90"];
    assert_eq!(place.content(), expected);
    // The same once more changes nothing, and every record has reached the target again.
    let run = place.run(0, &["f.csv", "--staging", "--mode", "upsert", "--key", "id"]);
    all_moved(&place, &run, 3);
    assert_eq!(place.content(), expected);
}

pub(crate) fn upsert_of_a_key_alone(kind: Kind) {
    let place = Place::seeded(kind, "st_key_only");
    place.write("f.csv", "id\n2\n5\n");
    let run = place.run(0, &["f.csv", "--staging", "--mode", "upsert", "--key", "id"]);
    all_moved(&place, &run, 2);
    assert_eq!(place.content(), ["1|one|10", "2|two|20", "5||", "9|nine|90"]);
}

/// Without a unique index the key may stand in several rows: all of them change.
pub(crate) fn upsert_without_an_index(kind: Kind) {
    let place = Place::seeded(kind, "st_no_index");
    let end = if kind == Kind::Mariadb { " ENGINE=InnoDB" } else { "" };
    place.execute("DROP TABLE $T");
    place.execute(&format!("CREATE TABLE $T (id INTEGER, name VARCHAR(20), v INTEGER){end}"));
    for row in ["2, 'two', 20", "2, 'too', 21", "9, 'nine', 90"] {
        place.execute(&format!("INSERT INTO $T (id, name, v) VALUES ({row})"));
    }
    place.write("f.csv", FILE);
    let run = place.run(0, &["f.csv", "--staging", "--mode", "upsert", "--key", "id"]);
    all_moved(&place, &run, 3);
    assert_eq!(place.content(), ["2|zwei|22", "2|zwei|22", "3|drei|", "4||44", "9|nine|90"]);
}

/// Staged rows, every second of them known, and a target without an index on the key: the
/// statements hold either table against an index, never row against row. Derby's MERGE does not:
/// few rows there.
pub(crate) fn a_target_without_an_index_is_read_once(kind: Kind) {
    let place = Place::new(kind, "st_once");
    let unit = if kind == Kind::Db2 { 10 } else { 2_500 };
    let rows = |from: u64, to: u64, word: &str| {
        let line = |id: u64| format!("{id},{word},{}\n", id % 97);
        format!("id,name,v\n{}", (from * unit..to * unit).map(line).collect::<String>())
    };
    let explained = |arguments: &[&str]| {
        let output = place.command(arguments).arg("--explain").output().expect("the program runs");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let makes = |text: &str| text.contains("CREATE INDEX") && text.contains("DROP INDEX");
    let content = |from: u64, to: u64, word: &str| {
        let sum: u64 = (from * unit..to * unit).sum();
        format!("{word}|{}|{sum}", (to - from) * unit)
    };
    let contents = || {
        let sql = "SELECT name, COUNT(*), SUM(id) FROM $T GROUP BY name ORDER BY name";
        crate::support::texts(&place.query(sql))
    };
    place.write("t.csv", rows(0, 8, "old"));
    let schema = "id INTEGER, name VARCHAR(20), v INTEGER";
    place.run(0, &["t.csv", "--create", "--schema", schema]);
    // A table that is kept has the index for the time of the load only.
    place.write("f.csv", rows(5, 11, "new"));
    let upsert = ["f.csv", "--staging=st_once_wait", "--mode", "upsert", "--key", "id"];
    let text = explained(&upsert);
    assert_eq!(makes(&text), kind != Kind::Postgresql, "{text}");
    for _ in 0..2 {
        let run = place.run(0, &upsert);
        assert_eq!(run.totals(), [6 * unit, 0, 0, 0]);
        assert_eq!(run.staging("rows_left"), false);
        assert_eq!(contents(), [content(5, 11, "new"), content(0, 5, "old")]);
    }
    // In parts, and taken away again; the keys of the last ones are not there.
    place.write("g.csv", rows(8, 14, "gone"));
    let delete = ["g.csv", "--staging", "--mode", "delete", "--key", "id", "--yes"];
    let part = (2 * unit).to_string();
    let run = place.run(0, &[&delete[..], &["--merge-rows", &part]].concat());
    assert_eq!(run.totals(), [6 * unit, 0, 0, 0]);
    assert_eq!(contents(), [content(5, 8, "new"), content(0, 5, "old")]);
    // An index of the target is used where there is one, unique or not.
    place.execute("CREATE INDEX st_once_i ON $T (id)");
    let text = explained(&upsert);
    assert!(kind == Kind::Db2 || !makes(&text), "{text}");
    assert_eq!(place.run(0, &upsert).totals(), [6 * unit, 0, 0, 0]);
}

pub(crate) fn replace_exchanges(kind: Kind) {
    let place = Place::seeded(kind, "st_replace");
    place.write("f.csv", FILE);
    // It needs no --staging, and a yes.
    place.run(64, &["f.csv", "--mode", "replace"]).says(&["--yes"]);
    assert_eq!(place.content().len(), 3);
    let run = place.run(0, &["f.csv", "--mode", "replace", "--yes"]);
    all_moved(&place, &run, 3);
    assert_eq!(run.staging("all_or_nothing"), true);
    assert_eq!(place.content(), ["2|zwei|22", "3|drei|", "4||44"]);
}

pub(crate) fn replace_by_nothing_empties(kind: Kind) {
    let place = Place::seeded(kind, "st_emptied");
    place.write("f.csv", "id,name,v\n");
    let run = place.run(0, &["f.csv", "--mode", "replace", "--yes", "--allow-empty"]);
    all_moved(&place, &run, 0);
    assert!(place.content().is_empty());
}

pub(crate) fn delete_takes_away(kind: Kind) {
    let place = Place::seeded(kind, "st_delete");
    // Only the key is read; a key that is not there takes nothing away, and has done its work.
    place.write("f.csv", "id,name,v\n2,x,y\n7,,\n9,,\n");
    let arguments = ["f.csv", "--staging", "--mode", "delete", "--key", "id", "--yes"];
    let run = place.run(0, &arguments);
    all_moved(&place, &run, 3);
    assert_eq!(run.staging("rows_changed"), 2);
    assert_eq!(place.content(), ["1|one|10"]);
}

pub(crate) fn truncate_empties_first(kind: Kind) {
    let place = Place::seeded(kind, "st_truncate");
    place.write("f.csv", FILE);
    let run = place.run(0, &["f.csv", "--staging", "--mode", "truncate", "--yes"]);
    all_moved(&place, &run, 3);
    assert_eq!(run.staging("all_or_nothing"), false);
    let run = run.says(&["not all or nothing", "--mode replace"]);
    assert_eq!(run.report["warnings"].as_array().map(Vec::len), Some(1));
    assert_eq!(place.content(), ["2|zwei|22", "3|drei|", "4||44"]);
    // A load that fails before the move has not emptied anything.
    place.write("bad.csv", "id,name,v\n5,x,1\nx,y,1\n");
    place.run(5, &["bad.csv", "--staging", "--mode", "truncate", "--yes"]);
    assert_eq!(place.content().len(), 3);
}

/// Small chunks, batches and transactions, two files, several threads: what the sum of all is does
/// not depend on them.
pub(crate) fn many_rows_by_many_writers(kind: Kind) {
    let place = Place::seeded(kind, "st_many");
    let line = |id: u64| format!("{id},row {id},{}\n", id % 97);
    let text = |ids: std::ops::Range<u64>| ids.map(line).collect::<String>();
    place.write("a.csv", format!("id,name,v\n{}", text(10..3_010)));
    place.write("b.csv", format!("id,name,v\n{}", text(2_010..5_010)));
    let work = "--writers 3 --parsers 2 --chunk-bytes 3000 --batch-rows 50 --commit-rows 170";
    let mut arguments = vec!["a.csv", "b.csv", "--rejects", "r", "--staging"];
    arguments.extend(["--mode", "upsert", "--key", "id"]);
    arguments.extend(work.split(' '));
    std::fs::create_dir(place.path("r")).expect("a directory");
    let run = place.run(0, &arguments);
    // Keys 2,010 to 3,009 come again in the second file, which counts.
    assert_eq!(run.totals(), [5_000, 0, 1_000, 0]);
    let by_file = |file: usize, name: &str| run.report["files"][file][name].as_u64();
    assert_eq!(by_file(0, "rows_superseded"), Some(1_000));
    assert_eq!(by_file(1, "rows_superseded"), Some(0));
    assert_eq!(by_file(1, "rows_loaded"), Some(3_000));
    assert_eq!(run.staging("rows_staged"), 6_000);
    let sums = place.query("SELECT COUNT(*), SUM(id), SUM(v) FROM $T WHERE id >= 10");
    let ids = 10..5_010_u64;
    let expected = [5_000, ids.clone().sum(), ids.map(|id| id % 97).sum()];
    assert_eq!(sums[0], expected.map(|n: u64| Some(n.to_string())));
}
