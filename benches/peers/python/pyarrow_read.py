"""pyarrow's streaming CSV reader with explicit types, one thread: pyarrow_read.py FILE SPEC.

SPEC as of duckdb_read.py. Prints one line of JSON. The time is what the batches took to come; the
sums over them are not in it.
"""
import json
import re
import sys
import time

import pyarrow
import pyarrow.compute
import pyarrow.csv

path, spec = sys.argv[1], json.loads(sys.argv[2])
PLAIN = {
    "BIGINT": pyarrow.int64(), "INTEGER": pyarrow.int32(), "SMALLINT": pyarrow.int16(),
    "VARCHAR": pyarrow.string(), "DATE": pyarrow.date32(), "TIMESTAMP": pyarrow.timestamp("us"),
    "DOUBLE": pyarrow.float64(),
}


def arrow_type(name):
    decimal = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", name)
    return pyarrow.decimal128(*map(int, decimal.groups())) if decimal else PLAIN[name]


pyarrow.set_cpu_count(1)
types = {name: arrow_type(kind) for name, kind in spec["columns"].items()}
read = pyarrow.csv.ReadOptions(use_threads=False, block_size=1 << 20,
                               column_names=None if spec["header"] else list(types))
parse = pyarrow.csv.ParseOptions(newlines_in_values=spec["delimiter"] == ",",
                                 delimiter=spec["delimiter"],
                                 quote_char='"' if spec["delimiter"] == "," else False)
convert = pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=True,
                                     timestamp_parsers=[pyarrow.csv.ISO8601])
seconds, cpu, rows, sums = 0, time.process_time(), 0, dict.fromkeys(spec["sums"], 0)
started = time.perf_counter()
reader = pyarrow.csv.open_csv(path, read, parse, convert)
while True:
    try:
        batch = reader.read_next_batch()
    except StopIteration:
        break
    seconds += time.perf_counter() - started
    rows += batch.num_rows
    for name in sums:
        sums[name] += pyarrow.compute.sum(batch[name]).as_py() or 0
    started = time.perf_counter()
seconds += time.perf_counter() - started
print(json.dumps({"seconds": seconds, "cpu_seconds": time.process_time() - cpu, "rows": rows,
                  **{name: str(value) for name, value in sums.items()}}))
