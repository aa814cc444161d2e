//! Which stage limits a load, from where its threads spent their time, and what helps.
//!
//! Phases follow one another: the longest one counts. In the load itself there are two sides, the
//! parsers and the writers, and the one that waits less for the other is the limit. Of its own two
//! stages the longer one is named.

use super::unit::UnitEnds;
use crate::config::{InputMode, IoWay};
use crate::report::{Bottleneck, Stages};

/// What the advice depends on.
#[derive(Debug, Clone, Default)]
pub(super) struct Situation {
    /// Wall time of the threads.
    pub(super) load_seconds: f64,
    pub(super) parsers: usize,
    pub(super) writers: usize,
    /// Time of writers in which they were not to get batches.
    pub(super) writers_away_seconds: f64,
    /// Threads that can run at the same time.
    pub(super) cores: usize,
    /// Connections that make sense.
    pub(super) writers_max: usize,
    /// Why there can be one parser only.
    pub(super) one_parser: Option<String>,
    /// Why there can be one writer only, where it is not the target's number of connections.
    pub(super) one_writer: Option<String>,
    pub(super) input_mode: InputMode,
    pub(super) io: IoWay,
    /// Whether an input is a pipe or the like.
    pub(super) has_stream: bool,
    /// Wall time in which at least one writer waited or replayed.
    pub(super) retry_seconds: f64,
    /// Whether commits were made smaller because log or locks ran out.
    pub(super) has_shrunk: bool,
    /// Why transactions ended.
    pub(super) ends: UnitEnds,
}

/// Names the limiting stage; nothing of a load in which nothing ran.
pub(super) fn bottleneck(stages: &Stages, situation: &Situation) -> Bottleneck {
    let load = situation.load_seconds;
    let (settle, moved) = (stages.settle.busy_seconds, stages.r#move.busy_seconds);
    let (stage, advice) = if settle.max(moved) > load {
        if settle > moved {
            let advice = "equal keys are looked for in the staging table: more memory for the \
                          database's sorts helps";
            ("settle", advice.to_owned())
        } else {
            let advice = "the move from the staging table takes the time: fewer indexes on the \
                          target help";
            ("move", advice.to_owned())
        }
    } else {
        let (parsers, writers) =
            (parsers_share(stages, situation), writers_share(stages, situation));
        let parse = &stages.parse;
        let input = parse.input_seconds + parse.paced_seconds;
        if parsers.max(writers) <= 0.0 {
            return Bottleneck::default();
        } else if parsers < writers {
            let is_write = stages.write.busy_seconds >= stages.commit.busy_seconds;
            if is_write || is_replaying(situation) {
                ("write", write_advice(situation))
            } else {
                ("commit", commit_advice(situation))
            }
        } else if input > parse.busy_seconds {
            ("input", input_advice(situation, parse.paced_seconds > parse.input_seconds))
        } else {
            ("parse", parse_advice(situation))
        }
    };
    Bottleneck { stage: stage.to_owned(), advice }
}

/// Part of their time that threads do not wait for the other side, from 0 to 1.
fn share(busy_seconds: f64, seconds: f64) -> f64 {
    if busy_seconds <= 0.0 { 0.0 } else { (busy_seconds / seconds.max(1e-9)).min(1.0) }
}

/// A parser that waits for its left neighbour waits for another parser: as if it were not there.
fn parsers_share(stages: &Stages, situation: &Situation) -> f64 {
    let parse = &stages.parse;
    let busy = parse.busy_seconds + parse.input_seconds + parse.paced_seconds;
    let all = situation.load_seconds * count(situation.parsers) - parse.proof_seconds;
    share(busy, all.max(busy))
}

fn writers_share(stages: &Stages, situation: &Situation) -> f64 {
    let busy = stages.write.busy_seconds + stages.commit.busy_seconds;
    let busy = busy.max(if is_replaying(situation) { situation.retry_seconds } else { 0.0 });
    let all = situation.load_seconds * count(situation.writers) - situation.writers_away_seconds;
    share(busy, all.max(busy))
}

/// Whether most of the time went into transactions that were sent again, and into waits before.
fn is_replaying(situation: &Situation) -> bool {
    situation.retry_seconds * 2.0 > situation.load_seconds
}

#[expect(clippy::cast_precision_loss, reason = "thread counts are small")]
fn count(threads: usize) -> f64 {
    threads.max(1) as f64
}

fn parse_advice(situation: &Situation) -> String {
    let Situation { parsers, cores, .. } = *situation;
    if let Some(why) = &situation.one_parser {
        return format!("one parser reads all records, because {why}; --staging lets more of them");
    }
    if parsers >= cores {
        let all =
            if cores == 1 { "the only core".to_owned() } else { format!("all {cores} cores") };
        return format!("parsers have {all}: more or faster cores help, more --parsers do not");
    }
    if situation.input_mode == InputMode::Multi {
        return "each file has one parser: --input-mode single lets several parse one file"
            .to_owned();
    }
    format!("--parsers {cores} would use all {cores} cores")
}

fn input_advice(situation: &Situation, is_paced: bool) -> String {
    let advice = if is_paced {
        "--max-rate holds the parsers back"
    } else if situation.has_stream {
        "parsers wait for the program that writes to the pipe"
    } else if situation.io == IoWay::Mmap {
        "parsers wait for the disk: another --io or a faster disk may help"
    } else {
        "parsers wait for the disk: a faster one, another --io, or more --read-ahead may help"
    };
    advice.to_owned()
}

fn write_advice(situation: &Situation) -> String {
    if is_replaying(situation) {
        return "transactions were undone and sent again most of the time: the warnings say why, \
                docs/errors.md what helps"
            .to_owned();
    }
    if let Some(why) = &situation.one_writer {
        return format!("one writer takes all rows: {why}; --staging lets more of them");
    }
    if situation.writers >= situation.writers_max {
        return "the target is the limit, and takes no more writers: fewer indexes, constraints \
                and triggers on the table help"
            .to_owned();
    }
    "the database is the limit: more --writers or a larger --batch-rows may help".to_owned()
}

fn commit_advice(situation: &Situation) -> String {
    let ends = &situation.ends;
    let advice = if situation.has_shrunk {
        "log or lock list of the database ran out, so that commits became small: docs/errors.md"
    } else if ends.rows >= ends.bytes.max(ends.age).max(ends.memory).max(ends.input) {
        "commits take the time: a larger --commit-rows helps"
    } else if ends.bytes >= ends.age.max(ends.memory).max(ends.input) {
        "commits take the time: a larger --commit-bytes helps"
    } else if ends.age >= ends.memory.max(ends.input) {
        "commits take the time: a longer --commit-every helps"
    } else if ends.memory >= ends.input {
        "commits take the time, and come early because batches wait for memory: a larger \
         --memory-limit helps"
    } else {
        "the commit at the end takes the time: a faster disk for the log of the database helps"
    };
    advice.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A load of 4 s with 2 parsers and 1 writer on 4 cores.
    fn situation() -> Situation {
        Situation {
            load_seconds: 4.0,
            parsers: 2,
            writers: 1,
            cores: 4,
            writers_max: 8,
            ..Situation::default()
        }
    }

    fn stages(busy: f64, input: f64, write: f64, commit: f64) -> Stages {
        let mut stages = Stages::default();
        stages.parse.busy_seconds = busy;
        stages.parse.input_seconds = input;
        stages.write.busy_seconds = write;
        stages.commit.busy_seconds = commit;
        stages
    }

    #[track_caller]
    fn check(stages: &Stages, situation: &Situation, stage: &str, advice: &str) {
        let found = bottleneck(stages, situation);
        assert_eq!(found.stage, stage, "{found:?}");
        assert!(found.advice.contains(advice), "{found:?}");
    }

    #[test]
    fn the_side_that_waits_less_is_named() {
        let load = situation();
        check(&stages(1.0, 0.5, 3.0, 0.5), &load, "write", "--writers");
        check(&stages(7.9, 0.1, 2.0, 1.0), &load, "parse", "--parsers 4");
        check(&stages(1.0, 6.0, 2.0, 1.0), &load, "input", "--io");
        // Neither write nor commit is as busy as the parsers, but both together are.
        check(&stages(4.9, 0.1, 1.5, 1.6), &load, "commit", "commits take the time");
        // A small file: its parsers were never held back, but done long before the writer.
        check(&stages(0.02, 0.0, 3.8, 0.0), &load, "write", "database");
    }

    #[test]
    fn a_parser_that_waits_for_another_is_left_out() {
        let load = situation();
        let mut serial = stages(3.9, 0.0, 2.4, 0.0);
        check(&serial, &load, "write", "");
        serial.parse.proof_seconds = 4.0;
        check(&serial, &load, "parse", "");
    }

    #[test]
    fn the_longest_phase_is_named() {
        let mut staged = stages(1.0, 0.0, 3.0, 0.0);
        staged.settle.busy_seconds = 4.5;
        check(&staged, &situation(), "settle", "sorts");
        staged.r#move.busy_seconds = 5.0;
        check(&staged, &situation(), "move", "indexes");
        staged.r#move.busy_seconds = 3.9;
        staged.settle.busy_seconds = 3.9;
        check(&staged, &situation(), "write", "");
    }

    #[test]
    fn nothing_is_named_where_nothing_ran() {
        assert_eq!(bottleneck(&Stages::default(), &situation()), Bottleneck::default());
        assert_eq!(bottleneck(&Stages::default(), &Situation::default()), Bottleneck::default());
    }

    #[test]
    fn more_parsers_are_advised_where_there_may_be_more() {
        let busy = stages(8.0, 0.0, 1.0, 0.0);
        let all = Situation { cores: 2, ..situation() };
        check(&busy, &all, "parse", "all 2 cores");
        assert!(!bottleneck(&busy, &all).advice.contains("--parsers 2"));
        let ordered = Situation {
            one_parser: Some("the rows of a key stay in order".to_owned()),
            ..situation()
        };
        check(&busy, &ordered, "parse", "because the rows of a key stay in order; --staging");
        let multi = Situation { input_mode: InputMode::Multi, ..situation() };
        check(&busy, &multi, "parse", "--input-mode single");
    }

    #[test]
    fn the_advice_for_a_slow_input_fits_the_input() {
        let slow = stages(0.5, 7.0, 1.0, 0.0);
        let pipe = Situation { has_stream: true, io: IoWay::Read, ..situation() };
        check(&slow, &pipe, "input", "pipe");
        assert!(!bottleneck(&slow, &pipe).advice.contains("--io"));
        let mut paced = stages(0.5, 0.1, 1.0, 0.0);
        paced.parse.paced_seconds = 7.0;
        check(&paced, &situation(), "input", "--max-rate");
    }

    #[test]
    fn more_writers_are_advised_where_there_may_be_more() {
        let slow = stages(1.0, 0.0, 3.9, 0.0);
        let only = Situation { writers_max: 1, ..situation() };
        check(&slow, &only, "write", "takes no more writers");
        let why = Some("texts may be equal".to_owned());
        let ordered = Situation { one_writer: why, ..situation() };
        check(&slow, &ordered, "write", "one writer takes all rows: texts may be equal; --staging");
        let replaying = Situation { retry_seconds: 3.0, ..situation() };
        check(&stages(0.1, 0.0, 0.2, 0.1), &replaying, "write", "undone and sent again");
    }

    #[test]
    fn the_advice_for_slow_commits_follows_from_their_reason() {
        let slow = stages(1.0, 0.0, 1.0, 2.9);
        let with = |ends| Situation { ends, ..situation() };
        let none = UnitEnds::default();
        check(&slow, &with(UnitEnds { rows: 9, input: 1, ..none }), "commit", "--commit-rows");
        check(&slow, &with(UnitEnds { bytes: 9, input: 1, ..none }), "commit", "--commit-bytes");
        check(&slow, &with(UnitEnds { age: 9, input: 1, ..none }), "commit", "--commit-every");
        check(&slow, &with(UnitEnds { memory: 9, input: 1, ..none }), "commit", "--memory-limit");
        check(&slow, &with(UnitEnds { input: 1, ..none }), "commit", "at the end");
        let shrunk = Situation { has_shrunk: true, ..with(UnitEnds { rows: 9, ..none }) };
        check(&slow, &shrunk, "commit", "ran out");
    }
}
