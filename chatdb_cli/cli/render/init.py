"""The files of a new project.

What does not belong here: making them (`files/init.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.cli.render.document import Rendered, target_document
from chatdb_cli.cli.render.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from chatdb_cli.files.init import InitResult

# Of more files only the folder is named.
_MOST_NAMED = 3


def render_init(result: InitResult) -> Rendered:
    """Render what was made, and what to do next."""
    document = target_document(None) | {
        "created": list(map(str, result.created)),
        "changed": list(map(str, result.changed)),
        "kept": list(map(str, result.kept)),
        "migrations": result.migrations,
    }
    lines = [f"created   {name}" for name in _names(result.created)]
    lines += [f"changed   {one_line(str(path))}" for path in result.changed]
    lines += [f"kept      {name}" for name in _names(result.kept)]
    first = "chatdb migrate new add_users" if not result.migrations else "chatdb setup"
    then = "writes the first migration" if not result.migrations else "applies the chat schema"
    lines += ["", f"next: name the database in .env, if there is one; then {first!r} {then}"]
    return Rendered(document, ("\n".join(lines),))


def _names(paths: tuple[Path, ...]) -> list[str]:
    """Return the paths, and of many files in one folder only their number."""
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        folders.setdefault(path.parent, []).append(path)
    names: list[str] = []
    for folder, files in folders.items():
        if len(files) > _MOST_NAMED:
            names.append(f"{len(files)} files in {one_line(str(folder))}")
        else:
            names += [one_line(str(path)) for path in files]
    return names
