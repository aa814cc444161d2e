//! The staging table itself: made, shared, refused, named.

use crate::support::{Kind, Place};

pub(crate) fn an_own_table_is_gone_afterwards(kind: Kind) {
    let place = Place::seeded(kind, "st_own");
    place.write("f.csv", "id,name,v\n5,a,1\n5,b,2\n");
    let run = place.run(5, &["f.csv", "--staging", "--key", "id"]);
    assert_eq!(run.staging("rows_left"), false);
    assert_eq!(run.staging("moved"), "nothing");
    let name = run.staging("table").as_str().expect("a name").to_lowercase();
    assert!(name.contains("st_own_fastload_"), "{name}");
    assert_eq!(place.tables_like("st_own").len(), 1);
    // The reader's own error ends it too.
    place.write("f.csv", "id,name,v\n5,a,1\nx,b,2\n");
    place.run(5, &["f.csv", "--staging"]).says(&["nothing reached st_own"]);
    assert_eq!(place.tables_like("st_own").len(), 1);
    assert_eq!(place.content().len(), 3);
}

/// The name of the run's column in this database's quotes.
fn own(kind: Kind, column: &str) -> String {
    if kind == Kind::Mariadb { format!("`{column}`") } else { format!("\"{column}\"") }
}

pub(crate) fn a_named_table_is_kept_and_shared(kind: Kind) {
    let place = Place::seeded(kind, "st_shared");
    place.write("f.csv", "id,name,v\n5,a,1\n6,b,2\n");
    let staging = "--staging=st_shared_wait";
    place.run(0, &["f.csv", staging]);
    assert_eq!(place.tables_like("st_shared").len(), 2);
    assert_eq!(place.query("SELECT COUNT(*) FROM st_shared_wait")[0][0].as_deref(), Some("0"));
    // Rows of a run that died stay what they are, and are not moved.
    let [run, file, record] = ["FL_RUN_ID", "FL_FILE", "FL_RECORD"].map(|name| own(kind, name));
    place.execute(&format!(
        "INSERT INTO st_shared_wait ({run}, {file}, {record}, id, name, v) \
         VALUES ('dead-run', 0, 1, 7, 'dead', 7)"
    ));
    place.write("g.csv", "id,name,v\n7,c,3\n7,d,4\n");
    let again = place.run(0, &["g.csv", staging, "--mode", "upsert", "--key", "id"]);
    let again = again.says(&["1 rows of run dead-run", "DELETE FROM", "= 'dead-run'"]);
    assert_eq!(again.totals(), [1, 0, 1, 0]);
    let left = place.query(&format!("SELECT {run}, name FROM st_shared_wait"));
    assert_eq!(left, [[Some("dead-run".to_owned()), Some("dead".to_owned())]]);
    assert!(place.content().contains(&"7|d|4".to_owned()));
    // A run that fails takes its own rows away, and only those.
    let failed = place.run(4, &["f.csv", staging]);
    assert_eq!(failed.staging("rows_left"), false);
    assert_eq!(place.query("SELECT COUNT(*) FROM st_shared_wait")[0][0].as_deref(), Some("1"));
}

pub(crate) fn a_table_that_lacks_a_column_is_refused(kind: Kind) {
    let place = Place::seeded(kind, "st_lacks");
    let end = if kind == Kind::Mariadb { " ENGINE=InnoDB" } else { "" };
    place.execute(&format!(
        "CREATE TABLE st_lacks_wait (id INTEGER NOT NULL, name VARCHAR(20)){end}"
    ));
    place.write("f.csv", "id,name,v\n5,a,1\n");
    let run = place.run(64, &["f.csv", "--staging=st_lacks_wait"]);
    let run = run.says(&["it has no column FL_RUN_ID", "CREATE TABLE"]);
    assert!(run.stderr.to_lowercase().contains("it has no column v"), "{}", run.stderr);
    assert_eq!(place.content().len(), 3);
}

pub(crate) fn a_table_with_another_type_is_refused(kind: Kind) {
    let place = Place::seeded(kind, "st_other");
    place.write("f.csv", "id,name,v\n5,a,1\n");
    place.run(0, &["f.csv", "--staging=st_other_wait"]);
    // The target's column becomes longer than the one in which its values would wait.
    let end = if kind == Kind::Mariadb { " ENGINE=InnoDB" } else { "" };
    place.execute("DROP TABLE $T");
    place.execute(&format!(
        "CREATE TABLE $T (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(50), v INTEGER){end}"
    ));
    let run = place.run(64, &["f.csv", "--staging=st_other_wait"]);
    let text = run.stderr.to_lowercase();
    assert!(text.contains("its column name is"), "{text}");
    assert!(text.contains("(20") && text.contains("(50"), "{text}");
}

pub(crate) fn a_load_may_create_both_tables(kind: Kind) {
    let place = Place::new(kind, "st_create");
    place.write("f.csv", "id,name,v\n5,a,1\n6,,\n");
    let schema = "id INTEGER NOT NULL, name VARCHAR(20), v INTEGER";
    let arguments = ["f.csv", "--create", "--schema", schema, "--staging=st_create_wait"];
    place.run(0, &arguments);
    assert_eq!(place.content(), ["5|a|1", "6||"]);
    assert_eq!(place.tables_like("st_create").len(), 2);
}

pub(crate) fn statements_are_explained(kind: Kind) {
    let place = Place::seeded(kind, "st_explain");
    place.write("f.csv", "id,name,v\n5,a,1\n");
    let arguments = ["f.csv", "--staging", "--mode", "upsert", "--key", "id", "--explain"];
    let output = place.command(&arguments).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).expect("UTF-8").to_uppercase();
    let upsert = match kind {
        Kind::Sqlite => "ON CONFLICT (",
        Kind::Postgresql | Kind::Db2 => "MERGE INTO",
        Kind::Mariadb => "ON DUPLICATE KEY UPDATE",
    };
    let mut from = 0;
    for piece in
        ["CREATE TABLE", "FL_RUN_ID", "INSERT", "SELECT S.", "DELETE", upsert, "DROP TABLE"]
    {
        let at = text[from..].find(piece);
        from += at.unwrap_or_else(|| panic!("{piece} is not behind the others in\n{text}"));
    }
    // Nothing was done.
    assert_eq!(place.tables_like("st_explain").len(), 1);
}
