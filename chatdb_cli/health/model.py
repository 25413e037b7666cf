"""The values of the health checks: one check, and the health of a database.

    Check     the result of one check
    Health    all of them, and whether the database answers at all

What does not belong here: a check (`checks/`), their thresholds (`thresholds.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from chatdb_cli.errors import ChatdbError
    from chatdb_cli.postgres.model import Target

Status = Literal["ok", "degraded", "error", "unknown"]
Unit = Literal["count", "percent", "ms", "bytes", "transactions", "version"]
# The worst first, as they are shown.
STATUSES: tuple[Status, ...] = ("error", "degraded", "unknown", "ok")


class Check(NamedTuple):
    """The result of one check.

    Attributes:
        name: the name of the check, such as `longest-transaction`; also that of its threshold.
        status: `unknown` if the value could not be read; the message says why.
        value: what was measured; None if it is unknown.
        threshold: the limit that decides the status: that of `error` if that is the status, else that
            of `degraded`; None if the check has none.
        unit: the unit of value and threshold; `ms` is whole milliseconds.
        message: one sentence in lower case: the value, the object, what is wrong with it.
        hint: what to do; empty if there is nothing to do.
    """

    name: str
    status: Status
    value: float | None
    threshold: float | None
    unit: Unit
    message: str
    hint: str = ""


class Health(NamedTuple):
    """The health of a database.

    Attributes:
        status: the worst status of the checks; `unknown` ones do not count.
        database: whether the database answers.
        timestamp: when it was checked, in UTC, by the clock of this machine.
        latency_ms: one round trip to the server, in milliseconds; None without a connection.
        server_version: such as `18.1`; None without a connection.
        checks: the worst first.
        target: the database and schema; None if it could not be opened.
        error: why there is no connection, or None.
    """

    status: Literal["ok", "degraded", "error"]
    database: Literal["connected", "disconnected"]
    timestamp: datetime
    latency_ms: int | None
    server_version: str | None
    checks: tuple[Check, ...]
    target: Target | None = None
    error: ChatdbError | None = None

    @property
    def ok(self) -> bool:
        """The database can be used: the status is `ok` or `degraded`."""
        return self.status != "error"

    def check(self, name: str) -> Check | None:
        """Return the check of a name, or None."""
        return next((check for check in self.checks if check.name == name), None)
