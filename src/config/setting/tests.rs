use super::*;

fn round<T: Setting + PartialEq + std::fmt::Debug>(text: &str, value: &T) {
    let read = T::parse(text).expect(text);
    assert_eq!(&read, value, "{text}");
    assert_eq!(&T::parse(&value.show()).expect(text), value, "shown form of {text}");
}

#[test]
fn sizes() {
    round("8MiB", &Size(8 << 20));
    round("8MB", &Size(8_000_000));
    round("1_000_000", &Size(1_000_000));
    round("65536", &Size(65536));
    assert_eq!(Size(65536).show(), "64KiB");
    assert_eq!(Size(0).show(), "0");
    for bad in ["", "-1", "8XB", "MiB", "abc"] {
        assert!(Size::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn rates() {
    round("50MB/s", &Rate(50_000_000));
    round("8 MiB/s", &Rate(8 << 20));
    round("1/s", &Rate(1));
    for bad in ["50MB", "0/s", "/s", "-1/s", "8MB/m", "8MB/s/s"] {
        assert!(Rate::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn spans_numbers_and_booleans() {
    round("30s", &Span(Duration::from_secs(30)));
    round("1m 30s", &Span(Duration::from_secs(90)));
    round("none", &Span(Duration::ZERO));
    round("0", &Span(Duration::ZERO));
    assert!(Span::parse("30").is_err(), "a bare number has no unit");
    round("5_000", &5000_usize);
    assert!(usize::parse("-3").is_err());
    round("yes", &true);
    assert!(bool::parse("maybe").is_err());
    assert!(f64::parse("0.5").is_err());
    assert!(f64::parse("nan").is_err());
}

#[test]
fn characters() {
    round("\\t", &Delimiter(vec![b'\t']));
    round("0x1f", &Delimiter(vec![0x1f]));
    round("U+0001", &Delimiter(vec![1]));
    round("||", &Delimiter(b"||".to_vec()));
    round("§", &Delimiter("§".as_bytes().to_vec()));
    round("none", &ByteRole(None));
    round("'", &ByteRole(Some(b'\'')));
    round("\\", &ByteRole(Some(b'\\')));
    assert!(ByteRole::parse("ab").is_err());
    assert!(Delimiter::parse("").is_err());
    assert!(Delimiter::parse("U+110000").is_err());
    assert!(Delimiter::parse("0xzz").is_err());
}

#[test]
fn reject_limits_and_cores() {
    round("0", &RejectLimit::Count(0));
    round("5%", &RejectLimit::Share(0.05));
    round("all", &RejectLimit::All);
    for percent in ["7%", "0.07%", "29%", "0.1%", "99.99%", "100%", "0%"] {
        assert_eq!(RejectLimit::parse(percent).unwrap().show(), percent);
    }
    for bad in ["-1", "101%", "x%", "", "%"] {
        assert!(RejectLimit::parse(bad).is_err(), "{bad}");
    }
    round("0,1,2-5", &CoreChoice::List(vec![0, 1, 2, 3, 4, 5]));
    round("all", &CoreChoice::All);
    for bad in ["5-2", "a", "1,,2", "1,1", "0-99999999"] {
        assert!(CoreChoice::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn lists_of_names() {
    use ColumnPick::{Leave, Take};
    let list = vec![Take("a".into()), Take("b,c".into()), Leave("d".into())];
    for text in ["a,\"b,c\",-d", "a, \"b,c\" , -d", " a ,\"b,c\",- \"d\" "] {
        round(text, &ColumnList(list.clone()));
    }
    let odd = vec![Take("-a".into()), Leave("-a".into()), Take(" b ".into()), Take("c\"d".into())];
    round("\"-a\",--a,\" b \",c\"d", &ColumnList(odd));
    assert!(ColumnList::parse("a,,b").is_err());
    assert!(ColumnList::parse("\"a").is_err());
    round("a=b=c", &Pair { left: "a".into(), right: "b=c".into() });
    assert!(Pair::parse("=x").is_err());
    round("a,b", &EmptyAsNull::Columns(vec!["a".into(), "b".into()]));
    round("", &EmptyAsNull::Everywhere);
    for word in ["all", "true", "false"] {
        round(&format!("\"{word}\""), &EmptyAsNull::Columns(vec![word.into()]));
    }
}
