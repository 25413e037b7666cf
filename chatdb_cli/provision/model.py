"""The results of this package as values.

    SetupForTests    what `setup --test` did
    Containment  what keeps the files of a test schema inside

What does not belong here: anything that acts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from chatdb_cli.migrate.model import Run

Containment = Literal["rights", "watch", "database"]


class SetupForTests(NamedTuple):
    """What a setup for tests did.

    Attributes:
        run: the migrations that were applied; none if only rows were deleted.
        emptied: the tables that held rows, and hold none now.
        contained: what keeps the files inside: the rights of the schema's own role, the watch alone, or
            a database of its own.
        warnings: what the user should know.
    """

    run: Run
    emptied: tuple[str, ...]
    contained: Containment
    warnings: tuple[str, ...] = ()
