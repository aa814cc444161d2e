//! Flags about the job that a load is.

use clap::Args;

use super::setting;
use crate::config::options::Options;
use crate::config::setting::{ClockTime, JobName, LedgerTable, RestartChoice, Span};

/// The job and its ledger.
#[derive(Debug, Args)]
#[command(next_help_heading = "Restart (the same command again resumes)")]
pub struct RestartArgs {
    /// Name of the job [default: target, table, inputs and mode tell it]
    #[arg(long, value_name = "NAME", value_parser = setting::<JobName>)]
    pub job: Option<JobName>,
    /// auto: resume what is unfinished; new: begin a new run; continue: resume or refuse;
    /// terminate: give an unfinished run up and load nothing; off: no ledger [default: auto]
    #[arg(long, value_name = "HOW", value_parser = setting::<RestartChoice>)]
    pub restart: Option<RestartChoice>,
    /// Table of the ledger in the target database, as `table` or `schema.table`
    /// [default: FASTLOAD_LEDGER]
    #[arg(long, value_name = "NAME", value_parser = setting::<LedgerTable>)]
    pub ledger_table: Option<LedgerTable>,
    /// Silence after which a run of another host counts as dead [default: 1m]
    #[arg(long, value_name = "DURATION", value_parser = setting::<Span>)]
    pub job_lease: Option<Span>,
    /// Stop at this time of day, resumable, with exit status 143; a time that is past is tomorrow's
    #[arg(long, value_name = "HH:MM", value_parser = setting::<ClockTime>)]
    pub stop_at: Option<ClockTime>,
}

impl RestartArgs {
    pub(super) fn fill(self, flags: &mut Options) {
        flags.job = self.job;
        flags.restart = self.restart;
        flags.ledger_table = self.ledger_table;
        flags.job_lease = self.job_lease;
        flags.stop_at = self.stop_at;
    }
}
