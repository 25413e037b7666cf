"""`chatdb migrate lint` compared with squawk: the time for a thousand files, and what each finds.

Run it by hand; it installs squawk-cli from PyPI into a temporary environment: `python bench/lint.py
[FILES] [ROUNDS] [--save]`.  Both read the same files, alternating in one run; the time is that of the
whole command.  It fails if squawk has a rule that docs/rules/compared.md does not name.
"""

from __future__ import annotations

import collections
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT)]

from bench.results import keep

COMPARED = ROOT / "docs" / "rules" / "compared.md"
UP = """\
-- what can be sold, part {n}
CREATE TABLE items_{n} (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL CHECK (length(name) > 0),
  price numeric(12, 2) NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX items_{n}_name_idx ON items_{n} (name);
COMMENT ON TABLE items_{n} IS 'What can be sold.';
INSERT INTO items_{n} (name) VALUES ('one'), ('two');
"""
DOWN = "DROP TABLE items_{n};\n"


def main(files: int = 1000, rounds: int = 5, *, save: bool = False) -> None:
    with tempfile.TemporaryDirectory(prefix="chatdb-bench-") as made:
        folder = Path(made)
        squawk = install(folder / "venv")
        write(folder / "sql", files)
        print(chapter := measure(folder, squawk, files, rounds))
        chapter += found(squawk)
        print(chapter.partition("\n## ")[2])
        check_page(squawk)
        if save:
            keep(chapter)


def install(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    pip = (folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check")
    subprocess.run((*pip, "squawk-cli"), check=True)
    return folder / "bin" / "squawk"


def write(folder: Path, files: int) -> None:
    for direction, text in (("up", UP), ("down", DOWN)):
        (folder / direction).mkdir(parents=True)
        for n in range(files // 2):
            (folder / direction / f"{n:04}_items.sql").write_text(text.format(n=n))


def measure(folder: Path, squawk: Path, files: int, rounds: int) -> str:
    """Return the table of times."""
    paths = sorted(map(str, (folder / "sql").rglob("*.sql")))
    commands = {
        "chatdb": [
            sys.executable,
            "-m",
            "chatdb_cli",
            "migrate",
            "lint",
            "--dir",
            str(folder / "sql"),
        ],
        "squawk": [str(squawk), "--assume-in-transaction", *paths],
        "python": [sys.executable, "-c", "import postgast, typer"],
    }
    times: dict[str, list[float]] = collections.defaultdict(list)
    for turn in range(rounds):
        names = list(commands)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.perf_counter()
            subprocess.run(commands[name], capture_output=True, env=environment(), check=False)
            times[name].append(time.perf_counter() - start)
    version = subprocess.run([squawk, "--version"], capture_output=True, text=True, check=True)
    lines = [
        "# `chatdb migrate lint` compared with squawk",
        "",
        f"Written by `python bench/lint.py {files} {rounds} --save`: {files} files (half of them "
        f"down files), {rounds} rounds, {version.stdout.strip()}, {os.cpu_count()} processors, Python "
        f"{sys.version.split()[0]}. Median of the whole command.",
        "",
        "| | seconds | relative to chatdb |",
        "|---|---:|---:|",
    ]
    for name, taken in times.items():
        ratio = statistics.median(a / b for a, b in zip(taken, times["chatdb"], strict=True))
        lines.append(f"| {name} | {statistics.median(taken):.2f} | **{ratio:.2f}** |")
    lines += [
        "",
        "`python` is Python alone with its imports of the grammar and the command line.",
        "",
    ]
    return "\n".join(lines)


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": str(ROOT)}


def found(squawk: Path) -> str:
    """Return what each tool finds in the files of this repository."""
    with tempfile.TemporaryDirectory(prefix="chatdb-bench-") as made:
        folders = [ROOT / "sql", *tour(Path(made)), *(ROOT / "examples").glob("*/sql")]
        lines = [
            "",
            "## What each finds in `sql/` and `examples/`",
            "",
            "| | tool | found |",
            "|---|---|---|",
        ]
        for folder in folders:
            for tool, counts in (("chatdb", ours(folder)), ("squawk", theirs(squawk, folder))):
                text = ", ".join(f"{rule} {n}" for rule, n in sorted(counts.items())) or "nothing"
                name = "examples/tour.sh" if made in str(folder) else str(folder.relative_to(ROOT))
                lines.append(f"| {name} | {tool} | {text} |")
    return "\n".join(lines) + "\n"


def tour(folder: Path) -> list[Path]:
    """Write the files of the tour, which the script writes itself."""
    script = (ROOT / "examples" / "tour.sh").read_text()
    for text, name in re.findall(r"^echo '(.*)' >(sql/\S+)$", script, re.MULTILINE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{text}\n")
    # Its third file has a mistake on purpose.
    for path in (folder / "sql").rglob("0003*"):
        path.unlink()
    return [folder / "sql"]


def ours(folder: Path) -> collections.Counter[str]:
    command = [sys.executable, "-m", "chatdb_cli", "migrate", "lint", "--format", "json", "--dir"]
    done = subprocess.run(
        [*command, str(folder)], capture_output=True, text=True, env=environment(), check=False
    )
    return collections.Counter(f["rule"] for f in json.loads(done.stdout)["findings"])


def theirs(squawk: Path, folder: Path) -> collections.Counter[str]:
    paths = sorted(map(str, (folder / "up").glob("*.sql")))
    done = subprocess.run(
        [str(squawk), "--reporter", "json", "--assume-in-transaction", *paths],
        capture_output=True,
        text=True,
        check=False,
    )
    return collections.Counter(f["rule_name"] for f in json.loads(done.stdout or "[]"))


def check_page(squawk: Path) -> None:
    """Compare the names that the page has with those that squawk knows."""
    page = set(re.findall(r"^\| `([a-z-]+)`", COMPARED.read_text(), re.MULTILINE))
    # squawk lists its rules nowhere; the names are in its binary, one after the other.
    binary = next(p for p in squawk.parent.parent.rglob("*squawk*") if is_binary(p)).read_bytes()
    listed = re.search(rb"require-concurrent-index-creationrequire[a-z-]{500,}", binary)
    missing = []
    rest = listed[0].decode() if listed else ""
    while rest:
        name = max((n for n in page if rest.startswith(n)), key=len, default="")
        if not name:
            missing.append(rest[:60])
            break
        rest = rest[len(name) :]
    if missing or not listed:
        sys.exit(f"docs/rules/compared.md does not name: {missing or 'no list in the binary'}")
    print(f"docs/rules/compared.md names all of squawk's rules ({len(page)})")


def is_binary(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 1_000_000


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdecimal()]
    main(*numbers, save="--save" in sys.argv)
