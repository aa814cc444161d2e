"""What the figures were measured on."""
import os
import pathlib
import re
import subprocess


def output(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "not installed"
    return done.stdout.strip()


def load_average():
    return " ".join(f"{load:.1f}" for load in os.getloadavg())


def first(pattern, path):
    found = re.search(pattern, pathlib.Path(path).read_text(), re.MULTILINE)
    return found.group(1).strip() if found else "unknown"


def commit(repository):
    known = output("git", "-C", str(repository), "rev-parse", "HEAD") or "unknown"
    changed = output("git", "-C", str(repository), "status", "--porcelain", "--", "src")
    return known + (" with changes" if changed else "")


def facts(context):
    """Names and values, in the order in which they are printed."""
    memory_kib = int(first(r"^MemTotal:\s+(\d+)", "/proc/meminfo"))
    filesystem = output("stat", "-f", "-c", "%T", str(context.work))
    repository = context.here.parent.parent
    python = output(str(context.python), "-m", "pip", "list", "--format=freeze",
                    "--disable-pip-version-check")
    wanted = re.findall(r"^(?:duckdb|pyarrow|pyodbc|ibm_db)==\S+", python, re.MULTILINE)
    locked = (context.here / "Cargo.lock").read_text()
    crates = [" ".join(found) for found in
              re.findall(r'^name = "(arrow-csv|simd-csv)"\nversion = "(.+)"', locked, re.MULTILINE)]
    processor = first(r"^model name\s*: (.*)", "/proc/cpuinfo")
    return {
        "commit": commit(repository),
        "date": "",
        "sizes": context.sizes.name,
        "machine": f"{os.cpu_count()} cores, {processor}, "
                   f"{memory_kib / 2**20:.0f} GiB, {filesystem}, Linux {os.uname().release}",
        "peers": ", ".join([*wanted, *crates, "sqlite3 " + output("sqlite3", "--version")[:6],
                            output("psql", "--version").replace("psql (PostgreSQL)", "psql"),
                            output("mariadb", "--version")[:60], output("pgloader", "--version")
                            .replace("\n", " ")[:40]]),
        "niceness": str(os.nice(0)),
        "load average at the start": load_average(),
    }
