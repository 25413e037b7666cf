"""The folder of the migrations: a named one, `./sql`, or the chat schema that chatdb ships as `@chat`.

What does not belong here: reading the files in it (`read.py`).
"""

from __future__ import annotations

from pathlib import Path

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.files.model import Folder
from chatdb_cli.files.names import file_error
from chatdb_cli.remedy import Advice

SHIPPED = "@chat"


def choose_folder(directory: str | None, *, root: Path | None = None) -> Folder:
    """Choose the folder: the named one, else `./sql`.

    Args:
        directory: the named folder, `@chat` for the shipped schema, or None.
        root: the directory that relative names start from; the working directory by default.

    Raises:
        ChatdbError: `USAGE`, the named folder or `./sql` is missing, can't be read or has no `up/`.
    """
    if directory == SHIPPED:
        return Folder(shipped_folder(), shipped=True, named=True)
    path = (root or Path()) / (directory or "sql")
    try:
        if (path / "up").is_dir():
            return Folder(path, shipped=False, named=directory is not None)
        exists, is_folder = path.exists(), path.is_dir()
        flat = is_folder and any(entry.suffix == ".sql" for entry in path.iterdir())
    except OSError as error:
        raise file_error(path, error, "read", Code.USAGE) from None
    if flat:
        raise ChatdbError(
            Code.USAGE,
            f"{path} has no folder up/: its SQL files are directly in it",
            hint=f"put what applies a migration into {path / 'up'}, and what rolls it back into "
            f"{path / 'down'}, as two files of the same name",
        )
    problem = f"{path} has no folder up/" if is_folder else f"{path} is not a folder"
    raise ChatdbError(
        Code.USAGE,
        problem if exists else f"there is no folder {path}",
        hint=Advice(
            "{init} makes a new one; or name the folder that holds up/ and down/ with {directory}, or "
            "the chat schema that chatdb ships with {directory_shipped}"
        ),
        errno=None if exists else "ENOENT",
    )


def choose_or_assume_folder(directory: str | None) -> tuple[Folder, bool]:
    """Choose the folder as `choose_folder` does; where there is no `./sql`, the shipped chat schema.

    Only for what compares a database with files if they happen to be its own: nothing is applied.

    Returns:
        The folder, and whether nobody named it.

    Raises:
        ChatdbError: as `choose_folder` does.
    """
    path = Path("sql")
    if directory is None and not path.exists() and not path.is_symlink():
        return Folder(shipped_folder(), shipped=True, named=False), True
    return choose_folder(directory), False


def writable_folder(directory: str | None) -> Folder:
    """Choose the folder for a new migration, never the shipped one, and create it if it is missing.

    Args:
        directory: the named folder, or None for `./sql`.

    Raises:
        ChatdbError: `USAGE`, the folder is the shipped one, or can't be created.
    """
    if directory == SHIPPED:
        raise ChatdbError(
            Code.USAGE,
            "the shipped chat schema is read-only",
            hint=Advice("name a folder of your own with {directory}"),
        )
    path = Path(directory or "sql")
    try:
        (path / "up").mkdir(parents=True, exist_ok=True)
        (path / "down").mkdir(exist_ok=True)
    except OSError as error:
        raise file_error(path, error, "created", Code.USAGE) from None
    return Folder(path, shipped=False, named=directory is not None)


def shipped_folder() -> Path:
    """Return the folder of the chat schema that comes with chatdb."""
    # In the wheel the folder is inside the package; in a checkout, beside it.
    package = Path(__file__).parent.parent
    inside = package / "sql"
    return inside if inside.is_dir() else package.parent / "sql"
