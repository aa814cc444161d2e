//! The directory of one reject file's segments.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::OFlags;

use super::{CommittedSegments, Part, part_names, with_suffix};
use crate::error::{Error, Result};

/// File in the directory that says whose it is.
const RUN_FILE: &str = "run";

/// More than the words that tell a run.
const RUN_FILE_BYTES_MAX: u64 = 4096;

/// One reject file, and the directory of its segments.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// Words that tell the run; `None`: nobody takes the segments up again.
    run: Option<String>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the directory is ours.
    has_parts: bool,
    /// Segments of earlier epochs.
    adopted: Vec<Part>,
}

/// Removes the segments of a reject file, if they are those of `run`; whether there were any.
///
/// # Errors
/// What the operating system says.
pub fn remove_parts(path: &Path, run: &str) -> io::Result<bool> {
    let parts = with_suffix(path, ".parts");
    if run_of(&parts).as_deref() != Some(run) {
        return Ok(false);
    }
    remove_directory(&parts)?;
    Ok(true)
}

/// The run that a directory of segments belongs to.
fn run_of(parts: &Path) -> Option<String> {
    let metadata = parts.symlink_metadata().ok()?;
    if !metadata.is_dir() {
        return None;
    }
    let mut text = String::new();
    let file = open_own(OpenOptions::new().read(true), &parts.join(RUN_FILE)).ok()?;
    file.take(RUN_FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text.trim_end().to_owned())
}

/// Opens a file of a directory that an earlier process left. Until its run is known it may be
/// anybody's: a link could lead to another file of this user, and a pipe would never end.
///
/// # Errors
/// What the operating system says, or that it is no regular file.
pub(super) fn open_own(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    options.custom_flags(i32::try_from(flags).expect("flags of open(2) are an int"));
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(format!("{} is no regular file", path.display())));
    }
    Ok(file)
}

/// The name goes first: half a directory is never taken for a whole one.
fn remove_directory(parts: &Path) -> io::Result<()> {
    let gone = with_suffix(parts, &format!(".{}", std::process::id()));
    fs::rename(parts, &gone)?;
    fs::remove_dir_all(gone)
}

impl Place {
    pub(super) fn new(
        path: PathBuf,
        run: Option<String>,
        committed: &CommittedSegments,
    ) -> Result<Self> {
        let parts = with_suffix(&path, ".parts");
        let place = Self { path, run, state: Mutex::default() };
        if parts.symlink_metadata().is_err() {
            return if committed.is_empty() { Ok(place) } else { Err(Self::lost(&parts, None)) };
        }
        if place.run.is_none() || run_of(&parts) != place.run {
            return Err(Error::usage(
                format!(
                    "{} is left from another load that did not end, or that still runs: it holds \
                     rejects of that load",
                    parts.display()
                ),
                "look at it, then move or remove it, or give another path with --rejects",
            ));
        }
        place.adopt(&parts, committed)?;
        Ok(place)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete before the lock is given up.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lost(parts: &Path, error: Option<io::Error>) -> Error {
        let why =
            error.map_or_else(|| "is gone".to_owned(), |error| format!("is damaged: {error}"));
        Error::input(
            parts,
            format!("{why}; it held rejects that are counted as committed"),
            "put it back, or end the job (--restart terminate) and load anew",
        )
    }

    /// Takes the segments of earlier epochs up; what is not committed goes.
    fn adopt(&self, parts: &Path, committed: &CommittedSegments) -> Result<()> {
        let mut state = self.state();
        state.has_parts = true;
        for (&id, &lengths) in committed {
            let part = Part::adopt(parts, id, lengths);
            state.adopted.push(part.map_err(|error| Self::lost(parts, Some(error)))?);
        }
        let known: Vec<String> = committed.keys().flat_map(|&id| part_names(id)).collect();
        let tidy = || -> io::Result<()> {
            for entry in fs::read_dir(parts)? {
                let entry = entry?;
                let name = entry.file_name();
                let is_known = known.iter().any(|known| name == known.as_str());
                if !is_known && name != RUN_FILE {
                    fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        };
        tidy().map_err(|error| Error::io(format!("tidy {}", parts.display()), error))
    }

    /// Whether the segments stay when they are merged.
    pub(super) const fn is_kept(&self) -> bool {
        self.run.is_some()
    }

    pub(super) fn take_adopted(&self) -> Vec<Part> {
        std::mem::take(&mut self.state().adopted)
    }

    /// Makes the directory once for all writers. Nobody else may write into it, and a name that
    /// exists is refused, a symbolic link too: so no name in it can be planted.
    pub(super) fn ensure(&self) -> io::Result<PathBuf> {
        let path = with_suffix(&self.path, ".parts");
        let mut state = self.state();
        if !state.has_parts {
            match &self.run {
                None => DirBuilder::new().mode(0o700).create(&path)?,
                Some(run) => create_marked(&path, run)?,
            }
            state.has_parts = true;
        }
        Ok(path)
    }

    /// Removes the directory, if it is ours.
    pub(super) fn remove(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.has_parts {
            remove_directory(&with_suffix(&self.path, ".parts"))?;
            state.has_parts = false;
        }
        Ok(())
    }
}

/// Makes a directory that says whose it is from its first moment on.
fn create_marked(path: &Path, run: &str) -> io::Result<()> {
    if path.symlink_metadata().is_ok() {
        return Err(io::Error::from(io::ErrorKind::AlreadyExists));
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let directory = tempfile::Builder::new()
        .prefix(".fastload-parts")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(parent)?;
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create_new(true).mode(0o600).open(directory.path().join(RUN_FILE))?;
    file.write_all(run.as_bytes())?;
    file.sync_all()?;
    fs::rename(directory.path(), path)?;
    // It has another name now, and is not to be removed.
    let _ = directory.keep();
    File::open(parent)?.sync_all()
}
