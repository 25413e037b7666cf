"""Signals, deferred while something must not be left half done.

What does not belong here: what a signal does (that is the program's).
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Defer SIGINT and SIGTERM until the block ends; a second one takes effect at once.

    Use it around the delivery of a batch and the storing of its cursor, so that the two agree when the
    program is stopped.  Python runs handlers in the main thread alone: in another nothing is deferred.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    deferred: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM)
    handlers: dict[int, Any] = {n: h for n in signals if callable(h := signal.getsignal(n))}

    def defer(number: int, frame: FrameType | None) -> None:
        del frame
        deferred.append(number)
        signal.signal(number, handlers[number])

    for number in handlers:
        signal.signal(number, defer)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if deferred:
        signal.raise_signal(deferred[0])
