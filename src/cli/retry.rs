//! `--retry-of JOB`: the inputs are mended reject files of a job. Table, dialect and columns are
//! those that the job has noted in the ledger; a reject file has no header.

use std::collections::BTreeMap;

use super::ledger;
use super::load::note;
use crate::config::options::Options;
use crate::config::resolve::{Resolved, Selection};
use crate::config::schema::Column;
use crate::config::setting::{ColumnPick, EmptyAsNull, Pair, Setting as _};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::{Facts, Store};
use crate::sink::Target;

/// The options with what the job has noted in the place of what was said; `None` without
/// `--retry-of`.
///
/// # Errors
/// No such job, an unfinished one, or one whose table is another by now.
pub(super) fn as_of_job(resolved: &Resolved, target: &dyn Target) -> Result<Option<Resolved>> {
    let Some(job) = &resolved.retry_of else {
        return Ok(None);
    };
    let mut store = Store::open(target, ledger::table_of(resolved))?;
    if !store.exists()? {
        return Err(ledger::none(&store, target));
    }
    let Some(run) = store.runs(Some(job))?.pop() else {
        return Err(Error::usage(
            format!("the ledger {} knows no job {job}", store.sql().table()),
            "fastload status shows its jobs",
        ));
    };
    if !run.state.is_over() {
        return Err(Error::usage(
            format!("{} is unfinished, and its reject file is not complete", run.key),
            "let the job end first: the command that began it does the rest",
        ));
    }
    let facts = store.facts(&run.key)?;
    store.session().commit()?;
    let mut retried = resolved.clone();
    if let Some(ledger) = &mut retried.ledger {
        ledger.retry_of = Some(run.key.to_fact());
    }
    take_table(&mut retried, &facts, job)?;
    take_dialect(&mut retried, &facts)?;
    take_columns(&mut retried, &facts, target)?;
    if !resolved.output.quiet {
        let dialect = facts.get("dialect").unwrap_or_default();
        note(&format!("as {}: {dialect} into {}", run.key, retried.require_table()?));
    }
    Ok(Some(retried))
}

fn unreadable(what: &str, text: &str) -> Error {
    ErrorKind::Config(format!("the ledger's note of the job's {what} is not understood: {text}"))
        .into()
}

/// The table, and the mode, which must be the job's.
fn take_table(retried: &mut Resolved, facts: &Facts, job: &str) -> Result<()> {
    let table = facts.get("table").unwrap_or_default();
    match retried.table.as_deref() {
        None | Some("") => retried.table = Some(table.to_owned()),
        Some(named) if named == table => {}
        Some(named) => {
            return Err(Error::usage(
                format!("job {job} loads {table}, and --table names {named}"),
                "leave --table out",
            ));
        }
    }
    let mode = facts.get("mode").unwrap_or_default();
    if matches!(mode, "upsert" | "delete") && retried.mode.show() != mode {
        let key = facts.get("key").unwrap_or_default();
        return Err(Error::usage(
            format!("job {job} is a {mode} by {key}, and its rejects would be appended"),
            format!("say --mode {mode} and its --key"),
        ));
    }
    let formats = format!("{:?}", retried.formats);
    match facts.get("formats") {
        Some(noted) if noted != formats => Err(Error::usage(
            format!("job {job} reads dates and times as {noted}, and here it is {formats}"),
            "say the same --date-format, --time-format and --timestamp-format",
        )),
        _ => Ok(()),
    }
}

fn take_dialect(retried: &mut Resolved, facts: &Facts) -> Result<()> {
    let noted = facts.get("dialect").unwrap_or_default();
    let mut options = dialect(noted).ok_or_else(|| unreadable("dialect", noted))?;
    options.header = Some(false);
    options.skip_lines = Some(0);
    retried.dialect = options.dialect_options();
    Ok(())
}

/// Options of a noted dialect: `--flag=value`, with a blank between two.
fn dialect(noted: &str) -> Option<Options> {
    let mut options = Options::default();
    for word in noted.strip_prefix("--")?.split(" --") {
        let (flag, value) = word.split_once('=').unwrap_or((word, ""));
        match flag {
            "header" | "no-header" => {}
            // May be there several times.
            "null-value" => options.null_values.push(value.to_owned()),
            _ => options.set(flag, value).ok()?,
        }
    }
    Some(options)
}

fn take_columns(retried: &mut Resolved, facts: &Facts, target: &dyn Target) -> Result<()> {
    let table = retried.require_table()?;
    let columns = target.columns(table)?.ok_or_else(|| {
        Error::usage(format!("there is no table {table} any more"), "make it again first")
    })?;
    let noted = facts.get("columns").unwrap_or_default();
    let fields = facts.get("fields").and_then(|count| count.parse().ok()).unwrap_or_default();
    retried.selection = selection(noted, fields, &columns).ok_or_else(|| {
        Error::usage(
            format!("the table {table} has other columns now than the job has loaded: {noted}"),
            "load the file without --retry-of, with the flags that fit the table",
        )
    })?;
    Ok(())
}

/// What a noted column is filled from.
enum Source {
    /// Field from 1.
    Field(usize),
    Constant(String),
}

/// The selection that sends the fields of a file without a header where the job has sent them:
/// `1=id INTEGER NOT NULL, 3=name VARCHAR(5) empty-as-null, [97, 98]=origin VARCHAR`.
///
/// Names may hold anything: they are told from what follows by the columns that the table has.
fn selection(noted: &str, field_count: usize, table: &[Column]) -> Option<Selection> {
    let mut fields: BTreeMap<usize, String> = BTreeMap::new();
    let mut constants = Vec::new();
    let mut empty_as_null = Vec::new();
    let mut rest = noted;
    while !rest.is_empty() {
        let (source, behind) = rest.split_once('=')?;
        let source = source_of(source)?;
        // The name of one column may begin with that of another one and its type.
        let fitting = table.iter().filter_map(|column| noted_column(behind, column));
        let (column, is_empty_null, behind) =
            fitting.max_by_key(|(column, ..)| column.name.len())?;
        match source {
            Source::Field(number) => _ = fields.insert(number, column.name.clone()),
            Source::Constant(text) => {
                constants.push(Pair { left: column.name.clone(), right: text });
            }
        }
        if is_empty_null {
            empty_as_null.push(column.name.clone());
        }
        rest = behind;
    }
    let count = fields.keys().last().copied().unwrap_or_default().max(field_count);
    let pick = |number| match fields.get(&number) {
        Some(name) => ColumnPick::Take(name.clone()),
        None => ColumnPick::Leave(format!("field {number}")),
    };
    Some(Selection {
        columns: (1..=count).map(pick).collect(),
        map: Vec::new(),
        constants,
        empty_as_null: match empty_as_null.is_empty() {
            true => EmptyAsNull::Nowhere,
            false => EmptyAsNull::Columns(empty_as_null),
        },
    })
}

fn source_of(text: &str) -> Option<Source> {
    let Some(list) = text.strip_prefix('[') else {
        return text.parse().ok().filter(|number| *number > 0).map(Source::Field);
    };
    let list = list.strip_suffix(']')?;
    let bytes = list.split(", ").filter(|number| !number.is_empty());
    let bytes: Vec<u8> = bytes.map(|number| number.parse().ok()).collect::<Option<_>>()?;
    String::from_utf8(bytes).ok().map(Source::Constant)
}

/// Whether a note begins with this column: whether quoted empty text is NULL in it, and what
/// follows behind the comma.
fn noted_column<'a, 'c>(text: &'a str, column: &'c Column) -> Option<(&'c Column, bool, &'a str)> {
    let behind = text.strip_prefix(&format!("{} {}", column.name, column.ty))?;
    let behind = behind.strip_prefix(" NOT NULL").unwrap_or(behind);
    let (is_empty_null, behind) = match behind.strip_prefix(" empty-as-null") {
        Some(behind) => (true, behind),
        None => (false, behind),
    };
    match behind {
        "" => Some((column, is_empty_null, "")),
        _ => {
            let next = behind.strip_prefix(", ")?;
            let begins = next.starts_with(|c: char| c.is_ascii_digit() || c == '[');
            begins.then_some((column, is_empty_null, next))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::dialect_options::DialectOptions;
    use crate::config::schema_text::parse_schema;
    use crate::config::setting::Preset;
    use crate::dialect::presets::{apply, as_flags, preset};

    #[test]
    fn a_noted_dialect_is_read_back() {
        let said = DialectOptions {
            delimiter: Some(b" ".to_vec()),
            quote: Some(Some(b'\'')),
            header: Some(false),
            null_values: vec![b"n a".to_vec(), b"-".to_vec()],
            trim: Some(true),
            max_field_bytes: Some(1234),
            ..DialectOptions::default()
        };
        let dialect_said = apply(&said, preset(Preset::Pipe));
        let flags =
            as_flags(&dialect_said).into_iter().map(|(flag, value)| format!("{flag}={value}"));
        let noted = flags.collect::<Vec<_>>().join(" ");
        let options = dialect(&noted).expect(&noted).dialect_options();
        let base = preset(options.preset.expect("a preset"));
        let again = apply(&DialectOptions { header: Some(false), ..options }, base);
        assert_eq!(again, dialect_said);
        for bad in ["", "csv", "--no-such=1", "--delimiter="] {
            assert!(dialect(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn noted_columns_are_read_back() {
        let table = parse_schema(
            "id INT NOT NULL, \"a\" VARCHAR(5), \"a VARCHAR(5), 2=x\" DECIMAL(10,2), \
             origin VARCHAR(9)",
        )
        .expect("a schema");
        let noted = "1=id INTEGER NOT NULL, 4=a VARCHAR(5) empty-as-null, 3=a VARCHAR(5), 2=x \
                     DECIMAL(10,2), [97, 44, 98]=origin VARCHAR(9)";
        let taken = |name: &str| ColumnPick::Take(name.to_owned());
        let selection_of = |fields| selection(noted, fields, &table).expect("it fits");
        let expected = [
            taken("id"),
            ColumnPick::Leave("field 2".to_owned()),
            taken("a VARCHAR(5), 2=x"),
            taken("a"),
        ];
        let found = selection_of(0);
        assert_eq!(found.columns, expected);
        assert_eq!(found.constants, [Pair { left: "origin".into(), right: "a,b".into() }]);
        assert_eq!(found.empty_as_null, EmptyAsNull::Columns(vec!["a".to_owned()]));
        // A field at the end that goes nowhere.
        assert_eq!(selection_of(5).columns.len(), 5);
        for other in ["1=id BIGINT NOT NULL", "1=gone INTEGER", "0=id INTEGER", "x=id INTEGER"] {
            assert!(selection(other, 0, &table).is_none(), "{other}");
        }
    }
}
