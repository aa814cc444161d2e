//! A reject in words: what the reject file and the terminal say of it.

use crate::arena::Reason;
use crate::config::LoadConfig;
use crate::config::dialect::Dialect;
use crate::config::schema::Column;
use crate::record::{Fault, Malformed};

/// The sentence for a record that did not become a row.
pub(super) fn reason_text(reason: &Reason, config: &LoadConfig) -> String {
    match *reason {
        Reason::Malformed { what, field, .. } => {
            malformed_text(what, field, &config.dialect, config.field_count)
        }
        Reason::Fault { what: Fault::Null, column, .. }
            if config.key.contains(&(column as usize)) =>
        {
            "no value for a column of --key".to_owned()
        }
        Reason::Fault { what, column, .. } => {
            fault_text(what, &config.columns[column as usize].column, &config.dialect)
        }
    }
}

fn malformed_text(what: Malformed, field: u32, dialect: &Dialect, field_count: usize) -> String {
    match what {
        Malformed::BareQuote => "a quote inside an unquoted field".to_owned(),
        Malformed::TextAfterQuote => "text after a closing quote".to_owned(),
        Malformed::UnterminatedQuote => {
            "a quoted field is not closed before the end of the file".to_owned()
        }
        Malformed::RecordTooLong => {
            format!("no record end within {} bytes", dialect.max_record_bytes)
        }
        Malformed::TooFewFields => {
            let found = u64::from(field) + u64::from(!dialect.trailing_delimiter);
            format!("expected {field_count} fields, found {found}")
        }
        Malformed::TooManyFields => format!("expected {field_count} fields, found more"),
    }
}

fn fault_text(what: Fault, column: &Column, dialect: &Dialect) -> String {
    let ty = column.ty;
    match what {
        Fault::Syntax => format!("not a valid {ty}"),
        Fault::OutOfRange => format!("out of range for {ty}"),
        Fault::TooManyIntegerDigits => format!("more digits before the point than {ty} holds"),
        Fault::TooManyFractionDigits => format!("more digits after the point than {ty} holds"),
        Fault::NotInCalendar => format!("no such {ty} in the calendar"),
        Fault::TooLong => format!("longer than {ty}"),
        Fault::FieldTooLong => {
            format!("the field is longer than {} bytes", dialect.max_field_bytes)
        }
        Fault::Encoding => format!("not valid {}", dialect.encoding.name()),
        Fault::NulByte => "a NUL byte, which the target cannot hold in text".to_owned(),
        Fault::Null => "no value for a NOT NULL column".to_owned(),
        Fault::QuotedEmpty => format!("an empty text in quotes is not a {ty}"),
        Fault::NotExact => format!("{ty} would not give the value back unchanged"),
    }
}
