//! Flags about the job that a load is, and verbs about jobs.

use clap::Args;

use super::{Given, OutputArgs, TargetArgs, setting};
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
    /// [default: `FASTLOAD_LEDGER`]
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

/// Where the ledger is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Ledger")]
pub struct LedgerArgs {
    /// Table of the ledger, as `table` or `schema.table` [default: `FASTLOAD_LEDGER`]
    #[arg(long, value_name = "NAME", value_parser = setting::<LedgerTable>)]
    pub ledger_table: Option<LedgerTable>,
}

/// `fastload status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The job; without one, all of them
    #[arg(value_name = "JOB", value_parser = setting::<JobName>)]
    pub name: Option<JobName>,
    /// Target.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Ledger.
    #[command(flatten)]
    pub ledger: LedgerArgs,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `fastload abort`.
#[derive(Debug, Args)]
pub struct AbortArgs {
    /// The job
    #[arg(value_name = "JOB", value_parser = setting::<JobName>)]
    pub name: JobName,
    /// Agree to it; needed without a terminal
    #[arg(long)]
    pub yes: bool,
    /// Silence after which a run of another host counts as dead [default: 1m]
    #[arg(long, value_name = "DURATION", value_parser = setting::<Span>)]
    pub job_lease: Option<Span>,
    /// Target.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Ledger.
    #[command(flatten)]
    pub ledger: LedgerArgs,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `fastload init-ledger`.
#[derive(Debug, Args)]
pub struct InitLedgerArgs {
    /// Print the statements and make nothing
    #[arg(long, visible_alias = "explain")]
    pub print: bool,
    /// Target.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Ledger.
    #[command(flatten)]
    pub ledger: LedgerArgs,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Flags of a verb about the ledger itself, to which `--restart off` of the surroundings means
/// nothing.
fn of_ledger(target: TargetArgs, ledger: LedgerArgs, output: OutputArgs) -> Given {
    let mut flags = Options::default();
    target.fill(&mut flags);
    output.fill(&mut flags);
    flags.ledger_table = ledger.ledger_table;
    flags.restart = Some(RestartChoice::Auto);
    Given { job_file: None, flags }
}

impl From<StatusArgs> for Given {
    fn from(args: StatusArgs) -> Self {
        of_ledger(args.target, args.ledger, args.output)
    }
}

impl From<AbortArgs> for Given {
    fn from(args: AbortArgs) -> Self {
        let mut given = of_ledger(args.target, args.ledger, args.output);
        given.flags.yes = args.yes.then_some(true);
        given.flags.job_lease = args.job_lease;
        given
    }
}

impl From<InitLedgerArgs> for Given {
    fn from(args: InitLedgerArgs) -> Self {
        of_ledger(args.target, args.ledger, args.output)
    }
}
