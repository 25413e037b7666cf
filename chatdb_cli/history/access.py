"""Whether the history can be read: rows are visible, the role may read them, yoyo is not too old.

    HistoryAccess        what the server says about the tables of a history
    require_readable     refuse to read a history that would look empty, or can't be read
    reading_rights       the GRANTs that a role needs to read a history

What does not belong here: reading it (`read.py`), whether it may be written (`migrate/entry.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.errors import ChatdbError, Code

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

# What the server reports where it does not let a role read.
_INSUFFICIENT_PRIVILEGE = "42501"
_AUDIT_LOG = "_yoyo_log"


class HistoryAccess(NamedTuple):
    """What the server says about the tables of a history.

    Attributes:
        user: the role that reads.
        schema: the schema.
        hidden: the tables of which row-level security hides rows from the role.
        unreadable: the tables that the role may not read.
        is_old_yoyo: yoyo 5 or older made them.
    """

    user: str
    schema: str
    hidden: Collection[str] = ()
    unreadable: Collection[str] = ()
    is_old_yoyo: bool = False


def require_readable(access: HistoryAccess, *, audit_log: bool = False) -> None:
    """Refuse to read a history that would look empty, or that can't be read.

    Args:
        access: what the server says.
        audit_log: the audit log is read; other commands do not need it.

    Raises:
        ChatdbError: `HIDDEN_HISTORY`, `LOGIN` or `HISTORY`.
    """
    if access.is_old_yoyo:
        raise ChatdbError(
            Code.HISTORY,
            f"the history in schema {access.schema!r} was written by yoyo 5 or older, whose tables "
            "have other columns",
            hint='run yoyo 6 or newer once, for example "yoyo list": it upgrades its tables',
        )
    if hidden := _relevant(access.hidden, audit_log=audit_log):
        raise ChatdbError(
            Code.HIDDEN_HISTORY,
            f"row-level security hides rows of the history from role {access.user!r} "
            f"({', '.join(hidden)}), so it can't be read as a whole",
            hint="read it as the owner of these tables or as a role with BYPASSRLS, or let the owner "
            f"turn it off: ALTER TABLE {_as_sql(access.schema)}.{hidden[0]} DISABLE ROW LEVEL SECURITY",
            sqlstate=_INSUFFICIENT_PRIVILEGE,
            notes=("the history is read with row_security = off: hidden rows are an error",),
        )
    if unreadable := _relevant(access.unreadable, audit_log=audit_log):
        raise ChatdbError(
            Code.LOGIN,
            f"role {access.user!r} may not read the history: no SELECT on {', '.join(unreadable)} in "
            f"schema {access.schema!r}",
            hint=f"let an owner of them run: {reading_rights(access)}",
            sqlstate=_INSUFFICIENT_PRIVILEGE,
        )


def reading_rights(access: HistoryAccess) -> str:
    """Return the statements that give a role what `status` and `history` read."""
    schema, user = _as_sql(access.schema), _as_sql(access.user)
    tables = ", ".join(f"{schema}.{name}" for name in sorted(access.unreadable))
    return f"GRANT USAGE ON SCHEMA {schema} TO {user}; GRANT SELECT ON {tables} TO {user}"


def _as_sql(name: str) -> str:
    """Return a name as a person would type it: in quotes only if it needs them."""
    if re.fullmatch("[a-z_][a-z0-9_]*", name):
        return name
    return '"{}"'.format(name.replace('"', '""'))


def _relevant(tables: Iterable[str], *, audit_log: bool) -> list[str]:
    return sorted(name for name in tables if audit_log or name != _AUDIT_LOG)
