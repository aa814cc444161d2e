//! `fastload load` and `fastload check`.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use super::bad_record::{escape, escape_lines};
use super::confirm::agrees;
use super::events::{self, Events};
use super::left::left_behind;
use super::messages::Messages;
use super::prepare::{Prepared, open_target, prepare, settle_for};
use super::progress::Progress;
use super::render::{effective_table, summary, summary_csv};
use super::text_file::{self, Existing};
use super::{exit, retry, signals, stop_at};
use crate::config::resolve::{OutputOptions, Resolved};
use crate::config::schema::Column;
use crate::config::setting::{OutputFormat, Setting as _};
use crate::config::{LedgerConfig, Mode, Restart, TableCare};
use crate::dialect::presets::as_flags;
use crate::engine::{Control, Load, TargetHandle, row_action};
use crate::error::{Error, Result};
use crate::report::{Report, Status};
use crate::sink::null::NullTarget;
use crate::sink::{Routing, Target};
use crate::staging::Staging;

/// What is done with the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// They go into the table.
    Load,
    /// They are parsed against it.
    Check,
}

/// Runs a load or a check; the exit status.
///
/// # Errors
/// What keeps it from starting.
pub(super) fn run(resolved: &Resolved, purpose: Purpose, messages: Messages) -> Result<u8> {
    let control = Control::new();
    signals::watch(&control)?;
    if purpose == Purpose::Load && !resolved.output.explain {
        confirm(resolved)?;
        if let Some(time) = resolved.stop_at {
            stop_at::watch(time, &control)?;
        }
    }
    let target = open_target(resolved)?;
    let retried = retry::as_of_job(resolved, &*target)?;
    let resolved = retried.as_ref().unwrap_or(resolved);
    let mut prepared = prepare(resolved, &*target, &control)?;
    let output = &resolved.output;
    say_dialect(&prepared, output);
    if output.explain {
        return explain(resolved, &*target, &mut prepared);
    }
    let target = match purpose {
        Purpose::Check => Arc::new(NullTarget) as Arc<dyn Target>,
        Purpose::Load => {
            if let Some(columns) = &prepared.new_table {
                target.create_table(&prepared.config.table, columns)?;
            }
            target
        }
    };
    if purpose == Purpose::Check {
        prepared.config.mode = Mode::Append;
        prepared.config.staging = None;
        prepared.config.ledger = None;
        prepared.config.care = TableCare::default();
        prepared.config.before.clear();
        prepared.config.after.clear();
    }
    settle_for(resolved, &*target, &mut prepared)?;
    let Prepared { config, inputs, warnings, .. } = prepared;
    let dialect = as_flags(&config.dialect);
    let events = output.events.as_ref().map(|path| Events::create(path)).transpose()?;
    if let Some(events) = events.clone() {
        control.on_look(Box::new(move |look| events.note(&events::queues(look))));
    }
    let progress = Progress::start(output, &control, events.clone())?;
    let keeps_ledger = config.ledger.is_some() && target.ledger().is_some();
    let target = TargetHandle(target);
    let outcome = Load { config, inputs, target, control }.run();
    progress.end();
    let lost_threads = outcome.lost_threads;
    let report = completed(outcome.report, outcome.error.as_ref(), dialect, warnings);
    let way = Telling { output, purpose, keeps_ledger, messages };
    let told = way.tell(report, outcome.error.as_ref(), events);
    if lost_threads > 0 {
        exit::at_once(told.unwrap_or_else(|error| {
            messages.error(&error);
            exit::of_error(&error)
        }));
    }
    told
}

/// Where and how the end of a load is told.
struct Telling<'a> {
    output: &'a OutputOptions,
    purpose: Purpose,
    keeps_ledger: bool,
    messages: Messages,
}

impl Telling<'_> {
    /// Says how a load ended, wherever it is to be said; the exit status. A place that cannot be
    /// written keeps nothing from the others: the load's own error is said in any case.
    fn tell(
        &self,
        mut report: Report,
        error: Option<&Error>,
        events: Option<Events>,
    ) -> Result<u8> {
        let Self { output, messages, .. } = *self;
        let kept = events.map_or(Ok(()), |events| keep_summary(&events, &report));
        if error.is_none() && kept.is_err() {
            report.exit_code = i32::from(exit::SYSTEM);
        }
        if !output.quiet {
            report.warnings.iter().for_each(|warning| messages.warning(warning));
        }
        if report.status == Status::AlreadyLoaded {
            // A user who expected rows must learn that there are none, --quiet or not.
            note(&already_loaded(&report));
        }
        let published = publish(&report, output, self.purpose);
        let said = kept.and(published);
        let Some(error) = error else {
            return said.map(|()| exit::of_load(report.status, None));
        };
        messages.error(error);
        if self.purpose == Purpose::Load
            && let Some(text) = left_behind(&report, error, self.keeps_ledger)
        {
            note(&text);
        }
        if let Err(also) = said {
            messages.error(&also);
        }
        Ok(exit::of_load(report.status, Some(error)))
    }
}

/// The last event: the whole report.
fn keep_summary(events: &Events, report: &Report) -> Result<()> {
    let summary = serde_json::json!({ "event": "summary", "report": report });
    events.write(&summary).map_err(|source| Error::io("writing --events", source))
}

fn already_loaded(report: &Report) -> String {
    format!(
        "already loaded: job {} has loaded the same content before, and nothing was done; \
         --restart \
         new loads it again",
        report.job
    )
}

/// The engine's report with what only the command line knows.
fn completed(
    mut report: Report,
    error: Option<&Error>,
    dialect: Vec<(&str, String)>,
    warnings: Vec<String>,
) -> Report {
    report.exit_code = i32::from(exit::of_load(report.status, error));
    report.dialect = dialect
        .into_iter()
        .map(|(flag, value)| (flag.trim_start_matches('-').to_owned(), value))
        .collect();
    report.warnings.splice(0..0, warnings);
    report
}

/// The dialect as flags, when it was found out.
fn say_dialect(prepared: &Prepared, output: &OutputOptions) {
    if prepared.sniffed.sniffed && !output.quiet {
        note(&format!("dialect: {}", prepared.sniffed.flags));
        for sentence in &prepared.sniffed.evidence {
            tracing::info!("dialect: {sentence}");
        }
    }
}

fn create(what: &str, path: &Path) -> Result<File> {
    text_file::open(what, path, Existing::Replaced, 0o666)
}

fn explain(resolved: &Resolved, target: &dyn Target, prepared: &mut Prepared) -> Result<u8> {
    if prepared.new_table.is_some() && prepared.config.staging.take().is_some() {
        prepared.warnings.push(
            "the statements of the staging table follow the types of the table, which is not \
             there yet"
                .to_owned(),
        );
    }
    settle_for(resolved, target, prepared)?;
    let columns: Vec<_> =
        prepared.config.columns.iter().map(|column| column.column.clone()).collect();
    let staging = Staging::plan(target, &prepared.config)?;
    let action = staging.as_ref().map_or_else(|| row_action(&prepared.config), Staging::action);
    let layout = target.layout(&prepared.config.table, &columns, &action)?;
    let mut effective = resolved.effective.clone();
    effective.append(&mut prepared.effective);
    let mut text = effective_table(&effective);
    text.push_str(&format!("\ndialect: {}\n", prepared.sniffed.flags));
    for sentence in &prepared.sniffed.evidence {
        text.push_str(&format!("  {sentence}\n"));
    }
    for input in &prepared.inputs {
        let (way, why) = &input.io;
        text.push_str(&format!("input: {} by {} ({why})\n", input.path.display(), way.show()));
    }
    let info = target.info();
    text.push_str(&format!("target: {} ({})\n", info.url, info.profile));
    for (name, value) in &info.facts {
        text.push_str(&format!("  {name}: {value}\n"));
    }
    if let Some(columns) = &prepared.new_table {
        text.push_str(&target.create_table_sql(&prepared.config.table, columns));
        text.push('\n');
        for remark in target.remarks(columns) {
            text.push_str(&format!("-- {remark}\n"));
        }
    }
    for statement in staging.iter().flat_map(Staging::first_statements) {
        text.push_str(&format!("{statement}\n"));
    }
    if !layout.statement.is_empty() {
        text.push_str(&format!("{}\n", layout.statement));
    }
    for statement in staging.iter().flat_map(Staging::later_statements) {
        text.push_str(&format!("{statement}\n"));
    }
    text.push_str(&routing_text(&layout.routing, &columns));
    for warning in &prepared.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    print(escape_lines(&text).as_bytes())?;
    Ok(exit::OK)
}

/// Which writer takes which rows, where their order counts.
fn routing_text(routing: &Routing, columns: &[Column]) -> String {
    match routing {
        Routing::Any => String::new(),
        Routing::ByKey { key } => {
            let names: Vec<&str> = key.iter().map(|&index| columns[index].name.as_str()).collect();
            let names = names.join(", ");
            format!("rows with equal {names} go to the same writer, in the order of the file\n")
        }
        Routing::InOrder { why } => {
            format!("all rows go to one writer, in the order of the file: {why}\n")
        }
    }
}

/// Asks before rows are deleted; without a terminal `--yes` must be given.
fn confirm(resolved: &Resolved) -> Result<()> {
    let mode = resolved.mode;
    let only_ends = |ledger: &LedgerConfig| ledger.restart == Restart::Terminate;
    if !mode.removes_rows() || resolved.yes || resolved.ledger.as_ref().is_some_and(only_ends) {
        return Ok(());
    }
    let table = resolved.table.as_deref().unwrap_or_default();
    let rows = if mode == Mode::Delete { "rows" } else { "all rows" };
    if agrees(&format!("Delete {rows} of {table} in {}?", resolved.target))? {
        return Ok(());
    }
    let what = format!("--mode {} deletes {rows} of {table}", mode.show());
    Err(Error::usage(what, "agree with --yes"))
}

/// The result: on standard output and in the summary file.
fn publish(report: &Report, output: &OutputOptions, purpose: Purpose) -> Result<()> {
    let json = || {
        serde_json::to_vec(report)
            .map(|mut text| {
                text.push(b'\n');
                text
            })
            .map_err(|source| Error::io("writing the result", source.into()))
    };
    let verb = match purpose {
        Purpose::Load => "loaded",
        Purpose::Check => "checked",
    };
    match output.format {
        OutputFormat::Json => print(&json()?)?,
        OutputFormat::Text if output.quiet => {}
        OutputFormat::Text => print(summary(report, verb).as_bytes())?,
    }
    if let Some(path) = &output.summary {
        let csv = path.extension().is_some_and(|end| end == "csv");
        let text = if csv { summary_csv(report) } else { json()? };
        create("--summary", path)?
            .write_all(&text)
            .map_err(|source| Error::io(format!("writing {}", path.display()), source))?;
    }
    Ok(())
}

/// Writes to standard output.
pub(super) fn print(text: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text)
        .and_then(|()| out.flush())
        .map_err(|source| Error::io("writing to standard output", source))
}

/// A closed standard error must not end a load.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "fastload: {}", escape(text.as_bytes()));
}
