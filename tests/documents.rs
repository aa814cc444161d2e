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
