//! What IBM's Db2 driver takes from the environment of the process, and nowhere else.
//!
//! The driver reads both variables once, when it is loaded. Without the first it takes UTF-8 for
//! the locale's single-byte text and stores an accented letter as two characters, which read back
//! as one through the same process. Without the second a lost connection is silently made again,
//! and the commit after it reports success for rows that are gone. Keywords of the connection
//! string change neither.
//!
//! A library does not change its process by itself: a program calls [`prepare`] first thing, and a
//! load into Db2 without either variable is an error that names them.

#![expect(unsafe_code, reason = "setting a variable is sound on the only thread")]

use std::env;
use std::ffi::OsStr;
use std::fs;

/// A variable, the value that it needs, and what another value does.
const NEEDED: [(&str, &str, &str); 2] = [
    (
        "DB2CODEPAGE",
        "1208",
        "text is UTF-8 for fastload; with another code page the probe refuses to load",
    ),
    (
        "DB2_MAX_CLIENT_CONNRETRIES",
        "0",
        "the driver may reconnect by itself in the middle of a transaction",
    ),
];

/// Sets `DB2CODEPAGE=1208` and `DB2_MAX_CLIENT_CONNRETRIES=0` for IBM's driver where the user has
/// not set them. To be called before any thread is started, and before a driver is loaded.
///
/// Returns what a user of Db2 should know: [`notices`], and a sentence where nothing could be set
/// because the process has other threads already (or their number cannot be told, as without
/// `/proc`).
pub fn prepare() -> Vec<String> {
    let missing: Vec<(&str, &str)> = NEEDED
        .into_iter()
        .filter(|(name, ..)| env::var_os(name).is_none())
        .map(|(name, value, _)| (name, value))
        .collect();
    let mut said = notices();
    if !missing.is_empty() && !is_only_thread() {
        said.push(format!(
            "the environment for Db2's driver could not be set, because other threads run: set {} \
             before the start",
            assignments(&missing)
        ));
        return said;
    }
    for (name, value) in missing {
        // SAFETY: other threads may not read or write the environment meanwhile, and
        // `is_only_thread` has counted one thread in this process: this one, which is here.
        unsafe { env::set_var(name, value) };
    }
    said
}

/// What the user has set otherwise than Db2's driver needs it, one sentence each.
pub fn notices() -> Vec<String> {
    let other = |(name, needed, why): (&str, &str, &str)| {
        let value = env::var_os(name).filter(|value| value != OsStr::new(needed))?;
        Some(format!(
            "{name} is set to {} and stays so; {needed} is needed: {why}",
            value.display()
        ))
    };
    NEEDED.into_iter().filter_map(other).collect()
}

/// What is not set at all, as assignments; `None` when nothing is missing.
pub(super) fn missing() -> Option<String> {
    let missing: Vec<(&str, &str)> = NEEDED
        .into_iter()
        .filter(|(name, ..)| env::var_os(name).is_none())
        .map(|(name, value, _)| (name, value))
        .collect();
    (!missing.is_empty()).then(|| assignments(&missing))
}

/// The variables with their present values, to be shown.
pub(super) fn shown() -> [(&'static str, String); 2] {
    let value = |name| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    NEEDED.map(|(name, ..)| (name, value(name).unwrap_or_else(|| "not set".to_owned())))
}

fn assignments(variables: &[(&str, &str)]) -> String {
    let each: Vec<String> =
        variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    each.join(" and ")
}

/// Whether the calling thread is the only one of the process, as the kernel counts them.
fn is_only_thread() -> bool {
    fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tests run on threads of their own, where nothing may be set. That it is set where it may be
    /// is shown by the program itself (tests/cli).
    #[test]
    fn nothing_is_set_while_other_threads_run() {
        let before: Vec<_> = NEEDED.iter().map(|(name, ..)| env::var_os(name)).collect();
        let said = std::thread::spawn(prepare).join().expect("it does not panic");
        let after: Vec<_> = NEEDED.iter().map(|(name, ..)| env::var_os(name)).collect();
        assert_eq!(before, after);
        let refused = said.iter().any(|sentence| sentence.contains("other threads"));
        assert_eq!(refused, missing().is_some());
    }

    #[test]
    fn assignments_name_every_variable() {
        let both: Vec<_> = NEEDED.iter().map(|&(name, value, _)| (name, value)).collect();
        assert_eq!(assignments(&both), "DB2CODEPAGE=1208 and DB2_MAX_CLIENT_CONNRETRIES=0");
    }
}
