//! Options that say where a load goes, and who it logs in as.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::setting;
use crate::config::TlsMode;
use crate::config::setting::{Profile, Span};

/// Target.
#[derive(Debug, Args)]
#[command(next_help_heading = "Target")]
pub struct TargetArgs {
    /// sqlite:PATH, odbc:CONNECTION-STRING, dsn:NAME, null: (parse only) or csv:PATH
    /// [default: sqlite:fastload.db]
    #[arg(long, value_name = "URL")]
    pub to: Option<String>,
    /// Table to load into, as `table` or `schema.table`
    #[arg(long, value_name = "NAME")]
    pub table: Option<String>,
    /// Database profile in place of the detected one: db2, postgresql, mariadb, generic
    #[arg(long, value_name = "NAME", value_parser = setting::<Profile>)]
    pub profile: Option<Profile>,
    /// Send rows to PostgreSQL by COPY, over connections beside the driver's
    #[cfg(feature = "postgresql-copy")]
    #[arg(long)]
    pub copy: bool,
    /// User who logs in
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// File (mode 0600) whose first line is the password
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub password_file: Option<PathBuf>,
    /// Shell command whose first line of output is the password
    #[arg(long, value_name = "COMMAND")]
    pub password_command: Option<String>,
    /// Encryption of the connection: off, require, or verify (certificate and host name of the
    /// server) [default: as the connection string and the driver have it]
    #[arg(long, value_name = "MODE", value_parser = setting::<TlsMode>)]
    pub tls: Option<TlsMode>,
    /// With --tls verify: file (PEM) of the authorities to trust
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub tls_ca: Option<PathBuf>,
    /// Longest wait for a connection [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = setting::<Span>)]
    pub connect_timeout: Option<Span>,
    /// Longest run of one statement; none is without bound [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = setting::<Span>)]
    pub query_timeout: Option<Span>,
    /// Statement to run on every connect and reconnect; may repeat
    #[arg(long, value_name = "SQL")]
    pub session_sql: Vec<String>,
}
