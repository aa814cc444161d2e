"""What all cases share: sizes, programs, files with their truth, and fastload itself."""
import dataclasses
import functools
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable

import data
from bars import CLOSE_PAIRS, PAIRS
from running import NotRun, Run, Runner, check

# The same files again and again are loads of their own.
os.environ.setdefault("FASTLOAD_RESTART", "new")
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
MB, GB = 10**6, 10**9
TABLE = "accounts"


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    name: str
    parse_bytes: int
    start_bytes: int
    sink_rows: int
    slow_rows: int
    numeric_bytes: int
    lineitem_scale: float
    file_bytes: tuple  # into nothing and SQLite
    server_bytes: tuple
    growth_bytes: tuple
    odbc_rounds: int
    db2_rows: int
    pairs: int = PAIRS
    close_pairs: int = CLOSE_PAIRS


FULL = Sizes("full", GB, 10 * MB, 1_000_000, 500_000, GB, 1.33, (GB, 4 * GB, 10 * GB),
             (100 * MB, GB), (100 * MB, 10 * GB), 9, 50_000, close_pairs=13)
QUICK = Sizes("quick", 200 * MB, 10 * MB, 200_000, 50_000, 100 * MB, 0.1,
              (100 * MB, 200 * MB, 400 * MB), (20 * MB, 100 * MB), (100 * MB, 400 * MB), 5, 10_000)
# Nothing that such sizes show is worth reading; they show that the cases work.
TINY = Sizes("tiny", 3 * MB, MB, 5_000, 2_000, MB, 0.001, (MB, MB * 3 // 2, 2 * MB), (MB, 2 * MB),
             (MB, 2 * MB), 1, 500, pairs=1, close_pairs=2)


@dataclasses.dataclass
class Group:
    """Contenders that take turns. `start` makes the ready ones from the names that are wanted."""

    name: str
    names: tuple
    start: Callable
    close: bool = False
    warm_up: bool = True
    rounds: int | None = None


class Context:
    """One run of the comparison."""

    def __init__(self, sizes, work):
        self.sizes, self.work = sizes, work
        self.results = {}
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
        self.fastload_path = pathlib.Path(
            os.environ.get("FASTLOAD_BINARY", target / "release/fastload"))
        self.here = REPOSITORY / "benches/peers"
        self.peers_path = self.here / "target/release/peers"
        self.dev = pathlib.Path(os.environ.get("FASTLOAD_DEV_DIR", REPOSITORY / ".dev"))
        self.python = self.dev / "peers-venv/bin/python"
        self.run = Runner(self.peers_path, work)
        self._truths = {}
        self._databases_started = False

    # --- files -------------------------------------------------------------------------------

    def file(self, kind, name, make):
        """A file, made when it is missing and read once, and the truth about it."""
        path = self.work / name
        if not path.exists():
            part = path.with_suffix(".part")
            make(part)
            part.rename(path)
            # Pages left by a write are single ones and map slower than those left by a read.
            data.out_of_page_cache(path)
        data.into_page_cache(path)
        if kind and name not in self._truths:
            # In another process, so that this one stays small.
            done = subprocess.run([sys.executable, data.__file__, str(path), kind], check=True,
                                  capture_output=True, text=True)
            self._truths[name] = json.loads(done.stdout)
        return path, self._truths.get(name)

    def accounts(self, *, size_bytes=None, rows=None, truth=True):
        """A file of accounts of so many bytes or rows."""
        amount = ("--size", str(size_bytes)) if size_bytes else ("--rows", str(rows))
        return self.file("accounts" if truth else None, f"accounts{''.join(amount)}.csv",
                         lambda path: self.run([self.fastload_path, "gen", *amount, "-o", path]))

    def numeric(self):
        size = self.sizes.numeric_bytes
        return self.file("numeric", f"numeric-{size}.csv",
                         lambda path: data.write_numeric(path, size))

    def lineitem(self):
        scale = self.sizes.lineitem_scale

        def make(path):
            folder = self.work / "tpch"
            self.run([self.dev / "venv/bin/tpchgen-cli", "tbl", "--quiet", "--overwrite",
                      "--scale-factor", scale, "--tables", "lineitem", "--output-dir", folder])
            (folder / "lineitem.tbl").rename(path)

        return self.file("lineitem", f"lineitem-{scale}.tbl", make)

    # --- fastload ----------------------------------------------------------------------------

    @property
    def default_parsers(self):
        """Parsers of a load that is not told how many: the rule of src/config/work.rs."""
        return min(max(len(os.sched_getaffinity(0)) - 1, 1), 8)

    @functools.cached_property
    def load_help(self):
        return self.run([self.fastload_path, "load", "--help"]).output

    def load(self, path, truth, *flags, to=None, table=TABLE, dialect=("csv", "--header")):
        """One load and its report; `to` is the target's URL, which may hold a password."""
        done = self.run([self.fastload_path, path, "--table", table, "--dialect", *dialect,
                         "--output", "json", "-q", *flags],
                        # A server's ledger outlives the table: the file would be loaded already.
                        environment={"FASTLOAD_TO": to, "FASTLOAD_RESTART": "new"} if to else None)
        report = done.json()
        totals = report["totals"]
        check("fastload's report", {"bytes": totals["bytes"], "rejected": totals["rows_rejected"]},
              {"bytes": path.stat().st_size, "rejected": 0})
        if truth:
            check("fastload's report", {"rows": totals["rows_loaded"]}, truth)
        parsers = int(flags[flags.index("-p") + 1]) if "-p" in flags else self.default_parsers
        size_gb = totals["bytes"] / GB
        return Run(done.wall_seconds, done.cpu_seconds, done.peak_bytes, {
            "rows": totals["rows_loaded"],
            "rows_per_second": report["rows_per_second"],
            "gb_per_second": size_gb / done.wall_seconds,
            "seconds_per_gb": done.wall_seconds / size_gb,
            "batch_p99_ms": report["stages"]["write"]["batch_p99_ms"],
            "cpu_share": done.cpu_seconds / done.wall_seconds / parsers,
        })

    def step(self, step, path, *flags, to=None):
        """One step of `fastload bench`, by its own clock."""
        done = self.run([self.fastload_path, "bench", path, "--steps", step, "--table", TABLE,
                         "--dialect", "csv", "--header", "--output", "json", *flags],
                        environment={"FASTLOAD_TO": to} if to else None)
        measured = done.json()[0]
        check(f"fastload bench, {step}", {"bytes": measured["bytes"]},
              {"bytes": path.stat().st_size})
        return Run(measured["seconds"], done.cpu_seconds, done.peak_bytes,
                   {"records": measured["records"], "step_cpu_seconds": measured["cpu_seconds"]})

    # --- servers -----------------------------------------------------------------------------

    def use_databases(self):
        """The environment of the servers, which are started when they are not there."""
        script = REPOSITORY / "scripts/databases"
        if subprocess.run([script, "status"], capture_output=True, check=False).returncode != 0:
            self._databases_started = True
            started = subprocess.run([script, "start"], capture_output=True, text=True, check=False)
            if started.returncode != 0:
                raise NotRun(f"the servers do not start: {started.stderr.strip()[-300:]}")
        environment = subprocess.run(
            ["bash", "-c", f'eval "$({script} env)" && env -0'], capture_output=True, check=True)
        for entry in environment.stdout.decode().split("\0"):
            key, _, value = entry.partition("=")
            if key:
                os.environ[key] = value

    def stop_databases(self):
        if self._databases_started:
            subprocess.run([REPOSITORY / "scripts/databases", "stop"], capture_output=True,
                           check=False)
