"""Write library.md from the docstrings of the public API and the examples; `make docs` runs this script.

What belongs here: the order and the form of that document.  What does not belong here: the text about a
name, which is its docstring, and the examples, which are in `examples/` and run by a test.
"""

from __future__ import annotations

import enum
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import chatdb_cli
from chatdb_cli import _EXPORTS

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = Path(__file__).with_name("library.md")
EXAMPLES = Path(__file__).with_name("examples")

HEAD = """\
<!-- Made by docs/library.py: correct the docstrings in chatdb_cli, and run "make docs". -->

# The library

Everything that the command line does can be done from Python. The functions take values and return
values; they raise `ChatdbError` (docs/errors.md lists its codes), and never print or exit.
`load_settings` alone reads the environment and .env files. A hint of an error names arguments and
functions of this library; on the command line the same hint names its flags and commands.

    import chatdb_cli
"""

# The tasks, in this order; each is a file of examples/.
TASKS = (
    "setup", "migrate", "errors", "test_schema", "listen", "health", "metrics", "seed", "docs", "tunnel",
    "verify",
)  # fmt: skip
# Every public name, in the order of the reference.
SECTIONS = {
    "Settings and targets": (
        "load_settings", "Settings", "LintSettings", "CountsSettings", "Database", "Bastion",
        "open_target", "Target", "connect", "open_pool", "wait_for_server",
    ),
    "Setup": (
        "init_project", "InitResult",
        "setup", "setup_test_schema", "setup_test_database", "clear_test_data",
        "drop_test_schema", "drop_test_database", "settings_for_tests",
    ),
    "Migrations": (
        "Migrator", "new_migration", "Status", "Finding", "Run", "Step", "StepResult", "Loss",
        "Progress", "Event", "MigrationError", "Marks", "Mark", "Repairs", "Repair",
        "LogEntry", "AppliedMigration",
        "Unfinished", "Migration", "Script", "Directives", "Folder", "History", "HistoryAccess",
        "YoyoLock",
        "StatementWatch", "Confines",
    ),
    "Logs": ("JsonLines",),
    "Change events": (
        "listen", "Listener", "Batch", "Change", "read_cursor", "write_cursor", "signals_deferred",
    ),
    "Health": ("check_health", "is_healthy", "HealthWatch", "Health", "Check", "HealthServer"),
    "Counts": (
        "count_rows", "Counts", "TableCount", "Checksum", "CountedColumn", "Source", "LeftOut",
        "CountProgress", "SequenceValue", "compare_counts", "compare_with_saved", "save_counts",
        "read_counts", "SavedCounts", "settings_against", "OtherSide", "CountsComparison",
        "ComparedTable", "RowDifference", "ComparedSequence", "Place",
    ),
    "Seed": ("seed_files", "seed_small", "seed_at_scale", "Seeded", "SeedProgress"),
    "Documentation of a schema": (
        "read_schema", "describe_schema", "write_schema_docs", "schema_markdown", "FileState",
        "SchemaDocs", "Relation",
        "Column", "Constraint", "ForeignKey", "Index", "Trigger", "Policy", "Function", "Type",
    ),
    "Verification": ("verify_project", "Verdict", "CheckResult"),
    "Rehearsals and drift": (
        "rehearse_migrations", "check_drift", "Rehearsal", "VersionRehearsal", "RehearsalFailure",
        "LockReport", "StatementLock", "RehearsalProgress", "Drift",
    ),
    "Snapshots of a schema": (
        "read_snapshot", "compare_snapshots", "format_snapshot", "parse_snapshot",
        "save_snapshot", "load_snapshot", "Snapshot", "SchemaObject", "Unread",
        "Comparison", "Difference",
    ),
    "Lint": (
        "lint_files", "lint_options", "read_live_database", "write_fixes", "find_rule", "LintOptions",
        "LintResult", "FileChange", "LiveDatabase", "Rule",
    ),
    "Tunnel": ("open_tunnel", "check_tunnel", "Tunnel", "TunnelStep"),
    "Embedded server": ("EmbeddedServer", "ServerStatus"),
    "Errors": ("ChatdbError", "Code", "Exit", "Location", "Remedy", "Advice"),
}  # fmt: skip
_HEADING = re.compile(r"(Args|Attributes|Raises|Returns|Yields):")
_ENTRY = re.compile(r"(\w+): (.*)")
_TITLES = {"Args": "Arguments"}


def document() -> str:
    """Return the whole of library.md."""
    parts = [HEAD, "## Tasks\n", *map(_task, TASKS)]
    for title, names in SECTIONS.items():
        parts.append(f"## {title}\n")
        parts += [part for name in names for part in _reference(name)]
    return "\n".join(parts)


def example(name: str) -> tuple[str, str]:
    """Return the docstring and the code of an example."""
    _, docstring, code = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8").split('"""', 2)
    return docstring.strip(), code.strip()


def _task(name: str) -> str:
    docstring, code = example(name)
    title, _, text = docstring.partition("\n")
    paragraphs = [f"### {title.rstrip('.')}", text.strip(), f"```python\n{code}\n```"]
    return "\n\n".join(filter(None, paragraphs)) + "\n"


def _reference(name: str) -> Iterator[str]:
    value = getattr(chatdb_cli, name)
    _, _, original = _EXPORTS[name].partition(":")
    if original:
        yield f"### `{name}`\n\nThe former name of `{original}`.\n"
        return
    signature = _signature(name, value)
    yield f"### `{name}`\n"
    if signature:
        yield f"```python\n{signature}\n```\n"
    yield _markdown(inspect.getdoc(value) or "")
    if inspect.isclass(value) and not issubclass(value, enum.Enum):
        yield from _members(name, value)


def _members(name: str, value: type) -> Iterator[str]:
    """Yield the public methods and properties of a class."""
    for member_name, member in vars(value).items():
        if member_name.startswith("_") or not (
            isinstance(member, property) or inspect.isfunction(member)
        ):
            continue
        text = _markdown(inspect.getdoc(member) or "")
        if isinstance(member, property):
            yield f"#### `{name}.{member_name}`\n"
        else:
            yield f"#### `{name}.{member_name}`\n\n```python\n{_call(member_name, member)}\n```\n"
        yield text


def _signature(name: str, value: Any) -> str:
    """Return how a function, or a class that callers make themselves, is called."""
    if inspect.isfunction(value):
        return _call(name, value)
    init = vars(value).get("__init__")
    made_by_callers = name in ("Migrator", "Listener", "EmbeddedServer")
    return _call(name, init) if init and made_by_callers else ""


def _call(name: str, function: Any) -> str:
    signature = inspect.signature(inspect.unwrap(function))
    parameters = [
        p.replace(default=_Source(p.default))
        if callable(p.default) and p.default is not p.empty
        else p
        for p in signature.parameters.values()
        if p.name != "self"
    ]
    returned = signature.return_annotation
    if name[0].isupper():  # a class
        returned = signature.empty
    call = str(signature.replace(parameters=parameters, return_annotation=returned))
    text = f"{name}{call}".replace("'", "").replace('"', "'") if "'" in call else f"{name}{call}"
    if len(text) <= 88:
        return text
    lines = [f"    {p}," for p in _parts(call)]
    end = f" -> {returned}" if returned is not signature.empty else ""
    return "\n".join((f"{name}(", *lines, f"){end}".replace("'", "")))


def _parts(call: str) -> Iterator[str]:
    """Yield the parameters of a call as text."""
    depth, part = 0, ""
    inner = call[1 : _closing(call)]
    for char in inner:
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            yield part.strip().replace("'", "")
            part = ""
        else:
            part += char
    if part.strip():
        yield part.strip().replace("'", "")


def _closing(call: str) -> int:
    depth = 0
    for at, char in enumerate(call):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return at
    return len(call)


class _Source:
    """A default that is shown by its name."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def __repr__(self) -> str:
        return str(self._function.__name__)


def _markdown(docstring: str) -> str:
    """Return a docstring with its sections as lists."""
    lines: list[str] = []
    in_section = False
    for line in docstring.splitlines():
        heading = _HEADING.fullmatch(line)
        if heading:
            in_section = True
            lines += [f"{_TITLES.get(heading[1], heading[1])}:", ""]
        elif in_section and line.startswith("    "):
            entry = _ENTRY.fullmatch(line[4:])
            if entry and not line.startswith("     "):
                lines.append(f"- `{entry[1]}`: {entry[2]}")
            elif line.startswith("     "):
                lines.append(f"  {line.strip()}")
            else:
                lines.append(f"{line[4:]}")
        else:
            in_section = in_section and not line.strip()
            lines.append(line)
    return "\n".join(lines).replace(".  ", ". ").rstrip() + "\n"


if __name__ == "__main__":
    PATH.write_text(document(), encoding="utf-8")
