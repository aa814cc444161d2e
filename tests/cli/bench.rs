//! `fastload bench`: what its steps leave behind.

use crate::support::Place;

/// Long enough for many batches, with NULLs, quotes and a text that widens the arenas late.
fn file(place: &Place) -> usize {
    let mut text = String::from("id,name\n");
    for id in 0..3_000 {
        let name = match id % 5 {
            0 => String::new(),
            1 => format!("\"a \"\"{id}\"\"\nb\""),
            2 if id > 2_000 => "long ".repeat(id % 40),
            _ => format!("n{id}"),
        };
        text.push_str(&format!("{id},{name}\n"));
    }
    place.write("a.csv", text);
    3_000
}

const TO: [&str; 6] =
    ["a.csv", "--table", "t", "--header", "--schema", "id INT NOT NULL, name VARCHAR(300)"];

#[test]
fn rows_from_memory_are_those_of_a_load() {
    let place = Place::new();
    let rows = file(&place);
    let small = ["--batch-rows", "64", "--commit-rows", "500"];
    place.run(TO.iter().chain(&["--to", "sqlite:load.db"])).expect(0);
    let bench = ["bench", "--steps", "sink", "--output", "json", "--to", "sqlite:fastload.db"];
    let measured = place.run(bench.iter().chain(&TO).chain(&small)).expect(0).json();
    let steps = measured.as_array().expect("one object a step");
    assert_eq!(steps.len(), 1, "{measured}");
    assert_eq!(steps[0]["name"], "sink");
    assert_eq!(steps[0]["records"], rows);
    assert!(steps[0]["cpu_seconds"].as_f64() > Some(0.0), "{measured}");
    let load = place.path("load.db");
    place.sqlite_run(&format!(
        "ATTACH '{}' AS l; CREATE TABLE both AS SELECT count(*) AS n FROM \
         (SELECT id, name FROM main.t INTERSECT SELECT id, name FROM l.t)",
        load.display()
    ));
    assert_eq!(place.sqlite_value("SELECT count(*) FROM t"), rows.to_string());
    assert_eq!(place.sqlite_value("SELECT n FROM both"), rows.to_string());
}

#[test]
fn bad_records_are_not_measured() {
    let place = Place::new();
    place.write("a.csv", "id,name\n1,a\nx,b\n");
    let run = place.run(["bench", "--steps", "sink"].iter().chain(&TO)).expect(64);
    assert!(run.stderr.contains("1 records are bad"), "{}", run.stderr);
}

#[test]
fn steps_come_in_the_order_in_which_they_are_asked_for() {
    let place = Place::new();
    let rows = file(&place);
    let bench = ["bench", "--steps", "null,split", "--output", "json"];
    let measured = place.run(bench.iter().chain(&TO)).expect(0).json();
    let names: Vec<_> = measured.as_array().expect("steps").iter().collect();
    assert_eq!((&names[0]["name"], &names[1]["name"]), (&"null sink".into(), &"split".into()));
    assert!(names.iter().all(|step| step["records"] == rows || step["name"] == "split"));
    assert_eq!(place.run(["bench", "--steps", "nothing"].iter().chain(&TO)).status, 64);
}
