#!/usr/bin/env python3
"""What a loaded TPC-H table must hold, computed from its .tbl file without fastload.

    facts.py TABLE FILE > facts.json

Python's csv and decimal only. The facts: number of rows, exact sum of every numeric column,
smallest and largest value of every key column (BIGINT) and date, and a digest of all rows, every
cell included, that does not depend on their order.
"""

import csv
import decimal
import hashlib
import json
import pathlib
import re
import sys

# Sums of 15-digit decimals over billions of rows stay exact.
decimal.getcontext().prec = 60

DIGEST_BITS = 256


def canonical(value, text):
    """A DECIMAL(15,2) with both its fraction digits: 17 in the file is 17.00 in a table."""
    padded = f"{value:.2f}"
    return padded if decimal.Decimal(padded) == value else text


def columns(table):
    """Names and types of a table's columns, in file order."""
    ddl = (pathlib.Path(__file__).parent / "schema" / f"{table}.ddl").read_text()
    return re.findall(r"^(\w+) (\w+)", ddl, re.MULTILINE)


def compute(table, rows):
    """The facts of `rows`: sequences of texts as they stand in a .tbl file."""
    described = columns(table)
    sums = {n: decimal.Decimal(0) for n, t in described if t in ("BIGINT", "INTEGER", "DECIMAL")}
    low, high = {}, {}
    digest = count = 0
    for row in rows:
        if len(row) != len(described):
            raise ValueError(f"{table}, row {count + 1}: {len(row)} fields, not {len(described)}")
        count += 1
        cells = list(row)
        for index, ((name, kind), text) in enumerate(zip(described, row)):
            if name in sums:
                value = decimal.Decimal(text)
                sums[name] += value
                if kind == "DECIMAL":
                    cells[index] = canonical(value, text)
            if kind in ("BIGINT", "DATE"):
                key = int(text) if kind == "BIGINT" else text
                low[name] = min(low.get(name, key), key)
                high[name] = max(high.get(name, key), key)
        line = hashlib.sha256("|".join(cells).encode()).digest()
        digest = (digest + int.from_bytes(line)) % (1 << DIGEST_BITS)
    return {
        "rows": count,
        "sum": {name: str(value) for name, value in sums.items()},
        "min": {name: str(value) for name, value in low.items()},
        "max": {name: str(value) for name, value in high.items()},
        "digest": f"{digest:x}",
    }


def file_rows(path):
    """Rows of a .tbl file, without the empty field behind the last delimiter."""
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE):
            if row.pop() != "":
                raise ValueError(f"{path}: a row does not end in a delimiter")
            yield row


if __name__ == "__main__":
    json.dump(compute(sys.argv[1], file_rows(sys.argv[2])), sys.stdout, indent=1)
    print()
