"""The thresholds of the checks: their defaults, and those that a user sets.

`NAME` is the value above which a check is `degraded`, `NAME.error` the value above which it is `error`.
What does not belong here: the defaults (each is with its check), comparing (`check.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.redaction import redact
from chatdb_cli.settings import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from chatdb_cli.health.definition import Definition
    from chatdb_cli.health.model import Unit

# The two thresholds of each check, by its name: degraded, error.
Limits = dict[str, tuple[float | None, float | None]]

_SIZES = {"": 1, "B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}


def read_thresholds(checks: Iterable[Definition], given: Mapping[str, str | float]) -> Limits:
    """Return the thresholds of each check: the given ones, else the defaults.

    Args:
        checks: all of them.
        given: by name, such as `connections` or `connections.error`; a text has a unit (`80%`, `5min`,
            `1GB`), a number is in the unit of the check.

    Raises:
        ChatdbError: `SETTINGS`, there is no such threshold, or its value is wrong.
    """
    limits: Limits = {d.name: (d.degraded, d.error) for d in checks}
    units = {d.name: d.unit for d in checks}
    names = [name for d in checks for name in _names(d)]
    for key, value in given.items():
        if key not in names:
            suggestion = parse.did_you_mean(key, names)
            raise ChatdbError(
                Code.SETTINGS,
                f"threshold {key!r} does not exist" + suggestion,
                hint=f"the thresholds are {', '.join(names)}",
            )
        name, _, level = key.partition(".")
        limit = _parse(key, value, units[name])
        degraded, error = limits[name]
        limits[name] = (degraded, limit) if level else (limit, error)
    return limits


def parse_pairs(texts: Iterable[str]) -> dict[str, str]:
    """Return the thresholds of an option that can be repeated, `NAME=VALUE` each.

    Raises:
        ChatdbError: `USAGE`, a text is not of that form.
    """
    pairs: dict[str, str] = {}
    for text in texts:
        try:
            pairs |= parse.thresholds(text)
        except ValueError as error:
            problem, _, hint = str(error).partition("; ")
            raise ChatdbError(
                Code.USAGE, f"the threshold {text!r} {problem}", hint=hint or None
            ) from None
    return pairs


def _names(check: Definition) -> list[str]:
    levels = ((check.degraded, check.name), (check.error, f"{check.name}.error"))
    return [name for limit, name in levels if limit is not None]


def _parse(name: str, value: str | float, unit: Unit) -> float:
    if not isinstance(value, str):
        return value
    try:
        return _PARSERS[unit](value)
    except ValueError as error:
        problem, _, hint = str(error).partition("; ")
        raise ChatdbError(
            Code.SETTINGS, redact(f"threshold {name}: {value!r} {problem}"), hint=hint or None
        ) from None


def _number(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,3})?", text):
        raise ValueError("is not a number; write it like 90 or 99.5")
    return float(text) if "." in text else int(text)


def _percent(text: str) -> float:
    percent = _number(text.removesuffix("%").rstrip())
    if percent > 100:
        raise ValueError("is more than 100 %")
    return percent


def _bytes(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,12})\s*(B|kB|MB|GB|TB)?", text)
    if match is None:
        raise ValueError("is not a size; write it like 100MB or 1GB")
    return int(match[1]) * _SIZES[match[2] or ""]


_PARSERS: dict[Unit, Callable[[str], float]] = {
    "count": _number,
    "percent": _percent,
    "ms": parse.duration_ms,
    "bytes": _bytes,
    "transactions": _number,
    "version": _number,
}
