"""~/.ssh/config: from SSH_HOST to the hops of the route, over every ProxyJump.

paramiko reads the file.  What does not belong here: connecting (`session.py`), the environment
(`settings/`).
"""

from __future__ import annotations

import errno
import getpass
import re
import shlex
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko

from chatdb_cli.errors import ChatdbError, Code

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chatdb_cli.settings.model import Bastion

_CONFIG_DEPTH = 16  # of Include, as in OpenSSH
_MOST_HOPS = 10


def ssh_folder_file(name: str) -> Path:
    """Return a file of ~/.ssh."""
    return Path("~/.ssh").expanduser() / name


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


def read_hops(bastion: Bastion) -> tuple[Hop, ...]:
    """Return the way to a bastion, the bastion itself last.

    Raises:
        ChatdbError: `TUNNEL`, ~/.ssh/config can't be read or followed.
    """
    path = ssh_folder_file("config")
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
            path = ssh_folder_file("") / Path(pattern).expanduser()
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
                for p in (shlex.split(known) if known else [str(ssh_folder_file("known_hosts"))])
            ),
            Path("/etc/ssh/ssh_known_hosts"),
        ),
        command=said.get("proxycommand"),
    )
    return hop, [] if jumps.lower() in ("", "none") else [j.strip() for j in jumps.split(",")]


def existing_files(files: Iterable[Path]) -> tuple[Path, ...]:
    """Return those of several files that are there."""
    return tuple(file for file in files if file.exists())
