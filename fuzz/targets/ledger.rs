//! What a start reads from a ledger: committed ranges against a count of each byte, and texts in
//! their armour through a database, against a slow decoder. Ledgers that no load wrote are refused.

#![no_main]

use std::cell::RefCell;

use fastload::input::fingerprint::Fingerprint;
use fastload::ledger::{Committed, Gap, LedgerSql, Owner, Remainder, RunKey, Store, remainder};
use fastload::record::ByteRange;
use fastload::sink::sqlite::SqliteTarget;
use fastload::split::ChunkStart;
use libfuzzer_sys::fuzz_target;

/// Bytes of the input that are one range.
const RANGE_INPUT_BYTES: usize = 6;

/// Numbers near the end of u64 stand among small ones.
fn number(byte: u8) -> u64 {
    if byte < 250 { byte.into() } else { u64::MAX - u64::from(255 - byte) }
}

fn range(bytes: &[u8; RANGE_INPUT_BYTES]) -> Committed {
    let [start, end, records_before, records, lines_before, lines] = bytes.map(number);
    let bytes = ByteRange { start, end };
    Committed { bytes, records_before, records, lines_before, lines }
}

/// Records and lines behind a range.
fn behind(range: &Committed) -> (u128, u128) {
    let sum = |before: u64, own: u64| u128::from(before) + u128::from(own);
    (sum(range.records_before, range.records), sum(range.lines_before, range.lines))
}

/// Whether no file has both, `a` before `b` by where they begin.
fn contradict(a: &Committed, b: &Committed) -> bool {
    let before = (u128::from(b.records_before), u128::from(b.lines_before));
    let behind = behind(a);
    let touch = a.bytes.end == b.bytes.start;
    a.bytes.end > b.bytes.start
        || before.0 < behind.0
        || before.1 < behind.1
        || (touch && before != behind)
}

fn is_sound(length: u64, ranges: &[Committed]) -> bool {
    let fits = |range: &Committed| {
        let (records, lines) = behind(range);
        let most = u128::from(u64::MAX);
        let is_first = range.bytes.start == 0;
        range.bytes.start < range.bytes.end
            && (!is_first || (range.records_before, range.lines_before) == (0, 0))
            && range.bytes.end <= length
            && records <= most
            && lines <= most
    };
    // Ranges that begin at one byte overlap, whichever is called the first.
    let alone = |(index, a): (usize, &Committed)| {
        ranges
            .iter()
            .enumerate()
            .all(|(other, b)| other == index || b.bytes.start < a.bytes.start || !contradict(a, b))
    };
    ranges.iter().all(fits) && ranges.iter().enumerate().all(alone)
}

/// The same, byte by byte.
fn slow_remainder(length: u64, ranges: &[Committed]) -> Remainder {
    let owner = |at: u64| ranges.iter().find(|range| range.bytes.contains(at));
    let numbers = |range: &Committed| ChunkStart {
        byte_offset: range.bytes.end,
        records: range.records_before + range.records,
        lines: range.lines_before + range.lines,
    };
    let mut gaps: Vec<Gap> = Vec::new();
    let mut last = ChunkStart::default();
    let mut in_gap = false;
    for at in 0..length {
        match (owner(at), in_gap) {
            (Some(range), _) => {
                if in_gap {
                    gaps.last_mut().expect("we are in it").records_at_end =
                        Some(range.records_before);
                }
                last = numbers(range);
                if let Some(gap) = gaps.last_mut() {
                    gap.next = last;
                }
                in_gap = false;
            }
            (None, true) => gaps.last_mut().expect("we are in it").end = at + 1,
            (None, false) => {
                gaps.push(Gap { start: last, end: at + 1, next: last, records_at_end: None });
                in_gap = true;
            }
        }
    }
    Remainder { start: gaps.first().map_or(last, |gap| gap.start), gaps }
}

fn check_ranges(input: &[u8]) {
    let Some((&length, input)) = input.split_first() else { return };
    let ranges: Vec<Committed> = input.as_chunks().0.iter().take(24).map(range).collect();
    let own: Vec<Committed> =
        ranges.iter().filter(|range| range.bytes.start != range.bytes.end).copied().collect();
    let length = length.into();
    match remainder(length, &ranges) {
        Ok(found) => {
            assert!(is_sound(length, &own), "not refused: {own:?} of {length}");
            assert_eq!(found, slow_remainder(length, &own), "{own:?} of {length}");
        }
        Err(why) => assert!(!is_sound(length, &own), "{why}: {own:?} of {length}"),
    }
}

/// What `%XX` stands for, and everything else as it is.
fn slow_plain(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
    let text = text.as_bytes();
    let mut bytes = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match (text[at], digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).expect("two digits"));
                at += 3;
            }
            (byte, ..) => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn check_owner(text: &str) {
    let mut words = text.split('\n').map(str::to_owned);
    let mut word = || words.next().unwrap_or_default();
    let (pid, started) = (text.len() as u32, u64::MAX - text.len() as u64);
    let owner = Owner { host: word(), boot: word(), namespace: word(), pid, started };
    let shown = owner.to_text();
    assert!(shown.is_ascii() && !shown.contains(['\'', '\\', '"', '\n']), "{shown}");
    // As a database that pads gives it back.
    assert_eq!(Owner::parse(&format!("  {shown} ")), Some(owner), "{shown}");

    if let Some(owner) = Owner::parse(text) {
        assert_eq!(Owner::parse(&owner.to_text()), Some(owner));
    }
    if let Some(word) = text.split_whitespace().next().filter(|word| *word != "%") {
        let host = Owner::parse(&format!("{word} b n 1 2")).expect("five words").host;
        assert_eq!(host, slow_plain(word), "{word}");
    }
    if let Some(print) = Fingerprint::parse(text) {
        assert_eq!(print.to_text(), text);
    }
}

thread_local! {
    /// A ledger that holds nothing between two inputs.
    static STORE: RefCell<Store> = RefCell::new(store());
}

fn store() -> Store {
    let path = std::env::temp_dir().join(format!("ledger-{}.db", std::process::id()));
    let target = SqliteTarget::open(path).expect("a database");
    let mut store = Store::open(&target, None).expect("a ledger");
    store.create().expect("its tables");
    store.session().commit().expect("they stay");
    store
}

/// Facts go into the database and come back; damaged rows there are read or refused.
fn check_facts(store: &mut Store, text: &str) {
    let run = RunKey { job: "job".to_owned(), run: 1 };
    let sql: LedgerSql = store.sql().clone();
    let (name, value) = text.split_once('=').unwrap_or(("name", text));
    // A name is ours, and short.
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
    for statement in sql.add_fact(&run, &name, value) {
        let changed = store.session().execute(&statement).expect("it can be written");
        assert_eq!(changed, Some(1), "{statement}");
    }
    let facts = store.facts(&run).expect("it can be read");
    assert_eq!(facts.iter().collect::<Vec<_>>(), [(name.as_str(), value)]);

    let raw = text.replace('\'', "''").replace('\0', "");
    let (mut jobs, mut ranges) = (String::new(), String::new());
    let mut cells = raw.split('\n');
    let mut cell = |known: &str| match cells.next() {
        None | Some("") => known.to_owned(),
        Some(text) => format!("'{text}'"),
    };
    // Job, run, epoch, state, step, version, table, owner, begun, changed, seen.
    for known in ["'j'", "1", "1", "'loading'", "0", "1", "'t'", "NULL", "0", "0", "0"] {
        jobs += &format!("{}{}", if jobs.is_empty() { "" } else { ", " }, cell(known));
    }
    for number in 0..17 {
        ranges += &format!(", {}", cell(&number.to_string()));
    }
    let table = sql.table();
    let columns = "JOB_ID, RUN_NO, EPOCH, JOB_STATE, JOB_STEP, LEDGER_VERSION, TARGET_TABLE, \
                   JOB_OWNER, STARTED_AT, UPDATED_AT, SEEN";
    let job = format!("INSERT INTO {table}_JOB ({columns}) VALUES ({jobs})");
    let range = format!("INSERT INTO {table} VALUES ('job', 1{ranges})");
    for statement in [job, range] {
        store.session().execute(&statement).unwrap_or_else(|why| panic!("{why:?}: {statement}"));
    }
    let _ = store.runs(None);
    let _ = store.ranges(&run);
    let _ = store.samples(&run, 0, 100);
}

fuzz_target!(|input: &[u8]| {
    check_ranges(input);
    let text = String::from_utf8_lossy(input);
    check_owner(&text);
    STORE.with_borrow_mut(|store| {
        check_facts(store, &text);
        store.session().rollback().expect("a transaction");
    });
});
