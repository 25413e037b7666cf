"""A setup: the run of all migrations, and the seed after it.

What does not belong here: the parts (`migrate.py`, `seed.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.cli.render.document import Rendered, target_document
from chatdb_cli.cli.render.migrate import run_document, run_summary
from chatdb_cli.cli.render.seed import seed_document, seed_summary
from chatdb_cli.cli.words import in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.migrate.model import Run
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.provision.model import SetupForTests
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


def render_test_setup(made: SetupForTests) -> Rendered:
    """Render a setup for tests: what was applied, and what was emptied."""
    document = run_document(made.run) | {
        "warnings": [in_words(text) for text in (*made.run.warnings, *made.warnings)],
        "contained": made.contained,
        "emptied": list(made.emptied),
    }
    return Rendered(document, (run_summary(made.run), f"emptied {_tables(len(made.emptied))}"))


def render_dropped(target: Target, dropped: Sequence[str]) -> Rendered:
    """Render what was dropped.

    Args:
        target: the test schema or the test database.
        dropped: what there was of it, for people.
    """
    document = target_document(target) | {"dropped": list(dropped)}
    text = f"dropped {', '.join(dropped)}" if dropped else "there is nothing to drop"
    return Rendered(document, (text,))


def _tables(count: int) -> str:
    return f"{count} table{'' if count == 1 else 's'}"
