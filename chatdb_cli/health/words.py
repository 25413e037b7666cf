"""Values in words: ages, sizes, names, sessions.

What does not belong here: what a value means (`checks/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.health.model import Unit

_MOST_NAMES = 3


class OfTable(Protocol):
    """An object of a table: an index, a constraint, a trigger."""

    @property
    def schema(self) -> str:
        """The schema of the table."""

    @property
    def name(self) -> str:
        """The name of the object."""

    @property
    def table(self) -> str:
        """The name of the table."""


class Session(Protocol):
    """The columns of a row that describe a session."""

    @property
    def pid(self) -> int | None:
        """Its process ID; 0 for a prepared transaction."""

    @property
    def application(self) -> str | None:
        """Its application_name, or the type of a background process."""

    @property
    def user(self) -> str | None:
        """Its role."""

    @property
    def client(self) -> str | None:
        """The address of the client; None for a Unix socket."""

    @property
    def state(self) -> str | None:
        """Its state, such as `idle in transaction`."""

    @property
    def query(self) -> str | None:
        """The first line of its statement."""


def age(milliseconds: float) -> str:
    """Return a duration with a unit that suits it."""
    for unit_ms, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s")):
        if milliseconds >= 2 * unit_ms:
            return f"{milliseconds / unit_ms:.0f} {unit}"
    return f"{milliseconds:.0f} ms"


def size(byte_count: float) -> str:
    """Return a number of bytes with a unit that suits it."""
    for unit, power in (("TB", 4), ("GB", 3), ("MB", 2), ("kB", 1)):
        if byte_count >= 2 * 1024**power:
            return f"{byte_count / 1024**power:.0f} {unit}"
    return f"{byte_count:.0f} bytes"


def number(value: float, one: str, many: str = "") -> str:
    """Return a number with its noun.

    Args:
        value: the number.
        one: the noun in the singular.
        many: in the plural, if that is not formed with an s.
    """
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def measured(value: float, unit: Unit) -> str:
    """Return a value in its unit."""
    if unit == "ms":
        return age(value)
    if unit == "bytes":
        return size(value)
    return f"{value:,g} %" if unit == "percent" else f"{value:,}"


def objects(rows: Sequence[OfTable]) -> str:
    """Return the names of objects, each with its table; of many, the first ones."""
    return some([f"{row.name} of {row.schema}.{row.table}" for row in rows])


def some(names: Sequence[str]) -> str:
    """Return names as a list; of many, the first ones and how many more there are."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def session(row: Session) -> str:
    """Return a session as a person would describe it, with its statement; passwords are masked."""
    from chatdb_cli.postgres.blockers import backend_from_row

    facts = {key: getattr(row, key) for key in ("application", "user", "client", "state", "query")}
    return str(backend_from_row(pid=str(row.pid or 0), age_s=None, since=None, **facts))
