"""How long a command takes that has nothing to do, against a script that only connects.

    python bench/startup.py URL [ROUNDS]

The script imports psycopg, connects and reads one row.  The commands are `migrate up` and `migrate
status` in a project of 10 files that are all applied.  Each round runs all of them in turn, so that the
load of the machine is the same for each; the medians of the processor and wall times are printed, with
their ratios to the script.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCRIPT = (
    "import os, psycopg\n"
    "with psycopg.connect(os.environ['DATABASE_URL']) as conn:\n"
    "    print(conn.execute('SELECT 1').fetchone())\n"
)
FILES = 10


def measure(command: list[str], environment: dict[str, str], folder: Path) -> tuple[float, float]:
    """Run a command, and return its wall time and its processor time, in milliseconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (time.perf_counter() - start) * 1000, used * 1000


def main() -> None:
    """Print the medians."""
    url, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 15
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": url, "LC_ALL": "C.UTF-8"}
    chatdb = [str(Path(sys.executable).with_name("chatdb")), "migrate"]
    schema = f"startup_{os.getpid()}"
    options = ["--schema", schema]
    commands = {
        "script": [sys.executable, "-c", SCRIPT],
        "up": [*chatdb, "up", *options],
        "status": [*chatdb, "status", *options],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for direction, text in (
            ("up", "CREATE TABLE t{0} (id int);"),
            ("down", "DROP TABLE t{0};"),
        ):
            (folder / "sql" / direction).mkdir(parents=True)
            for n in range(1, FILES + 1):
                (folder / "sql" / direction / f"{n:04}_t{n}.sql").write_text(text.format(n))
        measure([chatdb[0], "setup", *options], environment, folder)
        times: dict[str, list[tuple[float, float]]] = {key: [] for key in commands}
        for _ in range(rounds):
            for key, command in commands.items():
                times[key].append(measure(command, environment, folder))
        measure([*chatdb, "down", "--all", *options], environment, folder)
    medians = {
        key: tuple(statistics.median(column) for column in zip(*rows, strict=True))
        for key, rows in times.items()
    }
    wall, used = medians["script"]
    for key, (key_wall, key_used) in medians.items():
        print(
            f"{key:<8} {key_wall:7.0f} ms wall ({key_wall / wall:.2f})"
            f" {key_used:7.0f} ms processor ({key_used / used:.2f})"
        )


if __name__ == "__main__":
    main()
