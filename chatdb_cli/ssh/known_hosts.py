"""known_hosts: which keys a host may show, and whether it shows one of them.

It is read here because paramiko's own reader supports neither @revoked nor wildcards, and of two keys of
one type uses only the first.  Nothing is written: a person must add each key.  What does not belong
here: connecting (`dial.py`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.errors import ChatdbError, Code, errno_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import paramiko

    from chatdb_cli.ssh.model import Hop


def fingerprint(blob: bytes) -> str:
    """Return the fingerprint of a public key, in the format of ssh."""
    return f"SHA256:{base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip('=')}"


class KnownKey(NamedTuple):
    """A line of a known_hosts file."""

    file: Path
    line: int
    marker: str
    hosts: str
    kind: str
    blob: bytes


class KnownHosts:
    """The known host keys of one or several files.

    Raises:
        ChatdbError: `TUNNEL`, a file exists but can't be read.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._keys = [key for file in files for key in _known_keys(file)]

    def of(self, name: str) -> list[KnownKey]:
        """Return the lines for a host, without those of revoked keys."""
        return [k for k in self._keys if not k.marker and _names(k.hosts, name)]

    def revocation(self, name: str, blob: bytes) -> KnownKey | None:
        """Return the line that revokes a key for a host, or None."""
        return next(
            (k for k in self._keys if k.marker == "@revoked" and k.blob == blob
             and _names(k.hosts, name)), None,
        )  # fmt: skip

    def has_authority(self, name: str) -> bool:
        """Return whether a @cert-authority line names the host; host certificates are not supported."""
        return any(k.marker == "@cert-authority" and _names(k.hosts, name) for k in self._keys)


def verify_host_key(hop: Hop, key: paramiko.PKey, known: KnownHosts) -> str:
    """Return the host key and the line that knows it, for a message.

    Args:
        hop: the host.
        key: the key that it shows.
        known: the known host keys for this hop.

    Raises:
        ChatdbError: `HOST_KEY_REVOKED`, `HOST_KEY_CHANGED` or `HOST_KEY_UNKNOWN`.
    """
    kind, blob, name = key.get_name(), key.asbytes(), hop.known_as
    label = f"{kind} {fingerprint(blob)}"
    new_line = f"{name} {kind} {key.get_base64()}"
    if revocation := known.revocation(name, blob):
        raise ChatdbError(
            Code.HOST_KEY_REVOKED,
            f"{hop} shows a host key that is revoked: {label}",
            hint="do not continue; ask its administrator",
            notes=(f"{revocation.file}:{revocation.line} revokes it",),
        )
    lines = known.of(name)
    if match := next((k for k in lines if k.blob == blob), None):
        return f"{label} ({match.file}:{match.line})"
    if lines:
        raise ChatdbError(
            Code.HOST_KEY_CHANGED,
            f"{hop} shows another host key than the known one: {label}",
            hint="someone may intercept the connection: ask its administrator for the fingerprint; only "
            f"if it is this one, remove the old key with \"ssh-keygen -R '{name}' -f {lines[0].file}\" "
            f"and add this line: {new_line}",
            notes=tuple(f"{k.file}:{k.line} has {k.kind} {fingerprint(k.blob)}" for k in lines),
        )
    raise ChatdbError(
        Code.HOST_KEY_UNKNOWN,
        f"the host key of {hop} is not known: {label}",
        hint="compare the fingerprint with the one from its administrator, then add this line to "
        f"{hop.known_hosts[0]}: {new_line}",
        notes=("its @cert-authority line is not used: host certificates are not supported",)
        if known.has_authority(name)
        else (),
    )


def _known_keys(file: Path) -> Iterator[KnownKey]:
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ChatdbError(
            Code.TUNNEL,
            f"the known host keys in {file} can't be read: {(error.strerror or '').lower()}",
            hint="without them no host key can be verified; make the file readable",
            errno=errno_name(error),
        ) from None
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) >= 3 and not words[0].startswith("#"):
            try:
                blob = base64.b64decode(words[2], validate=True)
            except ValueError:
                continue  # ssh also skips lines that it can't parse
            yield KnownKey(file, number, marker, words[0], words[1], blob)


def _names(patterns: str, name: str) -> bool:
    """Return whether the first field of a line names a host; a matching pattern with ! excludes it."""
    matched = False
    for pattern in patterns.split(","):
        negated = pattern.startswith("!")
        if _matches(pattern[negated:], name):
            if negated:
                return False
            matched = True
    return matched


def _matches(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        _, _, salt, digest = [*pattern.split("|"), "", "", ""][:4]
        try:
            expected = hmac.digest(base64.b64decode(salt), name.encode(), "sha1")
            return hmac.compare_digest(expected, base64.b64decode(digest))
        except ValueError:
            return False
    regex = re.escape(pattern.lower()).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(regex, name) is not None
