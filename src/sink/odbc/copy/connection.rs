//! One native connection: statements, COPY, and what the server's errors mean, by the same tables
//! as over ODBC.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use postgres::error::{DbError, Severity};
use postgres::{
    CancelToken, Client, Config, CopyInWriter, Error, NoTls, SimpleQueryMessage, Statement,
};
use secrecy::{ExposeSecret, SecretString};

use super::super::connect::{OdbcSpec, is_login_text, without_literals};
use super::super::execute::Plan;
use super::super::profile::{Profile, profile};
use super::super::raw::Diagnostic;
use super::super::watchdog::{Cancel, Doing, Watch, cancelled};
use super::Way;
use crate::sink::{ErrorClass, SinkError};

/// When the system asks a silent peer whether it is there, how often, and how many times: a host
/// that is gone is noticed within a minute and a half, also where statements may take any time.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 6;

/// How long the peer's system may leave bytes unacknowledged.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(90);

/// Name that the server shows for the connection, where the driver's sessions have none.
const APPLICATION: &str = "fastload";

/// What the server has against a COPY.
pub(super) struct Said {
    /// State and message, as the profile judges them.
    pub(super) diagnostic: Diagnostic,
    /// The row, from 1, and the column that the server was at.
    pub(super) place: (Option<usize>, Option<String>),
}

/// How a COPY ended that did not go in.
pub(super) enum Failure {
    /// By the server.
    Said(Box<Said>),
    /// In another way.
    Other(SinkError),
}

/// A connection.
pub(super) struct Connection {
    client: Client,
    canceller: Arc<dyn Cancel>,
    watch: Arc<Watch>,
    profile: &'static dyn Profile,
    query_timeout: Duration,
    /// Never in a message.
    password: Option<SecretString>,
    /// Whether answers no longer belong to their questions.
    is_out_of_step: bool,
}

impl Connection {
    /// Connects and repeats every session setting.
    pub(super) fn open(plan: &Plan, way: &Way, watch: &Arc<Watch>) -> Result<Self, SinkError> {
        watch.during(Doing::Connect, None, || Self::connect(plan, way, Arc::clone(watch))).0
    }

    fn connect(plan: &Plan, way: &Way, watch: Arc<Watch>) -> Result<Self, SinkError> {
        let password = way.address.password.clone();
        let client = config(way, plan.spec.connect_timeout)
            .connect(NoTls)
            .map_err(|error| connect_error(&error, password.as_ref()))?;
        let mut connection = Self {
            canceller: Arc::new(Canceller(client.cancel_token())),
            client,
            watch,
            profile: profile(plan.facts.profile),
            query_timeout: plan.spec.query_timeout,
            password,
            is_out_of_step: false,
        };
        connection.settle(&plan.spec, way)?;
        Ok(connection)
    }

    fn settle(&mut self, spec: &OdbcSpec, way: &Way) -> Result<(), SinkError> {
        for (name, value) in &way.settings {
            const SQL: &str = "SELECT set_config($1, $2, false)";
            let set = self.client.execute(SQL, &[name, value]);
            set.map_err(|error| self.error(&error))?;
        }
        for sql in self.profile.session_sql(spec.query_timeout) {
            self.run(&sql)?;
        }
        for (index, sql) in spec.session_sql.iter().enumerate() {
            self.run(sql).map_err(|error| {
                let words = without_literals(&error.message, sql);
                let message = format!("statement {} of --session-sql: {words}", index + 1);
                SinkError { message, ..error }
            })?;
        }
        Ok(())
    }

    fn run(&mut self, sql: &str) -> Result<(), SinkError> {
        self.client.batch_execute(sql).map_err(|error| self.error(&error))
    }

    /// Prepares a statement.
    pub(super) fn prepare(&mut self, sql: &str) -> Result<Statement, SinkError> {
        let watch = Arc::clone(&self.watch);
        let canceller = Arc::clone(&self.canceller);
        let prepare = || self.client.prepare(sql);
        let (prepared, was_cancelled) = watch.during(Doing::Statement, Some(canceller), prepare);
        prepared.map_err(|error| self.told(self.error(&error), was_cancelled))
    }

    /// Runs statements without parameters: the rows that the last one changed.
    pub(super) fn execute(&mut self, sql: &str) -> Result<u64, SinkError> {
        let watch = Arc::clone(&self.watch);
        let canceller = Arc::clone(&self.canceller);
        let run = || self.client.simple_query(sql);
        let (answer, was_cancelled) = watch.during(Doing::Statement, Some(canceller), run);
        let messages = answer.map_err(|error| self.told(self.error(&error), was_cancelled))?;
        let changed = messages.iter().rev().find_map(|message| match message {
            SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
            _ => None,
        });
        Ok(changed.unwrap_or(0))
    }

    /// Sends pieces of data until `next` has no more: the rows that went in.
    pub(super) fn copy(
        &mut self,
        statement: &Statement,
        next: impl FnMut(&mut Vec<u8>) -> bool,
    ) -> Result<u64, Failure> {
        let watch = Arc::clone(&self.watch);
        let canceller = Arc::clone(&self.canceller);
        let (client, is_out_of_step) = (&mut self.client, &mut self.is_out_of_step);
        let send = || {
            // Refused before any data is asked for, the crate still ends it as if some had been
            // sent, and the server answers that, too.
            let copy = client.copy_in(statement).inspect_err(|_| *is_out_of_step = true)?;
            send(copy, next)
        };
        let (sent, was_cancelled) = watch.during(Doing::Statement, Some(canceller), send);
        sent.map_err(|error| match error.as_db_error() {
            Some(words) if !was_cancelled && !self.is_out_of_step && !is_fatal(words) => {
                Failure::Said(Box::new(Said {
                    diagnostic: diagnostic(words),
                    place: place(words.where_().unwrap_or_default()),
                }))
            }
            _ => Failure::Other(self.told(self.error(&error), was_cancelled)),
        })
    }

    /// Whether the connection is of no more use, though the server has answered.
    pub(super) const fn is_out_of_step(&self) -> bool {
        self.is_out_of_step
    }

    /// Ends the transaction; errors as of [`Sink::commit`](crate::sink::Sink::commit).
    pub(super) fn commit(&mut self) -> Result<(), SinkError> {
        let watch = Arc::clone(&self.watch);
        let commit = || self.client.batch_execute("COMMIT");
        let ended = watch.during(Doing::EndOfTransaction, None, commit).0;
        ended.map_err(|error| match error.as_db_error() {
            Some(words) if !is_fatal(words) => {
                let diagnostic = diagnostic(words);
                self.described(self.profile.commit_class(&diagnostic), diagnostic)
            }
            _ => self.error(&error),
        })
    }

    /// Undoes the transaction, if one is open.
    pub(super) fn rollback(&mut self) -> Result<(), SinkError> {
        let watch = Arc::clone(&self.watch);
        let rollback = || self.client.batch_execute("ROLLBACK");
        let ended = watch.during(Doing::EndOfTransaction, None, rollback).0;
        ended.map_err(|error| self.error(&error))
    }

    /// Gives up a connection that may be lost.
    pub(super) fn close(self) {
        let watch = Arc::clone(&self.watch);
        // It may still try to say goodbye to a server that is gone.
        watch.during(Doing::EndOfTransaction, None, || drop(self));
    }

    /// What an error of the server means where no row is at fault.
    pub(super) fn world(&self, class: ErrorClass, said: Said) -> SinkError {
        self.described(class, said.diagnostic)
    }

    fn told(&self, error: SinkError, was_cancelled: bool) -> SinkError {
        if was_cancelled { cancelled(self.query_timeout, error) } else { error }
    }

    fn error(&self, error: &Error) -> SinkError {
        if let Some(words) = error.as_db_error() {
            let diagnostic = diagnostic(words);
            let class = match is_fatal(words) {
                true => ErrorClass::ConnectionLost,
                false => self.profile.error_class(&diagnostic),
            };
            return self.described(class, diagnostic);
        }
        // What is no word of the server is the end of the connection: the statements are ours.
        let message = scrubbed(with_cause(error), self.password.as_ref());
        SinkError { class: ErrorClass::ConnectionLost, ..SinkError::permanent(message) }
    }

    fn described(&self, class: ErrorClass, words: Diagnostic) -> SinkError {
        let advice = self.profile.advice(&words);
        let Diagnostic { sqlstate, message, .. } = words;
        let error = SinkError { class, sqlstate: Some(sqlstate), native: None, message };
        match advice {
            Some(advice) => error.with_note(&advice),
            None => error,
        }
    }
}

fn send(
    mut copy: CopyInWriter<'_>,
    mut next: impl FnMut(&mut Vec<u8>) -> bool,
) -> Result<u64, Error> {
    let mut piece = Vec::new();
    loop {
        piece.clear();
        let has_more = next(&mut piece);
        // A failed write says only that the server does not listen any more: why comes at the end.
        if copy.write_all(&piece).is_err() || !has_more {
            return copy.finish();
        }
    }
}

fn config(way: &Way, connect_timeout: Duration) -> Config {
    let mut config = Config::new();
    config
        .host(&way.address.host)
        .port(way.address.port)
        .dbname(&way.address.database)
        .user(&way.address.user)
        .application_name(APPLICATION)
        .connect_timeout(connect_timeout)
        .tcp_user_timeout(UNACKNOWLEDGED_MAX)
        .keepalives(true)
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_PROBES)
        // Of triggers and the like; the driver keeps them to itself, too.
        .notice_callback(|_| ());
    if let Some(password) = &way.address.password {
        config.password(password.expose_secret());
    }
    config
}

/// Asks the server over a connection of its own.
struct Canceller(CancelToken);

impl Cancel for Canceller {
    fn cancel(&self) -> bool {
        self.0.cancel_query(NoTls).is_ok()
    }
}

/// A refused login must not be tried twice; anything else is no connection.
fn connect_error(error: &Error, password: Option<&SecretString>) -> SinkError {
    let words = error.as_db_error().map(diagnostic);
    let (sqlstate, message) = match words {
        Some(words) => (Some(words.sqlstate), words.message),
        None => (None, with_cause(error)),
    };
    let login = sqlstate.as_deref().is_some_and(|state| state.starts_with("28"))
        || message.contains("password missing")
        || is_login_text(&message);
    SinkError {
        class: if login { ErrorClass::LoginRefused } else { ErrorClass::CannotConnect },
        sqlstate,
        native: None,
        message: scrubbed(message, password),
    }
}

fn with_cause(error: &Error) -> String {
    let text = error.to_string();
    match std::error::Error::source(error).map(ToString::to_string) {
        Some(cause) if !text.contains(&cause) => format!("{text}: {cause}"),
        _ => text,
    }
}

fn scrubbed(message: String, password: Option<&SecretString>) -> String {
    match password.map(ExposeSecret::expose_secret).filter(|password| !password.is_empty()) {
        Some(password) => message.replace(password, "***"),
        None => message,
    }
}

/// Whether the server ends the session with its words.
fn is_fatal(words: &DbError) -> bool {
    matches!(words.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
}

/// The server's words in the form in which the driver gives them on.
fn diagnostic(words: &DbError) -> Diagnostic {
    let mut message = format!("{}: {}", words.severity(), words.message());
    for (name, text) in [("DETAIL", words.detail()), ("HINT", words.hint())] {
        if let Some(text) = text {
            message.push_str(&format!("\n{name}: {text}"));
        }
    }
    Diagnostic { sqlstate: words.code().code().to_owned(), native: 0, message }
}

/// Row and column of the context of an error of COPY: `COPY t, line 3, column a: "x"`, the words in
/// the server's language, between a name and a value that may hold anything.
fn place(context: &str) -> (Option<usize>, Option<String>) {
    let Some(line) = context.lines().find_map(|line| line.strip_prefix("COPY ")) else {
        return (None, None);
    };
    // The name of a table may hold a comma and a number; then the guess is wrong, and no harm done.
    let Some((_, rest)) = line.split_once(", ") else { return (None, None) };
    let Some(at) = rest.find(|c: char| c.is_ascii_digit()) else { return (None, None) };
    let digits = rest[at..].split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    let behind = &rest[at + digits.len()..];
    let column = behind.strip_prefix(", column ").map(|rest| {
        let end = rest.find(": ").unwrap_or(rest.len());
        rest[..end].to_owned()
    });
    (digits.parse().ok(), column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_errors() {
        let column = |name: &str| Some(name.to_owned());
        for (context, expected) in [
            ("COPY t, line 3", (Some(3), None)),
            ("COPY t, line 3: \"a\tb\"", (Some(3), None)),
            ("COPY t, line 12, column a b: \"x, line 9\"", (Some(12), column("a b"))),
            ("COPY t, line 12, column a", (Some(12), column("a"))),
            ("PL/pgSQL function f() line 3 at RAISE\nCOPY t, Zeile 7", (Some(7), None)),
            ("COPY t", (None, None)),
            ("PL/pgSQL function f() line 3 at RAISE", (None, None)),
            ("", (None, None)),
        ] {
            assert_eq!(place(context), expected, "{context}");
        }
    }

    #[test]
    fn no_message_holds_the_password() {
        let password = SecretString::from("hush".to_owned());
        assert_eq!(scrubbed("user hush".to_owned(), Some(&password)), "user ***");
        assert_eq!(scrubbed("user hush".to_owned(), None), "user hush");
        let empty = SecretString::from(String::new());
        assert_eq!(scrubbed("ab".to_owned(), Some(&empty)), "ab");
    }
}
