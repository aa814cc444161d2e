//! Reject segments as a start finds them: any files in their directory, and any committed lengths.
//! Each segment is cut to what is committed of it, or the start is refused; what is committed stays
//! in both cases, and nothing outside of the directory is touched.

#![no_main]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use fastload::rejects::{Keeping, RejectFiles, SegmentId, SegmentLengths};
use libfuzzer_sys::fuzz_target;

const RUN: &str = "the run";

/// A file beside the directory, where links in it lead.
const OUTSIDE: &[u8] = b"a file of somebody else";

const SEGMENTS: [SegmentId; 3] = [
    SegmentId { epoch: 1, writer: 0 },
    SegmentId { epoch: 1, writer: 1 },
    SegmentId { epoch: 2, writer: 0 },
];

/// Of the index of a segment: input, record, and two ranges of bytes.
const ENTRY_BYTES: usize = 48;

static BASE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("rejects-{}", std::process::id())));

/// What stands at a name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    File(Vec<u8>),
    Link,
    Directory,
}

type Tree = BTreeMap<String, Entry>;

fn tree(directory: &Path) -> Tree {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let one = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("it was listed");
        let kind = entry.file_type().expect("it is there");
        let what = if kind.is_symlink() {
            Entry::Link
        } else if kind.is_dir() {
            Entry::Directory
        } else {
            Entry::File(fs::read(entry.path()).expect("our own file"))
        };
        (entry.file_name().into_string().expect("our own name"), what)
    };
    entries.map(one).collect()
}

fn names(id: SegmentId) -> [String; 3] {
    ["raw", "jsonl", "index"].map(|what| format!("{}-{}.{what}", id.epoch, id.writer))
}

/// Reads small choices from the front of the input.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// Small, or near the end of u64 or of what a file can be.
    fn length(&mut self) -> u64 {
        match self.byte() {
            byte @ 0..=249 => byte.into(),
            byte @ 250..=252 => u64::MAX - u64::from(252 - byte),
            byte => i64::MAX as u64 - 1 + u64::from(byte - 253),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes.to_vec()
    }

    /// An index of up to three entries, each from four bytes, whole or damaged.
    fn index(&mut self) -> Vec<u8> {
        let mut index = Vec::new();
        let (mut raw, mut lines) = (0, 0);
        for _ in 0..self.byte() % 4 {
            let (input, record) = (self.length(), self.length());
            let (raw_end, lines_end) =
                (raw + u64::from(self.byte()), lines + u64::from(self.byte()));
            for word in [input, record, raw, raw_end, lines, lines_end] {
                index.extend_from_slice(&word.to_le_bytes());
            }
            (raw, lines) = (raw_end, lines_end);
        }
        match self.byte() {
            // Half an entry, which a crash leaves.
            rest @ 1..48 => index.resize(index.len() + usize::from(rest), 7),
            at @ 48.. => {
                if let Some(byte) = index.get_mut(usize::from(at) - 48) {
                    *byte ^= self.byte();
                }
            }
            0 => {}
        }
        index
    }
}

/// Puts one name into the directory.
fn plant(parts: &Path, name: &str, what: Option<Entry>) {
    let path = parts.join(name);
    match what {
        None => {}
        Some(Entry::File(bytes)) => fs::write(path, bytes).expect("a file"),
        Some(Entry::Link) => symlink("../outside", path).expect("a link"),
        Some(Entry::Directory) => fs::create_dir(path).expect("a directory"),
    }
}

fn entry(choices: &mut Choices<'_>, is_index: bool) -> Option<Entry> {
    match choices.byte() {
        0..8 => None,
        8..12 => Some(Entry::Link),
        12..16 => Some(Entry::Directory),
        _ if is_index => Some(Entry::File(choices.index())),
        _ => Some(Entry::File(choices.bytes())),
    }
}

/// The directory as the choices have it; `false`: there is none.
fn fill(parts: &Path, choices: &mut Choices<'_>) -> bool {
    let mark = choices.byte();
    if mark < 8 {
        return false;
    }
    fs::create_dir(parts).expect("a directory");
    let run = match mark {
        8..12 => None,
        12..16 => Some(Entry::Directory),
        16..20 => Some(Entry::File(choices.bytes())),
        // A newline at the end is no other run.
        20..24 => Some(Entry::File(format!("{RUN}\n").into_bytes())),
        _ => Some(Entry::File(RUN.into())),
    };
    plant(parts, "run", run);
    for id in SEGMENTS {
        for (name, is_index) in names(id).iter().zip([false, false, true]) {
            plant(parts, name, entry(choices, is_index));
        }
    }
    if choices.byte() % 4 == 1 {
        plant(parts, "something", entry(choices, false));
    }
    true
}

/// The lengths of a segment up to some entry of its index, as a load commits them.
fn lengths_to(id: SegmentId, entries: usize, tree: &Tree) -> SegmentLengths {
    let Some(Entry::File(index)) = tree.get(&names(id)[2]) else {
        return SegmentLengths::default();
    };
    let (index, _) = index.as_chunks::<ENTRY_BYTES>();
    let entries = entries.min(index.len());
    let Some(last) = entries.checked_sub(1) else { return SegmentLengths::default() };
    let [_, _, _, raw_bytes, _, lines_bytes] = words(&index[last]);
    SegmentLengths { raw_bytes, lines_bytes, index_bytes: (entries * ENTRY_BYTES) as u64 }
}

fn committed(choices: &mut Choices<'_>, tree: &Tree) -> Vec<(usize, SegmentId, SegmentLengths)> {
    let count = choices.byte() % 4;
    let one = |_| {
        let id = SEGMENTS[usize::from(choices.byte()) % SEGMENTS.len()];
        let lengths = match choices.byte() {
            entries @ 0..200 => lengths_to(id, usize::from(entries % 4), tree),
            _ => SegmentLengths {
                raw_bytes: choices.length(),
                lines_bytes: choices.length(),
                index_bytes: choices.length(),
            },
        };
        (0, id, lengths)
    };
    (0..count).map(one).collect()
}

/// The numbers of an entry of an index.
fn words(entry: &[u8; ENTRY_BYTES]) -> [u64; 6] {
    let (words, _) = entry.as_chunks();
    std::array::from_fn(|at| u64::from_le_bytes(words[at]))
}

/// What is committed of each file, by its name. Segments only grow, so the longest counts.
fn wanted(committed: &[(usize, SegmentId, SegmentLengths)]) -> BTreeMap<String, u64> {
    let mut wanted = BTreeMap::new();
    for id in SEGMENTS {
        let own =
            committed.iter().filter(|(_, other, _)| *other == id).map(|(.., lengths)| lengths);
        // The first one of the longest.
        let Some(lengths) = own.rev().max_by_key(|lengths| lengths.index_bytes) else { continue };
        let bytes = [lengths.raw_bytes, lengths.lines_bytes, lengths.index_bytes];
        wanted.extend(names(id).into_iter().zip(bytes));
    }
    wanted
}

/// The directory as it must be after a start; `None`: it must be refused.
fn adopted(before: &Tree, wanted: &BTreeMap<String, u64>) -> Option<Tree> {
    let is_run = |text: &[u8]| str::from_utf8(text).is_ok_and(|text| text.trim_end() == RUN);
    let mut after = Tree::new();
    match before.get("run") {
        Some(Entry::File(text)) if is_run(text) => {
            after.insert("run".to_owned(), before["run"].clone())
        }
        _ => return None,
    };
    for (name, &bytes) in wanted {
        let Some(Entry::File(all)) = before.get(name) else { return None };
        let committed = all.get(..usize::try_from(bytes).ok()?)?;
        after.insert(name.clone(), Entry::File(committed.to_vec()));
    }
    // What nobody knows goes; a directory is none of ours.
    let is_strange =
        |(name, what): (&String, &Entry)| !after.contains_key(name) && *what == Entry::Directory;
    (!before.iter().any(is_strange)).then_some(after)
}

/// No byte that is committed is lost where a start is refused.
fn assert_kept(before: &Tree, after: &Tree, wanted: &BTreeMap<String, u64>) {
    for (name, bytes) in wanted {
        let (Some(Entry::File(old)), Some(length)) =
            (before.get(name), usize::try_from(*bytes).ok())
        else {
            continue;
        };
        let Some(committed) = old.get(..length) else {
            assert_eq!(after.get(name), before.get(name), "{name} is damaged, and was changed");
            continue;
        };
        let Some(Entry::File(new)) = after.get(name) else { panic!("{name} is gone") };
        assert!(new.starts_with(committed), "{name}: {old:?} became {new:?}");
    }
}

/// The reject file that the adopted segments make; `None`: their indexes are no such.
fn merged(tree: &Tree, wanted: &BTreeMap<String, u64>) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut rejects = BTreeMap::new();
    for id in SEGMENTS {
        let [raw, lines, index] = names(id).map(|name| match tree.get(&name) {
            Some(Entry::File(bytes)) if wanted.contains_key(&name) => bytes.as_slice(),
            _ => &[],
        });
        let (entries, rest) = index.as_chunks::<ENTRY_BYTES>();
        let (mut raw_at, mut lines_at) = (0, 0);
        for entry in entries {
            let [input, record, raw_start, raw_end, lines_start, lines_end] =
                words(entry).map(|word| usize::try_from(word).expect("64 bits"));
            if (raw_start, lines_start) != (raw_at, lines_at) {
                return None;
            }
            (raw_at, lines_at) = (raw_end, lines_end);
            let reject = (raw.get(raw_start..raw_end)?, lines.get(lines_start..lines_end)?);
            if rejects.insert((input, record), reject).is_some() {
                return None;
            }
        }
        if !rest.is_empty() || (raw_at, lines_at) != (raw.len(), lines.len()) {
            return None;
        }
    }
    let (mut all, mut reasons): (Vec<u8>, Vec<u8>) = Default::default();
    let mut is_ended = true;
    for (record, lines) in rejects.into_values() {
        if !is_ended {
            all.push(b'\n');
        }
        is_ended = matches!(record.last(), Some(b'\n' | b'\r'));
        all.extend(record);
        reasons.extend(lines);
    }
    Some((all, reasons))
}

/// Merges what was adopted.
fn check_merge(files: &RejectFiles, path: &Path, tree: &Tree, wanted: &BTreeMap<String, u64>) {
    let entries: u64 = SEGMENTS
        .iter()
        .filter_map(|&id| wanted.get(&names(id)[2]))
        .map(|bytes| bytes / ENTRY_BYTES as u64)
        .sum();
    let reasons = path.with_extension("rejects.jsonl");
    match files.merge(Vec::new()) {
        Ok(written) if entries == 0 => {
            assert_eq!(written, [None]);
            assert!(!path.exists() && !reasons.exists());
        }
        Ok(written) => {
            assert_eq!(written, [Some(path.to_owned())]);
            let found = [path, &reasons].map(|path| fs::read(path).expect("it was written"));
            let (all, lines) = merged(tree, wanted).expect("damaged, and merged all the same");
            assert_eq!(found, [all, lines]);
        }
        Err(why) => {
            assert_eq!(merged(tree, wanted), None, "{why}");
            assert!(!path.exists() && !reasons.exists(), "half a reject file");
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let base = BASE.as_path();
    let _ = fs::remove_dir_all(base);
    fs::create_dir(base).expect("a directory");
    fs::write(base.join("outside"), OUTSIDE).expect("a file");
    let path = base.join("in.rejects");
    let parts = base.join("in.rejects.parts");

    let mut choices = Choices(input);
    let is_there = fill(&parts, &mut choices);
    let before = tree(&parts);
    let committed = committed(&mut choices, &before);
    let wanted = wanted(&committed);

    let keeping = Keeping { run: Some(RUN.to_owned()), epoch: 3, committed };
    match RejectFiles::new(vec![path.clone()], &[PathBuf::from("in.csv")], &keeping) {
        Ok(files) => {
            let after = tree(&parts);
            if is_there {
                assert_eq!(Some(&after), adopted(&before, &wanted).as_ref(), "before: {before:?}");
            } else {
                assert!(wanted.is_empty() && !parts.exists());
            }
            check_merge(&files, &path, &after, &wanted);
            files.remove().expect("it is our own");
            assert!(!parts.exists());
        }
        Err(why) => {
            assert!(why.to_string().contains("in.rejects.parts"), "{why}");
            match is_there {
                true => assert_eq!(adopted(&before, &wanted), None, "{why}"),
                false => assert!(!wanted.is_empty()),
            }
            assert_kept(&before, &tree(&parts), &wanted);
        }
    }
    assert_eq!(fs::read(base.join("outside")).expect("it stays"), OUTSIDE);
    fs::remove_dir_all(base).expect("our own directory");
});
