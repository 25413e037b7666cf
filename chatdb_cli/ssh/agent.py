"""The user's ssh-agent, each of whose answers has a time limit.

    Agent    its keys

It may hang: its socket may be forwarded from a machine that sleeps, or it waits for a person.  What
does not belong here: which keys are tried, and in which order (`login.py`).
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

from paramiko import SSHException
from paramiko import agent as paramiko_agent

from chatdb_cli.errors import ChatdbError, Code

if TYPE_CHECKING:
    from typing import Any


class Agent(paramiko_agent.AgentSSH):  # type: ignore[misc]
    """The keys of the agent that SSH_AUTH_SOCK names; none without an agent.

    Args:
        timeout_s: how long the agent may take to list its keys, in seconds.
        sign_timeout_s: how long it may take to sign, in seconds; a person may have to touch a key.

    Attributes:
        silent: it did not answer in time.

    Raises:
        ChatdbError: `AGENT_SILENT`, it does not list its keys in time.
    """

    def __init__(self, timeout_s: float, sign_timeout_s: float) -> None:
        super().__init__()
        self.silent = False
        self._timeout_s = timeout_s
        connection = _connect(timeout_s)
        if isinstance(connection, TimeoutError):
            raise self.error()
        if connection is None:
            return
        limited = isinstance(connection, socket.socket)
        try:
            if limited:
                connection.settimeout(timeout_s)
            self._connect(connection)
        except SSHException:
            connection.close()
            if self.silent:
                raise self.error() from None
            raise
        if limited:
            connection.settimeout(sign_timeout_s)
            self._timeout_s = sign_timeout_s

    def _send_message(self, msg: Any) -> Any:
        try:
            return super()._send_message(msg)
        except TimeoutError:
            self.silent = True
            raise SSHException("the agent did not answer") from None

    def error(self) -> ChatdbError:
        """Return the error of an agent that does not answer."""
        return ChatdbError(
            Code.AGENT_SILENT,
            f"the ssh-agent (SSH_AUTH_SOCK) did not answer within {self._timeout_s:g} s",
            hint='restart it; "ssh-add -l" shows whether it answers.  Or name a key with SSH_KEY_PATH '
            "and set SSH_AGENT=false",
            errno="ETIMEDOUT",
        )

    def close(self) -> None:
        """Close the connection to the agent."""
        self._close()


def _connect(timeout_s: float) -> Any:
    """Return a connection to the agent, None without one, or a TimeoutError.

    An agent that accepts no connection makes the kernel wait without a limit, which only another thread
    can leave alone.
    """
    answers: list[Any] = []
    given_up = threading.Event()

    def connect() -> None:
        connection = paramiko_agent.get_agent_connection()
        answers.append(connection)
        if given_up.is_set() and connection is not None:
            connection.close()

    thread = threading.Thread(target=connect, name="chatdb-ssh-agent", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if not answers:
        given_up.set()
    return answers[0] if answers else TimeoutError()
