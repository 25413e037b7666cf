"""~/.ssh/config: aliases, jump hosts, keys, proxy commands."""

from __future__ import annotations

import getpass
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.connect import connect
from chatdb_cli.postgres.target import check_tunnel
from chatdb_cli.settings.load import load_settings
from chatdb_cli.ssh.config import read_hops
from chatdb_cli.ssh.model import Hop
from tests.support.paths import ROOT
from tests.support.servers import on_first_server
from tests.support.ssh import (
    TunnelSetup,
    known_hosts_fields,
    needs_sshd,
    silent_port,
    through_two_hops,
)
from tests.support.sshd import USER, Sshd, free_port, make_key

pytestmark = on_first_server  # these do not depend on the version of PostgreSQL


def test_an_alias_sets_host_port_user_key_and_known_hosts(
    tunnel: TunnelSetup, keys: Path, home: Path
) -> None:
    (home / "hosts").write_text(f"the-bastion {' '.join(known_hosts_fields(tunnel.bastion)[1:])}\n")
    (home / ".ssh" / "config").write_text(
        "Include extra/*\nHost other\n  HostName 192.0.2.1\n"
        "Host *\n  UserKnownHostsFile ~/hosts\n  HostKeyAlias the-bastion\n"
    )
    (home / ".ssh" / "extra").mkdir()
    (home / ".ssh" / "extra" / "one").write_text(
        f"Host prod\n  HostName=127.0.0.1\n  Port {tunnel.bastion.port}\n  User {USER}\n"
        f"  IdentityFile {home}/gone\n  IdentityFile {keys}/ecdsa\n"
    )
    more: dict[str, Any] = {"SSH_HOST": "prod", "SSH_PORT": "", "SSH_KEY_PATH": ""}
    with tunnel.target(**more) as target:
        assert target.via == f"{USER}@prod:{tunnel.bastion.port}"
        connect(target).close()
    # The settings take precedence over the file.
    assert tunnel.connect_error(**more | {"SSH_USER": "nobody-x"}).code is Code.TUNNEL_LOGIN
    assert tunnel.connect_error(**more | {"SSH_PORT": str(free_port())}).code is Code.TUNNEL_REFUSED


ROUTES = [
    ("Host b\n ProxyJump j", ["j:22", "b:22"]),
    ("Host b\n ProxyJump me@j:2222", ["j:2222", "b:22"]),
    ("Host b\n ProxyJump j,k", ["j:22", "k:22", "b:22"]),
    ("Host b\n ProxyJump j\nHost j\n ProxyJump k\n HostName J\nHost k\n Port 23",
     ["k:23", "J:22", "b:22"]),
    ("Host b\n ProxyJump j,k\nHost k\n ProxyJump nobody", ["j:22", "k:22", "b:22"]),
    ("Host b\n ProxyJump ssh://me@[::1]:99", ["::1:99", "b:22"]),
    ("Host b\n ProxyJump none", ["b:22"]),
    ("Host b\n ProxyJump none\nHost *\n ProxyJump j", ["b:22"]),
    ("Match host b\n HostName c", ["c:22"]),
    ("", ["b:22"]),
]  # fmt: skip


@pytest.mark.parametrize(("config", "expected"), ROUTES)
def test_the_route_is_the_one_that_ssh_would_take(
    config: str, expected: list[str], home: Path
) -> None:
    (home / ".ssh" / "config").write_text(config)
    bastion = load_settings(environ={"SSH_HOST": "b"}, cwd=Path("/")).bastion
    assert bastion
    assert [f"{hop.host}:{hop.port}" for hop in read_hops(bastion)] == expected


def test_the_defaults_are_port_22_the_current_user_and_the_agent(home: Path) -> None:
    bastion = load_settings(environ={"SSH_HOST": "b"}, cwd=Path("/")).bastion
    assert bastion
    known = (home / ".ssh" / "known_hosts", Path("/etc/ssh/ssh_known_hosts"))
    expected = Hop("b", "b", 22, getpass.getuser(), (), False, True, None, known)
    assert read_hops(bastion) == (expected,)
    key = home / "key"
    assert read_hops(replace(bastion, key_path=key)) == (
        replace(expected, keys=(key,), named=True, agent=False),
    )
    assert read_hops(replace(bastion, key_path=key, agent=True))[0].agent


@pytest.mark.parametrize(
    "config",
    ["Host b\n ProxyJump b", "Host b\n ProxyJump j\nHost j\n ProxyJump b", "Host b\n Port x",
     "Include ~/.ssh/config", "Host b\n ProxyJump @:", "Host b\n  Port", b"\xff\xfe", "Match\n"],
)  # fmt: skip
def test_an_invalid_config_is_refused_and_named(config: str | bytes, home: Path) -> None:
    data = config if isinstance(config, bytes) else config.encode()
    (home / ".ssh" / "config").write_bytes(data)
    bastion = load_settings(environ={"SSH_HOST": "b"}, cwd=Path("/")).bastion
    assert bastion
    with pytest.raises(ChatdbError) as caught:
        read_hops(bastion)
    assert caught.value.code is Code.TUNNEL
    assert str(home / ".ssh" / "config") in caught.value.message


@needs_sshd
def test_a_failure_after_the_first_hop_names_its_hop(
    tunnel: TunnelSetup, keys: Path, home: Path
) -> None:
    with silent_port() as (silent, _):
        cases: list[tuple[str, dict[str, str], Code, str | None, str]] = [
            ("HostName no-such-host.invalid", {}, Code.TUNNEL_NAME, "ENOTFOUND", "@outer"),
            (f"Port {free_port()}", {}, Code.TUNNEL_REFUSED, "ECONNREFUSED", "@outer"),
            (f"Port {silent}", {"CHATDB_CONNECT_TIMEOUT": "100ms"}, Code.TUNNEL_TIMEOUT,
             "ETIMEDOUT", "@inner"),
            ("HostKeyAlias nobody", {}, Code.HOST_KEY_UNKNOWN, None, "@inner"),
            ("StrictHostKeyChecking no\n UserKnownHostsFile /dev/null", {}, Code.HOST_KEY_UNKNOWN,
             None, "@inner"),
            (f"IdentityFile {keys}/stranger\nHost outer\n IdentityFile {keys}/rsa",
             {"SSH_KEY_PATH": ""}, Code.TUNNEL_LOGIN, None, "@inner"),
        ]  # fmt: skip
        for line, more, code, errno, hop in cases:
            error = tunnel.connect_error(**through_two_hops(tunnel, home, f" {line}\n") | more)
            assert (error.code, error.exit, error.errno) == (code, 4, errno), error
            assert hop in error.message
            assert error.hint


@needs_sshd
def test_the_documented_key_option_permits_the_database_and_nothing_else(
    tunnel: TunnelSetup, tmp_path: Path
) -> None:
    docs = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    options = re.findall(r"^(restrict,\S+) ssh-ed25519 ", docs, re.MULTILINE)[0]
    key = make_key(tmp_path / "narrow")
    tunnel.bastion.authorize(
        key, options.replace("db.internal:5432", f"127.0.0.1:{tunnel.proxy.port}")
    )
    with tunnel.target(SSH_KEY_PATH=str(key)) as target:
        connect(target).close()
    far = f"postgresql://u@127.0.0.1:{free_port()}/d"
    assert (
        tunnel.connect_error(SSH_KEY_PATH=str(key), DATABASE_URL=far).code is Code.TUNNEL_FORBIDDEN
    )


@needs_sshd
def test_two_jumps_connect_through_three_servers_each_with_its_own_key(
    tunnel: TunnelSetup, make_server: Callable[..., TunnelSetup], keys: Path, home: Path
) -> None:
    first_, second = make_server(Sshd).bastion, make_server(Sshd).bastion
    third = tunnel.bastion
    known = home / ".ssh" / "known_hosts"
    known.write_text(
        first_.known_hosts_line() + second.known_hosts_line() + third.known_hosts_line()
    )
    (home / ".ssh" / "config").write_text(
        "".join(
            f"Host {name}\n HostName 127.0.0.1\n Port {server.port}\n User {USER}\n"
            f" IdentityFile {keys}/{key}\n{more}"
            for name, server, key, more in (
                ("one", first_, "rsa", ""),
                ("two", second, "ecdsa", " ProxyJump one\n"),
                ("three", third, "ed25519", " ProxyJump two\n"),
            )
        )
    )
    more: dict[str, Any] = {"SSH_HOST": "three", "SSH_PORT": "", "SSH_KEY_PATH": ""}
    with tunnel.target(**more) as target:
        connect(target).close()
        steps, failure = check_tunnel(tunnel.settings(**more))
        assert failure is None
        assert [s.hop.split("@")[1].split(":")[0] for s in steps if s.what == "login"] == [
            "one", "two", "three",
        ]  # fmt: skip
        # The loss of any of the servers is noticed.
        first_.drop_connections()
        assert target.tunnel
        target.tunnel.last.join(5)
        loss = target.tunnel.explain()
        assert loss
        assert loss.code is Code.TUNNEL_LOST
    # The host key of each of them is checked.
    known.write_text(first_.known_hosts_line() + third.known_hosts_line())
    error = tunnel.connect_error(**more)
    assert error.code is Code.HOST_KEY_UNKNOWN
    assert "@two" in error.message
    known.write_text(
        first_.known_hosts_line() + second.known_hosts_line() + third.known_hosts_line()
    )
    second.stop()
    error = tunnel.connect_error(**more)
    assert (error.code, error.errno) == (Code.TUNNEL_REFUSED, "ECONNREFUSED")
    assert "@one" in error.message
    second.start()


def test_a_proxy_command_is_used_and_ends_with_the_tunnel(tunnel: TunnelSetup, home: Path) -> None:
    relay = home / "relay.py"
    relay.write_text(
        "import socket, sys, threading, os\n"
        "s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
        "def back():\n"
        "    while d := s.recv(65536): os.write(1, d)\n"
        "    os._exit(0)\n"
        "threading.Thread(target=back).start()\n"
        "while d := os.read(0, 65536): s.sendall(d)\n"
        "os._exit(0)\n"
    )
    (home / ".ssh" / "config").write_text(
        f"Host 127.0.0.1\n  ProxyCommand {sys.executable} {relay} %p\n"
    )
    with tunnel.target() as target:
        connect(target).close()
    (home / ".ssh" / "config").write_text("Host 127.0.0.1\n  ProxyCommand exit 1\n")
    assert tunnel.connect_error().code is Code.TUNNEL_CLOSED
