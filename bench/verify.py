"""What `chatdb verify` costs: as multiples of the commands that it is made of.

Run it by hand: `python bench/verify.py [ROUNDS]`.  Each round runs every command once on the chat
schema, on an embedded server, and the ratios are those of one round, so that a slow moment changes both
sides.

    lint               chatdb migrate lint: the yardstick of --offline, which may take 1.5 times as long
    offline            chatdb verify --offline
    status, drift, rehearse
                       chatdb migrate status, drift, rehearse, whose sum is the yardstick of the others
    skip rollback      chatdb verify --skip rollback: 4 s at most
    all                chatdb verify: 15 s at most
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT)]

from chatdb_cli.embedded.server import EmbeddedServer

COMMANDS = {
    "lint": ["migrate", "lint"],
    "offline": ["verify", "--offline"],
    "status": ["migrate", "status"],
    "drift": ["migrate", "drift"],
    "rehearse": ["migrate", "rehearse"],
    "skip rollback": ["verify", "--skip", "rollback"],
    "all": ["verify"],
}
# What each is compared with, and the seconds that it may take.
COMPARED = {
    "offline": ("lint",),
    "skip rollback": ("lint", "status", "drift"),
    "all": ("lint", "status", "drift", "rehearse"),
}
LIMITS = {"skip rollback": 4, "all": 15}


def measure(server: EmbeddedServer, arguments: list[str]) -> float:
    """Run a command on the shipped files, and return how long it took, in seconds."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(server.home)}
    command = [sys.executable, "-m", "chatdb_cli", *arguments, "--dir", "@chat", "--quiet"]
    begin = time.perf_counter()
    subprocess.run(
        [*command, "-d", server.url("chat")], env=environment, cwd=server.home.parent,
        check=True, capture_output=True,
    )  # fmt: skip
    return time.perf_counter() - begin


def main() -> None:
    rounds = int(sys.argv[1]) if sys.argv[1:] else 3
    with tempfile.TemporaryDirectory(prefix="chatdb-bench-") as folder:
        Path(folder).chmod(0o711)  # as root the server runs as another user
        server = EmbeddedServer(Path(folder) / ".chatdb")
        server.start()
        try:
            measure(server, ["setup"])
            times = [
                {name: measure(server, arguments) for name, arguments in COMMANDS.items()}
                for _ in range(rounds)
            ]
        finally:
            server.destroy()
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    print(f"the chat schema, {rounds} rounds, median; {load:.1f} processes a core are running")
    for name in COMMANDS:
        seconds = statistics.median(t[name] for t in times)
        line = f"{name:14} {seconds:6.2f} s"
        if parts := COMPARED.get(name):
            ratio = statistics.median(t[name] / sum(t[part] for part in parts) for t in times)
            line += f" {ratio:5.2f} x {' + '.join(parts)}"
        if limit := LIMITS.get(name):
            line += f", at most {limit} s"
        print(line)


if __name__ == "__main__":
    main()
