"""SQL that is sent is in queries.py files, and docs/statements.md shows all of it."""

from __future__ import annotations

import ast
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGE = ROOT / "chatdb_cli"
PAGE = runpy.run_path(str(ROOT / "docs" / "statements.py"))
# `lint` proposes SQL, and has no connection.
MODULES = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if path.name != "queries.py" and PACKAGE / "lint" not in path.parents
)
# COMMIT and the like are words, too: only the whole statement counts.
SQL = re.compile(
    r"""\s*(?:(?:SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|CREATE|ALTER|DROP|SET|RESET|SAVEPOINT|RELEASE
    |LOCK|COPY|ANALYZE|VACUUM|REINDEX|TRUNCATE|LISTEN|UNLISTEN|NOTIFY|COMMENT|GRANT|REVOKE|EXECUTE
    |PREPARE|DEALLOCATE|DISCARD|SHOW|DO|CALL|DECLARE|FETCH|EXPLAIN|VALUES|REFRESH)\s
    |(?:BEGIN|COMMIT|ROLLBACK|START|END|ABORT)(?:;|\s*$|\s+[A-Z]))""",
    re.VERBOSE,
)
# What looks like SQL and is not sent, by the module that holds it.
NOT_SENT = {
    "catalog/grants.py": "the words for privileges",
    "docs/sql_text.py": "patterns that match definitions which the server returns",
    "migrate/confine/catalogs.py": "conditions that its queries.py puts into statements",
    "migrate/ending.py": "a command that a hint names",
    "syntax/outside_transaction.py": "the kinds of statements in the user's files",
    "syntax/privileged.py": "the words before a statement of PL/pgSQL",
    "syntax/refusal.py": "the kinds of statements in the user's files",
    "postgres/connect_failures.py": "commands that hints name",
    "events/listener.py": "commands that hints name",
    "health/checks/activity.py": "commands that hints name",
    "health/checks/events.py": "commands that hints name",
    "history/access.py": "a command that a hint names",
    "health/definition.py": "commands that hints name",
    "health/checks/schema.py": "commands that hints name",
    "health/checks/server.py": "commands that hints name",
    "verify/invariants.py": "commands that hints name",
    "counts/tables.py": "a command that a hint names",
}


def sql_in(path: Path) -> Iterator[str]:
    """Yield the string constants of a module that begin like a statement, without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            text = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
            if isinstance(text, str) and SQL.match(text):
                yield f"line {node.lineno}: {text}"


def test_no_sql_is_outside_of_queries() -> None:
    for path in MODULES:
        if str(path.relative_to(PACKAGE)) not in NOT_SENT:
            assert not list(sql_in(path)), f"{path}: move it to the queries.py of its package"


def test_no_package_imports_the_queries_of_another() -> None:
    for path in MODULES:
        imported = re.findall(
            r"from (chatdb_cli\.[\w.]+)(?:\.queries import| import .*\bqueries\b)", path.read_text()
        )
        own = f"chatdb_cli.{path.relative_to(PACKAGE).parts[0]}."
        assert not [name for name in imported if not f"{name}.".startswith(own)], path


def test_every_exception_is_needed() -> None:
    for name in NOT_SENT:
        assert list(sql_in(PACKAGE / name)), f"{name} needs no exception"


@pytest.mark.parametrize("sql", ["SELECT 1", "COMMIT", "BEGIN ISOLATION", "ROLLBACK; SELECT 1"])
def test_what_begins_like_a_statement_is_found(sql: str, tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(f"conn.execute({sql!r})\nconn.execute(f'{sql} {{x}}')\nexec_(b'{sql}')\n")
    assert len(list(sql_in(module))) == 3


def test_statements_md_is_up_to_date() -> None:
    page = (ROOT / "docs" / "statements.md").read_text(encoding="utf-8")
    assert PAGE["document"]() == page, 'run "make docs"'


def test_every_statement_has_a_comment_that_explains_it() -> None:
    for package in PAGE["packages"]():
        entries = list(PAGE["entries"](package))
        assert entries, package
        assert not [entry.name for entry in entries if not entry.comment], package
