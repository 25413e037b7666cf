"""Whatever stands in a file, its name, a .env or a URL: a clear error, its exit code, nothing changed.

And whatever an object is called, it is quoted right everywhere.  What is said of each single mistake
stands in `test_migrations.py`, `test_settings.py` and `test_errors.py`; here it is tried by the hundred,
through the whole command line.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from chatdb_cli.errors import Code, Exit
from chatdb_cli.events.listener import Listener
from chatdb_cli.postgres.target import open_target
from chatdb_cli.settings.load import load_settings
from chatdb_cli.settings.table import SETTINGS
from tests.support.chatdb import Chatdb, Result
from tests.support.database import Database
from tests.support.project import Project
from tests.support.servers import Server, allow_logins, on_first_server

pytestmark = on_first_server
ALONE = "-- chatdb: transactional: false\n"
TRIES = settings(
    max_examples=50,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)
EXITS = {code.slug: int(code.exit) for code in Code}
STATE = """
SELECT md5(string_agg(part, '|' ORDER BY part)) FROM (
  SELECT format('%s %s %s %s', c.oid, c.relname, c.relfilenode, c.relnamespace) AS part FROM pg_class c
   WHERE relnamespace <> ALL ('{pg_catalog,information_schema,pg_toast}'::regnamespace[])
  UNION ALL SELECT format('%s %s', oid, nspname) FROM pg_namespace
  UNION ALL SELECT format('%s %s', oid, xmin) FROM pg_proc WHERE oid >= 16384
  UNION ALL SELECT format('%s %s', version, xmin) FROM chatdb_migration
  UNION ALL SELECT format('%s %s', migration_id, xmin) FROM _yoyo_migration
  UNION ALL SELECT format('%s %s', id, xmin) FROM _yoyo_log WHERE operation <> 'failed'
) AS parts"""


@pytest.fixture
def tried(
    project: Project,
    offline: Chatdb,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Result]]:
    """Run a command where one migration is applied; what fails has changed nothing."""
    project.write_tables(1)
    monkeypatch.setenv("DATABASE_URL", database.url)
    monkeypatch.setenv("CHATDB_CONNECT_RETRIES", "0")
    monkeypatch.setenv("SSH_ENABLED", "false")
    assert offline("migrate", "up").code == 0
    with database.connect() as conn:

        def call(*arguments: str) -> Result:
            before = conn.execute(STATE).fetchone()
            result = offline(*arguments)
            if result.code:
                clear(result)
                assert conn.execute(STATE).fetchone() == before
            return result

        yield call


def clear(result: Result) -> None:
    """See that an error says what, where and what next, with the exit code of its kind."""
    assert "Traceback" not in result.err
    assert result.code in set(Exit) - {Exit.DONE, Exit.INTERNAL}, result
    (text,) = re.findall(r"^error: (.+)", result.err, re.MULTILINE) or [""]
    assert text
    assert "\x1b" not in result.err
    # What is wrong with a setting is what to do about it.
    assert re.search(r"^hint: .", result.err, re.MULTILINE) or result.code == Exit.USAGE, result.err
    if result.out:
        error = json.loads(result.out)["error"]
        assert EXITS[error["code"]] == result.code
        if error["code"] == "bad-file":
            assert error["file"]


# --- files ----------------------------------------------------------------------------------------

ANY = st.text(st.characters(exclude_characters="\0/"), min_size=1, max_size=12)
ODD = st.sampled_from(
    ["\0", "\ufeff", "\x1a", "\u2028", "\x85", "\x0c", "\x7f", "\x1b[31m", "é", "\U0001f600", "\udcff",
     "'", '"', "$$", "$a$", "/*", "*/", "--", "\\", "%", "{}", ";", "\r", "\n", "\r\n", "\t", "(" * 500,
     "E'\\", "U&'\\d83d'", "\\d t1\n", "\\.\n", ":x", "BEGIN;", "COMMIT;", "ROLLBACK",
     "COPY t1 FROM STDIN;",
     "PREPARE TRANSACTION 'x';", "BEGIN ATOMIC", "DO $$", "CREATE FUNCTION f()", "SELECT", "SELECT 1;",
     "CREATE TABLE t2 ();", "DROP TABLE nowhere;", "SELECT 1/0;", "-- chatdb:", "-- depends: 0001_t1\n",
     "-- depends: x\n", "-- transactional: ", "no\n", "-- chatdb: lock-timeout: ", "5s\n", "9999999d\n",
     "-- chatdb: isolation: serializable\n", "-- chatdb: irreversible: why\n", "-- chatdb : x : y\n",
     "-- chatdb: statement-timeout: 1ms\n", "-- CHATDB: DEPENDS: 2\n", "/* chatdb: x: y */",
     "SET x.y = 1;"]
)  # fmt: skip
CODINGS = (
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "latin-1",
    "cp1252",
    "cp037",
)


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    """Draw what may stand in a file: text of all kinds in all encodings, cut anywhere, or anything."""
    if draw(st.integers(0, 5)) == 0:
        return draw(st.binary(max_size=60))
    text = "".join(draw(st.lists(ODD | ANY, max_size=6)))
    coding = draw(st.sampled_from(("utf-8", "utf-8", *CODINGS)))
    errors = "surrogatepass" if coding.startswith("utf") else "replace"
    data = text.encode(coding, errors)
    return data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data


def anew(database: Database, offline: Chatdb, project: Project) -> None:
    """Begin again with one migration, after something that was no mistake was carried out."""
    for file in (*project.sql.glob("up/*"), *project.sql.glob("down/*")):
        file.unlink()
    project.write_tables(1)
    database.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    assert offline("migrate", "up").code == 0


def test_any_content_of_a_file_is_applied_or_refused_with_its_place(
    tried: Callable[..., Result], offline: Chatdb, project: Project, database: Database
) -> None:
    codes: Counter[int] = Counter()

    @TRIES
    @example(b"SELECT 1;", "up", "text")
    @example(b"SELECT 1/0;", "up", "json")
    @example(b"SELECT 'a\0';", "up", "json")
    @given(contents(), st.sampled_from(["up", "up", "down"]), st.sampled_from(["text", "json"]))
    def attempt(data: bytes, way: str, form: str) -> None:
        both = (data, b"") if way == "up" else (b"", data)
        project.write("0002_odd", *both)
        result = tried("migrate", "up", "--format", form)
        assert result.code in (0, 2, 5)
        codes[result.code] += 1
        if result.code == 0:
            codes[tried("migrate", "down", "--format", form).code] += 1
            assert tried("migrate", "status", "--format", form).code == 0
            anew(database, offline, project)

    attempt()
    assert codes.keys() >= {0, 2, 5}


NAMES = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "2", "0002", "1", "0001", "٣", "-2", "2" * 200, "0002 ", "2.5"]),
    st.sampled_from(["", "_", "-", " ", ".", "__", "_t1"]),
    st.one_of(st.sampled_from(["t1", "n" * 240]), ANY, ODD.filter(lambda c: "\0" not in c)),
    st.sampled_from([".sql", ".sql", ".SQL", "", ".sql.sql", ".sql~", ".txt"]),
)  # fmt: skip


def test_any_name_of_a_file_is_accepted_or_refused_and_named(
    tried: Callable[..., Result], offline: Chatdb, project: Project, database: Database
) -> None:
    codes: Counter[int] = Counter()

    @TRIES
    @example("0002_a.sql", "both", "text")
    @example("a.sql", "up", "json")
    @example("0001_a.sql", "up", "json")
    @given(NAMES, st.sampled_from(["up", "down", "both"]), st.sampled_from(["text", "json"]))
    def attempt(name: str, where: str, form: str) -> None:
        made = []
        for folder in ("up", "down") if where == "both" else (where,):
            path = project.sql / folder / name
            with suppress(OSError):  # no file can have that name here
                if not path.exists():
                    path.write_bytes(b"")
                    made.append(path)
        result = tried("migrate", "up", "--format", form)
        codes[result.code] += 1
        assert result.code in (0, 2, 6)
        assert tried("migrate", "status", "--format", form).code == 0
        if result.code == 0 and len(database.applied()) > 1:
            if where == "both":
                assert tried("migrate", "down", "--format", form).code == 0
            anew(database, offline, project)
        for path in made:
            path.unlink(missing_ok=True)

    attempt()
    assert codes.keys() == {0, 2, 6}


# --- settings -------------------------------------------------------------------------------------

SOME = ["", "1", "-1", "5s", "true", "x y", "'", '"a', "#", "a#b", "~no", "9" * 30]
VALUES = st.one_of(ANY, ODD, st.sampled_from(SOME))
KEYS = sorted(
    SETTINGS.keys() - {"CHATDB_DEBUG", "CHATDB_FORMAT", "CHATDB_ENV_FILE", "CHATDB_QUIET"}
)


def test_any_env_file_is_used_or_refused_with_its_line(
    tried: Callable[..., Result], project: Project
) -> None:
    codes: Counter[int] = Counter()
    lines = st.one_of(
        st.builds("{}={}".format, st.sampled_from(KEYS), VALUES),
        st.builds("{}={}".format, ANY, VALUES),
        st.builds("export {} = '{}".format, st.sampled_from(KEYS), ANY),
        ODD,
    )

    @TRIES
    @example(["A=1"], "utf-8", "text")
    @example(["A=1", "A"], "utf-8", "json")
    @given(st.lists(lines, max_size=4), st.sampled_from(CODINGS), st.sampled_from(["text", "json"]))
    def attempt(lines: list[str], coding: str, form: str) -> None:
        errors = "surrogatepass" if coding.startswith("utf") else "replace"
        (project.path / ".env").write_bytes("\n".join(lines).encode(coding, errors))
        result = tried("migrate", "up", "--format", form)
        codes[result.code] += 1
        assert result.code in (0, 2, 6, 8), result
        if ".env" in result.err and result.out:
            assert json.loads(result.out)["error"]["file"].endswith(".env")

    attempt()
    assert codes.keys() >= {0, 2}


def test_any_url_connects_or_is_refused(
    tried: Callable[..., Result], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes: Counter[int] = Counter()
    cuts = st.integers(0, len(database.url))
    pieces = st.one_of(
        ODD, st.sampled_from(list("%@:/?#&=+[],' ")), st.text("%0123456789abcdef", max_size=3)
    )
    places = (
        "",
        "/no/such",
        "127.0.0.1:1",
        "[::1]:1",
        "127.0.0.1:0",
        "127.0.0.1:99999",
        "@",
        "%",
        "%00",
    )

    @st.composite
    def urls(draw: st.DrawFn) -> str:
        if draw(st.booleans()):
            at, piece = draw(cuts), draw(pieces)
            return database.url[:at] + piece + database.url[at + draw(st.integers(0, 2)) :]
        scheme = draw(
            st.sampled_from(["postgresql", "postgres", "POSTGRES", "mysql", "", "postgresql+x"])
        )
        text = draw(pieces) + draw(ANY)
        return f"{scheme}://{text}:{text}@{draw(st.sampled_from(places))}/{draw(pieces)}"

    @TRIES
    @example(database.url, "text", False)
    @example("postgresql://u@/d?host=/no/such", "json", False)
    @example("postgresql://u:p@q@h/d", "json", True)
    @given(urls(), st.sampled_from(["text", "json"]), st.booleans())
    def attempt(url: str, form: str, flag: bool) -> None:
        if flag or "\0" in url:
            result = tried("migrate", "up", "--format", form, "--database-url", url)
        else:
            monkeypatch.setenv("DATABASE_URL", url)
            result = tried("migrate", "up", "--format", form)
        codes[result.code] += 1
        assert result.code in (0, 2, 3), result

    attempt()
    assert codes.keys() == {0, 2, 3}


def test_any_argument_is_accepted_or_refused(tried: Callable[..., Result]) -> None:
    options = st.sampled_from(
        ["--to", "--steps", "--schema", "--dir", "--wait", "--lock-timeout", "--retries", "--env-file",
         "--pooler", "--statement-timeout", "--dry-run", "--allow-out-of-order", "--", "-x"]
    )  # fmt: skip

    # A terminal shows bytes that are no text as \\udcff; the stream of the tests would not.
    shown = VALUES.filter(
        lambda text: text.isascii() or text.encode(errors="ignore").decode() == text
    )

    @TRIES
    @given(st.sampled_from(["up", "status", "history", "repair", "baseline"]), options, shown)
    def attempt(command: str, option: str, value: str) -> None:
        result = tried("migrate", command, option, value)
        assert result.code in (0, 2, 6, 8), result

    attempt()


def test_an_argument_that_is_not_utf_8_is_refused_and_shown(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    for option in ("--to", "--schema", "--dir", "--env-file"):
        result = project.chatdb(
            "migrate", "up", option, "\udcff", env={"DATABASE_URL": database.url}
        )
        clear(Result(result.returncode, result.stdout, result.stderr))
        assert result.returncode == 2
    assert database.tables() == set()


# --- names ----------------------------------------------------------------------------------------

ODD_NAMES = {
    "sql": '"; DROP TABLE canary; --',
    "more sql": "'; DROP TABLE canary; --\\",
    "templates": "%s %(x)s {schema} $1 :name $$ $a$",
    "unicode": " größe  日本 \U0001f600 ",
    "keyword": "select",
    "lines": "-one\ntwo\r\tthree\\",
}


@pytest.fixture
def trusting(server: Server) -> Iterator[None]:
    """Every role that exists may log in."""
    with allow_logins(server, "local all all trust"):
        yield


@pytest.fixture
def called(
    request: pytest.FixtureRequest, server: Server, trusting: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A name; a role and a database have it, and DATABASE_URL leads there."""
    name: str = request.param
    this = sql.Identifier(name)
    with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE ROLE {} LOGIN").format(this))
        conn.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(this))
        host = re.search(r"host=[^&]*", server.url("x"))
        assert host
        quoted = quote(name, safe="")
        monkeypatch.setenv("DATABASE_URL", f"postgresql://{quoted}@/{quoted}?{host[0]}")
        try:
            yield name
        finally:
            conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(this))
            conn.execute(sql.SQL("DROP ROLE {}").format(this))


@pytest.mark.parametrize("called", ODD_NAMES.values(), ids=ODD_NAMES, indirect=True)
def test_every_command_works_with_any_names_of_objects(
    called: str, project: Project, offline: Chatdb
) -> None:
    """A role, a database, a schema, a table, a column, an index, a file: all have that name."""
    this = sql.Identifier(called).as_string()
    stem = called.replace("/", "")
    project.write(
        f"0001_{stem}",
        f"CREATE TABLE {this} ({this} text PRIMARY KEY);\nCOMMENT ON TABLE {this} IS 'x';",
        f"DROP TABLE {this};",
    )
    index = sql.Identifier(f"{called}_i").as_string()
    project.write(
        f"0002 {stem}",
        f"{ALONE}CREATE INDEX CONCURRENTLY {index} ON {this} ({this});",
        f"{ALONE}DROP INDEX CONCURRENTLY {index};",
    )
    (project.sql / "seed").mkdir()
    seed = f"INSERT INTO {this} VALUES ('x') ON CONFLICT DO NOTHING;"
    (project.sql / "seed" / f"{stem}.sql").write_text(seed)
    there = ("--schema", called)

    def works(*arguments: str, code: int = 0) -> Result:
        result = offline(*arguments)
        assert result.code == code, f"{arguments}\n{result.out}\n{result.err}"
        assert "Traceback" not in result.err
        return result

    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
        conn.execute("CREATE TABLE canary ()")
        works("setup", *there)
        assert conn.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname = %s", (called,)
        ).fetchone()
        works("migrate", "status", *there, "--check")
        document = works("migrate", "status", *there, "--format", "json").document
        assert document["target"]["database"] == document["target"]["user"] == called
        assert document["schema"] == called
        assert [m["name"] for m in document["applied"]] == [stem.lstrip(" -")] * 2
        works("migrate", "redo", *there, "--allow-data-loss")
        works("seed", *there)
        works("migrate", "down", *there, "--allow-data-loss")
        lost = works("migrate", "down", *there, "--format", "json", code=8).document
        assert [loss["table"] for loss in lost["losses"]] == [called]
        works("migrate", "up", *there)
        assert json.loads(works("docs", *there, "--format", "json").out)
        assert "Traceback" not in works("docs", *there).out
        works("migrate", "history", *there)
        edited = next((project.sql / "up").glob("0001*"))
        edited.write_bytes(edited.read_bytes() + b"-- edited")
        works("migrate", "up", *there, code=6)
        works("migrate", "repair", "--yes", *there)
        works("setup", "--test", "--name", f"{called}_")
        works("setup", "--test", "--name", f"{called}_")
        works("migrate", "down", "--all", "--allow-data-loss", *there)
        works("migrate", "baseline", "2", *there)
        assert conn.execute("SELECT 1 FROM canary").fetchall() == []
        assert conn.execute("SELECT rolname FROM pg_roles WHERE rolname = %s", (called,)).fetchone()


@pytest.mark.parametrize(
    "called", ['o\'d "d" $1 %s {x}\\; DROP TABLE canary;-- é'], ids=["all of it"], indirect=True
)
def test_the_chat_schema_works_with_any_names_of_objects(called: str, offline: Chatdb) -> None:
    there = ("--schema", called)
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
        conn.execute("CREATE TABLE canary ()")
        for arguments in (
            ("setup", "--dir", "@chat", "--seed"),
            ("docs",),
            ("seed", "--dir", "@chat"),
            ("migrate", "down", "--all", "--allow-data-loss", "--dir", "@chat"),
            ("setup", "--dir", "@chat"),
            ("seed", "--scale", "100", "--dir", "@chat"),
        ):
            result = offline(*arguments, *there)
            assert result.code == 0, (arguments, result)
        url = os.environ["DATABASE_URL"]
        settings = load_settings({"database_url": url, "schema": called}, environ={}, cwd=Path("/"))
        with open_target(settings) as target, Listener(target) as listener:
            assert listener.cursor
        assert conn.execute("SELECT 1 FROM canary").fetchall() == []
