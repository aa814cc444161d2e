use super::*;

fn generate(options: &GenOptions) -> (Vec<u8>, Truth) {
    let mut bytes = Vec::new();
    let truth = accounts(options, &mut bytes).unwrap();
    assert_eq!(truth.bytes, bytes.len() as u64);
    (bytes, truth)
}

fn options(records: u64) -> GenOptions {
    GenOptions { size: GenSize::Records(records), seed: 42, header: true, bad: BadRecords::None }
}

/// Cents of `-12.34`.
fn cents(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap();
    assert_eq!(fraction.len(), 2);
    let magnitude: i128 = format!("{}{fraction}", whole.trim_start_matches('-')).parse().unwrap();
    if text.starts_with('-') { -magnitude } else { magnitude }
}

#[test]
fn another_reader_finds_the_truth() {
    let (bytes, truth) = generate(&options(20_000));
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let mut seen = Truth { bytes: truth.bytes, ..Truth::default() };
    let (mut commas, mut quotes) = (0, 0);
    for record in reader.records() {
        let record = record.unwrap();
        assert_eq!(record.len(), ACCOUNT_COLUMNS);
        let id: i64 = record[0].parse().unwrap();
        seen.rows += 1;
        seen.account_id_sum += i128::from(id);
        assert!(id > seen.account_id_max);
        if seen.account_id_min == 0 {
            seen.account_id_min = id;
        }
        seen.account_id_max = id;
        seen.branch_sum += i128::from(record[1].parse::<i16>().unwrap());
        assert!(record[2].chars().count() <= 60);
        if !record[3].is_empty() {
            seen.balance_cents += cents(&record[3]);
        }
        assert_eq!(record[4].len(), 3);
        record[5].parse::<jiff::civil::Date>().unwrap();
        if !record[6].is_empty() {
            record[6].parse::<jiff::civil::DateTime>().unwrap();
        }
        if !record[8].is_empty() {
            record[8].parse::<f64>().unwrap();
        }
        assert!(record[9].len() <= 100);
        seen.memos_with_newline += u64::from(record[9].contains('\n'));
        commas += u64::from(record[9].contains(','));
        quotes += u64::from(record[9].contains('"'));
        for (nulls, field) in seen.nulls.iter_mut().zip(&record) {
            *nulls += u64::from(field.is_empty());
        }
    }
    assert_eq!(seen, truth);
    assert!(commas > 0 && quotes > 0 && truth.memos_with_newline > 0);
    for column in [2, 3, 6, 8, 9] {
        assert!(truth.nulls[column] > 0, "column {column}");
    }
    let row_bytes = truth.bytes / truth.rows;
    assert!((100..130).contains(&row_bytes), "{row_bytes} bytes a row");
}

#[test]
fn the_seed_decides_and_nothing_else() {
    let (first, _) = generate(&options(500));
    let (again, _) = generate(&options(500));
    let (longer, _) = generate(&options(501));
    let (other, _) = generate(&GenOptions { seed: 43, ..options(500) });
    assert_eq!(first, again);
    assert!(longer.starts_with(&first));
    assert_ne!(first, other);
}

#[test]
fn sizes_are_reached_with_whole_records() {
    let (bytes, truth) =
        generate(&GenOptions { size: GenSize::Bytes(3_000_000), header: false, ..options(0) });
    assert!((3_000_000..3_001_000).contains(&truth.bytes));
    assert!(bytes.ends_with(b"\n") && !bytes.starts_with(b"account_id"));
    let (bytes, truth) = generate(&options(0));
    assert_eq!((bytes.as_slice(), truth.rows), (HEADER, 0));
}

#[test]
fn bad_records_come_in_turn_on_lines_of_their_own() {
    let all = GenOptions { header: false, bad: BadRecords::Every(1), ..options(240) };
    let (bytes, truth) = generate(&all);
    assert_eq!((truth.rows, truth.bad), (0, 240));
    assert_eq!((truth.balance_cents, truth.account_id_sum), (0, 0));
    let lines: Vec<_> = bytes.trim_ascii_end().split(|&byte| byte == b'\n').collect();
    assert_eq!(lines.len(), 240);
    let fields = |line: &[u8]| line.iter().filter(|&&byte| byte == b',').count() + 1;
    assert!(lines[0].starts_with(b"12E4567890,"));
    assert_eq!(fields(lines[2]), 9);
    assert!(std::str::from_utf8(lines[5]).is_err());
    assert!(lines[8].starts_with(b","));
    assert!(lines[10].ends_with(b",surplus"));
}

#[test]
fn the_kind_of_each_record_is_known() {
    let every = BadRecords::Every(10);
    let kinds: Vec<_> = (1..=120).filter_map(|record| every.kind(record)).collect();
    assert_eq!(kinds, BadKind::ALL);
    assert_eq!(every.kind(130), Some(BadKind::NotANumber));
    let numbers = BadRecords::Numbers(vec![3, 8]);
    assert_eq!(numbers.kind(8), Some(BadKind::ImpossibleDate));
    assert_eq!(numbers.kind(4), None);
    assert_eq!(BadRecords::Every(0).kind(7), None);
    let (_, truth) = generate(&GenOptions { bad: every, ..options(1_000) });
    assert_eq!((truth.rows, truth.bad), (900, 100));
}
