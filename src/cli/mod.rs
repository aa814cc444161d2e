//! The command line: the only place that prints, asks, or ends the process.

mod abort;
pub mod args;
pub mod bad_record;
mod bench;
mod completions;
mod config;
mod confirm;
mod conn;
pub mod core_dumps;
mod describe;
mod events;
pub mod exit;
mod from_memory;
mod r#gen;
mod init_ledger;
mod ledger;
mod left;
mod load;
mod logging;
mod messages;
mod prepare;
mod progress;
mod render;
mod retry;
mod signals;
mod status;
mod stop_at;
mod text_file;

use std::ffi::OsString;
use std::io::IsTerminal;

use clap::Parser;

use crate::config::options::Options;
use crate::config::resolve::{Resolved, resolve};
use crate::config::setting::ColorMode;
use crate::config::target::TargetUrl;
use crate::error::{Error, Result};
use crate::sink::odbc::threads_left_behind;
use args::{Cli, Command, ConfigCommand, ConnCommand, Given};
use load::{Purpose, print};
use messages::Messages;

/// Runs the command line of this process; its exit status. `warning` is what the start of the
/// program has to say ([`core_dumps::forbid`]).
#[must_use]
pub fn run(warning: Option<String>) -> u8 {
    if let Err(error) = signals::take_limits() {
        Messages::new(ColorMode::Auto).error(&error);
        return exit::of_error(&error);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            if error.use_stderr() {
                // An argument may be the name of a file that somebody else has chosen.
                messages::print(bad_record::escape_lines(&error.render().to_string()).trim_end());
                return exit::USAGE;
            }
            // Help and version are results.
            return if error.print().is_ok() { exit::OK } else { exit::SYSTEM };
        }
    };
    let environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    let mut messages = Messages::new(ColorMode::Auto);
    if let Some(warning) = warning {
        messages.warning(&warning);
    }
    let status = command(cli, &environment, &mut messages).unwrap_or_else(|error| {
        messages.error(&error);
        exit::of_error(&error)
    });
    if threads_left_behind() > 0 {
        exit::at_once(status);
    }
    status
}

fn command(cli: Cli, environment: &[(OsString, OsString)], messages: &mut Messages) -> Result<u8> {
    let command = cli.command.unwrap_or_else(|| Command::Load(Box::new(cli.load)));
    match command {
        Command::Load(args) => {
            let resolved = start((*args).into(), environment, messages)?;
            load::run(&resolved, Purpose::Load, *messages)
        }
        Command::Check(args) => {
            let resolved = start((*args).into(), environment, messages)?;
            load::run(&resolved, Purpose::Check, *messages)
        }
        Command::Describe(args) => {
            let resolved = start((*args).into(), environment, messages)?;
            describe::describe(&resolved).map(|()| exit::OK)
        }
        Command::Status(args) => {
            let job = args.name.clone().map(|name| name.0);
            let resolved = start((*args).into(), environment, messages)?;
            status::status(&resolved, job.as_deref()).map(|()| exit::OK)
        }
        Command::Abort(args) => {
            let job = args.name.0.clone();
            let resolved = start((*args).into(), environment, messages)?;
            abort::abort(&resolved, &job).map(|()| exit::OK)
        }
        Command::InitLedger(args) => {
            let only_print = args.print;
            let resolved = start((*args).into(), environment, messages)?;
            init_ledger::init_ledger(&resolved, only_print).map(|()| exit::OK)
        }
        Command::Bench(args) => {
            let (runs, steps) = (args.runs, args.steps);
            let resolved = start(args.check.into(), environment, messages)?;
            bench::bench(&resolved, runs, &steps).map(|()| exit::OK)
        }
        Command::Gen(args) => r#gen::generate(&args).map(|()| exit::OK),
        Command::Conn(ConnCommand::Test(args)) => {
            let resolved = start((*args).into(), environment, messages)?;
            conn::test(&resolved, *messages).map(|()| exit::OK)
        }
        Command::Conn(ConnCommand::Drivers) => conn::list_drivers().map(|()| exit::OK),
        Command::Conn(ConnCommand::Dsns) => conn::list_data_sources().map(|()| exit::OK),
        Command::Config(ConfigCommand::Check { file }) => {
            print(config::check(file)?.as_bytes()).map(|()| exit::OK)
        }
        Command::Config(ConfigCommand::Show { file }) => {
            print(config::show(environment, file)?.as_bytes()).map(|()| exit::OK)
        }
        Command::Completions { shell } => {
            print(&completions::completions(shell)).map(|()| exit::OK)
        }
    }
}

/// Resolves the options of a verb and starts messages and log with them.
fn start(
    given: Given,
    environment: &[(OsString, OsString)],
    messages: &mut Messages,
) -> Result<Resolved> {
    *messages = Messages::new(given.flags.color.unwrap_or(ColorMode::Auto));
    refuse_late_verb(&given.flags)?;
    let mut resolved = resolve(given.flags, environment, given.job_file)?;
    *messages = Messages::new(resolved.output.color);
    logging::start(&resolved.output, messages.colored())?;
    ask_for_password(&mut resolved)?;
    Ok(resolved)
}

/// `fastload -q check FILE` would load a file called `check`.
fn refuse_late_verb(flags: &Options) -> Result<()> {
    const VERBS: [&str; 11] = [
        "load",
        "check",
        "describe",
        "status",
        "abort",
        "init-ledger",
        "gen",
        "bench",
        "conn",
        "config",
        "completions",
    ];
    let verb = flags.input.iter().find(|input| {
        VERBS.iter().any(|verb| input == verb) && !std::path::Path::new(input).exists()
    });
    match verb {
        None => Ok(()),
        Some(verb) => Err(Error::usage(
            format!("{} is a verb, and verbs come first", verb.display()),
            format!("write fastload {} and then the flags", verb.display()),
        )),
    }
}

/// Asks on the terminal for the password of a user who has none.
fn ask_for_password(resolved: &mut Resolved) -> Result<()> {
    let asks = matches!(resolved.target, TargetUrl::Odbc(_) | TargetUrl::Dsn(_))
        && !resolved.target.holds_password()
        && resolved.credentials.password.is_none()
        && std::io::stdin().is_terminal();
    let Some(user) = resolved.credentials.user.as_deref().filter(|_| asks) else {
        return Ok(());
    };
    let password = rpassword::prompt_password(format!("Password of {user}: "))
        .map_err(|source| Error::io("asking for the password", source))?;
    resolved.credentials.password = Some(password.into());
    Ok(())
}
