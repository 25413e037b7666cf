"""Each check passes, fails for what it looks for, and fails if it can't be made."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from chatdb_cli.counts.count import count_rows
from chatdb_cli.counts.saved import save_counts
from chatdb_cli.errors import Code
from chatdb_cli.verify.model import CHECKS, CheckResult, Verdict
from tests.support.database import Database
from tests.support.project import Project
from tests.support.servers import Server, allow_logins

Check = Callable[..., CheckResult]
Verify = Callable[..., Verdict]


def codes(result: CheckResult) -> list[str]:
    return [finding.code for finding in result.findings]


@pytest.mark.quick
def test_a_project_that_is_as_it_should_be_passes_every_check(
    applied: Project, database: Database, verify: Verify, tmp_path: Path
) -> None:
    save_counts(tmp_path / "counts.json", count_rows(database.target(), sequences=True))
    verdict = verify(counts=tmp_path / "counts.json")
    assert verdict.findings == ()
    assert verdict.ok
    assert [check.name for check in verdict.checks] == list(CHECKS)
    assert [check.name for check in verdict.checks if check.skipped is not None] == []


def test_a_verification_writes_nothing_to_the_target(
    applied: Project, database: Database, verify: Verify
) -> None:
    written = "SELECT pg_current_xact_id_if_assigned(), sum(n_tup_ins + n_tup_upd + n_tup_del)"
    count = f"{written} FROM pg_stat_user_tables"
    objects = "SELECT oid, relname, xmin::text FROM pg_class WHERE oid >= 16384 ORDER BY oid"
    before = database.query(count), database.query(objects)
    verify()
    assert (database.query(count), database.query(objects)) == before


# --- files


FILES = {
    "bad-file": ("up/add_things.sql", "SELECT 1;"),
    "duplicate": ("up/0002_second.sql", "SELECT 1;"),
    "down-without-up": ("down/0007_gone.sql", "SELECT 1;"),
    "no-down-file": ("up/0003_no_way_back.sql", "CREATE TABLE t (id int PRIMARY KEY);"),
    "syntax": ("up/0003_typo.sql", "CREATE TABEL t ();"),
    "truncate": ("up/0003_truncate.sql", "TRUNCATE orders;"),
    "refused-statement": ("up/0003_copy.sql", "COMMIT;"),
}


@pytest.mark.parametrize("code", FILES)
def test_a_bad_file_fails_the_check_of_files(shop: Project, check: Check, code: str) -> None:
    name, text = FILES[code]
    (shop.sql / name).write_text(text)
    result = check("files")
    assert code in codes(result)
    assert not result.ok
    places = [finding.location for finding in result.findings if finding.code == code]
    assert [place.file.name for place in places if place] == [Path(name).name]


def test_warnings_of_the_linter_fail_only_if_the_project_is_strict(
    shop: Project, check: Check
) -> None:
    shop.write("0003_warning", "CREATE TABLE t (id serial PRIMARY KEY);", "DROP TABLE t;")
    assert check("files").ok
    (shop.path / "strict").mkdir()
    (shop.path / "strict/chatdb.toml").write_text("[lint]\nstrict = true\n")
    from chatdb_cli.settings.load import load_settings
    from chatdb_cli.verify.verify import verify_project

    settings = load_settings({}, environ={}, cwd=shop.path / "strict")
    verdict = verify_project(settings, shop.sql, offline=True)
    assert not verdict.ok


def test_only_files_that_are_newer_than_a_commit_are_linted(shop: Project, check: Check) -> None:
    def git(*arguments: str) -> None:
        command = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments)
        subprocess.run(command, cwd=shop.path, check=True, capture_output=True)

    shop.write("0003_old", "TRUNCATE orders;", "SELECT 1;")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "old")
    assert codes(check("files")) == ["truncate"]
    assert check("files", since="HEAD").ok
    shop.write("0004_new", "TRUNCATE users, orders;", "SELECT 1;")
    new = check("files", since="HEAD").findings
    assert {f.location.file.name for f in new if f.location} == {"0004_new.sql"}
    # The names are those of the whole folder.
    (shop.sql / "up/0002_again.sql").write_text("SELECT 1;")
    git("add", ".")
    git("commit", "-qm", "all")
    assert codes(check("files", since="HEAD")) == ["duplicate"]


def test_files_that_can_not_be_read_fail_the_check(shop: Project, check: Check) -> None:
    (shop.sql / "up/0003_circle.sql").write_text("-- chatdb: depends: 0009_no_such\nSELECT 1;")
    result = check("files")
    assert codes(result) == ["not-checked"]
    assert result.error
    assert result.error.code is Code.BAD_FILE


# --- history


def test_a_pending_migration_fails_the_check_unless_it_is_expected(
    applied: Project, check: Check
) -> None:
    assert check("history").ok
    applied.write("0003_more", "CREATE TABLE t (id int PRIMARY KEY);", "DROP TABLE t;")
    result = check("history")
    assert codes(result) == ["pending"]
    assert result.findings[0].version == "0003"
    assert check("history", allow_pending=True).ok


def edit(applied: Project, database: Database) -> None:
    (applied.sql / "up/0001_tables.sql").write_text("CREATE TABLE other ();")


def remove(applied: Project, database: Database) -> None:
    for folder in ("up", "down"):
        (applied.sql / folder / "0001_tables.sql").unlink()


def add_an_older_one(applied: Project, database: Database) -> None:
    applied.write("0000_first", "SELECT 1;", "SELECT 1;")


def duplicate(applied: Project, database: Database) -> None:
    (applied.sql / "up/0002_again.sql").write_text("SELECT 1;")


def leave_a_lock(applied: Project, database: Database) -> None:
    database.execute("CREATE TABLE yoyo_lock (locked int, ctime timestamp, pid int)")
    database.execute("INSERT INTO yoyo_lock VALUES (1, now(), 4711)")


def stop_part_way(applied: Project, database: Database) -> None:
    directive = "-- chatdb: transactional: false\n"
    applied.write("0003_parts", f"{directive}CREATE TABLE t ();\nSELECT 1 / 0;", "SELECT 1;")
    from chatdb_cli.migrate.model import MigrationError

    with pytest.raises(MigrationError):
        applied.migrator(database).up()


def refuse(applied: Project, database: Database) -> None:
    applied.write("0003_commit", "COMMIT;", "SELECT 1;")


def spoil_a_version(applied: Project, database: Database) -> None:
    database.execute("UPDATE chatdb_migration SET version = 2.5 WHERE version = 2")


HISTORY = {
    "changed": edit,
    "missing": remove,
    "out-of-order": add_an_older_one,
    "duplicate": duplicate,
    "yoyo-lock": leave_a_lock,
    "invalid-history": spoil_a_version,
    "unfinished": stop_part_way,
    "refused": refuse,
}


@pytest.mark.parametrize("code", HISTORY)
def test_files_that_are_not_what_was_applied_fail_the_check_of_the_history(
    applied: Project, database: Database, check: Check, code: str
) -> None:
    HISTORY[code](applied, database)
    assert code in codes(check("history", allow_pending=True))


# --- schema


def test_a_change_by_hand_fails_the_check_of_the_schema(
    applied: Project, database: Database, check: Check
) -> None:
    assert check("schema").ok
    database.execute("ALTER TABLE users ALTER name TYPE varchar(9); CREATE TABLE by_hand ()")
    result = check("schema")
    assert [(f.code, f.message) for f in result.findings] == [
        ("drift", "table public.by_hand: only the live schema has it, the schema of the files does not"),
        ("drift", "column public.users.name: type: 'text' in the schema of the files, "
                  "'character varying(9)' in the live schema"),
    ]  # fmt: skip


# --- rollback


def test_a_down_that_is_not_the_inverse_fails_the_check_of_rollbacks(
    shop: Project, check: Check
) -> None:
    assert check("rollback").ok
    shop.write("0003_more", "CREATE TABLE more (id int PRIMARY KEY);", "SELECT 1;")
    result = check("rollback")
    assert codes(result) == ["down-differs", "up-failed"]
    first, second = result.findings
    assert first.location
    assert first.location.file == shop.sql / "down/0003_more.sql"
    assert "table public.more: only the schema after it has it" in first.message
    assert second.location
    assert (second.location.file, second.location.line) == (shop.sql / "up/0003_more.sql", 1)


def test_files_that_fail_when_they_run_fail_the_check_of_rollbacks(
    shop: Project, check: Check
) -> None:
    shop.write("0003_down", "SELECT 1;", "SELECT 1 / 0;")
    assert codes(check("rollback")) == ["down-failed"]
    shop.write("0003_down", "SELECT 1 / 0;", "SELECT 1;")
    assert codes(check("rollback")) == ["up-failed"]


def test_a_migration_that_is_irreversible_is_passed_over(shop: Project, check: Check) -> None:
    shop.write("0003_final", "-- chatdb: irreversible: it is meant so\nSELECT 1;", None)
    result = check("rollback")
    assert result.ok
    assert result.summary == "2 rehearsed, 1 passed over"


# --- counts


def test_other_rows_fail_the_check_of_counts(
    applied: Project, database: Database, check: Check, tmp_path: Path
) -> None:
    file = tmp_path / "counts.json"
    save_counts(file, count_rows(database.target(), sequences=True))
    assert check("counts", counts=file).ok
    database.execute("INSERT INTO users (name) VALUES ('ada'); DROP TABLE orders")
    result = check("counts", counts=file)
    assert codes(result)[:2] == ["rows-differ"] * 2
    assert any("table users has 1 row, and has 0 rows in " in f.message for f in result.findings)


def test_another_database_is_compared_and_its_password_is_not_shown(
    applied: Project, database: Database, server: Server, check: Check
) -> None:
    other = server.empty()
    try:
        applied.migrator(other).up()
        assert check("counts", flags={"against": other.url}).ok
        other.execute("INSERT INTO users (name) VALUES ('ada')")
        result = check("counts", flags={"against": other.url})
        assert codes(result) == ["rows-differ", "sequence-differs"][: len(result.findings)]
    finally:
        server.release(other)


# --- what can't be made


@pytest.mark.parametrize("name", ["history", "schema", "invariants"])
def test_a_check_without_a_database_has_failed(
    applied: Project, database: Database, check: Check, name: str
) -> None:
    result = check(name, flags={"database_url": "postgresql://127.0.0.1:1/x?connect_timeout=1",
                                "connect_retries": "0"})  # fmt: skip
    assert codes(result) == ["not-checked"]
    assert not result.ok
    assert result.skipped is None
    assert result.error
    assert result.error.code is Code.UNREACHABLE


@pytest.mark.parametrize("name", ["schema", "rollback"])
def test_a_check_without_a_scratch_database_has_failed(
    applied: Project, server: Server, database: Database, check: Check, name: str
) -> None:
    role = f"r_{secrets.token_hex(4)}"
    server.execute(f"CREATE ROLE {role} LOGIN")
    try:
        database.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        with allow_logins(server, f"local all {role} trust"):
            url = psycopg.conninfo.make_conninfo(database.url, user=role)
            result = check(name, flags={"database_url": url})
        assert codes(result) == ["not-checked"]
        assert result.error
        assert result.error.code is Code.NO_SCRATCH
    finally:
        database.execute(f"DROP OWNED BY {role}")
        server.execute(f"DROP ROLE {role}")


def test_counts_that_can_not_be_read_fail_the_check(applied: Project, check: Check) -> None:
    result = check("counts", counts=Path("/no/such/file.json"))
    assert codes(result) == ["not-checked"]
    assert result.error
    assert result.error.errno == "ENOENT"


def test_one_check_that_can_not_be_made_does_not_stop_the_others(
    applied: Project, database: Database, verify: Verify
) -> None:
    database.execute("UPDATE chatdb_migration SET up_text = NULL")
    edit(applied, database)
    verdict = verify()
    states = {c.name: "error" if c.error else "ok" if c.ok else "failed" for c in verdict.checks}
    assert states == {
        "files": "ok", "history": "failed", "schema": "error", "rollback": "failed",
        "invariants": "ok", "counts": "ok",
    }  # fmt: skip
    assert codes(verdict.checks[2]) == ["not-checked"]


def test_a_database_that_does_not_answer_is_not_waited_for_twice(
    applied: Project, verify: Verify
) -> None:
    tries: list[str] = []
    verdict = verify(
        skip=["files"],
        flags={"database_url": "postgresql://127.0.0.1:1/x", "connect_retries": "1",
               "connect_retry_delay": "1ms"},
        report=tries.append,
    )  # fmt: skip
    assert len(tries) == 1
    failed = [check.name for check in verdict.failed]
    assert failed == ["history", "schema", "rollback", "invariants"]
