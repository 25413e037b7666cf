r"""The file of a snapshot: text that a version control system can compare line by line, and its parser.

    chatdb snapshot 1
    server: 18
    schemas:
      - public

    table public.users
      owner: app
      column id
        type: bigint
        not null: yes
      trigger touch
        definition: CREATE TRIGGER touch ...

A block for each object, with its parts below it, and a line for each attribute.  A value of several
lines follows its name, each line after `| `; a list has `- ` before each item.  `\ ` introduces a JSON
string, for a text with control characters or with blanks at its end.  Nothing in the file depends on
the time or on the machine.  What does not belong here: reading the catalog (`snapshot.py`).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.catalog.kinds import PARTS, WHOLE
from chatdb_cli.catalog.model import SchemaObject, Snapshot, Unread
from chatdb_cli.errors import ChatdbError, Code, Location
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chatdb_cli.catalog.model import Value

_FIRST = "chatdb snapshot 1"
# A text that is not plain when it is alone on a line.
_SPECIAL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ufeff]|\A[\s\\]|\s\Z|\A\Z")
# A line of a longer text that is not plain.
_SPECIAL_LINE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]|[ \t]\Z")
_ATTRIBUTE = re.compile(r"([A-Za-z][\w -]*):(?: (.*))?", re.DOTALL)
_KIND = re.compile(
    rf"({'|'.join(sorted((*WHOLE, *PARTS), key=len, reverse=True))}) (.+)", re.DOTALL
)


def format_snapshot(snapshot: Snapshot) -> str:
    """Return the text of a snapshot's file."""
    head = [_FIRST, f"server: {snapshot.server_version}"]
    head += _attribute("schemas", snapshot.schemas, "")
    for unread in snapshot.unread:
        head += _attribute("unread", tuple(unread), "")
    blocks = ["\n".join(head), *_blocks(snapshot.objects)]
    return "\n\n".join(blocks) + "\n"


def _blocks(objects: Iterable[SchemaObject]) -> Iterator[str]:
    block: list[str] = []
    for item in objects:
        if block and not item.parent:
            yield "\n".join(block)
            block = []
        block += _lines(item)
    if block:
        yield "\n".join(block)


def object_text(objects: Iterable[SchemaObject]) -> str:
    """Return the block of an object and its parts."""
    return "\n".join(_blocks(objects))


def _lines(item: SchemaObject) -> Iterator[str]:
    indent = "  " if item.parent else ""
    yield f"{indent}{item.kind} {_inline(item.name)}"
    for name, value in item.attributes:
        yield from _attribute(name, value, indent + "  ")


def _attribute(name: str, value: Value, indent: str) -> Iterator[str]:
    if isinstance(value, tuple):
        yield f"{indent}{name}:"
        for item in value:
            yield f"{indent}  - {_inline(item)}"
    elif "\n" in value:
        yield f"{indent}{name}:"
        for line in value.split("\n"):
            if _SPECIAL_LINE.search(line):
                yield f"{indent}  \\ {json.dumps(line)}"
            else:
                yield f"{indent}  | {line}".rstrip(" ")
    else:
        yield f"{indent}{name}: {_inline(value)}"


def _inline(text: str) -> str:
    return f"\\ {json.dumps(text)}" if _SPECIAL.search(text) else text


class _Block(NamedTuple):
    """An object as the file has it; the head of the file is one with no kind."""

    kind: str
    name: str
    parent: str
    attributes: list[tuple[str, Value]]


def parse_snapshot(text: str, path: Path | None = None) -> Snapshot:
    """Return the snapshot whose file has this text.

    Args:
        text: the text of the file.
        path: the file, for errors.

    Raises:
        ChatdbError: `BAD_SNAPSHOT`.
    """
    lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    if lines[0] != _FIRST:
        raise _error(f"the first line of a snapshot is {_FIRST!r}", path, 1)
    blocks = [_Block("", "", "", [])]
    for number, line in enumerate(lines[1:], 2):
        try:
            _read_line(line, blocks)
        except ValueError as error:
            raise _error(str(error), path, number) from None
    head = blocks[0].attributes
    values = dict(head)
    version, schemas = values.get("server"), values.get("schemas")
    unread = [value for name, value in head if name == "unread"]
    if not (isinstance(version, str) and version.isdecimal() and isinstance(schemas, tuple)):
        raise _error("the server or the schemas are missing at the head of the snapshot", path, 1)
    if not all(isinstance(value, tuple) and len(value) == len(Unread._fields) for value in unread):
        raise _error("what could not be read has other than four items", path, 1)
    return Snapshot(
        int(version),
        schemas,
        tuple(SchemaObject(b.kind, b.name, b.parent, tuple(b.attributes)) for b in blocks[1:]),
        tuple(Unread(*value) for value in unread),
    )


def _read_line(line: str, blocks: list[_Block]) -> None:
    """Add a line to the blocks that were read so far.

    Raises:
        ValueError: it does not fit there.
    """
    text = line.lstrip(" ")
    if not text:
        return
    block = blocks[-1]
    indent = len(line) - len(text) - (2 if block.parent else 0)
    within = 2 if block.kind else 0  # the indent of an attribute of this block
    if indent == within + 2 and block.attributes and text[0] in "-|\\":
        block.attributes[-1] = _with_line(block.attributes[-1], text)
    elif (match := _ATTRIBUTE.fullmatch(text)) and indent == within:
        value = () if match[2] is None else _parsed(match[2])
        block.attributes.append((match[1], value))
    elif (match := _KIND.fullmatch(text)) and len(line) - len(text) == (
        2 if match[1] in PARTS and len(blocks) > 1 else 0
    ):
        parent = (block.parent or block.name) if match[1] in PARTS else ""
        blocks.append(_Block(match[1], _parsed(match[2]), parent, []))
    else:
        raise ValueError("this line is neither an object nor an attribute of the object above it")


def _with_line(attribute: tuple[str, Value], text: str) -> tuple[str, Value]:
    """Return an attribute with one more line of its value."""
    name, value = attribute
    if text.startswith("- ") and isinstance(value, tuple):
        return name, (*value, _parsed(text[2:]))
    if text[0] == "-":
        raise ValueError("an item of a list is here, and the value is no list")
    line = text[2:] if text[0] == "|" else _parsed(text)
    return name, line if value == () else f"{value}\n{line}"


def _parsed(text: str) -> str:
    if not text.startswith("\\"):
        return text
    try:
        value = json.loads(text[1:])
    except json.JSONDecodeError:
        value = None
    if not isinstance(value, str):
        raise ValueError("no JSON string follows the backslash")
    return value


def _error(message: str, path: Path | None, line: int) -> ChatdbError:
    return ChatdbError(
        Code.BAD_SNAPSHOT,
        message,
        hint=Advice("make the file again with {snapshot}"),
        place=Location(path or Path(), line),
    )
