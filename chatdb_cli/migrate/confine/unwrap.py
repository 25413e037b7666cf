"""An error of a statement that ran inside the function of a file, as if it had run by itself.

    unwrap    returns the outcome with the statement's own number, position and context

What does not belong here: what the error says to the user (`migrate/failure.py`, `explain.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg

from chatdb_cli.migrate.confine import queries
from chatdb_cli.migrate.parts import Part

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from psycopg.errors import Diagnostic

    from chatdb_cli.migrate.model import LoadedStep
    from chatdb_cli.postgres.pipeline import Outcome

# The words around it are in the server's language.
_LINE = re.compile(rf"\b{queries.FILE}\(\)\D+([0-9]+)")


class _Diagnosis:
    """What the server said about a statement, without the call around it."""

    def __init__(self, diag: Diagnostic, text: str) -> None:
        self._diag = diag
        self.is_own = diag.internal_query == text
        context = diag.context or ""
        at = context.rfind(text) if text else -1
        if at < 0:  # the last line is the call
            at = len(context.rstrip().rpartition("\n")[0])
        self.context = context[: context.rfind("\n", 0, at) + 1].rstrip() or None

    @property
    def statement_position(self) -> str | None:
        return self._diag.internal_position if self.is_own else None

    @property
    def internal_query(self) -> str | None:
        return None if self.is_own else self._diag.internal_query

    @property
    def internal_position(self) -> str | None:
        return None if self.is_own else self._diag.internal_position

    def __getattr__(self, name: str) -> object:
        return getattr(self._diag, name)


class UnwrappedError(psycopg.Error):
    """An error of the server, without the call around its statement.

    Args:
        error: the error.
        text: the statement.
    """

    def __init__(self, error: psycopg.Error, text: str) -> None:
        super().__init__(*error.args)
        self.sqlstate = error.sqlstate
        self._unwrapped = _Diagnosis(error.diag, text)

    @property
    def diag(self) -> Diagnostic:
        """What the server said."""
        return self._unwrapped  # type: ignore[return-value]  # it has the same attributes


def unwrap(
    outcome: Outcome, loaded: LoadedStep, numbers: Mapping[tuple[Path, int], tuple[int, ...]]
) -> Outcome:
    """Return an outcome with the statement that failed, not the call that it was in.

    Args:
        outcome: how the run ended.
        loaded: the step that failed.
        numbers: `Rights.numbers`.
    """
    error, message = outcome.error, outcome.message
    if error is None or message is None or not message.sql.endswith(f"{queries.FILE}()".encode()):
        return outcome
    lines = _LINE.findall(error.diag.context or "")
    within = numbers.get((loaded.script.path, message.number), ())
    at = int(lines[-1]) - 2 if lines else 0
    if at >= len(within):
        unwrapped = UnwrappedError(error, queries.SETTLE)
        return outcome._replace(error=unwrapped, message=message._replace(part=Part.SETTLE))
    number = within[at]
    text = loaded.statements[number].text if loaded.statements else loaded.script.text
    unwrapped = UnwrappedError(error, text)
    return outcome._replace(error=unwrapped, message=message._replace(number=number))
