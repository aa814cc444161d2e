//! Values are the same as those of a load without a staging table.

use crate::support::{Kind, Place, texts};

/// Columns whose types a copy of ours could get wrong, and what is asked of them.
const fn columns(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Sqlite => (
            "id INTEGER NOT NULL, a TEXT, b VARCHAR(9) COLLATE NOCASE, c DECIMAL(31,10), d ANY, \
             e BLOB, f \"odd type\"",
            "id, a, b, c, d, hex(e), f, typeof(c) || typeof(d) || typeof(f)",
        ),
        Kind::Postgresql => (
            "id integer NOT NULL, a text COLLATE \"C\", b char(5), c numeric(31,10), d uuid, \
             e bytea, f timestamptz",
            "id, a, octet_length(b)::text, c::text, d::text, encode(e, 'hex'), f::text",
        ),
        Kind::Mariadb => (
            "id INTEGER UNSIGNED NOT NULL, a VARCHAR(9) CHARACTER SET latin1, \
             b ENUM('x', 'y') NULL, c DECIMAL(31,10), d CHAR(5) COLLATE utf8mb4_bin, e BLOB, \
             f DATETIME(3)",
            "id, HEX(a), b, CAST(c AS CHAR), d, HEX(e), CAST(f AS CHAR)",
        ),
        Kind::Db2 => (
            "id INTEGER NOT NULL, a VARCHAR(9), b CHAR(5), c DECIMAL(31,10), d DOUBLE, \
             e VARCHAR(8) FOR BIT DATA, f TIMESTAMP",
            "id, a, LENGTH(b), c, d, LENGTH(e), f",
        ),
    }
}

pub(crate) fn values_arrive_as_by_a_direct_load(kind: Kind) {
    let place = Place::new(kind, "st_values");
    let (declared, asked) = columns(kind);
    let (d, f) = match kind {
        Kind::Sqlite => (["00123", "1e3"], ["007", "x"]),
        Kind::Postgresql => (
            ["6BA7B810-9dad-11d1-80b4-00c04fd430c8", "6ba7b8119dad11d180b400c04fd430c8"],
            ["2024-02-29 01:02:03.123456+05", "1999-12-31 23:59:59Z"],
        ),
        Kind::Mariadb => (["Ab", "aB"], ["2024-02-29 01:02:03.123", "1999-12-31 23:59:59"]),
        Kind::Db2 => (["1.5e10", "-0.25"], ["2024-02-29 01:02:03.123456", "1999-12-31 23:59:59"]),
    };
    let b = if kind == Kind::Mariadb { ["x", "y"] } else { ["é", "ab"] };
    place.write(
        "f.csv",
        format!(
            "id,a,b,c,d,e,f\n\
             1,äöü,{},123456789012345678901.0123456789,{},00ff,{}\n\
             2,\"\",{},-0.1000000000,{},,{}\n\
             3,,,,,,\n",
            b[0], d[0], f[0], b[1], d[1], f[1]
        ),
    );
    let end = if kind == Kind::Mariadb { " ENGINE=InnoDB CHARACTER SET utf8mb4" } else { "" };
    let mut answers = Vec::new();
    for staging in ["--staging=false", "--staging", "--staging=st_values_wait"] {
        place.execute(&format!("CREATE TABLE $T ({declared}){end}"));
        let run = place.run(
            if kind == Kind::Sqlite { 2 } else { 0 },
            &["f.csv", staging, "--max-errors", "9"],
        );
        answers.push((
            texts(&place.query(&format!("SELECT {asked} FROM $T ORDER BY id"))),
            run.total("rows_loaded"),
        ));
        place.execute("DROP TABLE $T");
    }
    assert!(answers[0].1 > 0);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
}
