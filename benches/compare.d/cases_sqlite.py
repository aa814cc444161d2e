"""SQLite: fastload beside `sqlite3 .import`, beside its own sink fed from memory, and beside the old
pipeline."""
import contextlib
import functools
import sqlite3

import data
from context import Group
from running import NotRun, Run, check

JOURNAL_OFF = ("PRAGMA journal_mode=off", "PRAGMA synchronous=off")


def sums(path):
    """Rows and sums of the table; balances are texts in all of them."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        row = connection.execute(
            "SELECT count(*), sum(account_id), sum(CAST(round(balance * 100) AS INTEGER)), "
            "coalesce(sum(length(memo)), 0) FROM accounts").fetchone()
    return dict(zip(("rows", "account_id", "cents", "memo_characters"), row))


class Cases:
    """Contenders on one file; each makes its database anew and throws it away."""

    def __init__(self, context, path, truth):
        self.context, self.path, self.truth = context, path, truth

    @functools.cached_property
    def table(self):
        """The table that fastload makes, as SQL: others load into the same one, because the affinity
        of a column decides what storing a value costs."""
        few, truth = self.context.accounts(rows=1)
        database = self.context.work / "table.db"
        self.remove(database)
        try:
            self.context.load(few, truth, "--schema", data.ACCOUNTS_SCHEMA, "--to",
                              f"sqlite:{database}")
            with contextlib.closing(sqlite3.connect(database)) as connection:
                return connection.execute(
                    "SELECT sql FROM sqlite_master WHERE name = 'accounts'").fetchone()[0]
        finally:
            self.remove(database)

    def checked(self, name, load):
        database = self.context.work / f"{name}.db"
        self.remove(database)
        try:
            measured = load(database)
            check(name, sums(database), self.truth)
            return measured
        finally:
            self.remove(database)

    @staticmethod
    def remove(database):
        for suffix in ("", "-wal", "-shm", "-journal"):
            database.with_name(database.name + suffix).unlink(missing_ok=True)

    def fastload(self, name, *flags):
        return self.checked(name, lambda database: self.context.load(
            self.path, self.truth, "--schema", data.ACCOUNTS_SCHEMA, "--to", f"sqlite:{database}",
            *flags))

    def fastload_off(self, name):
        flags = [word for sql in JOURNAL_OFF for word in ("--session-sql", sql)]
        if "--restart" in self.context.load_help:
            flags += ["--restart", "off"]
        return self.fastload(name, *flags)

    def step(self, step, name):
        return self.checked(name, lambda database: self.context.step(
            step, self.path, "--schema", data.ACCOUNTS_SCHEMA, "--to", f"sqlite:{database}"))

    def null(self, name):
        """The rows as they are bound for the database, into nothing."""
        database = self.context.work / f"{name}.db"
        self.remove(database)
        measured = self.context.step("null", self.path, "--schema", data.ACCOUNTS_SCHEMA,
                                     "--to", f"sqlite:{database}")
        self.remove(database)
        check(name, {"rows": measured.figures["records"]}, {"rows": self.truth["rows"]})
        return measured

    def sqlite3_import(self, name, *pragmas):
        def load(database):
            with contextlib.closing(sqlite3.connect(database)) as connection:
                connection.execute(self.table)
            done = self.context.run(["sqlite3", database, *pragmas,
                                     f".import --csv --skip 1 {self.path} accounts"])
            return Run(done.wall_seconds, done.cpu_seconds, done.peak_bytes)

        return self.checked(name, load)

    def old_pipeline(self, name):
        def load(database):
            done = self.context.run([self.context.python,
                                     self.context.here / "python/old_pipeline.py", "sqlite",
                                     self.path, database])
            found = done.json()
            return Run(found["seconds"], done.cpu_seconds, done.peak_bytes)

        return self.checked(name, load)


def groups(context):
    def start(wanted):
        path, truth = context.accounts(rows=context.sizes.sink_rows)
        cases = Cases(context, path, truth)
        return {
            "fastload-sqlite": lambda: cases.fastload("fastload-sqlite"),
            "sqlite3-import": lambda: cases.sqlite3_import("sqlite3-import"),
            "fastload-sqlite-off": lambda: cases.fastload_off("fastload-sqlite-off"),
            "sqlite3-import-off": lambda: cases.sqlite3_import("sqlite3-import-off", *JOURNAL_OFF),
            "sqlite-from-file": lambda: cases.step("load", "sqlite-from-file"),
            "sqlite-from-memory": lambda: cases.step("sink", "sqlite-from-memory"),
            "sqlite-null": lambda: cases.null("sqlite-null"),
        }

    def start_slow(wanted):
        if not context.python.exists():
            raise NotRun("scripts/install peers has not been run")
        path, truth = context.accounts(rows=context.sizes.slow_rows)
        cases = Cases(context, path, truth)
        return {
            "fastload-sqlite-slow-peers": lambda: cases.fastload_off("fastload-slow"),
            "old-sqlite": lambda: cases.old_pipeline("old-sqlite"),
        }

    names = ("fastload-sqlite", "sqlite3-import", "fastload-sqlite-off", "sqlite3-import-off",
             "sqlite-from-file", "sqlite-from-memory", "sqlite-null")
    return [Group("sqlite", names, start, close=True),
            Group("sqlite-slow", ("fastload-sqlite-slow-peers", "old-sqlite"), start_slow)]
