//! Jobs and the ledger as the command line knows them: flags, verbs, ends of a load.

use serde_json::Value;

use crate::support::{Place, Run, Server, Waiting, row};

const LOAD: [&str; 5] = ["a.csv", "--table", "t", "--schema", "id INT"];

fn place() -> Place {
    let place = Place::resuming();
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
        (&["--to", "csv:out.csv", "--restart", "continue"], &["--restart", "csv:out.csv"]),
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

/// Thirty records, some of which are bad, in transactions of one.
fn place_of(bad: &[usize]) -> Place {
    let place = Place::resuming();
    let record = |at: usize| if bad.contains(&at) { "x\n".to_owned() } else { format!("{at}\n") };
    let records: String = (1..=30).map(record).collect();
    place.write("a.csv", format!("id\n{records}"));
    place
}

/// The rings are small too, so that the writer has taken what stands before a bad record.
const SMALL_COMMITS: [&str; 10] = [
    "--commit-rows",
    "1",
    "--batch-rows",
    "1",
    "--chunk-bytes",
    "16",
    "--parsers",
    "1",
    "--ring-batches",
    "2",
];

fn load_in_steps<'a>(more: &[&'a str]) -> Vec<&'a str> {
    LOAD.iter().chain(&SMALL_COMMITS).chain(more).copied().collect()
}

/// The runs that `status` tells of.
#[track_caller]
fn status(place: &Place, more: &[&str]) -> Vec<Value> {
    let flags = ["status", "--output", "json"].into_iter().chain(more.iter().copied());
    let runs = place.run(flags).expect(0).json();
    runs.as_array().expect("a list").clone()
}

/// Rows that are committed without their range would be loaded again by a resume.
#[test]
fn a_ledger_that_loses_a_range_ends_the_load() {
    let place = place_of(&[17]);
    place.run(["init-ledger"]).expect(0);
    place.sqlite_run(
        "CREATE TRIGGER lose AFTER INSERT ON FASTLOAD_LEDGER WHEN NEW.BYTE_FROM > 40 BEGIN \
         DELETE FROM FASTLOAD_LEDGER WHERE rowid = NEW.rowid; END",
    );
    let run = place.run(load_in_steps(&["--max-errors", "all"])).expect(8);
    run.says(&["records in its ledger and 30 are committed", "do not resume it", "terminate"]);
    place.run(load_in_steps(&["--restart", "terminate"])).expect(0);
}

#[test]
fn the_same_command_resumes_and_then_has_nothing_to_do() {
    let place = place_of(&[17]);
    let run = place.run(load_in_steps(&["--output", "json"])).expect(5);
    let report = run.json();
    let job = report["job"].as_str().expect("a name");
    let run = run.says(&[&format!("job {job} is unfinished"), "same command", "--max-errors"]);
    assert!(!run.stderr.contains("cannot be resumed"), "{}", run.stderr);
    let unfinished = &status(&place, &[])[0];
    assert_eq!(unfinished["job"], job);
    assert_eq!(unfinished["state"], "loading");
    let in_table = || place.sqlite_value("SELECT count(*) FROM t");
    assert_eq!(unfinished["rows_loaded"].to_string(), in_table());
    // What is raised is not another load.
    place.run(load_in_steps(&["--max-errors", "1"])).expect(2);
    assert_eq!(in_table(), "29");
    assert_eq!(place.sqlite_value("SELECT count(DISTINCT id) FROM t"), "29");
    assert_eq!(place.read("a.csv.rejects"), b"x\n");
    let finished = &status(&place, &[job])[0];
    assert_eq!((&finished["state"], &finished["run"]), (&"done".into(), &1.into()));
    assert_eq!((&finished["rows_loaded"], &finished["rows_rejected"]), (&29.into(), &1.into()));
    assert_eq!(finished["owner"], Value::Null);
    let run = place.run(load_in_steps(&["-q", "--max-errors", "1"])).expect(0);
    let run = run.says(&["already loaded", job, "--restart new"]);
    assert_eq!(run.stdout, "");
    assert_eq!(in_table(), "29");
    let report = place.run(load(&["--output", "json"])).expect(0).json();
    assert_eq!((&report["status"], &report["exit_code"]), (&"already_loaded".into(), &0.into()));
    assert_eq!(report["totals"]["rows_loaded"], 0);
    assert_eq!(report["ledger"]["ranges"], 1);
}

#[test]
fn what_status_shows() {
    let place = place_of(&[]);
    place.run(["status"]).expect(64).says(&["no database", "--to"]);
    assert!(!place.path("fastload.db").exists());
    place.run(load(&["--restart", "off"])).expect(0);
    place.run(["status"]).expect(64).says(&["no ledger", "init-ledger"]);
    place.run(["status", "--to", "null:"]).expect(64).says(&["null:", "no ledger"]);
    place.run(load(&["--job", "nightly load #1"])).expect(0);
    place.run(load(&["--job", "nightly load #1", "--restart", "new"])).expect(0);
    place.run(["status", "other"]).expect(64).says(&["no job other"]);
    let runs = status(&place, &["nightly load #1"]);
    let shown: Vec<_> =
        runs.iter().map(|run| (run["run"].as_u64(), run["rows_loaded"].as_u64())).collect();
    assert_eq!(shown, [(Some(1), Some(30)), (Some(2), Some(30))]);
    let size = u64::try_from(place.read("a.csv").len()).expect("a size");
    let run = &runs[1];
    assert_eq!((&run["table"], &run["state"]), (&"t".into(), &"done".into()));
    assert_eq!((run["bytes"].as_u64(), run["ranges"].as_u64()), (Some(size), Some(1)));
    let file = &run["files"][0];
    assert_eq!((&file["path"], file["size_bytes"].as_u64()), (&"a.csv".into(), Some(size)));
    assert_eq!((file["committed_bytes"].as_u64(), &file["rows_rejected"]), (Some(size), &0.into()));
    for time in ["started", "updated"] {
        let text = run[time].as_str().expect("a text");
        assert!(text.starts_with("20") && text.ends_with('Z'), "{text}");
    }
    assert!(run["facts"]["dialect"].as_str().expect("a text").contains("csv"), "{run}");
    let text = place.run(["status", "nightly load #1"]).expect(0).stdout;
    for piece in ["nightly load #1", "done", "a.csv", "dialect: --dialect=csv", "mode: append"] {
        assert!(text.contains(piece), "{piece} is not in\n{text}");
    }
}

#[test]
fn an_unfinished_job_is_given_up() {
    let place = place_of(&[5, 17]);
    let limited = ["--job", "nightly", "--max-errors", "1"];
    place.run(load_in_steps(&limited)).expect(5).says(&["job nightly is unfinished"]);
    assert!(place.path("a.csv.rejects.parts").exists());
    place.run(["abort", "other", "--yes"]).expect(64).says(&["no job other"]);
    place.run(["abort", "nightly"]).expect(64).says(&["a.csv.rejects.parts", "--yes"]);
    assert_eq!(status(&place, &["nightly"])[0]["state"], "loading");
    let loaded = place.sqlite_value("SELECT count(*) FROM t");
    place
        .run(["abort", "nightly", "--yes"])
        .expect(0)
        .says(&["is given up", "a.csv.rejects.parts"]);
    assert!(!place.path("a.csv.rejects.parts").exists());
    assert_eq!(place.sqlite_value("SELECT count(*) FROM t"), loaded);
    assert_eq!(status(&place, &["nightly"])[0]["state"], "aborted");
    let again = place.run(["abort", "nightly", "--yes", "--output", "json"]).expect(0);
    assert_eq!(again.json()["aborted"], false);
    // Nothing is left to continue, and a new run begins at the beginning.
    place.run(load_in_steps(&["--job", "nightly", "--restart", "continue"])).expect(64);
    place.run(load_in_steps(&["--job", "nightly", "--max-errors", "all"])).expect(2);
    let both = loaded.parse::<u64>().expect("a number") + 28;
    assert_eq!(place.sqlite_value("SELECT count(*) FROM t"), both.to_string());
}

#[test]
fn a_start_can_end_its_job() {
    let place = place_of(&[17]);
    place.run(load_in_steps(&["--job", "j"])).expect(5);
    let run = place.run(load_in_steps(&["--job", "j", "--restart", "terminate"])).expect(0);
    run.says(&["job j", "given up"]);
    assert_eq!(status(&place, &["j"])[0]["state"], "aborted");
}

#[test]
fn a_job_that_is_worked_on() {
    let waiting = Waiting::start(&["--job", "held"]);
    let Waiting { place, mut child, pipe } = waiting;
    place.write("a.csv", "id\n1\n");
    // The load has begun when its job is in the ledger.
    let begun = || {
        let run = place.run(["status", "held", "--output", "json"]);
        run.status == 0 && run.json()[0]["owner"]["alive"] == true
    };
    while !begun() {
        assert!(child.try_wait().expect("it is ours").is_none(), "the load ended by itself");
    }
    place.run(load(&["--job", "held"])).expect(11).says(&["job held", "process"]);
    place.run(["abort", "held", "--yes"]).expect(11).says(&["job held", "process"]);
    drop(pipe);
    Run::end_of(child).expect(0);
    assert_eq!(status(&place, &["held"])[0]["state"], "done");
}

#[test]
fn the_tables_of_the_ledger() {
    let place = Place::resuming();
    let tables =
        || place.sqlite("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name");
    place.run(["init-ledger", "--to", "csv:x.csv"]).expect(64).says(&["no ledger"]);
    let printed = place.run(["init-ledger", "--print"]).expect(0).stdout;
    assert_eq!(tables(), Vec::<Vec<_>>::new());
    place.run(["init-ledger"]).expect(0).says(&["FASTLOAD_LEDGER is made"]);
    let names =
        ["FASTLOAD_LEDGER", "FASTLOAD_LEDGER_FACT", "FASTLOAD_LEDGER_FENCE", "FASTLOAD_LEDGER_JOB"];
    assert_eq!(tables(), names.map(|name| row([name])));
    place.run(["init-ledger"]).expect(0).says(&["was there already"]);
    // The statements printed make the same tables.
    place.write("ddl.sql", &printed);
    let made = rusqlite::Connection::open(place.path("by_hand.db")).expect("a database");
    made.execute_batch(&printed).expect("statements");
    drop(made);
    let by_hand = ["init-ledger", "--to", "sqlite:by_hand.db", "--output", "json"];
    assert_eq!(place.run(by_hand).expect(0).json()["created"], false);
    place.run(["init-ledger", "--ledger-table", "ops"]).expect(0).says(&["ledger ops is made"]);
    place.write("a.csv", "id\n1\n");
    place.run(load(&["--ledger-table", "ops", "--job", "j"])).expect(0);
    assert_eq!(status(&place, &[]).len(), 0);
    assert_eq!(status(&place, &["--ledger-table", "ops"]).len(), 1);
}

#[test]
fn mended_rejects_are_loaded_as_their_job_was() {
    let place = Place::resuming();
    place.write(
        "a.csv",
        "note;id;name\nn1;1;ada\nn2;x;\"e;ve\"\nn3;3;grace\nn4;4;far too long\nn5;5;''\n",
    );
    let first = [
        "a.csv",
        "--table",
        "t",
        "--schema",
        "name VARCHAR(5), id INT NOT NULL, source VARCHAR(9)",
        "--delimiter",
        ";",
        "--columns=-note",
        "--const",
        "source=a, b",
        "--max-errors",
        "all",
        "--job",
        "nightly",
    ];
    place.run(first).expect(2);
    let rejects = String::from_utf8(place.read("a.csv.rejects")).expect("text");
    assert_eq!(rejects, "n2;x;\"e;ve\"\nn4;4;far too long\n");
    place.write("mended", rejects.replace("x;", "2;").replace("far too long", "far"));
    let retry = ["mended", "--retry-of", "nightly", "--output", "json"];
    let report = place.run(retry).expect(0).json();
    assert_eq!(
        (&report["totals"]["rows_loaded"], &report["target"]["table"]),
        (&2.into(), &"t".into())
    );
    assert_ne!(report["job"], "nightly");
    assert_eq!(
        place.sqlite("SELECT id, name, source FROM t ORDER BY id"),
        [
            row(["1", "ada", "a, b"]),
            row(["2", "e;ve", "a, b"]),
            row(["3", "grace", "a, b"]),
            row(["4", "far", "a, b"]),
            row(["5", "''", "a, b"]),
        ]
    );
    place.run(retry).expect(0).says(&["already loaded"]);
    // The books: two were rejected, and both are in by the other job.
    let runs = status(&place, &["nightly"]);
    assert_eq!((&runs[0]["rows_loaded"], &runs[0]["rows_rejected"]), (&3.into(), &2.into()));
    let retries = runs[0]["retries"].as_array().expect("a list");
    assert_eq!(retries.len(), 1);
    let of_retry = |name: &str| retries[0][name].clone();
    assert_eq!((of_retry("job"), of_retry("state")), (report["job"].clone(), "done".into()));
    assert_eq!((of_retry("rows_loaded"), of_retry("rows_rejected")), (2.into(), 0.into()));
    let runs = status(&place, &[report["job"].as_str().expect("a name")]);
    assert_eq!(runs[0]["retry_of"]["job"], "nightly");
    let text = place.run(["status", "nightly"]).expect(0).stdout;
    for piece in ["2 loaded, 0 rejected again", "of 2 rejects, 0 are not retried"] {
        assert!(text.contains(piece), "{text}");
    }
    place.run(["mended", "--retry-of", "other"]).expect(64).says(&["no job other"]);
    place.run(["mended", "--retry-of", "nightly", "--table", "u"]).expect(64).says(&["loads t"]);
    let formats = ["mended", "--retry-of", "nightly", "--date-format", "yyyymmdd"];
    place.run(formats).expect(64).says(&["--date-format"]);
    place.sqlite_run("ALTER TABLE t RENAME COLUMN name TO title");
    place.run(["mended", "--retry-of", "nightly"]).expect(64).says(&["other columns"]);
}

#[test]
fn servers_keep_the_ledger_too() {
    Server::each(|server| {
        let place = place_of(&[17]);
        let drop_all = || {
            for table in ["", "_JOB", "_FENCE", "_FACT"] {
                server.query(&format!("DROP TABLE IF EXISTS cli_ledger{table}"));
            }
            server.drop_table("cli_restart");
        };
        drop_all();
        let ledger = ["--ledger-table", "cli_ledger"];
        let run = |arguments: &[&str]| server.run(&place, arguments.iter().chain(&ledger));
        run(&["init-ledger"]).expect(0).says(&["is made"]);
        let load = ["a.csv", "--table", "cli_restart", "--create", "--job", "nightly"];
        let load: Vec<&str> = load.iter().chain(&SMALL_COMMITS).copied().collect();
        let load = [&load[..], &["--schema", "id INT", "--writers", "1"]].concat();
        run(&load).expect(5).says(&["job nightly is unfinished"]);
        let in_table = || server.value("SELECT count(*) FROM cli_restart");
        let status = || {
            let runs = run(&["status", "nightly", "--output", "json"]).expect(0).json();
            runs.as_array().and_then(|runs| runs.last().cloned()).expect("a run")
        };
        assert_eq!(status()["rows_loaded"].to_string(), in_table());
        let before = in_table();
        run(&["abort", "nightly", "--yes"]).expect(0);
        assert_eq!((&status()["state"], in_table()), (&"aborted".into(), before));
        server.query("DELETE FROM cli_restart");
        run(&load).expect(5);
        run(&[&load[..], &["--max-errors", "1"]].concat()).expect(2);
        assert_eq!((&status()["run"], in_table().as_str()), (&2.into(), "29"));
        drop_all();
    });
}
