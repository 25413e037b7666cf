"""The version that a user names: by its number, or by the name of its file.

    known_migration    among the files
    known_number       among the files and what is applied
    parse_version      the number alone
    require_name       whether it names a migration

What does not belong here: which steps lead to it (`plan.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.files.names import normalize_name
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatdb_cli.files.model import Files, Migration
    from chatdb_cli.history.model import AppliedMigration

# No file name is longer, and Python parses no number of 5,000 digits.
_VERSION = re.compile(r"([0-9]{1,255})(?:[_\-. ].*)?", re.DOTALL)


def parse_version(version: str) -> int:
    """Return the number of a version that a user names, as `7`, `0007` or `0007_add_users`.

    Raises:
        ChatdbError: `USAGE` if it is not a version.
    """
    match = _VERSION.fullmatch(version)
    if not match:
        raise ChatdbError(
            Code.USAGE,
            f"{_short(version)!r} is not a version",
            hint="a version is a number, such as 0007 or 7, or the name of a file, such as "
            "0007_add_users",
        )
    return int(match[1])


def known_migration(version: str, files: Files) -> Migration:
    """Return the migration that a user names.

    Raises:
        ChatdbError: `USAGE` if there is none, or the one of that number has another name.
    """
    number = parse_version(version)
    for migration in files.migrations:
        if migration.number == number:
            require_name(version, migration.id)
            return migration
    raise _unknown(version)


def known_number(version: str, files: Files, applied: Iterable[AppliedMigration]) -> int:
    """Return the number of a version that a user names, which a file has or which is applied.

    Raises:
        ChatdbError: as `known_migration` does.
    """
    number = parse_version(version)
    ids = [a.id for a in applied if a.number == number]
    if not ids:
        return known_migration(version, files).number
    ids += [m.id for m in files.migrations if m.number == number]
    if not any(_is_named(version, id_) for id_ in ids):
        require_name(version, ids[0])
    return number


def _is_named(version: str, migration_id: str) -> bool:
    return version.isdecimal() or normalize_name(version.removesuffix(".sql")) == normalize_name(
        migration_id
    )


def require_name(version: str, migration_id: str) -> None:
    """Require that a version that a user names is a number, or the name of a migration.

    Raises:
        ChatdbError: `USAGE`, with the name of the migration.
    """
    if not _is_named(version, migration_id):
        raise ChatdbError(
            Code.USAGE,
            f"there is no {_short(version)!r}: the migration of that version is {migration_id}",
            hint=Advice("{status} lists the versions"),
        )


def _unknown(version: str) -> ChatdbError:
    return ChatdbError(
        Code.USAGE,
        f"there is no version {_short(version)}",
        hint=Advice("{status} lists the versions"),
    )


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "..."
