"""The Db2 rig: the programs that measure there are called, each with its own checks."""
import re

from context import REPOSITORY, Group
from running import NotRun, Run, WrongAnswer

# "1.02 (1.00 to 1.22)", the form in which they print a median and its range.
SPREAD = re.compile(r"([\d.,]+) \(([\d.,]+) to ([\d.,]+)\)")
# What they end with when the server holds other rows than were sent.
WRONG = ("assertion", "the server has", "fastload reports")


def last_ratio(done):
    found = SPREAD.findall(done.output)
    if not found:
        is_wrong = any(words in done.errors for words in WRONG)
        failure = WrongAnswer if is_wrong else NotRun
        raise failure(f"no ratio was printed: {' '.join(done.errors.split())[-200:]}")
    return [float(text.replace(",", "")) for text in found[-1]]


def as_run(done):
    middle, low, high = last_ratio(done)
    return Run(done.wall_seconds, done.cpu_seconds, done.peak_bytes,
               {"ratio": middle, "ratio_low": low, "ratio_high": high})


def groups(context):
    def start(wanted):
        context.use_databases()
        rounds, rows = str(context.sizes.odbc_rounds), str(context.sizes.db2_rows)
        # They end with 1 when their bar is missed; the table says that too.
        return {
            "db2-bare-loop": lambda: as_run(context.run(
                ["cargo", "bench", "--locked", "--quiet", "--manifest-path", REPOSITORY / "Cargo.toml",
                 "--features", "postgresql-copy", "--bench", "odbc", "--",
                 "--rounds", rounds, "--batches", "8", "--columns", "10"],
                statuses=(0, 1, 101))),
            "db2-ibm-db": lambda: as_run(context.run(
                [REPOSITORY / "benches/peers-db2", "--rows", rows, "--pairs", "3", "--python",
                 context.python], environment={"FASTLOAD_BINARY": str(context.fastload_path)},
                statuses=(0, 1))),
        }

    return [Group("db2", ("db2-bare-loop", "db2-ibm-db"), start, warm_up=False, rounds=1)]
