"""Host keys: which servers known_hosts trusts."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.settings.load import load_settings
from chatdb_cli.ssh.session import Route
from chatdb_cli.ssh.transport import shut
from tests.support.database import Database
from tests.support.proxy import Proxy
from tests.support.servers import on_first_server
from tests.support.ssh import TunnelSetup, known_hosts_fields, make_tunnel_setup
from tests.support.ssh_server import SshServer
from tests.support.sshd import USER

pytestmark = on_first_server  # these do not depend on the version of PostgreSQL


def test_an_unknown_host_is_refused_and_the_hint_has_the_line_that_adds_it(
    any_tunnel: TunnelSetup, home: Path
) -> None:
    file = home / ".ssh" / "known_hosts"
    file.write_text("# nobody\n")
    error = any_tunnel.connect_error()
    public = any_tunnel.bastion.folder / "ed25519.pub"
    result = subprocess.run(["ssh-keygen", "-lf", public], capture_output=True, text=True)
    fingerprint = result.stdout.split()[1]
    assert (error.code, error.exit) == (Code.HOST_KEY_UNKNOWN, 4)
    assert fingerprint in error.message
    assert f"add this line to {file}: " in (error.hint or "")
    file.write_text((error.hint or "").partition(f"{file}: ")[2] + "\n")
    any_tunnel.target().close()


def test_an_unknown_host_receives_no_credentials(
    python_server: SshServer, proxy: Proxy, shared_database: Database, keys: Path, home: Path
) -> None:
    tunnel = make_tunnel_setup(python_server, proxy, shared_database, keys, home)
    (home / ".ssh" / "known_hosts").unlink()
    before = list(python_server.logins)
    assert tunnel.connect_error().code is Code.HOST_KEY_UNKNOWN
    assert python_server.logins == before


OTHER = "AAAAC3NzaC1lZDI1NTE5AAAAIJfyfDjUR9CIGPXGvmV17Ms4OhANgyYmvl0v2O2Bv2Cz"
# Lines of known_hosts, with {name}, {kind} and {key} of the bastion, and the error that they cause.
KNOWN: dict[str, Code | None] = {
    "{name} {kind} {key}": None,
    "{name} {kind} {key} a comment": None,
    "# first\r\n\r\nother ssh-ed25519 !!\n{name}\t{kind}\t{key}\r\n": None,
    "a.example,{name},b.example {kind} {key}": None,
    "[127.0.0.*]:{port} {kind} {key}": None,
    "[127.0.?.1]:{port} {kind} {key}": None,
    "{hashed} {kind} {key}": None,
    "{name} ssh-ed25519 " + OTHER + "\n{name} {kind} {key}": None,  # a key that is being replaced
    "{name} ssh-rsa {rsa}": None,  # the server is asked for the type that is known
    "{name} ecdsa-sha2-nistp256 {ecdsa}": None,
    "@revoked * ssh-ed25519 " + OTHER + "\n{name} {kind} {key}": None,
    "127.0.0.1 {kind} {key}": Code.HOST_KEY_UNKNOWN,  # that is port 22
    "[127.0.0.1]:1 {kind} {key}": Code.HOST_KEY_UNKNOWN,
    "[127.0.0.*]:{port},!{name} {kind} {key}": Code.HOST_KEY_UNKNOWN,
    "@cert-authority {name} {kind} {key}": Code.HOST_KEY_UNKNOWN,
    "#{name} {kind} {key}": Code.HOST_KEY_UNKNOWN,
    "{name} {kind}": Code.HOST_KEY_UNKNOWN,
    "{name} ssh-ed25519 " + OTHER: Code.HOST_KEY_CHANGED,
    "{hashed} ssh-ed25519 " + OTHER: Code.HOST_KEY_CHANGED,
    "{name} ssh-rsa " + OTHER: Code.HOST_KEY_CHANGED,
    "@revoked {name} {kind} {key}\n{name} {kind} {key}": Code.HOST_KEY_REVOKED,
    "{name} {kind} {key}\n@revoked * {kind} {key}": Code.HOST_KEY_REVOKED,
    "@revoked {hashed} {kind} {key}\n{name} {kind} {key}": Code.HOST_KEY_REVOKED,
}


@pytest.fixture(scope="module")
def hashed(sshd_or_python: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the name of the bastion as ssh-keygen hashes it."""
    file = tmp_path_factory.mktemp("hashed") / "known_hosts"
    file.write_text(sshd_or_python.known_hosts_line())
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    return file.read_text().split()[0]


@pytest.mark.parametrize("lines", KNOWN)
def test_only_a_known_host_key_is_trusted(
    lines: str, sshd_or_python: Any, hashed: str, keys: Path, home: Path
) -> None:
    name, kind, key = known_hosts_fields(sshd_or_python)
    text = lines.format(
        name=name,
        kind=kind,
        key=key,
        port=sshd_or_python.port,
        hashed=hashed,
        rsa=known_hosts_fields(sshd_or_python, "rsa")[2],
        ecdsa=known_hosts_fields(sshd_or_python, "ecdsa")[2],
    )
    (home / ".ssh" / "known_hosts").write_text(text)
    settings = load_settings(environ=ssh_variables(sshd_or_python, keys), cwd=Path("/"))
    assert settings.bastion
    route = Route(settings.bastion, 2, lambda _: None, lambda _: None)
    expected = KNOWN[lines]
    if expected is None:
        shut(route.open())
        return
    with pytest.raises(ChatdbError) as caught:
        route.open()
    assert (caught.value.code, caught.value.exit) == (expected, 4)
    assert "SHA256:" in caught.value.message
    if expected is not Code.HOST_KEY_UNKNOWN:
        assert f"{home}/.ssh/known_hosts:1" in caught.value.notes[0] or "known_hosts:2" in str(
            caught.value.notes
        )


def ssh_variables(bastion: Any, keys: Path) -> dict[str, str]:
    return {
        "SSH_HOST": "127.0.0.1",
        "SSH_PORT": str(bastion.port),
        "SSH_USER": USER,
        "SSH_KEY_PATH": str(keys / "ed25519"),
        "SSH_MAX_RETRIES": "0",
    }


def test_an_unreadable_known_hosts_file_is_an_error(tunnel: TunnelSetup, home: Path) -> None:
    error = tunnel.connect_error(SSH_KNOWN_HOSTS=str(home))
    assert (error.code, error.errno) == (Code.TUNNEL, "EISDIR")
