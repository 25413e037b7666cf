"""Accept clients, and bound what each of them may cost.

    serve   serve clients until a stop

What does not belong here: HTTP itself (`exchange.py`), what a path means (`answers.py`).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from chatdb_cli.health.serve.exchange import (
    HEAD_LIMIT,
    BadRequestError,
    new_exchange,
    read_request,
    send_response,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from chatdb_cli.health.serve.exchange import Request, Response

# How many clients there may be; for one more, the one that has been silent for longest is dropped.
CLIENTS = 100
# How long a client may take to send the head of its request, and to take the response.
HEAD_S, RESPONSE_S = 5.0, 10.0
# How long what a client still sends is discarded after the response: closing at once would reset the
# connection, and the client might not see the response.
_LINGER_S = 1.0


class _Clients:
    """The clients that have connected.

    Args:
        answer: from a request to a response; it ends by itself, in time.
    """

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self._answer = answer
        self._count = 0
        self._silent: dict[asyncio.StreamWriter, None] = {}  # in the order of their arrival

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client: one request."""
        if self._count >= CLIENTS and not self._drop_one():
            writer.transport.abort()
            return
        self._count += 1
        try:
            with suppress(TimeoutError, ConnectionError):
                await self._exchange(reader, writer)
        finally:
            self._count -= 1
            self._silent.pop(writer, None)
            writer.transport.abort()

    def _drop_one(self) -> bool:
        """Drop the client that has been connected for longest without a request."""
        writer = next(iter(self._silent), None)
        if writer is None:
            return False
        del self._silent[writer]
        writer.transport.abort()
        return True

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = new_exchange()
        writer.transport.set_write_buffer_limits(high=0)  # `drain` waits until all is sent
        self._silent[writer] = None
        head = False
        try:
            async with asyncio.timeout(HEAD_S):
                request = await read_request(http, reader)
            if request is None:
                return
            head = request.method == "HEAD"
            self._silent.pop(writer, None)
            response = await self._answer(request)
        except BadRequestError as error:
            response = error.response
        async with asyncio.timeout(RESPONSE_S):
            await send_response(http, writer, response, head=head)
            writer.write_eof()
        async with asyncio.timeout(_LINGER_S):
            while await reader.read(HEAD_LIMIT):
                pass


async def serve(
    listening: socket.socket,
    answer: Callable[[Request], Awaitable[Response]],
    stop: asyncio.Event,
    report: Callable[[str], None],
) -> None:
    """Serve clients until a stop.

    Args:
        listening: a socket that listens; it is closed at the end.
        answer: from a request to a response.
        stop: ends it; clients that wait for a response are dropped.
        report: called with a line about a failure that concerns one client.
    """
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: report(f"a client was dropped: {_reason(context)}")
    )
    server = await asyncio.start_server(_Clients(answer).serve, sock=listening, limit=HEAD_LIMIT)
    try:
        await stop.wait()
    finally:
        server.close()  # the end of the loop cancels what is left; `wait_closed` would wait for clients


def _reason(context: dict[str, object]) -> str:
    error = context.get("exception")
    return f"{type(error).__name__}: {error}" if error else str(context["message"])
