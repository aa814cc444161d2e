//! Progress on standard error and in the event file, from the counters of the running load.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle as BarStyle};

use super::events::Events;
use super::render::{bytes, grouped};
use crate::config::resolve::OutputOptions;
use crate::config::setting::ProgressStyle;
use crate::engine::{Control, Snapshot};
use crate::error::{Error, Result};

/// Looks at the counters between two drawings of a bar.
const BAR_INTERVAL: Duration = Duration::from_millis(100);

/// A thread that shows progress until it is ended.
#[derive(Debug)]
pub(super) struct Progress {
    end: Sender<()>,
    thread: JoinHandle<()>,
}

/// Form in which progress is shown after looking at the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Bar,
    Plain,
    Json,
    None,
}

fn form(output: &OutputOptions, terminal: bool) -> Form {
    match output.progress {
        _ if output.quiet => Form::None,
        ProgressStyle::Auto if terminal => Form::Bar,
        ProgressStyle::Auto | ProgressStyle::Plain => Form::Plain,
        ProgressStyle::Bar => Form::Bar,
        ProgressStyle::Json => Form::Json,
        ProgressStyle::None => Form::None,
    }
}

impl Progress {
    /// Starts showing, in `events` too.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn start(
        output: &OutputOptions,
        control: &Arc<Control>,
        events: Option<Events>,
    ) -> Result<Self> {
        let (end, ended) = mpsc::channel();
        let form = form(output, std::io::stderr().is_terminal());
        let mut shown = Shown {
            form,
            bar: (form == Form::Bar).then(bar),
            events,
            interval: output.progress_interval,
            started: Instant::now(),
            last_line: Instant::now(),
        };
        let control = Arc::clone(control);
        let thread = thread::Builder::new()
            .name("fastload-progress".to_owned())
            .spawn(move || {
                let pause = if form == Form::Bar { BAR_INTERVAL } else { shown.interval };
                while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                    shown.look(&control.snapshot());
                }
                shown.end(&control.snapshot());
            })
            .map_err(|source| Error::io("starting the progress thread", source))?;
        Ok(Self { end, thread })
    }

    /// Takes the bar away and waits for the thread.
    pub(super) fn end(self) {
        // The receiver is gone only when the thread has ended already.
        let _ = self.end.send(());
        let _ = self.thread.join();
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    bar.set_style(spinner_style());
    bar
}

fn bar_style() -> BarStyle {
    BarStyle::with_template("[{elapsed_precise}] {bar:30} {percent:>3}% {msg} eta {eta}")
        .expect("the template is a constant that parses")
}

fn spinner_style() -> BarStyle {
    BarStyle::with_template("[{elapsed_precise}] {spinner} {msg}")
        .expect("the template is a constant that parses")
}

struct Shown {
    form: Form,
    bar: Option<ProgressBar>,
    events: Option<Events>,
    interval: Duration,
    started: Instant,
    last_line: Instant,
}

impl Shown {
    fn look(&mut self, now: &Snapshot) {
        if let Some(bar) = &self.bar {
            if now.bytes_total > 0 && bar.length() != Some(now.bytes_total) {
                bar.set_length(now.bytes_total);
                bar.set_style(bar_style());
            }
            bar.set_position(now.bytes_read);
            bar.set_message(line(now, self.started.elapsed()));
            if self.last_line.elapsed() < self.interval {
                return;
            }
        }
        self.last_line = Instant::now();
        match self.form {
            Form::Plain => print(&line(now, self.started.elapsed())),
            Form::Json => print(&json(now, self.started.elapsed()).to_string()),
            Form::Bar | Form::None => {}
        }
        self.event(now);
    }

    fn event(&self, now: &Snapshot) {
        if let Some(events) = &self.events {
            events.note(&json(now, self.started.elapsed()));
        }
    }

    fn end(&mut self, now: &Snapshot) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.event(now);
    }
}

/// One line for people.
pub(super) fn line(now: &Snapshot, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(1e-3);
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = now.rows_loaded as f64 / seconds;
    let total = match now.bytes_total {
        0 => String::new(),
        total => format!(" of {}", bytes(total)),
    };
    format!(
        "{}{total} read, {} rows loaded, {} rejected, {rate:.0} rows/s, {} of {} batches waiting",
        bytes(now.bytes_read),
        grouped(now.rows_loaded),
        grouped(now.rows_rejected),
        now.ring_batches,
        now.ring_capacity
    )
}

fn json(now: &Snapshot, elapsed: Duration) -> serde_json::Value {
    serde_json::json!({
        "event": "progress",
        "seconds": elapsed.as_secs_f64(),
        "bytes_total": now.bytes_total,
        "bytes_read": now.bytes_read,
        "records_read": now.records_read,
        "rows_loaded": now.rows_loaded,
        "rows_rejected": now.rows_rejected,
        "ring_batches": now.ring_batches,
        "ring_capacity": now.ring_capacity,
    })
}

/// A closed standard error must not end a load.
fn print(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "fastload: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        let now = Snapshot {
            bytes_total: 4096,
            bytes_read: 1024,
            rows_loaded: 2000,
            ..Snapshot::default()
        };
        let text = line(&now, Duration::from_secs(2));
        assert!(text.starts_with("1.0 KiB of 4.0 KiB read, 2,000 rows loaded"), "{text}");
        assert!(text.contains("1000 rows/s"));
        assert_eq!(json(&now, Duration::from_secs(2))["rows_loaded"], 2000);
    }
}
