"""The old pipeline's architecture: old_pipeline.py KIND FILE DATABASE [fast].

A reader, four parser processes, two writer threads; `executemany` of 5,000 rows, autocommit off, one
commit a writer. KIND is `sqlite` (Python's sqlite3, DATABASE a new file; journal and
synchronisation off, the writers share the connection behind a lock) or `odbc` (pyodbc, DATABASE
a connection string; `fast` turns `fast_executemany` on). The table `accounts` exists, but for
SQLite. Prints one line of JSON.
"""
import csv
import datetime
import decimal
import json
import multiprocessing
import os
import sqlite3
import sys
import threading
import time

BATCH_ROWS = 5000
PARSERS = 4
WRITERS = 2
QUEUE_BATCHES = 16
INSERT = f"INSERT INTO accounts VALUES ({', '.join('?' * 10)})"
CREATE = ("CREATE TABLE accounts (account_id INTEGER, branch INTEGER, customer_name TEXT, "
          "balance TEXT, currency TEXT, opened TEXT, last_txn TEXT, status TEXT, rate REAL, memo TEXT)")


def value(text, convert):
    return None if text == "" else convert(text)


def as_stored_by_sqlite(row):
    return (int(row[0]), value(row[1], int), *(text or None for text in row[2:8]),
            value(row[8], float), row[9] or None)


def as_typed(row):
    return (int(row[0]), value(row[1], int), row[2] or None, value(row[3], decimal.Decimal),
            row[4] or None, value(row[5], datetime.date.fromisoformat),
            value(row[6], datetime.datetime.fromisoformat), row[7] or None, value(row[8], float),
            row[9] or None)


def parse(raw, processed, convert):
    while (batch := raw.get()) is not None:
        processed.put([convert(row) for row in batch])
    processed.put(None)


def read(path, raw):
    batch = []
    with open(path, newline="", encoding="utf-8") as file:
        records = csv.reader(file)
        next(records)
        for record in records:
            batch.append(record)
            if len(batch) == BATCH_ROWS:
                raw.put(batch)
                batch = []
    if batch:
        raw.put(batch)
    for _ in range(PARSERS):
        raw.put(None)


class Writers:
    """What the writer threads share."""

    def __init__(self, processed, shared, connect):
        self.processed, self.shared, self.connect = processed, shared, connect
        self.parsers_left, self.rows = PARSERS, 0
        self.lock = threading.Lock()

    def write(self):
        connection = self.shared or self.connect()
        cursor = connection.cursor()
        if not self.shared and "fast" in sys.argv[4:]:
            cursor.fast_executemany = True
        while True:
            with self.lock:
                if self.parsers_left == 0:
                    break
                batch = self.processed.get()
                if batch is None:
                    self.parsers_left -= 1
                    continue
                self.rows += len(batch)
                if self.shared:
                    cursor.executemany(INSERT, batch)
            if not self.shared:
                cursor.executemany(INSERT, batch)
        if not self.shared:
            connection.commit()


def main():
    kind, path, database = sys.argv[1:4]
    raw, processed = multiprocessing.Queue(QUEUE_BATCHES), multiprocessing.Queue(QUEUE_BATCHES)
    convert = as_stored_by_sqlite if kind == "sqlite" else as_typed
    parsers = [multiprocessing.Process(target=parse, args=(raw, processed, convert))
               for _ in range(PARSERS)]
    for parser in parsers:
        parser.start()
    shared = connect = None
    if kind == "sqlite":
        shared = sqlite3.connect(database, check_same_thread=False, isolation_level=None)
        shared.execute("PRAGMA journal_mode=off")
        shared.execute("PRAGMA synchronous=off")
        shared.execute(CREATE)
        shared.execute("BEGIN")
    else:
        import pyodbc

        def connect():
            return pyodbc.connect(database, autocommit=False)

    started = time.perf_counter()
    writers = Writers(processed, shared, connect)

    def write():
        try:
            writers.write()
        except BaseException as error:  # a reader that waits for room would wait for ever
            print(f"old_pipeline: {error!r}", file=sys.stderr, flush=True)
            os._exit(1)

    threads = [threading.Thread(target=write) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    read(path, raw)
    for thread in threads:
        thread.join()
    if shared:
        shared.execute("COMMIT")
    seconds = time.perf_counter() - started
    for parser in parsers:
        parser.join()
    print(json.dumps({"seconds": seconds, "rows": writers.rows}))


if __name__ == "__main__":
    main()
