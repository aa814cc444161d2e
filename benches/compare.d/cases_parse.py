"""Parsing: fastload into nothing beside typed readers, on the same files."""
import data
from context import TABLE, Group
from running import Run, check

SCHEMA = ("--schema", data.ACCOUNTS_SCHEMA, "--to", "null:")
# The key and the amount of each file, which the readers sum.
SUMS = {"accounts": ["account_id", "balance"], "lineitem": ["l_orderkey", "l_extendedprice"],
        "numeric": ["n_key", "n_total"]}
COLUMNS = {"accounts": data.ACCOUNTS, "lineitem": data.LINEITEM, "numeric": data.NUMERIC}


def answer(kind, found):
    """What a reader found, named as the truth is."""
    key, amount = SUMS[kind]
    named = {"rows": found["rows"]}
    if key in found:
        named[key] = int(found[key])
    if amount in found:
        named["cents"] = data.to_hundredths(found[amount])
    return named


def python_peer(context, program, kind, path, truth, *arguments, whole_process=False):
    spec = data.spec(COLUMNS[kind], SUMS[kind], *((",", True) if kind != "lineitem" else ("|", False)))
    if kind == "lineitem" and program == "pyarrow_read.py":
        # The delimiter at the end of a line is a last, empty column to it.
        spec = data.spec({**data.LINEITEM, "l_end": "VARCHAR"}, SUMS[kind], "|", False)
    if kind == "lineitem" and program == "duckdb_read.py":
        spec = data.spec({**data.LINEITEM, "l_end": "VARCHAR"}, SUMS[kind], "|", False)
    done = context.run([context.python, context.here / "python" / program, path, *arguments, spec])
    found = done.json()
    check(program, answer(kind, found), truth)
    if whole_process:
        return Run(done.wall_seconds, done.cpu_seconds, done.peak_bytes)
    return Run(found["seconds"], found["cpu_seconds"], done.peak_bytes)


def rust_peer(context, mode, path, truth):
    done = context.run([context.peers_path, mode, path])
    found = done.json()
    sums = {key: found[key] for key in ("rows", "account_id", "cents", "bytes") if key in found}
    check(mode, sums, truth)
    return Run(found["seconds"], found["cpu_seconds"], done.peak_bytes)


def fastload(context, path, truth, parsers, schema=SCHEMA, **more):
    return context.load(path, truth, "-p", str(parsers), "-w", "1", *schema, **more)


def same_rows(context, kind, path, truth, schema, **more):
    """fastload's rows of this very file, written out again and read by Python."""
    out = context.work / f"rows-{kind}.csv"
    out.unlink(missing_ok=True)
    context.load(path, truth, "--schema", schema, "--to", f"csv:{out}", **more)
    try:
        _, found = context.file(f"{kind}-out" if kind == "lineitem" else kind, out.name, None)
        check("fastload's rows", found, truth)
    finally:
        out.unlink(missing_ok=True)


def accounts_group(context):
    def start(wanted):
        path, truth = context.accounts(size_bytes=context.sizes.parse_bytes)
        same_rows(context, "accounts", path, truth, data.ACCOUNTS_SCHEMA)
        return {
            "fastload-parse-1": lambda: fastload(context, path, truth, 1),
            "fastload-parse-2": lambda: fastload(context, path, truth, 2),
            "pyarrow": lambda: python_peer(context, "pyarrow_read.py", "accounts", path, truth),
            "arrow-csv": lambda: rust_peer(context, "arrow-csv", path, truth),
            "simd-csv": lambda: rust_peer(context, "simd-csv", path, truth),
            "field-index": lambda: rust_peer(context, "index-avx512", path, truth),
            "duckdb-1": lambda: python_peer(context, "duckdb_read.py", "accounts", path, truth, 1),
            "duckdb-2": lambda: python_peer(context, "duckdb_read.py", "accounts", path, truth, 2),
        }

    names = ("fastload-parse-1", "fastload-parse-2", "pyarrow", "arrow-csv", "simd-csv",
             "field-index", "duckdb-1", "duckdb-2")
    return Group("parse", names, start, warm_up=False)


def start_group(context):
    def start(wanted):
        path, truth = context.accounts(size_bytes=context.sizes.start_bytes)
        whole = {"whole_process": True}
        return {
            "fastload-10mb": lambda: context.load(path, truth, *SCHEMA),
            "duckdb-10mb": lambda: python_peer(
                context, "duckdb_read.py", "accounts", path, truth, 2, **whole),
            "pyarrow-10mb": lambda: python_peer(
                context, "pyarrow_read.py", "accounts", path, truth, **whole),
        }

    return Group("start", ("fastload-10mb", "duckdb-10mb", "pyarrow-10mb"), start)


def other_file_group(context, kind):
    def start(wanted):
        path, truth = context.lineitem() if kind == "lineitem" else context.numeric()
        types = data.schema(COLUMNS[kind])
        schema = ("--schema", types, "--to", "null:")
        dialect = ("tbl", "--no-header") if kind == "lineitem" else ("csv", "--header")
        same_rows(context, kind, path, truth, types, dialect=dialect)
        return {
            f"fastload-{kind}": lambda: fastload(
                context, path, truth, 1, schema, dialect=dialect, table=TABLE),
            f"duckdb-{kind}": lambda: python_peer(context, "duckdb_read.py", kind, path, truth, 1),
            f"pyarrow-{kind}": lambda: python_peer(context, "pyarrow_read.py", kind, path, truth),
        }

    return Group(kind, tuple(f"{who}-{kind}" for who in ("fastload", "duckdb", "pyarrow")), start,
                 warm_up=False)


def groups(context):
    return [accounts_group(context), start_group(context), other_file_group(context, "lineitem"),
            other_file_group(context, "numeric")]
