//! Which stage limits a load, from where its threads spent their time.

use crate::report::{Bottleneck, Stages};

/// Names the stage whose threads were busiest, each stage measured against its own threads.
pub(super) fn bottleneck(
    stages: &Stages,
    seconds: f64,
    parsers: usize,
    writers: usize,
) -> Bottleneck {
    #[expect(clippy::cast_precision_loss, reason = "thread counts are small")]
    let share = |busy: f64, threads: usize| busy / (seconds.max(1e-9) * threads.max(1) as f64);
    let candidates = [
        ("parse", share(stages.parse.busy_seconds, parsers), "more --parsers on more cores help"),
        (
            "write",
            share(stages.write.busy_seconds, writers),
            "the database is the limit: more --writers or a larger --batch-rows may help",
        ),
        (
            "commit",
            share(stages.commit.busy_seconds, writers),
            "commits take the time: a larger --commit-rows helps",
        ),
        (
            "input",
            share(stages.parse.input_seconds, parsers),
            "parsers wait for bytes: a faster disk or another --io helps",
        ),
        (
            "settle",
            share(stages.settle.busy_seconds, 1),
            "equal keys are looked for in the staging table: more memory for the database's sorts \
             helps",
        ),
        (
            "move",
            share(stages.r#move.busy_seconds, 1),
            "the move from the staging table takes the time: fewer indexes on the target help",
        ),
    ];
    let (stage, _, advice) = candidates
        .into_iter()
        .max_by(|(_, a, _), (_, b, _)| a.total_cmp(b))
        .expect("there are six stages");
    Bottleneck { stage: stage.to_owned(), advice: advice.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_stage_is_named() {
        let mut stages = Stages::default();
        stages.parse.busy_seconds = 1.0;
        stages.write.busy_seconds = 3.0;
        assert_eq!(bottleneck(&stages, 4.0, 2, 1).stage, "write");
        stages.commit.busy_seconds = 3.5;
        assert_eq!(bottleneck(&stages, 4.0, 2, 1).stage, "commit");
        stages.parse.busy_seconds = 7.9;
        assert_eq!(bottleneck(&stages, 4.0, 2, 1).stage, "parse");
        stages.r#move.busy_seconds = 4.0;
        assert_eq!(bottleneck(&stages, 4.0, 2, 1).stage, "move");
        stages.r#move.busy_seconds = 0.0;
        stages.parse.input_seconds = 8.0;
        assert_eq!(bottleneck(&stages, 4.0, 2, 1).stage, "input");
    }
}
