"""A folder with env files, and the settings that are read from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from chatdb_cli.errors import ChatdbError
from chatdb_cli.settings.load import load_settings
from chatdb_cli.settings.model import Settings

PLACE = {"host": "", "hostaddr": "", "port": "5432", "dbname": ""}


URL = "postgres://app@db.example/chat"


Flags = Mapping[str, str | bool | None] | None


class Project:
    """A working directory with env files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str | bytes) -> Project:
        path = self.path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self

    def server(self, home: str = ".chatdb") -> Project:
        (self.path / home).mkdir()
        (self.path / home / "server.json").write_text("{}")
        return self

    def load(self, flags: Flags = None, **environ: str) -> Settings:
        return load_settings(flags, environ=environ, cwd=self.path)

    def error(self, flags: Flags = None, **environ: str) -> ChatdbError:
        with pytest.raises(ChatdbError) as caught:
            self.load(flags, **environ)
        assert caught.value.exit == 2
        return caught.value


def source(settings: Settings) -> str | None:
    return settings.database.source if settings.database else None


ONE = f"DATABASE_URL={URL}\n"


FULL = "POSTGRES_DB=chat\nPOSTGRES_USER=app\n"
