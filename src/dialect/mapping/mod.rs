//! Which field of the file fills which column of the table.
//!
//! With a header, `--columns` picks fields by their names (and `-c` leaves one out); without one it
//! names the table columns that the fields fill, in the order of the file (and `-c` skips a field).
//! `--map f=c` sends field `f` to column `c`; `--const c=v` fills a column with the same text.
//! Names are compared exactly first, then without case; a name that then fits two columns is an
//! error. Equal or empty names in the header matter only when they decide about a column.

use crate::config::dialect::FieldsRule;
use crate::config::options::nearest;
use crate::config::resolve::Selection;
use crate::config::schema::Column;
use crate::config::setting::{ColumnPick, EmptyAsNull};
use crate::config::{FieldSource, LoadColumn};
use crate::error::{Error, Result};

/// The fields of a file: what is known before the mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFields<'a> {
    /// Names, where the file has a header.
    pub header: Option<&'a [String]>,
    /// Fields of most records; not needed with a header. `None` for a file without records.
    pub count: Option<usize>,
    /// What another number of fields becomes.
    pub rule: FieldsRule,
}

/// The mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Loaded columns in the order of the table.
    pub columns: Vec<LoadColumn>,
    /// Fields that each record must have.
    pub field_count: usize,
    /// What the user should know: columns that nothing fills, fields that go nowhere.
    pub warnings: Vec<String>,
}

/// A column of a table that is to be created: its name and where its cells come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewColumn {
    /// Name.
    pub name: String,
    /// Field or constant.
    pub source: FieldSource,
}

/// A field that goes somewhere: its index and the wanted column.
struct Wanted {
    field: usize,
    column: String,
    /// Whether the user named it, so that it may fill a generated column.
    named: bool,
}

const MAP_HELP: &str =
    "choose with --columns a,b or --columns=-c, or send it with --map field=column";

/// Columns of a new table, in the order of the file; constants come last. Without a header and
/// without `--columns` they are called `c1`, `c2`, ….
///
/// # Errors
/// Names that are empty, or equal but for their case; a `--map` or `--columns` of unknown fields.
pub fn new_table_columns(fields: FileFields<'_>, selection: &Selection) -> Result<Vec<NewColumn>> {
    let wanted = match fields.header {
        Some(header) => by_name(header, selection)?,
        None => {
            let count = fields.count.unwrap_or(selection.columns.len());
            let names: Vec<String> = (1..=count).map(|number| format!("c{number}")).collect();
            match selection.columns.is_empty() {
                true => by_name(&names, selection)?,
                false => by_position(count, selection, &[], fields.rule)?,
            }
        }
    };
    let mut columns: Vec<NewColumn> = Vec::new();
    let mut add = |name: String, source| {
        if name.is_empty() {
            return Err(Error::usage("a field of the header has no name", MAP_HELP));
        }
        if let Some(equal) = columns.iter().find(|column| same_but_case(&column.name, &name)) {
            let what = if equal.name == name {
                format!("two columns would be called `{name}`")
            } else {
                format!(
                    "two columns would be called `{}` and `{name}`, which differ only in case",
                    equal.name
                )
            };
            return Err(Error::usage(what, MAP_HELP));
        }
        columns.push(NewColumn { name, source });
        Ok(())
    };
    for wanted in wanted {
        add(wanted.column, FieldSource::Field(wanted.field))?;
    }
    for constant in &selection.constants {
        let source = FieldSource::Constant(constant.right.clone().into_bytes());
        add(constant.left.clone(), source)?;
    }
    if columns.is_empty() {
        return Err(Error::usage("no column is left to load", "name columns with --columns"));
    }
    if let EmptyAsNull::Columns(names) = &selection.empty_as_null {
        let there = |name: &&String| columns.iter().any(|column| column.name == **name);
        if let Some(unknown) = names.iter().find(|name| !there(name)) {
            return Err(Error::usage(
                format!("--empty-as-null: the new table has no column `{unknown}`"),
                MAP_HELP,
            ));
        }
    }
    Ok(columns)
}

/// Maps the fields of a file to the columns of a table.
///
/// # Errors
/// A field without a column, a column filled twice, unknown names, or a number of fields that
/// does not fit a table without a header (usage).
pub fn map_columns(
    table: &[Column],
    fields: FileFields<'_>,
    selection: &Selection,
) -> Result<Mapping> {
    let (wanted, field_count) = match fields.header {
        Some(header) => (by_name(header, selection)?, header.len()),
        None => without_header(table, fields, selection)?,
    };
    let mut sources: Vec<Option<FieldSource>> = vec![None; table.len()];
    let mut warnings = Vec::new();
    for wanted in wanted {
        let what = field_name(fields.header, wanted.field);
        let index = find_column(table, &wanted.column, &what)?;
        if table[index].generated && !wanted.named {
            warnings.push(format!(
                "{what} is not loaded: the database fills column `{}` by itself; name it with \
                 --columns or --map to load it",
                table[index].name
            ));
            continue;
        }
        fill(&mut sources, table, index, FieldSource::Field(wanted.field), &what)?;
    }
    for constant in &selection.constants {
        let what = format!("--const {}", constant.left);
        let index = find_column(table, &constant.left, &what)?;
        let source = FieldSource::Constant(constant.right.clone().into_bytes());
        fill(&mut sources, table, index, source, &what)?;
    }
    for (column, source) in table.iter().zip(&sources) {
        if source.is_none() && !column.generated {
            let name = &column.name;
            warnings.push(format!("column `{name}` is left to the database's default"));
        }
    }
    let empty_as_null = empty_as_null(table, selection)?;
    let columns: Vec<LoadColumn> = table
        .iter()
        .zip(sources)
        .zip(empty_as_null)
        .filter_map(|((column, source), empty_as_null)| {
            source.map(|source| LoadColumn { column: column.clone(), source, empty_as_null })
        })
        .collect();
    if columns.is_empty() {
        return Err(Error::usage("no column is left to load", "name columns with --columns"));
    }
    Ok(Mapping { columns, field_count, warnings })
}

fn same_but_case(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

fn field_name(header: Option<&[String]>, field: usize) -> String {
    match header.and_then(|header| header.get(field)) {
        Some(name) if !name.is_empty() => format!("field `{}`", name.escape_debug()),
        _ => format!("field {}", field + 1),
    }
}

fn fill(
    sources: &mut [Option<FieldSource>],
    table: &[Column],
    index: usize,
    source: FieldSource,
    what: &str,
) -> Result<()> {
    if sources[index].is_some() {
        return Err(Error::usage(
            format!("column `{}` is filled twice, the second time by {what}", table[index].name),
            MAP_HELP,
        ));
    }
    sources[index] = Some(source);
    Ok(())
}

/// Index of the name: exact, else the only one that is equal but for its case.
fn find_name<'a>(names: impl Iterator<Item = &'a str> + Clone, name: &str) -> Found {
    let mut exact = names.clone().enumerate().filter(|(_, known)| *known == name);
    if let Some((index, _)) = exact.next() {
        return if exact.next().is_some() { Found::Twice } else { Found::At(index) };
    }
    let mut alike = names.enumerate().filter(|(_, known)| same_but_case(known, name));
    match (alike.next(), alike.next()) {
        (None, _) => Found::Nowhere,
        (Some((index, _)), None) => Found::At(index),
        (Some(_), Some(_)) => Found::Twice,
    }
}

enum Found {
    At(usize),
    Nowhere,
    Twice,
}

fn find_column(table: &[Column], name: &str, what: &str) -> Result<usize> {
    let names = table.iter().map(|column| column.name.as_str());
    match find_name(names.clone(), name) {
        Found::At(index) => Ok(index),
        Found::Twice => Err(Error::usage(
            format!("{what}: several columns of the table are called `{name}` but for the case"),
            "send it with --map field=column, in the column's own case",
        )),
        Found::Nowhere => {
            let near = nearest(name, names)
                .map(|near| format!("; the nearest is `{near}`"))
                .unwrap_or_default();
            let name = name.escape_debug();
            Err(Error::usage(format!("{what}: the table has no column `{name}`{near}"), MAP_HELP))
        }
    }
}

fn find_field(header: &[String], name: &str, flag: &str) -> Result<usize> {
    match find_name(header.iter().map(String::as_str), name) {
        Found::At(index) => Ok(index),
        Found::Twice => Err(Error::usage(
            format!("{flag}: the header has several fields `{name}`"),
            "name the fields by position: --no-header --skip-lines 1 --columns a,b,-c",
        )),
        Found::Nowhere => {
            let near = nearest(name, header.iter().map(String::as_str))
                .map(|near| format!("; the nearest is `{near}`"))
                .unwrap_or_default();
            Err(Error::usage(
                format!("{flag}: the header has no field `{name}`{near}"),
                format!("it has {}", header.join(", ").escape_debug()),
            ))
        }
    }
}

/// Fields picked by the names of the header.
fn by_name(header: &[String], selection: &Selection) -> Result<Vec<Wanted>> {
    let mut taken: Vec<usize> = Vec::new();
    let mut left: Vec<usize> = Vec::new();
    let mut only_some = false;
    for pick in &selection.columns {
        match pick {
            ColumnPick::Take(name) => {
                only_some = true;
                taken.push(find_field(header, name, "--columns")?);
            }
            ColumnPick::Leave(name) => left.push(find_field(header, name, "--columns")?),
        }
    }
    let mut targets: Vec<Option<String>> = vec![None; header.len()];
    for pair in &selection.map {
        let index = find_field(header, &pair.left, "--map")?;
        if targets[index].replace(pair.right.clone()).is_some() {
            return Err(Error::usage(
                format!("--map names field `{}` twice", pair.left),
                "a field fills one column",
            ));
        }
    }
    let wanted = header.iter().enumerate().filter_map(|(field, name)| {
        let mapped = targets[field].take();
        let named = mapped.is_some() || taken.contains(&field);
        let wanted = !left.contains(&field) && (named || !only_some);
        wanted.then(|| Wanted { field, column: mapped.unwrap_or_else(|| name.clone()), named })
    });
    Ok(wanted.collect())
}

/// Fields by position, and how many there are.
fn without_header(
    table: &[Column],
    fields: FileFields<'_>,
    selection: &Selection,
) -> Result<(Vec<Wanted>, usize)> {
    let names: Vec<&str> = table
        .iter()
        .filter(|column| !column.generated && !is_constant(selection, &column.name))
        .map(|column| column.name.as_str())
        .collect();
    let expected = if selection.columns.is_empty() { names.len() } else { selection.columns.len() };
    let count = fields.count.unwrap_or(expected);
    let wanted = by_position(count, selection, &names, fields.rule)?;
    Ok((wanted, expected))
}

fn is_constant(selection: &Selection, column: &str) -> bool {
    selection.constants.iter().any(|constant| same_but_case(&constant.left, column))
}

/// Fields in the order of `--columns`, else of `names`.
fn by_position(
    count: usize,
    selection: &Selection,
    names: &[&str],
    rule: FieldsRule,
) -> Result<Vec<Wanted>> {
    if let Some(pair) = selection.map.first() {
        return Err(Error::usage(
            format!("--map {}={} names a field, but the file has no header", pair.left, pair.right),
            "name the columns in the order of the fields: --columns a,b,-c",
        ));
    }
    let said = !selection.columns.is_empty();
    let expected = if said { selection.columns.len() } else { names.len() };
    let fits = match rule {
        FieldsRule::Exact => count == expected,
        FieldsRule::Pad => count <= expected,
        FieldsRule::Truncate => count >= expected,
    };
    if !fits {
        let whose = if said { "--columns names" } else { "the table has" };
        return Err(Error::usage(
            format!("the records have {count} fields, but {whose} {expected} columns to fill"),
            "name the columns in the order of the fields, with -x for a field to skip: \
             --columns a,b,-x; or check --delimiter",
        ));
    }
    if !said {
        let wanted = names.iter().enumerate();
        return Ok(wanted
            .map(|(field, name)| Wanted { field, column: (*name).to_owned(), named: false })
            .collect());
    }
    let picks = selection.columns.iter().enumerate();
    Ok(picks
        .filter_map(|(field, pick)| match pick {
            ColumnPick::Take(name) => Some(Wanted { field, column: name.clone(), named: true }),
            ColumnPick::Leave(_) => None,
        })
        .collect())
}

fn empty_as_null(table: &[Column], selection: &Selection) -> Result<Vec<bool>> {
    let mut flags = vec![selection.empty_as_null == EmptyAsNull::Everywhere; table.len()];
    if let EmptyAsNull::Columns(names) = &selection.empty_as_null {
        for name in names {
            flags[find_column(table, name, "--empty-as-null")?] = true;
        }
    }
    Ok(flags)
}

#[cfg(test)]
mod tests;
