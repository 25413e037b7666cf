"""Bad input: any file, file name, .env or URL is accepted, or is an error that changes nothing.

The error is clear and has its exit code.  Also, any name of an object is quoted correctly everywhere.
Generated input goes through the whole command line here; the packages' own tests check the message of
each single mistake.
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
def run_unchanged(
    project: Project,
    offline: Chatdb,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Result]]:
    """Run a command in a project with one applied migration; check that a failure changes nothing."""
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
                check_error(result)
                assert conn.execute(STATE).fetchone() == before
            return result

        yield call


def check_error(result: Result) -> None:
    """Check that an error has a message, a place, a hint and the exit code of its kind."""
    assert "Traceback" not in result.err
    assert result.code in set(Exit) - {Exit.DONE, Exit.INTERNAL}, result
    (text,) = re.findall(r"^error: (.+)", result.err, re.MULTILINE) or [""]
    assert text
    assert "\x1b" not in result.err
    # The message about a wrong setting already says what to do.
    assert re.search(r"^hint: .", result.err, re.MULTILINE) or result.code == Exit.USAGE, result.err
    if result.out:
        error = json.loads(result.out)["error"]
        assert EXITS[error["code"]] == result.code
        if error["code"] == "bad-file":
            assert error["file"]


# --- files ----------------------------------------------------------------------------------------

# Text with lone surrogates too, which a file can hold (in an invalid encoding), but no argument.
ANY = st.text(st.characters(exclude_characters="\0/"), min_size=1, max_size=12)
# Text that an argument, a file name or a variable can hold: characters, and bytes that are not UTF-8.
ENCODABLE = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0/")
    | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF),
    min_size=1,
    max_size=12,
)
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
    """Draw the content of a file: text of all kinds in all encodings, cut anywhere, or any bytes."""
    if draw(st.integers(0, 5)) == 0:
        return draw(st.binary(max_size=60))
    text = "".join(draw(st.lists(ODD | ANY, max_size=6)))
    coding = draw(st.sampled_from(("utf-8", "utf-8", *CODINGS)))
    errors = "surrogatepass" if coding.startswith("utf") else "replace"
    data = text.encode(coding, errors)
    return data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data


def reset(database: Database, offline: Chatdb, project: Project) -> None:
    """Restore the project with one applied migration, after an input was accepted."""
    for file in (*project.sql.glob("up/*"), *project.sql.glob("down/*")):
        file.unlink()
    project.write_tables(1)
    database.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    assert offline("migrate", "up").code == 0


def test_any_content_of_a_file_is_applied_or_refused_with_its_place(
    run_unchanged: Callable[..., Result], offline: Chatdb, project: Project, database: Database
) -> None:
    codes: Counter[int] = Counter()

    @TRIES
    @example(b"SELECT 1;", "up", "text")
    @example(b"SELECT 1/0;", "up", "json")
    @example(b"SELECT 'a\0';", "up", "json")
    @given(contents(), st.sampled_from(["up", "up", "down"]), st.sampled_from(["text", "json"]))
    def attempt(data: bytes, direction: str, form: str) -> None:
        pair = (data, b"") if direction == "up" else (b"", data)
        project.write("0002_odd", *pair)
        result = run_unchanged("migrate", "up", "--format", form)
        assert result.code in (0, 2, 5)
        codes[result.code] += 1
        if result.code == 0:
            codes[run_unchanged("migrate", "down", "--format", form).code] += 1
            assert run_unchanged("migrate", "status", "--format", form).code == 0
            reset(database, offline, project)

    attempt()
    assert codes.keys() >= {0, 2, 5}


NAMES = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "2", "0002", "1", "0001", "٣", "-2", "2" * 200, "0002 ", "2.5"]),
    st.sampled_from(["", "_", "-", " ", ".", "__", "_t1"]),
    st.one_of(st.sampled_from(["t1", "n" * 240]), ENCODABLE, ODD.filter(lambda c: "\0" not in c)),
    st.sampled_from([".sql", ".sql", ".SQL", "", ".sql.sql", ".sql~", ".txt"]),
)  # fmt: skip


def test_any_name_of_a_file_is_accepted_or_refused_and_named(
    run_unchanged: Callable[..., Result], offline: Chatdb, project: Project, database: Database
) -> None:
    codes: Counter[int] = Counter()

    @TRIES
    @example("0002_a.sql", "both", "text")
    @example("a.sql", "up", "json")
    @example("0001_a.sql", "up", "json")
    @example("2 \udcff.txt", "both", "text")
    @given(NAMES, st.sampled_from(["up", "down", "both"]), st.sampled_from(["text", "json"]))
    def attempt(name: str, where: str, form: str) -> None:
        paths = []
        for folder in ("up", "down") if where == "both" else (where,):
            path = project.sql / folder / name
            with suppress(OSError):  # the file system refuses that name
                if not path.exists():
                    path.write_bytes(b"")
                    paths.append(path)
        result = run_unchanged("migrate", "up", "--format", form)
        codes[result.code] += 1
        assert result.code in (0, 2, 6)
        assert run_unchanged("migrate", "status", "--format", form).code == 0
        if result.code == 0 and len(database.applied()) > 1:
            if where == "both":
                assert run_unchanged("migrate", "down", "--format", form).code == 0
            reset(database, offline, project)
        for path in paths:
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
    run_unchanged: Callable[..., Result], project: Project
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
        result = run_unchanged("migrate", "up", "--format", form)
        codes[result.code] += 1
        assert result.code in (0, 2, 6, 8), result
        if ".env" in result.err and result.out:
            assert json.loads(result.out)["error"]["file"].endswith(".env")

    attempt()
    assert codes.keys() >= {0, 2}


def test_any_url_connects_or_is_refused(
    run_unchanged: Callable[..., Result], database: Database, monkeypatch: pytest.MonkeyPatch
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
        text = draw(pieces) + draw(ENCODABLE)
        return f"{scheme}://{text}:{text}@{draw(st.sampled_from(places))}/{draw(pieces)}"

    @TRIES
    @example(database.url, "text", False)
    @example("postgresql://u@/d?host=/no/such", "json", False)
    @example("postgresql://u:p@q@h/d", "json", True)
    @given(urls(), st.sampled_from(["text", "json"]), st.booleans())
    def attempt(url: str, form: str, flag: bool) -> None:
        if flag or "\0" in url:
            result = run_unchanged("migrate", "up", "--format", form, "--database-url", url)
        else:
            monkeypatch.setenv("DATABASE_URL", url)
            result = run_unchanged("migrate", "up", "--format", form)
        codes[result.code] += 1
        assert result.code in (0, 2, 3), result

    attempt()
    assert codes.keys() == {0, 2, 3}


def test_any_argument_is_accepted_or_refused(run_unchanged: Callable[..., Result]) -> None:
    options = st.sampled_from(
        ["--to", "--steps", "--schema", "--dir", "--wait", "--lock-timeout", "--retries", "--env-file",
         "--pooler", "--statement-timeout", "--dry-run", "--allow-out-of-order", "--", "-x"]
    )  # fmt: skip

    # A terminal shows bytes that are not UTF-8 as \\udcff; the stream of the tests can't.
    values = VALUES.filter(
        lambda text: text.isascii() or text.encode(errors="ignore").decode() == text
    )

    @TRIES
    @given(st.sampled_from(["up", "status", "history", "repair", "baseline"]), options, values)
    def attempt(command: str, option: str, value: str) -> None:
        result = run_unchanged("migrate", command, option, value)
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
        check_error(Result(result.returncode, result.stdout, result.stderr))
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
    """Let every existing role log in."""
    with allow_logins(server, "local all all trust"):
        yield


@pytest.fixture
def object_name(
    request: pytest.FixtureRequest, server: Server, trusting: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Return the name of a role and of a database, and set DATABASE_URL to them."""
    name: str = request.param
    identifier = sql.Identifier(name)
    with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE ROLE {} LOGIN").format(identifier))
        conn.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(identifier))
        host = re.search(r"host=[^&]*", server.url("x"))
        assert host
        quoted = quote(name, safe="")
        monkeypatch.setenv("DATABASE_URL", f"postgresql://{quoted}@/{quoted}?{host[0]}")
        try:
            yield name
        finally:
            conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))
            conn.execute(sql.SQL("DROP ROLE {}").format(identifier))


@pytest.mark.parametrize("object_name", ODD_NAMES.values(), ids=ODD_NAMES, indirect=True)
def test_every_command_works_with_any_names_of_objects(
    object_name: str, project: Project, offline: Chatdb
) -> None:
    """A role, a database, a schema, a table, a column, an index and a file have the same name."""
    identifier = sql.Identifier(object_name).as_string()
    stem = object_name.replace("/", "")
    project.write(
        f"0001_{stem}",
        f"CREATE TABLE {identifier} ({identifier} text PRIMARY KEY);\n"
        f"COMMENT ON TABLE {identifier} IS 'x';",
        f"DROP TABLE {identifier};",
    )
    index = sql.Identifier(f"{object_name}_i").as_string()
    project.write(
        f"0002 {stem}",
        f"{ALONE}CREATE INDEX CONCURRENTLY {index} ON {identifier} ({identifier});",
        f"{ALONE}DROP INDEX CONCURRENTLY {index};",
    )
    (project.sql / "seed").mkdir()
    seed = f"INSERT INTO {identifier} VALUES ('x') ON CONFLICT DO NOTHING;"
    (project.sql / "seed" / f"{stem}.sql").write_text(seed)
    in_schema = ("--schema", object_name)

    def run(*arguments: str, code: int = 0) -> Result:
        result = offline(*arguments)
        assert result.code == code, f"{arguments}\n{result.out}\n{result.err}"
        assert "Traceback" not in result.err
        return result

    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
        conn.execute("CREATE TABLE canary ()")
        run("setup", *in_schema)
        assert conn.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname = %s", (object_name,)
        ).fetchone()
        run("migrate", "status", *in_schema, "--check")
        document = run("migrate", "status", *in_schema, "--format", "json").document
        assert document["target"]["database"] == document["target"]["user"] == object_name
        assert document["schema"] == object_name
        assert [m["name"] for m in document["applied"]] == [stem.lstrip(" -")] * 2
        run("migrate", "redo", *in_schema, "--allow-data-loss")
        run("seed", *in_schema)
        run("migrate", "down", *in_schema, "--allow-data-loss")
        lost = run("migrate", "down", *in_schema, "--format", "json", code=8).document
        assert [loss["table"] for loss in lost["losses"]] == [object_name]
        run("migrate", "up", *in_schema)
        assert json.loads(run("docs", *in_schema, "--format", "json").out)
        assert "Traceback" not in run("docs", *in_schema).out
        run("migrate", "history", *in_schema)
        edited_file = next((project.sql / "up").glob("0001*"))
        edited_file.write_bytes(edited_file.read_bytes() + b"-- edited")
        run("migrate", "up", *in_schema, code=6)
        run("migrate", "repair", "--yes", *in_schema)
        run("setup", "--test", "--name", f"{object_name}_")
        run("setup", "--test", "--name", f"{object_name}_")
        run("migrate", "down", "--all", "--allow-data-loss", *in_schema)
        run("migrate", "baseline", "2", *in_schema)
        assert conn.execute("SELECT 1 FROM canary").fetchall() == []
        assert conn.execute(
            "SELECT rolname FROM pg_roles WHERE rolname = %s", (object_name,)
        ).fetchone()


@pytest.mark.parametrize(
    "object_name",
    ['o\'d "d" $1 %s {x}\\; DROP TABLE canary;-- é'],
    ids=["every odd character"],
    indirect=True,
)
def test_the_chat_schema_works_with_any_names_of_objects(object_name: str, offline: Chatdb) -> None:
    in_schema = ("--schema", object_name)
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
            result = offline(*arguments, *in_schema)
            assert result.code == 0, (arguments, result)
        url = os.environ["DATABASE_URL"]
        settings = load_settings(
            {"database_url": url, "schema": object_name}, environ={}, cwd=Path("/")
        )
        with open_target(settings) as target, Listener(target) as listener:
            assert listener.cursor
        assert conn.execute("SELECT 1 FROM canary").fetchall() == []


# --- files that can't run, all at once, before anything runs -----------------------------------------


def test_every_file_that_can_not_run_is_listed_before_anything_runs(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1)
    project.write("0002_index", "CREATE INDEX CONCURRENTLY ON t1 (id);", "DROP INDEX t1_id_idx;")
    project.write("0003_vacuum", "SELECT 1;\nVACUUM t1;", "-- chatdb: nothing-to-undo: no rows\n")
    project.write("0004_begin", "SELECT 1;", "BEGIN; COMMIT;")
    project.write("0005_copy", "COPY t1 FROM STDIN;", "SELECT 1;")
    project.write("0006_syntax", "SELECT 1;", "DROP TABEL t6;")
    result = chatdb("migrate", "up")
    assert result.code == 2
    places = ("up/0002_index.sql:1", "up/0003_vacuum.sql:2", "down/0004_begin.sql:1")
    for place in (*places, "up/0005_copy.sql:1", "down/0006_syntax.sql:1"):
        assert place in result.err, place
    assert "transactional: false" in result.err
    assert database.tables() == set()
    status = chatdb("migrate", "status", "--check", "--format", "json")
    assert status.code == 6
    problems = [(p["code"], p["version"]) for p in status.document["problems"]]
    assert sorted(problems) == [("refused", f"000{n}") for n in range(2, 7)]
    project.write("nope", "")
    result = chatdb("migrate", "up")  # with problems of another kind, these are listed too
    assert result.code == 2
    for place in ("nope.sql", *places):
        assert place in result.err, place


def test_a_down_file_that_undoes_nothing_is_refused_unless_it_says_why(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write("0001_a", "CREATE TABLE a ();", "-- take it back\n")
    project.write("0002_b", "SELECT 1;\n-- nothing", "")
    project.write("0003_c", "-- only a comment", "DROP TABLE IF EXISTS c;")
    up = chatdb("migrate", "up", "--format", "json")
    assert up.code == 0
    (empty_up, empty_downs) = up.document["warnings"]
    assert "0003_c.sql has no statement" in empty_up
    assert empty_downs.endswith("they undo nothing (0001_a.sql, 0002_b.sql)")
    assert chatdb("migrate", "down", "--to", "1").code == 0  # their ups do nothing
    result = chatdb("migrate", "down")
    assert result.code == 8
    assert "nothing-to-undo" in result.err
    (project.sql / "down" / "0001_a.sql").unlink()
    assert chatdb("migrate", "down").code == 8  # the text that the history keeps is no better
    assert database.tables() == {"a"}
    project.write("0001_a", "CREATE TABLE a ();", "-- chatdb: nothing-to-undo: the table stays")
    assert chatdb("migrate", "down").code == 0
    assert database.tables() == {"a"}
    wrong = chatdb("migrate", "lint")
    assert "0001_a.sql" not in wrong.out + wrong.err


def test_a_down_file_that_was_broken_after_it_was_applied_is_found_by_status(
    project: Project, chatdb: Chatdb
) -> None:
    project.write_tables(1, 2)
    assert chatdb("migrate", "up").code == 0
    assert chatdb("migrate", "status", "--check").code == 0
    project.write("0001_t1", "CREATE TABLE t1 (id int);\n", "DROP TABEL t1;")
    result = chatdb("migrate", "status", "--check")
    assert result.code == 6
    assert "down/0001_t1.sql:1" in result.out
    assert "TABEL" in result.out
