"""What each failure of a tunnel says: the error, where on the route, and what to do next.

What does not belong here: noticing a failure (`session.py`, `tunnel.py`).
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.ssh.config import existing_files, ssh_folder_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.ssh.config import Hop

_ERRNOS = {
    "connection refused": "ECONNREFUSED",
    "connection timed out": "ETIMEDOUT",
    "no route to host": "EHOSTUNREACH",
    "network is unreachable": "ENETUNREACH",
}


def unknown_name(hop: str, host: str, why: str, through: str = "") -> ChatdbError:
    """Return the error of a host whose name is not known."""
    return ChatdbError(
        Code.TUNNEL_NAME,
        f"{through}{host} of {hop} is not found: {why[:1].lower()}{why[1:]}",
        hint="correct SSH_HOST, or HostName and ProxyJump in ~/.ssh/config",
        errno="ENOTFOUND",
    )


def not_reached(hop: str, where: str, error: OSError) -> ChatdbError:
    """Return the error of a host that can not be reached."""
    name = errno.errorcode.get(error.errno or 0)
    if isinstance(error, TimeoutError):
        name = "ETIMEDOUT"
    code, way = {
        "ECONNREFUSED": (Code.TUNNEL_REFUSED, "correct SSH_PORT, or start its SSH server"),
        "ETIMEDOUT": (
            Code.TUNNEL_TIMEOUT,
            "look at host and firewall, or wait longer with CHATDB_CONNECT_TIMEOUT",
        ),
    }.get(name or "", (Code.TUNNEL_UNREACHABLE, "look at the network, a VPN, a firewall"))
    why = "no answer" if name == "ETIMEDOUT" else (error.strerror or str(error)).lower()
    return ChatdbError(code, f"can't reach {hop} at {where}: {why}", hint=way, errno=name)


def session_closed(hop: str, why: str) -> ChatdbError:
    """Return the error of a session that a host ended before it was of use."""
    return ChatdbError(
        Code.TUNNEL_CLOSED,
        f"{hop} ended the session: {why[:1].lower()}{why[1:] or 'no reason given'}",
        hint="try again; if it stays so, it lets nobody in from here (MaxStartups, a firewall, a ban)",
        errno="ECONNRESET",
    )


def not_ssh(hop: Hop, why: str) -> ChatdbError:
    """Return the error of a server that does not speak SSH."""
    return ChatdbError(
        Code.TUNNEL_PROTOCOL,
        f"what answers for {hop} can't be spoken to: {why[:1].lower()}{why[1:]}",
        hint="is that the port of SSH? an SSH server that knows only SHA-1 or DSA is too old",
    )


def login_failed(
    hop: Hop, methods: Sequence[str], tried: Sequence[str], why: str = ""
) -> ChatdbError:
    """Return the error of a host that refuses the login."""
    if not tried:
        there = [
            f for f in ("id_ed25519", "id_ecdsa", "id_rsa") if existing_files([ssh_folder_file(f)])
        ]
        way = "name a key by SSH_KEY_PATH" + (f", such as ~/.ssh/{there[0]}" if there else "")
        why = why or ("no key is named, and the agent has none" if hop.agent else "no key is named")
    elif methods and "publickey" not in methods:
        way = "chatdb logs in with keys alone: let the host take them (PubkeyAuthentication)"
    else:
        way = f"correct SSH_USER or SSH_KEY_PATH, or add the public key to {hop.user}'s authorized_keys"
    offered = (f"it offers {', '.join(methods)}",) if methods else ()
    return ChatdbError(
        Code.TUNNEL_LOGIN,
        f"{hop} does not let {hop.user} in" + (f": {why}" if why else ""),
        hint=way,
        notes=(*offered, *(f"tried {label}" for label in tried)),
    )


def not_forwarded(
    code: int, hop: str, place: tuple[str, int], why: str, *, inner: bool
) -> ChatdbError:
    """Return why a hop makes no connection to what is behind it, from its own words."""
    low = why.lower()
    if code == 1:  # administratively prohibited
        return ChatdbError(
            Code.TUNNEL_FORBIDDEN,
            f"{hop} forwards nothing to {place[0]}:{place[1]}: {low or 'prohibited'}",
            hint="let its administrator allow it: AllowTcpForwarding, PermitOpen, or the options in "
            "authorized_keys",
        )
    if any(sign in low for sign in ("not known", "unknown host", "name resolution", "no address")):
        if inner:
            return unknown_name(f"{place[0]}:{place[1]}", place[0], why, f"from {hop}: ")
        return behind_bastion(
            Code.BEHIND_NAME, hop, *place, "the name is not known there", "ENOTFOUND"
        )
    if "timed out" in low:
        silent = Code.TUNNEL_TIMEOUT if inner else Code.BEHIND_SILENT
        return behind_bastion(silent, hop, *place, "no answer", "ETIMEDOUT")
    refused = Code.TUNNEL_REFUSED if inner else Code.BEHIND_REFUSED
    return behind_bastion(refused, hop, *place, low, errno_in(low) or "ECONNREFUSED")


def behind_bastion(code: Code, hop: str, host: str, port: int, why: str, name: str) -> ChatdbError:
    """Return the error of a connection that a hop could not make."""
    hints = {
        Code.BEHIND_NAME: "name the host as it is called there; localhost is the bastion itself",
        Code.BEHIND_REFUSED: "correct host and port, as seen from there, or start the server",
        Code.BEHIND_SILENT: "look at host, port and the firewall between the two",
    }
    return ChatdbError(
        code,
        f"{hop} can't connect to {host}:{port}: {why}",
        hint=hints.get(code, "correct ProxyJump, HostName and Port in ~/.ssh/config"),
        errno=name,
    )


def errno_in(why: str) -> str | None:
    """Return the name of the error that the words of another system mean, or None."""
    return next((name for text, name in _ERRNOS.items() if text in why.lower()), None)
