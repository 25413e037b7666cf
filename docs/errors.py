"""Write errors.md from the errors that the code defines; `make docs` runs this script.

What belongs here: the order and the form of that document.  What does not belong here: the text about an
error, which is in `chatdb_cli/errors.py`, `postgres/hints.py` and `postgres/connect_failures.py`.
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

An error says what went wrong, where, and what to do next. With `--format json` it is also printed as a
document on stdout: `error.code` is one of the codes below, `error.sqlstate` is PostgreSQL's code,
`error.errno` the operating system's; a value that does not apply is null. An error never contains a
password.
"""

SERVER = """\
## Errors of PostgreSQL

PostgreSQL's own message, detail and hint are always shown. For these SQLSTATEs chatdb adds what to do;
words in *italics* are replaced by the names that the server reports.
"""

NETWORK = """\
## Errors of the operating system

These concern a connection that could not be opened. Errors of files and folders keep their names, too
(`ENOENT`, `EACCES`, `EISDIR`, `ENOSPC`), with the path in the message.
"""


def document() -> str:
    """Return the whole of errors.md."""
    codes = [(f"`{c.slug}`", int(c.exit), c.cause, c.remedy) for c in Code]
    exits = [(int(e), e.means, ", ".join(f"`{c.slug}`" for c in Code if c.exit is e)) for e in Exit]
    names = {name: f"*{name}*" for name in ("constraint", "right", "table")}
    states = [(s, sqlstate_name(s), _worded(text, names)) for s, text in sorted(HINTS.items())]
    # Several messages of libpq have the same meaning.
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
