//! What a driver really does, asked at connect.

use std::rc::Rc;

use super::connect::{Connection, Session, fetch_all};
use super::parameter::{LengthWord, Parameter, ParameterType, sql_type};
use super::profile::{Profile, ProfileName, profile};
use super::raw::{self, Statement};
use super::statuses::{self, StatusArray};
use crate::arena::IndicatorWidth;
use crate::config::schema::LengthUnit;
use crate::sink::{ErrorClass, SinkError};

/// Information types of `SQLGetInfo` (`sql.h`, `sqlext.h`).
mod info {
    pub(super) const DRIVER_NAME: u16 = 6;
    pub(super) const DRIVER_VER: u16 = 7;
    pub(super) const DBMS_NAME: u16 = 17;
    pub(super) const DBMS_VER: u16 = 18;
    pub(super) const IDENTIFIER_QUOTE_CHAR: u16 = 29;
    pub(super) const TXN_CAPABLE: u16 = 46;
    pub(super) const PARAM_ARRAY_ROW_COUNTS: u16 = 153;
}

/// Text of one, two, three and four bytes a character: 4 characters.
const SAMPLE: &str = "aé€😀";

/// What the probe found.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// Profile.
    pub(super) profile: ProfileName,
    /// Width of the driver's length words.
    pub(super) width: IndicatorWidth,
    /// Character that quotes names; a blank where names cannot be quoted.
    pub(super) quote: char,
    /// What is known of the driver's status array.
    pub(super) statuses: StatusArray,
    /// What the length of a text column counts on this server.
    pub(super) lengths: LengthUnit,
    /// Most rows in one array: the profile's bound, or less where the driver takes less.
    pub(super) array_rows: usize,
    /// Most bytes of rows in one request.
    pub(super) request_bytes: Option<u64>,
    /// Name and value, in reading order.
    pub(super) shown: Vec<(String, String)>,
}

/// Name under which a database introduces itself.
pub(super) fn dbms_name(connection: &Connection) -> String {
    raw::info_text(connection, info::DBMS_NAME).unwrap_or_default()
}

/// Asks a driver whose profile is known.
///
/// # Errors
/// When the width of its words is contradictory, when it changes text on the way, or when the
/// database has no transactions.
pub(super) fn probe(session: &Session) -> Result<Facts, SinkError> {
    let connection = &session.connection;
    let text = |info| raw::info_text(connection, info).unwrap_or_default();
    if raw::info_number(connection, info::TXN_CAPABLE)
        .is_some_and(|word| word.trailing_zeros() >= 16)
    {
        return Err(SinkError::permanent("the driver says that this database has no transactions"));
    }
    let (width, width_source) = width(session)?;
    connection.set_width(width);
    let (characters, lengths) = check_characters(session)?;
    let (statuses, status_array) = statuses::prove(session)?;
    let profile = session.profile;
    let mut request_bytes = profile.bounds().request_bytes;
    if let Some(sql) = profile.request_bytes_sql() {
        let answer = session.scalar(sql)?;
        // A part is left for headers.
        request_bytes =
            answer.and_then(|bytes| bytes.parse::<u64>().ok()).map(|bytes| bytes - bytes / 16);
    }
    let quote = profile
        .quote()
        .unwrap_or_else(|| text(info::IDENTIFIER_QUOTE_CHAR).chars().next().unwrap_or(' '));
    let bytes_of_word = match width {
        IndicatorWidth::Narrow => 4,
        IndicatorWidth::Wide => 8,
    };
    let array_rows = largest_array(session)?;
    let keeper_of_timeout = match profile.server_keeps_query_timeout() {
        true => "kept by the server",
        false => "asked of the driver; a watchdog of ours cancels what runs on",
    };
    let mut shown = vec![
        ("database", format!("{} {}", text(info::DBMS_NAME), text(info::DBMS_VER)).trim().into()),
        ("driver", format!("{} {}", text(info::DRIVER_NAME), text(info::DRIVER_VER))),
        ("profile", profile.name().to_string()),
        ("length words", format!("{bytes_of_word} bytes ({width_source})")),
        ("text", characters.to_owned()),
        ("largest array", format!("{array_rows} rows, taken by the driver")),
        ("array row counts", row_counts(connection).to_owned()),
        ("bad rows of an array", status_array),
        ("names quoted by", quote.to_string()),
        ("query timeout", keeper_of_timeout.to_owned()),
    ];
    if let Some(bytes) = request_bytes {
        shown.push(("largest request", format!("{bytes} bytes of rows")));
    }
    shown.extend(attributes(session)?);
    shown.extend(answers(session)?);
    let shown = shown.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    session.rollback()?;
    Ok(Facts {
        profile: profile.name(),
        width,
        quote,
        statuses,
        lengths,
        array_rows,
        request_bytes,
        shown,
    })
}

/// Whether the driver takes the attributes that the profile's statements must have.
fn attributes(session: &Session) -> Result<Vec<(&'static str, String)>, SinkError> {
    let one = |&(name, attribute, value): &(&'static str, i32, usize)| {
        let said = match session.statement()?.set_number(attribute, value).ok() {
            Ok(()) => "taken by the driver".to_owned(),
            Err(outcome) => format!("refused by the driver: {}", session.error(&outcome)),
        };
        Ok((name, format!("attribute {attribute} = {value}, {said}")))
    };
    session.profile.statement_attributes().iter().map(one).collect()
}

/// What the server answers to the profile's questions.
fn answers(session: &Session) -> Result<Vec<(&'static str, String)>, SinkError> {
    let one = |&(name, sql): &(&'static str, &str)| match session.scalar(sql) {
        Ok(value) => Ok((name, value.unwrap_or_else(|| "NULL".to_owned()))),
        Err(error) if error.class == ErrorClass::Permanent => {
            session.rollback()?;
            Ok((name, "unknown".to_owned()))
        }
        Err(error) => Err(error),
    };
    session.profile.fact_sql().iter().map(one).collect()
}

/// Profile of an open connection, unless one is forced.
pub(super) fn profile_of(
    connection: &Rc<Connection>,
    forced: Option<ProfileName>,
) -> &'static dyn Profile {
    let driver = raw::info_text(connection, info::DRIVER_NAME).unwrap_or_default();
    let name = forced.unwrap_or_else(|| ProfileName::of_database(&dbms_name(connection), &driver));
    profile(name)
}

/// The longest array that the driver takes, up to the profile's bound.
fn largest_array(session: &Session) -> Result<usize, SinkError> {
    let mut statement = session.statement()?;
    let mut rows = session.profile.bounds().batch_rows_max;
    while rows > 1 && !statement.takes_array(rows) {
        rows /= 2;
    }
    Ok(rows)
}

fn row_counts(connection: &Connection) -> &'static str {
    match raw::info_number(connection, info::PARAM_ARRAY_ROW_COUNTS) {
        Some(1) => "one a row, says the driver (SQLGetInfo 153); not believed",
        Some(2) => "one an array, says the driver (SQLGetInfo 153); not believed",
        _ => "unknown (SQLGetInfo 153)",
    }
}

/// Width of the words that the driver writes, and how it is known.
///
/// A statement with a parameter and a result is prepared, and the outputs of `SQLDescribeParam` and
/// `SQLDescribeCol` are looked at. A driver that writes neither is taken to follow `sql.h`, but
/// not where the profile knows of drivers that do not.
fn width(session: &Session) -> Result<(IndicatorWidth, &'static str), SinkError> {
    let profile = session.profile;
    let mut queries: Vec<&str> = profile.text_checks().iter().map(|check| check.sql).collect();
    queries.push("SELECT 1 WHERE 1 = ?");
    let mut widths = Vec::new();
    for sql in queries {
        let mut statement = session.statement()?;
        if statement.prepare(sql).is_ok() {
            widths.extend(statement.written_widths().into_iter().flatten());
        }
        drop(statement);
        session.rollback()?;
        if !widths.is_empty() {
            break;
        }
    }
    if widths.is_empty() && profile.width_must_be_measured() {
        return Err(SinkError::permanent(
            "the driver wrote no length word when asked, so its width is not known; with the wrong \
             one it would load wrong values without an error",
        ));
    }
    agreed(&widths)
}

fn agreed(widths: &[IndicatorWidth]) -> Result<(IndicatorWidth, &'static str), SinkError> {
    match widths {
        [] => Ok((IndicatorWidth::Wide, "assumed: the driver wrote no word when asked")),
        [first, rest @ ..] if rest.iter().all(|width| width == first) => Ok((*first, "measured")),
        _ => Err(SinkError::permanent(
            "the driver writes length words of 4 bytes in one call and of 8 in another; with \
             either guess it would load wrong values without an error",
        )),
    }
}

/// Sends a text and asks the server how many characters it sees: a driver that takes UTF-8 for
/// something else stores wrong text that reads back right through the same driver.
fn check_characters(session: &Session) -> Result<(&'static str, LengthUnit), SinkError> {
    let mut refusal = None;
    for check in session.profile.text_checks() {
        let mut statement = session.statement()?;
        let answer = match counted(&mut statement, check.sql) {
            Ok(answer) => answer,
            Err(outcome) => {
                let error = session.error(&outcome);
                drop(statement);
                session.rollback()?;
                if error.class != ErrorClass::Permanent {
                    return Err(error);
                }
                refusal.get_or_insert(error);
                continue;
            }
        };
        if answer.as_deref() != Some(check.answer) {
            return Err(SinkError::permanent(format!(
                "the server sees {} characters in a UTF-8 text of {}: driver or connection use \
                 another character set; set it to UTF-8 in the connection string, or run with \
                 LC_ALL=C.UTF-8 (Db2's driver: DB2CODEPAGE=1208 in the environment)",
                answer.as_deref().unwrap_or("no"),
                check.answer,
            )));
        }
        return Ok(("UTF-8 arrives as UTF-8 (counted by the server)", check.lengths));
    }
    match refusal {
        Some(error) => Err(error),
        None => Ok((
            "not checked on the server: this profile knows no query for it",
            LengthUnit::Characters,
        )),
    }
}

fn counted(statement: &mut Statement, sql: &str) -> Result<Option<String>, raw::Outcome> {
    let width = statement.width();
    statement.prepare(sql).ok()?;
    let length = LengthWord::length(SAMPLE.len(), width);
    // The checks' parameters are VARCHAR; not every server still knows the long type.
    let announced = ParameterType { code: sql_type::VARCHAR, size: SAMPLE.len(), digits: 0 };
    let mut parameter = Parameter::of_text(SAMPLE.as_bytes(), &length, width);
    parameter.announced = announced;
    statement.execute_array(&[parameter], 1).outcome.ok()?;
    let rows = fetch_all(statement)?;
    Ok(rows.into_iter().flatten().next().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_must_agree() {
        use IndicatorWidth::{Narrow, Wide};
        assert_eq!(agreed(&[]).unwrap().0, Wide);
        assert_eq!(agreed(&[Narrow]).unwrap().0, Narrow);
        assert_eq!(agreed(&[Wide, Wide]).unwrap().0, Wide);
        assert!(agreed(&[Wide, Narrow]).is_err());
    }
}
