use super::*;
use crate::error::ErrorKind;

fn sniff_with(head: &[u8], options: &DialectOptions) -> Result<Sniffed> {
    find_dialect(Path::new("f"), head, true, options, &[])
}

fn sniff(head: &str) -> Sniffed {
    sniff_with(head.as_bytes(), &DialectOptions::default()).expect(head)
}

fn flags(head: &str) -> String {
    sniff(head).flags
}

#[test]
fn the_four_presets() {
    assert_eq!(flags("id,name\n1,a\n2,\"b,c\"\n"), "--dialect csv");
    assert_eq!(flags("id\tname\n1\ta\n2\tb\n"), "--dialect tsv");
    assert_eq!(flags("id|name\n1|a\n2|b\n"), "--dialect pipe");
    assert_eq!(flags("1|a, b|2.5|\n2|c|3.5|\n3|d \"x\"|1.0|\n"), "--dialect tbl");
    assert_eq!(flags("1|\"a|b\"|\n2|\"c\"|\n"), "--dialect tbl --quote '\"'");
    assert_eq!(flags("id|name|\n1|a|\n"), "--dialect tbl --header");
}

#[test]
fn headers() {
    assert_eq!(flags("1,a\n2,b\n"), "--dialect csv --no-header");
    assert_eq!(flags("a,b\nc,d\n"), "--dialect csv");
    assert_eq!(flags("a,a\nc,d\n"), "--dialect csv --no-header");
    assert_eq!(flags("a,b\n"), "--dialect csv");
    assert_eq!(flags("007,x\n008,y\n"), "--dialect csv --no-header");
    let known = find_dialect(
        Path::new("f"),
        b"1st,2nd\nx,y\n",
        true,
        &DialectOptions::default(),
        &["1ST", "2nd"],
    );
    assert!(known.unwrap().dialect.header);
    let said = DialectOptions { header: Some(false), ..DialectOptions::default() };
    assert!(!sniff_with(b"a,b\n1,2\n", &said).unwrap().dialect.header);
}

#[test]
fn line_ends_and_marks() {
    assert_eq!(flags("a,b\r1,2\r"), "--dialect csv --eol cr");
    assert_eq!(flags("a,b\r\n1,2\r\n"), "--dialect csv");
    let marked = sniff("\u{feff}a,b\n1,2\n");
    assert_eq!((marked.body_offset, marked.flags.as_str()), (3, "--dialect csv"));
    for (bytes, word) in [
        (&b"\xff\xfea\0,\0"[..], "UTF-16"),
        (b"\xfe\xff\0a", "UTF-16"),
        (b"\xff\xfe\0\0a\0\0\0", "UTF-32"),
        (b"a\0,\0b\0\n\0", "UTF-16"),
        (b"a,b\n1,2\n\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "zero bytes"),
        (b"\x1f\x8b\x08", "gzip"),
    ] {
        let error = sniff_with(bytes, &DialectOptions::default()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Input { .. }));
        assert!(error.to_string().contains(word), "{error}");
    }
    sniff_with(b"a,b\n1,x\0y\n", &DialectOptions::default()).unwrap();
}

#[test]
fn an_empty_last_field_is_no_trailing_delimiter() {
    assert_eq!(flags("1,a,\n2,b,\n"), "--dialect csv --no-header");
    let with = |known: &[&str]| {
        let options = DialectOptions::default();
        find_dialect(Path::new("f"), b"1|a|\n2|b|\n", true, &options, known).unwrap().flags
    };
    assert_eq!(with(&["x", "y"]), "--dialect tbl");
    assert_eq!(with(&["x", "y", "z"]), "--dialect pipe --no-header");
}

#[test]
fn ties_and_strangers_are_errors() {
    let error = sniff_with(b"a|b,c|d\n1|2,3|4\n", &DialectOptions::default()).unwrap_err();
    let ErrorKind::Usage { message, help } = error.kind() else { panic!() };
    assert!(message.contains("equally well"), "{message}");
    assert!(help.contains("--dialect csv") && help.contains("--dialect pipe"), "{help}");
    let error = sniff_with(b"a;b\n1;2\n", &DialectOptions::default()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Usage { help, .. } if help.contains("-d ';'")));
}

#[test]
fn what_is_said_is_kept() {
    let options = DialectOptions { delimiter: Some(b";".to_vec()), ..DialectOptions::default() };
    assert_eq!(sniff_with(b"a;b\n1;2\n", &options).unwrap().flags, "--dialect csv --delimiter ';'");
    let options = DialectOptions { preset: Some(Preset::Tbl), ..DialectOptions::default() };
    let tbl = sniff_with(b"a,b\n", &options).unwrap();
    assert_eq!((tbl.flags.as_str(), tbl.sniffed), ("--dialect tbl", false));
    let clash = DialectOptions { quote: Some(Some(b',')), ..DialectOptions::default() };
    assert!(sniff_with(b"a,b\n1,2\n", &clash).is_err());
}

#[test]
fn one_column_empty_and_a_few_bad_records() {
    assert_eq!(flags("name\nx\ny z\n"), "--dialect csv");
    assert_eq!(flags(""), "--dialect csv");
    let mut text = "id,name\n".to_owned();
    for number in 0..50 {
        text.push_str(&format!("{number},x\n"));
    }
    text.push_str("stray\" quote\n1,2,3\n");
    assert_eq!(flags(&text), "--dialect csv");
    assert_eq!(field_count(&Dialect::default(), text.as_bytes(), true), Some(2));
}
