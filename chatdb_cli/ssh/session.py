"""SSH sessions along a route of jump hosts, each tunneled through the previous one.

What belongs here: the order of the steps: connect, host key, login, for each hop.  What does not: how
each of them is done (`dial.py`, `known_hosts.py`, `login.py`), keeping the route open (`open_route.py`).
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chatdb_cli import log
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.ssh.config import read_hops
from chatdb_cli.ssh.dial import LOCAL_ORIGIN, dial, negotiate, open_channel
from chatdb_cli.ssh.known_hosts import KnownHosts, verify_host_key
from chatdb_cli.ssh.login import load_keys, log_in
from chatdb_cli.ssh.model import TunnelStep
from chatdb_cli.ssh.transport import Stream, Transport, shut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    import paramiko

    from chatdb_cli.settings.model import Bastion
    from chatdb_cli.ssh.keys import Ask
    from chatdb_cli.ssh.model import Hop

# Failures that may be temporary: opening the route is retried.
TEMPORARY = frozenset(
    {Code.TUNNEL_REFUSED, Code.TUNNEL_TIMEOUT, Code.TUNNEL_UNREACHABLE, Code.TUNNEL_CLOSED}
)
_ANSWER_FACTOR = 5  # an SSH server may take so many times longer to answer than to accept
_KEEPALIVE_S = 5


class Route:
    """The route to a bastion over every hop; sessions are opened by `open`.

    Args:
        bastion: the settings of the bastion.
        timeout_s: how long the connection to one host may take, in seconds.
        note: called with each step.
        ask: asks a person for the passphrase of a key.

    Attributes:
        hops: every hop; the bastion is the last.

    Raises:
        ChatdbError: a file in ~/.ssh can't be used; nothing was connected yet.
    """

    def __init__(
        self, bastion: Bastion, timeout_s: float, note: Callable[[TunnelStep], None], ask: Ask
    ) -> None:
        self.hops = read_hops(bastion)
        self._timeout_s = timeout_s
        self._note = note
        self._known_hosts = {hop: KnownHosts(hop.known_hosts) for hop in self.hops}
        self._keys: dict[Hop, list[tuple[str, paramiko.PKey]]] = {}
        for hop in self.hops:
            with self.step(str(hop), "keys") as details:
                self._keys[hop] = load_keys(hop, bastion.passphrase, ask)
                details.append(", ".join(label for label, _ in self._keys[hop]) or "none named")

    @property
    def answer_timeout_s(self) -> float:
        """How long an SSH server may take to answer, in seconds."""
        return self._timeout_s * _ANSWER_FACTOR

    def open(self) -> list[Transport]:
        """Open a session with each hop, each through the previous one.

        Raises:
            ChatdbError: a step failed; all sessions are closed.
        """
        sessions: list[Transport] = []
        try:
            for hop in self.hops:
                with self.step(str(hop), "connect") as details:
                    sessions.append(Transport(hop, self._connect(hop, sessions)))
                    self._negotiate(sessions[-1])
                    details.append(sessions[-1].remote_version)
                with self.step(str(hop), "host key") as details:
                    key = sessions[-1].get_remote_server_key()
                    details.append(verify_host_key(hop, key, self._known_hosts[hop]))
                with self.step(str(hop), "login") as details:
                    details.append(log_in(sessions[-1], self._keys[hop], self._timeout_s))
            sessions[-1].request_keepalive(_KEEPALIVE_S)
        except BaseException:
            shut(sessions)
            raise
        return sessions

    @contextmanager
    def step(self, hop: str, what: str) -> Iterator[list[str]]:
        """Note one step of the route when the block ends; what is put into the list is its detail."""
        details: list[str] = []
        start = time.monotonic()
        try:
            yield details
        except ChatdbError as failure:
            self._noted(TunnelStep(hop, what, "failed", _ms_since(start), failure.message))
            raise
        self._noted(TunnelStep(hop, what, "ok", _ms_since(start), "".join(details)))

    def _noted(self, step: TunnelStep) -> None:
        log.debug(
            "tunnel", f"{step.hop}: {step.what}: {step.detail}", state=step.state, hop=step.hop,
            step=step.what, detail=step.detail, duration_ms=step.duration_ms,
        )  # fmt: skip
        self._note(step)

    def _connect(self, hop: Hop, sessions: list[Transport]) -> Stream:
        """Connect to a hop's SSH port, directly or through the previous hop."""
        if not sessions:
            return dial(hop, self._timeout_s)
        place = (hop.host, hop.port)
        return Stream(open_channel(sessions[-1], place, self.answer_timeout_s, to_hop=True))

    def _negotiate(self, transport: Transport) -> None:
        hop = transport.hop
        kinds = {key.kind for key in self._known_hosts[hop].of(hop.known_as)}
        negotiate(transport, kinds, self.answer_timeout_s)

    def open_channel(
        self,
        bastion: Transport,
        place: tuple[str, int],
        origin: tuple[str, int] = LOCAL_ORIGIN,
        timeout_s: float | None = None,
    ) -> Any:
        """Ask the bastion for a connection to the database, and return the channel.

        Args:
            bastion: the session with the bastion.
            place: host and port of the database.
            origin: host and port of the client that is connected.
            timeout_s: how long to wait, in seconds, in place of `answer_timeout_s`.

        Raises:
            ChatdbError: the bastion did not open the connection.
        """
        timeout_s = self.answer_timeout_s if timeout_s is None else timeout_s
        return open_channel(bastion, place, timeout_s, origin)


def _ms_since(start: float) -> int:
    return round((time.monotonic() - start) * 1000)
