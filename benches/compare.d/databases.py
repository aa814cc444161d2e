"""Tables in the servers, by the servers' own clients: made new, asked for their sums."""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "tests" / "tpch"))
import derby  # noqa: E402

URL = {"db2": "FASTLOAD_TEST_DB2", "postgresql": "FASTLOAD_TEST_POSTGRESQL",
       "mariadb": "FASTLOAD_TEST_MARIADB"}
TYPES = {
    "db2": {"timestamp": "TIMESTAMP", "double": "DOUBLE"},
    "postgresql": {"timestamp": "TIMESTAMP(6)", "double": "DOUBLE PRECISION"},
    "mariadb": {"timestamp": "DATETIME(6)", "double": "DOUBLE"},
}
ACCOUNTS = ("account_id BIGINT NOT NULL, branch SMALLINT, customer_name VARCHAR(60), "
            "balance DECIMAL(15,2), currency CHAR(3), opened DATE, last_txn {timestamp}, "
            "status CHAR(1), rate {double}, memo VARCHAR(100)")
SUMS = ("SELECT count(*), sum(account_id), cast(sum(balance) * 100 AS {integer}), "
        "coalesce(sum({length}(memo)), 0) FROM accounts")
WORDS = {
    "db2": {"integer": "BIGINT", "length": "length"},
    "postgresql": {"integer": "BIGINT", "length": "char_length"},
    "mariadb": {"integer": "SIGNED", "length": "char_length"},
}


def client(database):
    """The database's own client, which takes a statement as its last argument."""
    if database == "postgresql":
        return ["psql", "-X", "-qAt", "-v", "ON_ERROR_STOP=1", "-c"]
    return ["mariadb", f"--defaults-file={os.environ['FASTLOAD_TEST_MARIADB_CNF']}",
            "--local-infile=1", "-NBe"]


def statements(database, *texts):
    """Runs statements in a database's own client; the output of the last one."""
    if database == "db2":
        for text in texts:
            if text.startswith("DROP TABLE"):
                derby.drop(text.split()[-1])
            elif text.startswith("SELECT"):
                return "\t".join(next(derby.query(text)))
            else:
                derby.run(text)
        return None
    environment = dict(os.environ, PGOPTIONS="--client-min-messages=warning")
    done = subprocess.run([*client(database), "; ".join(texts)], capture_output=True, text=True,
                          check=True, env=environment)
    return done.stdout.strip()


def url(database):
    """What fastload's `--to` takes; it holds a password, so it goes by the environment."""
    return "odbc:" + os.environ[URL[database]]


def new_accounts(database):
    """An empty table, none that was emptied: what a server still does for old rows costs time."""
    if_exists = "" if database == "db2" else "IF EXISTS "
    statements(database, f"DROP TABLE {if_exists}accounts",
               f"CREATE TABLE accounts ({ACCOUNTS.format(**TYPES[database])})")


def sums(database):
    """Rows and sums of the table, as data.truth names them."""
    answer = statements(database, SUMS.format(**WORDS[database]))
    names = ("rows", "account_id", "cents", "memo_characters")
    return dict(zip(names, map(int, answer.replace("|", "\t").split("\t"))))
