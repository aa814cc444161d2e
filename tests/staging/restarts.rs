//! Staged loads that are resumed, or given up.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::{Kind, Place};

const AUTO: [&str; 2] = ["--restart", "auto"];

fn refused(kind: Kind, table: &str, more: &[&str]) -> (Place, Vec<String>) {
    let place = Place::seeded(kind, table);
    // Key 9 is in the target, and equal keys of the file are settled before anything is moved.
    place.write("f.csv", "id,name,v\n5,a,1\n9,b,2\n6,c,3\nbad,d,4\n");
    let arguments = ["f.csv", "--max-errors", "5"].iter().chain(&AUTO).chain(more);
    let mut arguments: Vec<String> = arguments.map(|&text| text.to_owned()).collect();
    // The ledger of a server remembers earlier runs of the tests.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    arguments.extend(["--job".to_owned(), format!("{table}-{now}")]);
    (place, arguments)
}

fn of(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// The rows that wait are moved by the next start, which reads nothing of the file again.
pub(crate) fn a_move_is_made_up_for(kind: Kind) {
    for staging in ["--staging", "--staging=st_later_wait"] {
        let (place, arguments) = refused(kind, "st_later", &[staging]);
        let run = place.run(4, &of(&arguments));
        assert_eq!(run.staging("rows_left"), true);
        assert_eq!(place.content(), ["1|one|10", "2|two|20", "9|nine|90"]);
        place.execute("DELETE FROM $T WHERE id = 9");
        let run = place.run(2, &of(&arguments));
        assert_eq!((run.total("rows_loaded"), run.total("rows_skipped")), (3, 1));
        assert_eq!(run.staging("moved"), "everything");
        let content = ["1|one|10", "2|two|20", "5|a|1", "6|c|3", "9|b|2"];
        assert_eq!(place.content(), content);
        assert_eq!(place.read("f.csv.rejects"), "bad,d,4\n");
        let left = place.tables_like("st_later").len();
        assert_eq!(left, if staging == "--staging" { 1 } else { 2 });
        assert_eq!(place.run(0, &of(&arguments)).report["status"], "already_loaded");
        assert_eq!(place.content(), content);
    }
}

/// Equal keys that were settled stay settled, and their rejects are written once.
pub(crate) fn what_is_settled_stays_settled(kind: Kind) {
    let more = ["--staging", "--key", "id", "--duplicates", "reject"];
    let (place, arguments) = refused(kind, "st_again", &more);
    place.write("f.csv", "id,name,v\n5,a,1\n9,b,2\n5,c,3\nbad,d,4\n");
    place.run(4, &of(&arguments));
    place.execute("DELETE FROM $T WHERE id = 9");
    let run = place.run(2, &of(&arguments));
    assert_eq!((run.total("rows_loaded"), run.total("records_read")), (2, 4));
    assert_eq!(place.content(), ["1|one|10", "2|two|20", "5|a|1", "9|b|2"]);
    assert_eq!(place.read("f.csv.rejects"), "5,c,3\nbad,d,4\n");
}

/// A job that is given up leaves nothing that waits.
pub(crate) fn a_job_that_is_given_up_is_cleaned_up(kind: Kind) {
    let (place, arguments) = refused(kind, "st_gone", &["--staging"]);
    place.run(4, &of(&arguments));
    assert_eq!(place.tables_like("st_gone").len(), 2);
    let mut terminate = of(&arguments);
    terminate.extend(["--restart", "terminate"]);
    terminate.retain(|word| !["auto"].contains(word));
    let at = terminate.iter().position(|word| *word == "--restart").expect("it is there");
    terminate.remove(at);
    place.run(0, &terminate);
    assert_eq!(place.tables_like("st_gone").len(), 1);
    assert_eq!(place.content(), ["1|one|10", "2|two|20", "9|nine|90"]);
    assert!(!place.path("f.csv.rejects.parts").exists());
}
