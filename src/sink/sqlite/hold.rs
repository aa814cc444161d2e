//! The lock of a job on a SQLite database: a lock of the operating system on a file beside it,
//! which ends with its process, however that ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::sink::{Holding, JobHold, SinkError};

/// Holds the lock for as long as the file is open.
struct FileLock {
    path: PathBuf,
    _file: File,
}

impl JobHold for FileLock {}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Removed while it is locked: whoever has opened it by now finds that it has no name.
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the lock file stays");
        }
    }
}

/// The database's name with the job's behind it, as far as it is plain.
fn lock_path(database: &Path, job: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let mut name = database.as_os_str().to_owned();
    name.push("-fastload-");
    name.push(job.chars().map(plain).collect::<String>());
    name.push(".lock");
    PathBuf::from(name)
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Whether `file` still is what stands under its name.
fn is_named(path: &Path, file: &File) -> io::Result<bool> {
    let own = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (own.dev(), own.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes the lock of `job` without waiting.
pub(super) fn hold_job(
    database: &Path,
    job: &str,
) -> Result<(Holding, Option<Box<dyn JobHold>>), SinkError> {
    let path = lock_path(database, job);
    let failed = |error: io::Error| {
        SinkError::permanent(format!("the lock file {}: {error}", path.display()))
    };
    loop {
        let file = open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) if is_named(&path, &file).map_err(failed)? => {
                return Ok((Holding::Held, Some(Box::new(FileLock { path, _file: file }))));
            }
            // Its owner removed it between our opening and our locking.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok((Holding::Taken, None)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(database: &Path, job: &str) -> (Holding, Option<Box<dyn JobHold>>) {
        hold_job(database, job).expect("a file can be made")
    }

    #[test]
    fn only_one_holds_a_job() {
        let directory = tempfile::tempdir().expect("a directory");
        let database = directory.path().join("x.db");
        let (first, hold) = held(&database, "a");
        assert_eq!(first, Holding::Held);
        assert_eq!(held(&database, "a").0, Holding::Taken);
        assert_eq!(held(&database, "b").0, Holding::Held, "another job");
        drop(hold);
        assert_eq!(held(&database, "a").0, Holding::Held);
    }

    #[test]
    fn a_file_that_lost_its_name_is_no_lock() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("lock");
        let file = open(&path).expect("made");
        assert!(is_named(&path, &file).expect("asked"));
        fs::remove_file(&path).expect("removed");
        assert!(!is_named(&path, &file).expect("asked"));
        let other = open(&path).expect("made");
        assert!(!is_named(&path, &file).expect("asked"));
        assert!(is_named(&path, &other).expect("asked"));
    }
}
