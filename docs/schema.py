"""Write schema.md from a database with the chat schema; `make docs` runs this script.

The database is in a temporary PostgreSQL.  What does not belong here: any text; the head of schema.md is
written there by hand, and the rest comes from the COMMENTs of sql/up.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from chatdb_cli.docs.read import read_schema
from chatdb_cli.docs.update import write_schema_docs
from chatdb_cli.embedded.server import EmbeddedServer
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.postgres.target import open_target
from chatdb_cli.settings.load import load_settings

PATH = Path(__file__).with_name("schema.md")
SQL = Path(__file__).parent.parent / "sql"


def main() -> None:
    """Bring schema.md up to date."""
    with tempfile.TemporaryDirectory(prefix="chatdb-docs-") as folder:
        Path(folder).chmod(0o711)  # for root, the server runs as another user
        server = EmbeddedServer(Path(folder) / ".chatdb")
        server.start()
        try:
            url = server.url()
            target = open_target(load_settings({"database_url": url}, environ={}, cwd=Path(folder)))
            Migrator(target, SQL).up()
            write_schema_docs(PATH, read_schema(target))
        finally:
            server.destroy()


if __name__ == "__main__":
    main()
