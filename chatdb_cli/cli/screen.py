"""A part of a terminal that is drawn again and again.

What does not belong here: what is drawn (`render/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self, TextIO


class Screen:
    """A text on a terminal that another one replaces; the last one stays.

    Args:
        stream: the terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=stream, highlight=False)
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def draw(self, text: str) -> None:
        """Replace the text; it may contain colors as escape sequences."""
        from rich.text import Text

        self._live.update(Text.from_ansi(text.rstrip("\n")), refresh=True)
