"""Writes errors.md beside this file, from what the code says of its errors; `make docs` runs it.

What belongs here: the order and the shape of that document.  What does not: any text about a single
error; see `chatdb_cli/errors.py` and `chatdb_cli/postgres/hints.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.cli.words import COMMAND_LINE
from chatdb_cli.errors import Code, Exit
from chatdb_cli.postgres.connect_failures import FAILURES
from chatdb_cli.postgres.hints import HINTS
from chatdb_cli.postgres.sqlstates import sqlstate_name
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Iterable

PATH = Path(__file__).with_name("errors.md")

HEAD = """\
<!-- Made by docs/errors.py: correct the texts in chatdb_cli, and run "make docs". -->

# Errors

An error says what went wrong, where, and what to do next. With `--format json` it is also a document
on stdout: `error.code` is one of the codes below, `error.sqlstate` PostgreSQL's, `error.errno` the
operating system's; what there is none of is null. An error never holds a password.
"""

SERVER = """\
## What PostgreSQL says

PostgreSQL's own message, detail and hint are always shown. To these SQLSTATEs chatdb adds what to do;
words in *italics* stand for the names that the server gives.
"""

NETWORK = """\
## What the operating system says

Of a connection that could not be made. Files and folders keep the name of their error too (`ENOENT`,
`EACCES`, `EISDIR`, `ENOSPC`), with the path in the message.
"""


def document() -> str:
    """Return the whole of errors.md."""
    codes = [(f"`{c.slug}`", int(c.exit), c.cause, c.remedy) for c in Code]
    exits = [(int(e), e.means, ", ".join(f"`{c.slug}`" for c in Code if c.exit is e)) for e in Exit]
    names = {name: f"*{name}*" for name in ("constraint", "right", "table")}
    states = [(s, sqlstate_name(s), _worded(text, names)) for s, text in sorted(HINTS.items())]
    # Several texts of libpq can mean the same.
    errnos = dict.fromkeys((f.errno, f.hint) for f in FAILURES if f.errno)
    parts = [
        HEAD,
        "## Codes\n",
        _table(("code", "exit", "cause", "remedy"), codes),
        "## Exit codes\n",
        _table(("exit", "means", "codes"), exits),
        SERVER,
        _table(("SQLSTATE", "name", "what to do"), states),
        NETWORK,
        _table(("errno", "what to do"), errnos),
    ]
    return "\n".join(parts)


def _worded(template: str, names: dict[str, str]) -> str:
    return Advice(template, **names).worded(COMMAND_LINE)


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, cells))} |\n" for cells in lines)


if __name__ == "__main__":
    PATH.write_text(document(), encoding="utf-8")
