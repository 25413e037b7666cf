"""How a database is made, and on which server: values.

What does not belong here: reading them (`place.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from chatdb_cli.postgres.model import Target

_ICU, _BUILTIN = "i", "b"
_PROVIDERS_SINCE, _RULES_SINCE, _BUILTIN_SINCE = 150000, 160000, 170000


class Form(NamedTuple):
    """What is decided when a database is created.

    Attributes:
        server_version: of its server, as a number, such as 180001.
        encoding: the name of its encoding.
        collate: its LC_COLLATE.
        ctype: its LC_CTYPE.
        provider: the provider of its locale, as in pg_database; None before PostgreSQL 15.
        locale: the locale of a provider other than libc.
        rules: the ICU rules.
    """

    server_version: int
    encoding: str
    collate: str
    ctype: str
    provider: str | None
    locale: str | None
    rules: str | None

    @property
    def major(self) -> int:
        """The major version of its server."""
        return self.server_version // 10000

    def locale_options(self, server_version: int) -> dict[str, str]:
        """Return the options of CREATE DATABASE beside encoding, LC_COLLATE and LC_CTYPE.

        Args:
            server_version: of the server that is to create it; an older one lacks some of them.
        """
        if self.provider is None or server_version < _PROVIDERS_SINCE:
            return {}
        if self.provider == _ICU and self.locale:
            has_rules = self.rules and server_version >= _RULES_SINCE
            rules = {"ICU_RULES": self.rules or ""} if has_rules else {}
            return {"LOCALE_PROVIDER": "icu", "ICU_LOCALE": self.locale} | rules
        if self.provider == _BUILTIN and self.locale and server_version >= _BUILTIN_SINCE:
            return {"LOCALE_PROVIDER": "builtin", "BUILTIN_LOCALE": self.locale}
        # Named also where it is the default: that of template0 may be another.
        return {"LOCALE_PROVIDER": "libc"}

    @property
    def words(self) -> str:
        """The encoding and the locale, for people."""
        return f"encoding {self.encoding}, locale {self.locale or self.collate}"


class Role(NamedTuple):
    """What a session tells of its role and its server.

    Attributes:
        server_version: as a number, such as 180001.
        can_create: the role may create databases.
        in_recovery: the server is a standby.
    """

    server_version: int
    can_create: bool
    in_recovery: bool


class Server(NamedTuple):
    """The server that gets scratch databases.

    Attributes:
        target: a database on it, to which the run is connected while it creates and drops others.
        kind: it was named for the purpose, it is the target's own, or the embedded one.
        version: as a number, such as 180001.
    """

    target: Target
    kind: Literal["named", "target", "embedded"]
    version: int
