"""Files of a test schema that can't run as they are: without a transaction, or with lasting effects.

    prepare    the statements of a file without a transaction, as they can run in one
    refuse     why a file may not run: its text shows what ROLLBACK does not undo

What does not belong here: reading the effects from the text (`syntax/effects.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.remedy import Advice
from chatdb_cli.syntax.effects import find_lasting_effects, without_concurrently
from chatdb_cli.syntax.location import locate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.files.model import Script
    from chatdb_cli.migrate.model import LoadedStep
    from chatdb_cli.syntax.statements import Statement

# There are no rows, so there is nothing to do.
_NOTHING_TO_DO = re.compile(r"\s*(?:VACUUM\b|REINDEX\b|CLUSTER\s*(?:\(.*\)\s*)?$)", re.IGNORECASE)

_DETACH = re.compile(
    r"\s*ALTER\s+TABLE\b.*\bDETACH\s+PARTITION\b.*\b(CONCURRENTLY)\s*$", re.IGNORECASE | re.DOTALL
)


def prepare(script: Script, statements: Sequence[Statement] | None) -> Sequence[Statement] | None:
    """Return a file's statements as each can run in a transaction, where it can be rolled back.

    In a schema without rows nothing has to be CONCURRENTLY, and VACUUM and REINDEX have nothing to do.
    """
    if script.directives.transactional or statements is None:
        return statements
    return tuple(
        s._replace(text=_without_detach_concurrently(without_concurrently(s.text)))
        for s in statements
        if not _NOTHING_TO_DO.match(s.text)
    )


def _without_detach_concurrently(statement: str) -> str:
    """Return an ALTER TABLE ... DETACH PARTITION without CONCURRENTLY; blanks keep every offset."""
    detach = _DETACH.match(statement)
    if detach is None:
        return statement
    start, end = detach.span(1)
    return statement[:start] + " " * (end - start) + statement[end:]


def refuse(loaded: LoadedStep, schema: str) -> ChatdbError | None:
    """Return why a file may not run, or None.

    Args:
        loaded: the file.
        schema: the test schema.
    """
    script = loaded.script
    for effect in find_lasting_effects(script.text, loaded.statements):
        named, _, _ = (effect.argument or "").rpartition(".")
        is_inside = named.strip('"') in ("", schema)
        if is_inside and effect.what.lower() in ("setval", "nextval"):
            continue
        return ChatdbError(
            Code.REFUSED,
            f"{effect.what} {effect.argument or ''}".rstrip()
            + f" reaches outside of the test schema {schema!r}, and ROLLBACK does not undo it",
            hint=Advice(
                "leave it out of the migrations that tests run, or use a test database: "
                "{setup_test_database}"
            ),
            place=locate(script.text, effect.offset, script.path),
        )
    return None
