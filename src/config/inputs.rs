//! `FILE…` of the command line: paths, globs, `@LIST` and `-`; and where their rejects go.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::InputSpec;
use crate::error::{Error, Result};

/// Expands the inputs in order; a glob's matches come in the order of their names.
///
/// A path that exists is taken as it is, also when it looks like a glob.
///
/// # Errors
/// Nothing given, or one input given twice (usage); a path that is missing or a directory, a glob
/// without a match, a list that cannot be read (input).
pub fn expand(given: &[OsString]) -> Result<Vec<InputSpec>> {
    let mut inputs = Vec::new();
    for input in given {
        expand_one(input, &mut inputs)?;
    }
    if inputs.is_empty() {
        return Err(Error::usage("no input is given", "name a file, a glob, @LIST or -"));
    }
    let mut seen = HashSet::new();
    for input in &inputs {
        let (key, shown) = match input {
            InputSpec::Stdin => (PathBuf::from("-"), Path::new("-")),
            InputSpec::Path(path) => {
                (fs::canonicalize(path).unwrap_or_else(|_| path.clone()), &**path)
            }
        };
        if !seen.insert(key) {
            return Err(Error::usage(
                format!("the input {} is given twice", shown.display()),
                "its rows would be loaded twice; name it once",
            ));
        }
    }
    Ok(inputs)
}

fn expand_one(given: &OsStr, inputs: &mut Vec<InputSpec>) -> Result<()> {
    let bytes = given.as_bytes();
    if bytes == b"-" {
        inputs.push(InputSpec::Stdin);
        return Ok(());
    }
    let path = Path::new(given);
    let exists = fs::symlink_metadata(path).is_ok();
    if !exists && bytes.starts_with(b"@") {
        return expand_list(Path::new(OsStr::from_bytes(&bytes[1..])), inputs);
    }
    if !exists && bytes.iter().any(|byte| b"*?[".contains(byte)) {
        return expand_glob(path, inputs);
    }
    inputs.push(InputSpec::Path(checked(path)?));
    Ok(())
}

fn checked(path: &Path) -> Result<PathBuf> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(Error::input(
            path,
            "is a directory",
            format!("name its files, as in '{}/*.csv'", path.display()),
        )),
        Ok(_) => Ok(path.to_owned()),
        Err(source) => Err(Error::input(path, source.to_string(), String::new())),
    }
}

fn expand_list(list: &Path, inputs: &mut Vec<InputSpec>) -> Result<()> {
    let text = fs::read(list).map_err(|source| {
        Error::input(list, format!("the list of inputs: {source}"), String::new())
    })?;
    let before = inputs.len();
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            let path = PathBuf::from(OsString::from_vec(line.to_vec()));
            inputs.push(InputSpec::Path(checked(&path)?));
        }
    }
    if inputs.len() == before {
        return Err(Error::input(list, "the list of inputs is empty", String::new()));
    }
    Ok(())
}

fn expand_glob(pattern: &Path, inputs: &mut Vec<InputSpec>) -> Result<()> {
    let wrong = |why: String| Error::input(pattern, why, "quote a path that is no pattern");
    let text = pattern.to_str().ok_or_else(|| wrong("a pattern must be UTF-8".to_owned()))?;
    let paths = glob::glob(text).map_err(|error| wrong(format!("not a pattern: {error}")))?;
    let before = inputs.len();
    for path in paths {
        let path = path.map_err(|error| wrong(error.to_string()))?;
        if !path.is_dir() {
            inputs.push(InputSpec::Path(path));
        }
    }
    if inputs.len() == before {
        return Err(Error::input(pattern, "no file matches", String::new()));
    }
    Ok(())
}

/// Path of each input's reject file: `FILE.rejects`; `--rejects` names the file when there is one
/// input, and a directory when there are several.
///
/// # Errors
/// Standard input, or a directory that cannot be written, without `--rejects`; two inputs with
/// one name and one reject directory (usage).
pub fn reject_paths(inputs: &[InputSpec], given: Option<&Path>) -> Result<Vec<PathBuf>> {
    let paths: Vec<PathBuf> = match (inputs, given) {
        (_, None) => inputs.iter().map(beside).collect::<Result<_>>()?,
        ([_], Some(path)) if !path.is_dir() => vec![path.to_owned()],
        (_, Some(path)) if path.exists() && !path.is_dir() => {
            return Err(Error::usage(
                format!("--rejects {}: several inputs need a directory", path.display()),
                "name a directory, or load the files one by one",
            ));
        }
        (_, Some(directory)) => inputs
            .iter()
            .map(|input| match input {
                InputSpec::Stdin => directory.join("stdin.rejects"),
                InputSpec::Path(path) => {
                    directory.join(with_rejects(path.file_name().unwrap_or(OsStr::new("input"))))
                }
            })
            .collect(),
    };
    for path in given.iter().flat_map(|_| &paths) {
        check_replaceable(path)?;
    }
    let mut seen = HashSet::new();
    if let Some(twice) = paths.iter().find(|path| !seen.insert(path.as_path())) {
        return Err(Error::usage(
            format!("two inputs would share the reject file {}", twice.display()),
            "load them one by one, or leave --rejects out",
        ));
    }
    for path in &paths {
        if let Some(input) = inputs.iter().find(|i| matches!(i, InputSpec::Path(p) if p == path)) {
            return Err(Error::usage(
                format!("the reject file {} is an input: {input:?}", path.display()),
                "name another file with --rejects",
            ));
        }
    }
    Ok(paths)
}

/// A reject file takes the place of what has its name, so that must be a file, and its directory
/// must be there: a load of hours must not end at its first reject.
fn check_replaceable(path: &Path) -> Result<()> {
    const HELP: &str =
        "name a file in a directory that is there, or that directory, with --rejects";
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file() && !found.is_symlink()) {
        return Err(Error::usage(
            format!("--rejects {}: is there and is no file", path.display()),
            HELP,
        ));
    }
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    if !directory.is_dir() {
        return Err(Error::usage(
            format!("--rejects: there is no directory {}", directory.display()),
            HELP,
        ));
    }
    check_writable(directory, HELP)
}

/// An unnamed file is the only test that also sees read-only mounts and access lists.
fn check_writable(directory: &Path, help: &str) -> Result<()> {
    tempfile::tempfile_in(directory).map(drop).map_err(|source| {
        Error::usage(
            format!("no reject file can be made in {}: {source}", directory.display()),
            help,
        )
    })
}

fn with_rejects(name: &OsStr) -> OsString {
    let mut name = name.to_owned();
    name.push(".rejects");
    name
}

fn beside(input: &InputSpec) -> Result<PathBuf> {
    const HELP: &str = "name a file for the rejected records with --rejects PATH";
    let InputSpec::Path(path) = input else {
        return Err(Error::usage("standard input has no place for a reject file", HELP));
    };
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    check_writable(directory, HELP)?;
    Ok(PathBuf::from(with_rejects(path.as_os_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(inputs: &[InputSpec]) -> Vec<String> {
        let name = |input: &InputSpec| match input {
            InputSpec::Stdin => "-".to_owned(),
            InputSpec::Path(path) => path.file_name().unwrap().to_string_lossy().into_owned(),
        };
        inputs.iter().map(name).collect()
    }

    #[test]
    fn globs_lists_and_odd_names() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).into_os_string();
        for name in ["b.csv", "a.csv", "[x].csv", "c.tbl"] {
            fs::write(at(name), "1\n").unwrap();
        }
        let odd = dir.path().join(OsStr::from_bytes(b"\xff.bin"));
        fs::write(&odd, "1\n").unwrap();
        fs::create_dir(at("d.csv")).unwrap();
        assert_eq!(names(&expand(&[at("*.csv")]).unwrap()), ["[x].csv", "a.csv", "b.csv"]);
        assert_eq!(names(&expand(&[at("[x].csv"), "-".into()]).unwrap()), ["[x].csv", "-"]);
        assert_eq!(expand(&[odd.clone().into_os_string()]).unwrap(), [InputSpec::Path(odd)]);
        let list = format!(
            "{}\r\n\n{}",
            dir.path().join("b.csv").display(),
            dir.path().join("c.tbl").display()
        );
        fs::write(at("list"), list).unwrap();
        let mut argument = OsString::from("@");
        argument.push(at("list"));
        assert_eq!(names(&expand(&[argument]).unwrap()), ["b.csv", "c.tbl"]);
    }

    #[test]
    fn what_is_not_there_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).into_os_string();
        let text = |given: &[OsString]| expand(given).unwrap_err().to_string();
        assert!(text(&[at("*.csv")]).contains("no file matches"));
        assert!(text(&[at("none")]).contains("No such file"));
        assert!(text(&[dir.path().into()]).contains("is a directory"));
        assert!(text(&["@/nonexistent/list".into()]).contains("list of inputs"));
        assert!(text(&[]).contains("no input"));
        assert!(text(&["-".into(), "-".into()]).contains("twice"));
    }

    #[test]
    fn reject_files() {
        let dir = tempfile::tempdir().unwrap();
        let input = |name: &str| InputSpec::Path(dir.path().join(name));
        let one = [input("a.csv")];
        assert_eq!(reject_paths(&one, None).unwrap(), [dir.path().join("a.csv.rejects")]);
        assert_eq!(reject_paths(&one, Some(Path::new("r"))).unwrap(), [Path::new("r")]);
        let two = [input("a.csv"), input("b.csv")];
        assert!(reject_paths(&two, Some(Path::new("no/such/d"))).is_err());
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(reject_paths(&one, Some(&socket)).is_err());
        let d = dir.path().join("d");
        fs::create_dir(&d).unwrap();
        assert_eq!(
            reject_paths(&two, Some(&d)).unwrap(),
            [d.join("a.csv.rejects"), d.join("b.csv.rejects")]
        );
        assert!(reject_paths(&[InputSpec::Stdin], None).is_err());
        assert!(reject_paths(&[InputSpec::Stdin], Some(Path::new("r"))).is_ok());
        assert!(reject_paths(&one, Some(&dir.path().join("a.csv"))).is_err());
        let same = [input("x/a.csv"), input("y/a.csv")];
        assert!(reject_paths(&same, Some(&d)).is_err());
        assert!(reject_paths(&[input("none/a.csv")], None).is_err());
    }
}
