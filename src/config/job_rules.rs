//! What the options about jobs and the ledger come to, and where they mean nothing.

use std::time::Duration;

use super::options::Options;
use super::setting::{JobName, LedgerTable, RestartChoice, Setting as _, Span};
use super::target::TargetUrl;
use super::{LedgerConfig, Mode, Restart};
use crate::error::{Error, Result};

/// How long a run of another host may be silent, by default.
const JOB_LEASE: Duration = Duration::from_secs(60);

/// Shortest such time: a run says that it lives a few times in it.
const LEAST_JOB_LEASE: Duration = Duration::from_secs(5);

/// What is kept in the ledger; nothing where there is no database, or by `--restart off`.
pub(super) fn ledger(options: &Options, target: &TargetUrl) -> Option<LedgerConfig> {
    let restart = match options.restart.unwrap_or(RestartChoice::Auto) {
        RestartChoice::Auto => Restart::Auto,
        RestartChoice::New => Restart::New,
        RestartChoice::Continue => Restart::Continue,
        RestartChoice::Terminate => Restart::Terminate,
        RestartChoice::Off => return None,
    };
    target.has_tables().then(|| LedgerConfig {
        job: options.job.clone().map(|JobName(name)| name),
        restart,
        table: options.ledger_table.clone().map(|LedgerTable(name)| name),
        lease: options.job_lease.map_or(JOB_LEASE, |Span(time)| time),
        // Which run of the job it is, the ledger tells.
        retry_of: None,
    })
}

/// Refuses what a target without a database cannot keep, and a lease that no run could hold.
pub(super) fn check_job(options: &Options, target: &TargetUrl) -> Result<()> {
    if options.job_lease.is_some_and(|Span(time)| time < LEAST_JOB_LEASE) {
        let least = Span(LEAST_JOB_LEASE).show();
        return Err(Error::usage(
            format!("--job-lease must be at least {least}"),
            "a busy run must not be taken for a dead one",
        ));
    }
    check_retry(options)?;
    if target.has_tables() {
        return Ok(());
    }
    for (flag, given) in [
        ("--job", options.job.is_some()),
        // The others ask for nothing that is not so anyway.
        (
            "--restart",
            matches!(options.restart, Some(RestartChoice::Continue | RestartChoice::Terminate)),
        ),
        ("--ledger-table", options.ledger_table.is_some()),
        ("--job-lease", options.job_lease.is_some()),
        ("--retry-of", options.retry_of.is_some()),
    ] {
        if given {
            return Err(Error::usage(
                format!("{flag} means nothing for {target}, which has no ledger"),
                "leave it out, or name a database with --to",
            ));
        }
    }
    Ok(())
}

/// A repaired reject file is a load of its own, about which the ledger knows the rest.
fn check_retry(options: &Options) -> Result<()> {
    let Some(JobName(job)) = &options.retry_of else {
        return Ok(());
    };
    if options.restart == Some(RestartChoice::Off) {
        return Err(Error::usage(
            "--retry-of takes dialect and columns from the ledger, and --restart off is without it",
            "leave one of them out",
        ));
    }
    if options.job.as_ref().is_some_and(|JobName(name)| name == job) {
        return Err(Error::usage(
            format!("the load of the rejects of job {job} cannot be that job"),
            "give it another name with --job, or none",
        ));
    }
    if options.mode.is_some_and(|mode| matches!(mode, Mode::Truncate | Mode::Replace)) {
        return Err(Error::usage(
            format!("the rows that job {job} has loaded would be deleted"),
            "say --mode append",
        ));
    }
    Ok(())
}

/// Values of these options where nothing is said, with the reason.
pub(super) fn job_defaults(target: &TargetUrl) -> Vec<(&'static str, String, &'static str)> {
    if !target.has_tables() {
        return vec![("restart", RestartChoice::Off.show(), "the target has no ledger")];
    }
    vec![
        ("restart", RestartChoice::Auto.show(), "the same command again resumes"),
        ("job-lease", Span(JOB_LEASE).show(), "a fixed number"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Options {
        let mut options = Options::default();
        for (key, value) in pairs {
            options.set(key, value).expect(key);
        }
        options
    }

    fn database() -> TargetUrl {
        TargetUrl::parse("sqlite:x.db").unwrap()
    }

    #[test]
    fn a_database_keeps_a_ledger_unless_told_not_to() {
        let default = LedgerConfig {
            job: None,
            restart: Restart::Auto,
            table: None,
            lease: Duration::from_secs(60),
            retry_of: None,
        };
        assert_eq!(ledger(&Options::default(), &database()), Some(default));
        let told = options(&[
            ("job", "nightly"),
            ("restart", "continue"),
            ("ledger-table", "ops.ledger"),
            ("job-lease", "2m"),
        ]);
        let expected = LedgerConfig {
            job: Some("nightly".to_owned()),
            restart: Restart::Continue,
            table: Some("ops.ledger".to_owned()),
            lease: Duration::from_secs(120),
            retry_of: None,
        };
        assert_eq!(ledger(&told, &database()), Some(expected));
        assert_eq!(ledger(&options(&[("restart", "off")]), &database()), None);
        // A job file's name does not keep an operator from loading without a ledger once.
        assert_eq!(ledger(&options(&[("restart", "off"), ("job", "x")]), &database()), None);
    }

    #[test]
    fn what_has_no_ledger_takes_no_flag_about_it() {
        for url in ["null:", "csv:out.csv"] {
            let target = TargetUrl::parse(url).unwrap();
            assert_eq!(ledger(&Options::default(), &target), None);
            assert!(check_job(&options(&[("restart", "off")]), &target).is_ok());
            for (flag, value) in [
                ("job", "x"),
                ("restart", "continue"),
                ("restart", "terminate"),
                ("ledger-table", "x"),
                ("job-lease", "1m"),
                ("retry-of", "x"),
            ] {
                let given = options(&[(flag, value)]);
                let error = check_job(&given, &target).expect_err(flag).to_string();
                assert!(error.contains(&format!("--{flag} ")) && error.contains(url), "{error}");
                assert!(check_job(&given, &database()).is_ok());
            }
        }
    }

    #[test]
    fn a_retry_is_a_load_of_its_own() {
        assert!(check_job(&options(&[("retry-of", "x")]), &database()).is_ok());
        for (pairs, why) in [
            (&[("retry-of", "x"), ("restart", "off")][..], "--restart off"),
            (&[("retry-of", "x"), ("job", "x")], "cannot be that job"),
            (&[("retry-of", "x"), ("mode", "truncate")], "deleted"),
            (&[("retry-of", "x"), ("mode", "replace")], "deleted"),
        ] {
            let error = check_job(&options(pairs), &database()).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_lease_can_be_held() {
        for (lease, held) in [("0", false), ("4s", false), ("5s", true), ("1h", true)] {
            assert_eq!(check_job(&options(&[("job-lease", lease)]), &database()).is_ok(), held);
        }
    }
}
