//! Job files and single options: any text is read, or refused with the place named; and what was
//! read can be shown, and the shown text reads back to the same options.

#![no_main]

use std::fmt::Write as _;
use std::sync::LazyLock;

use fastload::config::file::parse_job;
use fastload::config::options::{Layered, Options, Origin};
use fastload::config::schema_text::parse_schema;
use fastload::config::setting::Setting;
use fastload::config::target::TargetUrl;
use fastload::config::work::{Surroundings, WorkOptions};
use libfuzzer_sys::fuzz_target;

static SURROUNDINGS: LazyLock<Surroundings> = LazyLock::new(|| Surroundings::of_machine(1));

/// What cannot be read from one place of a file names the keys instead.
fn names_its_place(why: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().is_ok_and(|number| number > 0);
    let mut parts = why.splitn(3, ':');
    let is_place = parts.next().is_some_and(number) && parts.next().is_some_and(number);
    is_place || why.contains("` mean the same")
}

/// A text as a scalar of YAML in double quotes.
fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || c == ' ' {
            quoted.push(c);
        } else {
            write!(quoted, "\\U{:08X}", u32::from(c)).expect("a String takes everything");
        }
    }
    quoted + "\""
}

fn list<T: Setting>(values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(|value| quoted(&value.show())).collect();
    format!("[{}]", values.join(", "))
}

/// The options as a job file.
fn written(options: &Options) -> String {
    let mut file = String::new();
    for (key, value) in options.given() {
        let value = match key {
            "input" => list(&options.input),
            "null-value" => list(&options.null_values),
            "map" => list(&options.map),
            "const" => list(&options.constants),
            "session-sql" => list(&options.session_sql),
            "before" => list(&options.before),
            "after" => list(&options.after),
            _ => quoted(&value),
        };
        writeln!(file, "{key}: {value}").expect("a String takes everything");
    }
    file
}

fn check(options: &Options) {
    let file = written(options);
    let (again, old) = parse_job(&file).unwrap_or_else(|why| panic!("{why} in\n{file}"));
    assert_eq!((&again, &old), (options, &Options::default()), "{file}");

    // What they say about other things is read by code of its own.
    if let Some(Ok(target)) = options.to.as_ref().map(|to| TargetUrl::parse(&to.0)) {
        assert!(!target.to_string().is_empty());
    }
    if let Some(schema) = &options.schema {
        let _ = parse_schema(schema);
    }
    let mut layered = Layered::default();
    layered.add(options.clone(), |_| Origin::Flag);
    if let Ok(work) = WorkOptions::new(&layered) {
        let _ = work.settle(&SURROUNDINGS);
    }
    let _ = options.dialect_options();
}

fuzz_target!(|bytes: &[u8]| {
    // A job file that is not UTF-8 ends in the reader of text files.
    let Ok(text) = str::from_utf8(bytes) else { return };
    match parse_job(text) {
        Ok((new, old)) => {
            check(&new);
            check(&old);
        }
        Err(why) => assert!(names_its_place(&why), "{why}"),
    }
    // As in the environment.
    if let Some((key, value)) = text.split_once('=') {
        let mut options = Options::default();
        if options.set(key, value).is_ok() {
            check(&options);
        }
    }
});
