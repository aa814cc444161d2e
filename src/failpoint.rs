//! Named places at which a test ends the process, stops it, or lets it wait.
//!
//! Nothing of this is in a program that is built without the feature `failpoints`: there, [`reach`]
//! is empty. With it, the environment variable `FASTLOAD_FAILPOINT` arms one place:
//!
//! | value | at the place |
//! | --- | --- |
//! | `NAME` | the process ends by SIGKILL |
//! | `NAME:3` | the same, at the third time |
//! | `NAME=stop` | the process stops by SIGSTOP, until SIGCONT |
//! | `NAME:3=sleep-250` | the thread that comes there sleeps 250 ms |
//! | `NAME=panic` | the thread that comes there panics |
//!
//! Each place acts once. `tests/crash/failpoints.rs` has a case for every name in the sources.

#[cfg(not(feature = "failpoints"))]
pub(crate) use absent::reach;
#[cfg(feature = "failpoints")]
pub(crate) use present::reach;

#[cfg(not(feature = "failpoints"))]
mod absent {
    /// A place that a test may name; nothing in this build.
    #[inline(always)]
    pub(crate) const fn reach(_name: &str) {}
}

#[cfg(feature = "failpoints")]
mod present {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use signal_hook::consts::{SIGKILL, SIGSTOP};
    use signal_hook::low_level::raise;

    /// Where the armed place and its action stand.
    const VARIABLE: &str = "FASTLOAD_FAILPOINT";

    /// What happens at the place.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Action {
        Kill,
        Stop,
        Sleep(Duration),
        Panic,
    }

    /// The place that the environment names.
    #[derive(Debug)]
    struct Armed {
        name: String,
        /// How often it must be reached.
        count: u64,
        action: Action,
        reached: AtomicU64,
    }

    /// A place that a test may name: does there what `FASTLOAD_FAILPOINT` says.
    pub(crate) fn reach(name: &str) {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        let armed = ARMED.get_or_init(|| std::env::var(VARIABLE).ok().map(|text| parse(&text)));
        if let Some(armed) = armed.as_ref().filter(|armed| armed.name == name)
            && armed.reached.fetch_add(1, Ordering::Relaxed) + 1 == armed.count
        {
            act(armed.action, name);
        }
    }

    fn act(action: Action, name: &str) {
        match action {
            Action::Kill => raise(SIGKILL).expect("a process may end itself"),
            Action::Stop => raise(SIGSTOP).expect("a process may stop itself"),
            Action::Sleep(time) => std::thread::sleep(time),
            Action::Panic => panic!("failpoint {name}"),
        }
    }

    /// Reads the variable; what it does not understand is a mistake of the test.
    fn parse(text: &str) -> Armed {
        let (place, action) = text.split_once('=').unwrap_or((text, "kill"));
        let (name, count) = place.split_once(':').unwrap_or((place, "1"));
        let number = |digits: &str| {
            digits.parse().unwrap_or_else(|_| panic!("{VARIABLE}={text}: {digits} is no number"))
        };
        let action = match action {
            "kill" => Action::Kill,
            "stop" => Action::Stop,
            "panic" => Action::Panic,
            _ => match action.strip_prefix("sleep-") {
                Some(millis) => Action::Sleep(Duration::from_millis(number(millis))),
                None => panic!("{VARIABLE}={text}: {action} is no action"),
            },
        };
        Armed { name: name.to_owned(), count: number(count), action, reached: AtomicU64::new(0) }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_variable_is_read() {
            let read = |text| {
                let armed = parse(text);
                (armed.name, armed.count, armed.action)
            };
            let named = |count, action| ("after-parse".to_owned(), count, action);
            assert_eq!(read("after-parse"), named(1, Action::Kill));
            assert_eq!(read("after-parse:7"), named(7, Action::Kill));
            assert_eq!(read("after-parse=stop"), named(1, Action::Stop));
            assert_eq!(read("after-parse=panic"), named(1, Action::Panic));
            let time = Duration::from_millis(250);
            assert_eq!(read("after-parse:3=sleep-250"), named(3, Action::Sleep(time)));
        }

        #[test]
        #[should_panic(expected = "quit is no action")]
        fn a_mistake_is_no_failpoint() {
            parse("after-parse=quit");
        }
    }
}
