//! The Db2 profile seen from outside: what the probe says, the environment, names, DDL, and values
//! that the driver or the server would have cut.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{create_table, query, variable, with};

/// The program at a target, without the variables that it has to set by itself.
fn fastload(connection: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fastload"));
    command
        .args(arguments)
        .env("FASTLOAD_TO", format!("odbc:{connection}"))
        .env_remove("DB2CODEPAGE")
        .env_remove("DB2_MAX_CLIENT_CONNRETRIES")
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command
}

fn run(connection: &str, arguments: &[&str]) -> Output {
    fastload(connection, arguments).output().unwrap()
}

fn narrow() -> String {
    variable("FASTLOAD_TEST_DB2")
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {error}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn failed(output: &Output, status: i32, words: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{error}");
    for word in words {
        assert!(error.contains(word), "{word:?} is not in {error}");
    }
}

fn drop_table(name: &str) {
    let there = format!("SELECT 1 FROM SYS.SYSTABLES WHERE TABLENAME = '{name}'");
    if !query(&there).is_empty() {
        query(&format!("DROP TABLE \"{name}\""));
    }
}

fn write(directory: &Path, text: &str) -> String {
    let path = directory.join("rows.csv");
    std::fs::write(&path, text).unwrap();
    path.into_os_string().into_string().unwrap()
}

#[test]
fn the_probe_says_what_it_found() {
    for (connection, bytes) in
        [(narrow(), "4 bytes"), (variable("FASTLOAD_TEST_DB2_WIDE"), "8 bytes")]
    {
        let json = succeeded(&run(&connection, &["conn", "test", "--output", "json"]));
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["target"]["profile"], "db2");
        let fact = |name: &str| json["facts"][name].as_str().unwrap_or_default().to_owned();
        assert_eq!(fact("length words"), format!("{bytes} (measured)"));
        assert!(fact("driver").starts_with("libdb2"), "{json}");
        assert!(fact("text").contains("counted by the server"), "{json}");
        assert!(fact("bad rows of an array").contains("status array"), "{json}");
        assert!(fact("atomic arrays").contains("1260 = 0, taken"), "{json}");
        assert!(fact("reconnection").starts_with("never"), "{json}");
        assert!(fact("encryption").starts_with("none"), "{json}");
        let url = json["target"]["url"].as_str().unwrap();
        assert!(!json.to_string().contains("only-for-tests"), "{url}");
    }
    let text = succeeded(&run(&narrow(), &["conn", "test"]));
    assert!(
        text.starts_with("connected to odbc:") && text.contains("4 bytes (measured)"),
        "{text}"
    );
}

#[test]
fn refused_and_unreachable_are_told_apart() {
    let wrong = with(&narrow(), "PWD", "wrong");
    failed(&run(&wrong, &["conn", "test"]), 12, &["login refused", "30082"]);
    let nobody = with(&narrow(), "Port", "1");
    failed(&run(&nobody, &["conn", "test"]), 10, &["cannot connect"]);
    let none = with(&narrow(), "Database", "NOSUCHDB");
    failed(&run(&none, &["conn", "test"]), 10, &["cannot connect"]);
}

/// The environment of the tests has neither variable here: `main` has set them, or text would be
/// stored wrong under this locale.
#[test]
fn a_value_of_the_user_stays_and_is_named() {
    let mut command = fastload(&narrow(), &["conn", "test"]);
    let output = command.env("DB2_MAX_CLIENT_CONNRETRIES", "3").output().unwrap();
    let text = succeeded(&output);
    assert!(text.contains("DB2_MAX_CLIENT_CONNRETRIES=3"), "{text}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("DB2_MAX_CLIENT_CONNRETRIES is set to 3 and stays so"), "{said}");
    let output = fastload(&narrow(), &["conn", "test"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_wrong_code_page_is_refused_before_the_first_row() {
    create_table(&variable("FASTLOAD_TEST_DB2_WIDE"), "CODE_PAGE", "V VARCHAR(20)");
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "V\n\u{e9}\n");
    let mut command = fastload(&narrow(), &[&file, "--table", "CODE_PAGE"]);
    let output = command.env("DB2CODEPAGE", "819").output().unwrap();
    failed(&output, 4, &["another character set", "DB2CODEPAGE=1208"]);
    assert_eq!(query("SELECT COUNT(*) FROM CODE_PAGE")[0][0].as_deref(), Some("0"));
}

#[test]
fn a_new_table_has_the_names_that_db2_would_give_it() {
    for table in ["FOLDED", "kept", "FL_odd"] {
        drop_table(table);
    }
    let directory = tempfile::tempdir().unwrap();
    let file = write(
        directory.path(),
        "id,order,Full Name,amount,day,moment\n\
         1,x,\u{c4}rger \u{1f600},1.50,2024-02-29,2024-02-29 10:11:12.500000\n\
         2,y,b,-22.25,0001-01-01,0001-01-01 00:00:00.123456\n",
    );
    for (table, sql) in [("folded", "FOLDED"), ("\"kept\"", "\"kept\"")] {
        let explained = run(&narrow(), &[&file, "--table", table, "--create", "--explain"]);
        let explained = succeeded(&explained);
        assert!(explained.contains("\"Full Name\" VARCHAR("), "{explained}");
        succeeded(&run(&narrow(), &[&file, "--table", table, "--create", "-q"]));
        let stored = query(&format!(
            "SELECT ID, \"ORDER\", LENGTH(\"Full Name\"), AMOUNT, DAY, MOMENT FROM {sql} \
             ORDER BY ID"
        ));
        let row = |cells: [&str; 6]| cells.map(|cell| Some(cell.to_owned()));
        assert_eq!(
            stored,
            [
                row(["1", "x", "8", "1.50", "2024-02-29", "2024-02-29 10:11:12.500000"]),
                row(["2", "y", "1", "-22.25", "0001-01-01", "0001-01-01 00:00:00.123456"]),
            ]
        );
        // Again into the table that is there now: the header's names find their columns.
        succeeded(&run(&narrow(), &[&file, "--table", table, "-q"]));
        let described = succeeded(&run(&narrow(), &["describe", table]));
        assert!(
            described.contains("CREATE TABLE") && described.contains("\"ORDER\""),
            "{described}"
        );
    }
}

#[test]
fn truncate_empties_and_generated_columns_are_left_out() {
    let server = variable("FASTLOAD_TEST_DB2_WIDE");
    create_table(
        &server,
        "EMPTIED",
        "ID INTEGER GENERATED ALWAYS AS IDENTITY, V VARCHAR(5), \
         W INTEGER GENERATED ALWAYS AS (LENGTH(V)), D INTEGER DEFAULT 7",
    );
    query("INSERT INTO EMPTIED (V) VALUES 'old'");
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "v\nnew\n\u{1f600}\n");
    let arguments = [file.as_str(), "--table", "emptied", "--mode", "truncate", "--yes", "-q"];
    succeeded(&run(&narrow(), &arguments));
    let stored = query("SELECT V, W, D FROM EMPTIED ORDER BY ID");
    let row = |cells: [&str; 3]| cells.map(|cell| Some(cell.to_owned()));
    assert_eq!(stored, [row(["new", "3", "7"]), row(["\u{1f600}", "2", "7"])]);
}

/// The driver cuts blanks and digits and rolls dates over without a word; these values never
/// reach it.
#[test]
fn what_would_be_changed_is_a_reject() {
    let server = variable("FASTLOAD_TEST_DB2_WIDE");
    create_table(
        &server,
        "UNCHANGED",
        "ID INTEGER, V VARCHAR(3), C CHAR(3), N DECIMAL(5,2), D DATE, T TIMESTAMP, \
         B VARCHAR(2) FOR BIT DATA",
    );
    let directory = tempfile::tempdir().unwrap();
    let good = "1,\"ab \",abc,123.45,2024-02-29,2024-02-29-10.11.12.123456,00ff";
    let bad = [
        "2,\"abc \",,,,,",
        "3,,\"abc \",,,,",
        "4,,,1.239,,,",
        "5,,,1234.5,,,",
        "6,,,,2023-02-29,,",
        "7,,,,0000-00-00,,",
        "8,,,,2020-13-45,,",
        "9,,,,,2024-02-29 10:11:12.1234567,",
        "10,,,,,2024-02-29 25:61:00,",
        "11,,,,,,00ff00",
        "12,,,,,,0",
        "x,,,,,,",
    ];
    let text = format!("ID,V,C,N,D,T,B\n{good}\n{}\n", bad.join("\n"));
    let file = write(directory.path(), &text);
    let output = run(&narrow(), &[&file, "--table", "UNCHANGED", "--max-errors", "all", "-q"]);
    failed(&output, 2, &[]);
    let rejected = std::fs::read_to_string(format!("{file}.rejects")).unwrap();
    assert_eq!(rejected, format!("{}\n", bad.join("\n")));
    let stored = query("SELECT ID, V || '|', C, N, D, T, B FROM UNCHANGED");
    let cells = ["1", "ab |", "abc", "123.45", "2024-02-29", "2024-02-29 10:11:12.123456", "00FF"];
    assert_eq!(stored, [cells.map(|cell| Some(cell.to_owned()))]);
}

#[test]
fn names_longer_than_db2_takes_are_refused() {
    let name = "\u{e9}".repeat(65);
    failed(&run(&narrow(), &["describe", &name]), 4, &["130 long", "takes 128"]);
}

#[test]
fn the_profile_can_be_forced() {
    let text = succeeded(&run(&narrow(), &["conn", "test", "--profile", "db2"]));
    assert!(text.contains("4 bytes (measured)"), "{text}");
}
