"""Apache Derby, the stand-in for a Db2 server, asked through its own client.

Neither fastload nor IBM's driver takes part: statements go through Derby's `ij` (Java, JDBC), and
rows come back in files that the server itself writes. So a value that the driver stored wrong, and
would read back "right", is seen as it stands.

The environment is that of `scripts/databases env`.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

import facts

JARS = pathlib.Path(os.environ.get("FASTLOAD_DERBY_JARS", "/usr/share/java"))

# What ij prints of a statement that failed, behind its prompts; its exit status is always 0.
REFUSED = re.compile(r"^(?:ij> ?)*((?:IJ )?ERROR .*)", re.MULTILINE)


def keywords():
    """The keywords of the test connection, in lower case."""
    text = os.environ["FASTLOAD_TEST_DB2"]
    return dict(
        (key.lower(), value) for key, _, value in (part.partition("=") for part in text.split(";"))
    )


def url():
    """Derby's own address, past the shim; the login is not part of it."""
    return f"jdbc:derby://{os.environ['FASTLOAD_TEST_DB2_SERVER']}/{keywords()['database']}"


def run(*statements):
    """Runs statements, each in a transaction of its own; the first refused one is an error."""
    login = keywords()
    text = [
        f"CONNECT '{url()};user={login['uid']};password={login['pwd']}'",
        *statements,
    ]
    jars = ":".join(str(JARS / f"{name}.jar") for name in ("derbytools", "derbyclient", "derby"))
    with tempfile.TemporaryDirectory() as folder:  # ij writes a log where it stands
        done = subprocess.run(
            ["java", "-cp", jars, "-Dfile.encoding=UTF-8", "org.apache.derby.tools.ij"],
            input=";\n".join(text) + ";\nEXIT;\n",
            cwd=folder,
            capture_output=True,
            check=True,
            encoding="utf-8",
        )
    refused = REFUSED.search(done.stdout)
    if refused:
        raise RuntimeError(f"Derby refuses one of {statements}: {refused.group(1)}")


def drop(table):
    """Drops a table if it is there: no such table is 42Y55, no schema yet 42Y07."""
    try:
        run(f"DROP TABLE {table}")
    except RuntimeError as error:
        if not re.search("ERROR (42Y55|42Y07)", str(error)):
            raise


def query(sql):
    """All rows of a query, as the server writes them."""
    with tempfile.TemporaryDirectory() as folder:
        # The server runs as another user.
        os.chmod(folder, 0o777)
        path = pathlib.Path(folder) / "rows.csv"
        literal = sql.replace("'", "''")
        run(f"CALL SYSCS_UTIL.SYSCS_EXPORT_QUERY('{literal}', '{path}', ',', '\"', 'UTF-8')")
        yield from facts.csv_rows(path.read_text(encoding="utf-8"))


def main():
    """Runs the statements of standard input, one a line; `drop TABLE` may find none."""
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        drop(rest) if word == "drop" else run(line.strip())


if __name__ == "__main__":
    main()
