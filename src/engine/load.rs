//! A load from its configuration to its report: builds the threads, joins them, first error wins.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::abort::RUN_ID;
use super::arenas::Shape;
use super::beginning::{Preparation, already_loaded, terminated};
use super::control::Control;
use super::ending::{finish, status};
use super::files::{InputFile, OpenFile};
use super::heartbeat::Heartbeat;
use super::job::{self, Beginning, Started};
use super::notes::noted_parts;
use super::resume;
use super::routing::{Sharing, hold_to_order};
use super::shared::Shared;
use super::stock::Supply;
use super::threads::{Rings, Threads, Times};
use super::tuned;
use crate::config::schema::Column;
use crate::config::{
    Duplicates, FieldSource, InputMode, LoadConfig, Mode, StagingAttribute, StagingConfig,
};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::State;
use crate::parse::convert::Converter;
use crate::parse::record_reader::RecordReader;
use crate::parse::rows::RowParser;
use crate::rejects::RejectFiles;
use crate::report::{Report, TargetReport};
use crate::ring::{Sleeper, Waker};
use crate::sink::{Layout, Routing, RowAction, TableTask, Target};
use crate::staging::{Staging, refused_task};

/// Largest chunk: records and lines in one are 32-bit numbers.
const CHUNK_BYTES_MAX: u64 = 1 << 30;

/// The parser of one thread: reader and conversions of a configuration, for cells as `layout` has
/// them.
///
/// # Errors
/// A column whose type and cells do not go together; a format of dates that cannot be read.
pub fn row_parser(config: &LoadConfig, layout: &Layout) -> Result<RowParser> {
    let convert = |(column, &cell)| {
        Converter::new(column, cell, &config.dialect, &config.formats, layout.nul_in_text)
            .map_err(|unsupported| Error::usage(unsupported.message, "--schema"))
    };
    let converters = config.columns.iter().zip(&layout.cells).map(convert);
    let fields = config.columns.iter().map(|column| match column.source {
        FieldSource::Field(field) => Some(field),
        FieldSource::Constant(_) => None,
    });
    let reader = RecordReader::new(&config.dialect, config.field_count);
    Ok(RowParser::new(reader, converters.collect::<Result<_>>()?, fields.collect()))
}

/// What becomes of the rows of a load that goes to its table directly.
#[must_use]
pub fn row_action(config: &LoadConfig) -> RowAction {
    match config.mode {
        Mode::Append | Mode::Truncate | Mode::Replace => RowAction::Insert,
        Mode::Upsert => RowAction::Upsert { key: config.key.clone() },
        Mode::Delete => RowAction::Delete { key: config.key.clone() },
    }
}

/// A load that is ready to run.
#[derive(Debug)]
pub struct Load {
    /// What to do.
    pub config: LoadConfig,
    /// The opened inputs, in the order of `config.inputs`.
    pub inputs: Vec<InputFile>,
    /// Where to.
    pub target: TargetHandle,
    /// Counters, and the way to stop the load.
    pub control: Arc<Control>,
}

/// A shared target; a type of its own so that a load can be printed in debug output.
#[derive(Clone)]
pub struct TargetHandle(pub Arc<dyn Target>);

impl std::fmt::Debug for TargetHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TargetHandle").field(&self.0.info()).finish()
    }
}

/// How a load ended.
#[derive(Debug)]
pub struct Outcome {
    /// What was done, also when an error ended it.
    pub report: Report,
    /// The error that ended it.
    pub error: Option<Error>,
    /// Threads that are blocked in a driver, in calls that were given up. They are left behind: a
    /// program that ends now should not run the exit handlers of its libraries, which may wait for
    /// them.
    pub lost_threads: usize,
}

/// A load that has run.
pub(super) struct Ran {
    pub(super) shared: Arc<Shared>,
    pub(super) rejects: RejectFiles,
    pub(super) times: Times,
    pub(super) warnings: Vec<String>,
    /// Where the rows wait, if they do.
    pub(super) staging: Option<Staging>,
    /// What is done to the table after the last commit.
    pub(super) care: Vec<(TableTask, String)>,
    /// Its run in the ledger.
    pub(super) started: Option<Started>,
    pub(super) heartbeat: Heartbeat,
}

impl Load {
    /// Runs the load on threads of its own and returns when all of them have ended, or are lost
    /// in a driver.
    ///
    /// The table exists and the columns are mapped. Nothing is printed; progress is in the
    /// [`Control`].
    #[must_use]
    pub fn run(self) -> Outcome {
        let started = Instant::now();
        let target = self.target.clone();
        let info = target.0.info();
        let mut report = Report {
            target: TargetReport {
                url: info.url,
                table: self.config.table.clone(),
                profile: info.profile,
            },
            ..Report::default()
        };
        let mut lost_threads = 0;
        let error = match job::begin(&self.config, &self.inputs, &target) {
            Err(error) => {
                report.status = status(Some(&error), &report.totals, false);
                Some(error)
            }
            Ok(Some(Beginning::AlreadyLoaded(key, ranges))) => {
                already_loaded(&self.inputs, &key, &ranges, &mut report);
                None
            }
            Ok(Some(Beginning::Terminated(key))) => {
                terminated(key, &mut report);
                None
            }
            Ok(Some(Beginning::Work(job))) => {
                self.work(Some(job), &target, &mut report, &mut lost_threads)
            }
            Ok(None) => self.work(None, &target, &mut report, &mut lost_threads),
        };
        report.seconds = started.elapsed().as_secs_f64();
        report.peak_rss_bytes = super::usage::peak_resident_bytes();
        report.error = error.as_ref().map(ToString::to_string);
        Outcome { report, error, lost_threads }
    }

    /// Runs the threads and what comes after them; the error of the load.
    fn work(
        self,
        job: Option<Box<Started>>,
        target: &TargetHandle,
        report: &mut Report,
        lost_threads: &mut usize,
    ) -> Option<Error> {
        let started = Instant::now();
        let own = job.as_ref().map(|started| Arc::clone(&started.job));
        if let Some(job) = &own {
            report.job.clone_from(&job.key().job);
        }
        let error = match self.run_threads(job) {
            Ok(ran) => {
                *lost_threads = ran.times.lost_writers;
                finish(ran, target, started, report, lost_threads)
            }
            Err(error) => {
                report.status = status(Some(&error), &report.totals, false);
                Some(error)
            }
        };
        if let (Some(job), Some(error)) = (own, &error)
            && !matches!(error.kind(), ErrorKind::JobHeld(_))
        {
            job.let_go();
        }
        error
    }

    fn run_threads(mut self, started: Option<Box<Started>>) -> Result<Ran> {
        let started = started.map(|started| *started);
        self.take_up(started.as_ref());
        let columns: Vec<Column> =
            self.config.columns.iter().map(|column| column.column.clone()).collect();
        let staging = self.plan_staging()?;
        let care = self.plan_care()?;
        let action = staging.as_ref().map_or_else(|| row_action(&self.config), Staging::action);
        let layout = self.target.0.layout(&self.config.table, &columns, &action)?;
        let mut warnings = self.fit_to(&layout);
        warnings.extend(self.hold_to_parts(started.as_ref(), &layout)?);
        let work = &self.config.work;
        let sharing = Sharing::new(&self.config, &layout, &columns);
        let (sharing, shape) = match sharing {
            Some((sharing, shape)) => (Some(sharing), shape),
            None => (None, Shape::new(&layout, &columns, work.batch_rows, work.batch_bytes)),
        };
        let parsers = self.row_parsers(&layout)?;
        let work = self.config.work.clone();
        let rejects = self.reject_files(started.as_ref())?;
        let parts = if sharing.is_some() { work.writers } else { 1 };
        // The last step that may refuse the load is behind us.
        let preparation =
            Preparation { staging: staging.as_ref(), started: started.as_ref(), parts };
        warnings.extend(self.prepare_tables(&preparation)?);
        if started.as_ref().is_some_and(|started| started.run.is_resumed) {
            self.inputs = job::for_resume(self.inputs)?;
        }
        let mut files = open_files(self.inputs, &self.config, &self.control);
        let skipped = started.as_ref().map(|started| {
            resume::skip_committed(&started.run, &mut files, parts, staging.is_some())
        });
        let skipped = skipped.transpose()?.unwrap_or_default();
        let parser_sleepers: Vec<_> = (0..work.parsers).map(|_| Sleeper::new()).collect();
        let writer_sleepers: Vec<_> = (0..work.writers_max()).map(|_| Sleeper::new()).collect();
        let supply = Supply::new(&work, &layout, &shape);
        let arenas = sharing
            .as_ref()
            .map_or_else(|| supply.most(work.writers_max()), |sharing| sharing.arenas_max);
        // There are no more batches than arenas.
        let ring_batches = work.ring_batches.min(arenas);
        let rings = Rings::new(&parser_sleepers, &writer_sleepers, ring_batches, arenas);
        self.control.metrics.note_capacity(work.writers, work.parsers * ring_batches);
        let shared = Arc::new(Shared::new(
            self.config,
            layout,
            files.into_iter().map(Arc::new).collect(),
            Arc::clone(&self.control),
            supply,
            writer_sleepers.iter().map(Sleeper::waker).collect(),
            (started.as_ref().map(|started| Arc::clone(&started.job)), skipped),
        ));
        if let Some(started) = &started {
            resume::preset(&shared, &started.run);
        }
        stop_wakes(&shared, &parser_sleepers, &writer_sleepers);
        tell_depths(&shared);
        let threads = Threads {
            shared: &shared,
            target: &self.target,
            columns: &columns,
            action: &action,
            rejects: &rejects,
            shape,
            sharing,
        };
        let heartbeat = Heartbeat::start(&shared);
        let times = match &started {
            // Everything is read.
            Some(started) if started.run.state > State::Loading => Times::default(),
            _ => threads.run(parsers, rings, parser_sleepers, writer_sleepers),
        };
        shared.control.forget_hooks();
        Ok(Ran { shared, rejects, times, warnings, staging, care, started, heartbeat })
    }

    /// Holds the numbers of the configuration to what the target takes.
    fn fit_to(&mut self, layout: &Layout) -> Vec<String> {
        let work = &mut self.config.work;
        let mut warnings = hold_to_order(work, &layout.routing);
        if work.writers > layout.writers_max {
            warnings.push(format!(
                "{} writers are asked for; this target takes {}",
                work.writers, layout.writers_max
            ));
            work.writers = layout.writers_max;
        }
        if work.batch_rows > layout.batch_rows_max {
            warnings.push(format!(
                "{} rows a batch are asked for; this target takes {}",
                work.batch_rows, layout.batch_rows_max
            ));
            work.batch_rows = layout.batch_rows_max;
        }
        if staging_is_unlogged(self.config.staging.as_ref()) {
            // One transaction, whatever its size.
            (work.commit_rows, work.commit_bytes, work.commit_every) = (u64::MAX, None, None);
        }
        // A batch is never cut: one larger than a unit would make the unit too large.
        let unit_rows = usize::try_from(work.commit_rows).unwrap_or(usize::MAX);
        work.batch_rows = work.batch_rows.min(unit_rows).max(1);
        if work.chunk_bytes > CHUNK_BYTES_MAX {
            warnings.push(format!(
                "chunks of {} bytes are asked for; {CHUNK_BYTES_MAX} are taken",
                work.chunk_bytes
            ));
            work.chunk_bytes = CHUNK_BYTES_MAX;
        }
        if work.input_mode == InputMode::Multi && work.parsers > self.inputs.len() {
            work.parsers = self.inputs.len().max(1);
        }
        tuned::fit(work, layout);
        self.control.dial.begin(work);
        warnings
    }

    fn reject_files(&self, started: Option<&Started>) -> Result<RejectFiles> {
        let names: Vec<_> = self.inputs.iter().map(|file| file.path.clone()).collect();
        let keeping = started.map(Started::keeping).transpose()?.unwrap_or_default();
        RejectFiles::new(self.config.rejects.clone(), &names, &keeping)
    }

    fn row_parsers(&self, layout: &Layout) -> Result<Vec<RowParser>> {
        (0..self.config.work.parsers).map(|_| row_parser(&self.config, layout)).collect()
    }

    fn plan_staging(&self) -> Result<Option<Staging>> {
        let config = &self.config;
        if config.staging.is_some()
            && !config.key.is_empty()
            && config.duplicates == Duplicates::Reject
            && let Some(stream) = self.inputs.iter().find(|input| !input.is_rereadable())
        {
            return Err(Error::usage(
                format!(
                    "--duplicates reject reads the inputs a second time, and {} cannot be",
                    stream.path.display()
                ),
                "load a file, or use --duplicates error, skip or last",
            ));
        }
        Staging::plan(&*self.target.0, config)
    }

    /// What is done to the table after the last commit.
    fn plan_care(&self) -> Result<Vec<(TableTask, String)>> {
        let care = self.config.care;
        let asked =
            [(care.integrity, TableTask::Integrity), (care.statistics, TableTask::Statistics)];
        let mut tasks = Vec::new();
        for (_, task) in asked.into_iter().filter(|(is_asked, _)| *is_asked) {
            let sql = self.target.0.task_sql(&self.config.table, task).map_err(refused_task)?;
            tasks.extend(sql.map(|sql| (task, sql)));
        }
        Ok(tasks)
    }

    /// As many writers as the job was begun with, where each has its keys.
    fn hold_to_parts(
        &mut self,
        started: Option<&Started>,
        layout: &Layout,
    ) -> Result<Option<String>> {
        let parts = started.map(|started| noted_parts(&started.run.facts)).transpose()?.flatten();
        let is_shared = matches!(layout.routing, Routing::ByKey { .. });
        let Some(parts) = parts.filter(|&parts| is_shared && parts != self.config.work.writers)
        else {
            return Ok(None);
        };
        self.config.work.writers = parts;
        Ok(Some(format!(
            "the job was begun with {parts} writers, and each of them has its keys: so many do the \
             rest"
        )))
    }

    /// Takes over from the ledger what an earlier start has chosen.
    fn take_up(&mut self, started: Option<&Started>) {
        let run_id = started.and_then(|started| started.run.facts.get(RUN_ID));
        if let (Some(run_id), Some(staging)) = (run_id, &mut self.config.staging) {
            run_id.clone_into(&mut staging.run_id);
        }
    }
}

fn staging_is_unlogged(staging: Option<&StagingConfig>) -> bool {
    staging.is_some_and(|staging| staging.attributes.contains(&StagingAttribute::NotLogged))
}

fn open_files(inputs: Vec<InputFile>, config: &LoadConfig, control: &Control) -> Vec<OpenFile> {
    let lengths: Option<u64> = inputs.iter().map(|input| input.length).sum();
    control.metrics.bytes_total.store(lengths.unwrap_or(0), Ordering::Relaxed);
    inputs
        .into_iter()
        .enumerate()
        .map(|(index, input)| OpenFile::new(index, input, config))
        .collect()
}

/// Lets the monitor know what is read ahead of the parsers.
fn tell_depths(shared: &Shared) {
    let files = shared.files.clone();
    let sum = |(ahead, most), (file_ahead, file_most)| (ahead + file_ahead, most + file_most);
    let depths = move || files.iter().filter_map(|file| file.depth()).fold((0, 0), sum);
    shared.control.on_depths(Box::new(depths));
}

/// Wakes every thread of the load when it is stopped, and the writers when its numbers change.
fn stop_wakes(shared: &Arc<Shared>, parsers: &[Sleeper], writers: &[Sleeper]) {
    let wakers: Vec<Waker> = parsers.iter().chain(writers).map(Sleeper::waker).collect();
    let files = shared.files.clone();
    shared.control.on_wind_down(Box::new(move || {
        for file in &files {
            file.end_when_empty();
        }
    }));
    let files = shared.files.clone();
    let writers: Vec<Waker> = writers.iter().map(Sleeper::waker).collect();
    shared.control.on_retune(Box::new(move || writers.iter().for_each(Waker::wake)));
    shared.control.on_stop(Box::new(move || {
        for file in &files {
            file.abort();
        }
        for waker in &wakers {
            waker.wake();
        }
    }));
}
