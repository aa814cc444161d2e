//! Ends of lines and of files, and byte order marks.

use crate::case::{Case, NULL, lines};
use crate::support::{Place, row};

#[test]
fn one_row_without_a_final_newline() {
    Case::new("id,name\n1,ada").gives(&[&["1", "ada"]], &[]);
    Case::new("id,name\n1,\"a\nb\"").gives(&[&["1", "a\nb"]], &[]);
    Case::new("id,name\n1,").gives(&[&["1", NULL]], &[]);
    Case::new("id,name\n1").gives(&[], &[(1, 2, "FL-0305", b"1")]);
}

#[test]
fn nothing_but_newlines() {
    for text in ["\n", "\n\n\n\n", "\r\n\r\n"] {
        let two = Case::new(text).flag(&["--no-header"]);
        two.is_refused(66, &["in.csv", "--allow-empty"]);
        Case::new(text).flag(&["--no-header", "--allow-empty"]).gives(&[], &[]);
    }
    // Where a record has one field, a blank line is one, and its field is NULL.
    let flags = ["--dialect", "csv", "--no-header", "--schema", "name TEXT"];
    Case::with("\n\n\n", &flags).gives(&[&[NULL], &[NULL], &[NULL]], &[]);
    Case::with("\r\n\r\n", &flags).gives(&[&[NULL], &[NULL]], &[]);
}

#[test]
fn carriage_return_and_line_feed() {
    let rows: &[&[&str]] = &[&["1", "ada"], &["2", "a\r\nb"], &["3", NULL]];
    Case::new("id,name\r\n1,ada\r\n2,\"a\r\nb\"\r\n3,\r\n").gives(rows, &[]);
    Case::new("id,name\r\n1,ada\r\n\r\n2,\"a\r\nb\"\r\n\r\n3,").gives(rows, &[]);
    Case::new("id,name\r\n1,ada\r\nx,eve\r\n")
        .gives(&[&["1", "ada"]], &[(2, 3, "FL-0311", b"x,eve\r\n")]);
}

#[test]
fn carriage_returns_only() {
    let rows: &[&[&str]] = &[&["1", "ada"], &["2", "a\rb"], &["3", "c"]];
    Case::new("id,name\r1,ada\r2,\"a\rb\"\r3,c\r").gives(rows, &[]);
    Case::new("id,name\r1,ada\r2,\"a\rb\"\r3,c").flag(&["--eol", "cr"]).gives(rows, &[]);
    Case::new("id,name\r1,ada\rx,eve\r").gives(&[&["1", "ada"]], &[(2, 3, "FL-0311", b"x,eve\r")]);
    // A line feed far behind the head does not make other records of those before it.
    let many = lines(0..200_000, |id| format!("{id},n\r"));
    let place = Place::new();
    place.write("in.csv", format!("id,name\r{many}200000,a\nb\r"));
    let load = ["in.csv", "--table", "t", "--schema", "id INT, name TEXT", "--dialect", "csv"];
    place.run(load).expect(0);
    assert_eq!(
        place.sqlite("SELECT count(*), sum(id), max(name = 'a' || char(10) || 'b') FROM t"),
        [row(["200001", "20000100000", "1"])]
    );
}

#[test]
fn all_kinds_of_line_ends_in_one_file() {
    // A CR alone ends no line: two lines become one record with too many fields.
    Case::new("id,name\n1,a\r\n2,b\r3,c\n4,d\n")
        .gives(&[&["1", "a"], &["4", "d"]], &[(2, 3, "FL-0306", b"2,b\r3,c\n")]);
    Case::new("id,name\r\n1,a\n2,b\r\n3,c\r")
        .gives(&[&["1", "a"], &["2", "b"], &["3", "c\r"]], &[]);
}

#[test]
fn a_second_carriage_return_is_data() {
    Case::new("id,name\n1,a\r\r\n2,b\r\r\n").gives(&[&["1", "a\r"], &["2", "b\r"]], &[]);
    // In a number it is a fault, and after a closing quote too.
    let flags = ["--dialect", "csv", "--schema", "name TEXT, id INT"];
    Case::with("name,id\na,1\r\r\n\"b\",2\n", &flags)
        .gives(&[&["b", "2"]], &[(1, 2, "FL-0311", b"a,1\r\r\n")]);
    Case::new("id,name\n1,\"a\"\r\r\n2,b\n")
        .gives(&[&["2", "b"]], &[(1, 2, "FL-0302", b"1,\"a\"\r\r\n")]);
    // The same bytes at every cut of a larger file: no record is lost and none comes twice.
    let text = lines(0..300, |id| format!("{id},n\r\r\n"));
    for chunk in ["1", "2", "3", "5", "64"] {
        let place = Place::new();
        place.write("in.csv", format!("id,name\n{text}"));
        let load = ["in.csv", "--table", "t", "--dialect", "csv", "--schema", "id INT, name TEXT"];
        place.run(load.iter().chain(&["--parsers", "3", "--chunk-bytes", chunk])).expect(0);
        assert_eq!(
            place.sqlite("SELECT count(*), count(DISTINCT id), sum(length(name)) FROM t"),
            [row(["300", "300", "600"])]
        );
    }
}

#[test]
fn a_byte_order_mark_before_a_quoted_header() {
    let rows: &[&[&str]] = &[&["1", "ada"], &["2", "gr\"ace"]];
    Case::new("\u{feff}\"id\",\"name\"\n1,ada\n2,\"gr\"\"ace\"\n").gives(rows, &[]);
    Case::new("\u{feff}\"1\",\"ada\"\n2,\"gr\"\"ace\"\n").flag(&["--no-header"]).gives(rows, &[]);
    let found = Case::with(
        "\u{feff}\"id\",\"name\"\n1,ada\n2,\"gr\"\"ace\"\n",
        &["--schema", "id INT, name TEXT"],
    );
    found.gives(rows, &[]);
}

/// As `cat a.csv b.csv` makes them.
#[test]
fn a_header_and_a_mark_again_in_the_middle() {
    Case::new("id,name\n1,a\nid,name\n2,b\n")
        .gives(&[&["1", "a"], &["2", "b"]], &[(2, 3, "FL-0311", b"id,name\n")]);
    let text = "\u{feff}id,name\n1,a\n\u{feff}id,name\n2,b\n";
    Case::new(text)
        .gives(&[&["1", "a"], &["2", "b"]], &[(2, 3, "FL-0311", "\u{feff}id,name\n".as_bytes())]);
    // Quoted, it is a quote inside a field that does not begin with one.
    let text = "id,name\n1,a\n\u{feff}\"id\",name\n2,b\n";
    Case::new(text).gives(
        &[&["1", "a"], &["2", "b"]],
        &[(2, 3, "FL-0301", "\u{feff}\"id\",name\n".as_bytes())],
    );
}

#[test]
fn a_byte_order_mark_in_the_second_file_only() {
    let place = Place::new();
    place.write("a.csv", "id,name\n1,ada\n");
    place.write("b.csv", "\u{feff}\"id\",\"name\"\r\n2,grace\r\n");
    let load = ["a.csv", "b.csv", "--table", "t", "--schema", "id INT, name TEXT"];
    place.run(load.iter().chain(&["--dialect", "csv"])).expect(0);
    assert_eq!(
        place.sqlite("SELECT id, hex(name) FROM t ORDER BY id"),
        [row(["1", "616461"]), row(["2", "6772616365"])]
    );
}
