"""Versions that are timestamps: which of them are in the future, and the next one.

    read_timestamp      the moment that a version names
    is_future           whether it is still to come
    future_warning      the warning of such versions
    next_timestamp      a version for now

A version in the future comes after each one that is made until then, so all of these are out of order.
What does not belong here: versions that only count (`new.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

# The digits that a date and a time have, by the length of the version; fractions of a second follow.
_FORMATS = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M"}
_SECONDS = "%Y%m%d%H%M%S"
_LONGEST = 20
# The time of the author, who may not write UTC, is ahead of it by at most so much.
_AHEAD_S = 14 * 3600
# Seconds and milliseconds since 1970, by the length of the version and its first digit.
_EPOCHS = {(10, "1"): 1, (13, "1"): 1000, (16, "1"): 1_000_000}


def read_timestamp(version: str) -> datetime | None:
    """Return the moment that a version names, taken as UTC, or None if it is no timestamp.

    Args:
        version: the leading digits of a file name.
    """
    if len(version) < min(_FORMATS) or len(version) > _LONGEST:  # most versions
        return None
    from datetime import UTC, datetime

    if unit := _EPOCHS.get((len(version), version[0])):
        return datetime.fromtimestamp(int(version) / unit, UTC)
    if not version.startswith(("19", "20")):
        return None
    form = _FORMATS.get(len(version), _SECONDS)
    try:
        moment = datetime.strptime(version[:14], form)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC)


def is_future(version: str) -> bool:
    """Return whether a version is a timestamp that is still to come, wherever its author lives."""
    moment = read_timestamp(version)
    if moment is None:
        return False
    from datetime import UTC, datetime

    return (moment - datetime.now(UTC)).total_seconds() > _AHEAD_S


def future_warning(versions: Iterable[tuple[str, str]]) -> str | None:
    """Return the warning of the versions in the future, or None.

    Args:
        versions: pairs of a version and the name of its file.
    """
    from chatdb_cli.files.names import some_of

    names = [name for version, name in versions if is_future(version)]
    if not names:
        return None
    return (
        f"{some_of(names)} {'has' if len(names) == 1 else 'have'} a version in the future: what is "
        "written until then is out of order; rename before it is applied"
    )


def next_timestamp(newest: str | None) -> str:
    """Return the present second in UTC, or the second after the newest version if that is later.

    Args:
        newest: the newest version that is not in the future, of any kind, or None.
    """
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)
    after = read_timestamp(newest) if newest else None
    if after is not None and after + timedelta(seconds=1) > now:
        now = after + timedelta(seconds=1)
    return now.strftime(_SECONDS)
