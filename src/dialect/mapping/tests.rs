use super::*;
use crate::config::schema::SqlType;
use crate::config::setting::{ColumnList, Pair, Setting};
use crate::error::ErrorKind;

fn table(names: &[&str]) -> Vec<Column> {
    let column = |name: &&str| Column {
        name: name.trim_start_matches('*').to_owned(),
        ty: SqlType::Integer,
        nullable: true,
        generated: name.starts_with('*'),
    };
    names.iter().map(column).collect()
}

fn selection(columns: &str, map: &[&str], constants: &[&str]) -> Selection {
    let pairs = |texts: &[&str]| texts.iter().map(|text| Pair::parse(text).unwrap()).collect();
    Selection {
        columns: if columns.is_empty() { vec![] } else { ColumnList::parse(columns).unwrap().0 },
        map: pairs(map),
        constants: pairs(constants),
        empty_as_null: EmptyAsNull::Nowhere,
    }
}

fn shown(mapping: &Mapping) -> String {
    let one = |column: &LoadColumn| match &column.source {
        FieldSource::Field(field) => format!("{}<{field}", column.column.name),
        FieldSource::Constant(text) => {
            format!("{}={}", column.column.name, String::from_utf8_lossy(text))
        }
    };
    mapping.columns.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn with_header(columns: &[&str], header: &[&str], selection: &Selection) -> Result<Mapping> {
    let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
    let fields = FileFields { header: Some(&header), count: None, rule: FieldsRule::Exact };
    map_columns(&table(columns), fields, selection)
}

fn counted(columns: &[&str], count: usize, selection: &Selection) -> Result<Mapping> {
    let fields = FileFields { header: None, count: Some(count), rule: FieldsRule::Exact };
    map_columns(&table(columns), fields, selection)
}

fn words(error: &Error) -> String {
    match error.kind() {
        ErrorKind::Usage { message, help } => format!("{message} / {help}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn by_the_header() {
    let none = selection("", &[], &[]);
    let mapping = with_header(&["a", "b"], &["B", "a"], &none).unwrap();
    assert_eq!((shown(&mapping).as_str(), mapping.field_count), ("a<1 b<0", 2));
    let exact = with_header(&["a", "A"], &["A", "a"], &none).unwrap();
    assert_eq!(shown(&exact), "a<1 A<0");
    let some = with_header(&["a", "b"], &["a", "x", "b"], &selection("a,b", &[], &[])).unwrap();
    assert_eq!((shown(&some).as_str(), some.field_count), ("a<0 b<2", 3));
    let left = with_header(&["a"], &["a", "x"], &selection("-x", &[], &[])).unwrap();
    assert_eq!(shown(&left), "a<0");
    let mapped = with_header(&["a", "b"], &["a", "x"], &selection("", &["x=b"], &[])).unwrap();
    assert_eq!(shown(&mapped), "a<0 b<1");
    let constant = with_header(&["a", "b"], &["a"], &selection("", &[], &["b=7"])).unwrap();
    assert_eq!(shown(&constant), "a<0 b=7");
    let missing = with_header(&["a", "b"], &["a"], &none).unwrap();
    assert_eq!(missing.warnings.len(), 1);
}

#[test]
fn what_does_not_fit_the_header_is_named() {
    let none = selection("", &[], &[]);
    let unknown = words(&with_header(&["amount"], &["ammount"], &none).unwrap_err());
    assert!(unknown.contains("nearest is `amount`") && unknown.contains("--map"), "{unknown}");
    let twice = words(&with_header(&["a"], &["a", "A"], &none).unwrap_err());
    assert!(twice.contains("filled twice"), "{twice}");
    assert!(with_header(&["a"], &["a", ""], &none).is_err());
    assert!(with_header(&["a"], &["a", ""], &selection("a", &[], &[])).is_ok());
    assert!(with_header(&["a"], &["x", "x"], &selection("", &["x=a"], &[])).is_err());
    assert!(with_header(&["a", "A"], &["á", "a"], &none).is_err());
    assert!(with_header(&["b", "B"], &["ß"], &none).is_err());
    assert!(with_header(&["a"], &["a"], &selection("", &[], &["a=1"])).is_err());
    assert!(with_header(&["a"], &["a"], &selection("-a", &[], &[])).is_err());
    assert!(with_header(&["a"], &["a"], &selection("z", &[], &[])).is_err());
    assert!(with_header(&["a"], &["a"], &selection("", &["a=a", "a=a"], &[])).is_err());
}

#[test]
fn by_position() {
    let none = selection("", &[], &[]);
    assert_eq!(shown(&counted(&["*id", "a", "b"], 2, &none).unwrap()), "a<0 b<1");
    let error = words(&counted(&["a", "b"], 3, &none).unwrap_err());
    assert!(error.contains("3 fields") && error.contains("2 columns"), "{error}");
    let skipped = counted(&["a", "b"], 3, &selection("b,-x,a", &[], &[])).unwrap();
    assert_eq!((shown(&skipped).as_str(), skipped.field_count), ("a<2 b<0", 3));
    assert_eq!(shown(&counted(&["a", "b"], 1, &selection("", &[], &["b=x"])).unwrap()), "a<0 b=x");
    assert!(counted(&["a"], 1, &selection("", &["x=a"], &[])).is_err());
    let padded = FileFields { header: None, count: Some(1), rule: FieldsRule::Pad };
    let mapping = map_columns(&table(&["a", "b"]), padded, &none).unwrap();
    assert_eq!((mapping.columns.len(), mapping.field_count), (2, 2));
}

#[test]
fn generated_columns_only_when_named() {
    let none = selection("", &[], &[]);
    let mapping = with_header(&["*id", "a"], &["id", "a"], &none).unwrap();
    assert_eq!((shown(&mapping).as_str(), mapping.warnings.len()), ("a<1", 1));
    let named = with_header(&["*id", "a"], &["id", "a"], &selection("id,a", &[], &[])).unwrap();
    assert_eq!(shown(&named), "id<0 a<1");
    let placed = counted(&["*id", "a"], 2, &selection("id,a", &[], &[])).unwrap();
    assert_eq!(shown(&placed), "id<0 a<1");
}

#[test]
fn new_tables() {
    let header = ["a".to_owned(), "b".to_owned()];
    let fields = FileFields { header: Some(&header), count: None, rule: FieldsRule::Exact };
    let names = |fields, selection: &Selection| -> Result<Vec<String>> {
        let columns = new_table_columns(fields, selection)?;
        Ok(columns.into_iter().map(|column| column.name).collect())
    };
    assert_eq!(names(fields, &selection("-b", &[], &["k=1"])).unwrap(), ["a", "k"]);
    assert_eq!(names(fields, &selection("", &["b=z"], &[])).unwrap(), ["a", "z"]);
    assert!(names(fields, &selection("", &["b=A"], &[])).is_err());
    let bare = FileFields { header: None, count: Some(2), rule: FieldsRule::Exact };
    assert_eq!(names(bare, &selection("", &[], &[])).unwrap(), ["c1", "c2"]);
    assert_eq!(names(bare, &selection("x,-y", &[], &[])).unwrap(), ["x"]);
    assert!(names(bare, &selection("x", &[], &[])).is_err());
    let empty = ["a".to_owned(), String::new()];
    let fields = FileFields { header: Some(&empty), ..fields };
    assert!(names(fields, &selection("", &[], &[])).is_err());
}
