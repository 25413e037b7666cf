"""A JSON document that nobody can be trusted to have left alone: each value is checked when it is read.

What does not belong here: what the values mean (`saved.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_T = TypeVar("_T")


class BrokenError(ValueError):
    """A value is missing or has the wrong type; the message continues "the file ..."."""


class Value(NamedTuple):
    """A value of a document.

    Attributes:
        content: what `json.loads` made of it.
        path: where it is: `tables[3].rows`.
    """

    content: Any
    path: str = ""

    def wrong(self, expected: str) -> BrokenError:
        """Return the error of a value that is not what it should be."""
        return BrokenError(
            f"has something else than {expected} in {self.path or 'its outermost value'}"
        )

    def get(self, name: str) -> Value:
        """Return a value of an object.

        Raises:
            BrokenError: it is not an object, or has no such value.
        """
        if not isinstance(self.content, dict):
            raise self.wrong("an object")
        path = f"{self.path}.{name}" if self.path else name
        if name not in self.content:
            raise BrokenError(f"has no {path}")
        return Value(self.content[name], path)

    def items(self) -> list[Value]:
        """Return the values of an array."""
        if not isinstance(self.content, list):
            raise self.wrong("an array")
        return [Value(item, f"{self.path}[{n}]") for n, item in enumerate(self.content)]

    def text(self) -> str:
        """Return a text."""
        if not isinstance(self.content, str):
            raise self.wrong("a text")
        return self.content

    def whole(self) -> int:
        """Return a whole number."""
        if not isinstance(self.content, int) or isinstance(self.content, bool):
            raise self.wrong("a whole number")
        return self.content

    def boolean(self) -> bool:
        """Return true or false."""
        if not isinstance(self.content, bool):
            raise self.wrong("true or false")
        return self.content

    def one_of(self, choices: Sequence[str]) -> Any:
        """Return one of some words."""
        if self.content not in choices:
            raise self.wrong(f"one of {', '.join(choices)}")
        return self.content

    def optional(self, read: Callable[[Value], _T]) -> _T | None:
        """Return what `read` returns, or None for null."""
        return None if self.content is None else read(self)
