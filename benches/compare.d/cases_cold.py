"""Cold input, and how time grows with the size and the form of a file."""
import data
from cases_parse import SCHEMA, fastload, rust_peer
from cases_sqlite import Cases as SqliteCases
from context import GB, MB, Group

WIDE_COLUMNS = 10_000
LARGE_FIELD_BYTES = 1_000_000

# What --io auto chooses among.
WAYS = ("mmap", "read", "uring")


def cold_group(context):
    def start(wanted):
        path, truth = context.accounts(size_bytes=context.sizes.parse_bytes)

        def cold(measure):
            def run():
                data.out_of_page_cache(path)
                return measure()

            return run

        def warm():
            data.into_page_cache(path)
            return fastload(context, path, truth, 1)

        return {
            **{f"raw-{mode}": cold(lambda mode=mode: rust_peer(
                context, mode, path, {"bytes": path.stat().st_size}))
               for mode in ("read", "mmap", "direct")},
            "fastload-cold-read": cold(lambda: context.step("input", path, *SCHEMA)),
            **{f"fastload-cold-by-{io}": cold(lambda io=io: context.step("input", path, "--io", io,
                                                                         *SCHEMA))
               for io in WAYS},
            "fastload-cold-parse": cold(lambda: fastload(context, path, truth, 1)),
            "fastload-warm-parse": warm,
        }

    names = ("raw-read", "raw-mmap", "raw-direct", "fastload-cold-read",
             *(f"fastload-cold-by-{io}" for io in WAYS), "fastload-cold-parse",
             "fastload-warm-parse")
    return Group("cold", names, start, close=True)


def size_group(context):
    def start(wanted):
        small, large = (context.accounts(size_bytes=size, truth=False)[0]
                        for size in context.sizes.growth_bytes)
        return {"growth-small": lambda: fastload(context, small, None, 1),
                "growth-large": lambda: fastload(context, large, None, 1)}

    return Group("growth-size", ("growth-small", "growth-large"), start, close=True)


def form_group(context):
    """Files of unusual form, and of the usual one, about as large."""
    size = min(100 * MB, context.sizes.parse_bytes)
    small = min(10 * MB, size)

    def start(wanted):
        plain, truth = context.accounts(size_bytes=small)
        large_plain, large_truth = context.accounts(size_bytes=size)
        sqlite = SqliteCases(context, plain, truth)
        rows = max(1, size // (WIDE_COLUMNS * 4))
        wide, _ = context.file(None, f"wide-{rows}.csv",
                               lambda path: data.write_wide(path, WIDE_COLUMNS, rows))
        fields = max(1, size // LARGE_FIELD_BYTES)
        large, _ = context.file(
            None, f"large-{fields}.csv",
            lambda path: data.write_large_fields(path, LARGE_FIELD_BYTES, fields))
        of_wide = ", ".join(f"c{n} INTEGER" for n in range(WIDE_COLUMNS))
        schema_file = context.work / "wide.schema"
        schema_file.write_text(of_wide)
        return {
            "growth-plain": lambda: fastload(context, plain, truth, 1),
            "growth-one-row-batches": lambda: fastload(
                context, plain, truth, 1, (*SCHEMA, "--batch-rows", "1")),
            "growth-plain-large": lambda: fastload(context, large_plain, large_truth, 1),
            "growth-plain-sqlite": lambda: sqlite.fastload("growth", "-p", "1"),
            "growth-one-row-batches-sqlite": lambda: sqlite.fastload(
                "growth", "-p", "1", "--batch-rows", "1"),
            "growth-wide": lambda: fastload(
                context, wide, {"rows": rows}, 1, ("--schema", str(schema_file), "--to", "null:")),
            "growth-large-fields": lambda: fastload(
                context, large, {"rows": fields}, 1,
                ("--schema", f"k INTEGER, t VARCHAR({LARGE_FIELD_BYTES})", "--to", "null:")),
        }

    names = ("growth-plain", "growth-plain-large", "growth-plain-sqlite", "growth-one-row-batches",
             "growth-wide", "growth-large-fields", "growth-one-row-batches-sqlite")
    return Group("growth-form", names, start)


def groups(context):
    return [cold_group(context), form_group(context), size_group(context)]
