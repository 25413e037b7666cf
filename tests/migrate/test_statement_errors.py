"""What a user sees when a statement or a file fails, word for word.

The reports are files beside their cases.  `--force-regen` writes them again; read what has changed
before you commit it.  Beside the text: no traceback, and no password in any form of output.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_regressions.file_regression import FileRegressionFixture
from rich.cells import cell_len

from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.errors import SECRET, error_text
from tests.support.project import Project
from tests.support.servers import on_first_server

CASES = Path(__file__).parent / "cases"


def cases(folder: str) -> pytest.MarkDecorator:
    """Each file of a folder, as the second migration; a `.txt` beside it is the report."""
    paths = sorted((CASES / folder).glob("*.sql"))
    return pytest.mark.parametrize("case", paths, ids=lambda path: path.stem)


def write_case(project: Project, case: Path) -> None:
    project.write("0001_ok", "CREATE TABLE ok ()", "DROP TABLE ok")
    project.write("0002_case", case.read_bytes())


@pytest.fixture
def golden(case: Path, file_regression: FileRegressionFixture) -> Callable[[str], None]:
    """Compare a report with the file of this case, word for word."""

    def check(text: str) -> None:
        path = case.with_suffix(".txt")
        file_regression.check(text, fullpath=path, encoding="utf-8", newline="")

    return check


@on_first_server
@cases("statement_errors")
def test_a_statement_that_fails_is_reported_with_its_place_and_what_to_do(
    case: Path, golden: Callable[[str], None], project: Project, chatdb: Chatdb, database: Database
) -> None:
    write_case(project, case)
    result = chatdb("migrate", "up")
    assert (result.code, result.out) == (5, "")
    golden(error_text(result))
    assert database.applied() == ["0001_ok"]
    assert database.tables() == {"ok"}
    again = chatdb("migrate", "up", "--format", "json", "--verbose", "--log-format", "json")
    assert again.code == 5
    assert SECRET not in again.out + again.err + result.err


@pytest.mark.quick
@on_first_server
@cases("refused_files")
def test_a_file_that_no_migration_may_hold_is_refused_before_anything_runs(
    case: Path, golden: Callable[[str], None], project: Project, chatdb: Chatdb, database: Database
) -> None:
    write_case(project, case)
    result = chatdb("migrate", "up", "--format", "json")
    assert result.code == 2
    golden(error_text(result))
    error = result.document["error"]
    assert (error["code"], error["file"]) == ("bad-file", "sql/up/0002_case.sql")
    place = ":".join(str(n) for n in (error["file"], error["line"], error["column"]) if n)
    assert f"  --> {place}\n" in error_text(result)
    assert database.tables() == set()
    assert chatdb("migrate", "status", "--check").code == 6


# Each line has @ where the caret has to stand; the @ itself is not in the file.
BEFORE = {
    "ascii": "SELECT 1, @nope",
    "accents": "SELECT 'Grüße', @nope",
    "combining": "SELECT 'e\u0301\u0302', @nope",
    "wide": "SELECT '漢字かな', @nope",
    "hangul in pieces": "SELECT '\u1112\u1161\u11ab', @nope",
    "hindi": "SELECT 'नमस्ते', @nope",
    "emoji": "SELECT '🙂🚀', @nope",
    "beyond the basic plane": "SELECT '𝔘𝔫𝔦', @nope",  # noqa: RUF001
    "tabs": "\tSELECT\t1,\t@nope",
    "tabs and wide letters": "\tSELECT '漢'\t,\t@nope",
    "zero width": "SELECT 'a\u200bb\ufeffc', @nope",
    "comment": "/* ünï /* 漢 */ */ SELECT @nope",
    "quoted name": 'SELECT 1 AS "ü漢", @nope',
    "dollar": "SELECT $ü$ 漢 $ü$, @nope",
}


@on_first_server
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("bom", ["", "\ufeff"], ids=["", "bom"])
def test_the_caret_is_under_the_character(
    end: str, bom: str, project: Project, chatdb: Chatdb
) -> None:
    plain = (end, bom) == ("\n", "")
    for name in BEFORE if plain else ("accents", "tabs and wide letters"):
        marked = BEFORE[name]
        line, column = marked.replace("@", ""), marked.index("@") + 1
        text = f"{bom}SELECT 'ü漢';{end}SELECT 'zwei'{end};{end}{line};{end}"
        project.write("0001_case", text.encode())
        result = chatdb("migrate", "up", "--format", "json")
        error = result.document["error"]
        assert (error["line"], error["column"]) == (4, column), name
        drawn = error_text(result).splitlines()
        at = next(n for n, drawn_line in enumerate(drawn) if drawn_line.startswith("4 | "))
        caret = drawn[at + 1]
        assert caret.endswith("^")
        assert _cells(caret[:-1]) == _cells(f"4 | {line[: column - 1]}"), name


def _cells(text: str) -> int:
    """How far to the right a text ends, on a terminal with a tab at each eighth column."""
    column = 0
    for n, piece in enumerate(text.split("\t")):
        column = column // 8 * 8 + 8 if n else 0
        column += cell_len(piece)
    return column


@on_first_server
def test_a_failed_down_is_reported_as_a_down(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write("0001_a", "CREATE TABLE a (); CREATE TABLE b ()", "DROP TABLE nope")
    project.write("0002_b", "CREATE TABLE c ()", "DROP TABLE c")
    chatdb("migrate", "up")
    assert (
        error_text(chatdb("migrate", "down", "--all"))
        == """\
error: table "nope" does not exist [42P01 undefined_table]
  --> sql/down/0001_a.sql:1
  |
1 | DROP TABLE nope
  = 0001 was rolled back; 0002 stays rolled back

hint: correct the file and run "chatdb migrate down" again
"""
    )
    project.write("0001_a", "CREATE TABLE a (); CREATE TABLE b ()", "DROP TABLE a")
    result = chatdb("migrate", "redo")
    assert result.code == 5
    assert (
        error_text(result)
        == """\
error: relation "b" already exists [42P07 duplicate_table]
  --> sql/up/0001_a.sql:1
  |
1 | CREATE TABLE b ()
  = it is statement 2 of 2 of the file
  = 0001 was rolled back; 0001 stays rolled back

hint: an object of that name exists already, perhaps created by hand: drop it, or choose another name
"""
    )
    assert database.tables() == {"b"}


@on_first_server
def test_a_lock_of_another_session_is_reported_with_its_holder(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write("0001_a", "ALTER TABLE busy ADD x int;")
    with database.connect() as conn:
        conn.execute("CREATE TABLE busy ()")
        with conn.transaction():
            conn.execute("LOCK TABLE busy")
            pid = conn.info.backend_pid
            result = chatdb(
                "migrate", "up", "--lock-timeout", "1s", "--retries", "2", "--allow-non-empty"
            )
    who = rf"pid {pid} \(user postgres, idle in transaction, since [-0-9: ]+Z, \d+ s ago\)"
    found = re.search(f"  = it waited for ({who}): LOCK TABLE busy\n", error_text(result))
    assert found
    assert f"0001 waits for pid {pid} (user postgres" in result.err  # while it waited, too
    assert (
        error_text(result).replace(found[0], "")
        == """\
error: canceling statement due to lock timeout [55P03 lock_not_available]
  --> sql/up/0001_a.sql:1
  |
1 | ALTER TABLE busy ADD x int;
  = 0001 was rolled back; only the tables of the history were created

hint: another session holds a lock on what this changes: run it again when that session is done, \
end it with \
SELECT pg_terminate_backend(PID), or try longer with --retries or --lock-timeout
"""
    )


@on_first_server
def test_a_database_that_is_read_only_by_default_is_migrated_only_if_that_is_confirmed(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    with database.connect() as conn:
        conn.execute(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")
    project.write_tables(1)
    assert chatdb("migrate", "status").code == 0
    result = chatdb("migrate", "up")
    assert result.code == 8
    assert "--allow-read-only-override" in error_text(result)
    assert chatdb("migrate", "up", "--dry-run").code == 0
    assert chatdb("migrate", "up", "--allow-read-only-override").code == 0
    assert chatdb("migrate", "up").code == 0  # nothing is written
    assert chatdb("migrate", "down").code == 8
    assert chatdb("migrate", "down", "--allow-read-only-override").code == 0
