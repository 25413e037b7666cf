"""Which folder holds the migrations: the one that is named, `./sql`, or the chat schema of chatdb.

What does not belong here: reading the files in it (`read.py`).
"""

from __future__ import annotations

from pathlib import Path

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.files.model import Folder
from chatdb_cli.files.names import file_error

SHIPPED = "@chat"


def choose_folder(directory: str | None, *, root: Path | None = None) -> Folder:
    """Choose the folder: the one that was named, else `./sql`, else the shipped chat schema.

    Args:
        directory: what `--dir` says, `@chat` for the shipped schema, or None.
        root: the directory that relative names start from; the working directory by default.

    Raises:
        ChatdbError: `USAGE` when a named folder, or a `./sql` without `up/`, can't serve.
    """
    if directory == SHIPPED:
        return Folder(shipped_folder(), shipped=True, named=True)
    path = (root or Path()) / (directory or "sql")
    try:
        if (path / "up").is_dir():
            return Folder(path, shipped=False, named=directory is not None)
        # A link that leads nowhere was meant to lead somewhere.
        if directory is None and not path.exists() and not path.is_symlink():
            return Folder(shipped_folder(), shipped=True, named=False)
        there, is_folder = path.exists(), path.is_dir()
    except OSError as error:
        raise file_error(path, error, "read", Code.USAGE) from None
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
        raise file_error(path, error, "made", Code.USAGE) from None
    return Folder(path, shipped=False, named=directory is not None)


def shipped_folder() -> Path:
    """Return the folder of the chat schema that comes with chatdb."""
    # Inside the wheel the folder stands in the package; in a checkout, beside it.
    package = Path(__file__).parent.parent
    inside = package / "sql"
    return inside if inside.is_dir() else package.parent / "sql"
