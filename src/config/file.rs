//! Job files: YAML whose keys mirror the flags, and the old pipeline's configuration files.
//!
//! Values are taken as written: nothing in them is interpolated, and every scalar is read by the
//! same code as the flag's value. An unknown key is an error with its line and the nearest name.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_saphyr::Error as YamlError;

use super::legacy;
use super::options::{Layered, Options, Origin, nearest};
use super::target::holds_password;
use crate::error::{Error, ErrorKind, Result};

/// Largest job file that is read.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Reads a job file and adds its options below those already in `layered`.
///
/// # Errors
/// [`ErrorKind::Config`]: the file cannot be read, is not YAML, has an unknown key or a value that
/// does not fit, sets one thing twice, or holds a password while others may read it.
pub fn add_job_file(layered: &mut Layered, path: &Path) -> Result<()> {
    let wrong = |message: String| Error::from(ErrorKind::Config(message));
    let cannot = |source| wrong(format!("{}: {source}", path.display()));
    let file = File::open(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    let mut text = String::new();
    let read = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(cannot)?;
    if read as u64 > MAX_FILE_BYTES {
        return Err(wrong(format!("{}: larger than 1 MiB", path.display())));
    }
    let (options, old) =
        parse_job(&text).map_err(|why| wrong(format!("{}:{why}", path.display())))?;
    let private = metadata.mode() & 0o077 == 0;
    if options.to.as_ref().is_some_and(|to| holds_password(&to.0)) && !private {
        return Err(wrong(format!(
            "{}: the file holds a password and others may read it; chmod 600 it, or use \
             --password-file",
            path.display()
        )));
    }
    layered.add(options, |key| Origin::File { path: path.to_owned(), key: key.to_owned() });
    layered.add(old, |key| Origin::File {
        path: path.to_owned(),
        key: legacy::old_key(key).to_owned(),
    });
    Ok(())
}

/// Reads the text of a job file: the options under their own keys, and those under the old
/// pipeline's.
///
/// # Errors
/// `LINE:COLUMN: what is wrong there`.
pub fn parse_job(text: &str) -> Result<(Options, Options), String> {
    // A file of comments only is an empty document, which no mapping can be read from.
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Default::default());
    }
    let mut options: Options = serde_saphyr::from_str(text).map_err(|error| explain(&error))?;
    let pipeline = options.pipeline.take().unwrap_or_default();
    let old = legacy::translate(&pipeline, &options.db.take().unwrap_or_default());
    let keys: Vec<&str> = options.given().into_iter().map(|(key, _)| key).collect();
    for (key, _) in old.given() {
        // `batch_size` implies commits as often as batches; `commit-rows` says otherwise.
        if key != "commit-rows" && keys.contains(&key) {
            let old = legacy::old_key(key);
            return Err(format!(" `{key}` and `{old}` mean the same; keep one of them"));
        }
    }
    Ok((options, old))
}

/// `LINE:COLUMN: what`, with the nearest name for an unknown key.
fn explain(error: &YamlError) -> String {
    let place =
        error.location().map(|at| format!("{}:{}", at.line(), at.column())).unwrap_or_default();
    let error = error.without_snippet();
    let YamlError::SerdeUnknownField { field, expected, .. } = error else {
        let text = error.to_string();
        let hint = if text.contains("null") {
            " (the words null and ~ must be written in quotes)"
        } else {
            ""
        };
        return format!("{place}: {text}{hint}");
    };
    let meant = nearest(field, expected.iter().copied())
        .map(|name| format!(" (did you mean `{name}`?)"))
        .unwrap_or_default();
    format!("{place}: unknown key `{field}`{meant}")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::super::setting::{Size, Span};
    use super::super::{InputMode, RejectLimit};
    use super::*;

    const SEED: &str = include_str!("../../config/base_config.yaml");
    const EXAMPLE: &str = include_str!("../../config/example.yaml");

    #[test]
    fn the_old_pipeline_runs_unchanged() {
        let (new, old) = parse_job(SEED).unwrap();
        assert_eq!(new, Options::default());
        assert_eq!(old.input_mode, Some(InputMode::Single));
        assert_eq!((old.parsers, old.writers), (Some(4), Some(2)));
        assert_eq!((old.read_ahead, old.ring_batches), (Some(20), Some(10)));
        assert_eq!((old.batch_rows, old.commit_rows), (Some(5000), Some(5000)));
        assert_eq!(old.chunk_bytes, Some(Size(65536)));
        assert_eq!(old.connect_timeout, Some(Span(Duration::from_secs(30))));
        assert_eq!(old.query_timeout, Some(Span(Duration::from_secs(60))));
        assert_eq!((old.max_retries, old.retry_backoff), (Some(3), Some(2.0)));
        assert!(old.given().iter().all(|(key, _)| !legacy::old_key(key).is_empty()));
    }

    #[test]
    fn the_example_is_comments_and_each_key_in_it_exists() {
        assert_eq!(parse_job(EXAMPLE).unwrap().0, Options::default());
        let body: String = EXAMPLE
            .lines()
            .filter_map(|line| line.strip_prefix("#: "))
            .filter(|line| cfg!(feature = "postgresql-copy") || !line.starts_with("copy:"))
            .flat_map(|line| [line, "\n"])
            .collect();
        let (options, _) = parse_job(&body).unwrap();
        let given: Vec<&str> = options.given().into_iter().map(|(key, _)| key).collect();
        let missing: Vec<_> = Options::KEYS.iter().filter(|key| !given.contains(key)).collect();
        assert!(missing.is_empty(), "not in config/example.yaml: {missing:?}");
    }

    #[test]
    fn scalars_are_taken_as_written() {
        let (options, _) = parse_job(
            "null-value: ['~', 'NO', 0755, '']\nmax_errors: 0.5%\nquote: none\n\
             delimiter: \"\\t\"\nheader: no\nbefore: ['a ${HOME}']\n",
        )
        .unwrap();
        assert_eq!(options.null_values, ["~", "NO", "0755", ""]);
        assert_eq!(options.max_errors, Some(RejectLimit::Share(0.005)));
        assert_eq!(options.delimiter.unwrap().0, b"\t");
        assert_eq!(options.header, Some(false));
        assert_eq!(options.before, ["a ${HOME}"]);
    }

    #[test]
    fn errors_name_the_line_and_the_nearest_key() {
        let error = parse_job("table: t\nbatch_row: 5\n").unwrap_err();
        assert!(error.starts_with("2:1: unknown key `batch_row`"), "{error}");
        assert!(error.contains("`batch_rows`"), "{error}");
        let error = parse_job("pipeline:\n  batch_sise: 5\n").unwrap_err();
        assert!(error.starts_with("2:3: ") && error.contains("`batch_size`"), "{error}");
        let error = parse_job("table: t\nwriters: many\n").unwrap_err();
        assert!(error.starts_with("2:"), "{error}");
        assert!(parse_job("null-value: [~]\n").unwrap_err().contains("quotes"));
        assert!(parse_job("null: x\n").is_err());
        assert!(parse_job("table: a\ntable: b\n").is_err());
        assert!(parse_job("- a\n").is_err());
        assert!(parse_job("writers: 2\npipeline:\n  num_writers: 2\n").is_err());
        let (new, _) = parse_job("commit-rows: 9\npipeline:\n  batch_size: 2\n").unwrap();
        assert_eq!(new.commit_rows, Some(9));
    }

    #[test]
    fn a_password_needs_a_private_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("job.yaml");
        fs::write(&path, "to: 'odbc:DSN=x;PWD=y'\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut layered = Layered::default();
        let error = add_job_file(&mut layered, &path).unwrap_err();
        assert!(error.to_string().contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        add_job_file(&mut layered, &path).unwrap();
        assert!(layered.options.to.is_some());
        assert!(add_job_file(&mut layered, &dir.path().join("none.yaml")).is_err());
    }
}
