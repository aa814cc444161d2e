#!/usr/bin/env python3
"""What a loaded table must hold, computed from its file without fastload.

    facts.py TABLE FILE > facts.json

A TPC-H table from its .tbl file, or `accounts` from the .csv file of `fastload gen`. Python's csv
and decimal only. The facts: number of rows, exact sum of every numeric column, smallest and largest
value of every key column (BIGINT) and date, and a digest of all rows, every cell included, that does
not depend on their order.
"""

import csv
import decimal
import hashlib
import io
import json
import pathlib
import re
import sys

# Sums of 15-digit decimals over billions of rows stay exact.
decimal.getcontext().prec = 60

DIGEST_BITS = 256


EXACT = ("BIGINT", "INTEGER", "SMALLINT", "DECIMAL")

# A field of a .csv file: quoted with quotes doubled, or bare; bare and empty is NULL.
FIELD = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n)')


def canonical(kind, text):
    """One text for equal values: 17 is 17.00 as a DECIMAL(15,2), 1.26e-3 is 0.00126 as a DOUBLE.
    Digits beyond what a type holds stay, so that they differ."""
    if text is None:
        return "\0"
    if kind == "DECIMAL":
        value = decimal.Decimal(text)
        padded = f"{value:.2f}"
        return padded if decimal.Decimal(padded) == value else text
    if kind == "DOUBLE":
        return repr(float(text))
    if kind == "TIMESTAMP":
        moment, _, fraction = text.partition(".")
        return f"{moment}.{fraction:0<6}"
    return text


def columns(table):
    """Names and types of a table's columns, in file order."""
    ddl = (pathlib.Path(__file__).parent / "schema" / f"{table}.ddl").read_text()
    return re.findall(r"^(\w+) (\w+)", ddl, re.MULTILINE)


def compute(table, rows):
    """The facts of `rows`: sequences of texts as they stand in the file, and None for NULL."""
    described = columns(table)
    sums = {name: decimal.Decimal(0) for name, kind in described if kind in EXACT}
    low, high = {}, {}
    digest = count = 0
    for row in rows:
        if len(row) != len(described):
            raise ValueError(f"{table}, row {count + 1}: {len(row)} fields, not {len(described)}")
        count += 1
        for (name, kind), text in zip(described, row):
            if text is None:
                continue
            if name in sums:
                sums[name] += decimal.Decimal(text)
            if kind in ("BIGINT", "DATE"):
                key = int(text) if kind == "BIGINT" else text
                low[name] = min(low.get(name, key), key)
                high[name] = max(high.get(name, key), key)
        cells = (canonical(kind, text) for (_, kind), text in zip(described, row))
        line = hashlib.sha256("\x1f".join(cells).encode()).digest()
        digest = (digest + int.from_bytes(line)) % (1 << DIGEST_BITS)
    return {
        "rows": count,
        "sum": {name: str(value) for name, value in sums.items()},
        "min": {name: str(value) for name, value in low.items()},
        "max": {name: str(value) for name, value in high.items()},
        "digest": f"{digest:x}",
    }


def csv_rows(text):
    """The rows of a .csv text: texts, and None for NULL. Python's own reader does not tell NULL from
    an empty text, but must agree about everything else."""
    at, reader = 0, csv.reader(io.StringIO(text, newline=""), strict=True)
    for expected in reader:
        row = []
        while True:
            found = FIELD.match(text, at)
            quoted, bare, end = found.groups()
            row.append(quoted.replace('""', '"') if quoted is not None else bare or None)
            at = found.end()
            if end == "\n":
                break
        if [cell or "" for cell in row] != expected:
            raise ValueError(f"two readers differ: {row} and {expected}")
        yield row


def file_rows(path):
    """Rows of a file: of a .csv behind its header, of a .tbl without the empty field at the end."""
    if str(path).endswith(".csv"):
        rows = csv_rows(pathlib.Path(path).read_text(encoding="utf-8"))
        next(rows)
        yield from rows
        return
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE):
            if row.pop() != "":
                raise ValueError(f"{path}: a row does not end in a delimiter")
            yield row


if __name__ == "__main__":
    json.dump(compute(sys.argv[1], file_rows(sys.argv[2])), sys.stdout, indent=1)
    print()
