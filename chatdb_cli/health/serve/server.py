"""HealthServer: the health and the metrics of a database over HTTP.

What does not belong here: the two threads' work (`listener.py`, `worker.py`), signals, printing.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

from chatdb_cli.callbacks import ignore, no_answer
from chatdb_cli.closing import Closing
from chatdb_cli.errors import ChatdbError, Code, errno_name
from chatdb_cli.health.document import health_document
from chatdb_cli.health.find import definitions
from chatdb_cli.health.metrics.meters import Meters
from chatdb_cli.health.serve.address import DEFAULT_HOST, DEFAULT_PORT, join
from chatdb_cli.health.serve.answers import Answers
from chatdb_cli.health.serve.listener import serve
from chatdb_cli.health.serve.probes import Probes
from chatdb_cli.health.serve.worker import Worker
from chatdb_cli.health.thresholds import read_thresholds
from chatdb_cli.settings.model import require_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from psycopg_pool import ConnectionPool

    from chatdb_cli.health.model import Health
    from chatdb_cli.settings.model import Settings


class HealthServer(Closing):
    """Serves the health and the metrics of the database that settings name, from threads of its own.

        with chatdb_cli.HealthServer(settings, pool=pool) as server:
            print(server.url)
            server.wait()

    A database that can't be reached is an answer, not an error: each probe tries again.

    Args:
        settings: from `load_settings`.
        host: the address to listen on; None for loopback, which only this machine can reach.  There is
            no authentication.
        port: the port; None for 9432, 0 for one that the system chooses.
        thresholds: as for `check_health`.
        pool: the application's pool, to report its statistics.
        report: called with a line when the database stops answering and when it answers again; from
            another thread.
        ask: asks a person for the passphrase of an SSH key.
        document: from a health to the JSON document of `/health`.

    Attributes:
        host: the address.
        port: the port, also if the system chose it.

    Raises:
        ChatdbError: `SETTINGS`, a threshold is wrong; `USAGE`, the address can't be listened on; or the
            settings name no database.
    """

    def __init__(
        self,
        settings: Settings,
        host: str | None = None,
        port: int | None = None,
        *,
        thresholds: Mapping[str, str | float] | None = None,
        pool: ConnectionPool[Any] | None = None,
        report: Callable[[str], None] = ignore,
        ask: Callable[[str], str | None] = no_answer,
        document: Callable[[Health], dict[str, Any]] | None = None,
    ) -> None:
        require_settings(settings)
        limits = {**(settings.health_thresholds or {}), **(thresholds or {})}
        read_thresholds(definitions(), limits)  # a wrong one is an error now, not with each request
        self._failure: BaseException | None = None
        self._ended = threading.Event()
        self._report = report
        listening = _listen(host or DEFAULT_HOST, DEFAULT_PORT if port is None else port)
        try:
            self.host, self.port = listening.getsockname()[:2]
            meters = Meters(pool)
            self._worker = Worker(settings, meters, report=report, ask=ask, broken=self._break)
        except BaseException:
            listening.close()
            raise
        probes = Probes(self._worker, settings, limits, meters, pool)
        answers = Answers(probes, meters, self._worker, document or health_document)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(
            target=self._run, args=(listening, answers), name="chatdb-health-http", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """The URL, without a path."""
        return f"http://{join(self.host, self.port)}"

    def wait(self) -> None:
        """Wait until the server is closed.

        Raises:
            Exception: a bug has ended it.
        """
        self._ended.wait()
        if self._failure:
            raise self._failure

    def close(self) -> None:
        """Stop listening, end both threads, and close the connection to the database."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        self._worker.close()
        self._ended.set()

    def _run(self, listening: socket.socket, answers: Answers) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(serve(listening, answers.answer, self._stop, self._report))
        except BaseException as error:  # noqa: BLE001  (`wait` raises it)
            self._break(error)
        finally:
            listening.close()

    def _break(self, error: BaseException) -> None:
        self._failure = error
        self._ended.set()


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        ChatdbError: `USAGE`, it can't.
    """
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = infos[0]
        both = host == "::" and socket.has_dualstack_ipv6()  # all addresses, of IPv4 too
        return socket.create_server(address, family=family, backlog=128, dualstack_ipv6=both)
    except OSError as error:
        unknown = isinstance(error, socket.gaierror)
        # Python adds the address to the text of the system.
        reason = error.strerror if unknown or not error.errno else os.strerror(error.errno)
        raise ChatdbError(
            Code.USAGE,
            f"can't listen on {join(host, port)}: {(reason or str(error)).lower()}",
            hint="give an address of this machine, and a port that is free",
            errno="ENOTFOUND" if unknown else errno_name(error),
        ) from None
