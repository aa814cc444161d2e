//! `fastload describe TABLE`: its columns, and the statement that would make such a table.

use super::bad_record::{escape, escape_lines};
use super::load::print;
use super::prepare::open_target;
use super::render::columns_table;
use crate::config::resolve::Resolved;
use crate::config::schema::Column;
use crate::config::setting::OutputFormat;
use crate::error::{Error, Result};
use crate::sink::Target;

/// Shows the columns of the table as a load sees them.
///
/// # Errors
/// No connection, or no such table.
pub(super) fn describe(resolved: &Resolved) -> Result<()> {
    let table = resolved.require_table()?;
    let target = open_target(resolved)?;
    let none = || {
        Error::usage(
            format!("there is no table {table} in {}", target.info().url),
            "name it as the catalog has it, with its schema, and check --to",
        )
    };
    let columns = target.columns(table)?.ok_or_else(none)?;
    match resolved.output.format {
        OutputFormat::Text => print(text(&*target, table, &columns).as_bytes()),
        OutputFormat::Json => print(format!("{}\n", json(&columns)).as_bytes()),
    }
}

fn text(target: &dyn Target, table: &str, columns: &[Column]) -> String {
    let mut text = columns_table(columns);
    let statement = target.create_table_sql(table, columns);
    text.push_str(&format!("\n{};\n", escape_lines(&statement)));
    for remark in target.remarks(columns) {
        text.push_str(&format!("-- {}\n", escape(remark.as_bytes())));
    }
    text
}

fn json(columns: &[Column]) -> serde_json::Value {
    let one = |column: &Column| {
        serde_json::json!({
            "name": column.name,
            "type": column.ty.to_string(),
            "nullable": column.nullable,
            "generated": column.generated,
        })
    };
    columns.iter().map(one).collect()
}
