"""The other side of a comparison: a second database, with its own schema and its own tunnel.

    other_side          what the CHATDB_AGAINST_* settings say
    settings_against    settings that name the other side as their database

What does not belong here: comparing (`counts/`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.remedy import Advice
from chatdb_cli.settings.bastion import read_bastion
from chatdb_cli.settings.libpq import pin_keywords
from chatdb_cli.settings.model import Database, OtherSide, require_settings
from chatdb_cli.settings.sources import source_of, value_of
from chatdb_cli.settings.table import AGAINST_VARIABLES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from chatdb_cli.settings.model import Settings
    from chatdb_cli.settings.sources import Source

_PREFIX = "CHATDB_AGAINST_"


def other_side(
    sources: Sequence[Source], environment: str, cwd: Path, warnings: list[str]
) -> OtherSide | None:
    """Return the other side of a comparison, or None if nothing names it.

    Without a URL its other settings are not read: other commands do not need them.

    Args:
        sources: highest first.
        environment: production has other defaults for the tunnel.
        cwd: the directory that relative paths start from.
        warnings: gets a line for each flag that shows a secret.
    """
    given = next((s for s in sources if s.first(AGAINST_VARIABLES)), None)
    if given is None:
        return None
    secrets = {"URL": "holds a password", "SSH_KEY_PASSPHRASE": "is a secret"}
    url = source_of(sources, f"{_PREFIX}URL")
    if url is None:
        variable = given.first(AGAINST_VARIABLES) or ""
        return OtherSide(None, None, None, given.label(variable))
    params = pin_keywords(url.read(f"{_PREFIX}URL"))
    if "password" not in params:
        del secrets["URL"]
    for name, problem in secrets.items():
        if f"{_PREFIX}{name}" in sources[0].values:
            flag = sources[0].label(f"{_PREFIX}{name}")
            warnings.append(f"{flag} {problem}: the process list shows it")
    tunnel = source_of(sources, f"{_PREFIX}SSH_HOST")
    source = url.label(f"{_PREFIX}URL")
    return OtherSide(
        database=Database(params, source, embedded=False),
        schema=value_of(sources, f"{_PREFIX}SCHEMA"),
        bastion=read_bastion(sources, tunnel, environment, cwd, _PREFIX) if tunnel else None,
        source=source,
    )


def settings_against(settings: Settings) -> Settings | None:
    """Return settings that name the other side of a comparison as their database, or None.

    Args:
        settings: from `load_settings`.

    Raises:
        ChatdbError: `SETTINGS`, a setting of the other side is given, but no URL.
    """
    require_settings(settings)
    other = settings.against
    if other is None:
        return None
    if other.database is None:
        raise ChatdbError(
            Code.SETTINGS,
            f"{other.source} is for the other side of a comparison, and no URL names that",
            hint=Advice("set CHATDB_AGAINST_URL, or give {against}"),
        )
    return replace(
        settings,
        database=other.database,
        schema=other.schema or settings.schema,
        schema_named=other.schema is not None or settings.schema_named,
        bastion=other.bastion,
        against=None,
        embeddable=None,
    )
