"""What the linter knows: the batch, the files before, the allowances, the places."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.files.folder import shipped_folder
from chatdb_cli.lint.linter import count_in_words, lint_files
from chatdb_cli.lint.model import LintOptions, LiveDatabase

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chatdb_cli.lint.model import LintResult

USERS = "CREATE TABLE users (id bigint PRIMARY KEY, email varchar(100), age integer);\n"
INDEX = "CREATE INDEX users_email_idx ON users (email);\n"
QUIET = LintOptions(off=frozenset({"no-down-file"}))


def rules(result: LintResult) -> list[str]:
    return [finding.code for finding in result.findings]


@pytest.mark.quick
def test_the_chat_schema_is_quiet() -> None:
    result = lint_files(str(shipped_folder()))
    assert len(result.files) > 70
    assert [(f.code, f.message) for f in result.findings] == []


# --- batches ---------------------------------------------------------------------------------------


def test_a_table_of_an_earlier_file_is_in_use(lint: Callable[..., LintResult]) -> None:
    assert rules(lint(INDEX, USERS)) == ["index-without-concurrently"]


def test_a_table_of_the_same_file_is_not(lint: Callable[..., LintResult]) -> None:
    assert rules(lint(USERS + INDEX)) == []


def test_files_that_are_named_are_one_batch(write: Callable[..., Path]) -> None:
    folder = write(INDEX, USERS)
    both = [folder / "up/0001_before.sql", folder / "up/0002_example.sql"]
    assert rules(lint_files(None, both, options=QUIET)) == []
    assert rules(lint_files(None, both[1:], options=QUIET)) == ["index-without-concurrently"]
    assert rules(lint_files(None, [folder], options=QUIET)) == []


def test_a_table_that_no_file_makes_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "change.sql"
    path.write_text(INDEX)
    assert rules(lint_files(None, [path])) == ["index-without-concurrently"]


def test_files_up_to_a_version_are_not_checked_but_known(lint: Callable[..., LintResult]) -> None:
    options = LintOptions(off=QUIET.off, after="0001")
    result = lint(INDEX, "CREATE TABLE users (email text, price money);", options)
    assert rules(result) == ["index-without-concurrently"]


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ("git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments),
        cwd=folder,
        check=True,
        capture_output=True,
    )


def test_since_checks_what_a_commit_does_not_have_as_one_batch(write: Callable[..., Path]) -> None:
    folder = write(INDEX, USERS)
    git(folder.parent, "init", "-q", "-b", "main")
    git(folder.parent, "add", ".")
    git(folder.parent, "commit", "-qm", "first")
    assert lint_files(str(folder), since="main", options=QUIET).files == ()
    (folder / "up/0003_new.sql").write_text("CREATE TABLE tags (id bigint PRIMARY KEY);")
    (folder / "up/0004_new.sql").write_text(
        "CREATE INDEX a ON tags (id, id);\n" + INDEX.replace("_idx", "_idx2")
    )
    git(folder.parent, "checkout", "-qb", "branch")
    git(folder.parent, "add", "sql/up/0003_new.sql")
    git(folder.parent, "commit", "-qm", "second")
    result = lint_files(str(folder), since="main", options=QUIET)
    assert [path.rpartition("/")[2] for path in result.files] == ["0003_new.sql", "0004_new.sql"]
    assert "tags" not in " ".join(f.message for f in result.findings if f.severity == "error")
    assert "index-without-concurrently" in rules(result)


def test_since_an_unknown_commit_says_what_git_says(write: Callable[..., Path]) -> None:
    folder = write(INDEX, USERS)
    with pytest.raises(ChatdbError) as caught:
        lint_files(str(folder), since="nowhere")
    assert caught.value.code is Code.USAGE
    assert "'nowhere'" in caught.value.message


# --- what the files before have built ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("earlier", "change", "found"),
    [
        # A check that proves it, from an earlier file, validated.
        (
            "ALTER TABLE users ADD CONSTRAINT c CHECK (email IS NOT NULL) NOT VALID;"
            "ALTER TABLE users VALIDATE CONSTRAINT c;",
            "ALTER TABLE users ALTER email SET NOT NULL;",
            [],
        ),
        (
            "ALTER TABLE users ADD CONSTRAINT c CHECK (email IS NOT NULL) NOT VALID;",
            "ALTER TABLE users ALTER email SET NOT NULL;",
            ["not-null-without-check"],
        ),
        # A type that can stay as it is stored, and one that can't.
        ("", "ALTER TABLE users ALTER email TYPE varchar(200);", []),
        ("", "ALTER TABLE users ALTER email TYPE text;", []),
        ("", "ALTER TABLE users ALTER email TYPE varchar(50);", ["varchar-narrowed"]),
        ("", "ALTER TABLE users ALTER age TYPE bigint;", ["type-change"]),
        ("", "ALTER TABLE users RENAME age TO years;", ["rename"]),
        # What is dropped or renamed is followed.
        (
            "ALTER TABLE users RENAME TO people;",
            "ALTER TABLE people ALTER age TYPE bigint;",
            ["type-change"],
        ),
        ("DROP TABLE users;" + USERS, "CREATE TABLE t (id bigint PRIMARY KEY);", []),
        (
            "CREATE INDEX a ON users (email);",
            "-- chatdb: transactional: false\nDROP INDEX CONCURRENTLY IF EXISTS a;",
            [],
        ),
        # Temporary tables are nobody else's.
        ("", "CREATE TEMP TABLE t (a money); TRUNCATE t;", ["money-type"]),
        # An index makes a foreign key and a shorter index useful or not.
        (
            "",
            "CREATE TABLE t (id bigint PRIMARY KEY, u bigint REFERENCES users);\n"
            "CREATE INDEX i ON t (u, id);",
            [],
        ),
        (
            "",
            "CREATE TABLE t (id bigint PRIMARY KEY, u bigint REFERENCES users);\n"
            "CREATE INDEX i ON t (id, u);",
            ["foreign-key-without-index"],
        ),
        (
            "",
            "CREATE TABLE t (u bigint REFERENCES users, v bigint, PRIMARY KEY (u, v));",
            [],
        ),
        # A function that is pinned later, or in a DO block, or with a new body.
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN END';",
            "ALTER FUNCTION f SET search_path = public;",
            [],
        ),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN END';",
            "DO $$ BEGIN EXECUTE 'ALTER FUNCTION f SET search_path = a'; END $$;",
            [],
        ),
        (
            "",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER RETURN 1;",
            [],
        ),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = a "
            "AS 'BEGIN END';",
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE plpgsql SECURITY DEFINER "
            "AS 'BEGIN END';",
            ["security-definer-search-path"],
        ),
    ],
)
def test_the_files_before_decide(
    earlier: str, change: str, found: list[str], write: Callable[..., Path]
) -> None:
    folder = write(change, USERS + "\n")
    # The earlier change is a migration between the two; its own findings do not count.
    (folder / "up/0001_before2.sql").unlink(missing_ok=True)
    (folder / "up/0002_example.sql").rename(folder / "up/0003_example.sql")
    (folder / "up/0002_earlier.sql").write_text(earlier)
    result = lint_files(str(folder), options=QUIET)
    assert [
        f.code for f in result.findings if f.location and "0003" in f.location.file.name
    ] == found


# --- allowances ------------------------------------------------------------------------------------


ALLOW = "-- chatdb: allow: index-without-concurrently, the table is small\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (ALLOW + INDEX, []),  # in the head
        (f"SELECT 1;\n{ALLOW}{INDEX}", []),  # before the statement
        (
            f"SELECT 1;\n{ALLOW}SELECT 2;\n{INDEX}",
            ["unused-allowance", "index-without-concurrently"],
        ),
        (ALLOW + "SELECT 1;", ["unused-allowance"]),
        (ALLOW.replace("index-", "indx-") + "SELECT 1;", ["unused-allowance"]),
        (ALLOW.upper().replace("CHATDB", "chatdb") + INDEX, []),
        (f"/* a */ {ALLOW}{INDEX}{INDEX.replace('_idx', '_idx2')}", []),
        (f"CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1; -- x\n{ALLOW}{INDEX}", []),
        ("-- chatdb: allow: index-without-concurrently\n" + INDEX, ["bad-file"]),  # no reason
    ],
)
def test_an_allowance_silences_one_rule_where_it_is(
    text: str, found: list[str], lint: Callable[..., LintResult]
) -> None:
    got = [code for code in rules(lint(text, USERS)) if code != "redundant-index"]
    assert got == found


def test_an_allowance_of_another_check_is_left_to_it(lint: Callable[..., LintResult]) -> None:
    text = "-- chatdb: allow-lock: SHARE users, the table is small\n" + ALLOW + INDEX
    assert rules(lint(text, USERS)) == []


# --- options ---------------------------------------------------------------------------------------


def test_a_rule_can_be_off_and_have_another_severity(lint: Callable[..., LintResult]) -> None:
    name = "index-without-concurrently"
    assert rules(lint(INDEX, USERS, LintOptions(off=QUIET.off | {name}))) == []
    result = lint(INDEX, USERS, LintOptions(off=QUIET.off, severities={name: "note"}))
    assert [f.severity for f in result.findings] == ["note"]
    assert not result.failed(strict=True)


def test_a_rule_that_needs_a_newer_server_is_not_checked(lint: Callable[..., LintResult]) -> None:
    reindex = "REINDEX TABLE users;"
    for version, found in ((11, []), (12, ["reindex-without-concurrently"])):
        options = LintOptions(off=QUIET.off, server_version=version)
        assert rules(lint(reindex, USERS, options)) == found


# --- a connection ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "message", "severity"),
    [
        (48_000_000, "; users has 48 million rows", "error"),
        (12, "; users has 12 rows", "note"),
        (None, "wait", "error"),
    ],
)
def test_a_database_knows_how_large_a_table_is(
    rows: int | None, message: str, severity: str, lint: Callable[..., LintResult]
) -> None:
    live = LiveDatabase(17, {("public", "users"): rows}, frozenset({"0002"}))
    (finding,) = lint(INDEX, USERS, LintOptions(off=QUIET.off, live=live)).findings
    assert finding.message.endswith(message)
    assert finding.severity == severity


def test_what_a_database_has_pending_is_one_batch(lint: Callable[..., LintResult]) -> None:
    empty = LiveDatabase(17, {}, frozenset({"0001", "0002"}))
    assert rules(lint(INDEX, USERS, LintOptions(off=QUIET.off, live=empty))) == []
    elsewhere = LiveDatabase(17, {("other", "users"): 5}, frozenset({"0002"}))
    assert rules(lint(INDEX, "SELECT 1;", LintOptions(off=QUIET.off, live=elsewhere))) == []


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (0, "0 rows"),
        (1, "1 row"),
        (999_999, "999,999 rows"),
        (1_000_000, "1 million rows"),
        (1_260_000, "1.3 million rows"),
        (48_300_000, "48 million rows"),
        (2_000_000_000, "2 billion rows"),
    ],
)
def test_a_number_of_rows_in_words(rows: int, words: str) -> None:
    assert count_in_words(rows) == words


# --- places ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("CREATE TABLE t (id bigint PRIMARY KEY,\n  p money);", (2, 5), (2, 10)),
        (
            '-- é\r\nCREATE TABLE t (\r\n  "é" text, id bigint PRIMARY KEY, p money);',
            (3, 38),
            (3, 43),
        ),
        ("CREATE TABLE t (id bigint PRIMARY KEY, p money, q text);", (1, 42), (1, 47)),
    ],
)
def test_a_place_counts_characters_of_its_line(
    text: str, start: tuple[int, int], end: tuple[int, int], lint: Callable[..., LintResult]
) -> None:
    result = lint(text)
    (finding,) = [f for f in result.findings if f.code == "money-type"]
    assert finding.location is not None
    assert (finding.location.line, finding.location.column) == start
    assert finding.end == end


def test_a_file_that_can_not_be_read_is_a_finding_and_the_others_are_checked(
    write: Callable[..., Path],
) -> None:
    folder = write(INDEX, USERS)
    (folder / "up/0003_utf16.sql").write_bytes("SELECT 1;".encode("utf-16"))
    (folder / "up/noversion.sql").write_text("SELECT 1;")
    (folder / "up/0004_wrong.sql").write_text("SELECT é,, 1;")
    found = {f.code: f for f in lint_files(str(folder), options=QUIET).findings}
    assert {"bad-file", "syntax", "index-without-concurrently"} <= found.keys()
    assert found["syntax"].location is not None
    assert found["syntax"].location.column == 10
