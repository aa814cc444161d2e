//! The event file (`--events`): one JSON object a line, from whichever thread has something to say.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::text_file::{self, Existing};
use crate::engine::Look;
use crate::error::Result;

/// The file; clones write to the same one.
#[derive(Debug, Clone)]
pub(super) struct Events {
    lines: Arc<Mutex<Lines>>,
}

#[derive(Debug)]
struct Lines {
    file: File,
    /// Whether an event could not be written that the load can do without: no more of them come.
    has_failed: bool,
}

impl Events {
    /// Begins a new file.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = text_file::open("--events", path, Existing::Replaced, 0o666)?;
        Ok(Self { lines: Arc::new(Mutex::new(Lines { file, has_failed: false })) })
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes an event in one piece.
    ///
    /// # Errors
    /// What writing gave.
    pub(super) fn write(&self, event: &Value) -> io::Result<()> {
        self.lines().file.write_all(format!("{event}\n").as_bytes())
    }

    /// Writes an event that the load can do without.
    pub(super) fn note(&self, event: &Value) {
        if self.lines().has_failed {
            return;
        }
        if let Err(error) = self.write(event) {
            self.lines().has_failed = true;
            tracing::warn!("--events cannot be written any more: {error}");
        }
    }
}

/// The monitor's look at the queues as an event.
pub(super) fn queues(look: &Look) -> Value {
    let findings: Vec<&str> = look.findings.iter().map(|finding| finding.name()).collect();
    json!({
        "event": "queues",
        "seconds": look.elapsed.as_secs_f64(),
        "chunks_ahead": look.now.chunks_ahead,
        "chunks_ahead_max": look.now.chunks_ahead_max,
        "ring_batches": look.now.ring_batches,
        "ring_capacity": look.now.ring_capacity,
        "findings": findings,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::{Finding, Snapshot};

    #[test]
    fn a_look_is_one_object() {
        let look = Look {
            elapsed: Duration::from_secs(5),
            now: Snapshot { ring_batches: 9, ring_capacity: 10, ..Snapshot::default() },
            findings: vec![Finding::WritersSlow],
        };
        let event = queues(&look);
        assert_eq!((&event["event"], &event["seconds"]), (&json!("queues"), &json!(5.0)));
        assert_eq!(event["findings"], json!(["writers_slow"]));
        assert_eq!((&event["ring_batches"], &event["ring_capacity"]), (&json!(9), &json!(10)));
    }

    #[test]
    fn lines_of_many_threads_stay_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("events");
        let events = Events::create(&path).expect("a file");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let events = events.clone();
                scope.spawn(move || {
                    for number in 0..200 {
                        events.note(&json!({ "event": "x", "thread": thread, "number": number }));
                    }
                });
            }
        });
        let text = std::fs::read_to_string(&path).expect("it is there");
        let lines =
            text.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object"));
        assert_eq!(lines.filter(|line| line["event"] == "x").count(), 800);
    }
}
