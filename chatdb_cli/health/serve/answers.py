"""From a request to a response: the four paths, their methods and types.

What does not belong here: HTTP itself (`exchange.py`), asking the database (`probes.py`).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from prometheus_client import exposition
from prometheus_client.openmetrics import exposition as openmetrics

from chatdb_cli.health.check import disconnected
from chatdb_cli.health.metrics.families import families
from chatdb_cli.health.metrics.migrations import Migrations
from chatdb_cli.health.serve.exchange import Response, text
from chatdb_cli.health.serve.worker import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.core import Metric as Family

    from chatdb_cli.health.metrics.meters import Meters
    from chatdb_cli.health.metrics.model import Snapshot
    from chatdb_cli.health.model import Health
    from chatdb_cli.health.serve.exchange import Request
    from chatdb_cli.health.serve.probes import Probes
    from chatdb_cli.health.serve.worker import Worker

# How long a response may take if the client does not say: a database that hangs is answered for then.
PATIENCE_S = 4.0
# Prometheus says how long it waits; the response must be there before.
_PROMETHEUS_TIMEOUT, _MARGIN = "x-prometheus-scrape-timeout-seconds", 0.8
_JSON = "application/json"
_OPENMETRICS = "application/openmetrics-text"


class _Families(NamedTuple):
    """What prometheus_client formats: the metrics of this process, and those of a database."""

    meters: Meters
    snapshot: Snapshot | None

    def collect(self) -> Iterator[Family]:
        yield from self.meters.families()
        if self.snapshot:
            yield from families(self.snapshot.readings)


class Answers:
    """The answers to requests.

    Args:
        probes: ask the database.
        meters: count the requests.
        worker: has to be alive.
        document: from a health to its JSON document.
    """

    def __init__(
        self,
        probes: Probes,
        meters: Meters,
        worker: Worker,
        document: Callable[[Health], dict[str, Any]],
    ) -> None:
        self._probes, self._meters, self._worker = probes, meters, worker
        self._document = document
        self._paths = {
            "/health": self._health,
            "/health/live": self._live,
            "/health/ready": self._ready,
            "/metrics": self._metrics,
        }
        self._formatted: dict[str, tuple[Snapshot, bytes]] = {}

    async def answer(self, request: Request) -> Response:
        """Return the response to a request; it never takes much longer than `PATIENCE_S`."""
        respond = self._paths.get(request.path)
        if respond is None:
            known = ", ".join(self._paths)
            response = text(404, f"there is nothing at this path; there are {known}")
        elif request.method not in ("GET", "HEAD"):
            response = text(405, "this path can only be read")
            response = response._replace(headers=(("Allow", "GET, HEAD"),))
        else:
            response = await respond(request)
        path = request.path if respond else "other"
        self._meters.requests.labels(path, str(response.status)).inc()
        return response

    async def _live(self, _: Request) -> Response:
        alive = self._worker.alive
        return _json(200 if alive else 503, {"status": "ok" if alive else "error"})

    async def _health(self, _: Request) -> Response:
        result = await self._probes.health.get(PATIENCE_S)
        if isinstance(result, Failure):
            health = disconnected(result.error, result.target)
        else:
            health = cast("Health", result)
        return _json(503 if health.status == "error" else 200, self._document(health))

    async def _ready(self, _: Request) -> Response:
        result = await self._probes.migrations.get(PATIENCE_S)
        if isinstance(result, Failure):
            down = {"status": "error", "database": "disconnected", "pending": None}
            return _json(503, down | {"message": result.error.message})
        pending, message = None, str(result)
        if isinstance(result, Migrations):
            pending, message = result.pending, result.reason
        if pending:
            message = f"{pending} migration{'s are' if pending > 1 else ' is'} pending"
        document = {
            "status": "error" if pending else "ok",
            "database": "connected",
            "pending": pending,
            "message": message or None,
        }
        return _json(503 if pending else 200, document)

    async def _metrics(self, request: Request) -> Response:
        result = await self._probes.metrics.get(_patience_s(request))
        encode, content_type = choose_format(request.headers.get("accept", ""))
        if isinstance(result, Failure):
            self._meters.up.set(0)
            return Response(200, encode(_Families(self._meters, None)), content_type)
        snapshot = cast("Snapshot", result)
        done = self._formatted.get(content_type)
        if done is None or done[0] is not snapshot:
            done = snapshot, encode(_Families(self._meters, snapshot))
            self._formatted[content_type] = done
        return Response(200, done[1], content_type)


def choose_format(accept: str) -> tuple[Callable[[Any], bytes], str]:
    """Return the encoder and the content type that a client prefers: OpenMetrics, or plain text.

    Not `choose_encoder` of prometheus_client: it fails for a version that is no number, ignores weights,
    and repeats what the client sent in a header.

    Args:
        accept: the header of the request.
    """
    weights = {_OPENMETRICS: 0.0, "text/plain": 0.0}
    for offer in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in offer.split(";"))
        given = dict(p.split("=", 1) for p in parameters if "=" in p)
        if kind in weights and not given.get("version", "1").startswith("2"):
            try:
                weights[kind] = max(weights[kind], float(given.get("q", "1")))
            except ValueError:
                continue
    if weights[_OPENMETRICS] > 0 and weights[_OPENMETRICS] >= weights["text/plain"]:
        return openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST
    return exposition.generate_latest, exposition.CONTENT_TYPE_PLAIN_0_0_4


def _patience_s(request: Request) -> float:
    """Return how long the response to a scrape may take, in seconds."""
    try:
        limit = float(request.headers.get(_PROMETHEUS_TIMEOUT, ""))
    except ValueError:
        return PATIENCE_S
    return min(PATIENCE_S, max(0.1, limit * _MARGIN))


def _json(status: int, document: dict[str, Any]) -> Response:
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    whole = {"format": 1, "target": None, "timestamp": at} | document
    return Response(status, json.dumps(whole).encode() + b"\n", _JSON)
