//! What modes, keys, staging tables and their attributes ask of each other.

use super::options::Options;
use super::setting::{StagingAttributes, StagingChoice};
use super::{Duplicates, Mode, RejectLimit, StagingAttribute, StagingConfig};
use crate::error::{Error, Result};

pub(super) fn staging(options: &Options, mode: Mode) -> Option<StagingConfig> {
    let table = match &options.staging {
        Some(StagingChoice::Named(name)) => Some(name.clone()),
        Some(StagingChoice::Own) => None,
        // What is exchanged in one transaction must be there before it.
        None if mode == Mode::Replace => None,
        None | Some(StagingChoice::Off) => return None,
    };
    Some(StagingConfig {
        table,
        // Known when the load begins.
        run_id: String::new(),
        merge_rows: options.merge_rows,
        attributes: attributes(options).to_vec(),
    })
}

fn attributes(options: &Options) -> &[StagingAttribute] {
    options.staging_attributes.as_ref().map_or(&[], |StagingAttributes(list)| list)
}

/// What is not logged is lost with the first error, and there is one transaction for it.
fn check_attributes(options: &Options, staging: Option<&StagingConfig>) -> Result<()> {
    let refuse = |what: &str, help: &str| Err(Error::usage(what, help));
    if options.staging_attributes.is_none() {
        return Ok(());
    }
    let Some(staging) = staging else {
        return refuse("--staging-attributes means nothing without --staging", "add --staging");
    };
    if !attributes(options).contains(&StagingAttribute::NotLogged) {
        return Ok(());
    }
    if staging.table.is_some() {
        return refuse(
            "a table that is not logged is dropped after any error, and this one is yours",
            "write --staging without a name",
        );
    }
    if options.writers != Some(1) {
        return refuse(
            "a table that is not logged is written in one transaction, so by one writer",
            "add --writers 1",
        );
    }
    if options.commit_rows.is_some()
        || options.commit_bytes.is_some()
        || options.commit_every.is_some()
    {
        return refuse(
            "a table that is not logged is written in one transaction",
            "leave --commit-rows, --commit-bytes and --commit-every out",
        );
    }
    if options.max_errors.is_some_and(|limit| limit != RejectLimit::Count(0)) {
        return refuse(
            "a row that the database refuses makes a table that is not logged unusable",
            "leave --max-errors at 0",
        );
    }
    Ok(())
}

/// What modes, keys and staging ask of each other.
pub(super) fn check_keys(options: &Options, mode: Mode) -> Result<()> {
    let refuse = |what: &str, help: &str| Err(Error::usage(what, help));
    let staged = staging(options, mode);
    check_attributes(options, staged.as_ref())?;
    let staged = staged.is_some();
    if options.lock_table == Some(true) && !staged {
        return refuse(
            "--lock-table is about the move from a staging table: several writers would wait for \
             each other",
            "add --staging",
        );
    }
    if matches!(mode, Mode::Upsert | Mode::Delete) && options.key.is_none() {
        return refuse(
            "upsert and delete find rows by their key, and none is given",
            "name its columns with --key",
        );
    }
    if mode == Mode::Replace && !staged {
        return refuse(
            "--mode replace exchanges the rows in one transaction, which needs a staging table",
            "leave --staging=false out, or use --mode truncate",
        );
    }
    if options.merge_rows == Some(0) {
        return refuse("--merge-rows must be at least 1", "leave it out to move all rows at once");
    }
    if options.merge_rows.is_some() && !staged {
        return refuse("--merge-rows means nothing without --staging", "add --staging");
    }
    if options.merge_rows.is_some() && mode == Mode::Replace {
        return refuse(
            "--mode replace is one transaction, and --merge-rows makes several",
            "leave --merge-rows out, or use --mode truncate --staging",
        );
    }
    let Some(duplicates) = options.duplicates else {
        return Ok(());
    };
    if options.key.is_none() {
        return refuse("--duplicates compares keys, and none is given", "name it with --key");
    }
    if !staged && (duplicates != Duplicates::Last || !matches!(mode, Mode::Upsert | Mode::Delete)) {
        return refuse(
            "without a staging table no equal keys can be found before they are in the table",
            "add --staging",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::setting::Setting as _;
    use super::*;

    fn options(attributes: &str) -> Options {
        Options {
            staging: Some(StagingChoice::Own),
            staging_attributes: Some(StagingAttributes::parse(attributes).unwrap()),
            writers: Some(1),
            ..Options::default()
        }
    }

    fn refusal(options: &Options) -> Option<String> {
        check_keys(options, Mode::Append).err().map(|error| error.to_string())
    }

    #[test]
    fn what_is_not_logged_has_one_transaction_and_no_rejects() {
        assert_eq!(refusal(&options("append-on,not-logged")), None);
        let many = Options { writers: None, ..options("not-logged") };
        assert!(refusal(&many).unwrap().contains("one writer"));
        let commits = Options { commit_rows: Some(5), ..options("not-logged") };
        assert!(refusal(&commits).unwrap().contains("one transaction"));
        let rejects = Options { max_errors: Some(RejectLimit::All), ..options("not-logged") };
        assert!(refusal(&rejects).unwrap().contains("unusable"));
        let none = Options { max_errors: Some(RejectLimit::Count(0)), ..options("not-logged") };
        assert_eq!(refusal(&none), None);
        let named = Options {
            staging: Some(StagingChoice::Named("s".to_owned())),
            ..options("not-logged")
        };
        assert!(refusal(&named).unwrap().contains("yours"));
        let appending = Options { writers: Some(4), ..options("append-on") };
        assert_eq!(refusal(&appending), None);
        let direct = Options { staging: None, ..options("append-on") };
        assert!(refusal(&direct).unwrap().contains("--staging"));
    }

    #[test]
    fn a_lock_is_for_the_move() {
        let locked = Options { lock_table: Some(true), ..Options::default() };
        assert!(refusal(&locked).unwrap().contains("--lock-table"));
        let staged = Options { staging: Some(StagingChoice::Own), ..locked };
        assert_eq!(refusal(&staged), None);
    }
}
