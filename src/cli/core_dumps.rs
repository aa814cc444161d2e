//! No core dump of a process whose memory holds a password, and no debugger on it.

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// Variable that leaves core dumps and debuggers as the system has them.
pub const KEEP_VARIABLE: &str = "FASTLOAD_CORE_DUMPS";

/// Whether [`KEEP_VARIABLE`] is set to something.
pub(super) fn are_asked_for() -> bool {
    std::env::var_os(KEEP_VARIABLE).is_some_and(|value| !value.is_empty())
}

/// Keeps the process from leaving a core dump, and other processes of the same user from attaching
/// to it or reading its memory, unless [`KEEP_VARIABLE`] is set to something.
///
/// The core file's largest size is set to nothing, for good: that holds for the programs that it
/// starts too. The second step is for systems whose core dumps go to a program, which takes no
/// notice of the limit; it makes the files below `/proc/PID` root's for others, and not for the
/// process itself.
///
/// A program calls it first thing. Returns what could not be done, if anything.
#[must_use]
pub fn forbid() -> Option<String> {
    if are_asked_for() {
        return None;
    }
    let limit = Rlimit { current: Some(0), maximum: Some(0) };
    let limited = match getrlimit(Resource::Core) {
        found if found == limit => Ok(()),
        _ => setrlimit(Resource::Core, limit),
    };
    let hidden = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let error = limited.and(hidden).err()?;
    Some(format!("core dumps could not be turned off ({error}): one would hold the password"))
}
