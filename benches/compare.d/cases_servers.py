"""PostgreSQL and MariaDB: fastload over ODBC beside the servers' own loaders, beside its own sink fed
from memory, beside pgloader and the old pipeline."""
import os

import databases
from context import TABLE, Group
from running import NotRun, Run, check

LOAD_DATA = (
    "LOAD DATA LOCAL INFILE '{path}' INTO TABLE accounts CHARACTER SET utf8mb4 "
    "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' LINES TERMINATED BY '\\n' "
    "IGNORE 1 LINES (account_id, branch, @name, @balance, currency, opened, @last_txn, status, "
    "@rate, @memo) SET customer_name = nullif(@name, ''), balance = nullif(@balance, ''), "
    "last_txn = nullif(@last_txn, ''), rate = nullif(@rate, ''), memo = nullif(@memo, '')")

PGLOADER = """\
LOAD CSV FROM '{path}' ({columns})
INTO postgresql://{user}:{password}@{host}:{port}/{database}?tablename=accounts
  (account_id, branch, customer_name, balance, currency, opened, last_txn, status, rate, memo)
WITH skip header = 1, fields optionally enclosed by '"', fields escaped by double-quote,
  fields terminated by ',', batch rows = 25000;
"""
COLUMNS = ("account_id", "branch", "customer_name", "balance", "currency", "opened", "last_txn",
           "status", "rate", "memo")
# Those that are empty in some rows. Who must be told which empty fields are NULL, is told of no other.
EMPTY = ("customer_name", "balance", "last_txn", "rate", "memo")


# By COPY of the feature postgresql-copy, with two writers and with one.
NATIVE = ("fastload-postgresql-native", "fastload-postgresql-native-1")
# The same with two on the file of the slow peers.
SLOW_NATIVE = "fastload-postgresql-slow-native"


class Cases:
    """Contenders on one file into one server; each load goes into a new table."""

    def __init__(self, context, database, path, truth):
        self.context, self.database = context, database
        self.path, self.truth = path, truth

    def checked(self, name, load):
        databases.new_accounts(self.database)
        measured = load()
        check(name, databases.sums(self.database), self.truth)
        return measured

    def fastload(self, name, *flags):
        return self.checked(name, lambda: self.context.load(
            self.path, self.truth, *flags, to=databases.url(self.database)))

    def by_copy(self, name, writers):
        if "--copy" not in self.context.load_help:
            raise NotRun("fastload was built without the feature postgresql-copy")
        return self.fastload(name, "--copy", "-w", writers)

    def step(self, step, name):
        return self.checked(name, lambda: self.context.step(
            step, self.path, to=databases.url(self.database)))

    def null(self, name):
        """The rows as they are bound for the database, into nothing."""
        databases.new_accounts(self.database)
        measured = self.context.step("null", self.path, to=databases.url(self.database))
        check(name, {"rows": measured.figures["records"]}, {"rows": self.truth["rows"]})
        return measured

    def command(self, name, words, **more):
        def load():
            done = self.context.run(words, **more)
            return Run(done.wall_seconds, done.cpu_seconds, done.peak_bytes)

        return self.checked(name, load)

    def own_loader(self, name):
        if self.database == "postgresql":
            text = f"\\copy {TABLE} from '{self.path}' csv header"
        else:
            text = LOAD_DATA.format(path=self.path)
        return self.command(name, [*databases.client(self.database), text])

    def pgloader(self, name):
        script = self.context.work / "pgloader.load"
        script.touch(mode=0o600)
        script.write_text(PGLOADER.format(
            path=self.path, columns=", ".join(
                f"{column} [null if blanks]" if column in EMPTY else column for column in COLUMNS),
            user=os.environ["PGUSER"], password=os.environ["PGPASSWORD"],
            host=os.environ["PGHOST"], port=os.environ["PGPORT"],
            database=os.environ["PGDATABASE"]))
        root = ["--root-dir", self.context.work / "pgloader"]
        return self.command(name, ["pgloader", "--quiet", *root, script])

    def old_pipeline(self, name):
        # pyodbc's arrays end in a MemoryError with MariaDB's driver.
        fast = ["fast"] if self.database == "postgresql" else []
        connection = os.environ[databases.URL[self.database]]
        if self.database == "postgresql":
            connection += ";BoolsAsChar=0"
        words = [self.context.python, self.context.here / "python/old_pipeline.py", "odbc",
                 self.path, connection, *fast]

        def load():
            done = self.context.run(words)
            return Run(done.json()["seconds"], done.cpu_seconds, done.peak_bytes)

        return self.checked(name, load)


def groups(context):
    def quick_start(database):
        def start(wanted):
            context.use_databases()
            path, truth = context.accounts(rows=context.sizes.sink_rows)
            cases = Cases(context, database, path, truth)
            own = "psql-copy" if database == "postgresql" else "mariadb-load-data"
            two = f"fastload-{database}-2"
            found = {
                own: lambda: cases.own_loader(own),
                two: lambda: cases.fastload(two, "-w", "2"),
                f"{database}-from-file": lambda: cases.step("load", f"{database}-from-file"),
                f"{database}-from-memory": lambda: cases.step("sink", f"{database}-from-memory"),
            }
            found[f"{database}-null"] = lambda: cases.null(f"{database}-null")
            one = f"fastload-{database}-1"
            found[one] = lambda: cases.fastload(one, "-w", "1")
            if database == "postgresql":
                native, native_1 = NATIVE
                found[native] = lambda: cases.by_copy(native, "2")
                found[native_1] = lambda: cases.by_copy(native_1, "1")
            return found

        return start

    def slow_start(database):
        def start(wanted):
            context.use_databases()
            path, truth = context.accounts(rows=context.sizes.slow_rows)
            cases = Cases(context, database, path, truth)
            own, old = f"fastload-{database}-slow-peers", f"old-{database}"
            found = {own: lambda: cases.fastload(own, "-w", "2"), old: lambda: cases.old_pipeline(old)}
            if database == "postgresql":
                found["pgloader"] = lambda: cases.pgloader("pgloader")
                found[SLOW_NATIVE] = lambda: cases.by_copy(SLOW_NATIVE, "2")
            return found

        return start

    made = []
    for database, own in (("postgresql", "psql-copy"), ("mariadb", "mariadb-load-data")):
        names = (own, f"fastload-{database}-1", f"fastload-{database}-2", f"{database}-from-file",
                 f"{database}-from-memory", f"{database}-null", *(NATIVE if database == "postgresql" else ()))
        slow = (f"fastload-{database}-slow-peers", f"old-{database}",
                *(("pgloader", SLOW_NATIVE) if database == "postgresql" else ()))
        made += [Group(database, names, quick_start(database), close=True),
                 Group(f"{database}-slow", slow, slow_start(database))]
    return made
