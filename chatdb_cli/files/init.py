"""Make the files of a new project: folders, settings, lines for git, and the chat schema if wanted.

    init_project    makes what is missing, and changes nothing that is there
    InitResult      what was made, and what was there

What does not belong here: the database (`provision/`), the next migration (`new.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.errors import ChatdbError, Code, Location
from chatdb_cli.files.entries import list_entries
from chatdb_cli.files.folder import shipped_folder
from chatdb_cli.files.names import file_error
from chatdb_cli.files.replace import create_file
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Iterable

# Secrets, and the data of the project's own server.
_IGNORED_BY_GIT = (".env", ".env.local", ".chatdb/")


class InitResult(NamedTuple):
    """What `init_project` did.

    Attributes:
        created: the files and folders that were made.
        changed: the files to which lines were added.
        kept: what was there already, and was left as it was.
        migrations: the number of migrations that were copied.
    """

    created: tuple[Path, ...]
    changed: tuple[Path, ...]
    kept: tuple[Path, ...]
    migrations: int = 0


def init_project(directory: str | Path | None = None, *, chat: bool = False) -> InitResult:
    """Make `up/`, `down/`, a `.env` and the lines for `.gitignore`; never overwrite a file.

    Args:
        directory: the folder of `up/` and `down/`; `./sql` by default.  `.env` and `.gitignore` are in
            the working directory.
        chat: copy the chat schema that chatdb ships, which is the project's own from then on.  Its
            files keep their names and texts, so a database that was set up from `@chat` continues.

    Raises:
        ChatdbError: `USAGE`, something can't be written; `REFUSED`, the folder has other migrations, or
            a file of the chat schema with another text.
    """
    folder = Path(directory or "sql")
    if str(directory) == "@chat":
        raise ChatdbError(
            Code.USAGE,
            "the shipped chat schema is read-only",
            hint=Advice("{init_chat} copies it into ./sql"),
        )
    copies = _chat_files(folder) if chat else {}
    _refuse_overwriting(copies, folder)
    created: list[Path] = []
    kept: list[Path] = []
    for path in (folder / "up", folder / "down"):
        (kept if _is_folder(path) else created).append(path)
        _make_folder(path)
    for target, data in copies.items():
        _make_folder(target.parent)
        if _create(target, data):
            created.append(target)
        else:
            kept.append(target)
    env = Path(".env")
    (created if _create(env, _example().read_bytes(), 0o600) else kept).append(env)
    changed = _ignore(Path(".gitignore"), created, kept)
    ups = sum(path.parent.name == "up" for path in created if path in copies)
    return InitResult(tuple(created), changed, tuple(kept), ups)


def _example() -> Path:
    """Return the example of a `.env`: in the wheel inside the package, in a checkout beside it."""
    package = Path(__file__).parent.parent
    inside = package / "env.example"
    return inside if inside.is_file() else package.parent / ".env.example"


def _chat_files(folder: Path) -> dict[Path, bytes]:
    """Return the files of the chat schema, by the path of each copy."""
    shipped = shipped_folder()
    return {
        folder / name / entry.name: Path(entry.path).read_bytes()
        for name in ("up", "down", "seed")
        for entry in list_entries(shipped / name).files
    }


def _refuse_overwriting(copies: dict[Path, bytes], folder: Path) -> None:
    if not copies:
        return
    others = [
        Path(entry.path)
        for name in ("up", "down")
        for entry in list_entries(folder / name).files
        if Path(entry.path) not in copies
        and entry.name.partition("_")[0] in {path.name.partition("_")[0] for path in copies}
    ]
    different = [
        path for path, data in copies.items() if path.is_file() and path.read_bytes() != data
    ]
    if path := next(iter([*others, *different]), None):
        raise ChatdbError(
            Code.REFUSED,
            f"{path} has a version of the chat schema, and is another file",
            place=Location(path),
            hint=Advice(
                "copy the chat schema into a folder of its own with {directory}, or give these "
                "migrations newer versions first"
            ),
        )


def _is_folder(path: Path) -> bool:
    return path.is_dir()


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise file_error(path, error, "created", Code.USAGE) from None


def _create(path: Path, data: bytes, mode: int = 0o666) -> bool:
    """Write a new file; return False, and change nothing, if there is one already."""
    try:
        create_file(path, data, mode)
    except FileExistsError:
        return False
    except OSError as error:
        raise file_error(path, error, "written", Code.USAGE) from None
    return True


def _ignore(path: Path, created: list[Path], kept: list[Path]) -> tuple[Path, ...]:
    """Add the lines that `.gitignore` lacks; return it if it was there and was changed."""
    if _create(path, _lines(_IGNORED_BY_GIT)):
        created.append(path)
        return ()
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        there = {line.strip().strip("/") for line in text.splitlines()}
        missing = [line for line in _IGNORED_BY_GIT if line.strip("/") not in there]
        if not missing:
            kept.append(path)
            return ()
        with path.open("ab") as file:
            file.write((b"" if text.endswith("\n") or not text else b"\n") + _lines(missing))
    except OSError as error:
        raise file_error(path, error, "written", Code.USAGE) from None
    return (path,)


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
