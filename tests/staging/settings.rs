//! What is done to tables as a whole, and attributes of staging tables that some databases lack.

use crate::support::{Kind, Place};

const FILE: &str = "id,name,v\n5,a,1\n6,b,2\n";

pub(crate) fn a_move_may_lock_its_table(kind: Kind) {
    let place = Place::seeded(kind, "st_lock");
    place.write("f.csv", FILE);
    let arguments = ["f.csv", "--staging", "--lock-table"];
    place.run(64, &["f.csv", "--lock-table"]).says(&["--staging"]);
    if kind == Kind::Mariadb {
        place.run(64, &arguments).says(&["LOCK TABLES"]);
        assert_eq!(place.tables_like("st_lock").len(), 1);
        return;
    }
    place.run(0, &arguments);
    assert_eq!(place.content().len(), 5);
    let explained = place.command(&[&arguments[..], &["--explain"]].concat()).output();
    let text = String::from_utf8(explained.expect("it runs").stdout).expect("UTF-8");
    assert_eq!(text.contains("LOCK TABLE"), kind != Kind::Sqlite, "{text}");
}

pub(crate) fn statistics_are_renewed(kind: Kind) {
    let place = Place::seeded(kind, "st_stats");
    place.write("f.csv", FILE);
    for staging in ["--staging=false", "--staging"] {
        let status = if kind == Kind::Db2 { 64 } else { 0 };
        let run = place.run(status, &["f.csv", staging, "--runstats"]);
        if kind == Kind::Db2 {
            run.says(&["schema"]);
            return derby_has_no_runstats(&place);
        }
        assert_eq!(run.report["warnings"].as_array().map(Vec::len), Some(0));
        place.write("f.csv", "id,name,v\n7,a,1\n8,b,2\n");
    }
    let rows = match kind {
        Kind::Sqlite => "SELECT stat FROM sqlite_stat1 WHERE tbl = '$T'",
        Kind::Postgresql => "SELECT reltuples::int::text FROM pg_class WHERE relname = '$T'",
        _ => "SELECT table_rows FROM information_schema.tables WHERE table_name = '$T'",
    };
    let answer = place.query(rows)[0][0].clone().unwrap_or_default();
    assert!(answer.starts_with('7'), "{answer}");
}

/// The rows are in, and the warning says so.
fn derby_has_no_runstats(place: &Place) {
    let schema = place.query("VALUES CURRENT SCHEMA")[0][0].clone().expect("a schema");
    let name = format!("{}.{}", schema.trim_end(), place.table.to_uppercase());
    let run = place.run_into(&name, 0, &["f.csv", "--runstats"]);
    run.says(&["all rows are loaded; --runstats failed"]);
    assert_eq!(place.content().len(), 5);
}

pub(crate) fn integrity_is_checked_in_db2_only(kind: Kind) {
    let place = Place::seeded(kind, "st_integrity");
    place.write("f.csv", FILE);
    let arguments = ["f.csv", "--staging", "--set-integrity"];
    if kind == Kind::Db2 {
        // Derby does not know the statement: the rows stay, and the status says that it failed.
        let run = place.run(4, &arguments);
        run.says(&["all rows are loaded; --set-integrity failed: SET INTEGRITY FOR", "all 2 rows"]);
        assert_eq!(place.content().len(), 5);
    } else {
        place.run(64, &arguments).says(&["checks constraints as it goes"]);
        assert_eq!(place.content().len(), 3);
    }
}

pub(crate) fn attributes_are_db2s(kind: Kind) {
    let place = Place::seeded(kind, "st_attributes");
    place.write("f.csv", FILE);
    let arguments = ["f.csv", "--staging", "--staging-attributes", "append-on"];
    if kind == Kind::Db2 {
        // Derby does not know the attribute, and says so before the first row.
        place.run(4, &arguments);
    } else {
        place.run(64, &arguments).says(&["--staging-attributes append-on"]);
    }
    assert_eq!(place.content().len(), 3);
}
