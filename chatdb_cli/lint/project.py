"""The files to lint: parsed, in order, each with the batch that it belongs to.

A batch is what is applied together: a table that it makes holds no rows and is not in use.  Without
more knowledge each migration is a batch of its own.  Files that the user names, files since a commit,
and files that a database has pending are one batch.  What does not belong here: the rules.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.files.entries import list_entries
from chatdb_cli.files.folder import choose_folder
from chatdb_cli.files.model import Folder
from chatdb_cli.files.names import file_error
from chatdb_cli.files.read import make_script, read_migrations
from chatdb_cli.files.since import files_since
from chatdb_cli.lint.model import Pair, SqlFile
from chatdb_cli.syntax.source import decode
from chatdb_cli.syntax.tree.parse import Unreadable, parse_statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chatdb_cli.files.model import Direction, Migration, Script
    from chatdb_cli.lint.model import LintOptions

# The batch of files that are applied together; every other batch has a number from 1.
TOGETHER = 0


class Project(NamedTuple):
    """What is linted.

    Attributes:
        pairs: the migrations in order; of those that are not checked only the text counts.
        refused: one error for each file that can't be a migration, if it is checked.
    """

    pairs: tuple[Pair, ...]
    refused: tuple[ChatdbError, ...]


def read_project(
    directory: str | None, files: Sequence[Path], since: str | None, options: LintOptions
) -> Project:
    """Read and parse the files.

    Args:
        directory: the folder of `up/` and `down/`, as `choose_folder` takes it.
        files: files or folders to check; empty for all of the folder.
        since: check only files that are newer than this commit.
        options: `after` and `live` decide what is checked, and what is a batch.

    Raises:
        ChatdbError: `USAGE`, a file or folder does not exist; `BAD_FILE`, one can't be read.
    """
    if not files:
        folder = choose_folder(directory)
        newer = files_since(since, folder.path) if since is not None else None
        return _read_folder(folder, newer, options, together=newer is not None)
    named = {path.resolve() for given in files for path in _expand(given)}
    if since is not None:
        folders = {path.parent for path in named}
        named &= frozenset[Path]().union(*(files_since(since, folder) for folder in folders))
    projects = [
        _read_folder(Folder(_shown(home), False, True), named, options, together=True)
        for home in sorted({path.parent.parent for path in named if _in_folder(path)})
    ]
    loose = sorted(path for path in named if not _in_folder(path))
    pairs = [pair for project in projects for pair in project.pairs]
    pairs += [Pair(_read_loose(path), None) for path in loose]
    return Project(tuple(pairs), tuple(e for project in projects for e in project.refused))


def _in_folder(path: Path) -> bool:
    return path.parent.name in ("up", "down") and (path.parent.parent / "up").is_dir()


def _shown(path: Path) -> Path:
    """Return a path relative to the working directory, if it is in it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _expand(path: Path) -> Iterator[Path]:
    """Yield the SQL files of a folder, or the file itself."""
    try:
        if path.is_dir():
            for folder in (path, path / "up", path / "down"):
                yield from (Path(entry.path) for entry in list_entries(folder).files)
        elif path.exists():
            yield path
        else:
            raise FileNotFoundError(2, "no such file or directory")
    except OSError as error:
        raise file_error(path, error, "read", Code.USAGE) from None


def _read_folder(
    folder: Folder, only: Iterable[Path] | None, options: LintOptions, *, together: bool
) -> Project:
    """Read a folder.

    Args:
        folder: the folder.
        only: the absolute paths to check; None for all.
        options: how to lint.
        together: the checked files are one batch.
    """
    contents = read_migrations(folder)
    wanted = None if only is None else frozenset(only)
    after = int(options.after) if options.after else None
    pending = options.live.pending if options.live else frozenset()

    def is_checked(path: Path, number: int | None = None) -> bool:
        if after is not None and number is not None and number <= after:
            return False
        return wanted is None or path.resolve() in wanted

    pairs = []
    for position, migration in enumerate(contents.migrations, 1):
        up = is_checked(migration.up.path, migration.number)
        down = migration.down is not None and is_checked(migration.down.path, migration.number)
        one_batch = migration.version in pending or (
            (up or down) and (together or after is not None)
        )
        batch = TOGETHER if one_batch else position
        pairs.append(_parse_pair(migration, batch, up, down))
    refused = [e for e in contents.refused if e.place is None or is_checked(e.place.file)]
    return Project(tuple(pairs), tuple(refused))


def _parse_pair(migration: Migration, batch: int, up: bool, down: bool) -> Pair:
    def parse(script: Script, direction: Direction, checked: bool) -> SqlFile:
        # The text of a down file that is not checked is never needed.
        text = script.text if checked or direction == "up" else ""
        parsed = parse_statements(text)
        return SqlFile(
            script.file,
            text,
            direction,
            migration.version,
            script.directives,
            () if isinstance(parsed, Unreadable) else parsed,
            parsed if isinstance(parsed, Unreadable) else None,
            batch,
            checked,
        )

    down_file = parse(migration.down, "down", down) if migration.down else None
    return Pair(parse(migration.up, "up", up), down_file)


def _read_loose(path: Path) -> SqlFile:
    """Read a file that is in no folder `up/` or `down/`: it is checked as an up file."""
    try:
        text = decode(path.read_bytes(), _shown(path))
    except OSError as error:
        raise file_error(path, error, "read", Code.USAGE) from None
    script = make_script(_shown(path), text, "up")
    parsed = parse_statements(text)
    statements = () if isinstance(parsed, Unreadable) else parsed
    unreadable = parsed if isinstance(parsed, Unreadable) else None
    return SqlFile(
        script.file, text, "up", "", script.directives, statements, unreadable, TOGETHER, True
    )
