"""Reading: the files in `up/`, `down/` and `seed/`, as migrations and scripts.

What does not belong here: whether a migration was applied (`migrate/compare.py`), splitting a text into
statements (`syntax/`).
"""

from __future__ import annotations

from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.errors import ChatdbError, Code, Location
from chatdb_cli.files.directives import parse_directives
from chatdb_cli.files.model import NO_DIRECTIVES, Files, Migration, Script, checksum
from chatdb_cli.files.names import file_error, list_sql_files, normalize_name, parse_file_name
from chatdb_cli.files.order import order_migrations
from chatdb_cli.remedy import Advice
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.source import decode
from chatdb_cli.syntax.statements import split_statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from chatdb_cli.files.model import Direction, Folder
    from chatdb_cli.syntax.statements import Statement


def read_migrations(where: Folder, *, downs: bool = True) -> Files:
    """Read every migration of a folder.

    A file that can't be a migration (because of its name, its bytes, its directives, or a down file of
    another name) does not stop the reading: it is listed in `Files.refused`.

    Args:
        where: the folder.
        downs: read the content of down files too, not only their names.

    Raises:
        ChatdbError: `BAD_FILE`, the folder can't be read, a dependency is unknown, or dependencies form
            a circle.
    """
    refused: list[ChatdbError] = []
    ups = _read_files(where.path / "up", "up", refused)
    down_files = _read_files(where.path / "down", "down", refused, names_only=not downs)
    ups_of: dict[int, list[_File]] = {}
    for up in ups:
        ups_of.setdefault(int(up.version), []).append(up)
    duplicates = {
        same[0].version: tuple(up.script.path.name for up in same)
        for same in ups_of.values()
        if len(same) > 1
    }
    warnings = list(_check_downs(down_files, ups_of, refused))
    down_of = {normalize_name(down.stem): down.script for down in down_files}
    migrations = []
    for stem, version, name, script in ups:
        down = down_of.get(normalize_name(stem))
        if down is None and script.directives.irreversible is None:
            warnings.append(f"{script.path} has no down file: it can't be rolled back")
        migrations.append(Migration(stem, version, name, script, down))
    migrations.sort(key=lambda m: (m.number, m.id))
    return Files(where, order_migrations(migrations), duplicates, tuple(refused), tuple(warnings))


def read_seed_files(where: Folder) -> tuple[Script, ...]:
    """Read the files in `seed/` of a folder, in the order of their names.

    Args:
        where: the folder that also holds `up/` and `down/`.

    Raises:
        ChatdbError: `USAGE`, no seed file exists; `BAD_FILE`, one can't be read, or contains a
            statement that chatdb refuses in every file.
    """
    scripts = []
    for entry in list_sql_files(where.path / "seed"):
        text = decode(_read_bytes(entry.path), entry.path)
        scripts.append(Script(entry.path, text, "", NO_DIRECTIVES))
        if error := find_refused_statement(scripts[-1], split_statements(text)):
            raise error
    if not scripts:
        raise ChatdbError(
            Code.USAGE,
            f"there is no SQL file in {where.path / 'seed'}",
            hint=Advice(
                "write your own data there as INSERT ... ON CONFLICT DO NOTHING; for the data of the "
                "chat schema use {directory_shipped}"
            ),
        )
    return tuple(scripts)


def make_script(path: Path | str, text: str, direction: Direction) -> Script:
    """Return the script of a text that was read from a file, or from the history.

    Args:
        path: the file, as it is shown to the user; it is not read.
        text: without a byte order mark.
        direction: a down file allows fewer directives.

    Raises:
        ChatdbError: `BAD_FILE`, a directive is unknown, has a wrong value, or comes after the start of
            the first statement.
    """
    return Script(str(path), text, checksum(text), parse_directives(path, text, direction))


def find_refused_statement(
    script: Script, statements: tuple[Statement, ...] | None
) -> ChatdbError | None:
    """Return the error for the first statement of a file that no migration may contain, or None.

    Args:
        script: the file.
        statements: the result of `split_statements` for it.
    """
    from chatdb_cli.syntax.refusal import find_refusal  # no run with nothing to do needs it

    refusal = find_refusal(script.text, statements)
    if refusal is not None:
        place = locate(script.text, refusal.offset, script.path)
        return ChatdbError(Code.BAD_FILE, refusal.message, hint=refusal.hint, place=place)
    return None


class _File(NamedTuple):
    """A file of a folder, with the parts of its name."""

    stem: str
    version: str
    name: str
    script: Script


def _read_files(
    directory: Path, direction: Direction, refused: list[ChatdbError], *, names_only: bool = False
) -> list[_File]:
    """Read the files of a folder.

    Args:
        directory: the folder.
        direction: a down file allows fewer directives.
        refused: gets an error for each file that can't be a migration.
        names_only: do not read their content.
    """
    files = []
    for entry in list_sql_files(directory):
        script = Script(entry.path, "", "", NO_DIRECTIVES)
        try:
            stem, version, name = parse_file_name(entry.name, entry.path)
        except ChatdbError as error:
            refused.append(error)
            continue
        if not names_only:
            try:
                text = decode(_read_bytes(entry.path), entry.path)
                script = make_script(entry.path, text, direction)
            except ChatdbError as error:
                refused.append(error)
        files.append(_File(stem, version, name, script))
    return files


def _read_bytes(path: str) -> bytes:
    try:
        with FileIO(path) as file:  # takes half the time of `path.read_bytes()`
            return file.readall()
    except OSError as error:
        raise file_error(Path(path), error, "read") from None


def _check_downs(
    downs: Iterable[_File], ups_of: Mapping[int, list[_File]], refused: list[ChatdbError]
) -> Iterator[str]:
    """Yield a warning for each down file without an up file, and refuse one of another name.

    Args:
        downs: the down files.
        ups_of: the up files, by version.
        refused: gets an error for each down file of another name.
    """
    for down in downs:
        path = down.script.path
        same = ups_of.get(int(down.version))
        if not same:
            yield f"{path} has no up file"
        elif normalize_name(down.stem) not in [normalize_name(up.stem) for up in same]:
            refused.append(
                ChatdbError(
                    Code.BAD_FILE,
                    f"the down file {path.name!r} and the up file {same[0].script.path.name!r} "
                    "have the same version but different names",
                    place=Location(path),
                    hint="rename one of them",
                )
            )
