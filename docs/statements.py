"""Write statements.md from every queries.py of chatdb; `make docs` runs this script.

What belongs here: the order and the form of that document.  What does not belong here: the statements
and the comments that explain them, which are in `chatdb_cli/*/queries.py`.
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = Path(__file__).with_name("statements.md")
ROOT = Path(__file__).parent.parent

HEAD = """\
<!-- Made by docs/statements.py: correct chatdb_cli/*/queries.py, and run "make docs". -->

# Statements

This page holds every statement that chatdb itself sends, each with the question that it answers or the
effect that it has. Apart from these, chatdb sends only the statements of your files, and the statements
by which yoyo creates its tables `_yoyo_migration`, `_yoyo_log` and `_yoyo_version` (`chatdb migrate up
--dry-run` shows them).

In a statement, `{schema}` is the target's schema and `{name}` another name or value, both quoted by
libpq; `%s`, `%(name)s` and `$1` are parameters, and `%%` is a percent sign. Some statements are
fragments that another one is completed with.
"""


class Entry(NamedTuple):
    """A constant of a queries.py.

    Attributes:
        name: its name.
        comment: the comment before it, or before the constant before it; empty if there is none.
        statements: its statements.
    """

    name: str
    comment: str
    statements: tuple[str, ...]


def packages() -> Iterator[str]:
    """Yield the name of each package that has a queries.py, sorted."""
    for path in sorted((ROOT / "chatdb_cli").rglob("queries.py")):
        yield ".".join(path.parent.relative_to(ROOT).parts)


def entries(package: str) -> Iterator[Entry]:
    """Yield the public constants of a package's queries.py that hold statements, in order."""
    path = ROOT.joinpath(*package.split("."), "queries.py")
    text = path.read_text(encoding="utf-8")
    module = importlib.import_module(f"{package}.queries")
    lines, comment = text.splitlines(), ""
    for node in ast.parse(text).body:
        if not isinstance(node, (ast.AnnAssign, ast.Assign)):
            continue
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        comment = _comment_before(lines, node.lineno) or comment
        if not isinstance(target, ast.Name) or target.id.startswith("_"):
            continue
        value = getattr(module, target.id)
        statements = (value,) if isinstance(value, str) else value
        if isinstance(statements, dict):
            statements = tuple(statements.values())
        if isinstance(statements, tuple):
            yield Entry(target.id, comment, tuple(map(str, statements)))


def _comment_before(lines: list[str], lineno: int) -> str:
    """Return the comment that ends before a line; empty if there is none."""
    first = lineno - 1
    while first and lines[first - 1].startswith("#"):
        first -= 1
    return " ".join(line.lstrip("# ") for line in lines[first : lineno - 1])


def document() -> str:
    """Return the whole of statements.md."""
    parts = [HEAD]
    for package in packages():
        title = (importlib.import_module(package).__doc__ or "").splitlines()[0]
        parts.append(f"## {package.removeprefix('chatdb_cli.').replace('.', '/')}\n\n{title}\n")
        comment = ""
        block: list[str] = []
        for entry in entries(package):
            if entry.comment != comment and block:
                parts.append(_section(comment, block))
                block = []
            comment = entry.comment
            block += entry.statements
        parts.append(_section(comment, block))
    return "\n".join(parts)


def _section(comment: str, statements: list[str]) -> str:
    text = "\n".join(f"{statement};" for statement in statements)
    return f"{comment}\n\n```sql\n{text}\n```\n"


if __name__ == "__main__":
    PATH.write_text(document(), encoding="utf-8")
