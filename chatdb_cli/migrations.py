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
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from unicodedata import normalize

from chatdb_cli import sqltext
from chatdb_cli.errors import ChatdbError, Code, Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SHIPPED = "@chat"
Direction = Literal["up", "down"]

_STEM = re.compile(r"(?a:(\d+))(?:[_\-. ]+(.*))?", re.DOTALL)
_DIRECTIVE = re.compile(r"--\s*(chatdb\s*:\s*)?([A-Za-z-]+)\s*:\s*(.*)", re.DOTALL)
_STRAY = re.compile(r"^[ \t]*--\s*chatdb\s*:", re.MULTILINE)
_ISOLATION = ("read committed", "repeatable read", "serializable")
# yoyo writes these two without the `chatdb:` in front.
_OF_YOYO = ("depends", "transactional")
_OF_UP = ("depends", "irreversible")


@dataclass(frozen=True, slots=True)
class Directives:
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


@dataclass(frozen=True, slots=True)
class Script:
    """One SQL file.

    Attributes:
        path: where it was read, as it is shown to the user.
        text: without a byte order mark, line ends as they are.
        checksum: `sha256:` and the digest of the canonical text.
        directives: what its leading comment asks for.
    """

    path: Path
    text: str = field(repr=False)
    checksum: str
    directives: Directives


@dataclass(frozen=True, slots=True)
class Migration:
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


@dataclass(frozen=True, slots=True)
class Folder:
    """The directory that holds `up/` and `down/`.

    Attributes:
        path: the directory.
        shipped: it is the chat schema that comes with chatdb.
        named: the user named it, so that nobody is surprised.
    """

    path: Path
    shipped: bool
    named: bool


@dataclass(frozen=True, slots=True)
class Files:
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
    path = Path(directory or "sql")
    if not path.is_absolute() and root is not None:
        path = root / path
    if (path / "up").is_dir():
        return Folder(path, shipped=False, named=directory is not None)
    if directory is None and not path.exists():
        return Folder(_shipped(), shipped=True, named=False)
    what = f"{path} has no folder up/" if path.is_dir() else f"{path} is not a folder"
    raise ChatdbError(
        Code.USAGE,
        what if path.exists() else f"there is no folder {path}",
        hint="name the folder that holds up/ and down/ with --dir, or the shipped chat schema "
        f"with --dir {SHIPPED}",
        errno=None if path.exists() else "ENOENT",
    )


def writable_folder(directory: str | None) -> Folder:
    """Choose the folder for a new migration: never the shipped one; `./sql` is made where missing.

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
        raise _unreadable(path, error, "made", Code.USAGE) from None
    return Folder(path, shipped=False, named=directory is not None)


def read(where: Folder) -> Files:
    """Read every migration of a folder.

    A file that can't be a migration (its name, its bytes, its directives, a down that belongs to
    another name) does not stop the reading: it stands in `refused`.

    Raises:
        ChatdbError: `BAD_FILE` for a folder that can't be read, or an unknown or circular
            dependency.
    """
    refused: list[ChatdbError] = []
    ups = _scripts(where.path / "up", "up", refused)
    downs = _scripts(where.path / "down", "down", refused)
    same_version: dict[int, list[str]] = {}
    for path in ups:
        same_version.setdefault(int(_parse_stem(path)[0]), []).append(path.stem)
    duplicates = {
        _parse_stem(Path(stems[0]))[0]: tuple(f"{stem}.sql" for stem in stems)
        for stems in same_version.values()
        if len(stems) > 1
    }
    # The same name may come in two forms of Unicode from two file systems.
    down_of = {normalize("NFC", path.stem): script for path, script in downs.items()}
    warnings = list(_check_downs(downs, same_version, refused))
    migrations = []
    for path, up in ups.items():
        version, name = _parse_stem(path)
        down = down_of.get(normalize("NFC", path.stem))
        if down is None and up.directives.irreversible is None:
            warnings.append(f"{path} has no down file: it can't be taken back")
        migrations.append(Migration(path.stem, version, name, up, down))
    migrations.sort(key=lambda m: (m.number, m.id))
    return Files(where, _ordered(migrations), duplicates, tuple(refused), tuple(warnings))


def new(where: Folder, name: str) -> tuple[Path, Path]:
    """Write the next version's pair of files, and return the up and the down.

    The version is the newest one plus one, as wide as that one; in a folder of timestamps it is the
    present second, in UTC.

    Raises:
        ChatdbError: `USAGE` when the name can't be part of a file name, or the file exists.
    """
    words = re.sub(r"[\s\-]+", "_", name.strip())
    if not words or not re.fullmatch(r"[\w.]+", words) or len(words.encode()) > 200:
        raise ChatdbError(
            Code.USAGE,
            f"{name!r} can't be the name of a migration",
            hint="use letters, digits and underscores, such as add_users",
        )
    newest = max(
        (_parse_stem(p)[0] for p in _sql_files(where.path / "up")), key=int, default="0000"
    )
    version = _next_version(newest)
    pair = (
        where.path / "up" / f"{version}_{words}.sql",
        where.path / "down" / f"{version}_{words}.sql",
    )
    purpose = (f"-- {name.strip()}\n", f"-- takes back: {name.strip()}\n")
    for path, text in zip(pair, purpose, strict=True):
        try:
            path.parent.mkdir(exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise _unreadable(path, error, "written") from None
    return pair


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
    return next(
        p for p in (package / "sql", package.parent / "sql") if p.name == "sql" and p.is_dir()
    )


def _sql_files(directory: Path) -> list[Path]:
    """List the files that mean to be migrations; what an editor left behind is none."""
    try:
        entries = sorted(directory.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(directory, error, "read") from None
    return [p for p in entries if p.suffix.lower() == ".sql" and not p.name.startswith(".")]


def _scripts(
    directory: Path, direction: Direction, refused: list[ChatdbError]
) -> dict[Path, Script]:
    """Read the files of a folder; one that can't be a migration is noted, and read as empty."""
    found = {}
    for path in _sql_files(directory):
        try:
            _parse_stem(path)
        except ChatdbError as error:
            refused.append(error)
            continue
        try:
            found[path] = script(path, sqltext.decode(_bytes(path), path), direction)
        except ChatdbError as error:
            refused.append(error)
            found[path] = Script(path, "", "", Directives())
    return found


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error, "read") from None


def script(path: Path, text: str, direction: Direction) -> Script:
    """Make a script of a text that was read from a file, or from the history.

    Raises:
        ChatdbError: `BAD_FILE` for a directive that is unknown, has a wrong value, or stands
            behind the first statement.
    """
    return Script(path, text, checksum(text), _directives(path, text, direction))


def checksum(text: str) -> str:
    """Return the checksum of a text, the same whatever its line ends."""
    return "sha256:" + hashlib.sha256(sqltext.canonical(text).encode()).hexdigest()


def _unreadable(path: Path, error: OSError, verb: str, code: Code = Code.BAD_FILE) -> ChatdbError:
    import errno

    reason = (error.strerror or str(error)).lower()
    return ChatdbError(
        code,
        f"{path} can't be {verb}: {reason}",
        place=Place(path),
        errno=errno.errorcode.get(error.errno or 0),
        hint="look at the file and its permissions",
    )


def _parse_stem(path: Path) -> tuple[str, str]:
    found = _STEM.fullmatch(path.stem)
    if not found:
        raise ChatdbError(
            Code.BAD_FILE,
            f"the file name {path.name!r} does not begin with a version",
            place=Place(path),
            hint="name it like 0001_add_users.sql",
        )
    return found[1], found[2] or ""


def _check_downs(
    downs: Iterable[Path], same_version: Mapping[int, list[str]], refused: list[ChatdbError]
) -> Iterator[str]:
    """Yield a warning for each down without an up; one of another name is refused."""
    for path in downs:
        stems = same_version.get(int(_parse_stem(path)[0]))
        if not stems:
            yield f"{path} has no up file"
        elif normalize("NFC", path.stem) not in {normalize("NFC", stem) for stem in stems}:
            refused.append(
                ChatdbError(
                    Code.BAD_FILE,
                    f"the down file {path.name!r} and the up file {stems[0] + '.sql'!r} "
                    "have the same version and not the same name",
                    place=Place(path),
                    hint="give both the same name",
                )
            )


def _directives(path: Path, text: str, direction: Direction) -> Directives:
    found: dict[str, object] = {}
    end = 0
    for offset, comment in sqltext.leading_comments(text):
        end = offset + len(comment)
        match = _DIRECTIVE.match(comment)
        if match is None:
            if re.match(r"--\s*chatdb\s*:", comment):
                raise _bad_directive(path, text, offset, "a directive has the form 'name: value'")
            continue
        key, value = match[2].lower(), match[3].strip()
        if match[1] or key in _OF_YOYO:
            _directive(found, key, value, direction, path, text, offset)
    if stray := _STRAY.search(text, end):
        offset = stray.end() - len(stray[0].lstrip())
        message = "a directive stands before the first statement, in the leading comment"
        raise _bad_directive(path, text, offset, message)
    return Directives(**found)  # type: ignore[arg-type]


def _directive(
    found: dict[str, object],
    key: str,
    value: str,
    direction: Direction,
    path: Path,
    text: str,
    offset: int,
) -> None:
    if direction == "down" and key in _OF_UP:
        raise _bad_directive(path, text, offset, f"'{key}' belongs into the up file")
    if key == "depends":
        found[key] = (*found.get(key, ()), *value.split())  # type: ignore[misc]
        return
    name, parse = _PARSERS.get(key, (None, None))
    if name is None or parse is None:
        raise _bad_directive(path, text, offset, f"there is no directive '{key}'{_nearest(key)}")
    if name in found:
        raise _bad_directive(path, text, offset, f"'{key}' stands there twice")
    try:
        found[name] = parse(value)
    except ValueError as error:
        raise _bad_directive(path, text, offset, f"'{key}: {value}': {error}") from None


def _nearest(key: str) -> str:
    import difflib

    near = difflib.get_close_matches(key, [*_PARSERS, "depends"], 1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _bad_directive(path: Path, text: str, offset: int, message: str) -> ChatdbError:
    known = ", ".join(sorted([*_PARSERS, "depends"]))
    return ChatdbError(
        Code.BAD_FILE,
        message,
        place=sqltext.locate(text, offset, path),
        hint=f"the directives are: {known}",
    )


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


def _parse_duration(value: str) -> int:
    from chatdb_cli.settings import duration_ms

    return duration_ms(value)


_PARSERS = {
    "transactional": ("transactional", _parse_bool),
    "isolation": ("isolation", _parse_isolation),
    "lock-timeout": ("lock_timeout_ms", _parse_duration),
    "statement-timeout": ("statement_timeout_ms", _parse_duration),
    "irreversible": ("irreversible", _parse_reason),
}


def _ordered(migrations: list[Migration]) -> tuple[Migration, ...]:
    """Sort by version, then so that each comes behind those that it depends on."""
    if not any(m.up.directives.depends for m in migrations):
        return tuple(migrations)
    from yoyo.topologicalsort import CycleError, topological_sort

    known = {m.id: m.id for m in migrations} | {m.version: m.id for m in migrations}
    graph: dict[str, set[str]] = {}
    for m in migrations:
        for name in m.up.directives.depends:
            if name.removesuffix(".sql") not in known:
                raise ChatdbError(
                    Code.BAD_FILE,
                    f"{m.id} depends on {name!r}, and there is no such migration",
                    place=Place(m.up.path),
                    hint="name it as its file is named, without .sql",
                )
        graph[m.id] = {known[name.removesuffix(".sql")] for name in m.up.directives.depends}
    by_id = {m.id: m for m in migrations}
    try:
        return tuple(by_id[i] for i in topological_sort([m.id for m in migrations], graph))
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise ChatdbError(
            Code.BAD_FILE,
            f"these migrations depend on each other in a circle: {circle}",
            place=Place(by_id[error.args[1][0]].up.path),
            hint="remove one of their 'depends' directives",
        ) from None
