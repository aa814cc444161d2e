"""The files, and the truth about them, found by Python's own csv reader and integers."""
import csv
import json
import os
import random
import sys

ACCOUNTS = {
    "account_id": "BIGINT", "branch": "SMALLINT", "customer_name": "VARCHAR",
    "balance": "DECIMAL(15,2)", "currency": "VARCHAR", "opened": "DATE", "last_txn": "TIMESTAMP",
    "status": "VARCHAR", "rate": "DOUBLE", "memo": "VARCHAR",
}
ACCOUNTS_SCHEMA = (
    "account_id BIGINT NOT NULL, branch SMALLINT, customer_name VARCHAR(60), "
    "balance DECIMAL(15,2), currency CHAR(3), opened DATE, last_txn TIMESTAMP(6), "
    "status CHAR(1), rate DOUBLE, memo VARCHAR(100)")
LINEITEM = {
    "l_orderkey": "BIGINT", "l_partkey": "BIGINT", "l_suppkey": "BIGINT",
    "l_linenumber": "INTEGER", "l_quantity": "DECIMAL(15,2)", "l_extendedprice": "DECIMAL(15,2)",
    "l_discount": "DECIMAL(15,2)", "l_tax": "DECIMAL(15,2)", "l_returnflag": "VARCHAR",
    "l_linestatus": "VARCHAR", "l_shipdate": "DATE", "l_commitdate": "DATE",
    "l_receiptdate": "DATE", "l_shipinstruct": "VARCHAR", "l_shipmode": "VARCHAR",
    "l_comment": "VARCHAR",
}
# Ten columns of numbers alone: half of them integers of three widths, then decimals and floats.
NUMERIC = {
    "n_key": "BIGINT", "n_small": "SMALLINT", "n_int": "INTEGER", "n_big": "BIGINT",
    "n_count": "INTEGER", "n_price": "DECIMAL(15,2)", "n_total": "DECIMAL(15,2)",
    "n_share": "DOUBLE", "n_rate": "DOUBLE", "n_score": "DOUBLE",
}
NUMERIC_BLOCK_ROWS = 20_000


def schema(columns):
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())


def spec(columns, sums, delimiter=",", header=True):
    """What the Python peers are told about a file."""
    return json.dumps({"columns": columns, "sums": sums, "delimiter": delimiter, "header": header})


def write_numeric(path, size_bytes):
    """One block of random rows again and again, each with other keys."""
    source = random.Random(5)
    block = []
    for _ in range(NUMERIC_BLOCK_ROWS):
        big = source.randrange(-10**15, 10**15)
        total = source.randrange(-10**12, 10**12)
        sign = "-" if total < 0 else ""
        block.append(
            f",{source.randrange(-32000, 32000)},{source.randrange(-10**9, 10**9)},{big},"
            f"{source.randrange(1000)},{source.randrange(10**6)}.{source.randrange(100):02},"
            f"{sign}{abs(total) // 100}.{abs(total) % 100:02},{source.random():.6f},"
            f"{source.random() * 1000:.3f},{source.gauss(0, 1):.4f}\n")
    key = written = 0
    with open(path, "w", encoding="ascii", buffering=1 << 20) as file:
        written += file.write(",".join(NUMERIC) + "\n")
        while written < size_bytes:
            written += file.write("".join(f"{key + n}{row}" for n, row in enumerate(block, 1)))
            key += len(block)


def write_wide(path, columns, rows):
    """Many columns of small numbers."""
    with open(path, "w", encoding="ascii") as file:
        file.write(",".join(f"c{n}" for n in range(columns)) + "\n")
        for row in range(rows):
            file.write(",".join(str((row * 31 + n) % 1000) for n in range(columns)) + "\n")


def write_large_fields(path, field_bytes, rows):
    """A key and one huge text a row, quoted."""
    text = ("fastload " * (field_bytes // 9 + 1))[:field_bytes]
    with open(path, "w", encoding="ascii") as file:
        file.write("k,t\n")
        for row in range(rows):
            file.write(f'{row},"{text}"\n')


def to_hundredths(text):
    """An exact decimal with at most two places, as an integer."""
    whole, _, places = text.partition(".")
    return int(whole + f"{places:0<2}")


def truth(path, kind):
    """Rows and sums of a file."""
    delimiter, header, sums, texts = {
        "accounts": (",", True, {0: ("account_id", int), 3: ("cents", to_hundredths)}, {9: "memo"}),
        "numeric": (",", True, {0: ("n_key", int), 6: ("cents", to_hundredths)}, {}),
        "lineitem": ("|", False, {0: ("l_orderkey", int), 5: ("cents", to_hundredths)}, {}),
        # As fastload writes it out again.
        "lineitem-out": (",", True, {0: ("l_orderkey", int), 5: ("cents", to_hundredths)}, {}),
    }[kind]
    quoting = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
    found = {"rows": 0}
    totals = dict.fromkeys(sums, 0)
    lengths = dict.fromkeys(texts, 0)
    with open(path, newline="", encoding="utf-8") as file:
        records = csv.reader(file, delimiter=delimiter, quoting=quoting)
        if header:
            next(records)
        for record in records:
            found["rows"] += 1
            for index, (_, convert) in sums.items():
                if record[index]:
                    totals[index] += convert(record[index])
            for index in texts:
                lengths[index] += len(record[index])
    found.update({name: totals[index] for index, (name, _) in sums.items()})
    found.update({f"{name}_characters": lengths[index] for index, name in texts.items()})
    return found


def into_page_cache(path):
    """Reads the file."""
    with open(path, "rb", buffering=0) as file:
        while file.read(1 << 20):
            pass


def out_of_page_cache(path):
    """Drops the file's pages: they are written back first, dirty ones would stay."""
    with open(path, "rb", buffering=0) as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    # In a process of its own: what this one uses would be the least that its children seem to.
    print(json.dumps(truth(sys.argv[1], sys.argv[2])))
