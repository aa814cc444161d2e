//! From resolved options to a load that can run: target, opened inputs, dialect, columns.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::inputs::reject_paths;
use crate::config::resolve::{Resolved, Selection};
use crate::config::schema::Column;
use crate::config::setting::{ColumnPick, EmptyAsNull, Profile};
use crate::config::target::TargetUrl;
use crate::config::work::{Effective, Settled, Surroundings};
use crate::config::{FieldSource, IoWay, LoadColumn, LoadConfig, Mode, StagingConfig};
use crate::dialect::header::{Preamble, has_record, read_preamble};
use crate::dialect::mapping::{FileFields, Mapping, NewColumn, map_columns, new_table_columns};
use crate::dialect::sniff::{Sniffed, field_count, find_dialect};
use crate::engine::{Control, InferConfig, InferInput, InputFile, infer, row_action, topology};
use crate::error::{Error, Result};
use crate::infer::ColumnGuess;
use crate::limits;
use crate::sink::csv::CsvTarget;
use crate::sink::null::NullTarget;
use crate::sink::odbc::installed::trace_notice;
use crate::sink::odbc::{ConnectionText, OdbcSpec, OdbcTarget, ProfileName, environment};
use crate::sink::sqlite::SqliteTarget;
use crate::sink::{Routing, Target};
use crate::staging::{Staging, new_run_id};

/// Largest block in which a stream is read, whatever `--chunk-bytes` says.
const MAX_BLOCK_BYTES: u64 = 64 << 20;

/// A load that is ready but for its table.
pub(super) struct Prepared {
    pub(super) config: LoadConfig,
    pub(super) inputs: Vec<InputFile>,
    /// Columns of a table that must be created first.
    pub(super) new_table: Option<Vec<Column>>,
    pub(super) sniffed: Sniffed,
    pub(super) effective: Vec<Effective>,
    pub(super) warnings: Vec<String>,
}

/// Opens the target.
///
/// # Errors
/// No connection, login refused.
pub(super) fn open_target(resolved: &Resolved) -> Result<Arc<dyn Target>> {
    let connection = match &resolved.target {
        TargetUrl::Sqlite(path) => {
            let target = SqliteTarget::open(path)?;
            return Ok(Arc::new(target.with_session_sql(resolved.session_sql.clone())?));
        }
        TargetUrl::Null => return Ok(Arc::new(NullTarget)),
        TargetUrl::Csv(path) => return Ok(Arc::new(CsvTarget::new(path))),
        TargetUrl::Odbc(string) => ConnectionText::Keywords(string.expose().to_owned()),
        TargetUrl::Dsn(name) => ConnectionText::Dsn(name.clone()),
    };
    let profile = resolved.profile.map(|profile| match profile {
        Profile::Db2 => ProfileName::Db2,
        Profile::Postgresql => ProfileName::Postgresql,
        Profile::Mariadb => ProfileName::Mariadb,
        Profile::Generic => ProfileName::Generic,
    });
    let spec = OdbcSpec {
        session_sql: resolved.session_sql.clone(),
        connection,
        user: resolved.credentials.user.clone(),
        password: resolved.credentials.password.clone(),
        tls: resolved.tls.clone(),
        profile,
        connect_timeout: resolved.work.connect_timeout(),
        query_timeout: resolved.work.query_timeout(),
    };
    spec.check().map_err(|error| Error::usage(error.message, "see SECURITY.md"))?;
    let target = OdbcTarget::connect(spec)?;
    #[cfg(feature = "postgresql-copy")]
    let target = if resolved.copy { target.by_copy()? } else { target };
    Ok(Arc::new(target))
}

/// Opens the inputs, finds dialect and columns, and settles the numbers.
///
/// # Errors
/// Whatever of it cannot be done.
pub(super) fn prepare(
    resolved: &Resolved,
    target: &dyn Target,
    control: &Arc<Control>,
) -> Result<Prepared> {
    let specs = resolved.require_inputs()?.to_vec();
    let table = resolved.require_table()?.to_owned();
    let mut warnings = resolved.warnings.clone();
    warnings.extend(surroundings_notices(resolved, target));
    let existing = if target.has_tables() { target.columns(&table)? } else { None };
    if existing.is_some() && resolved.schema.is_some() {
        warnings.push("the table exists: its own columns count, not --schema".to_owned());
    }
    let around = machine(specs.len());
    let mut inputs = open_inputs(resolved, &around)?;
    let known = existing.as_ref().or(resolved.schema.as_ref());
    let heads = Heads::read(resolved, &mut inputs, known)?;
    let fields = FileFields {
        header: heads.names.as_deref(),
        count: heads.count,
        rule: heads.sniffed.dialect.fields,
    };
    let choice = Choice { resolved, inputs: &inputs, fields, heads: &heads, control };
    let (columns, field_count, new_table) = match (known, &existing) {
        (Some(columns), _) => {
            let mapping = mapped(resolved, columns, fields)?;
            warnings.extend(mapping.warnings);
            let new = existing.is_none().then(|| columns.clone());
            (mapping.columns, mapping.field_count, new)
        }
        (None, _) => choice.new_table(&mut warnings)?,
    };
    if known.is_none() && resolved.work.io() == IoWay::Auto {
        // The pass over their values has brought them into the page cache.
        let again = |input: InputFile| input.mapped("it was read for its types before");
        inputs = inputs.into_iter().map(again).collect::<Result<_>>()?;
    }
    let mut new_table = new_table.filter(|_| target.has_tables());
    let columns = as_created(target, columns, new_table.as_mut());
    let (columns, key) = keyed_columns(resolved, columns)?;
    if new_table.is_some() {
        may_create(resolved, &table, target)?;
    }
    let Settled { work, effective, warnings: settled } = resolved.work.settle(&around)?;
    warnings.extend(settled);
    warnings.extend(inputs.iter().flat_map(notes));
    Ok(Prepared {
        config: LoadConfig {
            rejects: reject_paths(&specs, resolved.rejects.as_deref())?,
            inputs: specs,
            table,
            dialect: heads.sniffed.dialect.clone(),
            field_count,
            columns,
            formats: resolved.formats.clone(),
            work,
            mode: resolved.mode,
            key,
            duplicates: resolved.duplicates,
            staging: resolved.staging.clone().map(with_run_id),
            care: resolved.care,
            ledger: resolved.ledger.clone(),
            before: resolved.before.clone(),
            after: resolved.after.clone(),
            max_errors: resolved.max_errors,
            limit: resolved.limit,
            offset_records: resolved.offset_records,
            allow_empty: resolved.allow_empty,
        },
        inputs,
        new_table,
        sniffed: heads.sniffed,
        effective,
        warnings,
    })
}

/// What stands in the surroundings of a database's driver that its user should know: a trace of the
/// driver manager, and what Db2's driver needs otherwise than it is set.
pub(super) fn surroundings_notices(resolved: &Resolved, target: &dyn Target) -> Vec<String> {
    let mut notices = Vec::new();
    if resolved.target.takes_credentials() {
        notices.extend(trace_notice());
    }
    if target.info().profile == ProfileName::Db2.name() {
        notices.extend(environment::notices());
    }
    notices
}

fn with_run_id(staging: StagingConfig) -> StagingConfig {
    StagingConfig { run_id: new_run_id(), ..staging }
}

/// What an input has to say of itself.
fn notes(input: &InputFile) -> impl Iterator<Item = String> {
    input.notes.iter().map(|note| format!("{}: {note}", input.path.display()))
}

/// Columns under the names that a new table gives them.
fn as_created(
    target: &dyn Target,
    mut columns: Vec<LoadColumn>,
    new_table: Option<&mut Vec<Column>>,
) -> Vec<LoadColumn> {
    if let Some(new) = new_table {
        let loaded = columns.iter_mut().map(|column| &mut column.column);
        for column in new.iter_mut().chain(loaded) {
            column.name = target.created_name(&column.name);
        }
    }
    columns
}

/// Whether a table that is not there can be made for this load.
fn may_create(resolved: &Resolved, table: &str, target: &dyn Target) -> Result<()> {
    let help = match resolved.mode {
        // A table of ours has no unique index, by which a direct upsert finds its rows.
        Mode::Upsert if resolved.staging.is_none() => "make it first, with a unique index on --key",
        Mode::Delete => "check its name",
        _ if resolved.create => return Ok(()),
        _ => "make it with --create",
    };
    Err(Error::usage(format!("there is no table {table} in {}", target.info().url), help))
}

/// The columns that the mode needs, and which of them are the key. A key takes no NULL: a row
/// without it could be told apart from no other.
fn keyed_columns(
    resolved: &Resolved,
    mut columns: Vec<LoadColumn>,
) -> Result<(Vec<LoadColumn>, Vec<usize>)> {
    let names: Vec<String> = columns.iter().map(|column| column.column.name.clone()).collect();
    let named: Vec<&String> =
        resolved.key.iter().map(|name| key_column(name, &names)).collect::<Result<_>>()?;
    let is_key = |column: &LoadColumn| named.contains(&&column.column.name);
    if resolved.mode == Mode::Delete {
        columns.retain(is_key);
    }
    for column in columns.iter_mut().filter(|column| is_key(column)) {
        column.column.nullable = false;
    }
    let key = (0..columns.len()).filter(|&index| is_key(&columns[index])).collect();
    Ok((columns, key))
}

/// Maps the fields to the columns of a table.
fn mapped(resolved: &Resolved, columns: &[Column], fields: FileFields<'_>) -> Result<Mapping> {
    let deleting = delete_selection(resolved, fields.header);
    let selection = deleting.as_ref().unwrap_or(&resolved.selection);
    let mut mapping = map_columns(columns, fields, selection)?;
    if resolved.mode == Mode::Delete {
        // Of a row that is deleted no column is left to anything.
        mapping.warnings.clear();
    }
    Ok(mapping)
}

/// The fields of a file of keys, whose other fields nobody asks for: those of the key's names,
/// unless the user says it otherwise.
fn delete_selection(resolved: &Resolved, header: Option<&[String]>) -> Option<Selection> {
    let selection = &resolved.selection;
    let is_told = !selection.columns.is_empty() || !selection.map.is_empty();
    let header = header.filter(|_| resolved.mode == Mode::Delete && !is_told)?;
    let is_constant =
        |name: &str| selection.constants.iter().any(|pair| pair.left.eq_ignore_ascii_case(name));
    let picks = resolved
        .key
        .iter()
        .filter(|name| !is_constant(name))
        .map(|name| key_column(name, header).ok().map(|field| ColumnPick::Take(field.clone())));
    Some(Selection { columns: picks.collect::<Option<_>>()?, ..selection.clone() })
}

/// The loaded column that a name of `--key` means: that very name, else the only one that differs
/// in upper and lower case alone.
fn key_column<'a>(name: &str, names: &'a [String]) -> Result<&'a String> {
    let mut folded = names.iter().filter(|known| known.to_lowercase() == name.to_lowercase());
    let exact = names.iter().find(|known| *known == name);
    match (exact, folded.next(), folded.next()) {
        (Some(exact), ..) => Ok(exact),
        (None, Some(only), None) => Ok(only),
        _ => Err(Error::usage(
            format!("--key names {name}, which is not loaded"),
            format!("loaded are {}", names.join(", ")),
        )),
    }
}

/// This machine, with the cores that the process may use.
fn machine(inputs: usize) -> Surroundings {
    let mut around = Surroundings::of_machine(inputs);
    let cores = topology::available_cores();
    if !cores.is_empty() {
        around.core_ids = cores;
    }
    around
}

fn open_inputs(resolved: &Resolved, around: &Surroundings) -> Result<Vec<InputFile>> {
    let work = resolved.work.settle(around)?.work;
    let block_bytes =
        usize::try_from(work.chunk_bytes.min(MAX_BLOCK_BYTES)).unwrap_or(limits::BLOCK_BYTES);
    let open = |spec| InputFile::open(spec, work.io, block_bytes, work.read_ahead);
    resolved.require_inputs()?.iter().map(open).collect()
}

/// Holds the numbers to what the target takes for these columns, now that its table exists.
///
/// # Errors
/// The target cannot take such rows.
pub(super) fn settle_for(
    resolved: &Resolved,
    target: &dyn Target,
    prepared: &mut Prepared,
) -> Result<()> {
    let columns: Vec<Column> =
        prepared.config.columns.iter().map(|column| column.column.clone()).collect();
    let staging = Staging::plan(target, &prepared.config)?;
    let action = staging.map_or_else(|| row_action(&prepared.config), |staging| staging.action());
    let layout = target.layout(&prepared.config.table, &columns, &action)?;
    let mut around = machine(prepared.inputs.len());
    around.writers_max = layout.writers_max;
    around.batch_rows = layout.batch_rows;
    around.batch_rows_max = layout.batch_rows_max;
    if layout.routing != Routing::Any {
        around.one_parser = Some("the rows of a key stay in the order of the file".to_owned());
    }
    if let Routing::InOrder { why } = layout.routing {
        around.one_writer = Some(why);
    }
    let settled = resolved.work.settle(&around)?;
    prepared.config.work = settled.work;
    prepared.effective = settled.effective;
    for warning in settled.warnings {
        if !prepared.warnings.contains(&warning) {
            prepared.warnings.push(warning);
        }
    }
    Ok(())
}

/// What the heads of the inputs say.
struct Heads {
    sniffed: Sniffed,
    names: Option<Vec<String>>,
    count: Option<usize>,
}

impl Heads {
    /// The first input that has bytes decides; the others must agree with it.
    fn read(
        resolved: &Resolved,
        inputs: &mut [InputFile],
        known: Option<&Vec<Column>>,
    ) -> Result<Self> {
        let known: Vec<&str> = known
            .into_iter()
            .flatten()
            .filter(|column| !column.generated)
            .map(|column| column.name.as_str())
            .collect();
        let mut found: Option<(Self, PathBuf)> = None;
        for input in inputs.iter_mut() {
            let bytes = input.head(limits::SNIFF_BYTES)?;
            if bytes.is_empty() {
                refuse_empty(resolved, input, "is empty")?;
                continue;
            }
            let complete = bytes.len() < limits::SNIFF_BYTES;
            let mut options = resolved.dialect.clone();
            if let Some((first, _)) = &found {
                // Only the byte order mark is a matter of each file.
                options.delimiter = Some(first.sniffed.dialect.delimiter.clone());
                options.header = Some(first.sniffed.dialect.header);
                options.trailing_delimiter = Some(first.sniffed.dialect.trailing_delimiter);
            }
            let sniffed = find_dialect(&input.path, &bytes, complete, &options, &known)?;
            let body_offset = sniffed.body_offset;
            let body = &bytes[body_offset..];
            if complete && body.is_empty() {
                refuse_empty(resolved, input, "has no data, only a byte order mark")?;
                input.body_offset = body_offset as u64;
                continue;
            }
            let (this, preamble) = Self::of(sniffed, input, body, complete, found.as_ref())?;
            let data = &body[preamble.end..];
            if complete && data.is_empty() {
                refuse_empty(resolved, input, "has no data, only a header")?;
            } else if complete && !has_record(&this.sniffed.dialect, data) {
                // Of one field, a blank line is a record.
                let fields = preamble.names.as_ref().map_or(known.len(), Vec::len);
                if fields != 1 {
                    refuse_empty(resolved, input, "has no data, only blank lines or comments")?;
                }
            }
            input.body_offset = (body_offset + preamble.end) as u64;
            input.body_lines = preamble.lines;
            if let Some((first, path)) = &found {
                if first.names != preamble.names {
                    return Err(Error::input(
                        &input.path,
                        format!("its header differs from that of {}", path.display()),
                        "load the files one by one",
                    ));
                }
            } else {
                found = Some((this, input.path.clone()));
            }
        }
        match found {
            Some((heads, _)) => Ok(heads),
            None => Ok(Self {
                sniffed: find_dialect(&PathBuf::new(), b"", true, &resolved.dialect, &known)?,
                names: None,
                count: None,
            }),
        }
    }

    fn of(
        sniffed: Sniffed,
        input: &InputFile,
        body: &[u8],
        complete: bool,
        first: Option<&(Self, PathBuf)>,
    ) -> Result<(Self, Preamble)> {
        let dialect = first.map_or(&sniffed.dialect, |(first, _)| &first.sniffed.dialect);
        let preamble = read_preamble(&input.path, dialect, body, complete)?;
        let names = preamble.names.clone();
        // A header tells it too, without reading on.
        let count = if names.is_none() { field_count(dialect, body, complete) } else { None };
        Ok((Self { sniffed, names, count }, preamble))
    }
}

/// A file without data is more often a failed export than a quiet day.
fn refuse_empty(resolved: &Resolved, input: &InputFile, what: &str) -> Result<()> {
    if resolved.allow_empty {
        return Ok(());
    }
    Err(Error::input(&input.path, what, "if that is fine, say --allow-empty"))
}

/// The columns of a table that does not exist yet.
struct Choice<'a> {
    resolved: &'a Resolved,
    inputs: &'a [InputFile],
    fields: FileFields<'a>,
    heads: &'a Heads,
    control: &'a Arc<Control>,
}

type Chosen = (Vec<LoadColumn>, usize, Option<Vec<Column>>);

impl Choice<'_> {
    fn new_table(&self, warnings: &mut Vec<String>) -> Result<Chosen> {
        let new = new_table_columns(self.fields, &self.resolved.selection)?;
        let field_count = self.fields.header.map(<[String]>::len).or(self.fields.count);
        let Some(field_count) = field_count else {
            return Err(Error::usage(
                "the inputs are empty, so no column types can be found in them",
                "give the types with --schema",
            ));
        };
        let empty_as_null = |name: &str| match &self.resolved.selection.empty_as_null {
            EmptyAsNull::Nowhere => false,
            EmptyAsNull::Everywhere => true,
            EmptyAsNull::Columns(names) => names.iter().any(|known| known == name),
        };
        let guesses = self.guesses(&new, field_count, &empty_as_null, warnings)?;
        let columns: Vec<LoadColumn> = new
            .into_iter()
            .map(|column| LoadColumn {
                empty_as_null: empty_as_null(&column.name),
                column: Column {
                    ty: guess_of(&column.source, &guesses).finish(),
                    name: column.name,
                    nullable: true,
                    generated: false,
                },
                source: column.source,
            })
            .collect();
        let table = columns.iter().map(|column| column.column.clone()).collect();
        Ok((columns, field_count, Some(table)))
    }

    fn guesses(
        &self,
        new: &[NewColumn],
        field_count: usize,
        empty_as_null: &dyn Fn(&str) -> bool,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<ColumnGuess>> {
        if !self.inputs.iter().all(InputFile::is_rereadable) {
            warnings.push(
                "a stream cannot be read twice: all columns are text; give types with --schema"
                    .to_owned(),
            );
            return Ok(vec![ColumnGuess::any_text(); field_count]);
        }
        let mut flags = vec![false; field_count];
        for column in new {
            if let FieldSource::Field(field) = column.source
                && let Some(flag) = flags.get_mut(field)
            {
                *flag = empty_as_null(&column.name);
            }
        }
        let inputs = self
            .inputs
            .iter()
            .map(|input| InferInput { spec: input.spec.clone(), body_offset: input.body_offset });
        let config = InferConfig {
            inputs: inputs.collect(),
            dialect: self.heads.sniffed.dialect.clone(),
            field_count,
            empty_as_null: flags,
            max_rate: self.resolved.work.max_rate(),
        };
        infer(&config, self.control)
    }
}

fn guess_of(source: &FieldSource, guesses: &[ColumnGuess]) -> ColumnGuess {
    match source {
        FieldSource::Field(field) => guesses.get(*field).copied().unwrap_or_default(),
        FieldSource::Constant(text) => {
            let mut guess = ColumnGuess::default();
            guess.update(text);
            guess
        }
    }
}
