"""Running a command on a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time

from tests.support.paths import ROOT
from tests.support.project import Project


class Terminal:
    """A command whose stdin and stderr are a terminal, and stdout too unless it is piped."""

    def __init__(self, project: Project, *arguments: str, env: dict[str, str], pipe: bool = False):
        self.master, slave = pty.openpty()
        os.set_inheritable(slave, True)
        root = str(ROOT)
        self.process = subprocess.Popen(
            project.command(*arguments),
            cwd=project.path,
            env=project.environment(PYTHONPATH=root, TERM="xterm-256color", **env),
            stdin=slave,
            stderr=slave,
            stdout=subprocess.PIPE if pipe else slave,
            start_new_session=True,
            # Ctrl-C reaches the processes with this controlling terminal.
            preexec_fn=_take_terminal,
        )
        os.close(slave)
        self.text = ""

    def expect(self, text: str) -> None:
        deadline = time.monotonic() + 30
        while text not in self.text:
            assert time.monotonic() < deadline, self.text
            assert self._read(), self.text

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def end(self, again: str = "") -> int:
        """Wait for the end; type the keys `again` whenever there is no output for 2 seconds."""
        while True:
            ready, _, _ = select.select([self.master], [], [], 2)
            if not ready and again:
                self.type(again)
            elif ready and not self._read():
                break
        os.close(self.master)
        if self.process.stdout:
            self.process.stdout.close()
        return self.process.wait(30)

    def _read(self) -> bool:
        select.select([self.master], [], [], 30)
        try:
            output = os.read(self.master, 65536)
        except OSError:  # the command has ended
            return False
        self.text += output.decode().replace("\r\n", "\n")
        return bool(output)


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
