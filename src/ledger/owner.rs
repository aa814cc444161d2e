//! Who works on a job, and whether that process still lives.

use std::fmt;
use std::fs;
use std::io;

use super::facts::{armoured, plain};

/// A process, told apart from every other one on any host and at any time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owner {
    /// Name of the host.
    pub host: String,
    /// Id of its last boot.
    pub boot: String,
    /// The namespace in which `pid` means something.
    pub namespace: String,
    /// Process id.
    pub pid: u32,
    /// When the process started, in clock ticks since the boot.
    pub started: u64,
}

/// What is known about the life of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It runs, or is stopped and may go on.
    Alive,
    /// It has ended.
    Dead,
    /// It is elsewhere, where nobody here can look.
    Unknown,
}

impl Owner {
    /// This process.
    ///
    /// # Errors
    /// When `/proc` does not say who we are.
    pub fn of_this_process() -> io::Result<Self> {
        let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned());
        let pid = std::process::id();
        let (_, started) = state_and_start(pid)
            .ok_or_else(|| io::Error::other("/proc does not say when this process started"))?;
        Ok(Self {
            host: read("/proc/sys/kernel/hostname")?,
            boot: read("/proc/sys/kernel/random/boot_id")?,
            namespace: fs::read_link("/proc/self/ns/pid")?.to_string_lossy().into_owned(),
            pid,
            started,
        })
    }

    /// Whether this process lives, as seen by the process `seen_by`.
    #[must_use]
    pub fn liveness(&self, seen_by: &Self) -> Liveness {
        if self.host != seen_by.host {
            return Liveness::Unknown;
        }
        if self.boot != seen_by.boot {
            return Liveness::Dead;
        }
        if self.namespace != seen_by.namespace {
            return Liveness::Unknown;
        }
        match state_and_start(self.pid) {
            // Ended, and nobody has asked for its status yet.
            Some(('Z' | 'X', _)) | None => Liveness::Dead,
            Some((_, started)) if started != self.started => Liveness::Dead,
            Some(_) => Liveness::Alive,
        }
    }

    /// As text, for the ledger: plain ASCII.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self { host, boot, namespace, pid, started } = self;
        format!("{} {} {} {pid} {started}", to_word(host), to_word(boot), to_word(namespace))
    }

    /// From [`Self::to_text`]; `None` for nobody.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let mut word = || words.next();
        Some(Self {
            host: from_word(word()?),
            boot: from_word(word()?),
            namespace: from_word(word()?),
            pid: word()?.parse().ok()?,
            started: word()?.parse().ok()?,
        })
    }
}

/// Stands for an empty text, which would be no word: a host may have no name. The armour writes a
/// percent sign as `%25`.
const EMPTY: &str = "%";

fn to_word(text: &str) -> String {
    if text.is_empty() { EMPTY.to_owned() } else { armoured(text) }
}

fn from_word(word: &str) -> String {
    if word == EMPTY { String::new() } else { plain(word) }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}", self.pid, self.host)
    }
}

/// State and start of a process from `/proc/PID/stat`; `None` when there is no such process.
fn state_and_start(pid: u32) -> Option<(char, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program stands in brackets and may hold anything, brackets too.
    let behind = &stat[stat.rfind(')')? + 1..];
    let mut words = behind.split_whitespace();
    let state = words.next()?.chars().next()?;
    // Field 22 of proc(5); the state is field 3.
    let started = words.nth(22 - 4)?.parse().ok()?;
    Some((state, started))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn this_process_lives() {
        let own = Owner::of_this_process().expect("Linux");
        assert_eq!(Owner::parse(&own.to_text()), Some(own.clone()));
        assert_eq!(own.liveness(&own), Liveness::Alive);
        assert_eq!(Owner::parse(""), None);
    }

    #[test]
    fn a_host_without_a_name_is_one() {
        let own = Owner::of_this_process().expect("Linux");
        for host in ["", "%", "a b", "%25"] {
            let nameless = Owner { host: host.to_owned(), ..own.clone() };
            assert_eq!(Owner::parse(&format!(" {} ", nameless.to_text())), Some(nameless));
        }
    }

    #[test]
    fn another_process_of_the_same_number_is_not_it() {
        let own = Owner::of_this_process().expect("Linux");
        let earlier = Owner { started: own.started - 1, ..own.clone() };
        assert_eq!(earlier.liveness(&own), Liveness::Dead);
        let rebooted = Owner { boot: "other".to_owned(), ..own.clone() };
        assert_eq!(rebooted.liveness(&own), Liveness::Dead);
        for elsewhere in [
            Owner { host: "elsewhere".to_owned(), ..own.clone() },
            Owner { namespace: "pid:[1]".to_owned(), ..own.clone() },
        ] {
            assert_eq!(elsewhere.liveness(&own), Liveness::Unknown);
        }
    }

    #[test]
    fn a_killed_process_is_dead_before_it_is_waited_for() {
        let own = Owner::of_this_process().expect("Linux");
        let mut child =
            Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().expect("sleep");
        let (_, started) = state_and_start(child.id()).expect("it runs");
        let other = Owner { pid: child.id(), started, ..own.clone() };
        assert_eq!(other.liveness(&own), Liveness::Alive);
        child.kill().expect("killed");
        // The kernel needs a moment to make a zombie of it.
        while other.liveness(&own) == Liveness::Alive {
            std::thread::yield_now();
        }
        assert_eq!(other.liveness(&own), Liveness::Dead);
        child.wait().expect("waited");
        assert_eq!(other.liveness(&own), Liveness::Dead);
    }
}
