"""An SSH server in Python, for faults that sshd cannot simulate.

It listens on a loopback port and runs asyncssh in a thread of the tests.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from tests.support.sshd import USER, free_port, make_folder, make_key


class _Session(asyncssh.SSHServer):
    def __init__(self, server: SshServer) -> None:
        self._server = server

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = conn
        self._server.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        self._server.logins.append(username)
        return True

    def public_key_auth_supported(self) -> bool:
        return self._server.takes_keys

    def kbdint_auth_supported(self) -> bool:
        return self._server.takes_answers

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        public_key = key.export_public_key().decode().split()[1]
        return username == USER and public_key in (self._server.folder / "authorized").read_text()

    def connection_requested(self, dest_host: str, dest_port: int, *_: Any) -> Any:
        if self._server.forward:
            return self._server.forward(dest_host, dest_port)
        host = self._server.names.get(dest_host, dest_host)
        return self._conn.forward_connection(host, dest_port)


@dataclass
class SshServer:
    """A running server.

    Attributes:
        forward: called when a client asks for a connection; by default it connects.
        names: names of hosts that only this server resolves, with their addresses.
        takes_keys: whether it accepts keys.
        takes_answers: whether it offers keyboard-interactive.
        more: other arguments of asyncssh.listen.
        logins: the users that have tried to log in so far.
        folder: the folder of its files.
    """

    forward: Callable[[str, int], Any] | None = None
    names: dict[str, str] = field(default_factory=dict)
    takes_keys: bool = True
    takes_answers: bool = False
    more: dict[str, Any] = field(default_factory=dict)
    keys: tuple[str, ...] = ("ed25519",)
    logins: list[str] = field(default_factory=list)
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)
    folder: Path = field(default_factory=make_folder)
    port: int = field(default_factory=free_port)

    def __enter__(self) -> SshServer:
        for kind in self.keys:
            make_key(self.folder / kind, kind)
        (self.folder / "authorized").touch()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ssh-server")
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._do(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        shutil.rmtree(self.folder)

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def start(self) -> None:
        async def listen() -> asyncssh.SSHAcceptor:
            return await asyncssh.listen(
                "127.0.0.1",
                self.port,
                server_factory=lambda: _Session(self),
                server_host_keys=[str(self.folder / kind) for kind in self.keys],
                **self.more,
            )

        self._server = self._do(listen())

    @property
    def listening(self) -> set[str]:
        """The sockets on which it listens, as /proc names them."""
        return {f"socket:[{os.fstat(sock.fileno()).st_ino}]" for sock in self._server.sockets}

    def stop(self) -> None:
        async def stop() -> None:
            self._server.close()
            await self._server.wait_closed()
            await self._drop_connections()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await asyncio.sleep(0.02)  # the loop closes an aborted socket in its next turn

        self._do(stop())

    def drop_connections(self) -> None:
        """Drop every connection."""
        self._do(self._drop_connections())

    async def _drop_connections(self) -> None:
        while self.connections:
            conn = self.connections.pop()
            conn.abort()
            await conn.wait_closed()

    def authorize(self, key: Path, options: str = "") -> None:
        with (self.folder / "authorized").open("a") as file:
            file.write(Path(f"{key}.pub").read_text())

    def known_hosts_line(self, name: str = "127.0.0.1", kind: str | None = None) -> str:
        """Return the line of known_hosts for this server."""
        key = (self.folder / f"{kind or self.keys[0]}.pub").read_text().split()
        return f"[{name}]:{self.port} {key[0]} {key[1]}\n"
