//! `--stop-at HH:MM`: the load reads no further at a time of day, commits, and ends as SIGTERM
//! would end it.

use std::io::Write;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Zoned;
use jiff::civil::Time;
use signal_hook::consts::SIGTERM;

use crate::config::setting::{ClockTime, Setting as _};
use crate::engine::Control;
use crate::error::{Error, ErrorKind, Result};

/// Longest sleep: the clock may be set, and the machine may have slept.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// How long what is read may take to be committed before it is rolled back.
const GRACE: Duration = Duration::from_secs(60);

/// Starts the thread that waits for the time.
///
/// # Errors
/// The system gives no thread, or there is no such time.
pub(super) fn watch(time: ClockTime, control: &Arc<Control>) -> Result<()> {
    let stop = next(time, &Zoned::now())
        .map_err(|why| Error::from(ErrorKind::Internal(format!("--stop-at: {why}"))))?;
    tracing::info!("--stop-at: the load stops at {stop}");
    let control = Arc::clone(control);
    let body = move || {
        loop {
            // Negative when it is past.
            let left = Zoned::now().duration_until(&stop);
            match Duration::try_from(left) {
                Ok(left) if !left.is_zero() => thread::sleep(left.min(LONGEST_SLEEP)),
                _ => break,
            }
        }
        // A closed standard error must not end a load.
        let _ = writeln!(
            std::io::stderr().lock(),
            "fastload: it is {} (--stop-at): stopping",
            time.show()
        );
        control.wind_down(SIGTERM);
        thread::sleep(GRACE);
        control.stop(SIGTERM);
    };
    thread::Builder::new()
        .name("fastload-stop-at".to_owned())
        .spawn(body)
        .map_err(|source| Error::io("starting the thread of --stop-at", source))?;
    Ok(())
}

/// When the clock next shows the time. One that is left out when clocks go forward is that much
/// later; of one that comes twice the first counts.
fn next(time: ClockTime, now: &Zoned) -> Result<Zoned, jiff::Error> {
    let clock = Time::new(time.hour, time.minute, 0, 0)?;
    let on = |date: jiff::civil::Date| date.to_datetime(clock).to_zoned(now.time_zone().clone());
    let today = on(now.date())?;
    if today > *now { Ok(today) } else { on(now.date().tomorrow()?) }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    use super::*;

    /// Central European Time, by its rule: no database of zones is needed.
    fn zone() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a rule")
    }

    fn next_after(now: jiff::civil::DateTime, hour: i8, minute: i8) -> (String, String) {
        let now = now.to_zoned(zone()).expect("a time");
        let next = next(ClockTime { hour, minute }, &now).expect("a time");
        (next.datetime().to_string(), next.timestamp().to_string())
    }

    #[test]
    fn a_time_that_is_past_is_tomorrows() {
        let now = date(2026, 11, 28).at(14, 30, 0, 1);
        for (hour, minute, expected) in [
            (14, 31, "2026-11-28T14:31:00"),
            (23, 59, "2026-11-28T23:59:00"),
            (14, 30, "2026-11-29T14:30:00"),
            (0, 0, "2026-11-29T00:00:00"),
        ] {
            assert_eq!(next_after(now, hour, minute).0, expected);
        }
        assert_eq!(next_after(date(2026, 12, 31).at(9, 0, 0, 0), 9, 0).0, "2027-01-01T09:00:00");
    }

    #[test]
    fn nights_in_which_clocks_are_set() {
        // 02:30 is left out on 29 March 2026: half an hour behind 03:00 it is, in summer time.
        let spring = date(2026, 3, 29).at(1, 0, 0, 0);
        let (clock, instant) = next_after(spring, 2, 30);
        assert_eq!(
            (clock.as_str(), instant.as_str()),
            ("2026-03-29T03:30:00", "2026-03-29T01:30:00Z")
        );
        // 02:30 comes twice on 25 October 2026: in summer time first.
        let autumn = date(2026, 10, 25).at(1, 0, 0, 0);
        let (clock, instant) = next_after(autumn, 2, 30);
        assert_eq!(
            (clock.as_str(), instant.as_str()),
            ("2026-10-25T02:30:00", "2026-10-25T00:30:00Z")
        );
    }
}
