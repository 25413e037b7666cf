"""Two sides at once: the same work on both, each in a thread of its own.

What does not belong here: what the work is (`compare.py`, `find.py`).
"""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from chatdb_cli.callbacks import ignore
from chatdb_cli.errors import ChatdbError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_Side = TypeVar("_Side")
_Result = TypeVar("_Result")


def at_once(
    work: Callable[[_Side], _Result],
    sides: tuple[_Side, _Side],
    cancel: Callable[[_Side], object] = ignore,
) -> tuple[_Result, _Result]:
    """Do the same work for both sides at once, and return both results.

    If one side fails, or the caller is interrupted, the other is cancelled; this returns when both have
    ended.  The first failure is raised, that of the other side as `of_other_side` says.

    Args:
        work: called with a side, in a thread.
        sides: this side, and the other.
        cancel: makes the work on a side end early.
    """

    def on_other(side: _Side) -> _Result:
        with of_other_side():
            return work(side)

    with ThreadPoolExecutor(2, "chatdb-side") as pool:
        futures = pool.submit(work, sides[0]), pool.submit(on_other, sides[1])
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            failed = [future for future in futures if future in done and future.exception()]
            if failed:
                failed[0].result()
        except BaseException:
            for side, future in zip(sides, futures, strict=True):
                if not future.done():
                    cancel(side)
            raise
        return futures[0].result(), futures[1].result()


@contextmanager
def of_other_side() -> Iterator[None]:
    """Say in an error of the block that it happened on the other side of a comparison."""
    try:
        yield
    except ChatdbError as error:
        raise error.with_(message=f"other side: {error.message}") from error.__cause__
