//! Jobs and the ledger as the command line knows them.

use crate::support::{Place, Run};

const LOAD: [&str; 5] = ["a.csv", "--table", "t", "--schema", "id INT"];

fn place() -> Place {
    let place = Place::new();
    place.write("a.csv", "id\n1\n2\n");
    place
}

fn load<'a>(more: &[&'a str]) -> Vec<&'a str> {
    LOAD.iter().chain(more).copied().collect()
}

#[test]
fn flags_that_cannot_be() {
    let place = place();
    let long = "n".repeat(101);
    let cases: [(&[&str], &[&str]); 12] = [
        (&["--job", ""], &["must not be empty"]),
        (&["--job", "it's"], &["holds '"]),
        (&["--job", "a\tb"], &["\\u{9}"]),
        (&["--job", &long], &["at most 100", "101"]),
        (&["--restart", "never"], &["auto, new, continue, terminate, off"]),
        (&["--ledger-table", "a.b.c"], &["SCHEMA.NAME"]),
        (&["--ledger-table", "x; DROP TABLE t"], &["ASCII letters"]),
        (&["--job-lease", "60"], &["length of time"]),
        (&["--job-lease", "1s"], &["--job-lease", "at least 5s"]),
        (&["--stop-at", "24:00"], &["00:00 to 23:59"]),
        (&["--to", "null:", "--job", "x"], &["--job", "null:", "no ledger"]),
        (&["--to", "csv:out.csv", "--restart", "new"], &["--restart", "csv:out.csv"]),
    ];
    for (flags, pieces) in cases {
        place.run(load(flags)).expect(64).says(pieces);
    }
    assert!(!place.path("fastload.db").exists());
    place.run(load(&["--to", "null:", "--restart", "off"])).expect(0);
}

#[test]
fn where_the_values_come_from() {
    let place = place();
    place.write("job.yaml", "job: nightly\nledger-table: ops.ledger\n");
    let shown = |run: &Run, key: &str| {
        let line = run.stdout.lines().find(|line| line.trim_start().starts_with(key));
        line.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let mut command = place.command();
    command.env("FASTLOAD_JOB_LEASE", "2m").args(load(&["--config", "job.yaml", "--explain"]));
    let run = Run::of(command.args(["--restart", "continue"])).expect(0);
    assert_eq!(shown(&run, "job "), "job nightly job.yaml job");
    assert_eq!(shown(&run, "ledger-table"), "ledger-table ops.ledger job.yaml ledger-table");
    assert_eq!(shown(&run, "job-lease"), "job-lease 2m environment FASTLOAD_JOB_LEASE");
    assert_eq!(shown(&run, "restart"), "restart continue flag");
    let run = place.run(load(&["--explain"])).expect(0);
    assert_eq!(shown(&run, "restart"), "restart auto default: the same command again resumes");
    assert!(shown(&run, "job-lease").starts_with("job-lease 1m default"));
    let run = place.run(load(&["--explain", "--to", "null:"])).expect(0);
    assert_eq!(shown(&run, "restart"), "restart off default: the target has no ledger");
    let run = place.run(["config", "show", "job.yaml"]).expect(0);
    assert_eq!(shown(&run, "job "), "job nightly job.yaml job");
}
