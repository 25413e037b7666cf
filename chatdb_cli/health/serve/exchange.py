"""One request and its response, by h11; the connection is closed after it.

    Request, Response   what `answers.py` gets and returns
    read_request        read the head of a request
    send_response       send a response

What does not belong here: time limits and the number of clients (`listener.py`), what a path means
(`answers.py`).
"""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import h11

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

# The longest head of a request: its line and all headers.
HEAD_LIMIT = 16 * 1024


class Request(NamedTuple):
    """The head of a request; the body, if there is one, is never read.

    Attributes:
        method: such as `GET`, in capitals.
        path: without the query.
        headers: the last value of each header, by its name in lower case.
    """

    method: str
    path: str
    headers: Mapping[str, str]


class Response(NamedTuple):
    """A response.

    Attributes:
        status: the status code.
        body: the content.
        content_type: its type.
        headers: further headers.
    """

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


class BadRequestError(Exception):
    """The client sent something that is no request; `response` says so."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.body.decode())
        self.response = response


def new_exchange() -> h11.Connection:
    """Return the state of one exchange."""
    return h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)


async def read_request(http: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    """Read the head of a request; return None if the client closed the connection before.

    Raises:
        BadRequestError: it is no HTTP request, or is too long.
    """
    try:
        while (event := http.next_event()) is h11.NEED_DATA:
            http.receive_data(await reader.read(HEAD_LIMIT))
        if not isinstance(event, h11.Request):
            return None
        if event.http_version not in (b"1.0", b"1.1"):
            raise BadRequestError(text(505, "this server speaks HTTP/1.1"))
        path = urlsplit(event.target.decode("ascii")).path
    except h11.RemoteProtocolError as error:
        raise BadRequestError(text(error.error_status_hint, str(error))) from None
    except ValueError:
        raise BadRequestError(text(400, "the target of the request is not a URL")) from None
    headers = {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}
    return Request(event.method.decode("ascii"), path, headers)


def text(status: int, message: str) -> Response:
    """Return a response of one line."""
    return Response(status, f"{message}\n".encode())


async def send_response(
    http: h11.Connection, writer: asyncio.StreamWriter, response: Response, *, head: bool
) -> None:
    """Send a response, and wait until the client has taken it.

    Args:
        http: the state of the exchange.
        writer: the connection.
        response: what to send.
        head: the client asked with HEAD: the content is left out.
    """
    headers = [
        ("Date", formatdate(usegmt=True)),
        ("Content-Type", response.content_type),
        ("Content-Length", str(len(response.body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Connection", "close"),
        *response.headers,
    ]
    reason = HTTPStatus(response.status).phrase
    start = h11.Response(status_code=response.status, reason=reason, headers=headers)
    data = http.send(start) or b""
    if not head:
        data += http.send(h11.Data(data=response.body)) or b""
    writer.write(data + (http.send(h11.EndOfMessage()) or b""))
    await writer.drain()
