//! Client CPU a row of fastload's ODBC layer, beside a bare loop over the same arrays.
//!
//! ```sh
//! eval "$(scripts/databases env)"
//! cargo bench --bench odbc -- --rounds 9 --batches 40 --rows 1000 --columns 20
//! ```
//!
//! Both sides send the very same arena through IBM's driver to tables of the same form: one
//! through `Sink::write`, which takes a savepoint, binds, executes, reads the answer and the status
//! array; the other through `SQLExecute` on arrays that were bound once, and nothing else. They
//! take turns, and each round's ratio compares neighbours. fastload's side is charged with its
//! commits, the bare side is not. The time is that of the whole process, user and system, so that
//! a thread of the driver's own would count; server and shim are other processes.
//!
//! Afterwards the server is asked for the number of rows, sums and lengths of both tables: 4-byte
//! length words read as 8-byte ones give the right number of wrong rows.
//!
//! Without `--bench` (`cargo test --benches`) one small round checks all that and judges no time.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it reports what it measured")]

mod bare;
mod sample;

use std::process::ExitCode;

use bare::Bare;
use clap::Parser;
use fastload::config::TlsOptions;
use fastload::sink::odbc::{ConnectionText, OdbcSpec, OdbcTarget, ProfileName};
use fastload::sink::{RowAction, Target};
use rustix::time::{ClockId, clock_gettime};
use sample::{Sample, Sums};

const OURS: &str = "FL_BENCH_OURS";
const BARE: &str = "FL_BENCH_BARE";

/// Most CPU that fastload may use beside the bare loop.
const BAR: f64 = 1.3;

/// What to measure.
#[derive(Debug, Parser)]
struct Options {
    /// Rounds, after one that does not count.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Arrays that each side sends in a round.
    #[arg(long, default_value_t = 40)]
    batches: usize,
    /// Rows in an array; 0 is what the profile likes.
    #[arg(long, default_value_t = 0)]
    rows: usize,
    /// Columns: 10 is the accounts file, 20 has each of its columns twice.
    #[arg(long, default_value_t = 20)]
    columns: usize,
    /// Given by cargo when it measures.
    #[arg(long, hide = true)]
    bench: bool,
}

/// CPU seconds of this process so far.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "seconds and nanoseconds of one process")]
    let seconds = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
    seconds
}

fn cpu_of(work: impl FnOnce()) -> f64 {
    let start = cpu_seconds();
    work();
    cpu_seconds() - start
}

/// Smallest, median and largest.
fn spread(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    [values[0], values[values.len() / 2], values[values.len() - 1]]
}

fn target(text: &str) -> OdbcTarget {
    let spec = OdbcSpec {
        connection: ConnectionText::Keywords(text.to_owned()),
        user: None,
        password: None,
        tls: TlsOptions::default(),
        profile: Some(ProfileName::Db2),
        connect_timeout: std::time::Duration::from_secs(10),
        query_timeout: std::time::Duration::ZERO,
        session_sql: Vec::new(),
    };
    OdbcTarget::connect(spec).expect("the test database takes connections")
}

/// CPU seconds of each round: fastload's, the bare loop's.
fn measure(text: &str, options: &Options) -> (Vec<(f64, f64)>, usize) {
    let mut bare = Bare::connect(text);
    for table in [OURS, BARE] {
        // It is there when an earlier run was ended.
        bare.run(&format!("DROP TABLE {table}"));
        assert!(bare.run(&sample::ddl(table, options.columns)), "CREATE TABLE {table}");
    }
    let target = target(text);
    let columns = target.columns(OURS).expect("a connection").expect("it was just created");
    let layout = target.layout(OURS, &columns, &RowAction::Insert).expect("a plain table");
    let rows = if options.rows == 0 { layout.batch_rows } else { options.rows };
    let Sample { batch, sums } = Sample::new(&columns, &layout, rows);
    let mut sink = target.open(OURS, &columns, &RowAction::Insert).expect("a connection");
    let insert = layout.statement.replace(OURS, BARE);
    let bound = bare.bind(&insert, &columns, &batch);
    let mut rounds = Vec::new();
    for round in 0..=options.rounds {
        let mut of_ours = || {
            cpu_of(|| {
                for _ in 0..options.batches {
                    assert_eq!(sink.write(&batch).expect("clean rows"), []);
                }
                sink.commit().expect("a commit");
            })
        };
        let of_bare = || {
            let seconds = cpu_of(|| bound.execute(options.batches));
            bound.commit();
            seconds
        };
        // Who goes first changes, so that a drift of the machine favours neither.
        let pair = if round % 2 == 0 {
            let first = of_ours();
            (first, of_bare())
        } else {
            let first = of_bare();
            (of_ours(), first)
        };
        rounds.push(pair);
    }
    let sent = (options.rounds + 1) * options.batches;
    for table in [OURS, BARE] {
        assert_eq!(Sums::on_server(&bare, table), sums.times(sent), "{table}");
        assert!(bare.run(&format!("DROP TABLE {table}")), "DROP TABLE {table}");
    }
    rounds.remove(0);
    (rounds, rows)
}

fn report(rounds: &[(f64, f64)], rows: usize, options: &Options) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a number of rows")]
    let micros = |seconds: f64| seconds * 1e6 / (rows * options.batches) as f64;
    let [ours, bare] = [
        spread(rounds.iter().map(|pair| micros(pair.0))),
        spread(rounds.iter().map(|pair| micros(pair.1))),
    ];
    let ratio = spread(rounds.iter().map(|pair| pair.0 / pair.1));
    println!("| columns | rows an array | fastload µs a row | bare µs a row | ratio |");
    println!("|---|---|---|---|---|");
    let shown = |[low, middle, high]: [f64; 3]| format!("{middle:.3} ({low:.3} to {high:.3})");
    println!(
        "| {} | {rows} | {} | {} | {} |",
        options.columns,
        shown(ours),
        shown(bare),
        shown(ratio)
    );
    ratio[1]
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    if !options.bench {
        options = Options { rounds: 1, batches: 2, rows: 500, ..options };
    }
    let Ok(text) = std::env::var("FASTLOAD_TEST_DB2") else {
        eprintln!("odbc: NOT RUN: FASTLOAD_TEST_DB2 is not set; see `scripts/databases`");
        let required = std::env::var_os("FASTLOAD_TEST_REQUIRE_DATABASES").is_some();
        return if required || options.bench { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    };
    let text = format!("{};", text.trim_end_matches(';'));
    let (rounds, rows) = measure(&text, &options);
    let ratio = report(&rounds, rows, &options);
    if options.bench && ratio > BAR {
        eprintln!("odbc: the ratio is above {BAR}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
