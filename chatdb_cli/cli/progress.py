"""Progress: from the events of a run or a seed to the bar and the lines of a command.

What does not belong here: drawing the bar (`bar.py`), results, the words of a step (`render/`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chatdb_cli import log
from chatdb_cli.cli.render.migrate import step_line
from chatdb_cli.cli.render.rehearse import version_line
from chatdb_cli.cli.render.styles import STYLES
from chatdb_cli.cli.render.text import shortened

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatdb_cli.cli.output import Output
    from chatdb_cli.counts.model import CountProgress
    from chatdb_cli.migrate.model import Progress
    from chatdb_cli.rehearse.model import RehearsalProgress
    from chatdb_cli.seed.model import SeedProgress


def migration_progress(out: Output) -> Callable[[Progress], None]:
    """Return a callback that shows the progress of a run."""

    def show(event: Progress) -> None:
        if event.kind in ("notice", "waiting"):
            before = f"{event.step.version} " if event.step else ""
            out.line(out.recorded(shortened(event.text), before))
        elif event.kind == "planned":
            out.open_bar(event.total)
        elif event.kind == "started" and out.bar and event.step:
            out.bar.label(f"{event.step.version} {event.step.name}")
        elif event.kind == "done" and event.step:
            if out.bar:
                out.bar.advance()
            out.line(step_line(event), STYLES.get(event.state or "", ""))

    return show


def rehearsal_progress(out: Output) -> Callable[[RehearsalProgress], None]:
    """Return a callback that shows how far a rehearsal is; the result has a line for each version."""

    def show(event: RehearsalProgress) -> None:
        if event.version is None:
            out.open_bar(event.total)
        elif out.bar:
            out.bar.advance()
            out.bar.label(f"{event.version.version} {event.version.name}")
        elif out.form == "json":
            out.line(version_line(event.version))

    return show


def seed_progress(out: Output) -> Callable[[SeedProgress], None]:
    """Return a callback that shows the progress of a seed."""
    current = ""

    def show(event: SeedProgress) -> None:
        nonlocal current
        if event.what != current:
            current = event.what
            out.close()
            out.open_bar(event.total)
            text = f"seeding: {event.total} {event.what}"
            text = log.info("seed", text, what=event.what, total=event.total)
            if not out.bar:
                out.say(text)
        if out.bar:
            out.bar.label(event.what)
            out.bar.complete(event.done)

    return show


def count_progress(out: Output) -> Callable[[CountProgress], None]:
    """Return a callback that shows the progress of a count: rows, rows per second, time left."""
    start = time.monotonic()

    def show(event: CountProgress) -> None:
        nonlocal start
        if event.pages == 0:
            start = time.monotonic()
            if out.bar is None:
                out.open_bar(event.total_pages, facts=True)
        if out.bar:
            out.bar.label(event.table)
            out.bar.complete(event.pages, event.total_pages)
            out.bar.state(count_state(event, time.monotonic() - start))

    return show


def count_state(event: CountProgress, seconds: float) -> str:
    """Return the progress of a count in words.

    Args:
        event: how far it is.
        seconds: the time that it has taken so far.
    """
    if not event.pages or seconds <= 0:
        return f"{event.rows:,} rows"
    left = round(seconds * (event.total_pages - event.pages) / event.pages)
    minutes, rest = divmod(left, 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    return f"{event.rows:,} rows, {event.rows / seconds:,.0f}/s, {clock} left"
