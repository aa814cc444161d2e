//! Values come back as they were sent.

use fastload::config::schema::{Column, SqlType};
use fastload::record::RejectClass;
use fastload::sink::RowAction;
use fastload::sink::Target;
use fastload::sink::odbc::{OdbcSpec, OdbcTarget, ProfileName};

use super::support::*;

pub(super) fn types_come_back(server: &Server) {
    for rows in [1, 10, 5_000, 20_000] {
        let table = Table::create(server, "types_come_back", all_types());
        let sent: Vec<Row> = (0..rows).map(typed_row).collect();
        assert_eq!(table.load(&sent), []);
        let shown: Vec<String> = table.columns.iter().map(|c| server.shown(c)).collect();
        let sql = format!(
            "SELECT {} FROM {} t ORDER BY t.{}",
            shown.join(", "),
            table.sql,
            server.quoted("id")
        );
        let stored = server.query(&sql);
        assert_eq!(stored.len(), sent.len());
        for (stored, sent) in stored.iter().zip(&sent) {
            for ((stored, sent), column) in stored.iter().zip(sent).zip(&table.columns) {
                same_value(column, sent.as_deref(), stored.as_deref());
            }
        }
    }
}

pub(super) fn one_megabyte_values(server: &Server) {
    let columns = vec![
        column("id", SqlType::Integer, false),
        column("long", SqlType::VarChar(None), true),
        column("raw", SqlType::VarBinary(None), true),
    ];
    let table = Table::create(server, "one_megabyte_values", columns);
    let rows: Vec<Row> = (0..5)
        .map(|n| {
            let text: String = "\"é\\😀,".chars().cycle().skip(n).take(1 << 18).collect();
            let filler = "y".repeat((1 << 20) - text.len());
            vec![some(n), some(text + &filler), some("5c22".repeat(1 << 19))]
        })
        .collect();
    assert_eq!(table.load(&rows), []);
    let sql = format!(
        "SELECT {}, {} FROM {} ORDER BY {}",
        server.hex_of(&table.columns[1]),
        server.hex_of(&table.columns[2]),
        table.sql,
        server.quoted("id")
    );
    let stored = server.query(&sql);
    assert_eq!(stored.len(), 5);
    for (stored, sent) in stored.iter().zip(&rows) {
        assert!(stored[0].as_deref() == Some(hex(sent[1].as_ref().unwrap().as_bytes()).as_str()));
        assert!(stored[1] == sent[2]);
    }
}

pub(super) fn twenty_wide_columns(server: &Server) {
    let columns: Vec<Column> = (0..20)
        .map(|n| column(&format!("c{n}"), SqlType::VarChar(Some(characters(4_000))), true))
        .collect();
    let table = Table::create(server, "twenty_wide_columns", columns);
    let row = |n: usize| -> Row {
        (0..20).map(|c| some("é".repeat((n * 997 + c * 211) % 4_001))).collect()
    };
    let rows: Vec<Row> = (0..50).map(row).collect();
    assert_eq!(table.load(&rows), []);
    let sums: usize = rows.iter().flatten().flatten().map(|text| text.chars().count()).sum();
    let lengths: Vec<String> =
        (0..20).map(|n| format!("CHAR_LENGTH({})", server.quoted(&format!("c{n}")))).collect();
    let sql = format!("SELECT SUM({}) FROM {}", lengths.join(" + "), table.sql);
    assert_eq!(server.scalar(&sql).parse::<usize>().unwrap(), sums);
    let too_long = vec![some("é".repeat(4_001)); 20];
    assert_eq!(table.load(&[too_long]).len(), 1);
}

pub(super) fn own_types(server: &Server) {
    let target = server.target();
    let name = "own_types";
    target.run_sql(&format!("DROP TABLE IF EXISTS {name}")).unwrap();
    let (ddl, good, bad): (_, Vec<&str>, Vec<&str>) = if server.is_postgresql() {
        target.run_sql("DROP DOMAIN IF EXISTS short_text").unwrap();
        target.run_sql("CREATE DOMAIN short_text AS varchar(3) CHECK (VALUE <> 'no')").unwrap();
        (
            "u uuid, j jsonb, i inet, n numeric, a int[], b bit(3), t timestamptz, d short_text",
            vec![
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                "{\"a\": \"b,c\"}",
                "10.0.0.1",
                "1.23456789012345678901234567890",
                "{1,2}",
                "101",
                "2024-01-01 00:00:00+00",
                "yes",
            ],
            vec!["not a uuid", "{", "10.0.0", "x", "{", "1010", "yesterday-ish", "long"],
        )
    } else {
        (
            "e enum('a','b'), y year, u bigint unsigned, b bit(1)",
            vec!["a", "2024", "18446744073709551615", "1"],
            vec!["c", "3000"],
        )
    };
    target.run_sql(&format!("CREATE TABLE {name} ({ddl})")).unwrap();
    let columns = target.columns(name).unwrap().unwrap();
    let layout = target.layout(name, &columns, &RowAction::Insert).unwrap();
    let row: Row = good.iter().map(some).collect();
    let mut rows = vec![row.clone()];
    for (c, bad) in bad.iter().enumerate() {
        let mut broken = row.clone();
        broken[c] = some(bad);
        rows.push(broken);
    }
    let mut sink = target.open(name, &columns, &RowAction::Insert).unwrap();
    let rejects = sink.write(&batch(&layout, &rows)).unwrap();
    sink.commit().unwrap();
    let expected: Vec<usize> = (1..=bad.len()).collect();
    assert_eq!(
        rejects.iter().map(|reject| reject.row).collect::<Vec<_>>(),
        expected,
        "{rejects:?}"
    );
    assert_eq!(server.scalar(&format!("SELECT COUNT(*) FROM {name}")), "1");
    if server.is_postgresql() {
        assert_eq!(server.scalar(&format!("SELECT n::text FROM {name}")), good[3]);
        let one = server.query(&format!("SELECT d::text, b::text FROM {name}"));
        assert_eq!(one[0], [some("yes"), some("101")]);
    } else {
        assert_eq!(server.scalar(&format!("SELECT CAST(u AS CHAR) FROM {name}")), good[2]);
        assert_eq!(server.scalar(&format!("SELECT e FROM {name}")), "a");
        target.run_sql("DROP TABLE IF EXISTS my_isam").unwrap();
        target.run_sql("CREATE TABLE my_isam (a int) ENGINE=MyISAM").unwrap();
        let columns = target.columns("my_isam").unwrap().unwrap();
        let error = target.layout("my_isam", &columns, &RowAction::Insert).unwrap_err();
        assert!(error.message.contains("MyISAM"), "{error}");
    }
}

/// MariaDB takes requests up to `max_allowed_packet`; a larger one ends the connection.
pub(super) fn a_row_larger_than_a_request(server: &Server) {
    if server.is_postgresql() {
        // Its bound is 1 GiB, more than an arena may have.
        return;
    }
    let packet: usize = server.scalar("SELECT @@max_allowed_packet").parse().unwrap();
    let columns = vec![column("v", SqlType::VarChar(None), true)];
    let table = Table::create(server, "a_row_larger_than_a_request", columns);
    let rows: Vec<Row> = [10, packet / 8 * 7, packet, packet / 8 * 7, 20]
        .map(|length| vec![some("x".repeat(length))])
        .into();
    let rejects = table.load(&rows);
    let found: Vec<_> = rejects.iter().map(|r| (r.row, r.class)).collect();
    assert_eq!(found, [(2, RejectClass::Length)], "{rejects:?}");
    let sql = format!("SELECT SUM(CHAR_LENGTH(v)) FROM {}", table.sql);
    assert_eq!(server.scalar(&sql), (packet / 8 * 14 + 30).to_string());
    table.target.run_sql(&format!("DROP TABLE {}", table.sql)).unwrap();
}

/// Plain arrays under the generic profile, through drivers that deserve a better one.
pub(super) fn generic_profile(server: &Server) {
    let table = Table::create(server, "generic_profile", all_types()[..13].to_vec());
    table
        .target
        .run_sql(&format!("ALTER TABLE {} ADD PRIMARY KEY ({})", table.sql, server.quoted("id")))
        .unwrap();
    let spec = OdbcSpec { profile: Some(ProfileName::Generic), ..server.spec() };
    let target = OdbcTarget::connect(spec).unwrap();
    let columns = target.columns(&table.name).unwrap().unwrap();
    let layout = target.layout(&table.name, &columns, &RowAction::Insert).unwrap();
    assert_eq!(target.columns("no_such_table").unwrap(), None);
    let mut rows: Vec<Row> = (0..300).map(|n| typed_row(n)[..13].to_vec()).collect();
    rows[200][0] = some(7);
    let mut sink = target.open(&table.name, &columns, &RowAction::Insert).unwrap();
    let rejects = sink.write(&batch(&layout, &rows)).unwrap();
    sink.commit().unwrap();
    assert_eq!(rejects.len(), 1, "{rejects:?}");
    assert_eq!(rejects[0].row, 200);
    assert_eq!(table.count(), 299);
    rows.remove(200);
    let shown: Vec<String> = table.columns.iter().map(|c| server.shown(c)).collect();
    let sql = format!(
        "SELECT {} FROM {} t ORDER BY t.{}",
        shown.join(", "),
        table.sql,
        server.quoted("id")
    );
    for (stored, sent) in server.query(&sql).iter().zip(&rows) {
        for ((stored, sent), column) in stored.iter().zip(sent).zip(&table.columns) {
            same_value(column, sent.as_deref(), stored.as_deref());
        }
    }
}
