//! Equal keys inside the inputs.

use serde_json::Value;

use crate::support::{Kind, Place};

/// Two inputs; key 5 stands in both of them and twice in the first, key 6 in both.
fn two_files(place: &Place) {
    place.write("a.csv", "id,name,v\n5,a2,1\n6,\"a\n3\",2\n5,a4,3\n7,a5,4\n");
    place.write("b.csv", "id,name,v\n8,b2,5\n6,b3,6\n5,b4,7\n");
    std::fs::create_dir(place.path("r")).expect("a directory");
}

const FILES: [&str; 6] = ["a.csv", "b.csv", "--rejects", "r", "--staging", "--key"];

fn load<'a>(rule: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = FILES.to_vec();
    arguments.extend(["id", "--duplicates", rule, "--batch-rows", "1", "--writers", "2"]);
    arguments.extend(more);
    arguments
}

pub(crate) fn the_last_one_counts(kind: Kind) {
    let place = Place::seeded(kind, "st_last");
    two_files(&place);
    let run = place.run(0, &load("last", &[]));
    assert_eq!(run.totals(), [4, 0, 3, 0]);
    assert_eq!(run.report["files"][0]["rows_superseded"], 3);
    assert_eq!(run.report["files"][1]["rows_superseded"], 0);
    assert_eq!(place.content()[2..], ["5|b4|7", "6|b3|6", "7|a5|4", "8|b2|5", "9|nine|90"]);
}

pub(crate) fn the_first_one_counts(kind: Kind) {
    let place = Place::seeded(kind, "st_first");
    two_files(&place);
    let run = place.run(0, &load("skip", &[]));
    assert_eq!(run.totals(), [4, 0, 3, 0]);
    assert_eq!(run.report["files"][0]["rows_superseded"], 1);
    assert_eq!(run.report["files"][1]["rows_superseded"], 2);
    assert_eq!(place.content()[2..], ["5|a2|1", "6|a\n3|2", "7|a5|4", "8|b2|5", "9|nine|90"]);
}

/// Nothing is moved, and the first pair is named, with the line and the bytes of its second record.
pub(crate) fn equal_keys_are_an_error(kind: Kind) {
    let place = Place::seeded(kind, "st_error");
    two_files(&place);
    let run = place.run(5, &load("error", &["--max-errors", "all"]));
    let pieces = ["record 3 has the same", "as record 1", "a.csv:5:1", "5,a4,3", "FL-0371"];
    let run = run.says(&pieces).says(&["nothing reached st_error"]);
    assert_eq!(run.totals(), [0, 0, 0, 7]);
    assert_eq!(place.content().len(), 3);
    // It is the default where rows are new.
    place.run(5, &["a.csv", "--staging", "--key", "id"]).says(&["record 3 has the same"]);
}

/// The losers' original bytes, in the order of the inputs, quotes and newlines as they stood.
pub(crate) fn equal_keys_are_rejects(kind: Kind) {
    let place = Place::seeded(kind, "st_reject");
    two_files(&place);
    // A record that the reader refuses keeps its number and its place among the rejects.
    place.write("a.csv", "id,name,v\n5,a2,1\n6,\"a\n3\",2\nx,bad,0\n5,a4,3\n7,a5,4\n6,a6,9\n");
    let run = place.run(2, &load("reject", &["--max-errors", "all"]));
    assert_eq!(run.totals(), [4, 5, 0, 0]);
    assert_eq!(run.report["rejects"]["by_class"]["duplicate"], 4);
    assert_eq!(run.report["files"][0]["rows_rejected"], 3);
    assert_eq!(place.content()[2..], ["5|a2|1", "6|a\n3|2", "7|a5|4", "8|b2|5", "9|nine|90"]);
    assert_eq!(place.read("r/a.csv.rejects"), "x,bad,0\n5,a4,3\n6,a6,9\n");
    assert_eq!(place.read("r/b.csv.rejects"), "6,b3,6\n5,b4,7\n");
    let lines = place.read("r/a.csv.rejects.jsonl");
    let reasons: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let second = &reasons[1];
    assert_eq!(second["class"], "duplicate");
    assert_eq!(second["code"], "FL-0371");
    // Lines count the newline inside the quotes.
    assert_eq!([&second["record"], &second["line"]], [4, 6]);
    let start = "id,name,v\n5,a2,1\n6,\"a\n3\",2\nx,bad,0\n".len();
    assert_eq!(second["byte_offset"], start);
    assert_eq!(second["byte_length"], 7);
    let message = reasons[2]["message"].as_str().expect("a text");
    assert!(message.ends_with("as record 2"), "{message}");
    let other = place.read("r/b.csv.rejects.jsonl");
    assert!(other.contains("as record 2 of a.csv"), "{other}");
    // What cannot be read twice is refused before anything is done.
    let arguments = ["-", "--staging", "--key", "id", "--duplicates", "reject", "--rejects", "p"];
    let mut command = place.command(&arguments);
    command.stdin(std::process::Stdio::piped());
    command.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    let _ = std::io::Write::write_all(&mut pipe, b"id,name,v\n5,x,1\n");
    drop(pipe);
    crate::support::Run::of(child, 64).says(&["reads the inputs a second time"]);
    assert_eq!(place.tables_like("st_reject").len(), 1);
}

pub(crate) fn too_many_equal_keys(kind: Kind) {
    let place = Place::seeded(kind, "st_limit");
    two_files(&place);
    let run = place.run(5, &load("reject", &["--max-errors", "2"]));
    let run = run.says(&["record 3 has the same", "nothing reached st_limit"]);
    no_rejects(&place, &run);
    let run = place.run(2, &load("reject", &["--max-errors", "3"]));
    assert_eq!(run.totals(), [4, 3, 0, 0]);
    let old = place.read("r/a.csv.rejects");
    assert_eq!(old, "5,a4,3\n");
    // The files of an earlier run are not touched by one that rejects nothing.
    let run = place.run(5, &load("reject", &["--mode", "upsert", "--max-errors", "1"]));
    assert_eq!(run.total("rows_rolled_back"), 7);
    assert_eq!(place.read("r/a.csv.rejects"), old);
}

/// Nothing is loaded, nothing counts as rejected, and no reject file says otherwise.
#[track_caller]
fn no_rejects(place: &Place, run: &crate::support::Run) {
    assert_eq!(run.totals(), [0, 0, 0, 7]);
    assert_eq!(place.content().len(), 3);
    assert_eq!(run.report["rejects"]["by_class"].as_object().map(serde_json::Map::len), Some(0));
    assert_eq!(run.report["rejects"]["path"], Value::Null);
    let files = std::fs::read_dir(place.path("r")).expect("a directory");
    assert_eq!(files.count(), 0);
}

/// Equal keys are settled, and then the move fails: their rejects are undone with it, and those of
/// the reader stay.
pub(crate) fn rejects_of_equal_keys_go_with_the_move(kind: Kind) {
    let place = Place::seeded(kind, "st_undone");
    two_files(&place);
    // The target has key 8: the insert is refused.
    place.execute("INSERT INTO $T (id, name, v) VALUES (8, 'eight', 80)");
    place.execute("DELETE FROM $T WHERE id = 1");
    let arguments = load("reject", &["--max-errors", "all"]);
    no_rejects(&place, &place.run(4, &arguments));
    place.write("b.csv", "id,name,v\nx,bad,5\n8,b2,5\n6,b3,6\n5,b4,7\n");
    let run = place.run(4, &arguments);
    assert_eq!(run.totals(), [0, 1, 0, 7]);
    assert_eq!(run.report["rejects"]["by_class"]["conversion"], 1);
    assert_eq!(run.report["rejects"]["by_class"]["duplicate"], Value::Null);
    assert_eq!(place.read("r/b.csv.rejects"), "x,bad,5\n");
    assert_eq!(place.read("r/b.csv.rejects.jsonl").lines().count(), 1);
    assert!(!place.path("r/a.csv.rejects").exists());
}

pub(crate) fn keys_of_several_columns(kind: Kind) {
    let place = Place::seeded(kind, "st_pair");
    let end = if kind == Kind::Mariadb { " ENGINE=InnoDB" } else { "" };
    place.execute("DROP TABLE $T");
    place.execute(&format!(
        "CREATE TABLE $T (id INTEGER NOT NULL, name VARCHAR(20) NOT NULL, v INTEGER, \
         PRIMARY KEY (name, id)){end}"
    ));
    place.execute("INSERT INTO $T (id, name, v) VALUES (1, 'x', 0)");
    place.write("f.csv", "id,name,v\n1,x,1\n1,y,2\n2,x,3\n1,x,4\n1,y,5\n");
    let arguments = ["f.csv", "--staging", "--mode", "upsert", "--key", "id,name"];
    let run = place.run(0, &arguments);
    assert_eq!(run.totals(), [3, 0, 2, 0]);
    assert_eq!(place.content(), ["1|x|4", "2|x|3", "1|y|5"].map(str::to_owned).sorted());
    // No key takes NULL.
    place.write("g.csv", "id,name,v\n1,,1\n");
    place.run(5, &["g.csv", "--staging", "--mode", "upsert", "--key", "id,name"]);
}

trait Sorted {
    fn sorted(self) -> Vec<String>;
}

impl<const N: usize> Sorted for [String; N] {
    /// By id, then v, as the content of a place.
    fn sorted(self) -> Vec<String> {
        let mut rows = self.to_vec();
        rows.sort_by_key(|row| {
            let cells: Vec<&str> = row.split('|').collect();
            (cells[0].to_owned(), cells[2].to_owned())
        });
        rows
    }
}

/// What the target's column takes for equal is equal in the staging table too.
pub(crate) fn equality_is_the_databases_own(kind: Kind) {
    let place = Place::seeded(kind, "st_equal");
    let (ty, equal) = match kind {
        Kind::Sqlite => ("VARCHAR(20) COLLATE NOCASE", ["ab", "AB"]),
        Kind::Mariadb => ("VARCHAR(20) COLLATE utf8mb4_general_ci", ["ab", "AB"]),
        // Blanks at the end are padding.
        Kind::Postgresql | Kind::Db2 => ("CHAR(4)", ["ab", "ab "]),
    };
    let end = if kind == Kind::Mariadb { " ENGINE=InnoDB CHARACTER SET utf8mb4" } else { "" };
    place.execute("DROP TABLE $T");
    place.execute(&format!(
        "CREATE TABLE $T (id {ty} NOT NULL PRIMARY KEY, name VARCHAR(20), v INTEGER){end}"
    ));
    place.write("f.csv", format!("id,name,v\n{},x,1\n\"{}\",y,2\ncd,z,3\n", equal[0], equal[1]));
    let run = place.run(0, &["f.csv", "--staging", "--mode", "upsert", "--key", "id"]);
    assert_eq!(run.totals(), [2, 0, 1, 0]);
    let rows = place.query("SELECT name, v FROM $T ORDER BY v");
    assert_eq!(crate::support::texts(&rows), ["y|2", "z|3"]);
}
