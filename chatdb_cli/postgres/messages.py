"""Messages that are made when they are sent, so that a large file takes its memory once.

    Lazy      messages made from other values, each when it is asked for
    Joined    several sequences of messages as one
    join      joins them

What does not belong here: what a message is (`pipeline.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chatdb_cli.postgres.pipeline import Message

_T = TypeVar("_T")
# From so many messages on they are not kept together in memory.
_MANY = 10_000


class Lazy(Sequence["Message"]):
    """Messages made from values.

    Args:
        values: one for each message.
        make: returns the message of a number and its value.
    """

    def __init__(self, values: Sequence[_T], make: Callable[[int, _T], Message]) -> None:
        self._values = values
        self._make = make

    def __len__(self) -> int:
        """Return the number of messages."""
        return len(self._values)

    @overload
    def __getitem__(self, index: int) -> Message: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Message]: ...

    def __getitem__(self, index: int | slice) -> Message | Sequence[Message]:
        """Return a message, or some of them as a list."""
        numbers = range(len(self))[index]
        if isinstance(numbers, int):
            return self._make(numbers, self._values[numbers])
        return [self._make(n, self._values[n]) for n in numbers]

    def __iter__(self) -> Iterator[Message]:
        """Make each message in turn."""
        return (self._make(n, value) for n, value in enumerate(self._values))


class Joined(Sequence["Message"]):
    """Several sequences of messages as one."""

    def __init__(self, parts: Sequence[Sequence[Message]]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        """Return the number of messages."""
        return sum(map(len, self._parts))

    @overload
    def __getitem__(self, index: int) -> Message: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Message]: ...

    def __getitem__(self, index: int | slice) -> Message | Sequence[Message]:
        """Return a message, or some of them as a list."""
        numbers = range(len(self))[index]
        if not isinstance(numbers, int):
            return [self[n] for n in numbers]
        for part in self._parts:
            if numbers < len(part):
                return part[numbers]
            numbers -= len(part)
        raise IndexError(index)

    def __iter__(self) -> Iterator[Message]:
        """Return each message in turn."""
        return chain.from_iterable(self._parts)


def join(*parts: Sequence[Message]) -> Sequence[Message]:
    """Return several sequences of messages as one: a list, unless there are very many."""
    if sum(map(len, parts)) < _MANY:
        return [*chain.from_iterable(parts)]
    return Joined(parts)
