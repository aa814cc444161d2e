//! Records, fields and headers that are not as the table would have them.

use crate::case::{Case, NULL};
use crate::support::{Place, Server, row};

#[test]
fn a_last_record_longer_than_many_chunks() {
    let long = "long text, and more\n".repeat(400);
    for end in ["", "\n"] {
        let text = format!("id,name\n1,a\n2,\"{long}\"{end}");
        Case::new(text).gives(&[&["1", "a"], &["2", &long]], &[]);
    }
    // It is bad: its bytes are in the reject file, all of them.
    let bad = format!("x,\"{long}\"");
    Case::new(format!("id,name\n1,a\n{bad}"))
        .gives(&[&["1", "a"]], &[(2, 3, "FL-0311", bad.as_bytes())]);
}

#[test]
fn too_few_and_too_many_fields() {
    let text = "id,name\n1,a\n2\n3,b,c\n4,d,\n,\n5,e\n";
    Case::new(text).gives(
        &[&["1", "a"], &[NULL, NULL], &["5", "e"]],
        &[(2, 3, "FL-0305", b"2\n"), (3, 4, "FL-0306", b"3,b,c\n"), (4, 5, "FL-0306", b"4,d,\n")],
    );
    Case::new(text).flag(&["--fields", "pad"]).gives(
        &[&["1", "a"], &["2", NULL], &[NULL, NULL], &["5", "e"]],
        &[(3, 4, "FL-0306", b"3,b,c\n"), (4, 5, "FL-0306", b"4,d,\n")],
    );
    Case::new(text).flag(&["--fields", "truncate"]).gives(
        &[&["1", "a"], &["3", "b"], &["4", "d"], &[NULL, NULL], &["5", "e"]],
        &[(2, 3, "FL-0305", b"2\n")],
    );
}

#[test]
fn trailing_delimiters() {
    let flags = ["--dialect", "tbl", "--schema", "id INT, name TEXT"];
    Case::with("1|ada|\n2|grace\n3||\n4|eve||\n5|joan|\n", &flags).gives(
        &[&["1", "ada"], &["3", NULL], &["5", "joan"]],
        &[(2, 2, "FL-0305", b"2|grace\n"), (4, 4, "FL-0306", b"4|eve||\n")],
    );
    // Nobody said so: an empty field too many.
    Case::new("id,name\n1,ada,\n2,b\n").gives(&[&["2", "b"]], &[(1, 2, "FL-0306", b"1,ada,\n")]);
}

#[test]
fn empty_lines_and_lines_of_blanks() {
    Case::new("\n\nid,name\n\n1,a\n\n\n2,b\n\n").gives(&[&["1", "a"], &["2", "b"]], &[]);
    Case::new("id,name\n1,a\n  \n2,b\n")
        .gives(&[&["1", "a"], &["2", "b"]], &[(2, 3, "FL-0305", b"  \n")]);
}

#[test]
fn lines_before_the_header_and_comments() {
    let rows: &[&[&str]] = &[&["1", "a"], &["2", "# b"]];
    Case::new("report of \"today\nrows: 2\nid,name\n1,a\n2,# b\n")
        .flag(&["--skip-lines", "2"])
        .gives(rows, &[]);
    Case::new("# a \"comment\nid,name\n#\n1,a\n# x,y\n2,# b\n#the end")
        .flag(&["--comment", "#"])
        .gives(rows, &[]);
    // A line that begins with the comment inside quotes is data.
    Case::new("id,name\n1,\"a\n# b\"\n2,c\n")
        .flag(&["--comment", "#"])
        .gives(&[&["1", "a\n# b"], &["2", "c"]], &[]);
    // A trailer that nobody announced is a bad record, and no row.
    Case::new("id,name\n1,a\n2,# b\nEOF 2 records\n")
        .gives(rows, &[(3, 4, "FL-0305", b"EOF 2 records\n")]);
    // More lines to skip than there are.
    Case::new("id,name\n1,a\n").flag(&["--skip-lines", "9"]).is_refused(66, &["in.csv"]);
}

#[test]
fn header_names_empty_and_doubled() {
    let flags = ["--dialect", "csv"];
    Case::with("id,\n1,a\n", &flags).is_refused(64, &["--columns"]);
    Case::with("id,,name\n1,a,b\n", &flags).is_refused(64, &["--columns"]);
    Case::with("id,id\n1,2\n", &flags).is_refused(64, &["two columns", "`id`"]);
    // Alike but for their case: one column, for SQLite.
    Case::with("id,ID\n1,2\n", &flags).is_refused(64, &["two columns"]);
    Case::with("stra\u{df}e,STRASSE\na,b\n", &flags).gives(&[&["a", "b"]], &[]);
    // A blank is part of a name.
    Case::with("id, id\n1,2\n", &flags).gives(&[&["1", "2"]], &[]);
}

/// Names that are one name for one server and two for another are refused for all.
#[test]
fn names_alike_after_folding_in_servers() {
    Server::each(|server| {
        let table = "hostile_folding";
        server.drop_table(table);
        let place = Place::new();
        place.write("in.csv", "id,ID\n1,2\n");
        let load = ["in.csv", "--table", table, "--create", "--dialect", "csv"];
        server.run(&place, load).expect(64).says(&["`id` and `ID`", "--columns"]);
        server.drop_table(table);
        // A table whose columns are written otherwise than the header.
        server.query(&format!("CREATE TABLE {table} (id INT, name VARCHAR(9))"));
        place.write("in.csv", "NAME,Id\nada,1\n");
        server.run(&place, ["in.csv", "--table", table, "--dialect", "csv"]).expect(0);
        assert_eq!(server.query(&format!("SELECT id, name FROM {table}")), [row(["1", "ada"])]);
        server.drop_table(table);
    });
}
