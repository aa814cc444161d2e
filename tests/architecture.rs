//! The module map of ARCHITECTURE.md as a test: who may import whom, who may name which outside
//! crate, where unsafe code and output are allowed, how long a file may be.
//!
//! The rules are tables at the top. Each rule is a function from sources to violations; the module
//! at the bottom gives it small bad sources to show that it can fail. Sources are read as tokens
//! without comments, literals and test code: a word in a sentence is not taken for a use.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Modules from the lowest rank to the highest. A module imports only from lower ranks; modules of
/// one rank do not know each other.
const RANKS: &[&[&str]] = &[
    &["failpoint", "limits", "record"],
    &["codes", "error", "ring"],
    &["config"],
    &["generate", "infer", "input", "report", "split"],
    &["arena", "dialect", "rejects"],
    &["parse", "sink"],
    &["ledger", "staging"],
    &["engine"],
    &["cli"],
    &["lib"],
    &["main"],
];

/// Imports that the ranks do not cover.
const EXCEPTIONS: &[(&str, &str)] = &[
    // Under cfg(fastload_loom) only: tests/ring-model compiles ring/mod.rs beside its own `model`.
    ("ring/mod.rs", "model"),
];

/// Modules behind which a kind of target hides, and who may name them besides themselves.
const HIDDEN: &[(&str, &[&str])] = &[
    ("sink::csv", &["sink/csv.rs", "cli/"]),
    ("sink::odbc", &["sink/odbc/", "cli/"]),
    ("sink::sqlite", &["sink/sqlite/", "cli/"]),
    ("input::mmap", &["input/", "engine/", "cli/bench.rs"]),
    ("input::direct", &["input/"]),
    ("input::uring", &["input/"]),
];

/// Outside crates that do I/O, have unsafe code at their interface, or print: where they are named.
const CRATES: &[(&str, &[&str])] = &[
    ("annotate_snippets", &["cli/"]),
    ("clap", &["cli/"]),
    ("clap_complete", &["cli/"]),
    ("comfy_table", &["cli/"]),
    ("core_affinity", &["engine/topology.rs"]),
    ("crossbeam_queue", &["ring/mod.rs"]),
    ("glob", &["config/inputs.rs"]),
    ("indicatif", &["cli/"]),
    ("libc", &["input/guard/mod.rs", "input/lease.rs", "input/mmap.rs"]),
    ("libmimalloc_sys", &["main.rs"]),
    ("memmap2", &["input/mmap.rs", "input/pages.rs"]),
    ("mimalloc", &["main.rs"]),
    // Connections, descriptions and diagnostics; arrays are executed over odbc_sys in one place.
    ("odbc_api", &["sink/odbc/"]),
    ("odbc_sys", &["sink/odbc/raw/"]),
    // The native connections of --copy.
    ("postgres", &["sink/odbc/copy/"]),
    ("rpassword", &["cli/"]),
    ("rusqlite", &["sink/sqlite/"]),
    ("rustix", &["cli/", "input/", "rejects/parts.rs"]),
    ("serde_saphyr", &["config/file.rs"]),
    ("signal_hook", &["cli/", "failpoint.rs"]),
    ("tokio_uring", &["input/direct.rs", "input/pages.rs", "input/uring.rs"]),
    ("tracing_subscriber", &["cli/"]),
    ("twox_hash", &["input/fingerprint.rs"]),
];

/// Files with unsafe code; docs/unsafe.md argues each.
const UNSAFE_FILES: &[&str] = &[
    "input/guard/mod.rs",
    "input/lease.rs",
    "input/mmap.rs",
    "input/pages.rs",
    "main.rs",
    "parse/simd/mod.rs",
    "parse/simd/x86.rs",
    "sink/odbc/environment.rs",
    "sink/odbc/raw/cancel.rs",
    "sink/odbc/raw/diagnostics.rs",
    "sink/odbc/raw/mod.rs",
    "sink/sqlite/bind.rs",
];

/// Words of I/O, threads, locks and processes, which the pure modules do not use.
const IMPURE_WORDS: &[&str] =
    &["fs", "net", "thread", "process", "env", "File", "Mutex", "RwLock", "Condvar", "Instant"];

/// Modules that are functions of their bytes: no I/O, no locks, no threads, no clock.
const PURE_MODULES: &[&str] =
    &["arena/", "parse/", "dialect/", "infer.rs", "limits.rs", "record.rs"];

/// What only some files may do to the process: a token path and those files.
const PROCESS_CALLS: &[(&[&str], &[&str])] = &[
    // The second signal ends the process without waiting for the load.
    (&["process", "::", "exit"], &["main.rs", "cli/signals.rs"]),
    (&["process", "::", "abort"], &["main.rs"]),
    // A load that left threads behind in a driver.
    (&["low_level", "::", "exit"], &["cli/exit.rs"]),
    (&["set_hook"], &["main.rs", "cli/"]),
    // The handler of SIGBUS, by a public function that `main` calls.
    (&["libc", "::", "sigaction", "("], &["input/guard/mod.rs"]),
    // A public function that `main` calls before any thread.
    (&["set_var"], &["sink/odbc/environment.rs"]),
    (&["remove_var"], &[]),
    (&["global_allocator"], &["main.rs"]),
];

/// Macros that write to the terminal.
const PRINTING: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];

/// File names that say nothing.
const EMPTY_NAMES: &[&str] = &["common", "helpers", "misc", "util", "utils"];

/// Longest line.
const LINE_CHARS_MAX: usize = 100;

/// Longest file, its tests included.
const FILE_LINES_MAX: usize = 600;

/// Files that may be longer, and how long, each with its reason.
const LONG_FILES: &[(&str, usize)] = &[
    // One table: every flag of the command line with its help text.
    ("cli/args/mod.rs", 800),
];

/// A source file below `src/`.
struct Source {
    /// Path below `src/`.
    path: String,
    text: String,
    /// Tokens without comments, literals and test code; none for a file of tests.
    tokens: Vec<String>,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
        let tokens = if is_test { Vec::new() } else { without_test_items(&tokens(text)) };
        Self { path: path.to_owned(), text: text.to_owned(), tokens }
    }

    /// The path of the module that the file is.
    fn module(&self) -> Vec<String> {
        let path = self.path.trim_end_matches(".rs").trim_end_matches("/mod");
        path.split('/').map(str::to_owned).collect()
    }

    fn top_module(&self) -> String {
        self.module().swap_remove(0)
    }

    fn names(&self, word: &str) -> bool {
        let at = self.tokens.iter().enumerate();
        at.into_iter().any(|(i, token)| {
            let inside_path = i > 0 && matches!(self.tokens[i - 1].as_str(), "::" | ".");
            token == word && !inside_path
        })
    }

    fn has_sequence(&self, sequence: &[&str]) -> bool {
        self.tokens.windows(sequence.len()).any(|tokens| tokens == sequence)
    }

    /// Every path of this crate that the file names, without `crate`, `use` groups taken apart.
    fn crate_paths(&self) -> BTreeSet<Vec<String>> {
        let mut found = BTreeSet::new();
        let mut module = self.module();
        if module == ["lib"] || module == ["main"] {
            module.clear();
        }
        // Inline modules that are open, with the depth of their brace.
        let mut inline: Vec<(usize, String)> = Vec::new();
        let mut depth = 0;
        for (at, token) in self.tokens.iter().enumerate() {
            let next = |n: usize| self.tokens.get(at + n).map_or("", String::as_str);
            let before = at.checked_sub(1).map_or("", |i| self.tokens[i].as_str());
            match token.as_str() {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    inline.retain(|(opened, _)| *opened < depth + 1);
                }
                "mod" if next(2) == "{" => inline.push((depth + 1, next(1).to_owned())),
                "crate" if next(1) == "::" && before != "::" => {
                    expand(&self.tokens, at + 2, &mut Vec::new(), &mut found);
                }
                "super" if before != "::" => {
                    let mut base = module.clone();
                    base.extend(inline.iter().map(|(_, name)| name.clone()));
                    base.pop();
                    let mut from = at + 2;
                    while self.tokens.get(from).is_some_and(|token| token == "super") {
                        base.pop();
                        from += 2;
                    }
                    expand(&self.tokens, from, &mut base, &mut found);
                }
                _ => {}
            }
        }
        found
    }
}

/// Reads the path or group that begins at token `at`; returns the index of the token behind it.
fn expand(
    tokens: &[String],
    mut at: usize,
    base: &mut Vec<String>,
    found: &mut BTreeSet<Vec<String>>,
) -> usize {
    let length = base.len();
    while let Some(token) = tokens.get(at) {
        if token == "{" {
            at += 1;
            while tokens.get(at).is_some_and(|token| token != "}") {
                at = expand(tokens, at, base, found);
                while tokens.get(at).is_some_and(|token| token != "}" && token != ",") {
                    at += 1;
                }
                at += usize::from(tokens.get(at).is_some_and(|token| token == ","));
            }
            base.truncate(length);
            return at + 1;
        }
        base.push(token.clone());
        if tokens.get(at + 1).is_none_or(|token| token != "::") {
            break;
        }
        at += 2;
    }
    found.insert(base.clone());
    base.truncate(length);
    at + 1
}

/// Words, `::`, and single characters; comments, literals and lifetimes left out.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let start = i;
        match (at(i), at(i + 1)) {
            ('/', '/') => i += chars[i..].iter().take_while(|&&c| c != '\n').count(),
            ('/', '*') => i = comment_end(&chars, i),
            ('"', _) => i = string_end(&chars, i),
            ('r' | 'b' | 'c', _) if raw_string(&chars, i).is_some() => {
                i = raw_string(&chars, i).expect("it was just found");
            }
            ('b' | 'c', '"') => i = string_end(&chars, i + 1),
            ('b', '\'') => i = char_end(&chars, i + 1),
            ('\'', _) => i = char_end(&chars, i),
            (':', ':') => {
                tokens.push("::".to_owned());
                i += 2;
            }
            (c, _) if c.is_alphanumeric() || c == '_' => {
                while at(i).is_alphanumeric() || at(i) == '_' {
                    i += 1;
                }
                tokens.push(chars[start..i].iter().collect());
            }
            (c, _) => {
                if !c.is_whitespace() {
                    tokens.push(c.to_string());
                }
                i += 1;
            }
        }
    }
    tokens
}

fn comment_end(chars: &[char], mut i: usize) -> usize {
    let mut depth = 0;
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i
}

fn string_end(chars: &[char], quote: usize) -> usize {
    let mut i = quote + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

/// End of the raw string that begins at `i` (`r"`, `br#"`), if one does.
fn raw_string(chars: &[char], i: usize) -> Option<usize> {
    let r = if chars[i] == 'r' { i } else { i + 1 };
    if chars.get(r) != Some(&'r') {
        return None;
    }
    let hashes = chars[r + 1..].iter().take_while(|&&c| c == '#').count();
    let open = r + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let closes = |i: &usize| {
        chars[*i] == '"' && chars[i + 1..].iter().take_while(|&&c| c == '#').count() >= hashes
    };
    Some((open + 1..chars.len()).find(closes)? + 1 + hashes)
}

/// End of the character literal or of the lifetime's tick at `tick`.
fn char_end(chars: &[char], tick: usize) -> usize {
    if chars.get(tick + 1) == Some(&'\\') {
        let closing = chars[tick + 3..].iter().take_while(|&&c| c != '\'').count();
        tick + 3 + closing + 1
    } else if chars.get(tick + 2) == Some(&'\'') {
        tick + 3
    } else {
        tick + 1
    }
}

/// Leaves out each item under `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn without_test_items(tokens: &[String]) -> Vec<String> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut i = 0;
    while i < tokens.len() {
        let begins = |words: &[&str]| {
            let end = (i + words.len()).min(tokens.len());
            tokens[i..end] == *words
        };
        let is_test = begins(&["#", "[", "cfg", "(", "test", ")", "]"])
            || begins(&["#", "[", "cfg", "(", "all", "(", "test", ","]);
        if !is_test {
            kept.push(tokens[i].clone());
            i += 1;
            continue;
        }
        // The item ends with a semicolon or a block, after its attributes.
        let mut depth = 0;
        while i < tokens.len() {
            match tokens[i].as_str() {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" => depth -= 1,
                "}" => {
                    depth -= 1;
                    if depth == 0 {
                        i += 1;
                        break;
                    }
                }
                ";" if depth == 0 => {
                    i += 1;
                    break;
                }
                _ => {}
            }
            i += 1;
        }
    }
    kept
}

fn is_among(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path == *place || (place.ends_with('/') && path.starts_with(place)))
}

fn rank(module: &str) -> Option<usize> {
    RANKS.iter().position(|modules| modules.contains(&module))
}

/// Imports point from higher ranks to lower ones.
fn imports(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        let own = source.top_module();
        let Some(own_rank) = rank(&own) else {
            wrong.push(format!("src/{}: module {own} has no rank", source.path));
            continue;
        };
        for path in source.crate_paths() {
            let name = path[0].as_str();
            if name == own || EXCEPTIONS.contains(&(source.path.as_str(), name)) {
                continue;
            }
            if rank(name).is_none_or(|rank| rank >= own_rank) {
                wrong.push(format!("src/{}: {own} may not use {name}", source.path));
            }
        }
    }
    wrong
}

/// Kinds of targets and inputs are named only where they are chosen.
fn hidden_modules(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        for path in source.crate_paths() {
            let two = path.iter().take(2).cloned().collect::<Vec<_>>().join("::");
            for (module, places) in HIDDEN {
                if two == *module && !is_among(&source.path, places) {
                    wrong.push(format!("src/{}: {module} is not its business", source.path));
                }
            }
        }
    }
    wrong
}

/// Outside crates are named where the table says, and there they are.
fn outside_crates(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, places) in CRATES {
        let users: Vec<_> = sources.iter().filter(|source| source.names(name)).collect();
        if users.is_empty() {
            wrong.push(format!("{name}: no file names it"));
        }
        for user in users.iter().filter(|user| !is_among(&user.path, places)) {
            wrong.push(format!("src/{}: names {name}", user.path));
        }
    }
    wrong
}

/// Unsafe code is where the table says, and each such file says why.
fn unsafe_code(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        let listed = UNSAFE_FILES.contains(&source.path.as_str());
        let has_unsafe = source.names("unsafe");
        let reasoned = source.has_sequence(&["expect", "(", "unsafe_code", ",", "reason"]);
        if has_unsafe && !listed {
            wrong.push(format!("src/{}: unsafe code", source.path));
        }
        if listed && !has_unsafe {
            wrong.push(format!("src/{}: has no unsafe code any more", source.path));
        }
        if has_unsafe && !reasoned {
            wrong.push(format!("src/{}: no expect(unsafe_code, reason)", source.path));
        }
    }
    wrong
}

/// Only the command line prints; nobody but it touches the process.
fn output_and_process(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        for name in PRINTING {
            if source.has_sequence(&[name, "!"]) && !is_among(&source.path, &["cli/"]) {
                wrong.push(format!("src/{}: {name}!", source.path));
            }
        }
        for (call, places) in PROCESS_CALLS {
            if source.has_sequence(call) && !is_among(&source.path, places) {
                wrong.push(format!("src/{}: {}", source.path, call.concat()));
            }
        }
    }
    wrong
}

/// Parsing is a function of bytes.
fn purity(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        for word in IMPURE_WORDS {
            let used = source.tokens.iter().any(|token| token == word);
            if used && is_among(&source.path, PURE_MODULES) {
                wrong.push(format!("src/{}: uses {word}", source.path));
            }
        }
    }
    wrong
}

/// Names of files say what is in them, files are short.
fn files(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        let path = &source.path;
        let empty = |part: &String| EMPTY_NAMES.contains(&part.as_str());
        if source.module().iter().any(empty) {
            wrong.push(format!("src/{path}: the name says nothing"));
        }
        let allowed = LONG_FILES.iter().find(|(file, _)| file == path);
        let lines = source.text.lines().count();
        if lines > allowed.map_or(FILE_LINES_MAX, |(_, lines)| *lines) {
            wrong.push(format!("src/{path}: {lines} lines"));
        }
        if allowed.is_some() && lines <= FILE_LINES_MAX {
            wrong.push(format!("src/{path}: needs no exception for its length"));
        }
    }
    wrong
}

/// Lines are at most as long as rustfmt makes them, comments and literals too.
fn widths(path: &str, text: &str) -> Vec<String> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.chars().count()))
        .filter(|(_, chars)| *chars > LINE_CHARS_MAX)
        .map(|(line, chars)| format!("{path}:{line}: {chars} characters"))
        .collect()
}

/// Paths in backticks of a document: files of the repository or of `src/`.
fn named_files(document: &str) -> Vec<&str> {
    let spans =
        document.split("```").step_by(2).flat_map(|prose| prose.split('`').skip(1).step_by(2));
    spans
        .filter(|span| !span.contains(|c: char| c.is_whitespace() || "<>*$:".contains(c)))
        .filter(|span| {
            let is_file = [".rs", ".md", ".yaml", ".toml"].iter().any(|end| span.ends_with(end));
            is_file || span.ends_with('/')
        })
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `folder` whose name ends with `.rs`, with their paths below the root.
fn rust_files(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder)).expect("the folder is in the repository") {
        let entry = entry.expect("the folder can be listed");
        let name = entry.file_name().into_string().expect("names are ASCII");
        let path = format!("{folder}/{name}");
        if entry.path().is_dir() && name != "target" {
            found.extend(rust_files(&path));
        } else if entry.path().extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(entry.path()).expect("sources are UTF-8");
            found.push((path, text));
        }
    }
    found
}

fn tree() -> Vec<Source> {
    let below_src = |(path, text): (String, String)| Source::new(&path["src/".len()..], &text);
    let sources: Vec<_> = rust_files("src").into_iter().map(below_src).collect();
    assert!(sources.len() > 100, "the sources were not found");
    sources
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn imports_point_one_way() {
    assert_none(&imports(&tree()));
}

#[test]
fn kinds_of_targets_and_inputs_stay_hidden() {
    assert_none(&hidden_modules(&tree()));
}

#[test]
fn outside_crates_are_named_in_their_places() {
    assert_none(&outside_crates(&tree()));
}

#[test]
fn unsafe_code_is_where_it_is_argued() {
    assert_none(&unsafe_code(&tree()));
    let argued = fs::read_to_string(root().join("docs/unsafe.md")).expect("it is written");
    let missing = |file: &&&str| !argued.contains(&format!("`src/{file}`"));
    let missing: Vec<_> = UNSAFE_FILES.iter().filter(missing).collect();
    assert!(missing.is_empty(), "docs/unsafe.md lacks {missing:?}");
}

#[test]
fn only_the_command_line_prints_and_exits() {
    assert_none(&output_and_process(&tree()));
}

#[test]
fn parsing_is_pure() {
    assert_none(&purity(&tree()));
}

#[test]
fn files_are_short_and_named_for_what_they_hold() {
    assert_none(&files(&tree()));
}

#[test]
fn lines_fit() {
    let folders = ["src", "tests", "benches", "fuzz"];
    let files = folders.iter().flat_map(|folder| rust_files(folder));
    let wide: Vec<_> = files.flat_map(|(path, text)| widths(&path, &text)).collect();
    assert_none(&wide);
}

#[test]
fn the_architecture_names_what_exists_and_all_of_it() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("it is written");
    let named = named_files(&text);
    assert!(named.len() > 30, "the code map was not found");
    for file in &named {
        let exists = root().join(file).exists() || root().join("src").join(file).exists();
        assert!(exists, "ARCHITECTURE.md names {file}, which does not exist");
    }
    for module in RANKS.iter().flat_map(|modules| *modules) {
        let names = [format!("{module}.rs"), format!("{module}/")];
        let is_named = names.iter().any(|name| named.contains(&name.as_str()));
        assert!(is_named, "ARCHITECTURE.md lacks the module {module}");
    }
}

mod checker {
    //! Small bad sources, one a rule: a rule that cannot fail is no rule.

    use super::*;

    fn paths(path: &str, text: &str) -> Vec<String> {
        let found = Source::new(path, text).crate_paths();
        found.into_iter().map(|path| path.join("::")).collect()
    }

    fn one(path: &str, text: &str) -> Vec<Source> {
        vec![Source::new(path, text)]
    }

    #[test]
    fn comments_literals_and_tests_are_no_tokens() {
        let text = r##"
            // crate::a
            /* crate::b /* crate::c */ crate::d */
            let s = "crate::e \" crate::f"; let r = br#"crate::"g"#; let c = '"'; let d = '\'';
            fn life<'a>(x: &'a str) -> crate::kept::Type {}
            #[cfg(test)]
            use crate::h::{I, J};
            #[cfg(all(test, unix))]
            #[path = "x.rs"]
            mod tests { fn f() -> [u8; 2] { crate::k::l() } }
            use crate::last;
        "##;
        assert_eq!(paths("engine/x.rs", text), ["kept::Type", "last"]);
    }

    #[test]
    fn groups_and_supers_are_resolved() {
        let text = "use crate::{a::{b, c as d}, e, f::*}; use super::g; use super::super::h::i;";
        let found = ["a::b", "a::c", "e", "engine::g", "f::*", "h::i"];
        assert_eq!(paths("engine/x.rs", text), found);
        assert_eq!(
            paths("error.rs", "mod inner { use super::X; } use super::y;"),
            ["error::X", "y"]
        );
        assert_eq!(paths("ring/mod.rs", "use super::model::Arc;"), ["model::Arc"]);
    }

    #[test]
    fn an_import_from_above_is_found() {
        assert_eq!(imports(&one("parse/rows.rs", "use crate::engine::Load;")).len(), 1);
        assert_eq!(imports(&one("parse/rows.rs", "use crate::sink::Sink;")).len(), 1);
        assert_eq!(imports(&one("record.rs", "fn f(x: super::error::Error) {}")).len(), 1);
        assert_eq!(imports(&one("novelty.rs", "")).len(), 1);
        assert_eq!(imports(&one("parse/rows.rs", "use crate::arena::Batch;")).len(), 0);
        assert_eq!(imports(&one("ring/mod.rs", "use super::model::Arc;")).len(), 0);
    }

    #[test]
    fn a_database_in_the_engine_is_found() {
        let source = one("engine/writer.rs", "use crate::sink::{Sink, odbc::Session};");
        assert_eq!(hidden_modules(&source).len(), 1);
        let source = one("sink/sqlite/mod.rs", "use super::odbc::Session;");
        assert_eq!(hidden_modules(&source).len(), 1);
    }

    #[test]
    fn a_crate_out_of_place_or_unused_is_found() {
        let wrong = outside_crates(&one("engine/load.rs", "use memmap2::Mmap;"));
        assert!(wrong.contains(&"src/engine/load.rs: names memmap2".to_owned()));
        assert!(wrong.contains(&"clap: no file names it".to_owned()));
        assert_eq!(wrong.len(), CRATES.len());
    }

    #[test]
    fn unsafe_code_out_of_place_or_without_reason_is_found() {
        assert_eq!(unsafe_code(&one("ring/mod.rs", "unsafe { f() }")).len(), 2);
        assert_eq!(unsafe_code(&one("parse/simd/mod.rs", "unsafe { f() }")).len(), 1);
        assert_eq!(unsafe_code(&one("parse/simd/mod.rs", "fn f() {}")).len(), 1);
        let reasoned = "#![expect(unsafe_code, reason = \"registers\")] unsafe { f() }";
        assert_eq!(unsafe_code(&one("parse/simd/mod.rs", reasoned)).len(), 0);
    }

    #[test]
    fn output_and_exits_out_of_place_are_found() {
        let text = "fn f() { println!(); std::process::exit(1) }";
        assert_eq!(output_and_process(&one("engine/load.rs", text)).len(), 2);
        assert_eq!(output_and_process(&one("cli/load.rs", text)).len(), 1);
        assert_eq!(output_and_process(&one("cli/signals.rs", text)).len(), 0);
    }

    #[test]
    fn impurity_is_found() {
        assert_eq!(purity(&one("parse/rows.rs", "use std::sync::Mutex;")).len(), 1);
        assert_eq!(purity(&one("split.rs", "use std::sync::Mutex;")).len(), 0);
    }

    #[test]
    fn long_and_nameless_files_and_wide_lines_are_found() {
        assert_eq!(files(&one("engine/utils.rs", "")).len(), 1);
        assert_eq!(files(&one("engine/load.rs", &"x\n".repeat(601))).len(), 1);
        assert_eq!(files(&one("cli/args/mod.rs", "x\n")).len(), 1);
        assert_eq!(widths("a.rs", &format!("{}\n{}", "é".repeat(100), "x".repeat(101))).len(), 1);
    }

    #[test]
    fn file_names_are_read_from_a_document() {
        let text = "`src/lib.rs`, `let x`, `ring/`\n```\n`no.rs`\n```\n`README.md` `FILE:1.rs`";
        assert_eq!(named_files(text), ["src/lib.rs", "ring/", "README.md"]);
    }
}
