//! The threads of a load, started, watched and joined.
//!
//! Parsers are joined for certain: what they wait for ends with the load. A writer may be blocked
//! in a driver whose call never comes back; then the load ends without it, with what stands on its
//! desk. Writers' threads therefore own, or share, whatever they use.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::arenas::Shape;
use super::booking::Booking;
use super::climb::Climb;
use super::desk::Desk;
use super::load::TargetHandle;
use super::monitor::Monitor;
use super::parser::Parser;
use super::routing::{Router, Sharing};
use super::shared::{Shared, panicked};
use super::times::ParserTimes;
use super::topology;
use super::writer::{Writer, WriterTimes};
use crate::arena::Batch;
use crate::config::schema::Column;
use crate::error::Error;
use crate::parse::rows::RowParser;
use crate::rejects::{RejectFiles, RejectSegment};
use crate::ring::{Consumer, Producer, Sleeper, ring};
use crate::sink::{RowAction, SinkError};

/// How often the load asks whether a writer is lost.
const LOOK: Duration = Duration::from_millis(200);

/// What the threads leave behind.
#[derive(Default)]
pub(super) struct Times {
    pub(super) parsers: Vec<ParserTimes>,
    pub(super) writers: Vec<WriterTimes>,
    /// What the writers rejected.
    pub(super) segments: Vec<RejectSegment>,
    /// Writers whose threads did not come back.
    pub(super) lost_writers: usize,
    /// From the start of the threads to the end of the last one.
    pub(super) took: Duration,
}

/// The rings of a load, sorted by the thread that owns the end.
pub(super) struct Rings {
    parser_out: Vec<Vec<Producer<Batch>>>,
    parser_back: Vec<Vec<Consumer<Batch>>>,
    writer_in: Vec<Vec<Consumer<Batch>>>,
    writer_back: Vec<Vec<Producer<Batch>>>,
}

impl Rings {
    pub(super) fn new(
        parsers: &[Sleeper],
        writers: &[Sleeper],
        batches: usize,
        arenas: usize,
    ) -> Self {
        let mut rings = Self {
            parser_out: empty(parsers.len()),
            parser_back: empty(parsers.len()),
            writer_in: empty(writers.len()),
            writer_back: empty(writers.len()),
        };
        for (p, parser) in parsers.iter().enumerate() {
            for (w, writer) in writers.iter().enumerate() {
                let (out, inbox) = ring(batches, parser.waker(), writer.waker());
                rings.parser_out[p].push(out);
                rings.writer_in[w].push(inbox);
                // All arenas of a parser may come back through one ring.
                let (back, free) = ring(arenas, writer.waker(), parser.waker());
                rings.writer_back[w].push(back);
                rings.parser_back[p].push(free);
            }
        }
        rings
    }
}

fn empty<T>(count: usize) -> Vec<Vec<T>> {
    std::iter::repeat_with(Vec::new).take(count).collect()
}

/// What the threads of a load are made of.
pub(super) struct Threads<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) target: &'a TargetHandle,
    pub(super) columns: &'a [Column],
    pub(super) action: &'a RowAction,
    pub(super) rejects: &'a RejectFiles,
    pub(super) shape: Shape,
    /// Where each row has its writer.
    pub(super) sharing: Option<Sharing>,
}

/// A writer's thread from outside.
struct WriterSeat {
    desk: Arc<Desk>,
    /// Whether its work has ended, or was never begun.
    is_done: bool,
    thread: Option<JoinHandle<()>>,
}

/// The end of a writer's thread: which one, and its times if it had a connection.
type WriterEnd = (usize, Option<WriterTimes>);

impl Threads<'_> {
    pub(super) fn run(
        &self,
        row_parsers: Vec<RowParser>,
        rings: Rings,
        parser_sleepers: Vec<Sleeper>,
        writer_sleepers: Vec<Sleeper>,
    ) -> Times {
        let started = Instant::now();
        let monitor = Monitor::new();
        let (ended, ends) = channel();
        let mut seats = Vec::new();
        let rings_of_writers = rings.writer_in.into_iter().zip(rings.writer_back);
        for (id, ((inbox, back), sleeper)) in rings_of_writers.zip(writer_sleepers).enumerate() {
            seats.push(self.spawn_writer(id, inbox, back, sleeper, ended.clone()));
        }
        drop(ended);
        thread::scope(|scope| {
            let watching =
                thread::Builder::new().name("fastload-monitor".into()).spawn_scoped(scope, || {
                    monitor.watch(&self.shared.control, Climb::new(self.shared));
                });
            let mut parsers = Vec::new();
            let ends_of_rings = rings.parser_out.into_iter().zip(rings.parser_back);
            let ends_of_rings = ends_of_rings.zip(parser_sleepers).zip(row_parsers);
            for (id, (((out, back), sleeper), rows)) in ends_of_rings.enumerate() {
                let shape = self.shape.clone();
                let router = self.sharing.clone().map(Router::new);
                let body = move || {
                    let cores = &self.shared.config.work.pin_cores;
                    pin(cores, id);
                    Parser::new(self.shared, id, rows, shape, out, back, sleeper)
                        .sharing(router)
                        .run()
                };
                let guarded = move || guarded(self.shared, || Some(body()));
                let name = format!("fastload-parse-{id}");
                match thread::Builder::new().name(name).spawn_scoped(scope, guarded) {
                    Ok(handle) => parsers.push(handle),
                    Err(error) => self.shared.fail(Error::io("starting a thread", error)),
                }
            }
            let writers = self.wait_for_writers(&ends, &mut seats);
            // Panics are caught inside.
            let parsers = parsers.into_iter().filter_map(|handle| handle.join().ok()?).collect();
            let lost_writers = seats.iter().filter(|seat| !seat.is_done).count();
            let segments = seats.iter().filter_map(|seat| self.clear(seat)).collect();
            let times = Times { parsers, writers, segments, lost_writers, took: started.elapsed() };
            monitor.end();
            if let Ok(watching) = watching {
                // It only reads counters; a panic there has been reported by the hook.
                drop(watching.join());
            }
            times
        })
    }

    /// Starts a writer on a thread that may outlive the load.
    fn spawn_writer(
        &self,
        id: usize,
        inbox: Vec<Consumer<Batch>>,
        back: Vec<Producer<Batch>>,
        sleeper: Sleeper,
        ended: Sender<WriterEnd>,
    ) -> WriterSeat {
        let desk = Arc::new(Desk::new(self.rejects.segment(id)));
        let (shared, target) = (Arc::clone(self.shared), self.target.clone());
        let (columns, action) = (self.columns.to_vec(), self.action.clone());
        let own_desk = Arc::clone(&desk);
        let rejects = self.rejects.clone();
        let part = if self.sharing.is_some() { id } else { 0 };
        let booking = self.shared.job.as_ref().map(|job| Booking::new(Arc::clone(job), id, part));
        let body = move || {
            let (started, work) = (Instant::now(), &shared.config.work);
            pin(&work.pin_cores, work.parsers + id);
            let is_later = id >= work.writers;
            let times = guarded(&shared, || {
                let mut sleeper = sleeper;
                if is_later && !shared.wait_for_call(id, &inbox, &mut sleeper) {
                    return None;
                }
                let sink = match target.0.open(&shared.config.table, &columns, &action) {
                    Ok(sink) => sink,
                    Err(error) if is_later => {
                        shared.refuse_writer(id, error);
                        return None;
                    }
                    Err(error) => {
                        shared.fail(error.into());
                        return None;
                    }
                };
                let away = if is_later { started.elapsed() } else { Duration::ZERO };
                let (own, keeping) = ((&*shared, id), (booking, rejects));
                let writer = Writer::new(own, sink, inbox, back, sleeper, &own_desk, keeping);
                let writer = writer.map_err(|error| shared.fail(error)).ok()?;
                shared.writer_is_ready(id);
                Some(writer.run_after(away))
            });
            // Nobody listens any more where the load has ended without this writer.
            drop(ended.send((id, times)));
        };
        let spawned = thread::Builder::new().name(format!("fastload-write-{id}")).spawn(body);
        if let Err(error) = &spawned {
            self.shared.fail(Error::io("starting a thread", std::io::Error::from(error.kind())));
        }
        WriterSeat { desk, is_done: spawned.is_err(), thread: spawned.ok() }
    }

    /// Waits until every writer has ended, or is blocked in a call that was given up.
    fn wait_for_writers(
        &self,
        ends: &Receiver<WriterEnd>,
        seats: &mut [WriterSeat],
    ) -> Vec<WriterTimes> {
        let mut writers = Vec::new();
        while seats.iter().any(|seat| !seat.is_done) {
            match ends.recv_timeout(LOOK) {
                Ok((id, times)) => {
                    seats[id].is_done = true;
                    writers.extend(times);
                    // All that it held is dropped then, and not while the process ends.
                    if let Some(thread) = seats[id].thread.take() {
                        drop(thread.join());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let stuck = self.target.0.stuck_calls();
                    let running = seats.iter().filter(|seat| !seat.is_done).count();
                    if let Some(error) = stuck.first() {
                        self.shared.fail(error.clone().into());
                    }
                    if stuck.len() >= running {
                        tracing::error!(running, "writers are left behind in their driver");
                        break;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        writers
    }

    /// What a writer rejected; of one that is lost, what it had committed, and its doubt.
    fn clear(&self, seat: &WriterSeat) -> Option<RejectSegment> {
        if seat.is_done {
            return seat.desk.take_rejects();
        }
        let (segment, doubt) = seat.desk.clear();
        if let Some(doubt) = doubt {
            let unanswered = SinkError::permanent("the call has not come back");
            self.shared.fail(self.shared.in_doubt(doubt, unanswered));
        }
        segment
    }
}

/// Runs the body of a thread; its panic is a failed load, and nothing else.
fn guarded<T>(shared: &Shared, body: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        shared.fail(panicked(panic.as_ref()));
        None
    })
}

fn pin(cores: &[usize], index: usize) {
    match topology::pin_current_thread(cores, index) {
        Some(core) => tracing::debug!(core, "pinned"),
        None if cores.is_empty() => {}
        None => tracing::warn!(?cores, index, "the system did not pin the thread"),
    }
}
