"""The table of bars: what is held against what, and what is asked.

A bar names contenders (see the cases_*.py) and a figure of their runs. Its value is `over` divided by
`under`, pair by pair in the order of the rounds; without `under` it is the figure itself. Where `under`
has several names, it is the sum of theirs; with `under_figure` that figure of theirs. Where `over`
has several names, all must meet the bar: the value is that of the one nearest to it.
"""
import dataclasses

MIB = 2**20
# Names of the files into nothing and SQLite.
SIZES = ("small", "middle", "large")

# Bars nearer to 1 than this are decided by the bound of the interval, and take more pairs.
CLOSE = 1.15
CLOSE_PAIRS = 9
PAIRS = 5


@dataclasses.dataclass(frozen=True)
class Bar:
    name: str
    what: str
    over: tuple
    under: str | tuple | None = None
    figure: str = "seconds"
    bar: float | None = None
    aim: float | None = None
    more_is_better: bool = True
    unit: str = "x"
    scale: float = 1.0
    # What is taken of the runs below, if it is another figure.
    under_figure: str | None = None
    # A bar whose value is another program's answer as it is.
    not_built: str | None = None

    @property
    def is_close(self):
        """Whether the bound of the interval decides: times scatter; a peak is measured once."""
        of_times = self.figure in ("seconds", "seconds_per_gb")
        return of_times and self.bar is not None and self.bar <= CLOSE

    def below(self):
        """Names of `under`."""
        if not self.under:
            return ()
        return (self.under,) if isinstance(self.under, str) else self.under

    def contenders(self):
        return {*self.over, *self.below()}


def faster(name, what, peers, own, bar=None, aim=None):
    """The peer's time over ours."""
    return Bar(name, what, tuple(peers), own, bar=bar, aim=aim)


def at_most(name, what, own, other, bar, aim=None):
    """Our time over another's."""
    return Bar(name, what, (own,), other, bar=bar, aim=aim, more_is_better=False)


def no_more_than(name, what, of, figure, bar, aim=None, unit="MiB", scale=MIB):
    return Bar(name, what, tuple(of), figure=figure, bar=bar, aim=aim, more_is_better=False,
               unit=unit, scale=scale)


PARSE = (
    faster("parse-arrow", "parse, 1 thread, against the better of pyarrow streaming and arrow-csv",
           ["pyarrow", "arrow-csv"], "fastload-parse-1", 3.0, 5.0),
    faster("parse-duckdb", "parse, 1 thread, against DuckDB read_csv, aggregate of all ten columns",
           ["duckdb-1"], "fastload-parse-1", 3.5, 6.0),
    faster("parse-duckdb-2", "parse, 2 threads, against DuckDB threads=2",
           ["duckdb-2"], "fastload-parse-2", 3.7, 6.0),
    faster("parse-scaling", "parse, 2 threads against own 1 thread",
           ["fastload-parse-1"], "fastload-parse-2", 1.85, 1.95),
    faster("parse-simd-csv", "parse against simd-csv's reader followed by conversions",
           ["simd-csv"], "fastload-parse-1", 1.3, 1.8),
    at_most("parse-index", "parse time over the field index (AVX-512) of the same bytes",
            "fastload-parse-1", "field-index", 5.0, 3.0),
    faster("start-duckdb", "whole process on 10 MB, parse only, against DuckDB",
           ["duckdb-10mb"], "fastload-10mb", 10, 14),
    faster("start-pyarrow", "whole process on 10 MB, parse only, against pyarrow",
           ["pyarrow-10mb"], "fastload-10mb", 10, 14),
    faster("lineitem-duckdb", "TPC-H lineitem .tbl, 1 thread, against DuckDB",
           ["duckdb-lineitem"], "fastload-lineitem"),
    faster("lineitem-pyarrow", "TPC-H lineitem .tbl, 1 thread, against pyarrow streaming",
           ["pyarrow-lineitem"], "fastload-lineitem"),
    faster("numeric-duckdb", "all-numeric file, 1 thread, against DuckDB",
           ["duckdb-numeric"], "fastload-numeric"),
    faster("numeric-pyarrow", "all-numeric file, 1 thread, against pyarrow streaming",
           ["pyarrow-numeric"], "fastload-numeric"),
)

SINKS = (
    at_most("sqlite-overlap", "file to SQLite over the same rows from memory, same binds",
            "sqlite-from-file", "sqlite-from-memory", 1.05, 1.03),
    at_most("postgresql-overlap", "file to PostgreSQL over the same sink fed from memory",
            "postgresql-from-file", "postgresql-from-memory", 1.05, 1.02),
    at_most("mariadb-overlap", "file to MariaDB over the same sink fed from memory",
            "mariadb-from-file", "mariadb-from-memory", 1.05, 1.02),
    *(Bar(f"idle-{database}",
          f"CPU of a load into {words} over that of parsing alone and of the sink from memory, added",
          (f"{database}-from-file",), (f"{database}-null", f"{database}-from-memory"),
          figure="step_cpu_seconds", bar=1.2, more_is_better=False)
      for database, words in (("sqlite", "SQLite"), ("postgresql", "PostgreSQL"),
                              ("mariadb", "MariaDB"))),
    faster("sqlite-import", "SQLite against sqlite3 .import, defaults on both sides",
           ["sqlite3-import"], "fastload-sqlite", 3.0, 3.6),
    faster("sqlite-import-off", "SQLite against sqlite3 .import, journal off, --restart off",
           ["sqlite3-import-off"], "fastload-sqlite-off", 3.5, 4.2),
    faster("postgresql-copy-1", r"PostgreSQL over ODBC against \copy csv, 1 writer",
           ["psql-copy"], "fastload-postgresql-1", 0.50, 0.6),
    faster("postgresql-copy-2", r"PostgreSQL over ODBC against \copy csv, 2 writers",
           ["psql-copy"], "fastload-postgresql-2", 0.85, 1.0),
    faster("postgresql-native", r"PostgreSQL with a native COPY sink (--copy, 2 writers) against \copy",
           ["psql-copy"], "fastload-postgresql-native", 1.3, 1.8),
    faster("postgresql-native-1", r"PostgreSQL with a native COPY sink (--copy, 1 writer) against \copy",
           ["psql-copy"], "fastload-postgresql-native-1"),
    faster("mariadb-load-data", "MariaDB over ODBC against LOAD DATA LOCAL",
           ["mariadb-load-data"], "fastload-mariadb-2", 1.15, 1.3),
    faster("postgresql-pgloader", "PostgreSQL over ODBC against pgloader",
           ["pgloader"], "fastload-postgresql-slow-peers", 12, 15),
    faster("postgresql-pgloader-native", "PostgreSQL with a native COPY sink (--copy) against pgloader",
           ["pgloader"], "fastload-postgresql-slow-native", 12, 15),
    faster("sqlite-old", "SQLite against the old pipeline's architecture, journal off on both sides",
           ["old-sqlite"], "fastload-sqlite-slow-peers", 12, 15),
    faster("postgresql-old", "PostgreSQL over ODBC against the old pipeline's architecture",
           ["old-postgresql"], "fastload-postgresql-slow-peers", 12, 15),
    faster("postgresql-old-native",
           "PostgreSQL with a native COPY sink (--copy) against the old pipeline's architecture",
           ["old-postgresql"], "fastload-postgresql-slow-native", 12, 15),
    faster("mariadb-old", "MariaDB against the old pipeline's architecture",
           ["old-mariadb"], "fastload-mariadb-slow-peers", 12, 15),
    Bar("db2-bare", "Db2 rig, client CPU a row over bare SQLExecute on prefilled arrays",
        ("db2-bare-loop",), figure="ratio", bar=1.3, aim=1.1, more_is_better=False),
    Bar("db2-ibm-db", "Db2 rig, CPU of ibm_db, one row an execute, over fastload's",
        ("db2-ibm-db",), figure="ratio", bar=25),
)

MEMORY = (
    no_more_than("memory-null", "peak resident memory into nothing, all sizes",
                 [f"memory-null-{size}" for size in SIZES], "peak_bytes", 64, 32),
    no_more_than("memory-sqlite", "peak resident memory into SQLite, all sizes",
                 [f"memory-sqlite-{size}" for size in SIZES], "peak_bytes", 64, 32),
    *(no_more_than(f"memory-{database}",
                   f"peak resident memory into {words}, both sizes, above the connected, idle process",
                   [f"memory-{database}-{size}" for size in ("small", "large")],
                   "above_idle_bytes", 64, 32)
      for database, words in (("postgresql", "PostgreSQL"), ("mariadb", "MariaDB"),
                              ("db2", "the Db2 rig"))),
    *(Bar(f"memory-growth-{place}", f"peak resident memory into {words}, largest size over smallest",
          (f"memory-{place}-large",), f"memory-{place}-small", figure="peak_bytes", bar=1.1,
          more_is_better=False)
      for place, words in (("null", "nothing"), ("sqlite", "SQLite"), ("postgresql", "PostgreSQL"),
                           ("mariadb", "MariaDB"), ("db2", "the Db2 rig"))),
)

# SQLite is a part of the process. What is left without it is what the load into nothing takes of the
# load's time: the calls that bind values are the database's.
SQLITE_CLIENT = Bar(
    "cpu-sqlite-client",
    "SQLite: CPU of the same load into nothing, so without the database in the process, "
    "share of a core a parser thread",
    ("sqlite-null",), "sqlite-from-file", figure="step_cpu_seconds", under_figure="seconds", bar=80,
    more_is_better=False, unit="%", scale=0.01)

SINK_FIGURES = tuple(
    bar
    for contender, words in (("fastload-sqlite", "SQLite"), ("fastload-postgresql-2", "PostgreSQL"),
                             ("fastload-mariadb-2", "MariaDB"), ("memory-db2-large", "the Db2 rig"))
    for bar in (
        no_more_than(f"latency-{contender}", f"{words}: batch latency p99",
                     [contender], "batch_p99_ms", 100, 50, "ms", 1),
        no_more_than(f"cpu-{contender}", f"{words}: CPU of the process, share of a core a parser thread",
                     [contender], "cpu_share", 80, None, "%", 0.01),
        Bar(f"rate-{contender}", f"{words}: records/s", (contender,), figure="rows_per_second",
            bar=10_000, unit="rows/s"),
    )
)

COLD_AND_GROWTH = (
    faster("cold-read", "cold read, share of the best raw reader in the same run",
           ["raw-read", "raw-mmap", "raw-direct"], "fastload-cold-read", 0.90, 0.97),
    faster("cold-auto", "cold read by --io auto, share of the best of its ways in the same run",
           [f"fastload-cold-by-{io}" for io in ("mmap", "read", "uring")], "fastload-cold-read",
           0.95),
    at_most("cold-parse", "cold parse over warm parse, 1 thread",
            "fastload-cold-parse", "fastload-warm-parse", 1.10, 1.05),
    Bar("growth-size", "time per GB, largest file over smallest, into nothing",
        ("growth-large",), "growth-small", figure="seconds_per_gb", bar=1.1, more_is_better=False),
    *(Bar(f"growth-{name}", f"{words}: time per MB over that of the accounts file",
          (f"growth-{name}",), plain, figure="seconds_per_gb", more_is_better=False)
      for name, words, plain in (
          ("one-row-batches", "batches of one row", "growth-plain"),
          ("wide", "10,000 columns", "growth-plain-large"),
          ("large-fields", "fields of 1 MB", "growth-plain-large"),
          ("one-row-batches-sqlite", "batches of one row into SQLite", "growth-plain-sqlite"))),
)

BARS = (*PARSE, *SINKS, SQLITE_CLIENT, *SINK_FIGURES, *MEMORY, *COLD_AND_GROWTH)
