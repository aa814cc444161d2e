//! What the fault cases take for granted about the driver and the rig, without the program.

use crate::support::{OwnServer, Shim, connect, create_table, query, query_at, variable, with};

fn new_table(name: &str, columns: &str) {
    create_table(&variable("FASTLOAD_TEST_DB2_WIDE"), name, columns);
}

fn count(table: &str) -> String {
    query(&format!("SELECT COUNT(*) FROM {table}"))[0][0].clone().unwrap()
}

/// Five rows in a transaction that is still open.
fn five_rows(connection: &odbc_api::Connection<'_>, table: &str) {
    connection.set_autocommit(false).unwrap();
    for number in 1..=5 {
        let sql = format!("INSERT INTO {table} VALUES ({number})");
        connection.execute(&sql, (), None).unwrap();
    }
}

#[test]
fn logins_are_checked() {
    let text = variable("FASTLOAD_TEST_DB2_WIDE");
    let error = connect(&with(&text, "PWD", "wrong")).expect_err("refused").to_string();
    assert!(error.contains("08001") && error.contains("30082"), "{error}");
    let reader = with(&with(&text, "UID", "fastload_reader"), "PWD", "reader");
    assert_eq!(query_at(&reader, "VALUES 1"), [[Some("1".to_owned())]]);
    let connection = connect(&reader).unwrap();
    let error = connection.execute("CREATE TABLE NOT_MINE (N INT)", (), None).err().unwrap();
    assert!(error.to_string().contains("25503"), "{error}");
}

#[test]
fn a_cut_before_the_commit_arrives_undoes_the_rows() {
    new_table("CUT_BEFORE", "N INTEGER");
    let shim = Shim::start();
    let connection = connect(&shim.through("FASTLOAD_TEST_DB2_WIDE")).unwrap();
    five_rows(&connection, "CUT_BEFORE");
    shim.tell("reset commit");
    let error = connection.commit().unwrap_err().to_string();
    assert!(error.contains("30081"), "{error}");
    assert_eq!(shim.count("commits_answered") + 1, shim.count("commits"));
    assert_eq!(count("CUT_BEFORE"), "0");
}

#[test]
fn a_cut_behind_the_commit_keeps_the_rows_and_tells_nobody() {
    new_table("CUT_BEHIND", "N INTEGER");
    let shim = Shim::start();
    let connection = connect(&shim.through("FASTLOAD_TEST_DB2_WIDE")).unwrap();
    five_rows(&connection, "CUT_BEHIND");
    shim.tell("reset committed");
    let error = connection.commit().unwrap_err().to_string();
    assert!(error.contains("30081"), "{error}");
    assert_eq!(count("CUT_BEHIND"), "5");
}

#[test]
fn a_held_connection_goes_on_when_it_is_released() {
    new_table("HELD", "N INTEGER");
    let shim = Shim::start();
    let connection = connect(&shim.through("FASTLOAD_TEST_DB2_WIDE")).unwrap();
    five_rows(&connection, "HELD");
    shim.tell("hold commit");
    std::thread::scope(|scope| {
        let committing = scope.spawn(move || connection.commit());
        shim.await_count("held", 1);
        assert_eq!(shim.count("commits_answered") + 1, shim.count("commits"));
        shim.tell("release");
        committing.join().unwrap().unwrap();
    });
    assert_eq!(count("HELD"), "5");
}

#[test]
fn a_killed_server_keeps_what_was_committed() {
    let server = OwnServer::start();
    let text = server.variable("FASTLOAD_TEST_DB2_WIDE");
    query_at(&text, "CREATE TABLE KEPT (N INTEGER)");
    let connection = connect(&text).unwrap();
    five_rows(&connection, "KEPT");
    connection.commit().unwrap();
    five_rows(&connection, "KEPT");
    server.kill();
    let error = connection.commit().unwrap_err().to_string();
    assert!(error.contains("30081"), "{error}");
    server.start_again();
    assert_eq!(query_at(&text, "SELECT COUNT(*) FROM KEPT"), [[Some("5".to_owned())]]);
}

#[test]
fn a_wait_for_a_lock_ends_and_a_deadlock_is_found() {
    for table in ["LOCKED", "LOCKED_TOO"] {
        new_table(table, "N INTEGER");
        query(&format!("INSERT INTO {table} VALUES (1)"));
    }
    let text = variable("FASTLOAD_TEST_DB2_WIDE");
    let (first, second) = (connect(&text).unwrap(), connect(&text).unwrap());
    for connection in [&first, &second] {
        connection.set_autocommit(false).unwrap();
    }
    let update = |connection: &odbc_api::Connection<'_>, table: &str| {
        let sql = format!("UPDATE {table} SET N = N + 1");
        connection.execute(&sql, (), None).map(|_| ()).map_err(|error| error.to_string())
    };
    update(&first, "LOCKED").unwrap();
    let error = update(&second, "LOCKED").unwrap_err();
    assert!(error.contains("SQLSTATE=40XL1"), "{error}");
    update(&second, "LOCKED_TOO").unwrap();
    let ends = std::thread::scope(|scope| {
        let other = scope.spawn(move || update(&second, "LOCKED"));
        [update(&first, "LOCKED_TOO"), other.join().unwrap()]
    });
    let victims: Vec<&String> = ends.iter().filter_map(|end| end.as_ref().err()).collect();
    assert!(matches!(victims[..], [error] if error.contains("SQLSTATE=40001")), "{ends:?}");
}
