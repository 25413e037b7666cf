"""What the user's SSH files say: ~/.ssh/config, known_hosts, private keys.

    hops          from SSH_HOST to the way there, over every ProxyJump
    KnownHosts    which keys a host may show
    private_key   a key file, unlocked

What belongs here: reading those files, and refusing what they forbid.  What does not: connecting
(`tunnel.py`), the environment (`settings.py`).  Nothing is written: no key becomes known by itself.

paramiko reads ~/.ssh/config; known_hosts is read here, because paramiko's own reader knows neither
@revoked nor wildcards, and of two keys of one type only the first.
"""

from __future__ import annotations

import base64
import errno
import getpass
import hashlib
import hmac
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import paramiko

from chatdb_cli.errors import ChatdbError, Code

if TYPE_CHECKING:
    from chatdb_cli.settings.model import Bastion

# Asks a person for a passphrase; None where nobody can be asked, or nothing was said.
Ask = Callable[[str], str | None]

_CONFIG_DEPTH = 16  # of Include, as in OpenSSH
_MOST_HOPS = 10


def _ssh(name: str) -> Path:
    return Path("~/.ssh").expanduser() / name


# --- ~/.ssh/config --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hop:
    """One SSH server on the way, as the settings and ~/.ssh/config give it together.

    Attributes:
        name: what the user calls it.
        host: what is dialled, as seen from the hop before.
        port: likewise.
        user: who logs in.
        keys: key files to try, in this order.
        named: whether these were named one by one, so that each has to be there.
        agent: whether the agent's keys are tried.
        alias: the name in known_hosts, where it is another.
        known_hosts: the files with the keys that it may show.
        command: a ProxyCommand that reaches it, in place of a connection.
    """

    name: str
    host: str
    port: int
    user: str
    keys: tuple[Path, ...]
    named: bool
    agent: bool
    alias: str | None
    known_hosts: tuple[Path, ...]
    command: str | None = None

    def __str__(self) -> str:
        port = "" if self.port == 22 else f":{self.port}"
        return f"{self.user}@{self.name}{port}"

    @property
    def known_as(self) -> str:
        """The name under which its keys stand in known_hosts."""
        name = (self.alias or self.host).lower()
        return name if self.port == 22 or self.alias else f"[{name}]:{self.port}"


def hops(bastion: Bastion) -> tuple[Hop, ...]:
    """Return the way to a bastion, the bastion itself last.

    Raises:
        ChatdbError: `TUNNEL`, ~/.ssh/config can't be read or followed.
    """
    path = _ssh("config")
    config = paramiko.SSHConfig()
    try:
        # In front, where the first value wins, and where %p and %r of a ProxyCommand find them.
        config.parse(chain(_overruling(bastion), _lines(path, 0)))
        return tuple(_way(config, bastion, bastion.host, first=True))
    except (
        OSError,
        UnicodeDecodeError,
        ValueError,
        RecursionError,
        paramiko.SSHException,
    ) as error:
        why = str(error.strerror if isinstance(error, OSError) else error) or type(error).__name__
        name = errno.errorcode.get(error.errno or 0) if isinstance(error, OSError) else None
        raise ChatdbError(
            Code.TUNNEL,
            f"{path} can't be followed: {why[:1].lower()}{why[1:]}",
            hint=f'"ssh -G {bastion.host}" shows how ssh understands it',
            errno=name,
        ) from None


def _overruling(bastion: Bastion) -> Iterator[str]:
    """Yield what the settings say of the one host that they name, as a config file would."""
    yield f"Host {bastion.host}"
    if bastion.port:
        yield f"Port {bastion.port}"
    if bastion.user:
        yield f"User {bastion.user}"
    yield "Host *"


def _lines(path: Path, depth: int) -> Iterator[str]:
    """Yield the lines of a config file with what it includes, which paramiko would pass over."""
    if depth == 0 and not path.exists():
        return
    if depth > _CONFIG_DEPTH:
        raise ValueError(f"too many files include each other at {path}")
    block = "Host *"
    for line in path.read_text(encoding="utf-8").splitlines():
        word, _, rest = line.strip().replace("=", " ", 1).partition(" ")
        if word.lower() in ("host", "match"):
            block = line
        if word.lower() != "include":
            yield line
            continue
        for pattern in shlex.split(rest):
            path = _ssh("") / Path(pattern).expanduser()
            for found in sorted(path.parent.glob(path.name)):
                yield from _lines(found, depth + 1)
                yield block  # the block that a file ends in ends with the file


def _way(
    config: paramiko.SSHConfig, bastion: Bastion, name: str, *, first: bool, depth: int = 0
) -> Iterator[Hop]:
    if depth >= _MOST_HOPS:
        raise ValueError(f"ProxyJump leads in a circle, or over more than {_MOST_HOPS} hosts")
    hop, jumps = _hop(config, bastion, name, wanted=depth == 0)
    if first:
        for number, jump in enumerate(jumps):
            # As ssh does it: of the hosts on the way only the first may itself lie behind another.
            yield from _way(config, bastion, jump, first=number == 0, depth=depth + 1)
    yield replace(hop, command=None) if jumps or not first else hop


_JUMP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?:\[(?P<v6>[^]]+)\]|(?P<host>[^:]+))(?::(?P<port>\d+))?/?"
)


def _hop(
    config: paramiko.SSHConfig, bastion: Bastion, name: str, *, wanted: bool
) -> tuple[Hop, list[str]]:
    """Return one hop, and the hosts in front of it.

    Args:
        config: ~/.ssh/config.
        bastion: the settings, for the keys.
        name: an alias or a host; of a ProxyJump with user and port.
        wanted: whether it is the one that the settings name.
    """
    user = port = None
    if not wanted:
        match = _JUMP.fullmatch(name)
        if match is None:
            raise ValueError(f"ProxyJump {name!r} is no host")
        user, port = match["user"], int(match["port"]) if match["port"] else None
        name = match["v6"] or match["host"]
    said = config.lookup(name)
    files = tuple(Path(p) for p in said.get("identityfile", ()))
    if bastion.key_path and (wanted or not files):
        files = (bastion.key_path,)
    jumps = said.get("proxyjump") or ""
    known = said.get("userknownhostsfile")
    hop = Hop(
        name=name,
        host=said.get("hostname", name),
        port=port or int(said.get("port", 22)),
        user=user or said.get("user") or getpass.getuser(),
        keys=files,
        named=files == (bastion.key_path,),
        agent=not files if bastion.agent is None else bastion.agent,
        alias=said.get("hostkeyalias"),
        known_hosts=(bastion.known_hosts,)
        if bastion.known_hosts
        else (
            *(
                Path(p).expanduser()
                for p in (shlex.split(known) if known else [str(_ssh("known_hosts"))])
            ),
            Path("/etc/ssh/ssh_known_hosts"),
        ),
        command=said.get("proxycommand"),
    )
    return hop, [] if jumps.lower() in ("", "none") else [j.strip() for j in jumps.split(",")]


# --- known_hosts ----------------------------------------------------------------------------------


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


# --- keys -----------------------------------------------------------------------------------------


def private_key(path: Path, passphrase: str | None, ask: Ask) -> paramiko.PKey:
    """Read a private key, and a certificate of it where one stands beside it.

    Args:
        path: the file; Ed25519, ECDSA or RSA.
        passphrase: what may unlock it.
        ask: asks a person where that does not, or there is none.

    Raises:
        ChatdbError: `KEY_MISSING`, `KEY_UNREADABLE`, `KEY_TOO_OPEN`, `KEY_LOCKED` or `KEY_INVALID`.
    """
    _check_file(path)
    try:
        return paramiko.PKey.from_path(path)
    except TypeError:
        pass  # it has a passphrase
    except (ValueError, paramiko.SSHException, paramiko.UnknownKeyType) as error:
        raise _invalid(path, error) from None
    tried = False
    for secret in (passphrase, ask(f"passphrase of {path}: ") if passphrase is None else None):
        if secret:
            tried = True
            try:
                # What the annotation calls str has to be bytes.
                return paramiko.PKey.from_path(path, secret.encode())
            except ValueError:
                pass
            except (paramiko.SSHException, paramiko.UnknownKeyType) as error:
                raise _invalid(path, error) from None
    if tried:
        raise ChatdbError(
            Code.KEY_LOCKED,
            f"the passphrase does not unlock the key {path}",
            hint='correct SSH_KEY_PASSPHRASE; "ssh-keygen -y -f FILE" tries one',
        )
    raise ChatdbError(
        Code.KEY_LOCKED,
        f"the key {path} has a passphrase, and none was given",
        hint="set SSH_KEY_PASSPHRASE, run it on a terminal, or give the key to the agent and set "
        "SSH_AGENT=true",
    )


def _check_file(path: Path) -> None:
    try:
        with path.open("rb"):
            mode = path.stat().st_mode
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise ChatdbError(
            Code.KEY_MISSING if missing else Code.KEY_UNREADABLE,
            f"there is no key {path}"
            if missing
            else f"the key {path} can't be read: {(error.strerror or 'unknown error').lower()}",
            hint="correct SSH_KEY_PATH, or IdentityFile in ~/.ssh/config",
            errno=errno.errorcode.get(error.errno or 0),
        ) from None
    if mode & 0o077:
        raise ChatdbError(
            Code.KEY_TOO_OPEN,
            f"the key {path} is open to others (mode {mode & 0o777:04o})",
            hint=f'"chmod 600 {path}" closes it; a key that others could read should be replaced',
        )


def _invalid(path: Path, error: Exception) -> ChatdbError:
    public = path.read_bytes()[:400].startswith((b"ssh-", b"ecdsa-"))
    return ChatdbError(
        Code.KEY_INVALID,
        f"{path} is a public key" if public else f"{path} is no private key that can be used",
        hint=f"name the private one, {path.with_suffix('')}"
        if public
        else "Ed25519, ECDSA and RSA are fine, as OpenSSH or as PEM",
        notes=() if public else (str(error).partition(". ")[0],),
    )


def label(key: paramiko.PKey, where: str) -> str:
    """Return what a key is called in a message: its type, fingerprint and place."""
    return f"{key.get_name()} {fingerprint(key.asbytes())} ({where})"


def present(files: Iterable[Path]) -> tuple[Path, ...]:
    """Return those of several files that are there."""
    return tuple(file for file in files if file.exists())
