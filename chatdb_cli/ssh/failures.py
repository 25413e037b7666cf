"""The errors of a tunnel: what failed, at which hop, and what to do next.

What does not belong here: detecting a failure (`dial.py`, `login.py`, `open_route.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code, errno_name
from chatdb_cli.ssh.config import existing_files, ssh_folder_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.ssh.model import Hop

_ERRNOS = {
    "connection refused": "ECONNREFUSED",
    "connection timed out": "ETIMEDOUT",
    "no route to host": "EHOSTUNREACH",
    "network is unreachable": "ENETUNREACH",
}


def unknown_name(hop: str, host: str, why: str, through: str = "") -> ChatdbError:
    """Return the error of a host name that can't be resolved."""
    return ChatdbError(
        Code.TUNNEL_NAME,
        f"{through}the host name {host} of {hop} can't be resolved: {why[:1].lower()}{why[1:]}",
        hint="correct SSH_HOST, or HostName and ProxyJump in ~/.ssh/config",
        errno="ENOTFOUND",
    )


def not_reached(hop: str, where: str, error: OSError) -> ChatdbError:
    """Return the error of a host that can't be reached."""
    name = errno_name(error)
    if isinstance(error, TimeoutError):
        name = "ETIMEDOUT"
    code, hint = {
        "ECONNREFUSED": (Code.TUNNEL_REFUSED, "correct SSH_PORT, or start its SSH server"),
        "ETIMEDOUT": (
            Code.TUNNEL_TIMEOUT,
            "check host and firewall, or wait longer with CHATDB_CONNECT_TIMEOUT",
        ),
    }.get(name or "", (Code.TUNNEL_UNREACHABLE, "check the network, a VPN, a firewall"))
    why = "no answer" if name == "ETIMEDOUT" else (error.strerror or str(error)).lower()
    return ChatdbError(code, f"can't reach {hop} at {where}: {why}", hint=hint, errno=name)


def session_closed(hop: str, why: str) -> ChatdbError:
    """Return the error of a session that a host ended before it could be used."""
    return ChatdbError(
        Code.TUNNEL_CLOSED,
        f"{hop} ended the session: {why[:1].lower()}{why[1:] or 'no reason given'}",
        hint="try again; if this persists, the server is rejecting connections from this host "
        "(MaxStartups, a firewall, a ban)",
        errno="ECONNRESET",
    )


def not_ssh(hop: Hop, why: str) -> ChatdbError:
    """Return the error of a server that does not speak SSH."""
    return ChatdbError(
        Code.TUNNEL_PROTOCOL,
        f"no SSH session with {hop} is possible: {why[:1].lower()}{why[1:]}",
        hint="is that the port of SSH? an SSH server that supports only SHA-1 or DSA is too old",
    )


def login_failed(
    hop: Hop, methods: Sequence[str], tried: Sequence[str], why: str = ""
) -> ChatdbError:
    """Return the error of a host that rejects the login.

    Args:
        hop: the host.
        methods: the methods to log in that it offers.
        tried: the labels of the keys that it rejected.
        why: the reason, if it is known.
    """
    if not tried:
        names = ("id_ed25519", "id_ecdsa", "id_rsa")
        existing = [name for name in names if existing_files([ssh_folder_file(name)])]
        hint = "set SSH_KEY_PATH" + (f", such as to ~/.ssh/{existing[0]}" if existing else "")
        why = why or ("no key is named, and the agent has none" if hop.agent else "no key is named")
    elif methods and "publickey" not in methods:
        hint = "chatdb only logs in with keys: let the host accept them (PubkeyAuthentication)"
    else:
        hint = f"correct SSH_USER or SSH_KEY_PATH, or add the public key to {hop.user}'s authorized_keys"
    offered = (f"it offers {', '.join(methods)}",) if methods else ()
    return ChatdbError(
        Code.TUNNEL_LOGIN,
        f"{hop} does not allow {hop.user} to log in" + (f": {why}" if why else ""),
        hint=hint,
        notes=(*offered, *(f"tried {label}" for label in tried)),
    )


def not_forwarded(
    code: int, hop: str, place: tuple[str, int], why: str, *, inner: bool
) -> ChatdbError:
    """Return the error of a hop that did not open a connection, from its own message.

    Args:
        code: SSH's reason code.
        hop: the hop.
        place: the host and port that it was asked for.
        why: its message.
        inner: `place` is the next hop, not the database.
    """
    message = why.lower()
    if code == 1:  # administratively prohibited
        return ChatdbError(
            Code.TUNNEL_FORBIDDEN,
            f"{hop} does not allow forwarding to {place[0]}:{place[1]}: {message or 'prohibited'}",
            hint="ask its administrator to allow it: AllowTcpForwarding, PermitOpen, or the options in "
            "authorized_keys",
        )
    if any(
        sign in message for sign in ("not known", "unknown host", "name resolution", "no address")
    ):
        if inner:
            return unknown_name(f"{place[0]}:{place[1]}", place[0], why, f"from {hop}: ")
        return behind_bastion(
            Code.BEHIND_NAME, hop, *place, "the name is not known there", "ENOTFOUND"
        )
    if "timed out" in message:
        silent = Code.TUNNEL_TIMEOUT if inner else Code.BEHIND_SILENT
        return behind_bastion(silent, hop, *place, "no answer", "ETIMEDOUT")
    refused = Code.TUNNEL_REFUSED if inner else Code.BEHIND_REFUSED
    return behind_bastion(refused, hop, *place, message, errno_in(message) or "ECONNREFUSED")


def behind_bastion(code: Code, hop: str, host: str, port: int, why: str, name: str) -> ChatdbError:
    """Return the error of a connection that a hop could not open."""
    hints = {
        Code.BEHIND_NAME: "give the host's name as seen from the bastion; localhost is the bastion",
        Code.BEHIND_REFUSED: "correct host and port, as seen from the bastion, or start the server",
        Code.BEHIND_SILENT: "check host, port and the firewall between the two",
    }
    return ChatdbError(
        code,
        f"{hop} can't connect to {host}:{port}: {why}",
        hint=hints.get(code, "correct ProxyJump, HostName and Port in ~/.ssh/config"),
        errno=name,
    )


def errno_in(why: str) -> str | None:
    """Return the errno's name for the error message of another system, or None."""
    return next((name for text, name in _ERRNOS.items() if text in why.lower()), None)
