//! `fastload config check|show`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::render::effective_table;
use crate::config::options::{Layered, Options};
use crate::config::resolve::{merge, resolve};
use crate::config::target::TargetUrl;
use crate::config::work::{Effective, Surroundings};
use crate::error::Result;

/// Reads a job file as a load would, with nothing else given.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(file: PathBuf) -> Result<String> {
    let shown = file.display().to_string();
    let resolved = resolve(Options::default(), &[], Some(file))?;
    resolved.work.settle(&Surroundings::of_machine(resolved.inputs.len()))?;
    Ok(format!("{shown}: ok\n"))
}

/// What the file and the environment set.
///
/// # Errors
/// What is wrong with them.
pub(super) fn show(environment: &[(OsString, OsString)], file: Option<PathBuf>) -> Result<String> {
    let (layered, _) = merge(Options::default(), environment, file)?;
    Ok(effective_table(&given(&layered)?))
}

fn given(layered: &Layered) -> Result<Vec<Effective>> {
    let mut rows = Vec::new();
    for (key, value) in layered.options.given() {
        let Some(origin) = layered.origin(key).cloned() else {
            continue;
        };
        // Only a parsed target is shown without its secrets.
        let value = match layered.options.hidden(key) {
            Some(hidden) => hidden,
            None if key == "to" => TargetUrl::parse(&value)?.to_string(),
            None => value,
        };
        rows.push(Effective { key, value, origin });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_shown_and_secrets_are_not() {
        let environment: Vec<(OsString, OsString)> = vec![
            ("FASTLOAD_TO".into(), "odbc:DSN=x;PWD=hunter2".into()),
            ("FASTLOAD_WRITERS".into(), "3".into()),
            ("FASTLOAD_SESSION_SQL".into(), "SET ENCRYPTION PASSWORD = 'hunter2'".into()),
            ("FASTLOAD_PASSWORD_COMMAND".into(), "echo hunter2".into()),
        ];
        let text = show(&environment, None).unwrap();
        assert!(text.contains("environment FASTLOAD_WRITERS"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_job_file_is_checked_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("job.yaml");
        std::fs::write(&path, "writers: 0\n").unwrap();
        assert!(check(path.clone()).is_err());
        std::fs::write(&path, "writers: 2\n").unwrap();
        assert!(check(path).unwrap().ends_with("ok\n"));
    }
}
