"""Keys, their passphrases, and the agent."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.target import open_target
from chatdb_cli.settings.load import load_settings
from tests.support.paths import ROOT
from tests.support.project import Project
from tests.support.servers import on_first_server
from tests.support.ssh import TunnelSetup, key_fingerprint, needs_sshd

pytestmark = on_first_server  # these do not depend on the version of PostgreSQL


PKCS8 = ["ed25519_pkcs8", "ecdsa_pkcs8", "rsa_pkcs8"]


@pytest.mark.parametrize("name", ["ed25519", "ecdsa", "rsa", *PKCS8])
def test_keys_of_every_type_log_in(name: str, any_tunnel: TunnelSetup, keys: Path) -> None:
    any_tunnel.target(SSH_KEY_PATH=str(keys / name)).close()


@pytest.mark.parametrize(
    "name", ["ed25519_locked", "ecdsa_locked", "rsa_locked", "rsa_pem", "rsa_pkcs8_locked"]
)
def test_an_encrypted_key_is_decrypted_by_the_setting_or_the_prompt(
    name: str, tunnel: TunnelSetup, keys: Path
) -> None:
    key = str(keys / name)
    tunnel.target(SSH_KEY_PATH=key, SSH_KEY_PASSPHRASE="open sesame").close()
    questions: list[str] = []

    def ask(question: str) -> str:
        questions.append(question)
        return "open sesame"

    open_target(tunnel.settings(SSH_KEY_PATH=key), ask=ask).close()
    assert questions == [f"passphrase of {key}: "]


def test_a_passphrase_is_asked_for_on_a_terminal(
    tunnel: TunnelSetup, project: Project, keys: Path
) -> None:
    env = tunnel.variables | {"SSH_KEY_PATH": str(keys / "ed25519_locked")}
    output = run_on_a_terminal(project, env, "open sesame\n", "tunnel", "check")
    assert "passphrase of " in output
    assert "PostgreSQL" in output
    assert "open sesame" not in output


def run_on_a_terminal(project: Project, env: dict[str, str], typed: str, *arguments: str) -> str:
    import pty

    master, slave = pty.openpty()
    root = str(ROOT)
    process = subprocess.Popen(
        project.command(*arguments),
        cwd=project.path,
        env=project.environment(PYTHONPATH=root, **env),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    output = b""
    with suppress(OSError):
        while data := os.read(master, 4096):
            output += data
            if b"passphrase" in output and typed:
                time.sleep(0.1)  # until the terminal stops echoing
                os.write(master, typed.encode())
                typed = ""
    os.close(master)
    process.wait(20)
    return output.decode()


def write_bad_keys(folder: Path, keys: Path) -> None:
    good = (keys / "ed25519").read_bytes()
    for name, mode in (("open", 0o644), ("group", 0o640)):
        (folder / name).write_bytes(good)
        (folder / name).chmod(mode)
    (folder / "folder").mkdir()
    (folder / "junk").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nnothing\n")
    (folder / "junk").chmod(0o600)
    (folder / "empty").touch(0o600)
    (folder / "public").write_bytes((keys / "ed25519.pub").read_bytes())
    (folder / "public").chmod(0o600)
    (folder / "locked").write_bytes((keys / "ed25519_locked").read_bytes())
    (folder / "locked").chmod(0o600)


BAD_KEYS = [
    ("nowhere", "", Code.KEY_MISSING, "ENOENT", " does not exist"),
    ("folder", "", Code.KEY_UNREADABLE, "EISDIR", "is a directory"),
    ("open", "", Code.KEY_TOO_OPEN, None, "mode 0644"),
    ("group", "", Code.KEY_TOO_OPEN, None, "mode 0640"),
    ("locked", "", Code.KEY_LOCKED, None, "none was given"),
    ("locked", "open window", Code.KEY_LOCKED, None, "does not unlock"),
    ("junk", "", Code.KEY_INVALID, None, "not a usable private key"),
    ("empty", "", Code.KEY_INVALID, None, "not a usable private key"),
    ("public", "", Code.KEY_INVALID, None, "is a public key"),
]


@pytest.mark.parametrize(("name", "passphrase", "code", "errno", "part"), BAD_KEYS)
def test_an_unusable_key_is_named_with_the_reason_before_connecting(
    name: str, passphrase: str, code: Code, errno: str | None, part: str, tmp_path: Path, keys: Path
) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    write_bad_keys(folder, keys)
    variables = {"SSH_HOST": "192.0.2.1", "SSH_KEY_PATH": str(folder / name)}
    variables |= {"SSH_KEY_PASSPHRASE": passphrase, "DATABASE_URL": "postgresql://app@db/chat"}
    with pytest.raises(ChatdbError) as caught:
        open_target(load_settings(environ=variables, cwd=Path("/")))
    error = caught.value
    assert (error.code, error.exit, error.errno) == (code, 4, errno)
    assert part in error.message
    assert str(folder / name) in error.message
    assert error.hint
    assert "open window" not in f"{error} {error.hint} {error.notes}"


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Start an ssh-agent without keys, and return a function that adds one."""
    sock = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", sock], stdout=subprocess.DEVNULL)
    while not sock.exists():
        time.sleep(0.01)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(sock))

    def add(key: Path) -> None:
        subprocess.run(["ssh-add", "-q", key], check=True, stdin=subprocess.DEVNULL)

    yield add
    process.terminate()
    process.wait()


@needs_sshd  # asyncssh ends the session at the second key
def test_the_agent_is_used_without_a_named_key_or_when_set(
    tunnel: TunnelSetup, keys: Path, agent: Callable[[Path], None]
) -> None:
    assert "the agent has none" in tunnel.connect_error(SSH_KEY_PATH="").message
    agent(keys / "stranger")
    agent(keys / "ecdsa")
    tunnel.target(SSH_KEY_PATH="").close()
    assert tunnel.connect_error(SSH_KEY_PATH="", SSH_AGENT="false").code is Code.TUNNEL_LOGIN
    # Only the named key is tried.
    error = tunnel.connect_error(SSH_KEY_PATH=str(keys / "stranger"))
    assert [n for n in error.notes if n.startswith("tried")] == [
        f"tried ssh-ed25519 {key_fingerprint(keys / 'stranger')} ({keys / 'stranger'})"
    ]
    tunnel.target(SSH_KEY_PATH=str(keys / "stranger"), SSH_AGENT="true").close()
    # A locked key that the agent has needs no passphrase.
    tunnel.target(SSH_KEY_PATH=str(keys / "ed25519_locked"), SSH_AGENT="true").close()


@pytest.fixture
def silent_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A socket in place of an agent, at which nobody answers."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "agent"))
        server.listen(1)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        yield server


@needs_sshd
@pytest.mark.parametrize("full", [False, True], ids=["accepts", "accepts nobody"])
def test_an_agent_that_never_answers_is_named_after_the_connect_timeout(
    tunnel: TunnelSetup, silent_agent: socket.socket, tmp_path: Path, full: bool
) -> None:
    with ExitStack() as stack:
        for _ in range(3 if full else 0):  # what the kernel accepts for it
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(str(tmp_path / "agent"))
        error = tunnel.connect_error(SSH_KEY_PATH="", CHATDB_CONNECT_TIMEOUT="300ms")
        for thread in threading.enumerate():
            while thread.name == "chatdb-ssh-agent" and thread.is_alive():
                silent_agent.accept()[0].close()  # makes room: the kernel lets it connect, too late
                thread.join(0.1)
    assert (error.code, error.exit, error.errno) == (Code.AGENT_SILENT, 4, "ETIMEDOUT")
    assert error.message == "the ssh-agent (SSH_AUTH_SOCK) did not answer within 0.3 s"
    assert "SSH_AGENT=false" in str(error.hint)


@contextmanager
def never_signing(path: Path, agent: Path) -> Iterator[None]:
    """Answer at `path` what another agent answers, but never a request to sign."""
    sign_request = 13

    def serve() -> None:
        with suppress(OSError), server.accept()[0] as client, socket.socket(socket.AF_UNIX) as real:
            real.connect(str(agent))
            while size := client.recv(4):
                body = client.recv(int.from_bytes(size, "big"))
                if body[0] != sign_request:
                    real.sendall(size + body)
                    client.sendall(real.recv(65536))

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@needs_sshd
def test_an_agent_that_lists_keys_and_never_signs_is_named(
    tunnel: TunnelSetup,
    keys: Path,
    agent: Callable[[Path], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent(keys / "ed25519")
    with never_signing(tmp_path / "mute", tmp_path / "agent"):
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "mute"))
        error = tunnel.connect_error(SSH_KEY_PATH="", CHATDB_CONNECT_TIMEOUT="300ms")
    assert (error.code, error.exit) == (Code.AGENT_SILENT, 4)
