"""A setup: the run of all migrations, and the seed after it.

What does not belong here: the parts (`migrate.py`, `seed.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.cli.render.document import Rendered
from chatdb_cli.cli.render.migrate import run_document, run_summary
from chatdb_cli.cli.render.seed import seed_document, seed_summary

if TYPE_CHECKING:
    from chatdb_cli.migrate.model import Run
    from chatdb_cli.seed.model import Seeded


def render_setup(run: Run, seeded: Seeded | None) -> Rendered:
    """Render a setup.

    Args:
        run: of its migrations.
        seeded: of its seed, if one was asked for.
    """
    if seeded is None:
        return Rendered(run_document(run), (run_summary(run),))
    document = run_document(run) | {"seed": seed_document(seeded)}
    return Rendered(document, (run_summary(run), seed_summary(seeded)))
