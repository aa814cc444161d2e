//! Files of text that a run writes by the names it was given: log, events, summary.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::error::{Error, Result};

/// What happens to a file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// It is written anew.
    Replaced,
    /// What is written goes behind what it holds.
    Continued,
}

/// Opens a file for writing. A new one has at most the rights of `mode`.
///
/// A symbolic link is not followed: in a directory that others may write to, it would lead to a
/// file of theirs, or make this process destroy one of its user's. The devices of `/dev` and
/// `/proc` (`/dev/stderr`) are links of the system.
///
/// # Errors
/// A symbolic link, or what the operating system says.
pub(super) fn open(what: &str, path: &Path, existing: Existing, mode: u32) -> Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).mode(mode);
    match existing {
        Existing::Replaced => options.write(true).truncate(true),
        Existing::Continued => options.append(true),
    };
    let is_system = path.starts_with("/dev") || path.starts_with("/proc");
    if !is_system {
        let no_follow = OFlags::NOFOLLOW.bits();
        options.custom_flags(i32::try_from(no_follow).expect("a flag of open(2) is an int"));
    }
    options.open(path).map_err(|source| {
        let is_link = !is_system && source.raw_os_error() == Some(Errno::LOOP.raw_os_error());
        let source = match is_link {
            true => std::io::Error::other(
                "it is a symbolic link, which may have been planted; name the file itself",
            ),
            false => source,
        };
        Error::io(format!("opening {what} {}", path.display()), source)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let [victim, link, dangling] =
            ["victim", "link", "dangling"].map(|name| dir.path().join(name));
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, &link).unwrap();
        symlink(dir.path().join("not yet"), &dangling).unwrap();
        for existing in [Existing::Replaced, Existing::Continued] {
            for path in [&link, &dangling] {
                let error = open("the log", path, existing, 0o600).unwrap_err().to_string();
                assert!(error.contains("symbolic link") && error.contains("the log"), "{error}");
            }
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert!(!dir.path().join("not yet").exists());
        open("x", Path::new("/dev/null"), Existing::Replaced, 0o600).unwrap();
        let new = dir.path().join("new");
        open("x", &new, Existing::Continued, 0o600).unwrap();
        assert_eq!(fs::metadata(new).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
