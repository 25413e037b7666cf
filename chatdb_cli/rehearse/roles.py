"""One role of a snapshot under another name.

In the scratch place another role runs the files than the one that applied them to the target.  What does
not belong here: reading privileges (`catalog/grants.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.catalog.grants import role_name

if TYPE_CHECKING:
    from chatdb_cli.catalog.model import SchemaObject, Snapshot, Value


def with_role(snapshot: Snapshot, role: str, other: str) -> Snapshot:
    """Return a snapshot in which one role, as owner, grantee and grantor, has the name of another.

    Args:
        snapshot: the snapshot.
        role: the role that built it.
        other: the role in whose place it did so.
    """
    if role == other:
        return snapshot
    old, new = role_name(role), role_name(other)
    objects = tuple(_object(item, old, new) for item in snapshot.objects)
    return snapshot._replace(objects=objects)


def _object(item: SchemaObject, old: str, new: str) -> SchemaObject:
    attributes = tuple((name, _value(name, value, old, new)) for name, value in item.attributes)
    return item._replace(attributes=attributes)


def _value(name: str, value: Value, old: str, new: str) -> Value:
    if name == "owner":
        return new if value == old else value
    if name == "grants" and isinstance(value, tuple):
        return tuple(sorted(_grant(text, old, new) for text in value))
    return value


def _grant(text: str, old: str, new: str) -> str:
    if text.startswith(f"{old}: "):
        text = new + text[len(old) :]
    by = f" (granted by {old})"
    return f"{text[: -len(by)]} (granted by {new})" if text.endswith(by) else text
