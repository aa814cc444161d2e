//! Files of which it is known what becomes of each record.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fastrand::Rng;

/// What a file is to hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) records: u32,
    /// Of a thousand records, so many are bad.
    pub(crate) bad_per_mille: u32,
    /// Whether some of the bad ones are such as only the database refuses.
    pub(crate) refused_by_database: bool,
    /// Whether keys come again; then the last good record of each counts.
    pub(crate) keys_again: bool,
    /// Whether lines end with CRLF.
    pub(crate) crlf: bool,
}

/// A record that must be in the reject file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bad {
    /// Number of the record.
    pub(crate) record: u64,
    /// Number of its first line.
    pub(crate) line: u64,
    pub(crate) byte_offset: u64,
    /// As it stands in the file, terminator included.
    pub(crate) bytes: Vec<u8>,
    pub(crate) class: &'static str,
}

/// A file and the truth about it.
pub(crate) struct Data {
    pub(crate) bytes: Vec<u8>,
    /// Bytes before the first record.
    pub(crate) body_offset: u64,
    pub(crate) records: u64,
    /// The rows that must be in the table, each as [`row_text`] has it, sorted.
    pub(crate) rows: Vec<String>,
    /// Good records: more than rows where keys come again.
    pub(crate) good: u64,
    /// In file order.
    pub(crate) bad: Vec<Bad>,
}

/// Names of the columns, as the file's header and the table have them.
pub(crate) const COLUMNS: [&str; 4] = ["id", "name", "v", "day"];

/// The cells of a row as one text.
pub(crate) fn row_text(cells: &[Option<String>]) -> String {
    let cell =
        |cell: &Option<String>| cell.as_ref().map_or("NULL".to_owned(), |c| format!("{c:?}"));
    cells.iter().map(cell).collect::<Vec<_>>().join(" ")
}

impl Data {
    /// A file made from a number: the same number gives the same file.
    pub(crate) fn generate(wanted: Wanted, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let end = if wanted.crlf { "\r\n" } else { "\n" };
        let mut text = format!("{}{end}", COLUMNS.join(","));
        let body_offset = text.len() as u64;
        let mut data = Self {
            bytes: Vec::new(),
            body_offset,
            records: u64::from(wanted.records),
            rows: Vec::new(),
            good: 0,
            bad: Vec::new(),
        };
        let mut rows: BTreeMap<u32, String> = BTreeMap::new();
        let mut line = 2;
        for number in 1..=wanted.records {
            let id = match wanted.keys_again && number > 1 && rng.u32(..1000) < 150 {
                true => rng.u32(1..number),
                false => number,
            };
            let mut cells = good_cells(&mut rng, id, end);
            let start = text.len();
            if rng.u32(..1000) < wanted.bad_per_mille {
                let (fields, class) = spoiled(&mut rng, &cells, wanted.refused_by_database);
                text.push_str(&fields);
                text.push_str(end);
                data.bad.push(Bad {
                    record: u64::from(number),
                    line,
                    byte_offset: start as u64,
                    bytes: text.as_bytes()[start..].to_vec(),
                    class,
                });
            } else {
                let is_last = number == wanted.records;
                text.push_str(&fields(&cells));
                // The last line may lack its end.
                text.push_str(if is_last && rng.bool() { "" } else { end });
                data.good += 1;
                cells[3] = cells[3].take().map(|day| day.replace('/', "-"));
                rows.insert(id, row_text(&cells));
            }
            line += text[start..].matches('\n').count() as u64;
        }
        data.bytes = text.into_bytes();
        data.rows = rows.into_values().collect();
        data.rows.sort();
        data
    }
}

/// Cells that every table of the tests takes.
fn good_cells(rng: &mut Rng, id: u32, end: &str) -> [Option<String>; 4] {
    let name = match rng.u32(..20) {
        0 => None,
        1 => Some(String::new()),
        2 => Some(format!("two{end}lines {id}")),
        3 => Some(format!("say \"{id}\", twice")),
        4 => Some(format!("{}{id}", "long ".repeat(12))),
        5 => Some(format!("d\u{e9}j\u{e0} {id}")),
        _ => Some(format!("name {id} {}", rng.u32(..))),
    };
    let v = (rng.u32(..10) > 0).then(|| rng.u32(..1_000_000).to_string());
    let day = format!("{}-{:02}-{:02}", rng.u32(1970..2040), rng.u32(1..13), rng.u32(1..29));
    let day = (rng.u32(..15) > 0).then_some(day);
    [Some(id.to_string()), name, v, day]
}

fn fields(cells: &[Option<String>; 4]) -> String {
    let mut text = String::new();
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        match cell {
            Some(cell) if cell.is_empty() || cell.contains(['"', ',', '\n']) => {
                write!(text, "\"{}\"", cell.replace('"', "\"\"")).expect("a text takes everything");
            }
            Some(cell) => text.push_str(cell),
            None => {}
        }
    }
    text
}

/// The fields of a record made bad, and the class of its reject.
fn spoiled(
    rng: &mut Rng,
    cells: &[Option<String>; 4],
    by_database: bool,
) -> (String, &'static str) {
    let mut cells = cells.clone();
    // A malformed record ends with its first line.
    cells[1] = cells[1].take().filter(|name| !name.contains('\n'));
    match rng.u32(..if by_database { 6 } else { 5 }) {
        0 => (format!("{},\"open\" end,1,", cells[0].as_deref().unwrap_or_default()), "malformed"),
        1 => (format!("{},one more", fields(&cells)), "field_count"),
        2 => {
            cells[2] = Some("twelve".to_owned());
            (fields(&cells), "conversion")
        }
        3 => {
            cells[3] = Some("2023-02-30".to_owned());
            (fields(&cells), "conversion")
        }
        4 => {
            cells[0] = None;
            (fields(&cells), "null")
        }
        _ => {
            // The table has a check.
            cells[2] = Some("-1".to_owned());
            (fields(&cells), "constraint")
        }
    }
}

#[test]
fn a_file_can_be_read_by_others() {
    for seed in 0..20 {
        let wanted = Wanted {
            records: 300,
            bad_per_mille: 0,
            refused_by_database: false,
            keys_again: seed % 2 == 0,
            crlf: seed % 3 == 0,
        };
        let data = Data::generate(wanted, seed);
        let mut rows = BTreeMap::new();
        // The other reader cannot tell an empty field from an empty text.
        let plain = |text: &str| text.replace("NULL", "\"\"");
        for record in csv::Reader::from_reader(&data.bytes[..]).records() {
            let record = record.expect("a record");
            let cells: Vec<_> = record.iter().map(|cell| Some(cell.to_owned())).collect();
            rows.insert(cells[0].clone(), plain(&row_text(&cells)));
        }
        let mut rows: Vec<_> = rows.into_values().collect();
        rows.sort();
        let mut expected: Vec<_> = data.rows.iter().map(|row| plain(row)).collect();
        expected.sort();
        assert_eq!(rows, expected, "seed {seed}");
    }
}

#[test]
fn bad_records_are_where_they_are_said_to_be() {
    let wanted = Wanted {
        records: 2_000,
        bad_per_mille: 100,
        refused_by_database: true,
        keys_again: false,
        crlf: true,
    };
    let data = Data::generate(wanted, 7);
    assert_eq!(data.good + data.bad.len() as u64, 2_000);
    assert!(data.bad.len() > 100 && data.rows.len() as u64 == data.good);
    for bad in &data.bad {
        let start = usize::try_from(bad.byte_offset).expect("a small file");
        assert_eq!(&data.bytes[start..start + bad.bytes.len()], bad.bytes);
        let before = data.bytes[..start].iter().filter(|&&byte| byte == b'\n').count();
        assert_eq!(bad.line, before as u64 + 1);
    }
}
