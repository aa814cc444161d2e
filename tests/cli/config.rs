//! Job files, the environment, and the old pipeline's configuration.

use std::fs;
use std::path::Path;

use crate::support::{Place, Run};

const SMALL: &str = "id,name\n1,ada\n2,grace\n";

fn place() -> Place {
    let place = Place::new();
    place.write("a.csv", SMALL);
    place
}

/// The line of an option in the output of `--explain`: value, and where it comes from.
#[track_caller]
fn effective(run: &Run, key: &str) -> (String, String) {
    let line = run
        .stdout
        .lines()
        .find(|line| line.split_whitespace().next() == Some(key))
        .unwrap_or_else(|| panic!("{key} is not in\n{}", run.stdout));
    let mut words = line.split_whitespace().skip(1);
    let value = words.next().expect("a value").to_owned();
    (value, words.collect::<Vec<_>>().join(" "))
}

#[test]
fn the_old_configuration_runs_unchanged() {
    let place = place();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/base_config.yaml");
    let file = file.to_str().expect("UTF-8");
    let run = place.run(["--config", file, "a.csv", "--table", "t", "--to", "null:", "--explain"]);
    let run = run.expect(0);
    for (key, value, old) in [
        ("input-mode", "single", "pipeline.reading_mode"),
        ("parsers", "4", "pipeline.num_processors"),
        ("writers", "2", "pipeline.num_writers"),
        ("read-ahead", "20", "pipeline.raw_queue_max"),
        ("ring-batches", "10", "pipeline.processed_queue_max"),
        ("batch-rows", "5000", "pipeline.batch_size"),
        ("commit-rows", "5000", "pipeline.batch_size"),
        ("chunk-bytes", "64KiB", "pipeline.chunk_size"),
        ("connect-timeout", "30s", "db.connection_timeout"),
        ("query-timeout", "1m", "db.query_timeout"),
        ("max-retries", "3", "db.max_retries"),
        ("retry-backoff", "2", "db.retry_backoff"),
    ] {
        let (shown, origin) = effective(&run, key);
        assert!(shown == value || shown == format!("{value}.0"), "{key} {shown}");
        assert!(origin.ends_with(old) && origin.contains("base_config.yaml"), "{key}: {origin}");
    }
    assert!(!place.path("fastload.db").exists());
    // It loads, into a target with one connection too, and says what it did not follow.
    let run = place.run(["--config", file, "a.csv", "--table", "t"]).expect(0);
    assert_eq!(place.sqlite_value("SELECT count(*) FROM t"), "2");
    assert!(run.stderr.contains("--writers 2"), "{}", run.stderr);
}

#[test]
fn other_values_of_the_old_keys() {
    let place = place();
    place.write(
        "old.yaml",
        "pipeline:\n  reading_mode: multi\n  num_processors: 3\n  num_writers: 5\n  \
         raw_queue_max: 7\n  processed_queue_max: 6\n  batch_size: 11\n  chunk_size: 13\n\
         db:\n  connection_timeout: 9\n  query_timeout: 0\n  \
         max_retries: 1\n  retry_backoff: 1.5\n",
    );
    let run =
        place.run(["--config", "old.yaml", "a.csv", "--table", "t", "--to", "null:", "--explain"]);
    let run = run.expect(0);
    for (key, value) in [
        ("input-mode", "multi"),
        ("parsers", "3"),
        ("writers", "5"),
        ("read-ahead", "7"),
        ("ring-batches", "6"),
        ("batch-rows", "11"),
        ("commit-rows", "11"),
        ("connect-timeout", "9s"),
        ("query-timeout", "none"),
        ("max-retries", "1"),
        ("retry-backoff", "1.5"),
    ] {
        assert_eq!(effective(&run, key).0, value, "{key}");
    }
    assert!(effective(&run, "chunk-bytes").0.starts_with("13"));
    place.run(["--config", "old.yaml", "a.csv", "--table", "t", "--to", "null:"]).expect(0);
}

#[test]
fn defaults_of_the_timeouts() {
    let place = place();
    let run = place.run(["a.csv", "--table", "t", "--to", "null:", "--explain"]).expect(0);
    assert_eq!(effective(&run, "connect-timeout").0, "30s");
    assert_eq!(effective(&run, "query-timeout").0, "1m");
    for none in ["0", "none"] {
        let run = place.run([
            "a.csv",
            "--table",
            "t",
            "--to",
            "null:",
            "--explain",
            "--query-timeout",
            none,
        ]);
        assert_eq!(effective(&run.expect(0), "query-timeout"), ("none".into(), "flag".into()));
    }
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file() {
    let place = place();
    place.write("job.yaml", "parsers: 2\nring-batches: 5\ncommit-rows: 77\n");
    let mut command = place.command();
    command
        .env("FASTLOAD_PARSERS", "3")
        .env("FASTLOAD_RING_BATCHES", "6")
        .args(["a.csv", "--table", "t", "--to", "null:", "--explain"])
        .args(["--config", "job.yaml", "--parsers", "4"]);
    let run = Run::of(&mut command).expect(0);
    assert_eq!(effective(&run, "parsers"), ("4".into(), "flag".into()));
    assert_eq!(
        effective(&run, "ring-batches"),
        ("6".into(), "environment FASTLOAD_RING_BATCHES".into())
    );
    assert_eq!(effective(&run, "commit-rows"), ("77".into(), "job.yaml commit-rows".into()));
}

#[test]
fn a_job_file_says_everything() {
    let place = place();
    place.write("job.yaml", "input: [a.csv]\ntable: t\nto: sqlite:x.db\noutput: json\n");
    let report = place.run(["--config", "job.yaml"]).expect(0).json();
    assert_eq!(report["target"]["url"], "sqlite:x.db");
    let run = Run::of(place.command().env("FASTLOAD_CONFIG", "job.yaml"));
    assert_eq!(run.expect(0).json()["totals"]["rows_loaded"], 2);
}

#[test]
fn wrong_configurations() {
    let place = place();
    for (text, pieces) in [
        ("table: t\nbatch_row: 5\n", &["job.yaml:2:1", "batch_row", "batch_rows"][..]),
        ("pipeline:\n  num_writer: 5\n", &["job.yaml:2:3", "num_writers"]),
        ("writers: many\n", &["job.yaml:1", "many"]),
        ("[\n", &["job.yaml"]),
        ("writers: 1\nwriters: 2\n", &["job.yaml:2", "writers"]),
    ] {
        place.write("job.yaml", text);
        let run = place.run(["a.csv", "--table", "t", "--config", "job.yaml"]);
        run.expect(78).says(pieces);
        place.run(["config", "check", "job.yaml"]).expect(78).says(pieces);
    }
    place.run(["a.csv", "--table", "t", "--config", "none.yaml"]).expect(78).says(&["none.yaml"]);
    place.write("job.yaml", "to: 'odbc:DSN=x;PWD=geheim'\n");
    fs::set_permissions(
        place.path("job.yaml"),
        std::os::unix::fs::PermissionsExt::from_mode(0o644),
    )
    .expect("a mode");
    let run = place.run(["a.csv", "--table", "t", "--config", "job.yaml"]);
    let run = run.expect(78).says(&["chmod 600"]);
    assert!(!run.stderr.contains("geheim"));
}

#[test]
fn check_and_show() {
    let place = place();
    place.write("job.yaml", "writers: 2\ntable: t\n");
    assert_eq!(place.run(["config", "check", "job.yaml"]).expect(0).stdout, "job.yaml: ok\n");
    let mut command = place.command();
    command.env("FASTLOAD_TO", "odbc:DSN=x;PWD=geheim").args(["config", "show", "job.yaml"]);
    let run = Run::of(&mut command).expect(0);
    assert!(!run.stdout.contains("geheim"), "{}", run.stdout);
    assert_eq!(effective(&run, "writers"), ("2".into(), "job.yaml writers".into()));
    assert!(effective(&run, "to").1.ends_with("FASTLOAD_TO"));
}

#[test]
fn variables_of_the_environment() {
    let place = place();
    let warned = |name: &str, value: &str| {
        let mut command = place.command();
        command.env(name, value).args(["a.csv", "--table", "t", "--to", "null:"]);
        Run::of(&mut command).expect(0).stderr.contains(name)
    };
    for name in ["FASTLOAD_TEST_MARIADB", "FASTLOAD_DEV_DIR", "FASTLOAD_FUZZ_SECONDS"] {
        assert!(!warned(name, "x"), "{name} is not a slip");
    }
    assert!(warned("FASTLOAD_BATCH_ROW", "5"));
    assert!(warned("FASTLOAD_WRITRES", "5"));
    let mut command = place.command();
    command.env("FASTLOAD_WRITERS", "viele").args(["a.csv", "--table", "t"]);
    Run::of(&mut command).expect(64).says(&["FASTLOAD_WRITERS", "viele"]);
}

#[test]
fn passwords_from_files() {
    let place = place();
    let secret = place.write("secret", "geheim\n");
    let run = |mode| {
        fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(mode))
            .expect("a mode");
        place.run([
            "a.csv",
            "--table",
            "t",
            "--to",
            "odbc:Driver={No Such Driver}",
            "--user",
            "u",
            "--password-file",
            "secret",
        ])
    };
    let refused = run(0o644);
    assert!([64, 78].contains(&refused.status), "{refused:?}");
    refused.says(&["secret", "600"]);
    run(0o600).expect(10);
}
