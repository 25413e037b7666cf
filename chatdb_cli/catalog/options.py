"""Options of foreign-data wrappers, servers, tables and user mappings, without their secrets.

What does not belong here: reading them from the catalog (`snapshot.py`), hiding passwords in SQL
(`redaction.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"
# Words in the name of an option whose value is a secret: `password`, `sslkey`, `secret_access_key`.
_SECRET = re.compile(r"pass|pwd|secret|token|key|credential|auth|cert|account", re.IGNORECASE)
# The only options of a user mapping that are shown: its purpose is to keep secrets.
_SHOWN = {"user", "username", "user_name"}
# A password inside of a connection string or a URL.
_IN_VALUE = re.compile(
    r"\b(\w*password\s*=\s*)('(?:[^'\\]|\\.)*'|\S+)|(://[^\s:/@]*:)[^\s/]+@", re.IGNORECASE
)


def masked_options(options: Iterable[str], *, of_user: bool = False) -> list[str]:
    """Return options, each `name=value`, with `***` for a value that may be a secret.

    Args:
        options: the options as the catalog has them.
        of_user: they are those of a user mapping, where all values but the name are secrets.
    """
    return [_masked(option, of_user) for option in options]


def _masked(option: str, of_user: bool) -> str:
    name, _, value = option.partition("=")
    if name.lower() not in _SHOWN if of_user else _SECRET.search(name):
        return f"{name}={MASK}"
    return f"{name}={_IN_VALUE.sub(_hide, value)}"


def _hide(match: re.Match[str]) -> str:
    return f"{match[1]}{MASK}" if match[1] else f"{match[3]}{MASK}@"
