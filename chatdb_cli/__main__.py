"""`python -m chatdb_cli` is `chatdb`."""

from chatdb_cli.cli import main

main()
