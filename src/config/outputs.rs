//! Files that a run writes: none of them may be one that it reads, the database, or another one.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::InputSpec;
use super::resolve::OutputOptions;
use super::target::TargetUrl;
use crate::error::{Error, Result};

/// What two names of one file have in common.
#[derive(Debug, PartialEq, Eq)]
enum Identity {
    /// A file that is there.
    There { device: u64, inode: u64 },
    /// One that will be made: its directory without links, and its name.
    Later(PathBuf),
}

impl Identity {
    /// `None` for pipes and devices, which several may write to, and for what cannot be made.
    fn of(path: &Path) -> Option<Self> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => {
                Some(Self::There { device: metadata.dev(), inode: metadata.ino() })
            }
            Ok(_) => None,
            Err(_) => {
                let parent = path.parent().filter(|parent| *parent != Path::new(""));
                let directory = fs::canonicalize(parent.unwrap_or(Path::new("."))).ok()?;
                Some(Self::Later(directory.join(path.file_name()?)))
            }
        }
    }
}

/// Holds the files of a run apart.
///
/// # Errors
/// A usage error that names the two uses of one file.
pub(super) fn check_apart(
    inputs: &[InputSpec],
    target: &TargetUrl,
    rejects: Option<&Path>,
    output: &OutputOptions,
) -> Result<()> {
    let mut files: Vec<(&str, PathBuf)> = Vec::new();
    for input in inputs {
        if let InputSpec::Path(path) = input {
            files.push(("an input", path.clone()));
        }
    }
    let first_written = files.len();
    if let TargetUrl::Sqlite(path) | TargetUrl::Csv(path) = target {
        files.push(("the target", path.clone()));
    }
    if let Some(path) = rejects.filter(|path| !path.is_dir()) {
        let mut lines = path.as_os_str().to_owned();
        lines.push(".jsonl");
        files.push(("--rejects", path.to_owned()));
        files.push(("the .jsonl beside --rejects", lines.into()));
    }
    for (name, path) in [
        ("--events", &output.events),
        ("--log-file", &output.log_file),
        ("--summary", &output.summary),
    ] {
        files.extend(path.as_ref().map(|path| (name, path.clone())));
    }
    let identities: Vec<Option<Identity>> =
        files.iter().map(|(_, path)| Identity::of(path)).collect();
    for written in first_written..files.len() {
        let same = (0..written).find(|&other| {
            identities[written].is_some() && identities[other] == identities[written]
        });
        if let Some(other) = same {
            let (name, path) = &files[written];
            return Err(Error::usage(
                format!("{name} is {}, which is {} too", path.display(), files[other].0),
                "one would be lost; name another file",
            ));
        }
    }
    Ok(())
}
