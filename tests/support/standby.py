"""A streaming standby of a server."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from tests.support.servers import TEMP_FOLDER, Server


def data_of(server: Server) -> Path:
    data = server.embedded.status().data
    assert data
    return data


@dataclass
class Standby:
    """A streaming standby of a server, with its data in its own folder."""

    primary: Server
    folder: Path
    log: IO[bytes]
    process: subprocess.Popen[bytes] | None = None

    def _command(self, program: str, *arguments: str | Path) -> dict[str, Any]:
        owner = data_of(self.primary).stat()
        user = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        return {
            "args": [self.primary.bin / program, *arguments],
            "cwd": self.folder,
            "stderr": self.log,
            **(user if os.geteuid() == 0 else {}),
        }

    def copy(self) -> None:
        conninfo = f"host={self.primary.embedded.params()['host']} user=postgres"
        more = ("-R", "-c", "fast", "--no-sync")
        subprocess.run(
            **self._command("pg_basebackup", "-d", conninfo, "-D", "data", *more), check=True
        )
        (self.folder / "data" / "hba.conf").write_text("local all all trust\n")

    def start(self, *, hot: bool) -> None:
        settings = {
            "unix_socket_directories": self.folder,
            "listen_addresses": "",
            "hba_file": "data/hba.conf",
            "ident_file": "data/pg_ident.conf",
            "fsync": "off",
            "hot_standby": hot,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self.process = subprocess.Popen(**self._command("postgres", "-D", "data", *options))
        ready = [str(self.primary.embedded.programs / "pg_isready"), "-q", "-h", str(self.folder)]
        while subprocess.run(ready).returncode != (0 if hot else 1):  # 1: it rejects connections
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(60)
            self.process = None

    def promote(self) -> None:
        subprocess.run(**self._command("pg_ctl", "promote", "-W", "-D", "data"), check=True)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={quote(str(self.folder), safe='')}"


@contextmanager
def copied(server: Server) -> Iterator[Standby]:
    """Yield a standby of a server that is not started; replication must be allowed to log in."""
    with tempfile.TemporaryDirectory(prefix="chatdb-standby-", dir=TEMP_FOLDER) as folder:
        home = Path(folder)
        owner = data_of(server).stat()
        os.chown(home, owner.st_uid, owner.st_gid)
        with (home / "log").open("ab") as log:
            standby = Standby(server, home, log)
            standby.copy()
            try:
                yield standby
            finally:
                standby.stop()
