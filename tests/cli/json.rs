//! The result as JSON, the summaries, and what goes to which output.

use serde_json::{Map, Value};

use crate::support::{Place, Run, Waiting, signal, start};

const BAD: &str = "id,name\n1,ada\nx,eve\n3,grace\n4,\"\"\n";
const LOAD: [&str; 7] = [
    "a.csv",
    "--table",
    "t",
    "--schema",
    "id INT NOT NULL, name VARCHAR(5)",
    "--max-errors",
    "all",
];

fn place() -> Place {
    let place = Place::new();
    place.write("a.csv", BAD);
    place
}

fn keys(value: &Value) -> Vec<&str> {
    let object: &Map<String, Value> = value.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}

const COUNTS: [&str; 7] = [
    "records_read",
    "rows_loaded",
    "rows_rejected",
    "rows_skipped",
    "rows_filtered",
    "rows_superseded",
    "rows_rolled_back",
];

#[track_caller]
fn counts_add_up(counts: &Value) {
    let number = |name: &&str| counts[*name].as_u64().expect("a count");
    let parts: u64 = COUNTS[1..].iter().map(number).sum();
    assert_eq!(number(&COUNTS[0]), parts, "{counts}");
}

#[test]
fn the_fields_of_the_contract() {
    let place = place();
    let run = place.run(LOAD.into_iter().chain(["--output", "json"])).expect(2);
    assert_eq!(run.stdout.lines().count(), 1, "one document, on one line");
    let report = run.json();
    // In this order; fields may only be added behind them.
    let top = [
        "job",
        "status",
        "exit_code",
        "target",
        "files",
        "totals",
        "seconds",
        "rows_per_second",
        "bytes_per_second",
        "peak_rss_bytes",
        "stages",
        "bottleneck",
        "rejects",
        "dialect",
        "ledger",
    ];
    assert_eq!(keys(&report)[..top.len()], top);
    assert_eq!(keys(&report["target"]), ["url", "table", "profile"]);
    let counts = [&["bytes"][..], &COUNTS].concat();
    assert_eq!(keys(&report["totals"]), counts);
    assert_eq!(
        keys(&report["files"][0])[..6],
        ["path", "bytes", COUNTS[0], COUNTS[1], COUNTS[2], COUNTS[3]]
    );
    assert_eq!(keys(&report["stages"])[..4], ["parse", "ring", "write", "commit"]);
    assert_eq!(
        keys(&report["stages"]["ring"])[..3],
        ["full_seconds", "empty_seconds", "high_water"]
    );
    assert_eq!(
        keys(&report["stages"]["write"])[..3],
        ["busy_seconds", "batch_p50_ms", "batch_p99_ms"]
    );
    for stage in ["parse", "commit"] {
        assert_eq!(keys(&report["stages"][stage])[0], "busy_seconds");
    }
    assert_eq!(keys(&report["bottleneck"]), ["stage", "advice"]);
    assert_eq!(keys(&report["rejects"]), ["path", "by_class"]);
    assert_eq!(report["ledger"]["ranges"], 1, "a finished run has one range a file");
    assert!(report["dialect"]["delimiter"].is_string() || report["dialect"]["dialect"].is_string());
    // What they say.
    assert_eq!(report["status"], "loaded_with_rejects");
    assert_eq!(report["exit_code"], 2);
    assert_eq!(report["target"]["url"], "sqlite:fastload.db");
    assert_eq!(report["target"]["table"], "t");
    assert_eq!(report["files"][0]["path"], "a.csv");
    assert_eq!(report["totals"]["bytes"], BAD.len());
    assert_eq!(report["totals"]["records_read"], 4);
    assert_eq!(report["totals"]["rows_loaded"], 3);
    assert_eq!(report["rejects"]["path"], "a.csv.rejects");
    assert_eq!(report["rejects"]["by_class"]["conversion"], 1);
    assert!(report["peak_rss_bytes"].as_u64() > Some(0));
    counts_add_up(&report["totals"]);
    counts_add_up(&report["files"][0]);
}

/// The monitor looks every five seconds; the load is held open until it has.
#[test]
fn looks_at_the_queues_are_events() {
    let waiting = Waiting::start(&["--events", "events", "--log-file", "log", "-q"]);
    let Waiting { place, child, pipe } = waiting;
    let event = look(&place);
    drop(pipe);
    Run::end_of(child).expect(0);
    assert!(event["seconds"].as_f64() >= Some(5.0), "{event}");
    // All that was sent is written, and the pipe is empty.
    assert_eq!((&event["chunks_ahead"], &event["ring_batches"]), (&0.into(), &0.into()));
    assert!(event["chunks_ahead_max"].as_u64() > Some(0), "{event}");
    assert_eq!(event["findings"], serde_json::json!(["queues_empty"]));
    let log = String::from_utf8(place.read("log")).expect("text");
    assert!(log.contains("queue depths") && log.contains("queues empty"), "{log}");
}

/// Each row takes a trigger a while, so that rings and read-ahead are full at every look.
#[test]
fn full_queues_are_events_and_warnings() {
    let place = Place::new();
    place.sqlite_run(
        "CREATE TABLE t (id BIGINT, v TEXT);
         CREATE TRIGGER slow AFTER INSERT ON t BEGIN
             SELECT count(*) FROM (WITH RECURSIVE c(x) AS
                 (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100000) SELECT x FROM c);
         END",
    );
    let lines: Vec<_> = (0..40_000).map(|id| format!("{id},{}\n", "v".repeat(90))).collect();
    place.write("a.csv", lines.concat());
    let load = ["a.csv", "--table", "t", "--dialect", "csv", "--no-header", "--io", "read"];
    let narrow = ["--batch-rows", "1", "--ring-batches", "2", "--chunk-bytes", "64kB"];
    let output = ["--events", "events", "--log-file", "log", "-q"];
    let child = start(place.command().args(load.iter().chain(&narrow).chain(&output)));
    let event = look(&place);
    signal(&child, "TERM");
    Run::end_of(child).expect(143);
    assert_eq!(event["findings"], serde_json::json!(["parsers_slow", "writers_slow"]), "{event}");
    let log = String::from_utf8(place.read("log")).expect("text");
    for warning in ["read-ahead near capacity", "rings near capacity"] {
        let line = log.lines().find(|line| line.contains(warning));
        assert!(line.is_some_and(|line| line.contains("WARN")), "{warning}: {log}");
    }
}

/// The first look of the monitor, once it is there.
fn look(place: &Place) -> Value {
    loop {
        let text = String::from_utf8(place.read_if_there("events")).expect("text");
        let line = text.lines().find(|line| line.contains("\"queues\""));
        if let Some(line) = line {
            return serde_json::from_str(line).expect("an object");
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

#[test]
fn counts_of_loads_that_stop() {
    let place = place();
    for more in [
        &["--max-errors", "0"][..],
        &["--before", "bad sql"],
        &["--after", "bad sql"],
        &["--limit", "2"],
        &["--offset-records", "1"],
        &["--limit", "1", "--offset-records", "2"],
        &["--mode", "truncate", "--yes"],
    ] {
        let run = place.run(LOAD[..5].iter().chain(more).chain(&["--output", "json"]));
        let report = run.json();
        assert_eq!(report["exit_code"], run.status, "{more:?}");
        counts_add_up(&report["totals"]);
        // A load that fails before its first record lists no files.
        report["files"].as_array().expect("a list").iter().for_each(counts_add_up);
    }
}

#[test]
fn rejects_as_json_lines() {
    let place = place();
    place.run(LOAD).expect(2);
    let line: Value =
        serde_json::from_slice(&place.read("a.csv.rejects.jsonl")).expect("one object");
    assert_eq!(
        keys(&line),
        [
            "file",
            "record",
            "line",
            "byte_offset",
            "byte_length",
            "column_index",
            "column",
            "type",
            "class",
            "code",
            "sqlstate",
            "native",
            "message",
        ]
    );
    let offset = BAD.find('x').expect("the bad record");
    assert_eq!(line["file"], "a.csv");
    assert_eq!((&line["record"], &line["line"]), (&2.into(), &3.into()));
    assert_eq!((&line["byte_offset"], &line["byte_length"]), (&offset.into(), &6.into()));
    assert_eq!((&line["column_index"], &line["column"]), (&1.into(), &"id".into()));
    assert_eq!((&line["class"], &line["code"]), (&"conversion".into(), &"FL-0311".into()));
    assert_eq!(line["sqlstate"], Value::Null);
}

#[test]
fn each_output_has_its_own() {
    let place = place();
    // Text.
    let run = place.run(LOAD).expect(2);
    assert!(run.stdout.contains("3 rows into t in sqlite:fastload.db"), "{}", run.stdout);
    assert!(!run.stdout.contains("dialect:") && run.stderr.contains("dialect:"));
    // Quiet.
    let run = place.run(LOAD.into_iter().chain(["-q"])).expect(2);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    let run = place.run(LOAD.into_iter().chain(["-q", "--output", "json"])).expect(2);
    assert_eq!(run.json()["exit_code"], 2);
    let run = place.run(LOAD[..5].iter().chain(&["-q"])).expect(5);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.contains("error[FL-0311]"), "an error is never quiet");
    // Colour.
    let colored = |more: &[&str], no_color: bool| {
        let mut command = place.command();
        if no_color {
            command.env("NO_COLOR", "1");
        }
        let output = command.args(&LOAD[..5]).args(more).output().expect("it runs");
        output.stderr.contains(&0x1b)
    };
    assert!(!colored(&[], false), "no terminal, no colour");
    assert!(!colored(&[], true));
    assert!(colored(&["--color", "always"], false));
    assert!(!colored(&["--color", "never"], false));
}

#[test]
fn summaries() {
    let place = place();
    place.run(LOAD.into_iter().chain(["--summary", "s.json"])).expect(2);
    let report: Value = serde_json::from_slice(&place.read("s.json")).expect("JSON");
    assert_eq!(report["totals"]["rows_loaded"], 3);
    place.run(LOAD.into_iter().chain(["--summary", "s.csv"])).expect(2);
    let text = place.read("s.csv");
    let mut reader = csv::Reader::from_reader(text.as_slice());
    let records: Vec<csv::StringRecord> =
        reader.records().collect::<Result<_, _>>().expect("records");
    let loaded = reader.headers().expect("a header").iter().position(|name| name == "rows_loaded");
    assert_eq!(&records[0][0], "a.csv");
    assert_eq!(&records[1][0], "total");
    assert_eq!(&records[1][loaded.expect("a column")], "3");
    place.run(LOAD.into_iter().chain(["--summary", "s.html"])).expect(64).says(&[".json", ".csv"]);
}

#[test]
fn progress_and_events() {
    let place = Place::new();
    let gen_file = ["gen", "--rows", "20000", "-o", "a.csv"];
    place.run(gen_file).expect(0);
    let load =
        ["a.csv", "--table", "t", "--mode", "truncate", "--yes", "--progress-interval", "1ms"];
    let with = |more: &[&str]| place.run(load.iter().chain(more)).expect(0);
    let run = with(&["--progress", "json"]);
    let lines = run.stderr.lines().filter_map(|line| {
        let text = line.strip_prefix("fastload: ").unwrap_or(line);
        serde_json::from_str::<Value>(text).ok()
    });
    for line in lines {
        assert_eq!(line["event"], "progress");
    }
    let run = with(&["--progress", "none"]);
    assert!(!run.stderr.contains("rows/s"), "{}", run.stderr);
    with(&["--progress", "plain", "--events", "e.jsonl"]);
    let text = String::from_utf8(place.read("e.jsonl")).expect("UTF-8");
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON object on each line"))
        .collect();
    let [.., last, summary] = &events[..] else { panic!("at least the end and the summary") };
    assert_eq!((&last["rows_loaded"], &last["records_read"]), (&20_000.into(), &20_000.into()));
    assert_eq!(summary["event"], "summary");
    assert_eq!(summary["report"]["totals"]["rows_loaded"], 20_000);
}

#[test]
fn logs() {
    let place = place();
    place
        .run(LOAD.into_iter().chain(["--log-file", "log", "--log-format", "json", "-vv"]))
        .expect(2);
    let log = String::from_utf8(place.read("log")).expect("UTF-8");
    for line in log.lines() {
        let value: Value = serde_json::from_str(line).expect("a JSON object on each line");
        assert!(value.is_object());
    }
    assert!(!log.is_empty());
}

#[test]
fn other_verbs_print_their_result() {
    let place = place();
    place.run(LOAD).expect(2);
    let run = place.run(["describe", "t"]).expect(0);
    assert!(run.stdout.contains("id") && run.stdout.contains("INTEGER"), "{}", run.stdout);
    place.run(["describe", "nowhere"]).expect(64).says(&["nowhere"]);
    let run =
        place.run(["check", "a.csv", "--table", "t", "--max-errors", "all", "--output", "json"]);
    assert_eq!(run.expect(2).json()["totals"]["rows_rejected"], 1);
    assert_eq!(place.sqlite_value("SELECT count(*) FROM t"), "3", "check loads nothing");
    for shell in ["bash", "zsh", "fish"] {
        let run = place.run(["completions", shell]).expect(0);
        assert!(run.stdout.contains("fastload"));
    }
    let run = place.run(["--help"]).expect(0);
    assert!(run.stdout.contains("--ledger-table") && !run.stdout.contains("--metrics"));
    assert!(place.run(["--version"]).expect(0).stdout.contains(env!("CARGO_PKG_VERSION")));
}
