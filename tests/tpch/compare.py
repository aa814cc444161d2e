#!/usr/bin/env python3
"""Compares what stands in a database with the facts of the file it was loaded from.

    compare.py TABLE FACTS.json sqlite PATH
    compare.py TABLE FACTS.json postgresql|mariadb
    compare.py TABLE FACTS.json db2 FILE

The rows are read with the database's own client (psql, mariadb; Python's sqlite3; Derby's ij, which
has the server write them to a file), in their printed form, and the facts are computed anew from
them. The servers are asked for the sums as well, so that a misread cannot hide a wrong value. Behind
IBM's driver every cell is also compared with the file's, so that a difference is named. Connections
come from the environment that `scripts/databases env` prints. Exit status 1 and a line for each
difference.
"""

import decimal
import itertools
import json
import os
import pathlib
import sqlite3
import subprocess
import sys

import derby
import facts

FIELD_SEPARATOR = "|"

# The columns that order a table as its file is ordered.
KEYS = {
    "lineitem": "l_orderkey, l_linenumber",
    "orders": "o_orderkey",
    "customer": "c_custkey",
    "accounts": "account_id",
}

# Differing cells to name before the rest is left unread.
CELLS_SHOWN = 10


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


def db2_rows(table):
    """Rows in the file's order, as texts and None; without the blanks that pad CHAR columns."""
    padded = [kind == "CHAR" for _, kind in facts.columns(table)]
    for row in derby.query(f"SELECT * FROM {table} ORDER BY {KEYS[table]}"):
        yield [t.rstrip(" ") if pad and t else t for t, pad in zip(row, padded, strict=True)]


def cell_differences(table, expected, found):
    """One line for each cell that differs, the first ones only."""
    described = facts.columns(table)
    nothing = [None] * len(described)
    pairs = itertools.zip_longest(expected, found, fillvalue=nothing)
    for number, (wanted, stored) in enumerate(pairs, start=1):
        for (name, kind), one, other in zip(described, wanted, stored):
            if facts.canonical(kind, one) != facts.canonical(kind, other):
                yield f"row {number}, {name}: the file has {one!r}, the table {other!r}"


def client_rows(kind, table):
    """Rows as texts; the blanks that pad CHAR columns are not part of the value."""
    padded = [kind_ == "CHAR" for _, kind_ in facts.columns(table)]
    separator = FIELD_SEPARATOR if kind == "postgresql" else "\t"
    for line in client(kind, f"SELECT * FROM {table}"):
        fields = line.split(separator)
        yield [t.rstrip(" ") if pad else t for t, pad in zip(fields, padded, strict=True)]


def database_sums(kind, table, names):
    """Sums as the database computes them; all have exact decimals."""
    if kind == "db2":
        # The sum of SMALLINTs is one, and overflows.
        sums = ", ".join(f"SUM(CAST({name} AS DECIMAL(31, 2)))" for name in names)
        (row,) = derby.query(f"SELECT {sums} FROM {table}")
        return dict(zip(names, row))
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
        rows = list(db2_rows(table)) if kind == "db2" else client_rows(kind, table)
        found = facts.compute(table, rows)
        wrong = list(differences(expected, found))
        if kind == "db2":
            cells = cell_differences(table, facts.file_rows(sys.argv[4]), rows)
            wrong += itertools.islice(cells, CELLS_SHOWN)
        sums = database_sums(kind, table, list(expected["sum"]))
        wrong += differences({"sum": expected["sum"]}, {"sum": sums})
    for line in wrong:
        print(f"{table} in {kind}: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
