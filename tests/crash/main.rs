//! The program under faults, against real databases: killed, cut off, locked out, refused. Whatever
//! happened, a job that is started again ends with every good record in the table once, every bad
//! one in the reject file once, and a ledger that covers the file.

#![expect(clippy::print_stdout, reason = "seeds are printed")]

use std::path::Path;

mod check;
mod data;
mod db2;
#[cfg(feature = "failpoints")]
mod failpoints;
mod job;
mod kills;
mod ledger;
mod network;
mod place;
mod proxy;
mod servers;
mod sessions;

/// A program that is built without being asked for failpoints has none.
#[test]
fn no_default_feature_has_failpoints() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let text = std::fs::read_to_string(manifest).expect("the manifest is there");
    let (_, features) = text.split_once("\n[features]\n").expect("features");
    let features = features.split("\n[").next().unwrap_or_default();
    assert!(features.lines().any(|line| line.starts_with("failpoints =")), "{features}");
    assert!(!features.lines().any(|line| line.starts_with("default")), "{features}");
}

#[cfg(not(feature = "failpoints"))]
#[test]
fn a_failpoint_does_nothing_in_this_build() {
    use crate::job::{Job, Way, Work};
    let mut rng = fastrand::Rng::with_seed(3);
    let kind = place::Kind::Sqlite;
    let mut job = Job::of_seed(kind, "crash_off", Way::Append, 500, &mut rng);
    job.variable("FASTLOAD_FAILPOINT", Some("after-parse".to_owned()));
    let ended = job.run(&Work::random(&mut rng));
    check::assert_exact(&job, &ended, "without failpoints");
}
