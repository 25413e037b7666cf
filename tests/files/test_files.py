"""Promises about `sql/up` and `sql/down`: which files count, in which order, what they may ask for."""

from __future__ import annotations

import os
import resource
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.files.folder import choose_folder, writable_folder
from chatdb_cli.files.model import Direction, Directives, Files, Folder, Migration, checksum
from chatdb_cli.files.new import folder_warnings, new_migration
from chatdb_cli.files.order import order_migrations
from chatdb_cli.files.read import make_script, read_migrations

pytestmark = pytest.mark.quick


def files(
    folder: Path, ups: dict[str, str | bytes], downs: dict[str, str | bytes] | None = None
) -> Files:
    """Write files and read them; the downs are the same as the ups by default."""
    for name, content in (("up", ups), ("down", ups if downs is None else downs)):
        (folder / name).mkdir(exist_ok=True)
        for file, text in content.items():
            data = text.encode() if isinstance(text, str) else text
            (folder / name / file).write_bytes(data)
    return read_migrations(Folder(folder, shipped=False, named=True))


def ids(contents: Files) -> list[str]:
    return [m.id for m in contents.migrations]


def refused(folder: Path, name: str, text: str | bytes = "") -> ChatdbError:
    """The one error of a folder with one file."""
    (error,) = files(folder, {name: text}, {}).refused
    assert error.code is Code.BAD_FILE
    assert error.hint
    assert error.place is not None
    return error


# --- which folder ---------------------------------------------------------------------------------


def test_the_named_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "db" / "up").mkdir(parents=True)
    expected = Folder(tmp_path / "db", shipped=False, named=True)
    assert choose_folder("db", root=tmp_path) == expected
    assert choose_folder(str(tmp_path / "db"), root=Path("/nowhere")) == expected


def test_without_a_name_the_folder_is_sql(tmp_path: Path) -> None:
    (tmp_path / "sql" / "up").mkdir(parents=True)
    contents = choose_folder(None, root=tmp_path)
    assert contents == Folder(tmp_path / "sql", shipped=False, named=False)


def test_without_a_folder_sql_a_name_is_needed(tmp_path: Path) -> None:
    with pytest.raises(ChatdbError) as caught:
        choose_folder(None, root=tmp_path)
    assert caught.value.code is Code.USAGE
    assert "init_project()" in (caught.value.hint or "")
    assert "@chat" in (caught.value.hint or "")
    named = choose_folder("@chat", root=tmp_path)
    assert (named.shipped, named.named) == (True, True)
    assert named.path.is_dir()


def test_an_unusable_named_folder_is_never_replaced_by_another(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("gone")
    for name in ("empty", "file", "link", "missing", "x" * 5000):
        with pytest.raises(ChatdbError) as caught:
            choose_folder(name, root=tmp_path)
        assert caught.value.code is Code.USAGE
        assert name in caught.value.message
        assert caught.value.hint


@pytest.mark.parametrize("kind", ["empty", "file", "broken link"])
def test_an_unusable_sql_folder_is_never_replaced_by_the_shipped_schema(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "sql"
    if kind == "empty":
        path.mkdir()
    elif kind == "file":
        path.touch()
    else:
        path.symlink_to("gone")
    with pytest.raises(ChatdbError) as caught:
        choose_folder(None, root=tmp_path)
    assert caught.value.code is Code.USAGE


def test_the_folder_for_new_files_is_created_and_is_never_the_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert writable_folder(None) == Folder(Path("sql"), shipped=False, named=False)
    assert writable_folder("a/b") == Folder(Path("a/b"), shipped=False, named=True)
    for name in ("sql", "a/b"):
        assert sorted(p.name for p in Path(name).iterdir()) == ["down", "up"]
    (tmp_path / "file").touch()
    for directory in ("@chat", "file"):
        with pytest.raises(ChatdbError) as caught:
            writable_folder(directory)
        assert caught.value.code is Code.USAGE


# --- names and their order ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "version", "name"),
    [
        ("1.sql", "1", ""),
        ("01_a.sql", "01", "a"),
        ("000001_add_users.sql", "000001", "add_users"),
        ("20240131235959_x.sql", "20240131235959", "x"),
        ("98765432109876543210_wide.sql", "98765432109876543210", "wide"),
        ("0001-a-b.sql", "0001", "a-b"),
        ("0001 with blanks.sql", "0001", "with blanks"),
        ("0001__two.sql", "0001", "two"),
        ("0001_dots.in.name.sql", "0001", "dots.in.name"),
        ("2.31.1_release.sql", "2", "31.1_release"),
        (f"0001_{'n' * 158}.sql", "0001", "n" * 158),
        ("0001_größe_日本.sql", "0001", "größe_日本"),
        ("0001_UPPER.SQL", "0001", "UPPER"),
        ("0001_100%.sql", "0001", "100%"),
    ],
)
def test_a_file_name_is_a_version_and_a_name(
    tmp_path: Path, file: str, version: str, name: str
) -> None:
    contents = files(tmp_path, {file: "SELECT 1"})
    (migration,) = contents.migrations
    assert (migration.version, migration.name) == (version, name)
    assert migration.id == file[:-4]
    assert migration.number == int(version)
    assert migration.down is not None
    assert (contents.refused, contents.warnings, contents.duplicates) == ((), (), {})


@pytest.mark.parametrize(
    "file", ["notes.sql", "v1_a.sql", "0001a.sql", "٣_arabic.sql", "_0001.sql", "-1_a.sql"]
)
def test_a_file_name_without_a_version_is_refused(tmp_path: Path, file: str) -> None:
    error = refused(tmp_path, file)
    assert file in error.message
    assert error.place is not None
    assert error.place.file == tmp_path / "up" / file


def test_a_file_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    try:
        error = refused(tmp_path, "0001_\udcfc.sql")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    error.message.encode()
    str(error.place).encode()


@pytest.mark.parametrize(
    "file",
    [
        ".0001_a.sql.swp", ".0001_a.sql", "0001_a.sql~", "0001_a.sql.orig", "0001_a.swp", "README",
        "._0001_a.sql", "README.md", "readme.sql", ".DS_Store",
    ],
)  # fmt: skip
def test_hidden_files_and_what_an_editor_leaves_are_passed_over(tmp_path: Path, file: str) -> None:
    contents = files(tmp_path, {file: "nonsense"})
    assert (contents.migrations, contents.refused, contents.warnings) == ((), (), ())


def test_all_other_files_of_a_folder_are_one_warning(tmp_path: Path) -> None:
    odd = ("0001_a.py", "0001_a.sql.bak", "4913", "a.txt", "b.txt")
    contents = files(tmp_path, dict.fromkeys(odd, ""), {})
    assert contents.refused == ()
    assert contents.warnings == (
        f"5 entries of {tmp_path / 'up'} are not .sql files, and are ignored: 0001_a.py, "
        "0001_a.sql.bak, 4913 and 2 more",
    )


@pytest.mark.parametrize("path", ["0001_a/up.sql", "0001_a/deep/er/x.SQL", "archive/0001_a.sql"])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_folder_with_sql_files_is_refused(tmp_path: Path, path: str, direction: str) -> None:
    file = tmp_path / direction / path
    file.parent.mkdir(parents=True)
    file.touch()
    (error,) = read_migrations(Folder(tmp_path, shipped=False, named=True)).refused
    assert error.code is Code.BAD_FILE
    assert error.place is not None
    assert error.place.file == tmp_path / direction / path.split("/")[0]
    assert error.hint


def test_a_folder_without_sql_files_is_a_warning_or_hidden(tmp_path: Path) -> None:
    for name in ("notes/a.txt", "empty/.keep", ".git/0001_a.sql", "old/.git/0001_a.sql"):
        (tmp_path / "up" / name).parent.mkdir(parents=True)
        (tmp_path / "up" / name).touch()
    contents = files(tmp_path, {})
    assert contents.refused == ()
    (warning,) = contents.warnings
    assert warning.endswith("are ignored: empty, notes, old")


def test_a_pipe_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    (tmp_path / "up").mkdir()
    os.mkfifo(tmp_path / "up" / "0001_a.sql")
    (error,) = files(tmp_path, {}).refused
    assert "not a regular file" in error.message


@pytest.mark.parametrize(
    ("ups", "downs"),
    [
        (["1_a.up.sql", "1_a.down.sql", "2_b.up.sql", "2_b.down.sql"], []),
        (["1_a.up.sql", "2_b.up.sql"], ["1_a.down.sql", "2_b.down.sql"]),
        (["1_a.sql", "2_b.sql"], ["1_a.down.sql", "2_b.DOWN.sql"]),
    ],
)
def test_files_that_name_their_direction_are_refused_in_one_sentence(
    tmp_path: Path, ups: list[str], downs: list[str]
) -> None:
    contents = files(tmp_path, dict.fromkeys(ups, ""), dict.fromkeys(downs, ""))
    (error,) = contents.refused
    assert error.code is Code.BAD_FILE
    assert "1_a.down.sql" in error.message
    assert "1_a.sql" in (error.hint or "")
    assert contents.duplicates == {}


MARKERS = [
    "-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 2;",
    "SELECT 1;\n-- +goose StatementBegin",
    "--+goose NO TRANSACTION\n",
    "-- migrate:up\nSELECT 1;\n-- migrate:down",
    "-- migrate:up transaction:false\nSELECT 1;",
    "-- +migrate Up\nSELECT 1;",
    "-- +migrate Down notransaction\n",
    "-- +micrate Up\n",
    "-- rambler up\n",
    "SELECT 1;\n-- //@UNDO\nSELECT 2;",
    "SELECT 1;\n---- create above / drop below ----\nSELECT 2;",
    "# --- !Ups\n",
    "--liquibase formatted sql\n--changeset a:1\n",
    "-- Up Migration\nSELECT 1;\n\n-- Down Migration\nSELECT 2;",
    "-- UP\nSELECT 1;\r\n--DOWN--\r\nSELECT 2;",
    "-- ==== UP ====\nSELECT 1;\n-- ==== DOWN ====",
]


@pytest.mark.parametrize("text", MARKERS)
def test_a_file_with_the_markers_of_another_tool_is_refused_with_the_line(
    tmp_path: Path, text: str
) -> None:
    error = refused(tmp_path, "0001_a.sql", text)
    assert error.place is not None
    assert error.place.line
    assert "up/" in (error.hint or "")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT '\n-- +goose Up\n', '\n-- migrate:down\n';",
        "DO $$\n-- +goose Up\nBEGIN END $$;",
        "/*\n-- +migrate Up\n*/",
        "-- up\nSELECT 1;",
        "-- down migration\nSELECT 1;",
        "-- the server is down\n-- goose and dbmate would up this\n-- up to here",
        "-- we migrate: users first",
    ],
)
def test_words_that_only_look_like_markers_are_allowed(tmp_path: Path, text: str) -> None:
    assert files(tmp_path, {"0001_a.sql": text}).refused == ()


def test_versions_are_compared_as_numbers(tmp_path: Path) -> None:
    stems = ["1_a", "02_b", "10_c", "0011_d", "100_e", "20240101000000_f", "98765432109876543210_g"]
    assert ids(files(tmp_path, {f"{s}.sql": "" for s in reversed(stems)})) == stems


def test_a_gap_between_versions_is_allowed(tmp_path: Path) -> None:
    contents = files(tmp_path, {"1_a.sql": "", "7_b.sql": ""})
    assert (ids(contents), contents.refused, contents.warnings) == (["1_a", "7_b"], (), ())


@pytest.mark.parametrize(
    "names",
    [
        ("0001_a.sql", "0001_b.sql"),
        ("0001_a.sql", "1_a.sql"),
        ("0001_Users.sql", "0001_users.sql"),
        ("2024-01-05_a.sql", "2024-02-07_b.sql"),
        ("2.31.1_a.sql", "2.31.2_a.sql"),
        ("1.sql", "1_a.sql"),
        ("1_a.SQL", "1_a.sql"),
        ("1_a.sql", "1_b.sql", "1_c.sql"),
        (unicodedata.normalize("NFD", "1_é.sql"), "1_é.sql"),
    ],
)
def test_a_version_used_twice_is_noted_with_every_name(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    contents = files(tmp_path, dict.fromkeys((*names, "3_x.sql"), ""))
    ((version, same),) = contents.duplicates.items()
    assert set(same) == set(names)
    assert same[0].startswith(version)


# --- up and down ----------------------------------------------------------------------------------


def test_an_empty_folder_has_no_migrations(tmp_path: Path) -> None:
    contents = files(tmp_path, {})
    assert (contents.migrations, contents.refused, contents.warnings) == ((), (), ())


def test_a_missing_folder_for_down_files_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "1_a.sql").touch()
    contents = read_migrations(Folder(tmp_path, shipped=False, named=True))
    assert contents.migrations[0].down is None
    assert len(contents.warnings) == 1


def test_an_up_without_a_down_is_warned_about_unless_it_says_why(tmp_path: Path) -> None:
    texts: dict[str, str | bytes] = {
        "1_a.sql": "", "2_b.sql": "-- chatdb: irreversible: rows are gone"
    }  # fmt: skip
    contents = files(tmp_path, texts, {})
    assert [m.down for m in contents.migrations] == [None, None]
    (warning,) = contents.warnings
    assert str(tmp_path / "up" / "1_a.sql") in warning
    assert contents.migrations[1].up.directives.irreversible == "rows are gone"


def test_a_down_without_an_up_is_warned_about(tmp_path: Path) -> None:
    contents = files(tmp_path, {"1_a.sql": ""}, {"1_a.sql": "", "2_b.sql": ""})
    assert contents.warnings == (f"{tmp_path / 'down' / '2_b.sql'} has no up file",)
    assert contents.refused == ()


@pytest.mark.parametrize("down", ["0001_b.sql", "1_a.sql", "0001_A.sql", "0001.sql"])
def test_a_down_of_another_name_is_refused_and_names_both(tmp_path: Path, down: str) -> None:
    contents = files(tmp_path, {"0001_a.sql": ""}, {down: ""})
    (error,) = contents.refused
    assert down in error.message
    assert "0001_a.sql" in error.message
    assert error.place is not None
    assert error.place.file == tmp_path / "down" / down
    assert contents.migrations[0].down is None


def test_up_and_down_belong_together_in_either_form_of_unicode(tmp_path: Path) -> None:
    up, down = (unicodedata.normalize(form, "0001_größe.sql") for form in ("NFC", "NFD"))
    contents = files(tmp_path, {up: ""}, {down: ""})
    assert contents.migrations[0].down is not None
    assert (contents.refused, contents.warnings) == ((), ())


def test_all_missing_downs_are_one_warning(tmp_path: Path) -> None:
    contents = files(tmp_path, {f"{n:03}_m.sql": "" for n in range(1, 346)}, {})
    (warning,) = contents.warnings
    assert warning == (
        "345 migrations have no down file and can't be rolled back: 001_m, 002_m, 003_m and 342 more"
    )


def test_a_link_to_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("SELECT 1")
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "1_a.sql").symlink_to(tmp_path / "elsewhere")
    assert files(tmp_path, {}).migrations[0].up.text == "SELECT 1"


@pytest.mark.parametrize("kind", ["folder", "broken link", "circle"])
def test_an_unreadable_file_is_refused_and_the_others_are_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "up" / "0001_a.sql"
    path.parent.mkdir()
    if kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("gone" if kind == "broken link" else path)
    contents = files(tmp_path, {"0002_b.sql": "SELECT 1"})
    (error,) = contents.refused
    assert str(path) in error.message
    assert error.errno in ("EISDIR", "ENOENT", "ELOOP")
    assert error.hint
    assert ids(contents) == ["0001_a", "0002_b"]


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "up").touch()
    with pytest.raises(ChatdbError) as caught:
        read_migrations(Folder(tmp_path, shipped=False, named=True))
    assert caught.value.code is Code.BAD_FILE
    assert str(tmp_path / "up") in caught.value.message


def test_bytes_that_are_not_utf_8_are_refused_with_their_line(tmp_path: Path) -> None:
    error = refused(tmp_path, "1_a.sql", b"SELECT 1;\n-- \xfc")
    assert error.place is not None
    assert (error.place.line, error.place.column) == (2, 4)


# --- directives -----------------------------------------------------------------------------------


def directives(text: str, direction: Direction = "up") -> Directives:
    return make_script(Path("sql/up/1_a.sql"), text, direction).directives


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Directives()),
        ("-- chatdb: transactional: false", Directives(transactional=False)),
        ("-- chatdb: transactional: TRUE", Directives()),
        ("--chatdb:transactional:false", Directives(transactional=False)),
        ("-- ChatDB : Transactional : False", Directives(transactional=False)),
        ("-- chatdb: isolation: serializable", Directives(isolation="SERIALIZABLE")),
        ("-- chatdb: isolation: Repeatable  Read", Directives(isolation="REPEATABLE READ")),
        ("-- chatdb: lock-timeout: 5s", Directives(lock_timeout_ms=5000)),
        ("-- chatdb: lock-timeout: 0ms", Directives(lock_timeout_ms=0)),
        ("-- chatdb: statement-timeout: 1h", Directives(statement_timeout_ms=3_600_000)),
        ("-- chatdb: irreversible: it: drops rows", Directives(irreversible="it: drops rows")),
        ("-- chatdb: depends: 0002_b 0003_c", Directives(depends=("0002_b", "0003_c"))),
        ("-- depends: 2\n-- depends: 3 4", Directives(depends=("2", "3", "4"))),  # as yoyo has it
        ("-- depends:", Directives()),
        ("--transactional: false", Directives(transactional=False)),
        ("-- Depends: on nothing", Directives()),  # as yoyo has it
        ("-- isolation: serializable\n-- a title: its text", Directives()),  # not ours
        ("-- chatdb makes this\n-- chatdb", Directives()),
        (
            "-- title\r\n\r\n-- chatdb: lock-timeout: 1s\r\n-- why\r\n"
            "-- chatdb: isolation: serializable\r\nSELECT 1;",
            Directives(lock_timeout_ms=1000, isolation="SERIALIZABLE"),
        ),
        ("/* head\n /* er */ */\n-- depends: 2", Directives(depends=("2",))),
        (";\n-- depends: 2", Directives(depends=("2",))),
        ("/*\n-- chatdb: transactional: false\n*/ SELECT 1", Directives()),
    ],
)  # fmt: skip
def test_directives_are_read_from_the_leading_comment(text: str, expected: Directives) -> None:
    assert directives(text) == expected


def test_a_byte_order_mark_hides_no_directive(tmp_path: Path) -> None:
    contents = files(
        tmp_path, {"1_a.sql": b"\xef\xbb\xbf-- chatdb: transactional: false\r\nVACUUM"}
    )
    assert contents.migrations[0].up.directives.transactional is False


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("-- chatdb: transctional: false", "did you mean transactional?", 1),
        ("\n-- chatdb: lock_timeout: 5s", "did you mean lock-timeout?", 2),
        ("-- chatdb: locktimeout: 5s", "did you mean lock-timeout?", 1),
        ("-- chatdb: zzz: 1", "'zzz'", 1),
        ("-- chatdb: transactional", "form", 1),
        ("-- chatdb:", "form", 1),
        ("-- chatdb: transactional: no", "true or false", 1),
        ("-- transactional: off", "true or false", 1),
        ("-- chatdb: isolation: read uncommitted", "read committed", 1),
        ("-- chatdb: lock-timeout: 5", "unit", 1),
        ("-- chatdb: lock-timeout: 5s -- long", "5s -- long", 1),
        ("-- chatdb: statement-timeout:", "statement-timeout", 1),
        ("-- chatdb: irreversible:", "must give the reason", 1),
        ("-- chatdb: transactional: false\n-- transactional: false", "twice", 2),
        ("-- é\n-- chatdb: lock-timeout: 1s\n\n-- chatdb: lock-timeout: 1s", "twice", 4),
        ("SELECT 'é';\n  -- chatdb: transactional: false", "leading comment", 2),
        ("SELECT 1; -- CHATDB: transactional: false", "leading comment", 1),
        ("CREATE TABLE t (\n-- chatdb: depends: 2\nid int)", "leading comment", 2),
    ],
)  # fmt: skip
def test_a_directive_that_would_have_no_effect_is_refused(
    text: str, message: str, line: int
) -> None:
    with pytest.raises(ChatdbError) as caught:
        directives(text)
    error = caught.value
    assert error.code is Code.BAD_FILE
    assert message in error.message
    assert "lock-timeout" in (error.hint or "")
    assert error.place is not None
    assert error.place.line == line
    assert error.place.column == text.splitlines()[line - 1].index("--") + 1


@pytest.mark.parametrize(
    "text",
    [
        "DO $$\n-- chatdb: transactional: false\nBEGIN END $$",
        "INSERT INTO docs VALUES ('\n-- chatdb: transactional: false\n')",
        "SELECT 1 /*\n-- chatdb: transactional: false\n*/",
        "SELECT 'open;\n-- chatdb: x: y\n",
    ],
)
def test_a_comment_in_a_body_or_a_string_is_not_a_directive(text: str) -> None:
    assert directives(text) == Directives()


@pytest.mark.parametrize("text", ["-- depends: 2", "-- chatdb: irreversible: why"])
def test_a_down_file_may_not_have_dependencies_or_be_irreversible(text: str) -> None:
    with pytest.raises(ChatdbError, match="is allowed in an up file only"):
        directives(text, "down")
    assert directives("-- chatdb: lock-timeout: 2s", "down").lock_timeout_ms == 2000


# --- checksums ------------------------------------------------------------------------------------

LINES = st.lists(st.text("ab é😀;-'\t\u2028\x85", max_size=4), min_size=1, max_size=5)


@given(LINES, st.data())
def test_line_ends_and_a_byte_order_mark_do_not_change_a_checksum(
    lines: list[str], data: st.DataObject
) -> None:
    from chatdb_cli.syntax.source import decode

    plain = "\n".join(lines)
    # A file whose line ends are mixed: each is drawn on its own.
    end = st.sampled_from(["\n", "\r\n"])
    mixed = "".join(line + data.draw(end) for line in lines[:-1]) + lines[-1]
    for other in (mixed, plain.replace("\n", "\r\n"), plain.replace("\n", "\r")):
        for mark in (b"", b"\xef\xbb\xbf"):
            text = decode(mark + other.encode(), Path("x"))
            assert checksum(text) == checksum(plain)


@given(LINES, LINES)
def test_any_other_change_changes_a_checksum(one: list[str], other: list[str]) -> None:
    a, b = "\n".join(one), "\n".join(other)
    assert (checksum(a) == checksum(b)) == (a == b)


def test_a_checksum_names_its_algorithm() -> None:
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert checksum("") == f"sha256:{empty}"


# --- dependencies ---------------------------------------------------------------------------------


def depending(folder: Path, **depends: str) -> Files:
    return files(folder, {f"{n[1:]}.sql": f"-- depends: {d}" for n, d in depends.items()})


def test_each_migration_comes_after_its_dependencies(tmp_path: Path) -> None:
    contents = depending(tmp_path, _1_a="3_c", _2_b="", _3_c="", _4_d="1_a 2_b")
    assert ids(contents) == ["2_b", "3_c", "1_a", "4_d"]


@pytest.mark.parametrize(
    "name", ["0003_ç", "0003", "0003_ç.sql", unicodedata.normalize("NFD", "0003_ç")]
)
def test_a_dependency_is_named_by_file_or_version(tmp_path: Path, name: str) -> None:
    contents = files(tmp_path, {"0001_a.sql": f"-- depends: {name}", "0003_ç.sql": ""})
    assert ids(contents) == ["0003_ç", "0001_a"]


def test_an_unknown_dependency_names_both(tmp_path: Path) -> None:
    with pytest.raises(ChatdbError) as caught:
        depending(tmp_path, _1_a="9_z")
    assert caught.value.code is Code.BAD_FILE
    assert "1_a" in caught.value.message
    assert "9_z" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("depends", "circle"),
    [
        ({"_1_a": "1_a"}, {"1_a"}),
        ({"_1_a": "2_b", "_2_b": "1_a"}, {"1_a", "2_b"}),
        # What only hangs on the circle is not named with it.
        (
            {"_1_a": "2_b", "_2_b": "3_c", "_3_c": "4_d", "_4_d": "2_b", "_5_e": "4_d", "_6_f": ""},
            {"2_b", "3_c", "4_d"},
        ),
    ],
)
def test_a_circular_dependency_is_refused_and_named(
    tmp_path: Path, depends: dict[str, str], circle: set[str]
) -> None:
    with pytest.raises(ChatdbError) as caught:
        depending(tmp_path, **depends)
    error = caught.value
    assert error.code is Code.BAD_FILE
    links = error.message.split(": ")[1].split(" -> ")
    assert links[0] == links[-1]
    assert set(links) == circle
    assert all(b in depends[f"_{a}"] for a, b in pairwise(links))
    assert error.place is not None
    assert error.place.file.stem == links[0]


@given(st.data())
def test_the_order_is_by_version_but_for_dependencies(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    secret_order = data.draw(st.permutations(range(count)))
    depends: dict[int, set[int]] = {}
    for place, n in enumerate(secret_order):  # it may depend on any that come before it
        before = secret_order[:place]
        depends[n] = data.draw(st.sets(st.sampled_from(before))) if before else set()
    script = make_script
    migrations = [
        Migration(
            f"{n}_x", f"{n}", "x",
            script(Path("x"), "-- depends: " + " ".join(f"{d}_x" for d in sorted(depends[n])), "up"),
            None,
        )
        for n in range(count)
    ]  # fmt: skip
    expected: list[int] = []
    while len(expected) < count:
        ready = [n for n in range(count) if n not in expected and depends[n] <= set(expected)]
        expected.append(min(ready))
    assert [m.number for m in order_migrations(migrations)] == expected


# --- new files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("existing", "stem"),
    [
        ([], "0001_add_users"),
        (["1_a"], "2_add_users"),
        (["01_a", "09_b"], "10_add_users"),
        (["0009_a", "0010_b"], "0011_add_users"),
        (["1_a", "000002_b"], "000003_add_users"),
        (["9999_a"], "10000_add_users"),
        (["98765432109876543210_a"], "98765432109876543211_add_users"),
        ([".0007_a"], "0001_add_users"),
    ],
)
def test_the_next_version_is_one_more_and_as_wide(
    tmp_path: Path, existing: list[str], stem: str
) -> None:
    contents = files(tmp_path, {f"{s}.sql": "" for s in existing})
    up, down = new_migration("add users", contents.folder.path)
    assert (up, down) == (tmp_path / "up" / f"{stem}.sql", tmp_path / "down" / f"{stem}.sql")
    again = read_migrations(contents.folder)
    assert ids(again)[-1] == stem
    assert (again.refused, again.warnings, again.duplicates) == ((), (), {})


def test_a_folder_of_timestamps_gets_the_current_second(tmp_path: Path) -> None:
    contents = files(tmp_path, {"20240101000000_a.sql": ""})
    stems = [new_migration(f"n{n}", contents.folder.path)[0].stem for n in range(3)]
    assert all(20260101000000 <= int(s[:14]) < 21000101000000 for s in stems)
    assert stems == sorted(stems)
    assert len({s[:14] for s in stems}) == 3  # within one second too


def test_a_timestamp_that_is_still_to_come_is_warned_about_and_not_counted_on(
    tmp_path: Path,
) -> None:
    future = ["20991231235959_a", "2099010100_b", "20990101_c", "4102444800000_d"]
    contents = files(tmp_path, {f"{stem}.sql": "" for stem in [*future, "20240101000000_e", "7_f"]})
    (warning,) = contents.warnings
    assert "2099010100_b, 20990101_c" in warning or "20990101_c, 2099010100_b" in warning
    assert folder_warnings(tmp_path)
    stem = new_migration("x", tmp_path)[0].stem
    assert 20260101000000 <= int(stem[:14]) < 20990101000000
    (only := tmp_path / "only").mkdir()
    files(only, {"20991231235959_a.sql": ""})
    assert int(new_migration("x", only)[0].stem[:14]) < 20990101000000


@pytest.mark.parametrize("stem", ["0001_a", "20991399_a", "20240101000000_a", "1700000000_a"])
def test_a_version_that_is_no_timestamp_or_is_past_is_not_warned_about(
    tmp_path: Path, stem: str
) -> None:
    assert files(tmp_path, {f"{stem}.sql": ""}).warnings == ()


def test_a_timestamp_can_be_asked_for(tmp_path: Path) -> None:
    contents = files(tmp_path, {"0007_a.sql": ""})
    stem = new_migration("x", contents.folder.path, timestamp=True)[0].stem
    assert int(stem[:14]) >= 20260101000000


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("add-users", "add_users"),
        ("  add   users ", "add_users"),
        ("größe", "größe"),
        ("v2.1", "v2.1"),
        ("_x_", "x"),
        ("drop\nDROP TABLE users", "drop_DROP_TABLE_users"),
    ],
)
def test_a_name_becomes_part_of_a_file_name(tmp_path: Path, name: str, words: str) -> None:
    up, down = new_migration(name, files(tmp_path, {}).folder.path)
    assert up.stem == f"0001_{words}"
    for path in (up, down):
        assert len(path.read_text(encoding="utf-8").splitlines()) == 1  # one comment, no SQL
        assert path.read_text(encoding="utf-8").startswith("-- ")


@pytest.mark.parametrize(
    "name", ["", "  ", "...", "---", "a/b", "../a", "a\\b", "a;b", "a'", "x" * 201, "a\0b"]
)
def test_a_name_that_can_not_be_a_file_name_is_refused_and_writes_nothing(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(ChatdbError) as caught:
        new_migration(name, files(tmp_path, {}).folder.path)
    assert caught.value.code is Code.USAGE
    assert not list(tmp_path.rglob("*.sql"))


def test_a_version_that_only_a_down_file_uses_counts_as_used(tmp_path: Path) -> None:
    contents = files(tmp_path, {"0001_a.sql": ""}, {"0002_add_users.sql": "precious"})
    up, _ = new_migration("add users", contents.folder.path)
    assert up.stem == "0003_add_users"
    assert (tmp_path / "down" / "0002_add_users.sql").read_text() == "precious"


def test_a_folder_that_cannot_be_written_to_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "up").mkdir()
    (tmp_path / "down").symlink_to("gone")
    with pytest.raises(ChatdbError) as caught:
        new_migration("a", tmp_path)
    assert caught.value.code is Code.USAGE
    assert not list(tmp_path.rglob("*.sql"))


def test_a_folder_of_another_layout_is_told_where_its_files_belong(tmp_path: Path) -> None:
    (tmp_path / "0001_users.sql").write_text("SELECT 1;")
    with pytest.raises(ChatdbError) as caught:
        choose_folder(str(tmp_path))
    assert caught.value.message == f"{tmp_path} has no folder up/: its SQL files are directly in it"
    assert str(tmp_path / "down") in str(caught.value.hint)


def test_on_a_full_disk_no_part_of_a_new_file_is_left(tmp_path: Path) -> None:
    (tmp_path / "up").mkdir()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))  # EFBIG, where a full disk has ENOSPC
    try:
        with pytest.raises(ChatdbError) as caught:
            new_migration("users", tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (caught.value.code, caught.value.errno) == (Code.USAGE, "EFBIG")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
