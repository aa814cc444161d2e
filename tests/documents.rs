//! The tables of docs/ against the code they describe.

use fastload::codes::{CODES, Code};
use fastload::config::dialect::Dialect;
use fastload::parse::oracle::{Content, OracleField, read_records};

const DIALECT: &str = include_str!("../docs/dialect.md");
const REJECTS: &str = include_str!("../docs/rejects.md");

/// The cells of all table rows of a document, one vector a row.
fn rows(document: &str) -> impl Iterator<Item = Vec<&str>> {
    document
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|row| row.split(" | ").map(str::trim).collect())
}

fn code_span(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`')
}

/// A field in brackets as the document shows it.
fn shown(field: &OracleField) -> String {
    if field.value.is_empty() && !field.quoted {
        return "[∅]".to_owned();
    }
    let text = String::from_utf8_lossy(&field.value);
    format!("[{}]", text.replace('\n', "\\n").replace('\r', "\\r"))
}

/// What the document should say about a file of two fields a record.
fn read(file: &str) -> String {
    let dialect = Dialect { header: false, ..Dialect::default() };
    let records = read_records(file.as_bytes(), 0, 1, &dialect, 2);
    let shown = records.iter().map(|record| match &record.content {
        Content::Fields(fields) => fields.iter().map(shown).collect(),
        Content::Malformed { what, .. } => Code::of_malformed(*what).code.to_owned(),
    });
    shown.collect::<Vec<String>>().join(" ")
}

#[test]
fn the_examples_of_the_grammar_are_true() {
    let table = DIALECT.split("| in the file | what it is |").nth(1);
    let table = table.and_then(|rest| rest.split("\n\n").next());
    let mut examples = 0;
    for row in rows(table.expect("the table is in the document")).skip(1) {
        let [file, result] = row[..] else { panic!("{row:?} has not two cells") };
        let file = code_span(file).expect("the first cell is code");
        let bytes = file.replace("\\n", "\n").replace("\\r", "\r");
        assert_eq!(code_span(result), Some(read(&bytes).as_str()), "{file}");
        examples += 1;
    }
    assert!(examples >= 20, "only {examples} examples were found");
}

#[test]
fn every_code_is_documented_and_no_other() {
    let listed: Vec<_> =
        rows(REJECTS).map(|row| row[0]).filter(|code| code.starts_with("FL-")).collect();
    let known: Vec<_> = CODES.iter().map(|code| code.code).collect();
    assert_eq!(listed, known);
}

const DB2: &str = include_str!("../docs/db2.md");
const RESTART: &str = include_str!("../docs/restart.md");
const README: &str = include_str!("../README.md");

/// What the program prints.
fn printed(arguments: &[&str]) -> (bool, String) {
    let program = env!("CARGO_BIN_EXE_fastload");
    let output = std::process::Command::new(program).args(arguments).output();
    let output = output.expect("the program is built");
    let both = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&both).into_owned())
}

/// The code blocks of a document, without their fences; the first line is the language.
fn blocks(document: &str) -> impl Iterator<Item = &str> {
    document.split("```").skip(1).step_by(2)
}

/// Long flags of a text: `--writers`, without what follows.
fn flags(text: &str) -> impl Iterator<Item = &str> {
    let starts = text.match_indices("--").map(|(at, _)| &text[at..]);
    starts.filter_map(|rest| {
        let word = rest[2..].split(|c: char| !(c.is_ascii_lowercase() || c == '-')).next()?;
        word.starts_with(|c: char| c.is_ascii_lowercase()).then(|| &rest[..word.len() + 2])
    })
}

/// The documents name no flag that does not work.
#[test]
fn flags_in_the_guides_are_flags_of_the_program() {
    let verbs = [&["--help"][..], &["gen", "--help"], &["init-ledger", "--help"]];
    let help = verbs.map(|arguments| printed(arguments).1).concat();
    let known: std::collections::BTreeSet<&str> = flags(&help).collect();
    // Of pip, cargo and scripts/first-run.
    let others = blocks(README)
        .chain(blocks(DB2))
        .flat_map(str::lines)
        .filter(|line| {
            ["pip ", "cargo ", "scripts/", "    --implementation"]
                .iter()
                .any(|of_others| line.contains(of_others))
        })
        .flat_map(flags)
        .collect::<Vec<_>>();
    let mut named = 0;
    for flag in flags(README).chain(flags(DB2)).chain(flags(RESTART)) {
        named += 1;
        // Of a feature.
        if flag == "--copy" && !cfg!(feature = "postgresql-copy") {
            continue;
        }
        assert!(known.contains(flag) || others.contains(&flag), "{flag} is no flag");
    }
    assert!(named > 100, "only {named} flags were found");
}

#[test]
fn the_job_file_of_the_guide_is_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let block = blocks(DB2).find_map(|block| block.strip_prefix("yaml\n")).expect("a job file");
    let job = block.replace("/in/", &at("")).replace("/etc/fastload/password", &at("password"));
    for (name, text) in [("accounts-1.csv", "a\n1\n"), ("password", "x\n"), ("job.yaml", &job)] {
        std::fs::write(at(name), text).expect("a file of ours");
    }
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(at("password"), private).expect("a file of ours");
    let (well, said) = printed(&["config", "check", &at("job.yaml")]);
    assert!(well, "{said}");
}

/// The defaults of the tuning table.
#[test]
fn the_defaults_of_the_guide_are_those_of_the_code() {
    let defaults = [
        ("`--commit-rows`", fastload::limits::COMMIT_ROWS.to_string()),
        ("`--batch-rows`", "5000".to_owned()),
        ("`--read-ahead`", format!("{} chunks", fastload::limits::READ_AHEAD_CHUNKS)),
        ("`--ring-batches`", format!("{} a parser and writer", fastload::limits::RING_BATCHES)),
    ];
    for (flag, default) in defaults {
        let row = rows(DB2).find(|row| row.len() > 3 && row[1] == flag);
        let row = row.unwrap_or_else(|| panic!("the tuning table has no {flag}"));
        assert!(row[2].replace(',', "").starts_with(&default), "{flag}: {}", row[2]);
    }
}

const FAULTS: &str = include_str!("../docs/faults.md");

/// The cases: number, and what stands about their tests.
fn cases() -> Vec<(u32, &'static str)> {
    let case = |row: Vec<&'static str>| {
        let [number, _, _, tested] = row[..] else { return None };
        Some((number.parse().ok()?, tested))
    };
    rows(FAULTS).filter_map(case).collect()
}

/// Whether a test of this name is in the file and is run: by itself, or in the list of cases of
/// its program.
fn is_run(path: &str, name: &str) -> bool {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read =
        |path: &std::path::Path| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let source = read(std::path::Path::new(path));
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let head = |line: &&str| {
        let line = line.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
        line.strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('))
    };
    let is_made = || {
        // By a macro of the file, from a list of names.
        let item = format!("{name}: ");
        source.contains("fn $name()") && lines.iter().any(|line| line.starts_with(&item))
    };
    let Some(at) = lines.iter().position(head) else { return is_made() };
    let attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
    let attributes: Vec<_> = attributes.collect();
    if attributes.iter().any(|line| line.starts_with("#[ignore")) {
        return false;
    }
    let program = read(&std::path::Path::new(path).with_file_name("main.rs"));
    let is_listed = || program.lines().any(|line| line.trim() == format!("{name},"));
    // A property test takes its cases as arguments, inside a macro.
    attributes.iter().any(|line| line.starts_with("#[test]")) || is_listed()
}

/// The tests that a text names: file and function.
fn tests_named(text: &str) -> Vec<(&str, &str)> {
    text.split('`').skip(1).step_by(2).filter_map(|span| span.split_once(".rs::")).collect()
}

#[test]
fn every_fault_is_listed_and_its_tests_exist() {
    let numbers: Vec<u32> = cases().iter().map(|case| case.0).collect();
    assert_eq!(numbers, (1..=113).collect::<Vec<_>>());
    for (number, tested) in cases() {
        let has_test = !tests_named(tested).is_empty();
        assert!(has_test || tested.starts_with("not here: "), "case {number}: {tested}");
    }
    let named = tests_named(FAULTS);
    for (file, name) in &named {
        assert!(is_run(&format!("{file}.rs"), name), "{file}.rs::{name} is no test that is run");
    }
    assert!(named.len() > 200, "only {} tests are named", named.len());
}

/// A new baseline of instructions is a decision that users may read of.
#[test]
fn the_changelog_names_the_baseline_of_instructions() {
    let baseline = include_str!("../benches/baseline/instructions.toml");
    let changelog = include_str!("../CHANGELOG.md");
    let counts: Vec<_> =
        ["avx2", "portable"].iter().filter_map(|kernel| count_of(baseline, kernel)).collect();
    assert_eq!(counts.len(), 2, "{baseline}");
    for count in counts {
        assert!(changelog.contains(count), "CHANGELOG.md does not say {count} instructions a byte");
    }
}

/// The count of a kernel in the baseline.
fn count_of<'a>(baseline: &'a str, kernel: &str) -> Option<&'a str> {
    let mut values = baseline.lines().filter_map(|line| line.split_once(" = "));
    values.find(|(name, _)| *name == kernel).map(|(_, count)| count)
}

/// What the check of the faults must see.
#[test]
fn tests_that_are_not_run_are_seen() {
    assert!(is_run("tests/documents.rs", "tests_that_are_not_run_are_seen"));
    assert!(is_run("tests/odbc/bad_rows.rs", "one_bad_row"));
    assert!(is_run("src/input/identity.rs", "sees_each_kind_of_change"));
    assert!(is_run("tests/crash/kills.rs", "sqlite_append"));
    assert!(!is_run("tests/crash/kills.rs", "sqlite_delete"));
    assert!(!is_run("tests/documents.rs", "tests_that_are_not"));
    assert!(!is_run("tests/documents.rs", "is_run"));
    assert!(!is_run("tests/odbc/support.rs", "one_bad_row"));
    assert!(!is_run("tests/no_such_file.rs", "one_bad_row"));
    assert!(!is_run("tests/cli/inputs.rs", "wide"));
}
