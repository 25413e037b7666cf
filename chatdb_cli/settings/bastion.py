"""The SSH options of a tunnel, as a value.

What does not belong here: whether a tunnel is used (`database.py`), ~/.ssh/config (`ssh/config.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.settings.model import Bastion
from chatdb_cli.settings.sources import value_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from chatdb_cli.settings.sources import Source


def read_bastion(
    sources: Sequence[Source], tunnel: Source, environment: str, cwd: Path, prefix: str = ""
) -> Bastion:
    """Return the SSH options.

    Args:
        sources: highest first.
        tunnel: the source of SSH_HOST.
        environment: production has other defaults.
        cwd: the directory that relative paths start from.
        prefix: what is before `SSH_` in the variables.
    """
    key, known, retries, delay = (
        value_of(sources, f"{prefix}{name}")
        for name in ("SSH_KEY_PATH", "SSH_KNOWN_HOSTS", "SSH_MAX_RETRIES", "SSH_RETRY_DELAY")
    )
    production = environment == "production"
    return Bastion(
        host=tunnel.read(f"{prefix}SSH_HOST"),
        port=value_of(sources, f"{prefix}SSH_PORT"),
        user=value_of(sources, f"{prefix}SSH_USER"),
        key_path=cwd / key if key else None,
        passphrase=value_of(sources, f"{prefix}SSH_KEY_PASSPHRASE"),
        known_hosts=cwd / known if known else None,
        agent=value_of(sources, f"{prefix}SSH_AGENT"),
        retries=(5 if production else 3) if retries is None else retries,
        retry_delay_ms=(2000 if production else 1000) if delay is None else delay,
    )
