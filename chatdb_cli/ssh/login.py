"""Log in to a hop with its keys: the key files, and those of the agent.

What does not belong here: reading and unlocking a key file (`keys.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import paramiko

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.ssh.agent import Agent
from chatdb_cli.ssh.config import existing_files
from chatdb_cli.ssh.failures import login_failed, session_closed
from chatdb_cli.ssh.keys import key_label, load_private_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.ssh.keys import Ask
    from chatdb_cli.ssh.model import Hop
    from chatdb_cli.ssh.transport import Transport


def load_keys(hop: Hop, passphrase: str | None, ask: Ask) -> list[tuple[str, paramiko.PKey]]:
    """Return the private keys of a hop's key files, each with its label for messages.

    Args:
        hop: the hop.
        passphrase: the passphrase of the settings.
        ask: asks a person for the passphrase of a key.

    Raises:
        ChatdbError: a key file is missing, unreadable, or can't be unlocked.
    """
    files = hop.keys if hop.named else existing_files(hop.keys) or hop.keys[:1]
    keys = []
    for file in files:
        try:
            key = load_private_key(file, passphrase, ask)
        except ChatdbError as error:
            if error.code is Code.KEY_LOCKED and hop.agent:
                continue  # the agent may have it unlocked
            raise
        keys.append((key_label(key, str(file)), key))
    return keys


def log_in(
    transport: Transport, keys: Sequence[tuple[str, paramiko.PKey]], agent_timeout_s: float
) -> str:
    """Log in to a hop with the first key that it accepts, in one connection; return the key's label.

    Args:
        transport: a session whose host key is verified.
        keys: labels and keys; those of the agent are tried after them, if the hop uses it.
        agent_timeout_s: how long the agent may take to list its keys, in seconds.

    Raises:
        ChatdbError: `TUNNEL_LOGIN`, no key was accepted; `TUNNEL_CLOSED`, the session ended;
            `AGENT_SILENT`, the agent did not answer in time.
    """
    hop = transport.hop
    tried: list[str] = []
    agent: Agent | None = None
    try:
        keys = list(keys)
        if hop.agent:
            # A little less than the session waits, so that it is known who was silent.
            agent = Agent(agent_timeout_s, 0.8 * transport.auth_timeout)
            keys += [(key_label(k, "agent"), k) for k in agent.get_keys()]
        for label, key in keys:
            tried.append(label)
            if _accepts(transport, key, tried):
                return f"{hop.user} with {label}"
            if agent and agent.silent:
                raise agent.error()
        raise login_failed(hop, _login_methods(transport), tried)
    except (paramiko.SSHException, EOFError, OSError) as error:
        if agent and agent.silent:
            raise agent.error() from None
        if tried and not transport.is_active():
            raise login_failed(hop, [], tried, transport.reason_for_end()) from None
        raise session_closed(str(hop), str(error)) from None
    finally:
        if agent:
            agent.close()


def _accepts(transport: Transport, key: paramiko.PKey, tried: Sequence[str]) -> bool:
    """Try one key; return whether the user is logged in."""
    hop = transport.hop
    try:
        missing = transport.auth_publickey(hop.user, key)
    except paramiko.BadAuthenticationType as error:
        raise login_failed(hop, error.allowed_types, tried) from None
    except paramiko.AuthenticationException:
        if transport.is_active():
            return False
        raise login_failed(hop, [], tried, transport.reason_for_end()) from None
    if missing:
        why = f"it also requires {' or '.join(missing)}, which chatdb does not support"
        raise login_failed(hop, list(missing), tried, why)
    return True


def _login_methods(transport: Transport) -> list[str]:
    """Return the methods to log in that a hop offers, after all keys were rejected."""
    try:
        transport.auth_none(transport.hop.user)
    except paramiko.BadAuthenticationType as error:
        return list(error.allowed_types)
    except paramiko.SSHException:
        pass
    return []
