"""A progress bar on a terminal.

What does not belong here: what is counted (`progress.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.cli.render.text import one_line

if TYPE_CHECKING:
    from rich.console import Console

_LONGEST_LABEL = 40  # characters; the rest of the line is the bar's


class Bar:
    """A progress bar on a terminal.

    Args:
        console: the terminal.
        total: the number of steps.
        facts: the text of `state` is shown after the bar, in place of the number of steps.
    """

    def __init__(self, console: Console, total: int, *, facts: bool = False) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None if facts else 40),
            TextColumn("{task.fields[facts]}", markup=False) if facts else MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            expand=facts,
        )
        self._task = self._progress.add_task("", total=total, facts="")
        self._progress.start()

    def label(self, text: str) -> None:
        """Name the current step."""
        text = one_line(text)
        if len(text) > _LONGEST_LABEL:
            text = f"{text[: _LONGEST_LABEL - 1]}…"
        self._progress.update(self._task, description=text)

    def state(self, text: str) -> None:
        """Show facts about the progress after the bar."""
        self._progress.update(self._task, facts=one_line(text))

    def advance(self) -> None:
        """Count one step as finished."""
        self._progress.advance(self._task)

    def complete(self, steps: int, total: int | None = None) -> None:
        """Set the number of finished steps, and of all steps if that has changed."""
        self._progress.update(self._task, completed=steps, total=total)

    def stop(self) -> None:
        """Remove the bar from the terminal."""
        self._progress.stop()
