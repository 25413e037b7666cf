"""`chatdb tunnel`."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import psycopg
import pytest

from tests.support.chatdb import Chatdb
from tests.support.examples import run_example
from tests.support.paths import ROOT
from tests.support.project import Project
from tests.support.records import check_records
from tests.support.servers import on_first_server
from tests.support.ssh import TunnelSetup, can_connect, start_command, wait_for
from tests.support.sshd import USER, free_port

pytestmark = on_first_server  # these do not depend on the version of PostgreSQL


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_command_reopens_a_lost_tunnel_and_ends_cleanly(
    number: int, code: int, tunnel: TunnelSetup, project: Project
) -> None:
    env = tunnel.variables | {"PGPASSWORD": "hunter2", "SSH_KEY_PASSPHRASE": "hunter2"}
    process = start_command(project, env, "tunnel")
    assert process.stdout
    url = process.stdout.readline().strip()
    psycopg.connect(url).close()
    tunnel.bastion.drop_connections()
    wait_for(lambda: can_connect(url))
    tunnel.bastion.stop()
    try:
        assert not can_connect(url)
    finally:
        tunnel.bastion.start()
    wait_for(lambda: can_connect(url))  # the same URL as before
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert out == ""
    for line in ("connection 1 opened", "connection 1 closed after ", "was lost: ",
                 "the tunnel is open again", "the tunnel is closed"):  # fmt: skip
        assert line in err
    assert "error" not in err
    assert "hunter2" not in url + err


def test_the_command_prints_its_port_and_accepts_one(
    tunnel: TunnelSetup, project: Project, offline: Chatdb
) -> None:
    port = free_port()
    process = start_command(
        project, tunnel.variables, "tunnel", "--port", str(port), "--format", "json"
    )
    assert process.stdout
    document = json.loads(process.stdout.readline())
    assert document["local"] == {"host": "127.0.0.1", "port": port}
    assert document["target"]["via"] == f"{USER}@127.0.0.1:{tunnel.bastion.port}"
    psycopg.connect(document["url"]).close()
    second = tunnel.run(offline, "tunnel", "--port", str(port))
    assert (second.code, second.out) == (4, "")
    assert "[EADDRINUSE]" in second.err
    process.terminate()
    process.communicate(timeout=20)


README = (ROOT / "README.md").read_text(encoding="utf-8")


def table(text: str) -> list[list[str]]:
    """Return the cells of a printed table, without what differs each time: times, keys, versions."""
    text = re.sub(r"SHA256:\S+ \(.*?\)", "KEY", text)
    text = re.sub(r"(SSH-2.0-|PostgreSQL )\S.*", r"\1", text)
    rows = [re.split(" {2,}", line.strip()) for line in text.splitlines()]
    return [[*row[:3], *row[4:]] for row in rows]


def test_tunnel_check_prints_each_step_as_the_readme_shows(
    tunnel: TunnelSetup, offline: Chatdb, keys: Path
) -> None:
    result = tunnel.run(offline, "tunnel", "check")
    assert result.code == 0, result.err
    names = {
        f"127.0.0.1:{tunnel.proxy.port}/{tunnel.database.name}": "db.internal:5432/shop",
        f"127.0.0.1:{tunnel.proxy.port}": "db.internal:5432",
        f"{USER}@127.0.0.1:{tunnel.bastion.port}": "ops@bastion",
        f"{USER} with": "ops with",
        "postgres@db.internal": "app@db.internal",
    }
    for printed, in_readme in names.items():
        result.out = result.out.replace(printed, in_readme)
    _, _, sample = README.partition("$ chatdb tunnel check\n")
    assert table(result.out) == table(sample.partition("```")[0])
    stranger = {"SSH_KEY_PATH": str(keys / "stranger")}
    result = tunnel.run(offline, "tunnel", "check", "--format", "json", **stranger)
    assert result.code == 4
    assert [(s["step"], s["state"]) for s in result.document["steps"]] == [
        ("keys", "ok"), ("connect", "ok"), ("host key", "ok"), ("login", "failed"),
    ]  # fmt: skip
    assert (result.document["ok"], result.document["error"]["code"]) == (False, "tunnel-login")
    assert "error: " in result.err


def test_without_a_bastion_the_command_names_the_setting(
    offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://app@db.internal/chat")
    for arguments in (["tunnel"], ["tunnel", "check"]):
        result = offline(*arguments)
        assert result.code == 2
        assert "SSH_HOST" in result.err


def test_the_example_of_the_library_page_runs(tunnel: TunnelSetup, project: Project) -> None:
    result = run_example("tunnel", project, **tunnel.variables)
    assert result.returncode == 0, result.stderr
    assert "PostgreSQL" in result.stdout
    assert result.stderr == ""


def test_the_tunnel_is_logged_from_its_opening_to_its_end(
    tunnel: TunnelSetup, offline: Chatdb
) -> None:
    result = tunnel.run(
        offline, "migrate", "status", "--dir", "@chat", "--log-format", "json", "-v"
    )
    assert result.code == 0
    records = [r for r in check_records(result.err) if r["event"] == "tunnel"]
    assert [r["data"]["state"] for r in records if r["level"] == "info"] == [
        "open", "connection-opened", "connection-closed", "closed",
    ]  # fmt: skip
    steps = [r["data"]["step"] for r in records if r["level"] == "debug"]
    assert steps == ["keys", "connect", "host key", "login"]
    wrong = tunnel.run(
        offline, "tunnel", "check", "--log-format", "json", SSH_PORT="1", SSH_MAX_RETRIES="0"
    )
    assert wrong.code == 4
    (error,) = (r for r in check_records(wrong.err) if r["event"] == "error")
    assert error["data"]["code"] == "tunnel-refused"
