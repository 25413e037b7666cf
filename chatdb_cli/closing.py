"""A context manager whose block ends with `close`.

What does not belong here: anything that has to know how its block ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class Closing:
    """A base class for what has to be closed: `with` closes it at the end of the block."""

    __slots__ = ()

    def close(self) -> None:
        """Release everything that is held."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
