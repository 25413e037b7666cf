"""The tunnel compared with `ssh -L`: round trips and throughput; and 100 files over a slow link.

Run it by hand; it needs OpenSSH: `python bench/tunnel.py [ROUNDS]`.  Both go through one sshd
to one PostgreSQL, alternating in one run.
"""

from __future__ import annotations

import os
import pwd
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg

sys.path[:0] = [str(Path(__file__).parent.parent)]

from chatdb_cli.embedded.server import EmbeddedServer
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.postgres.connect import connect
from chatdb_cli.postgres.target import open_target
from chatdb_cli.settings.load import load_settings
from tests.support.proxy import Link
from tests.support.sshd import USER, Sshd, free_port, make_key

ONE_WAY_S = 0.025
TURNS, BYTES = 500, 50_000_000


def main(rounds: int = 5) -> None:
    with tempfile.TemporaryDirectory(prefix="chatdb-bench-") as made:
        folder = Path(made)
        folder.chmod(0o711)
        os.environ["HOME"] = made
        embedded = EmbeddedServer(folder / ".chatdb")
        embedded.start()  # for programs that its user may run
        port, postgres = start_postgres(embedded, folder)
        try:
            with Sshd() as sshd:
                measure(sshd, folder, port, rounds)
        finally:
            postgres.terminate()
            postgres.wait()
            embedded.destroy()


def start_postgres(embedded: EmbeddedServer, folder: Path) -> tuple[int, subprocess.Popen[bytes]]:
    """Start a PostgreSQL that listens on loopback, unlike the embedded one."""
    options: dict[str, Any] = {
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "cwd": "/",
    }
    data = folder / "data"
    data.mkdir()
    if os.getuid() == 0:
        owner = Path(embedded.params()["host"]).owner()
        options["user"] = owner
        os.chown(data, pwd.getpwnam(owner).pw_uid, -1)
    programs = embedded.programs
    initdb = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"]
    subprocess.run(initdb, check=True, **options)
    port = free_port()
    command = ["postgres", "-D", str(data), "-p", str(port), "-F", "-h", "127.0.0.1"]
    command += ["-c", "unix_socket_directories="]
    process = subprocess.Popen([programs / command[0], *command[1:]], **options)
    for _ in range(500):
        with suppress(psycopg.OperationalError):
            psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres").close()
            break
        time.sleep(0.02)
    return port, process


def measure(sshd: Sshd, folder: Path, port: int, rounds: int) -> None:
    key = make_key(folder / "key")
    sshd.authorize(key)
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    forward = free_port()
    (folder / ".ssh").mkdir()
    with Link(sshd.port, ONE_WAY_S) as link:
        known = sshd.known_hosts_line() + sshd.known_hosts_line().replace(
            f":{sshd.port} ", f":{link.port} "
        )
        (folder / ".ssh" / "known_hosts").write_text(known)
        options = ["-N", "-F", "none", "-i", key, "-p", str(sshd.port), "-o"]
        options += [f"UserKnownHostsFile={folder}/.ssh/known_hosts", "-o", "IdentitiesOnly=yes"]
        place = f"{forward}:127.0.0.1:{port}"
        ssh = subprocess.Popen(["ssh", *options, "-L", place, f"{USER}@127.0.0.1"])

        def settings(at: int) -> Any:
            variables = {"DATABASE_URL": url, "SSH_HOST": "127.0.0.1", "SSH_PORT": str(at)}
            variables |= {"SSH_USER": USER, "SSH_KEY_PATH": str(key)}
            return load_settings(environ=variables, cwd=folder)

        try:
            with open_target(settings(sshd.port)) as target:
                compare(
                    lambda: connect(target),
                    lambda: psycopg.connect(url.replace(str(port), str(forward)), autocommit=True),
                    rounds,
                )
        finally:
            ssh.terminate()
            ssh.wait()
        for number in (10, 100):
            over_the_link(settings(link.port), folder / str(number), number)


def compare(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int) -> None:
    turns: dict[str, list[float]] = {"tunnel": [], "ssh -L": []}
    bulk: dict[str, list[float]] = {"tunnel": [], "ssh -L": []}
    time.sleep(1)  # until ssh has logged in
    for _ in range(rounds):
        for name, connected in (("tunnel", ours), ("ssh -L", theirs)):
            with connected() as conn:
                start = time.perf_counter()
                for _ in range(TURNS):
                    conn.execute("SELECT 1")
                turns[name].append((time.perf_counter() - start) / TURNS)
                start = time.perf_counter()
                conn.execute("SELECT repeat('x', %s)", (BYTES,)).fetchone()
                bulk[name].append(time.perf_counter() - start)
    for what, times in (("round trip", turns), (f"{BYTES // 1_000_000} MB", bulk)):
        ratio = statistics.median(times["tunnel"]) / statistics.median(times["ssh -L"])
        print(f"{what:<12} {ratio:.2f} of the time of ssh -L")


def over_the_link(settings: Any, folder: Path, number: int) -> None:
    (folder / "up").mkdir(parents=True)
    for n in range(1, number + 1):
        (folder / "up" / f"{n:04}_t{n}.sql").write_text(f"CREATE TABLE f{number}_{n} (id int);")
    settings = replace(settings, schema=f"s{number}")
    with psycopg.connect(**settings.database.params, autocommit=True) as conn:
        conn.execute(f"CREATE SCHEMA s{number}")
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        with open_target(settings) as target:
            Migrator(target, folder).up()
        seconds.append(time.perf_counter() - start)
    more, link = seconds[0] - seconds[1], f"{2 * ONE_WAY_S * 1000:.0f} ms"
    print(f"{number:>3} files over a link of {link}: {more:.2f} s more than a no-op")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
