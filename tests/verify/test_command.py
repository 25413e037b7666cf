"""The command: its choice of checks, its exit codes, its document and its text."""

from __future__ import annotations

import json

import pytest

from chatdb_cli.verify.model import CHECKS
from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.project import Project

QUICK = ("verify", "--skip", "rollback,schema")


def test_the_document_has_every_check_with_its_findings(
    applied: Project, chatdb: Chatdb, database: Database
) -> None:
    applied.write("0003_more", "TRUNCATE users, orders;", "SELECT 1;")
    result = chatdb(*QUICK, "--format", "json")
    assert result.code == 1
    document = result.document
    assert document["ok"] is False
    assert document["target"]["database"] == database.name
    assert [check["name"] for check in document["checks"]] == list(CHECKS)
    states = {c["name"]: (c["ok"], c["skipped"], c["reason"]) for c in document["checks"]}
    assert states == {
        "files": (False, False, None),
        "history": (False, False, None),
        "schema": (True, True, "not asked for"),
        "rollback": (True, True, "not asked for"),
        "invariants": (True, False, None),
        "counts": (True, True, "nothing to compare with"),
    }
    files, history = document["checks"][:2]
    assert files["findings"][0].items() >= {
        "code": "truncate", "file": "sql/up/0003_more.sql", "line": 1
    }.items()  # fmt: skip
    assert history["findings"] == [
        {
            "code": "pending",
            "message": "0003_more is pending",
            "hint": 'apply it with "chatdb migrate up", or expect it with --allow-pending',
            "file": "sql/up/0003_more.sql",
            "line": None, "column": None, "version": "0003",
            "why": "A migration is not applied.",
        }
    ]  # fmt: skip


def test_the_text_has_a_line_for_each_check_and_then_what_was_found(
    applied: Project, chatdb: Chatdb, database: Database
) -> None:
    result = chatdb(*QUICK)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert [line.split()[:2] for line in lines[:7]] == [
        ["check", "state"], ["files", "ok"], ["history", "ok"], ["schema", "skipped"],
        ["rollback", "skipped"], ["invariants", "ok"], ["counts", "skipped"],
    ]  # fmt: skip
    assert lines[7:] == ["verified: 3 checks ok, 3 skipped"]
    database.execute("CREATE TABLE keyless ()")
    result = chatdb(*QUICK)
    assert result.code == 1
    assert result.out.splitlines()[7:] == [
        "",
        "invariants: the table keyless has no primary key [no-primary-key]",
        "hint: ALTER TABLE keyless ADD PRIMARY KEY (...)",
        "",
        "not verified: invariants failed, 2 ok, 3 skipped",
    ]


@pytest.mark.quick
def test_offline_needs_no_database_and_makes_the_check_of_the_files(
    shop: Project, offline: Chatdb
) -> None:
    result = offline("verify", "--offline", "--format", "json")
    assert result.code == 0
    assert result.document["target"] is None
    made = [c["name"] for c in result.document["checks"] if not c["skipped"]]
    assert made == ["files"]


def test_without_a_configured_database_only_the_files_pass(shop: Project, offline: Chatdb) -> None:
    result = offline("verify", "--format", "json")
    assert result.code == 1
    states = {c["name"]: (c["ok"], c["error"] and c["error"]["code"])
              for c in result.document["checks"]}  # fmt: skip
    assert states == {
        "files": (True, None),
        "history": (False, "not-configured"), "schema": (False, "not-configured"),
        "rollback": (False, "not-configured"), "invariants": (False, "not-configured"),
        "counts": (True, None),
    }  # fmt: skip


WRONG = {
    ("--only", "type"): "there is no check 'type'",
    ("--only", "types"): "there is no check 'types'",
    ("--skip", "hystory"): "there is no check 'hystory'; did you mean history?",
    ("--only", "files", "--skip", "files"): "files can't be checked and left out",
    ("--only", "counts"): "counts can't be checked: nothing to compare with",
    ("--only", "schema", "--offline"): "schema can't be checked: it needs a database",
    ("--counts", "f.json", "--offline"): "counts can't be checked: it needs a database",
    ("--counts", "f.json", "--skip", "counts"): "counts can't be checked: not asked for",
    ("--skip", "files", "--offline"): "nothing is left to check",
    ("--report", "html=x"): "there is no report 'html=x'",
    ("--report", "junit"): "there is no report 'junit'",
    ("--since", "HEAD", "--offline"): "git does not know what is newer than 'HEAD'",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_usage_checks_nothing_and_is_exit_2(
    shop: Project, chatdb: Chatdb, arguments: tuple[str, ...]
) -> None:
    result = chatdb("verify", *arguments, "--format", "json")
    assert result.code == 2
    error = json.loads(result.out)["error"]
    assert error["code"] == "usage"
    assert error["message"].startswith(WRONG[arguments])


def test_the_exit_code_is_6_if_only_files_and_history_disagree(
    applied: Project, chatdb: Chatdb, database: Database
) -> None:
    (applied.sql / "up/0002_email.sql").write_text("ALTER TABLE users ADD email varchar;\n")
    assert chatdb("verify", "--skip", "rollback").code == 6
    # ... also if the schema can't be built for that reason,
    database.execute("UPDATE chatdb_migration SET up_text = NULL")
    assert chatdb("verify", "--skip", "rollback").code == 6
    # ... and not if there is anything else.
    database.execute("CREATE TABLE keyless ()")
    assert chatdb("verify", "--skip", "rollback").code == 1


def test_a_pending_migration_alone_is_exit_1(applied: Project, chatdb: Chatdb) -> None:
    applied.write("0003_more", "CREATE TABLE t (id int PRIMARY KEY);", "DROP TABLE t;")
    assert chatdb(*QUICK).code == 1
    assert chatdb(*QUICK, "--allow-pending").code == 0


NOTHING_MADE = {
    ("-d", "postgresql://127.0.0.1:1/x"): 3,
    ("-d", "postgresql://127.0.0.1:1/x", "--ssh-host", "127.0.0.1", "--ssh-port", "1"): 4,
    ("--schema", "no_such_schema"): 2,
}


@pytest.mark.parametrize("arguments", NOTHING_MADE, ids=" ".join)
def test_the_exit_code_is_that_of_the_error_if_no_check_could_be_made(
    applied: Project, chatdb: Chatdb, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("CHATDB_CONNECT_RETRIES", "0")
    monkeypatch.setenv("SSH_MAX_RETRIES", "0")
    only = "history,invariants"
    assert chatdb("verify", "--only", only, *arguments).code == NOTHING_MADE[arguments]
    # With a check that was made it is a failure like any other.
    assert chatdb("verify", "--only", f"files,{only}", *arguments).code == 1


def test_a_password_is_shown_nowhere(
    applied: Project, chatdb: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATDB_CONNECT_RETRIES", "0")
    url = "postgresql://u:s3cret@127.0.0.1:1/x"
    for form in ("text", "json"):
        result = chatdb("verify", "-d", url, "--format", form, "--report", "junit=j.xml",
                        "--report", "sarif=s.sarif", "--report", "markdown=m.md",
                        "--report", "github", "--skip", "counts")  # fmt: skip
        assert result.code == 1
        files = [(applied.path / name).read_text() for name in ("j.xml", "s.sarif", "m.md")]
        assert "s3cret" not in "".join((result.out, result.err, *files))
