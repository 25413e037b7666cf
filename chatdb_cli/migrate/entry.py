"""Whether a run may begin in this database, as far as the database itself says.

    require_own_history     refuse a schema without a history, if another schema has one
    require_writable        refuse a standby, and a database that is set to read-only
    require_empty           refuse to create the objects of files next to others, without a history
    overruled_path          which search_path of the URL or the role is not used

What does not belong here: files against history (`compare.py`, `plan.py`), rows that would be lost
(`guards/`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from chatdb_cli.history.model import History
    from chatdb_cli.postgres.model import Target

_READ_ONLY = "25006"
# search_path as libpq's `options` set it.
_OPTION = re.compile(r"(?:-c\s*|--)search[_-]path\s*=\s*((?:\\.|\S)+)", re.IGNORECASE)
_NAME = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,\s]+))\s*(?:,|$)')
_DEFAULT = ('"$user"', "$user")


def require_own_history(past: History, target: Target) -> None:
    """Refuse a schema without a history, if another schema has one and no setting names the schema.

    Raises:
        ChatdbError: `REFUSED`.
    """
    if past.exists or target.settings.schema_named or not past.other_histories:
        return
    names = ", ".join(map(repr, past.other_histories))
    raise ChatdbError(
        Code.REFUSED,
        f"schema {target.schema!r} has no history of migrations, but there is one in schema {names}",
        hint=Advice(
            "name the schema that is meant with {schema}, also if it is {name}", name=target.schema
        ),
    )


class Writability(NamedTuple):
    """Whether a session may write to its database.

    Attributes:
        database: its name.
        user: the session's user.
        is_standby: the server is a standby.
        is_read_only: transactions are read-only unless they say otherwise.
    """

    database: str
    user: str
    is_standby: bool
    is_read_only: bool


def require_writable(past: Writability, *, override: bool) -> None:
    """Refuse to write to a standby, or to a database that is set to read-only.

    Args:
        past: what the server said.
        override: write although transactions are read-only by default.

    Raises:
        ChatdbError: `STATEMENT` for a standby; `REFUSED`.
    """
    if past.is_standby:
        from chatdb_cli.postgres.hints import HINTS

        raise ChatdbError(
            Code.STATEMENT,
            f"database {past.database!r} is on a standby, where nothing can be written",
            hint=HINTS[_READ_ONLY],
            sqlstate=_READ_ONLY,
        )
    if past.is_read_only and not override:
        raise ChatdbError(
            Code.REFUSED,
            f"transactions of {past.user!r} in database {past.database!r} are read-only "
            "(default_transaction_read_only is on)",
            hint=Advice(
                "find out who set it, and why: an administrator may be moving the database; to write "
                "in spite of it, give {allow_read_only_override}"
            ),
            sqlstate=_READ_ONLY,
        )


def require_empty(past: History, target: Target, *, override: bool) -> None:
    """Refuse to create the objects of files next to others, where there is no history.

    Args:
        past: the history as it was read.
        target: the database and schema.
        override: create them.

    Raises:
        ChatdbError: `REFUSED`.
    """
    if past.exists or override or not past.other_relations:
        return
    raise ChatdbError(
        Code.REFUSED,
        f"schema {target.schema!r} holds tables already, and has no history of migrations",
        hint=Advice(
            "if the files have created them, mark these versions as applied with {baseline}; if the "
            "tables belong to something else, choose another schema with {schema}, or give "
            "{allow_non_empty}"
        ),
    )


def overruled_path(past: History, target: Target) -> str | None:
    """Return which search_path is not used, as the start of a sentence, or None.

    The path of a migration is the target's schema, `public` and the schemas of extensions.

    Args:
        past: the history as it was read, with what the role and the database set.
        target: the database and schema.
    """
    if target.settings.schema_named:
        return None
    value, source = past.search_path, "the role or the database"
    if match := _OPTION.search(_options(target)):
        value, source = re.sub(r"\\(.)", r"\1", match[1]), "the connection"
    if not value:
        return None
    used = {target.schema, "public", "pg_catalog", "pg_temp", *past.extension_schemas, *_DEFAULT}
    names = [(m[1] or m[2] or "").replace('""', '"') for m in _NAME.finditer(value)]
    others = [name for name in names if name and name not in used]
    if not others:
        return None
    return f"search_path {value} of {source} is not used: schema {target.schema!r} is migrated"


def path_hint(past: History, target: Target) -> str | None:
    """Return what to do if the search_path that is not used names the schema that was meant."""
    if (text := overruled_path(past, target)) is None:
        return None
    return Advice("{text}; name another schema with {schema}", text=text)


def _options(target: Target) -> str:
    """Return the options with which sessions begin: of the connection, or of PGOPTIONS."""
    if "options" in target.params:
        return target.params["options"]
    from chatdb_cli.settings.libpq import libpq_defaults

    return libpq_defaults().get("options", "")
