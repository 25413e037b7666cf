"""known_hosts: which keys a host may show.

It is read here, because paramiko's own reader knows neither @revoked nor wildcards, and of two keys of
one type only the first.  Nothing is written: no key becomes known by itself.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import hmac
import re
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.errors import ChatdbError, Code

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def fingerprint(blob: bytes) -> str:
    """Return a public key's fingerprint, as ssh shows it."""
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
    """The keys that hosts may show, of one or several files; nothing is ever added.

    Raises:
        ChatdbError: `TUNNEL`, a file is there and can't be read.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files
        self._keys = [key for file in files for key in _known_keys(file)]

    def of(self, name: str) -> list[KnownKey]:
        """Return the lines for a host, those of revoked keys left out."""
        return [k for k in self._keys if not k.marker and _names(k.hosts, name)]

    def is_revoked(self, name: str, blob: bytes) -> KnownKey | None:
        """Return the line that revokes a key for a host, or None."""
        return next(
            (k for k in self._keys if k.marker == "@revoked" and k.blob == blob
             and _names(k.hosts, name)), None,
        )  # fmt: skip

    def has_authority(self, name: str) -> bool:
        """Return whether a host's key may be signed by an authority, which is not read here."""
        return any(k.marker == "@cert-authority" and _names(k.hosts, name) for k in self._keys)


def _known_keys(file: Path) -> Iterator[KnownKey]:
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ChatdbError(
            Code.TUNNEL,
            f"the known host keys in {file} can't be read: {(error.strerror or '').lower()}",
            hint="without them no host can be told from another; make the file readable",
            errno=errno.errorcode.get(error.errno or 0),
        ) from None
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) >= 3 and not words[0].startswith("#"):
            try:
                blob = base64.b64decode(words[2], validate=True)
            except ValueError:
                continue  # as ssh does with a line that it can't read
            yield KnownKey(file, number, marker, words[0], words[1], blob)


def _names(patterns: str, name: str) -> bool:
    """Say whether the first field of a line names a host; a pattern with ! takes it away again."""
    found = False
    for pattern in patterns.split(","):
        negated = pattern.startswith("!")
        if _matches(pattern[negated:], name):
            if negated:
                return False
            found = True
    return found


def _matches(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        _, _, salt, digest = [*pattern.split("|"), "", "", ""][:4]
        try:
            made = hmac.digest(base64.b64decode(salt), name.encode(), "sha1")
            return hmac.compare_digest(made, base64.b64decode(digest))
        except ValueError:
            return False
    wild = re.escape(pattern.lower()).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(wild, name) is not None
