"""The project file: `chatdb.toml`, or the table `[tool.chatdb]` of pyproject.toml.

Its keys are the settings in lower case (`lock_timeout`), without those that hold a secret: the file is
checked in.  It is the lowest source.  The tables `[lint]`, `[health]` and `[counts]` have what has no
variable.  What does not belong here: which rules and thresholds exist (`lint/`, `health/`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.errors import ChatdbError, Code, Location, errno_name
from chatdb_cli.settings.model import CountsSettings, LintSettings
from chatdb_cli.settings.parse import did_you_mean
from chatdb_cli.settings.sources import Source
from chatdb_cli.settings.table import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

NAME = "chatdb.toml"
_TABLE = "[tool.chatdb]"
_SECTIONS = ("lint", "health", "counts")
_SEVERITIES = ("error", "warning", "note")
# The password of a URL or of a keyword string.
_PASSWORD = re.compile(r"\w+://[^/@\s]*:[^@\s]+@|\bpassword\s*=", re.IGNORECASE)


class ProjectFile(NamedTuple):
    """What a project file says.

    Attributes:
        source: the settings, as the lowest source.
        lint: the table `[lint]`.
        counts: the table `[counts]`.
        warnings: sentences to show.
    """

    source: Source
    lint: LintSettings = LintSettings()
    counts: CountsSettings = CountsSettings()
    warnings: tuple[str, ...] = ()


def read_project_file(cwd: Path) -> ProjectFile:
    """Read chatdb.toml of a directory, else `[tool.chatdb]` of its pyproject.toml.

    Raises:
        ChatdbError: `SETTINGS`, with the line: the file can't be read, is no TOML, has an unknown key, a
            value of the wrong kind, or a secret.
    """
    text = _read(cwd / NAME, NAME)
    python = _read(cwd / "pyproject.toml", "pyproject.toml")
    in_python = python is not None and "[tool.chatdb" in python
    if text is not None:
        both = f"{_TABLE} of ./pyproject.toml is not used: there is ./{NAME}"
        parsed = _Reader(f"./{NAME}", text, ()).read()
        return parsed._replace(warnings=(both,)) if in_python else parsed
    if python is not None and in_python:
        return _Reader("./pyproject.toml", python, ("tool", "chatdb")).read()
    return ProjectFile(Source(f"./{NAME}", {}, {}))


def _read(path: Path, name: str) -> str | None:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        reason, errno = "it is not UTF-8", None
    except OSError as error:
        if name != NAME:  # the file of another tool
            return None
        reason, errno = (error.strerror or str(error)).lower(), errno_name(error)
    raise ChatdbError(
        Code.SETTINGS, f"can't read ./{name}: {reason}", place=Location(Path(name)), errno=errno
    )


class _Reader:
    """Reads one file."""

    def __init__(self, where: str, text: str, path: tuple[str, ...]) -> None:
        self._where = where
        self._text = text
        self._path = path

    def read(self) -> ProjectFile:
        """Return what the file says."""
        table = self._table()
        sections = {name: table.pop(name, {}) for name in _SECTIONS}
        for name, section in sections.items():
            if not isinstance(section, dict):
                raise self._error(f"{name} is not a table", name, f"write it as [{name}]")
            self._refuse_secrets(section)
        values, lines = self._settings(table)
        if thresholds := self._thresholds(sections["health"]):
            values["CHATDB_THRESHOLD"] = thresholds
            lines["CHATDB_THRESHOLD"] = self._line("health") or 1
        return ProjectFile(
            Source(self._where, values, lines, named_as_keys=True),
            self._lint(sections["lint"]),
            self._counts(sections["counts"]),
        )

    def _table(self) -> dict[str, Any]:
        import tomllib  # takes milliseconds, and most projects have no such file

        try:
            table: Any = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            match = re.search(r"\(at line (\d+), column \d+\)", str(error))
            line = int(match[1]) if match else self._text.rstrip().count("\n") + 1
            reason = str(error).partition(" (at ")[0]
            raise ChatdbError(
                Code.SETTINGS,
                f"{self._where} line {line} is not TOML: {reason.lower()}",
                place=Location(Path(self._where), line),
            ) from None
        for name in self._path:
            table = table.get(name, {}) if isinstance(table, dict) else {}
        return table if isinstance(table, dict) else {}

    def _settings(self, table: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, int]]:
        """Return the text and the line of each setting, by variable."""
        variables = {s.name: s for s in SETTINGS.values() if not s.secret}
        secrets = {s.name for s in SETTINGS.values() if s.secret} | {"password"}
        values: dict[str, str] = {}
        lines: dict[str, int] = {}
        for key, value in table.items():
            if key in secrets:
                raise self._error(
                    f"{key} may hold a secret, and this file is checked in",
                    key,
                    f"set {key.upper()} in the environment or in .env",
                )
            if key not in variables:
                names = [*variables, *_SECTIONS]
                raise self._error(f"{key} is not a setting{did_you_mean(key, names)}", key)
            self._refuse_secrets({key: value})
            variable = variables[key].variable
            values[variable], lines[variable] = self._as_text(key, value), self._line(key) or 1
        return {name: text for name, text in values.items() if text}, lines

    def _as_text(self, key: str, value: object) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (int, float, str)):
            return str(value)
        raise self._error(f"{key} is not a text, a number, true or false", key)

    def _refuse_secrets(self, table: Mapping[str, Any]) -> None:
        for key, value in table.items():
            if isinstance(value, dict):
                self._refuse_secrets(value)
            elif _PASSWORD.search(str(value)):
                raise self._error(
                    f"{key} holds a password, and this file is checked in",
                    key,
                    "set it in the environment or in .env",
                )

    def _thresholds(self, section: Mapping[str, Any]) -> str:
        """Return the thresholds as the text of their setting."""
        flat: dict[str, str] = {}
        for key, value in section.items():
            if isinstance(value, dict):  # `connections.error = "95%"` without quotes
                flat |= {f"{key}.{level}": self._as_text(key, v) for level, v in value.items()}
            else:
                flat[key] = self._as_text(key, value)
        return ",".join(f"{name}={value}" for name, value in flat.items())

    def _lint(self, section: Mapping[str, Any]) -> LintSettings:
        keys: dict[str, Callable[[str, Any], Any]] = {
            "off": self._names,
            "on": self._names,
            "severity": self._severities,
            "server_version": self._number,
            "after": self._as_text,
            "strict": self._boolean,
        }
        values = self._section("lint", section, keys)
        if "severity" in values:
            values["severities"] = values.pop("severity")
        after = values.get("after")
        if after is not None and not re.fullmatch(r"[0-9]{1,60}", after):
            raise self._error(f"after: {after!r} is not a version", "after")
        return LintSettings(**values, where=self._where)

    def _counts(self, section: Mapping[str, Any]) -> CountsSettings:
        keys = {"exclude_tables": self._names, "exclude_columns": self._names}
        return CountsSettings(**self._section("counts", section, keys))

    def _section(
        self, name: str, section: Mapping[str, Any], keys: Mapping[str, Callable[[str, Any], Any]]
    ) -> dict[str, Any]:
        for key in section:
            if key not in keys:
                suggestion = did_you_mean(key, keys)
                raise self._error(f"[{name}] has no key {key}{suggestion}", key)
        return {key: keys[key](key, value) for key, value in section.items()}

    def _names(self, key: str, value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise self._error(f'{key} is not a list of texts; write it like ["a", "b"]', key)
        return tuple(value)

    def _severities(self, key: str, value: object) -> dict[str, str]:
        if not isinstance(value, dict):
            raise self._error(f"{key} is not a table of rules", key, f"write it as [lint.{key}]")
        for rule, severity in value.items():
            if severity not in _SEVERITIES:
                names = ", ".join(_SEVERITIES)
                raise self._error(f"{rule}: {severity!r} is not one of {names}", rule)
        return dict(value)

    def _number(self, key: str, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 9 <= value <= 99:
            raise self._error(f"{key} is not a major version such as 17", key)
        return value

    def _boolean(self, key: str, value: object) -> bool:
        if not isinstance(value, bool):
            raise self._error(f"{key} is neither true nor false", key)
        return value

    def _line(self, key: str) -> int | None:
        """Return the line of a key or a table, as far as the text shows it."""
        name = rf"[\"']?{re.escape(key)}[\"']?"
        pattern = rf"^\s*(?:\[[\w.\"' -]*{name}\s*\]|(?:[\w.\"'-]+\s*\.\s*)?{name}\s*[.=])"
        begin = self._text.find("[tool.chatdb") if self._path else 0
        match = re.compile(pattern, re.MULTILINE).search(self._text, max(begin, 0))
        return self._text.count("\n", 0, match.end()) + 1 if match else None

    def _error(self, problem: str, key: str, hint: str | None = None) -> ChatdbError:
        line = self._line(key)
        message, _, suggestion = problem.partition("; ")
        return ChatdbError(
            Code.SETTINGS,
            f"{self._where}{f' line {line}' if line else ''}: {message}",
            hint=hint or suggestion or None,
            place=Location(Path(self._where), line),
        )
