//! Connections: opened, given their session settings, ended.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use odbc_api::handles::{self, SqlResult};
use odbc_api::sys::{HDbc, SqlReturn};
use odbc_api::{ConnectionOptions, environment};
#[cfg(feature = "postgresql-copy")]
use odbc_api::{DriverCompleteOption, handles::OutputStringBuffer};
use secrecy::{ExposeSecret as _, SecretString};

use super::connection_text::{ConnectionText, Keywords};
use super::driver::Driver;
use super::encryption;
use super::profile::{ENCRYPTION, Profile, ProfileName, telling};
use super::raw::{self, Diagnostic, Outcome, Statement};
use crate::arena::IndicatorWidth;
use crate::config::{TlsMode, TlsOptions};
use crate::sink::{ErrorClass, SinkError};

/// Names under which drivers take the user, the first one the standard's.
pub(super) const USER_KEYWORDS: &[&str] = &["UID", "USER", "USERNAME"];

/// Names under which drivers take the password, the first one the standard's.
pub(super) const PASSWORD_KEYWORDS: &[&str] = &["PWD", "PASSWORD"];

/// How an ODBC target is reached.
#[derive(Debug, Clone)]
pub struct OdbcSpec {
    /// Address.
    pub connection: ConnectionText,
    /// User, in place of one in the connection string.
    pub user: Option<String>,
    /// Password, in place of one in the connection string.
    pub password: Option<SecretString>,
    /// What is asked of the encryption (`--tls`).
    pub tls: TlsOptions,
    /// Profile, in place of the one that the database's name leads to (`--profile`).
    pub profile: Option<ProfileName>,
    /// Longest wait for a connection (`--connect-timeout`), in whole seconds, at least one.
    pub connect_timeout: Duration,
    /// Longest run of one statement (`--query-timeout`), enforced by the server where it can;
    /// zero is without bound.
    pub query_timeout: Duration,
    /// Statements to run on every connect and reconnect, after the profile's own
    /// (`--session-sql`).
    pub session_sql: Vec<String>,
}

impl OdbcSpec {
    /// Checks the connection string without connecting: that it is well formed, that it has no
    /// keyword which is not known to be harmless, and that it agrees with [`OdbcSpec::tls`].
    ///
    /// # Errors
    /// [`ErrorClass::Permanent`], with a message that holds no secret.
    pub fn check(&self) -> Result<(), SinkError> {
        self.checked_keywords().map(|_| ())
    }

    fn checked_keywords(&self) -> Result<Keywords, SinkError> {
        let mut keywords = Keywords::parse(&self.connection)?;
        keywords.set_driver(Driver::of(&keywords));
        keywords.check().map_err(SinkError::permanent)?;
        encryption::apply(&self.tls, &mut keywords).map_err(SinkError::permanent)?;
        Ok(keywords)
    }

    /// The complete connection string in parts, with what the profile must have.
    pub(super) fn keywords(&self, profile: Option<&dyn Profile>) -> Result<Keywords, SinkError> {
        let mut keywords = self.checked_keywords()?;
        if let Some(profile) = profile {
            profile.complete(&mut keywords, self.connect_timeout);
        }
        if let Some(user) = &self.user {
            keywords.set(USER_KEYWORDS, no_nul("user", user)?);
        }
        if let Some(password) = &self.password {
            let password = no_nul("password", password.expose_secret())?;
            keywords.set(PASSWORD_KEYWORDS, password);
        }
        Ok(keywords)
    }
}

fn no_nul<'a>(what: &str, text: &'a str) -> Result<&'a str, SinkError> {
    if text.contains('\0') {
        return Err(SinkError::permanent(format!("the {what} holds a NUL character")));
    }
    Ok(text)
}

/// A message about a statement without the texts that stand in its quotes: one may be a secret,
/// and databases repeat what they do not understand.
pub(super) fn without_literals(message: &str, sql: &str) -> String {
    let literals = sql.split('\'').skip(1).step_by(2).filter(|literal| !literal.is_empty());
    literals.fold(message.to_owned(), |message, literal| message.replace(literal, "***"))
}

/// An open connection with autocommit off. Statements share it; the last one closes it.
pub(super) struct Connection {
    /// `None` only inside `drop`.
    handle: Option<handles::Connection<'static>>,
    width: Cell<IndicatorWidth>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("width", &self.width).finish_non_exhaustive()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(mut handle) = self.handle.take() else {
            return;
        };
        // An open transaction makes SQLDisconnect fail with 25000; what is not committed by now
        // is not wanted.
        let _ = handle.rollback();
        if !done(&handle.disconnect()) {
            // Freeing a handle that is still connected is an error, which odbc-api answers with a
            // panic: the handle is left to the process.
            let _left = std::mem::ManuallyDrop::new(handle);
        }
    }
}

fn done(result: &SqlResult<()>) -> bool {
    matches!(result, SqlResult::Success(()) | SqlResult::SuccessWithInfo(()))
}

impl Connection {
    /// Opens a connection and turns autocommit off.
    ///
    /// # Errors
    /// [`ErrorClass::CannotConnect`] or [`ErrorClass::LoginRefused`].
    pub(super) fn open(keywords: &Keywords, timeout: Duration) -> Result<Rc<Self>, SinkError> {
        let seconds = u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX).max(1);
        let options =
            ConnectionOptions { login_timeout_sec: Some(seconds), ..ConnectionOptions::default() };
        let refused = |error: odbc_api::Error| connect_error(keywords, error);
        // Some drivers take the text, whose length they are told, for one that ends with a NUL:
        // one stands behind it.
        let mut text = keywords.to_text();
        let length = text.len();
        text.push('\0');
        let connection = environment()
            .map_err(refused)?
            .connect_with_connection_string(&text[..length], options)
            .map_err(refused)?;
        connection.set_autocommit(false).map_err(refused)?;
        Ok(Rc::new(Self {
            handle: Some(connection.into_handle()),
            width: Cell::new(IndicatorWidth::Wide),
        }))
    }

    fn open_handle(&self) -> &handles::Connection<'static> {
        self.handle.as_ref().expect("taken by drop only")
    }

    /// The raw handle, open for as long as `self` lives.
    pub(super) fn handle(&self) -> HDbc {
        self.open_handle().as_sys()
    }

    /// Width of the driver's length words.
    pub(super) fn width(&self) -> IndicatorWidth {
        self.width.get()
    }

    /// Says how wide the driver's length words are.
    pub(super) fn set_width(&self, width: IndicatorWidth) {
        self.width.set(width);
    }

    /// Whether the driver knows that the connection is gone.
    pub(super) fn is_dead(&self) -> bool {
        matches!(
            self.open_handle().is_dead(),
            SqlResult::Success(true) | SqlResult::SuccessWithInfo(true)
        )
    }

    /// Ends the transaction.
    pub(super) fn commit(&self) -> Result<(), Outcome> {
        self.ended(&self.open_handle().commit())
    }

    /// Undoes the transaction.
    pub(super) fn rollback(&self) -> Result<(), Outcome> {
        self.ended(&self.open_handle().rollback())
    }

    fn ended(&self, result: &SqlResult<()>) -> Result<(), Outcome> {
        if done(result) {
            return Ok(());
        }
        Err(raw::connection_outcome(self, SqlReturn::ERROR))
    }
}

/// A connection under a profile: what every later call needs together.
#[derive(Clone)]
pub(super) struct Session {
    /// The connection.
    pub(super) connection: Rc<Connection>,
    /// Its database's profile.
    pub(super) profile: &'static dyn Profile,
}

impl Session {
    /// Opens a connection with the profile's keywords and repeats its session settings.
    ///
    /// # Errors
    /// As [`Connection::open`], or what a setting gave.
    pub(super) fn open(
        spec: &OdbcSpec,
        profile: &'static dyn Profile,
        width: IndicatorWidth,
    ) -> Result<Self, SinkError> {
        let session = Self::connect(spec, profile, width)?;
        session.settle(spec)?;
        Ok(session)
    }

    /// Opens a connection with the profile's keywords, as it comes.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub(super) fn connect(
        spec: &OdbcSpec,
        profile: &'static dyn Profile,
        width: IndicatorWidth,
    ) -> Result<Self, SinkError> {
        let keywords = spec.keywords(Some(profile))?;
        let connection = Connection::open(&keywords, spec.connect_timeout)?;
        connection.set_width(width);
        Ok(Self { connection, profile })
    }

    /// Holds the connection to `--tls`, and gives it its settings: the profile's and the user's.
    ///
    /// # Errors
    /// A connection in the clear, or what a setting gave.
    pub(super) fn settle(&self, spec: &OdbcSpec) -> Result<(), SinkError> {
        self.check_encryption(&spec.tls)?;
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
        // PostgreSQL takes a SET back when its transaction is rolled back.
        self.commit()
    }

    /// Holds the server's own word against `--tls`, on each connection. Some ways of connecting
    /// leave the driver's keyword without effect: libpq's through a socket of the machine, and
    /// MariaDB's `FORCETLS` where the server says that it knows no TLS.
    fn check_encryption(&self, tls: &TlsOptions) -> Result<(), SinkError> {
        let mut facts = self.profile.fact_sql().iter();
        let query = facts.find(|(name, _)| *name == ENCRYPTION).map(|(_, sql)| *sql);
        let (Some(TlsMode::Require | TlsMode::Verify), Some(sql)) = (tls.mode, query) else {
            return Ok(());
        };
        let answer = self.scalar(sql)?;
        self.rollback()?;
        if answer.is_some_and(|answer| answer != "none") {
            return Ok(());
        }
        let message = "the server says that the connection is not encrypted, and --tls asks for it";
        Err(SinkError { class: ErrorClass::CannotConnect, ..SinkError::permanent(message) })
    }

    /// A new statement handle.
    pub(super) fn statement(&self) -> Result<Statement, SinkError> {
        Statement::new(&self.connection).map_err(|outcome| self.error(&outcome))
    }

    /// Runs one statement without parameters and without a result.
    pub(super) fn run(&self, sql: &str) -> Result<(), SinkError> {
        let mut statement = self.statement()?;
        let outcome = statement.execute_direct(sql).ok();
        outcome.map_err(|outcome| self.error(&outcome))
    }

    /// All rows of a query, as text.
    pub(super) fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, SinkError> {
        let mut statement = self.statement()?;
        let rows = (|| {
            statement.execute_direct(sql).ok()?;
            fetch_all(&mut statement)
        })();
        rows.map_err(|outcome| self.error(&outcome))
    }

    /// First cell of the first row of a query.
    pub(super) fn scalar(&self, sql: &str) -> Result<Option<String>, SinkError> {
        let rows = self.query(sql)?;
        Ok(rows.into_iter().flatten().next().flatten())
    }

    /// Ends the transaction.
    pub(super) fn commit(&self) -> Result<(), SinkError> {
        self.connection.commit().map_err(|outcome| {
            let words = telling(self.profile, outcome.diagnostics.iter());
            let class = words.map_or(ErrorClass::Permanent, |d| self.profile.commit_class(d));
            self.described(class, words)
        })
    }

    /// Undoes the transaction.
    pub(super) fn rollback(&self) -> Result<(), SinkError> {
        let result = self.connection.rollback();
        result.map_err(|outcome| self.error(&outcome))
    }

    /// What a refused call means for the load.
    pub(super) fn error(&self, outcome: &Outcome) -> SinkError {
        let words = telling(self.profile, outcome.diagnostics.iter());
        let class = words.map_or(ErrorClass::Permanent, |d| self.profile.error_class(d));
        self.described(class, words)
    }

    /// An error of a known class with the words of a diagnostic; a connection that the driver
    /// knows to be gone overrides the class.
    pub(super) fn described(&self, class: ErrorClass, words: Option<&Diagnostic>) -> SinkError {
        let class = if self.connection.is_dead() { ErrorClass::ConnectionLost } else { class };
        let Some(d) = words else {
            let refused = SinkError::permanent("the driver refused a call and gave no diagnostic");
            return SinkError { class, ..refused };
        };
        let error = SinkError {
            class,
            sqlstate: Some(d.sqlstate.clone()),
            native: Some(d.native),
            message: d.message.clone(),
        };
        match self.profile.advice(d) {
            Some(advice) => error.with_note(&advice),
            None => error,
        }
    }
}

/// All rows of an executed statement, as text.
pub(super) fn fetch_all(statement: &mut Statement) -> Result<Vec<Vec<Option<String>>>, Outcome> {
    let columns = u16::try_from(statement.describe()?.len()).unwrap_or(u16::MAX);
    let mut rows = Vec::new();
    loop {
        let fetched = statement.fetch();
        if fetched.is_no_data() {
            statement.close_cursor();
            return Ok(rows);
        }
        fetched.ok()?;
        let row: Result<Vec<_>, _> = (1..=columns).map(|n| statement.text(n)).collect();
        rows.push(row?);
    }
}

/// Texts under which PostgreSQL's driver reports a refused login: its SQLSTATE is 08001, as for a
/// server that is not there.
const LOGIN_TEXTS: &[&str] = &[
    "authentication failed",
    "no pg_hba.conf entry",
    "no password supplied",
    "is not permitted to log in",
];

/// Codes of a refused login, which must not be tried twice. MariaDB: access denied, access to the
/// database denied, access denied without password, password expired (in a session, or instead of
/// one), account locked. Db2: security processing failed (its state is 08001, as for a server that
/// is not there), no password, no CONNECT.
const LOGIN_NATIVES: &[i32] = &[1044, 1045, 1698, 1820, 1862, 4151, -30082, -1403, -1060];

/// Whether PostgreSQL's words are those of a refused login.
pub(super) fn is_login_text(message: &str) -> bool {
    LOGIN_TEXTS.iter().any(|text| message.contains(text))
}

/// A connection string as the driver completes it: with what a data source says.
#[cfg(feature = "postgresql-copy")]
pub(super) fn completed_keywords(keywords: &Keywords) -> Result<Keywords, SinkError> {
    /// Bytes of the longest completed text; a longer one is refused.
    const TEXT_BYTES: usize = 8 << 10;
    let mut text = OutputStringBuffer::with_buffer_size(TEXT_BYTES);
    let refused = |error: odbc_api::Error| connect_error(keywords, error);
    // With a NUL behind, as in `Connection::open`.
    let mut asked = keywords.to_text();
    let length = asked.len();
    asked.push('\0');
    let opened = environment()
        .map_err(refused)?
        .driver_connect(&asked[..length], &mut text, DriverCompleteOption::NoPrompt)
        .map_err(refused)?;
    drop(opened);
    if text.is_truncated() {
        return Err(SinkError::permanent("the driver's completed connection string is too long"));
    }
    Keywords::parse(&ConnectionText::Keywords(text.to_utf8()))
}

fn connect_error(keywords: &Keywords, error: odbc_api::Error) -> SinkError {
    let (sqlstate, native, message) = match error {
        odbc_api::Error::Diagnostics { record, .. } => (
            Some(record.state.as_str().to_owned()),
            Some(record.native_error),
            String::from_utf8_lossy(&record.message).into_owned(),
        ),
        other => (None, None, other.to_string()),
    };
    let role_missing = message.contains("role \"") && message.contains("does not exist");
    let login = sqlstate.as_deref().is_some_and(|s| s.starts_with("28"))
        || native.is_some_and(|n| LOGIN_NATIVES.contains(&n))
        || role_missing
        || is_login_text(&message);
    SinkError {
        class: if login { ErrorClass::LoginRefused } else { ErrorClass::CannotConnect },
        sqlstate,
        native,
        message: keywords.scrub(message.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_quotes_is_not_repeated() {
        let sql = "SET ENCRYPTION PASSWORD = 'top secret' WITH HINT ''";
        let message = "syntax error at or near \"top secret\" in SET ENCRYPTION";
        let shown = "syntax error at or near \"***\" in SET ENCRYPTION";
        assert_eq!(without_literals(message, sql), shown);
        assert_eq!(without_literals("it's", "SET it's"), "it'***");
    }
}
