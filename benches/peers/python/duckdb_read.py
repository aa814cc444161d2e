"""DuckDB's typed read_csv, an aggregate over every column: duckdb_read.py FILE THREADS SPEC.

SPEC is JSON: {"columns": {name: type}, "delimiter": ",", "header": true, "sums": [name...]}.
Prints one line of JSON. The time is that of the query alone, without starting the process.
"""
import json
import sys
import time

import duckdb

path, threads, spec = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])


def aggregate(name, kind):
    if name in spec["sums"]:
        return f"sum({name})"
    if kind == "VARCHAR":
        return f"sum(strlen({name}))"
    return f"max({name})" if kind in ("DATE", "TIMESTAMP") else f"sum({name})"


connection = duckdb.connect()
connection.execute(f"SET threads={threads}; SET enable_progress_bar=false; "
                   "SET preserve_insertion_order=false")
aggregates = ", ".join(aggregate(*column) for column in spec["columns"].items())
quote = '"' if spec["delimiter"] == "," else ""
started, cpu = time.perf_counter(), time.process_time()
row = connection.execute(
    f"""SELECT count(*), {aggregates} FROM read_csv(?, auto_detect=false, header=?, delim=?,
        quote=?, escape=?, nullstr='', columns=?)""",
    [path, spec["header"], spec["delimiter"], quote, quote, spec["columns"]]).fetchone()
answer = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu,
          "rows": row[0]}
for name, value in zip(spec["columns"], row[1:]):
    if name in spec["sums"]:
        answer[name] = str(value)
print(json.dumps(answer))
