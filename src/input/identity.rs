//! Who a file is, and whether it is still the same and unchanged.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Error;

/// What tells one state of a file from another, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    /// Device that the file is on.
    pub dev: u64,
    /// Its inode there.
    pub ino: u64,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Last change of its bytes, nanoseconds since 1970.
    pub mtime_ns: i128,
    /// Last change of its bytes, name or mode, nanoseconds since 1970; cannot be set back.
    pub ctime_ns: i128,
}

impl From<&Metadata> for FileIdentity {
    fn from(metadata: &Metadata) -> Self {
        let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
        Self {
            dev: metadata.dev(),
            ino: metadata.ino(),
            size_bytes: metadata.size(),
            mtime_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl FileIdentity {
    /// Compares the state at opening with `now`.
    ///
    /// # Errors
    /// The difference in words.
    pub fn compare(&self, now: &Self) -> Result<(), String> {
        if (self.dev, self.ino) != (now.dev, now.ino) {
            return Err("it was replaced by another file of the same name".into());
        }
        if self.size_bytes != now.size_bytes {
            return Err(format!(
                "its length went from {} to {} bytes",
                self.size_bytes, now.size_bytes
            ));
        }
        if self.mtime_ns != now.mtime_ns {
            return Err("it was written to (its modification time changed)".into());
        }
        if self.ctime_ns != now.ctime_ns {
            return Err(
                "it was written to, renamed or given another mode (its change time changed)".into(),
            );
        }
        Ok(())
    }
}

/// An open regular file with its identity at opening: asked before every commit whether the bytes
/// that were read can still be trusted.
#[derive(Debug, Clone)]
pub struct Watch {
    /// State of the file when it was opened.
    pub identity: FileIdentity,
    file: Arc<File>,
    path: Option<PathBuf>,
}

impl Watch {
    /// Takes the identity of `file`; `path` is absent for standard input.
    ///
    /// # Errors
    /// What the system says to `fstat`.
    pub fn new(file: Arc<File>, path: Option<&Path>) -> io::Result<Self> {
        Ok(Self {
            identity: FileIdentity::from(&file.metadata()?),
            file,
            path: path.map(Path::to_path_buf),
        })
    }

    /// Compares the open file, and what stands under its path now, with the state at opening.
    ///
    /// Costs two system calls and reads nothing. A change within the resolution of the file
    /// system's clock and of equal length is not seen.
    ///
    /// # Errors
    /// What changed, in words that follow the path: `it was …`, `its …`.
    pub fn check(&self) -> Result<(), String> {
        let unknown = |error: io::Error| format!("its state cannot be read any more: {error}");
        let open = self.file.metadata().map_err(unknown)?;
        if let Some(path) = &self.path {
            let named = std::fs::metadata(path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => "it was removed or renamed".to_owned(),
                _ => unknown(error),
            })?;
            self.identity.compare(&FileIdentity::from(&named))?;
        }
        self.identity.compare(&FileIdentity::from(&open))
    }
}

/// The error of a load whose input at `path` is not what it was: `change` in words that follow the
/// path.
#[must_use]
pub fn changed(path: &Path, change: &str) -> Error {
    Error::input(
        path,
        format!("changed while it was read: {change}"),
        "load a copy that nobody writes to",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn watched(path: &Path) -> Watch {
        Watch::new(Arc::new(File::open(path).expect("opens")), Some(path)).expect("fstat")
    }

    #[test]
    fn sees_each_kind_of_change() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("data");
        std::fs::write(&path, "a,b\n").expect("written");

        let watch = watched(&path);
        assert_eq!(watch.check(), Ok(()));
        File::options()
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(b"c,d\n"))
            .expect("appended");
        let change = watch.check().expect_err("longer");
        assert_eq!(change, "its length went from 4 to 8 bytes");

        let watch = watched(&path);
        let file = File::options().write(true).open(&path).expect("opens");
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("mtime set");
        assert!(watch.check().expect_err("touched").contains("written to"));

        let watch = watched(&path);
        std::fs::rename(&path, dir.path().join("old")).expect("renamed");
        assert!(watch.check().expect_err("renamed").contains("renamed"));
        std::fs::write(&path, "a,b\nc,d\n").expect("written");
        assert!(watch.check().expect_err("other").contains("replaced"));
    }
}
