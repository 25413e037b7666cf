"""The sources of values, highest first: command-line flags, the environment, .env.local, .env.

    Source    one of them: its variables, and where each one is set

What does not belong here: what the values mean together (`load.py`, `database.py`).
"""

from __future__ import annotations

import re
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.errors import ChatdbError, Code, Location
from chatdb_cli.settings.table import FAMILY, SETTINGS, URLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any


class Source(NamedTuple):
    """One place that gives values, by variable; an empty value is not in it.

    Attributes:
        where: `the environment` or a file as the user would type it; empty for the flags.
        lines: the line of each variable, for a file.
    """

    where: str
    values: Mapping[str, str] = field(repr=False)
    lines: Mapping[str, int] | None = None

    def label(self, variable: str, *, line: bool = False) -> str:
        """Name a variable with its origin: `--wait`, `CHATDB_WAIT from ./.env line 3`."""
        if not self.where:
            return "--" + SETTINGS[variable].name.replace("_", "-")
        at = f" line {self.lines[variable]}" if line and self.lines else ""
        return f"{variable} from {self.where}{at}"

    def read(self, variable: str) -> Any:
        """Parse a variable that is set here.

        Raises:
            ChatdbError: SETTINGS, the value is wrong.
        """
        setting, text = SETTINGS[variable], self.values[variable]
        try:
            if not text or "\0" in text:
                raise ValueError("holds a NUL byte" if text else "is empty")
            text.encode()  # a lone surrogate stands for bytes that are no UTF-8
            return setting.parse(text)
        except ValueError as error:
            reason = "is not UTF-8" if isinstance(error, UnicodeError) else str(error)
        what, _, way = reason.partition("; ")
        # A URL in the wrong variable is a mistake that happens, and it may hold a password.
        hidden = setting.secret or not text or re.search(r"://|@|passw", text, re.IGNORECASE)
        shown = "" if hidden else f" {text if len(text) < 80 else text[:77] + '...'!r}"
        raise ChatdbError(
            Code.SETTINGS,
            f"{self.label(variable, line=True)}:{shown} {what}",
            hint=way or None,
            place=Location(Path(self.where), self.lines[variable]) if self.lines else None,
        )

    def names_database(self) -> str | None:
        """The URL, or `POSTGRES_*`, that stands here and names a database."""
        if url := self.first(URLS):
            return url
        return "POSTGRES_*" if self.first(FAMILY) else None

    def first(self, variables: Iterable[str]) -> str | None:
        """The first of some variables that is set here."""
        return next((variable for variable in variables if variable in self.values), None)


def flags_source(flags: Mapping[str, str | bool | None]) -> Source:
    """Return the source that the command-line flags are."""
    flagged = (s for s in SETTINGS.values() if s.variable.startswith(("CHATDB_", "SSH_")))
    variables = {s.name: s.variable for s in flagged}
    if unknown := flags.keys() - variables:
        raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")
    # A switch can only be on; one that is not given reaches us as None or as False.
    given = {key: value for key, value in flags.items() if value is not None and value is not False}
    return Source("", {variables[k]: "true" if v is True else str(v) for k, v in given.items()})


def file_source(path: Path, shown: str, *, named: bool) -> Source:
    """Read an env file: values literal, nothing interpolated.

    Raises:
        ChatdbError: SETTINGS, it can't be read, or a line of it is no assignment; a file that is
            not there is empty unless the user named it.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        if not named:
            return Source(shown, {}, {})
        raise _unreadable(shown, error) from None
    except OSError as error:
        raise _unreadable(shown, error) from None
    nul = data.find(b"\0")  # also what UTF-16 is full of
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _bad_line(shown, data.count(b"\n", 0, error.start) + 1, "is not UTF-8") from None
    if nul >= 0:
        raise _bad_line(shown, data.count(b"\n", 0, nul) + 1, "holds a NUL byte")
    return _parse_env(text, shown)


def _parse_env(text: str, shown: str) -> Source:
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    if text.strip():
        from io import StringIO

        from dotenv.parser import parse_stream  # not in the start of a project without env files

        for binding in parse_stream(StringIO(text.removeprefix("\ufeff"))):
            raw = binding.original.string  # it begins with the blank lines in front
            blank = raw[: len(raw) - len(raw.lstrip())]
            line = binding.original.line + len(re.findall(r"\r\n|\n|\r", blank))
            if binding.error or (binding.key is not None and binding.value is None):
                raise _bad_line(shown, line, "is no assignment")
            if binding.key is not None and binding.value is not None:
                values[binding.key], lines[binding.key] = binding.value, line
    return Source(shown, {key: value for key, value in values.items() if value}, lines)


def _unreadable(shown: str, error: OSError) -> ChatdbError:
    import errno

    return ChatdbError(
        Code.SETTINGS,
        f"can't read {shown}: {(error.strerror or 'unknown error').lower()}",
        place=Location(Path(shown)),
        errno=errno.errorcode.get(error.errno or 0),
    )


def _bad_line(shown: str, line: int, what: str) -> ChatdbError:
    hint = "a line is NAME=value, empty, or a # comment; a value of several lines needs quotes"
    place = Location(Path(shown), line)  # without an excerpt: the line may hold a secret
    return ChatdbError(Code.SETTINGS, f"{shown} line {line} {what}", hint=hint, place=place)


def read_sources(
    flags: Mapping[str, str | bool | None], environ: Mapping[str, str], cwd: Path
) -> tuple[Source, ...]:
    """The origins, highest first: flags, environment, then the files."""
    environment = Source("the environment", {key: text for key, text in environ.items() if text})
    origins = (flags_source(flags), environment)
    if origin := source_of(origins, "CHATDB_ENV_FILE"):
        path, shown = cwd / origin.read("CHATDB_ENV_FILE"), origin.values["CHATDB_ENV_FILE"]
        return (*origins, file_source(path, shown, named=True))
    files = (file_source(cwd / name, f"./{name}", named=False) for name in (".env.local", ".env"))
    return (*origins, *files)


def source_of(origins: Sequence[Source], variable: str) -> Source | None:
    """Return the highest source that sets a variable, or None."""
    return next((origin for origin in origins if variable in origin.values), None)


def value_of(origins: Sequence[Source], variable: str) -> Any:
    """Return the value of a variable from its highest source, or its default."""
    if origin := source_of(origins, variable):
        return origin.read(variable)
    setting = SETTINGS[variable]
    return None if setting.default is None else setting.parse(setting.default)
