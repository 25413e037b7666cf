"""A tunnel leaves no thread, socket or process, however it ends; the fixture _no_leaks checks it."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

import chatdb_cli
from chatdb_cli.postgres.target import open_target
from chatdb_cli.ssh.model import TunnelStep
from tests.support.project import Project
from tests.support.servers import on_first_server
from tests.support.ssh import (
    TunnelSetup,
    can_connect,
    silent_port,
    start_command,
    through_two_hops,
    wait_for,
)
from tests.support.sshd import descendants, free_port

pytestmark = on_first_server  # these do not depend on the version of PostgreSQL


def test_an_interrupt_after_any_step_of_a_tunnel_leaves_nothing_behind(
    tunnel: TunnelSetup, home: Path
) -> None:
    settings = tunnel.settings(**through_two_hops(tunnel, home))
    steps: list[TunnelStep] = []
    open_target(settings, note=steps.append).close()
    assert len(steps) == 8
    for number in range(len(steps)):

        def note(step: TunnelStep, last: TunnelStep = steps[number]) -> None:
            if (step.hop, step.what) == (last.hop, last.what):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            open_target(settings, note=note)


@pytest.mark.parametrize("banner", [b"", b"SSH-2.0-mute\r\n"])
def test_an_interrupt_while_a_host_is_silent_leaves_nothing_behind(
    tunnel: TunnelSetup, banner: bytes
) -> None:
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    with silent_port(banner) as (port, _):
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            tunnel.target(SSH_PORT=str(port))
        timer.join()


def test_an_interrupt_while_a_user_is_asked_leaves_nothing_behind(
    tunnel: TunnelSetup, keys: Path
) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_target(tunnel.settings(SSH_KEY_PATH=str(keys / "rsa_locked")), ask=interrupt)
    with pytest.raises(KeyboardInterrupt):
        tunnel.target(interrupt, SSH_PORT=str(free_port()), SSH_MAX_RETRIES="1")


def test_two_tunnels_of_one_process_are_independent(tunnel: TunnelSetup) -> None:
    with chatdb_cli.open_tunnel(tunnel.settings()) as first:
        with chatdb_cli.open_tunnel(tunnel.settings()) as second:
            assert first.port != second.port
            for opened in (first, second):
                psycopg.connect(opened.url).close()
        assert not can_connect(second.url)
        psycopg.connect(first.url).close()
    first.close()  # closing twice is harmless
    with suppress(ZeroDivisionError), chatdb_cli.open_tunnel(tunnel.settings()) as third:
        conn = psycopg.connect(third.url)
        raise ZeroDivisionError
    with pytest.raises(psycopg.OperationalError):
        conn.execute("SELECT 1")
    conn.close()


def test_a_signal_ends_the_command_and_its_children_at_any_stage(
    tunnel: TunnelSetup, project: Project, home: Path
) -> None:
    (home / ".ssh" / "config").write_text("Host by-command\n ProxyCommand sleep 1000\n")
    with (
        silent_port(b"SSH-2.0-mute\r\n") as (bastion, bastion_reached),
        silent_port() as (database, database_reached),
    ):
        # The settings that hold the command at a stage, and the signal that ends it there.
        stages: list[tuple[dict[str, str], int]] = [
            ({"SSH_HOST": "by-command"}, signal.SIGTERM),
            ({"SSH_PORT": str(bastion)}, signal.SIGINT),
            ({"SSH_PORT": str(free_port()), "SSH_MAX_RETRIES": "1", "SSH_RETRY_DELAY": "60s"},
             signal.SIGTERM),
            ({"DATABASE_URL": f"postgresql://u@127.0.0.1:{database}/d",
              "CHATDB_CONNECT_TIMEOUT": "60s"}, signal.SIGINT),
        ]  # fmt: skip
        running = [
            start_command(project, tunnel.variables | more, "migrate", "status", "--dir", "@chat")
            for more, _ in stages
        ]
        wait_for(lambda: descendants(running[0].pid))
        child_pids = descendants(running[0].pid)
        assert running[2].stderr
        assert "trying again in 60 s (1 of 1)" in running[2].stderr.readline()
        assert bastion_reached.wait(20)
        assert database_reached.wait(20)
        for process, (_, number) in zip(running, stages, strict=True):
            process.send_signal(number)
        for process, (_, number) in zip(running, stages, strict=True):
            out, err = process.communicate(timeout=20)
            assert (process.returncode, out) == (128 + number, ""), err
            lines = [line for line in err.splitlines() if line and not line.startswith("files: ")]
            assert lines in (["error: interrupted"], ["error: terminated"])
    for pid in child_pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_tunnel_never_shows_a_secret(tunnel: TunnelSetup, keys: Path) -> None:
    more: dict[str, Any] = {
        "SSH_KEY_PATH": str(keys / "rsa_locked"),
        "SSH_KEY_PASSPHRASE": "open sesame",
    }
    settings = tunnel.settings(**more)
    with open_target(settings) as target:
        assert (
            "open sesame"
            not in f"{settings!r} {target!r} {target.tunnel!r} {vars(target.tunnel)!r}"
        )
    flag = tunnel.settings({"ssh_key_passphrase": "open sesame"})
    assert any("--ssh-key-passphrase" in warning for warning in flag.warnings)
    assert "open sesame" not in str(flag.warnings)
