//! User and password from where they may stand: the environment, a private file, a command.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use secrecy::SecretString;

use super::options::Options;
use super::target::Credentials;
use crate::error::{Error, ErrorKind, Result};

/// Finds user and password: `--password-file` or `--password-command`, else the value of
/// `FASTLOAD_PASSWORD` that the caller passes in. A prompt is the caller's business.
///
/// # Errors
/// Both ways given (usage); a file that others may read, or a command that fails (configuration).
pub fn find_credentials(
    options: &Options,
    environment_password: Option<OsString>,
) -> Result<Credentials> {
    let password = match (&options.password_file, &options.password_command) {
        (Some(_), Some(_)) => {
            return Err(Error::usage(
                "--password-file and --password-command are both given",
                "keep one of them",
            ));
        }
        (Some(path), None) => Some(read_password_file(path)?),
        (None, Some(command)) => Some(run_password_command(command)?),
        (None, None) => environment_password
            .map(OsString::into_string)
            .transpose()
            .map_err(|_| wrong("FASTLOAD_PASSWORD is not UTF-8".to_owned()))?
            .map(SecretString::from),
    };
    Ok(Credentials { user: options.user.clone(), password })
}

fn wrong(message: String) -> Error {
    ErrorKind::Config(message).into()
}

fn read_password_file(path: &Path) -> Result<SecretString> {
    let cannot = |source| wrong(format!("password file {}: {source}", path.display()));
    let file = File::open(path).map_err(cannot)?;
    let mode = file.metadata().map_err(cannot)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(wrong(format!(
            "password file {}: mode {mode:04o} lets others read it; chmod 600 it",
            path.display()
        )));
    }
    first_line(BufReader::new(file))
        .map_err(|why| wrong(format!("password file {}: {why}", path.display())))
}

fn run_password_command(command: &str) -> Result<SecretString> {
    let failed = |why: String| wrong(format!("--password-command: {why}"));
    let output = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| failed(source.to_string()))?;
    if !output.status.success() {
        return Err(failed(format!("ended with {}", output.status)));
    }
    first_line(output.stdout.as_slice()).map_err(failed)
}

fn first_line(mut from: impl BufRead) -> Result<SecretString, String> {
    let mut line = String::new();
    from.read_line(&mut line).map_err(|source| source.to_string())?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err("the first line is empty".to_owned());
    }
    Ok(password.to_owned().into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;

    fn password(options: &Options, environment: Option<&str>) -> Result<Option<String>> {
        let found = find_credentials(options, environment.map(OsString::from))?;
        Ok(found.password.map(|secret| secret.expose_secret().to_owned()))
    }

    #[test]
    fn order_and_refusals() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        fs::write(&path, "s3cret \r\nmore\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let by_file = Options { password_file: Some(path.clone()), ..Options::default() };
        let error = password(&by_file, None).unwrap_err().to_string();
        assert!(error.contains("0640") && error.contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(password(&by_file, Some("env")).unwrap().as_deref(), Some("s3cret "));

        let command =
            |text: &str| Options { password_command: Some(text.to_owned()), ..Options::default() };
        assert_eq!(password(&command("echo abc"), None).unwrap().as_deref(), Some("abc"));
        assert!(password(&command("exit 3"), None).unwrap_err().to_string().contains('3'));
        assert!(password(&command("true"), None).is_err());
        let both = Options { password_file: Some(path), ..command("echo x") };
        assert!(password(&both, None).is_err());
        assert_eq!(password(&Options::default(), Some("e")).unwrap().as_deref(), Some("e"));
        assert_eq!(password(&Options::default(), None).unwrap(), None);
    }
}
