"""The health of a database: its checks, the worst first.

What does not belong here: checking (`health/`).
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.cli.render.document import Document, Rendered, target_document
from chatdb_cli.cli.render.table import Table
from chatdb_cli.cli.render.text import one_line
from chatdb_cli.cli.words import in_words
from chatdb_cli.health.document import health_document as document_of
from chatdb_cli.plural import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.health.model import Check, Health

# A message on a terminal is wrapped at the width of the window minus this column of states.
_STATES_WIDTH = len("degraded") + 2
_NARROWEST = 30
Row = tuple[str, str]


def render_health(health: Health, window: tuple[int, int] | None = None) -> Rendered:
    """Render the health of a database.

    Args:
        health: what to render.
        window: columns and lines of the terminal that the text has to fit in; None writes every check
            on a line of its own, whatever its length.
    """
    summary = one_line(_summary(health))
    if window is None:
        rows = _every_row(health.checks)
    else:
        columns, lines = window
        head = textwrap.wrap(summary, columns, break_on_hyphens=False)
        summary = "\n".join(head)
        # Besides them there are the head of the table, the prompt, and a line to spare.
        rows = _screen(health.checks, columns, lines - len(head) - 3)
    return Rendered(health_document(health), (summary, Table(("state", "check"), rows)))


def health_document(health: Health) -> Document:
    """Return the document of the health of a database."""
    document = target_document(health.target) | document_of(health, in_words)
    if health.error:
        from chatdb_cli.cli.render.error import error_document

        document["error"] = error_document(health.error)
    return document


def _summary(health: Health) -> str:
    target = health.target
    where = f"{target.where}, schema {target.schema}" if target else "no database"
    if health.database == "disconnected":
        return f"{health.status}: {where}: disconnected"
    version = (health.server_version or "").partition(" ")[0]
    return f"{health.status}: {where}: PostgreSQL {version}, {health.latency_ms} ms a round trip"


def _sentence(check: Check) -> str:
    limit = ""
    if check.status in ("degraded", "error") and check.value is not None:
        limit = _limit(check)
    return one_line(f"{check.name}: {in_words(check.message)}{limit}")


def _limit(check: Check) -> str:
    """Return the limit that a value exceeds, unless every value but 0 does."""
    from chatdb_cli.health.words import measured

    return f" (limit: {measured(check.threshold, check.unit)})" if check.threshold else ""


def _every_row(checks: Sequence[Check]) -> list[Row]:
    rows: list[Row] = []
    for check in checks:
        rows.append((check.status, _sentence(check)))
        if check.hint:
            rows.append(("", one_line(f"hint: {in_words(check.hint)}")))
    return rows


class _Entry(NamedTuple):
    """A check that is not ok, as lines."""

    check: Check
    message: list[str]
    hint: list[str]

    @property
    def rows(self) -> list[Row]:
        first, *more = [*self.message, *self.hint]
        return [(self.check.status, first), *(("", line) for line in more)]


def _screen(checks: Sequence[Check], columns: int, room: int) -> list[Row]:
    """Return rows that fit: the worst checks with their hints; of the others, what there is room for."""
    width = max(columns - _STATES_WIDTH, _NARROWEST)
    bad = [_entry(check, width) for check in checks if check.status != "ok"]
    names = [check.name for check in checks if check.status == "ok"]
    good = textwrap.wrap(", ".join(names), width, break_on_hyphens=False)
    if len(good) + _height(bad) > room and names:
        good = [plural(len(names), "check")]
    for shorten in (_without_hint, _on_one_line):
        for n in reversed(range(len(bad))):
            if len(good) + _height(bad) <= room:
                break
            bad[n] = shorten(bad[n])
    left = bad[max(room - len(good) - 1, 1) :] if len(good) + _height(bad) > room else []
    rows = [row for entry in bad[: len(bad) - len(left)] for row in entry.rows]
    if left:
        rows.append(("", f"and {len(left)} more that are not ok; --format json shows them"))
    return rows + [("" if n else "ok", line) for n, line in enumerate(good)]


def _entry(check: Check, width: int) -> _Entry:
    hint = f"hint: {in_words(check.hint)}" if check.hint else ""
    return _Entry(
        check,
        textwrap.wrap(_sentence(check), width, break_on_hyphens=False),
        textwrap.wrap(one_line(hint), width, subsequent_indent="      ", break_on_hyphens=False),
    )


def _without_hint(entry: _Entry) -> _Entry:
    return entry._replace(hint=[])


def _on_one_line(entry: _Entry) -> _Entry:
    first, *more = entry.message
    return entry._replace(message=[f"{first[:-3]}..." if more else first])


def _height(entries: Sequence[_Entry]) -> int:
    return sum(len(entry.rows) for entry in entries)
