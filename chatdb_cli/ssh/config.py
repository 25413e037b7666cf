"""~/.ssh/config: from SSH_HOST to the hops of the route, over every ProxyJump.

paramiko parses the file.  A new SSH option becomes a field of `Hop`, and is read in `_hop`.  What does
not belong here: connecting (`dial.py`), the environment (`settings/`).
"""

from __future__ import annotations

import getpass
import re
import shlex
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko

from chatdb_cli.errors import ChatdbError, Code, errno_name
from chatdb_cli.ssh.model import Hop

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chatdb_cli.settings.model import Bastion

_MOST_INCLUDES = 16  # nested in each other, as in OpenSSH
_MOST_HOPS = 10


def ssh_folder_file(name: str) -> Path:
    """Return the path of a file in ~/.ssh."""
    return Path("~/.ssh").expanduser() / name


def read_hops(bastion: Bastion) -> tuple[Hop, ...]:
    """Return the hops of the route to a bastion; the bastion itself is the last.

    Raises:
        ChatdbError: `TUNNEL`, ~/.ssh/config can't be read or is not valid.
    """
    path = ssh_folder_file("config")
    config = paramiko.SSHConfig()
    try:
        # The settings come first: the first value wins, and %p and %r of a ProxyCommand use it.
        config.parse(chain(_settings_lines(bastion), _config_lines(path, 0)))
        return tuple(_route(config, bastion, bastion.host, first=True))
    except (
        OSError,
        UnicodeDecodeError,
        ValueError,
        RecursionError,
        paramiko.SSHException,
    ) as error:
        why = str(error.strerror if isinstance(error, OSError) else error) or type(error).__name__
        raise ChatdbError(
            Code.TUNNEL,
            f"{path} can't be used: {why[:1].lower()}{why[1:]}",
            hint=f'"ssh -G {bastion.host}" shows how ssh interprets it',
            errno=errno_name(error) if isinstance(error, OSError) else None,
        ) from None


def _settings_lines(bastion: Bastion) -> Iterator[str]:
    """Yield the settings of the bastion as the lines of a config file."""
    yield f"Host {bastion.host}"
    if bastion.port:
        yield f"Port {bastion.port}"
    if bastion.user:
        yield f"User {bastion.user}"
    yield "Host *"


def _config_lines(path: Path, depth: int) -> Iterator[str]:
    """Yield the lines of a config file and of the files that it includes, which paramiko ignores."""
    if depth == 0 and not path.exists():
        return
    if depth > _MOST_INCLUDES:
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
            for file in sorted(path.parent.glob(path.name)):
                yield from _config_lines(file, depth + 1)
                yield block  # a Host block in an included file ends with that file


def _route(
    config: paramiko.SSHConfig, bastion: Bastion, name: str, *, first: bool, depth: int = 0
) -> Iterator[Hop]:
    """Yield the hops to a host, in order.

    Args:
        config: ~/.ssh/config.
        bastion: the settings.
        name: the host; for a jump host with user and port.
        first: its own ProxyJump is followed.
        depth: how many ProxyJumps led here.
    """
    if depth >= _MOST_HOPS:
        raise ValueError(f"ProxyJump is a circle, or has more than {_MOST_HOPS} hosts")
    hop, jumps = _hop(config, bastion, name, is_bastion=depth == 0)
    if first:
        for number, jump in enumerate(jumps):
            # Like ssh: only the first jump host may have a ProxyJump of its own.
            yield from _route(config, bastion, jump, first=number == 0, depth=depth + 1)
    yield replace(hop, command=None) if jumps or not first else hop


_JUMP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?:\[(?P<v6>[^]]+)\]|(?P<host>[^:]+))(?::(?P<port>\d+))?/?"
)


def _hop(
    config: paramiko.SSHConfig, bastion: Bastion, name: str, *, is_bastion: bool
) -> tuple[Hop, list[str]]:
    """Return one hop, and the jump hosts before it.

    Args:
        config: ~/.ssh/config.
        bastion: the settings, for the keys.
        name: an alias or a host; for a jump host with user and port.
        is_bastion: it is the host that the settings name.
    """
    user = port = None
    if not is_bastion:
        match = _JUMP.fullmatch(name)
        if match is None:
            raise ValueError(f"ProxyJump {name!r} is not a host")
        user, port = match["user"], int(match["port"]) if match["port"] else None
        name = match["v6"] or match["host"]
    options = config.lookup(name)
    files = tuple(Path(p) for p in options.get("identityfile", ()))
    if bastion.key_path and (is_bastion or not files):
        files = (bastion.key_path,)
    jumps = options.get("proxyjump") or ""
    known = options.get("userknownhostsfile")
    hop = Hop(
        name=name,
        host=options.get("hostname", name),
        port=port or int(options.get("port", 22)),
        user=user or options.get("user") or getpass.getuser(),
        keys=files,
        named=files == (bastion.key_path,),
        agent=not files if bastion.agent is None else bastion.agent,
        alias=options.get("hostkeyalias"),
        known_hosts=(bastion.known_hosts,)
        if bastion.known_hosts
        else (
            *(
                Path(p).expanduser()
                for p in (shlex.split(known) if known else [str(ssh_folder_file("known_hosts"))])
            ),
            Path("/etc/ssh/ssh_known_hosts"),
        ),
        command=options.get("proxycommand"),
    )
    return hop, [] if jumps.lower() in ("", "none") else [j.strip() for j in jumps.split(",")]


def existing_files(files: Iterable[Path]) -> tuple[Path, ...]:
    """Return those of several files that exist."""
    return tuple(file for file in files if file.exists())
