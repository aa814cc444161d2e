//! `--max-rate`. That a load takes at least as long as its bytes do at the rate follows from the
//! promise; how long it takes beyond that does not, and is not tested.

use crate::support::{Place, Run, Waiting};

/// Records with their numbers, and how many bytes they are.
fn records(count: u64) -> (String, f64) {
    let lines = (1..=count).map(|record| format!("{record},v{record}\n"));
    let text = lines.collect::<Vec<_>>().concat();
    let bytes = u32::try_from(text.len()).expect("a small file");
    (text, f64::from(bytes))
}

#[test]
fn a_limited_load_is_whole_and_not_faster_than_its_limit() {
    let (text, bytes) = records(8_000);
    for chunk in ["64MiB", "1000", "70kB"] {
        let place = Place::new();
        place.write("a.csv", &text);
        let load = ["a.csv", "--table", "t", "--schema", "id INT, v TEXT", "--dialect", "csv"];
        let limits = ["--max-rate", "500kB/s", "--chunk-bytes", chunk, "--parsers", "3"];
        let output = ["--no-header", "--output", "json"];
        let report = place.run(load.iter().chain(&limits).chain(&output)).expect(0).json();
        let seconds = report["seconds"].as_f64().expect("a number");
        assert!(seconds >= bytes / 500e3, "{bytes} bytes in {seconds} s");
        let paced = report["stages"]["parse"]["paced_seconds"].as_f64().expect("a number");
        assert!(paced > 0.0, "nobody waited");
        let sums = place.sqlite("SELECT count(*), sum(id), sum(v = 'v' || id) FROM t");
        let expected = ["8000".to_owned(), (8_000 * 8_001 / 2).to_string(), "8000".to_owned()];
        assert_eq!(sums, [expected.map(Some).to_vec()]);
    }
}

#[test]
fn a_limited_pipe_too() {
    let (text, bytes) = records(5_000);
    let place = Place::new();
    let load = ["-", "--to", "null:", "--schema", "id INT, v TEXT", "--dialect", "csv"];
    let rest = ["--no-header", "--rejects", "r", "--output", "json", "--max-rate", "400kB/s"];
    let all: Vec<&str> = load.iter().chain(&rest).copied().collect();
    let report = place.run_piped(&all, text.as_bytes()).expect(0).json();
    let seconds = report["seconds"].as_f64().expect("a number");
    assert!(seconds >= bytes / 400e3, "{bytes} bytes in {seconds} s");
    assert_eq!(report["totals"]["rows_loaded"], 5_000);
}

/// At a byte a second the load would take weeks.
#[test]
fn a_signal_ends_the_wait() {
    let slow = ["--max-rate", "1/s", "--chunk-bytes", "1MiB", "--parsers", "2"];
    let waiting = Waiting::start(&slow);
    waiting.signal("TERM");
    let Waiting { child, pipe, .. } = waiting;
    Run::end_of(child).expect(143);
    drop(pipe);
}

#[test]
fn where_the_rate_may_be_given() {
    let place = Place::new();
    place.write("a.csv", "id\n1\n");
    place.write("job.yaml", "max_rate: 2MB/s\n");
    let explain = ["a.csv", "--table", "t", "--explain"];
    let run = place.run(explain.iter().chain(&["--config", "job.yaml"])).expect(0);
    let shown = |key| run.stdout.lines().find(|line| line.trim_start().starts_with(key));
    let line = shown("max-rate").expect("a line");
    assert!(line.contains("2000000/s") && line.contains("job.yaml max"), "{line}");
    let chunk = shown("chunk-bytes").expect("a line");
    assert!(chunk.contains("40000") && chunk.contains("--max-rate"), "{chunk}");
    let mut command = place.command();
    let run = Run::of(command.args(explain).env("FASTLOAD_MAX_RATE", "1MiB/s")).expect(0);
    assert!(run.stdout.contains("environment FASTLOAD_MAX_RATE"), "{}", run.stdout);
    for bad in ["2MB", "0/s", "fast"] {
        place.run(explain.iter().chain(&["--max-rate", bad])).expect(64).says(&["50MB/s"]);
    }
}
