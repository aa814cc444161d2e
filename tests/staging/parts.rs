//! `--merge-rows`: several transactions, and what a failure between them leaves.

use crate::support::{Kind, Place, lines};

pub(crate) fn parts_are_moved_one_by_one(kind: Kind) {
    let place = Place::seeded(kind, "st_parts");
    let lines = lines(100..350, |id| format!("{id},x,{id}\n"));
    place.write("f.csv", format!("id,name,v\n2,zwei,0\n{lines}2,two,1\n"));
    let arguments = ["f.csv", "--staging=st_parts_wait", "--mode", "upsert", "--key", "id"];
    for size in ["1000", "100", "1"] {
        let arguments = [&arguments[..], &["--merge-rows", size]].concat();
        let run = place.run(0, &arguments).says(&["not all or nothing"]);
        assert_eq!(run.totals(), [251, 0, 1, 0]);
        assert_eq!(run.staging("all_or_nothing"), false);
        assert_eq!(run.staging("rows_moved"), 251);
        assert_eq!(place.query("SELECT COUNT(*) FROM st_parts_wait")[0][0].as_deref(), Some("0"));
    }
    let sums = place.query("SELECT COUNT(*), SUM(v) FROM $T");
    let expected = (100..350_u32).sum::<u32>() + 10 + 90 + 1;
    assert_eq!(sums[0], [Some("253".to_owned()), Some(expected.to_string())]);
    place.run(64, &["f.csv", "--mode", "replace", "--yes", "--merge-rows", "5"]);
    place.run(64, &["f.csv", "--merge-rows", "5"]).says(&["--staging"]);
}

pub(crate) fn a_failed_part_leaves_the_rest(kind: Kind) {
    let place = Place::seeded(kind, "st_rest");
    // Of 7 rows the sixth is refused: two parts of two are in, the third is not.
    place.write("f.csv", "id,name,v\n11,a,1\n12,a,2\n13,a,3\n14,a,4\n15,a,5\n9,a,6\n16,a,7\n");
    let work = ["--writers", "1", "--parsers", "1", "--merge-rows", "2"];
    let arguments = [&["f.csv", "--staging=st_rest_wait"][..], &work].concat();
    let run = place.run(4, &arguments);
    let id = run.staging("run_id").as_str().expect("an id").to_owned();
    let run = run.says(&["4 rows reached st_rest", "st_rest_wait", &id]);
    assert_eq!(run.totals(), [4, 0, 0, 3]);
    assert_eq!(run.staging("moved"), "part");
    assert_eq!(run.staging("rows_left"), true);
    assert_eq!(place.content()[3..], ["11|a|1", "12|a|2", "13|a|3", "14|a|4"]);
    let left = place.query("SELECT id FROM st_rest_wait ORDER BY id");
    assert_eq!(crate::support::texts(&left), ["9", "15", "16"]);
    // Of our own table the same: its rows are the only ones of the load that are left.
    place.execute("DELETE FROM $T WHERE id > 10");
    let run = place.run(4, &[&["f.csv", "--staging"][..], &work].concat());
    let table = run.staging("table").as_str().expect("a name");
    assert!(run.stderr.contains(table), "{}", run.stderr);
    assert_eq!(place.tables_like("st_rest").len(), 3);
}
