#!/usr/bin/env python3
"""Compares what stands in a database with the facts of the file it was loaded from.

    compare.py TABLE FACTS.json sqlite PATH
    compare.py TABLE FACTS.json postgresql|mariadb

The rows are read with the database's own client (psql, mariadb; Python's sqlite3), in their
printed form, and the facts are computed anew from them. PostgreSQL and MariaDB are asked for
the sums as well, so that a misread cannot hide a wrong value. Connections come from the
environment that `scripts/databases env` prints. Exit status 1 and a line for each difference.
"""

import decimal
import json
import os
import pathlib
import sqlite3
import subprocess
import sys

import facts

FIELD_SEPARATOR = "|"


def sqlite_rows(path, table):
    """Rows of an SQLite table as texts; a float is an error, because no column may be one."""
    with sqlite3.connect(pathlib.Path(path).resolve().as_uri() + "?mode=ro", uri=True) as connection:
        for row in connection.execute(f'SELECT * FROM "{table}"'):
            if any(isinstance(value, float) for value in row):
                raise ValueError(f"{table} in sqlite: a decimal is stored as a float: {row}")
            yield [str(value) for value in row]


def client(kind, sql):
    """Lines that a database's client prints for a query."""
    command = {
        "postgresql": ["psql", "-X", "-At", "-F", FIELD_SEPARATOR, "-v", "FETCH_COUNT=10000", "-c"],
        "mariadb": [
            "mariadb",
            f"--defaults-file={os.environ.get('FASTLOAD_TEST_MARIADB_CNF', '')}",
            "--quick",
            "-N",
            "-B",
            "-e",
        ],
    }[kind]
    with subprocess.Popen([*command, sql], stdout=subprocess.PIPE, encoding="utf-8") as process:
        yield from (line.rstrip("\n") for line in process.stdout)
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")


def client_rows(kind, table):
    """Rows as texts; the blanks that pad CHAR columns are not part of the value."""
    padded = [kind_ == "CHAR" for _, kind_ in facts.columns(table)]
    separator = FIELD_SEPARATOR if kind == "postgresql" else "\t"
    for line in client(kind, f"SELECT * FROM {table}"):
        fields = line.split(separator)
        yield [t.rstrip(" ") if pad else t for t, pad in zip(fields, padded, strict=True)]


def database_sums(kind, table, names):
    """Sums as the database computes them; both have exact decimals."""
    sql = "SELECT " + ", ".join(f"SUM({name})" for name in names) + f" FROM {table}"
    (line,) = client(kind, sql)
    return dict(zip(names, line.split(FIELD_SEPARATOR if kind == "postgresql" else "\t")))


def differences(expected, found):
    """One line for each fact that differs; equal numbers may be written differently."""
    for fact, wanted in expected.items():
        pairs = wanted.items() if isinstance(wanted, dict) else [("", wanted)]
        for name, value in pairs:
            other = found[fact][name] if name else found[fact]
            equal = value == other
            if fact == "sum":
                equal = decimal.Decimal(value) == decimal.Decimal(other)
            if not equal:
                yield f"{fact} {name}: the file has {value}, the table {other}"


def main():
    """Runs the comparison that the arguments name."""
    table, facts_path, kind = sys.argv[1:4]
    with open(facts_path, encoding="utf-8") as file:
        expected = json.load(file)
    if kind == "sqlite":
        found = facts.compute(table, sqlite_rows(sys.argv[4], table))
        wrong = list(differences(expected, found))
    else:
        found = facts.compute(table, client_rows(kind, table))
        wrong = list(differences(expected, found))
        sums = database_sums(kind, table, list(expected["sum"]))
        wrong += differences({"sum": expected["sum"]}, {"sum": sums})
    for line in wrong:
        print(f"{table} in {kind}: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
