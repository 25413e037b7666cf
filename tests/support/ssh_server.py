"""An SSH server in Python for the tests: it does what sshd can't be made to do.

It is a thread of the tests with asyncssh's loop in it, on a loopback port.
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
    def __init__(self, of: SshServer) -> None:
        self._of = of

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = conn
        self._of.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        self._of.logins.append(username)
        return True

    def public_key_auth_supported(self) -> bool:
        return self._of.takes_keys

    def kbdint_auth_supported(self) -> bool:
        return self._of.takes_answers

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        public_key = key.export_public_key().decode().split()[1]
        return username == USER and public_key in (self._of.folder / "authorized").read_text()

    def connection_requested(self, dest_host: str, dest_port: int, *_: Any) -> Any:
        if self._of.forward:
            return self._of.forward(dest_host, dest_port)
        host = self._of.names.get(dest_host, dest_host)
        return self._conn.forward_connection(host, dest_port)


@dataclass
class SshServer:
    """A running server.

    Attributes:
        forward: what it does when it is asked for a connection; it makes one by default.
        names: hosts that only it knows, with their addresses.
        takes_keys: whether a key lets anybody in.
        takes_answers: whether it offers to ask questions.
        more: for asyncssh.
        logins: who wanted to log in so far.
        folder: where its files are.
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
        """Its own sockets, as /proc names them."""
        return {f"socket:[{os.fstat(one.fileno()).st_ino}]" for one in self._server.sockets}

    def stop(self) -> None:
        async def stop() -> None:
            self._server.close()
            await self._server.wait_closed()
            await self._drop_connections()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await asyncio.sleep(0.02)  # an aborted socket is closed a turn of the loop later

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
        """The line of known_hosts for it."""
        key = (self.folder / f"{kind or self.keys[0]}.pub").read_text().split()
        return f"[{name}]:{self.port} {key[0]} {key[1]}\n"
