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
    """

    def __init__(self, console: Console, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=total)
        self._progress.start()

    def label(self, text: str) -> None:
        """Name the current step."""
        text = one_line(text)
        if len(text) > _LONGEST_LABEL:
            text = f"{text[: _LONGEST_LABEL - 1]}…"
        self._progress.update(self._task, description=text)

    def advance(self) -> None:
        """Count one step as finished."""
        self._progress.advance(self._task)

    def complete(self, steps: int) -> None:
        """Set the number of finished steps."""
        self._progress.update(self._task, completed=steps)

    def stop(self) -> None:
        """Remove the bar from the terminal."""
        self._progress.stop()
