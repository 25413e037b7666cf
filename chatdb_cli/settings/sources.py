"""The sources of values, highest first: flags, the environment, .env.local, .env.

    Source    one of them: its variables, and the line of each one

What does not belong here: what the values mean together (`load.py`, `database.py`).
"""

from __future__ import annotations

import re
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.errors import ChatdbError, Code, Location, errno_name
from chatdb_cli.settings.table import POSTGRES_VARIABLES, SETTINGS, URL_VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any


class Source(NamedTuple):
    """One source of values.

    Attributes:
        where: `the environment`, or a file as the user would type it; empty for the flags.
        values: the text of each variable; a variable set to nothing is absent.
        lines: the line of each variable in a file; None for flags and environment.
        named_as_keys: the file names settings as keys (`lock_timeout`), as the project file does.
    """

    where: str
    values: Mapping[str, str] = field(repr=False)
    lines: Mapping[str, int] | None = None
    named_as_keys: bool = False

    def label(self, variable: str, *, line: bool = False) -> str:
        """Return a variable with its source: `--wait`, `CHATDB_WAIT from ./.env line 3`."""
        if not self.where:
            return "--" + SETTINGS[variable].name.replace("_", "-")
        suffix = f" line {self.lines[variable]}" if line and self.lines else ""
        if self.named_as_keys and variable in SETTINGS:
            variable = SETTINGS[variable].name
        return f"{variable} from {self.where}{suffix}"

    def read(self, variable: str) -> Any:
        """Parse a variable that is set here.

        Raises:
            ChatdbError: SETTINGS, the value is wrong.
        """
        setting, text = SETTINGS[variable], self.values[variable]
        try:
            if not text or "\0" in text:
                raise ValueError("holds a NUL byte" if text else "is empty")
            text.encode()  # fails on a lone surrogate: the bytes were not UTF-8
            return setting.parse(text)
        except ValueError as error:
            reason = "is not UTF-8" if isinstance(error, UnicodeError) else str(error)
            advice: str | None = getattr(error, "hint", None)
        problem, _, hint = reason.partition("; ")
        # A URL set in the wrong variable may hold a password.
        hidden = setting.secret or not text or re.search(r"://|@|passw", text, re.IGNORECASE)
        excerpt = "" if hidden else f" {text if len(text) < 80 else text[:77] + '...'!r}"
        raise ChatdbError(
            Code.SETTINGS,
            f"{self.label(variable, line=True)}:{excerpt} {problem}",
            hint=self.literal(variable) or advice or hint or None,
            place=Location(Path(self.where), self.lines[variable]) if self.lines else None,
        )

    def literal(self, variable: str) -> str | None:
        """Return why `${NAME}` in a value of a file is not what its author meant, or None."""
        if not self.lines or not re.search(r"\$\{\w+\}", self.values[variable]):
            return None  # the name is not repeated: it may be a part of a password
        return (
            f"${{...}} is taken as it is: nothing is interpolated in {self.where}; write the value"
        )

    def names_database(self) -> str | None:
        """Return the URL variable, or `POSTGRES_*`, that names a database here, or None."""
        if url := self.first(URL_VARIABLES):
            return url
        return "POSTGRES_*" if self.first(POSTGRES_VARIABLES) else None

    def first(self, variables: Iterable[str]) -> str | None:
        """Return the first of several variables that is set here, or None."""
        return next((variable for variable in variables if variable in self.values), None)


def flags_source(flags: Mapping[str, str | bool | None]) -> Source:
    """Return the flags as a source.

    Raises:
        TypeError: a flag is not the name of a setting.
    """
    flagged = (s for s in SETTINGS.values() if s.variable.startswith(("CHATDB_", "SSH_")))
    variables = {s.name: s.variable for s in flagged}
    if unknown := flags.keys() - variables:
        raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")
    # A switch can only turn something on: None and False both mean that it was not given.
    # (`in` would compare by ==, and a number 0 is equal to False.)
    present = {k: value for k, value in flags.items() if value is not None and value is not False}
    return Source("", {variables[k]: "true" if v is True else str(v) for k, v in present.items()})


def file_source(path: Path, where: str, *, named: bool) -> Source:
    """Read an env file; values are literal, nothing is interpolated.

    Args:
        path: the file.
        where: the path as it is shown to people.
        named: the user named the file, so that it must exist; else a missing file is empty.

    Raises:
        ChatdbError: SETTINGS, it can't be read, or a line of it is not an assignment.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        if not named:
            return Source(where, {}, {})
        raise _unreadable(where, error) from None
    except OSError as error:
        raise _unreadable(where, error) from None
    nul = data.find(b"\0")  # UTF-16 is full of them
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _bad_line(where, data.count(b"\n", 0, error.start) + 1, "is not UTF-8") from None
    if nul >= 0:
        raise _bad_line(where, data.count(b"\n", 0, nul) + 1, "holds a NUL byte")
    return _parse_env(text, where)


def _parse_env(text: str, where: str) -> Source:
    """Parse the text of an env file with python-dotenv.

    Raises:
        ChatdbError: SETTINGS, a line is not an assignment.
    """
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    if text.strip():
        from io import StringIO

        from dotenv.parser import parse_stream  # not imported without env files

        for binding in parse_stream(StringIO(text.removeprefix("\ufeff"))):
            raw = binding.original.string  # it begins with the blank lines before it
            blank = raw[: len(raw) - len(raw.lstrip())]
            line = binding.original.line + len(re.findall(r"\r\n|\n|\r", blank))
            if binding.error or (binding.key is not None and binding.value is None):
                raise _bad_line(where, line, "is not an assignment")
            if binding.key is not None and binding.value is not None:
                values[binding.key], lines[binding.key] = binding.value, line
    return Source(where, {key: value for key, value in values.items() if value}, lines)


def _unreadable(where: str, error: OSError) -> ChatdbError:
    return ChatdbError(
        Code.SETTINGS,
        f"can't read {where}: {(error.strerror or 'unknown error').lower()}",
        place=Location(Path(where)),
        hint="name an env file that can be read",
        errno=errno_name(error),
    )


def _bad_line(where: str, line: int, problem: str) -> ChatdbError:
    hint = "a line is NAME=value, empty, or a # comment; quote a value of several lines"
    place = Location(Path(where), line)  # without an excerpt: the line may hold a secret
    return ChatdbError(Code.SETTINGS, f"{where} line {line} {problem}", hint=hint, place=place)


def read_sources(
    flags: Mapping[str, str | bool | None], environ: Mapping[str, str], cwd: Path
) -> tuple[Source, ...]:
    """Return all sources, highest first: flags, environment, then the env files."""
    environment = Source("the environment", {key: text for key, text in environ.items() if text})
    sources = (flags_source(flags), environment)
    if source := source_of(sources, "CHATDB_ENV_FILE"):
        path, where = cwd / source.read("CHATDB_ENV_FILE"), source.values["CHATDB_ENV_FILE"]
        return (*sources, file_source(path, where, named=True))
    files = (file_source(cwd / name, f"./{name}", named=False) for name in (".env.local", ".env"))
    return (*sources, *files)


def source_of(sources: Sequence[Source], variable: str) -> Source | None:
    """Return the highest source that sets a variable, or None."""
    return next((source for source in sources if variable in source.values), None)


def value_of(sources: Sequence[Source], variable: str) -> Any:
    """Return the value of a variable from its highest source, or its default."""
    if source := source_of(sources, variable):
        return source.read(variable)
    setting = SETTINGS[variable]
    return None if setting.default is None else setting.parse(setting.default)
