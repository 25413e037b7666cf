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
from chatdb_cli.files.entries import list_entries
from chatdb_cli.files.model import NO_DIRECTIVES, Files, Migration, Script, checksum
from chatdb_cli.files.names import file_error, normalize_name, parse_file_name, some_of
from chatdb_cli.files.order import order_migrations
from chatdb_cli.files.other_tools import find_marker, find_suffixes, suffix_error
from chatdb_cli.files.timestamps import future_warning
from chatdb_cli.remedy import Advice
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.source import decode
from chatdb_cli.syntax.statements import split_statements

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from chatdb_cli.files.entries import Entries
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
    folders = [where.path / direction for direction in ("up", "down")]
    entries = [list_entries(folder) for folder in folders]
    refused = [error for listed in entries for error in listed.refused]
    suffixed = find_suffixes(*((file.name for file in listed.files) for listed in entries))
    if suffixed:
        refused.append(suffix_error(where.path, suffixed))
    skip = frozenset(name for names in suffixed.values() for name in names)
    up_entries, down_entries = ([f for f in e.files if f.name not in skip] for e in entries)
    ups = _read_files(up_entries, "up", refused)
    down_files = _read_files(down_entries, "down", refused, names_only=not downs)
    ups_of: dict[int, list[_File]] = {}
    for up in ups:
        ups_of.setdefault(int(up.version), []).append(up)
    duplicates = {
        same[0].version: tuple(up.script.path.name for up in same)
        for same in ups_of.values()
        if len(same) > 1
    }
    warnings = [
        *(
            w
            for folder, listed in zip(folders, entries, strict=True)
            for w in _ignored(folder, listed)
        ),
        *_check_downs(down_files, ups_of, refused),
    ]
    down_of = {normalize_name(down.stem): down.script for down in down_files}
    migrations = [
        Migration(stem, version, name, script, down_of.get(normalize_name(stem)))
        for stem, version, name, script in ups
    ]
    migrations.sort(key=lambda m: (m.number, m.id))
    warnings += _missing_downs(migrations)
    if warning := future_warning((m.version, m.id) for m in migrations):
        warnings.append(warning)
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
    for entry in list_entries(where.path / "seed").files:
        text = _read_text(entry.path)
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
    script: Script, statements: Sequence[Statement] | None
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
    entries: Iterable[os.DirEntry[str]],
    direction: Direction,
    refused: list[ChatdbError],
    *,
    names_only: bool = False,
) -> list[_File]:
    """Read the files of a folder.

    Args:
        entries: the SQL files of the folder.
        direction: a down file allows fewer directives.
        refused: gets an error for each file that can't be a migration.
        names_only: do not read their content.
    """
    files = []
    for entry in entries:
        script = Script(entry.path, "", "", NO_DIRECTIVES)
        try:
            stem, version, name = parse_file_name(entry.name, entry.path)
        except ChatdbError as error:
            refused.append(error)
            continue
        if not names_only:
            try:
                script = make_script(entry.path, _read_text(entry.path), direction)
            except ChatdbError as error:
                refused.append(error)
        files.append(_File(stem, version, name, script))
    return files


def _read_text(path: str) -> str:
    """Return the text of a file.

    Raises:
        ChatdbError: `BAD_FILE`, it can't be read, or was written for another tool.
    """
    try:
        with FileIO(path) as file:  # takes half the time of `path.read_bytes()`
            data = file.readall()
    except OSError as error:
        raise file_error(Path(path), error, "read") from None
    text = decode(data, path)
    if error_of_marker := find_marker(path, text):
        raise error_of_marker
    return text


def _ignored(folder: Path, entries: Entries) -> Iterator[str]:
    """Yield a warning of all that is in a folder and is no SQL file."""
    names = entries.ignored
    if len(names) == 1:
        yield f"{folder / names[0]} is not a .sql file, and is ignored"
    elif names:
        yield f"{len(names)} entries of {folder} are not .sql files, and are ignored: {some_of(names)}"


def _missing_downs(migrations: Iterable[Migration]) -> Iterator[str]:
    """Yield a warning of all migrations that need a down file and have none."""
    without = [m for m in migrations if m.down is None and m.up.directives.irreversible is None]
    if len(without) == 1:
        yield f"{without[0].up.path} has no down file: it can't be rolled back"
    elif without:
        names = some_of([m.id for m in without])
        yield f"{len(without)} migrations have no down file and can't be rolled back: {names}"


def _check_downs(
    downs: Iterable[_File], ups_of: Mapping[int, list[_File]], refused: list[ChatdbError]
) -> Iterator[str]:
    """Yield a warning of the down files without an up file, and refuse each of another name.

    Args:
        downs: the down files.
        ups_of: the up files, by version.
        refused: gets an error for each down file of another name.
    """
    without = []
    for down in downs:
        path = down.script.path
        same = ups_of.get(int(down.version))
        if not same:
            without.append(path)
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
    if len(without) == 1:
        yield f"{without[0]} has no up file"
    elif without:
        names = some_of([path.name for path in without])
        yield f"{len(without)} files of {without[0].parent} have no up file: {names}"
