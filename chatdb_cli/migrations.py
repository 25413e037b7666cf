"""`sql/up` and `sql/down` as ordered migrations.

    Folder      a directory with `up/` and `down/`, and how it was chosen
    Migration   one version: an up script and, unless it is irreversible, a down script
    Script      one file: its text, its checksum, what its directives ask for

What belongs here: file names, directives, dependencies and order.  What does not: whether a migration
was applied (`plan.py`), how its text is cut into statements (`sqltext.py`).  Reads the disk, and
nothing else.  yoyo's topological sort orders what declares dependencies.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from io import FileIO
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple
from unicodedata import normalize

from chatdb_cli.errors import ChatdbError, Code, Place
from chatdb_cli.settings.parse import duration_ms
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.refusal import find_refusal
from chatdb_cli.syntax.scan import comments, leading_comments
from chatdb_cli.syntax.source import canonical, decode
from chatdb_cli.syntax.statements import Statement, split_statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SHIPPED = "@chat"
Direction = Literal["up", "down"]

_STEM = re.compile(r"(?a:(\d+))(?:[_\-. ]+(.*))?", re.DOTALL)
_OURS = re.compile(r"--\s*chatdb\s*:", re.IGNORECASE)
_PERHAPS = re.compile(r"--\s*(?:chatdb|depends|transactional)\s*:", re.IGNORECASE)
_DIRECTIVE = re.compile(r"\s*([\w-]+)\s*:\s*(.*)", re.DOTALL)
_ISOLATION = ("read committed", "repeatable read", "serializable")
# yoyo writes these two without the `chatdb:` in front.
_OF_YOYO = ("depends", "transactional")
_OF_UP = ("depends", "irreversible")


class Directives(NamedTuple):
    """What the leading comment of a file asks for.

    Attributes:
        transactional: False when the file can't run inside a transaction.
        depends: names of the migrations that have to come before.
        isolation: the transaction's isolation level, in upper case.
        lock_timeout_ms: in place of the run's own; None for that.
        statement_timeout_ms: likewise.
        irreversible: why there is no way back, or None.
    """

    transactional: bool = True
    depends: tuple[str, ...] = ()
    isolation: str = "READ COMMITTED"
    lock_timeout_ms: int | None = None
    statement_timeout_ms: int | None = None
    irreversible: str | None = None


_NOTHING_ASKED = Directives()


@dataclass(frozen=True, slots=True)
class Script:
    """One SQL file.

    Attributes:
        file: where it was read, as it is shown to the user.
        text: without a byte order mark, line ends as they are.
        checksum: `sha256:` and the digest of the canonical text; empty for a file that was not read.
        directives: what its leading comment asks for.
    """

    file: str
    text: str = field(repr=False)
    checksum: str
    directives: Directives

    @property
    def path(self) -> Path:
        """The same as a path; to make one of each of thousands of files takes its time."""
        return Path(self.file)


class Migration(NamedTuple):
    """One version.

    Attributes:
        id: the file name without its suffix, which is how yoyo knows it.
        version: the leading digits, as they stand in the file name.
        name: what comes behind them.
        up: the script that applies it.
        down: the script that takes it back, or None.
    """

    id: str
    version: str
    name: str
    up: Script
    down: Script | None

    @property
    def number(self) -> int:
        """The version as the number that it is compared by."""
        return int(self.version)


class Folder(NamedTuple):
    """The directory that holds `up/` and `down/`.

    Attributes:
        path: the directory.
        shipped: it is the chat schema that comes with chatdb.
        named: the user named it, so that nobody is surprised.
    """

    path: Path
    shipped: bool
    named: bool


class Files(NamedTuple):
    """All migrations of a folder.

    Attributes:
        folder: where they come from.
        migrations: in the order in which they are applied.
        duplicates: the file names that use one version twice, by version.
        refused: why a file can't be a migration.
        warnings: what is odd and does no harm.
    """

    folder: Folder
    migrations: tuple[Migration, ...]
    duplicates: Mapping[str, tuple[str, ...]]
    refused: tuple[ChatdbError, ...]
    warnings: tuple[str, ...]


def folder(directory: str | None, *, root: Path | None = None) -> Folder:
    """Choose the folder: the one that was named, else `./sql`, else the shipped chat schema.

    Args:
        directory: what `--dir` says, `@chat` for the shipped schema, or None.
        root: the directory that relative names start from; the working directory by default.

    Raises:
        ChatdbError: `USAGE` when a named folder, or a `./sql` without `up/`, can't serve.
    """
    if directory == SHIPPED:
        return Folder(_shipped(), shipped=True, named=True)
    path = (root or Path()) / (directory or "sql")
    try:
        if (path / "up").is_dir():
            return Folder(path, shipped=False, named=directory is not None)
        # A link that leads nowhere was meant to lead somewhere.
        if directory is None and not path.exists() and not path.is_symlink():
            return Folder(_shipped(), shipped=True, named=False)
        there, is_folder = path.exists(), path.is_dir()
    except OSError as error:
        raise _os_error(path, error, "read", Code.USAGE) from None
    what = f"{path} has no folder up/" if is_folder else f"{path} is not a folder"
    raise ChatdbError(
        Code.USAGE,
        what if there else f"there is no folder {path}",
        hint="name the folder that holds up/ and down/ with --dir, or the shipped chat schema "
        f"with --dir {SHIPPED}",
        errno=None if there else "ENOENT",
    )


def writable_folder(directory: str | None) -> Folder:
    """Choose the folder for a new migration: never the shipped one; it is made where missing.

    Args:
        directory: what `--dir` says, or None for `./sql`.

    Raises:
        ChatdbError: `USAGE` when the folder is the shipped one, or can't be made.
    """
    if directory == SHIPPED:
        raise ChatdbError(
            Code.USAGE,
            "the shipped chat schema is not yours to write to",
            hint="name a folder of your own with --dir",
        )
    path = Path(directory or "sql")
    try:
        (path / "up").mkdir(parents=True, exist_ok=True)
        (path / "down").mkdir(exist_ok=True)
    except OSError as error:
        raise _os_error(path, error, "made", Code.USAGE) from None
    return Folder(path, shipped=False, named=directory is not None)


def read(where: Folder, *, downs: bool = True) -> Files:
    """Read every migration of a folder.

    A file that can't be a migration (its name, its bytes, its directives, a down that belongs to
    another name) does not stop the reading: it stands in `refused`.

    Args:
        where: the folder.
        downs: also what the down files hold, not their names alone.

    Raises:
        ChatdbError: `BAD_FILE` for a folder that can't be read, or an unknown or circular
            dependency.
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
    down_of = {_normal(down.stem): down.script for down in down_files}
    migrations = []
    for stem, version, name, script in ups:
        down = down_of.get(_normal(stem))
        if down is None and script.directives.irreversible is None:
            warnings.append(f"{script.path} has no down file: it can't be taken back")
        migrations.append(Migration(stem, version, name, script, down))
    migrations.sort(key=lambda m: (m.number, m.id))
    return Files(where, _ordered(migrations), duplicates, tuple(refused), tuple(warnings))


def seed(where: Folder) -> tuple[Script, ...]:
    """Read the files of a folder's `seed/`, in the order of their names.

    Args:
        where: the folder that holds `up/` and `down/` too.

    Raises:
        ChatdbError: `USAGE` when there is no such file; `BAD_FILE` for one that can't be read, or
            that holds what no migration may hold.
    """
    found = []
    for entry in _sql_files(where.path / "seed"):
        text = decode(_bytes(entry.path), entry.path)
        found.append(Script(entry.path, text, "", _NOTHING_ASKED))
        if error := refused(found[-1], split_statements(text)):
            raise error
    if not found:
        raise ChatdbError(
            Code.USAGE,
            f"there is no SQL file in {where.path / 'seed'}",
            hint="write your own data there as INSERT ... ON CONFLICT DO NOTHING; for that of the "
            f"chat schema say --dir {SHIPPED}",
        )
    return tuple(found)


def script(path: Path | str, text: str, direction: Direction) -> Script:
    """Make a script of a text that was read from a file, or from the history.

    Args:
        path: the file, as it is shown to the user; it is not read.
        text: without a byte order mark.
        direction: a way back has fewer directives.

    Raises:
        ChatdbError: `BAD_FILE` for a directive that is unknown, has a wrong value, or stands
            behind the beginning of the first statement.
    """
    return Script(str(path), text, checksum(text), _directives(path, text, direction))


def refused(script: Script, statements: tuple[Statement, ...] | None) -> ChatdbError | None:
    """Return why no migration may hold what a file holds, or None.

    Args:
        script: the file.
        statements: what `sqltext.split` returned for it.
    """
    refusal = find_refusal(script.text, statements)
    if refusal is not None:
        place = locate(script.text, refusal.offset, script.path)
        return ChatdbError(Code.BAD_FILE, refusal.message, hint=refusal.hint, place=place)
    return None


def checksum(text: str) -> str:
    """Return the checksum of a text without a byte order mark, the same whatever its line ends."""
    return "sha256:" + hashlib.sha256(canonical(text).encode()).hexdigest()


def new(where: Folder, name: str) -> tuple[Path, Path]:
    """Write the next version's pair of files, and return the up and the down.

    The version is the newest one plus one, as wide as that one; in a folder of timestamps it is the
    present second, in UTC.

    Args:
        where: what `writable_folder` returned.
        name: what the migration does; blanks and dashes become underscores.

    Raises:
        ChatdbError: `USAGE` when the name can't be part of a file name, or the files can't be
            written; `BAD_FILE` when a file there has a name without a version.
    """
    words = re.sub(r"[\s\-_]+", "_", name).strip("_")
    if not re.fullmatch(r"\w[\w.]*", words) or len(words.encode()) > 200:
        raise ChatdbError(
            Code.USAGE,
            f"{name!r} can't be the name of a migration",
            hint="use letters, digits and underscores, such as add_users",
        )
    folders = (where.path / "up", where.path / "down")
    taken = [
        _parse_stem(entry.name, entry.path)[1]
        for directory in folders
        for entry in _sql_files(directory)
    ]
    stem = f"{_next_version(max(taken, key=int, default='0000'))}_{words}"
    up, down = (directory / f"{stem}.sql" for directory in folders)
    said = " ".join(name.split())
    for path, text in ((down, f"-- takes back: {said}\n"), (up, f"-- {said}\n")):
        try:
            path.parent.mkdir(exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise _os_error(path, error, "written", Code.USAGE) from None
    return up, down


def _next_version(newest: str) -> str:
    if len(newest) == 14 and newest.startswith(("19", "20")):
        from datetime import UTC, datetime

        now = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
        if int(now) > int(newest):
            return now
    return str(int(newest) + 1).zfill(len(newest))


def _shipped() -> Path:
    # Inside the wheel the folder stands in the package; in a checkout, beside it.
    package = Path(__file__).parent
    inside = package / "sql"
    return inside if inside.is_dir() else package.parent / "sql"


class _File(NamedTuple):
    """A file of a folder, with its name taken apart."""

    stem: str
    version: str
    name: str
    script: Script


def _sql_files(directory: Path) -> list[os.DirEntry[str]]:
    """List the files that mean to be migrations; what an editor left behind is none."""
    try:
        with os.scandir(directory) as entries:
            found = [e for e in entries if e.name[-4:].lower() == ".sql" and e.name[0] != "."]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _os_error(directory, error, "read") from None
    return sorted(found, key=attrgetter("name"))


def _read_files(
    directory: Path, direction: Direction, refused: list[ChatdbError], *, names_only: bool = False
) -> list[_File]:
    """Read the files of a folder; one that can't be a migration is noted, and read as empty."""
    found = []
    for entry in _sql_files(directory):
        read = Script(entry.path, "", "", _NOTHING_ASKED)
        try:
            stem, version, name = _parse_stem(entry.name, entry.path)
        except ChatdbError as error:
            refused.append(error)
            continue
        if not names_only:
            try:
                text = decode(_bytes(entry.path), entry.path)
                read = script(entry.path, text, direction)
            except ChatdbError as error:
                refused.append(error)
        found.append(_File(stem, version, name, read))
    return found


def _bytes(path: str) -> bytes:
    try:
        with FileIO(path) as file:  # half the time of `path.read_bytes()`, for thousands of files
            return file.readall()
    except OSError as error:
        raise _os_error(Path(path), error, "read") from None


def _os_error(path: Path, error: OSError, verb: str, code: Code = Code.BAD_FILE) -> ChatdbError:
    import errno

    reason = (error.strerror or str(error)).lower()
    return ChatdbError(
        code,
        f"{path} can't be {verb}: {reason}",
        place=Place(path),
        errno=errno.errorcode.get(error.errno or 0),
        hint="look at the file and its permissions",
    )


def _normal(name: str) -> str:
    """Return a name in the one form of Unicode; file systems differ in the one that they keep."""
    return normalize("NFC", name)


def _parse_stem(file_name: str, path: str) -> tuple[str, str, str]:
    """Return a file's name without its suffix, and version and name in it."""
    stem = file_name[:-4]
    found = _STEM.fullmatch(stem)
    if not found:
        raise ChatdbError(
            Code.BAD_FILE,
            f"the file name {file_name!r} does not begin with a version and an underscore",
            place=Place(Path(path)),
            hint="name it like 0001_add_users.sql",
        )
    try:
        stem.encode()
    except UnicodeEncodeError:
        raise ChatdbError(
            Code.BAD_FILE,
            f"the file name {file_name!r} is not UTF-8",
            place=Place(Path(path).parent),
            hint="rename the file",
        ) from None
    return stem, found[1], found[2] or ""


def _check_downs(
    downs: Iterable[_File], ups_of: Mapping[int, list[_File]], refused: list[ChatdbError]
) -> Iterator[str]:
    """Yield a warning for each down without an up; one of another name is refused.

    Args:
        downs: the down files.
        ups_of: the up files, by version.
        refused: where a refusal is added.
    """
    for down in downs:
        path = down.script.path
        same = ups_of.get(int(down.version))
        if not same:
            yield f"{path} has no up file"
        elif _normal(down.stem) not in [_normal(up.stem) for up in same]:
            refused.append(
                ChatdbError(
                    Code.BAD_FILE,
                    f"the down file {path.name!r} and the up file {same[0].script.path.name!r} "
                    "have the same version and not the same name",
                    place=Place(path),
                    hint="give both the same name",
                )
            )


def _directives(path: Path | str, text: str, direction: Direction) -> Directives:
    if not _PERHAPS.search(text):  # hardly a file asks for anything
        return _NOTHING_ASKED
    fields: dict[str, object] = {}
    end = offset = 0
    try:
        for offset, comment in leading_comments(text):
            end = offset + len(comment)
            _obey(comment, direction, fields)
        # Cutting the text into tokens costs something, and hardly ever has to be done.
        for offset, comment in comments(text) if _OURS.search(text, end) else ():
            if offset >= end and _OURS.match(comment):
                raise ValueError("a directive stands in the leading comment, before any statement")
    except ValueError as error:
        raise ChatdbError(
            Code.BAD_FILE,
            str(error),
            place=locate(text, offset, path),
            hint=f"the directives are: {', '.join(_NAMES)}",
        ) from None
    return Directives(**fields)  # type: ignore[arg-type]


def _obey(comment: str, direction: Direction, fields: dict[str, object]) -> None:
    """Add what a comment of the head asks for, if it is a directive, to the fields of Directives.

    Raises:
        ValueError: it is a wrong one.
    """
    ours = _OURS.match(comment)
    found = _DIRECTIVE.match(comment, ours.end() if ours else len("--"))
    if not ours and (found is None or found[1] not in _OF_YOYO):
        return
    if found is None:
        raise ValueError("a directive has the form '-- chatdb: name: value'")
    key, value = found[1].lower(), found[2].strip()
    if key not in _NAMES:
        raise ValueError(f"there is no directive '{key}'{_nearest(key)}")
    if direction == "down" and key in _OF_UP:
        raise ValueError(f"'{key}' belongs into the up file")
    if key == "depends":
        fields[key] = (*fields.get(key, ()), *value.split())  # type: ignore[misc]
        return
    name, parse = _PARSERS[key]
    if name in fields:
        raise ValueError(f"'{key}' stands there twice")
    try:
        fields[name] = parse(value)
    except ValueError as error:
        raise ValueError(f"'{key}: {value}': {error}") from None


def _nearest(key: str) -> str:
    import difflib

    near = difflib.get_close_matches(key, _NAMES, 1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _parse_bool(value: str) -> bool:
    try:
        return {"true": True, "false": False}[value.lower()]
    except KeyError:
        raise ValueError("true or false is expected") from None


def _parse_isolation(value: str) -> str:
    if " ".join(value.lower().split()) not in _ISOLATION:
        raise ValueError(f"one of {', '.join(_ISOLATION)} is expected")
    return " ".join(value.upper().split())


def _parse_reason(value: str) -> str:
    if not value:
        raise ValueError("say why")
    return value


_PARSERS = {
    "transactional": ("transactional", _parse_bool),
    "isolation": ("isolation", _parse_isolation),
    "lock-timeout": ("lock_timeout_ms", duration_ms),
    "statement-timeout": ("statement_timeout_ms", duration_ms),
    "irreversible": ("irreversible", _parse_reason),
}
_NAMES = sorted((*_PARSERS, "depends"))


def _ordered(migrations: list[Migration]) -> tuple[Migration, ...]:
    """Sort by version, then so that each comes behind those that it depends on."""
    if not any(m.up.directives.depends for m in migrations):
        return tuple(migrations)
    known = {_normal(key): m.id for m in migrations for key in (m.version, m.id)}
    graph: dict[str, set[str]] = {m.id: set() for m in migrations}
    for m in migrations:
        for name in m.up.directives.depends:
            other = known.get(_normal(name.removesuffix(".sql")))
            if other is None:
                raise ChatdbError(
                    Code.BAD_FILE,
                    f"{m.id} depends on {name!r}, and there is no such migration",
                    place=Place(m.up.path),
                    hint="name it as its file is named, without .sql",
                )
            graph[m.id].add(other)
    by_id = {m.id: m for m in migrations}
    _refuse_circle(graph, by_id)
    from yoyo.topologicalsort import topological_sort

    return tuple(by_id[i] for i in topological_sort([m.id for m in migrations], graph))


def _refuse_circle(graph: Mapping[str, set[str]], by_id: Mapping[str, Migration]) -> None:
    # yoyo's sort finds one as well, and names what hangs on it along with it.
    from graphlib import CycleError, TopologicalSorter

    try:
        TopologicalSorter({name: sorted(graph[name]) for name in sorted(graph)}).prepare()
    except CycleError as error:
        circle = error.args[1][::-1]
        raise ChatdbError(
            Code.BAD_FILE,
            f"these migrations depend on each other in a circle: {' -> '.join(circle)}",
            place=Place(by_id[circle[0]].up.path),
            hint="remove one of their 'depends' directives",
        ) from None
