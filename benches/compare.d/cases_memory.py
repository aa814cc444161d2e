"""Peak resident memory with default settings, for small and large files."""
import data
import databases
from bars import SIZES
from cases_sqlite import Cases as SqliteCases
from cases_sqlite import sums as sqlite_sums
from context import Group
from running import check


def into_files(context, place):
    """Into nothing or SQLite; the file of the largest size goes as soon as it was loaded."""
    sizes = context.sizes.file_bytes

    def load(size, keep):
        path, _ = context.accounts(size_bytes=size, truth=False)
        database = context.work / "memory.db"
        SqliteCases.remove(database)
        to = "null:" if place == "null" else f"sqlite:{database}"
        try:
            measured = context.load(path, None, "--schema", data.ACCOUNTS_SCHEMA, "--to", to)
            if place == "sqlite":
                check("SQLite", {"rows": sqlite_sums(database)["rows"]}, measured.figures)
            return measured
        finally:
            SqliteCases.remove(database)
            if not keep:
                path.unlink(missing_ok=True)

    def start(wanted):
        last = len(sizes) - 1
        # The second place finds the large file of the first one still there.
        return {name: lambda size=size, index=index: load(size, index < last or place == "null")
                for index, (name, size) in enumerate(zip(names, sizes, strict=True))}

    names = tuple(f"memory-{place}-{size}" for size in SIZES)
    return Group(f"memory-{place}", names, start, warm_up=False, rounds=1)


def into_server(context, database):
    def load(size):
        path, truth = context.accounts(size_bytes=size)
        databases.new_accounts(database)
        to = databases.url(database)
        # Connected, the table's columns asked for, and nothing else.
        idle = context.run([context.fastload_path, "describe", "accounts"],
                           environment={"FASTLOAD_TO": to}).peak_bytes
        # Files of all sizes come the same way, and the one that takes more: past the page cache.
        data.out_of_page_cache(path)
        measured = context.load(path, truth, to=to)
        check(f"memory-{database}", databases.sums(database), truth)
        measured.figures["above_idle_bytes"] = measured.peak_bytes - idle
        return measured

    def start(wanted):
        context.use_databases()
        small, large = context.sizes.server_bytes
        return {f"memory-{database}-small": lambda: load(small),
                f"memory-{database}-large": lambda: load(large)}

    return Group(f"memory-{database}", (f"memory-{database}-small", f"memory-{database}-large"),
                 start, warm_up=False, rounds=1)


def groups(context):
    return [into_files(context, "null"), into_files(context, "sqlite"),
            *(into_server(context, name) for name in ("postgresql", "mariadb", "db2"))]
