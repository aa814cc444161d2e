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
import tempfile

JARS = pathlib.Path(os.environ.get("FASTLOAD_DERBY_JARS", "/usr/share/java"))

# A field of an export: quoted with quotes doubled, or bare; NULL is bare and empty.
FIELD = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n)')

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
    """Drops a table if it is there."""
    try:
        run(f"DROP TABLE {table}")
    except RuntimeError as error:
        if "42Y55" not in str(error):
            raise


def fields(text):
    """The rows of an export: texts, and None for NULL."""
    row, at = [], 0
    while at < len(text):
        found = FIELD.match(text, at)
        if found is None:
            raise ValueError(f"not an export of Derby at {at}: {text[at : at + 80]!r}")
        quoted, bare, end = found.groups()
        row.append(quoted.replace('""', '"') if quoted is not None else bare or None)
        if end == "\n":
            yield row
            row = []
        at = found.end()


def query(sql):
    """All rows of a query, as the server writes them."""
    with tempfile.TemporaryDirectory() as folder:
        # The server runs as another user.
        os.chmod(folder, 0o777)
        path = pathlib.Path(folder) / "rows.csv"
        literal = sql.replace("'", "''")
        run(f"CALL SYSCS_UTIL.SYSCS_EXPORT_QUERY('{literal}', '{path}', ',', '\"', 'UTF-8')")
        yield from fields(path.read_text(encoding="utf-8"))
