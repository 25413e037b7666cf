"""What each down of a trial did to the relations that existed before, as a difference of two moments.

    Traits     what the text of a file says about its effects
    Effects    what one file did
    find_effects
               returns the effects of each file

Pure: nothing here uses a connection.  What does not belong here: which effects are a loss (`losses.py`),
how a file is watched in the real run (`watches.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.migrate.guards.relations import NOTHING, Written
from chatdb_cli.syntax.effects import JOINED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from chatdb_cli.migrate.guards.relations import Relation, Touched

_DROP_EXPRESSION = re.compile(r"\bdrop\s+expression\b", re.IGNORECASE)
_DELETES = re.compile(r"\b(?:delete|truncate|merge)\b", re.IGNORECASE)
_TRUNCATES = re.compile(r"\btruncate\b", re.IGNORECASE)
_FOREIGN = re.compile(r"\bforeign\b", re.IGNORECASE)
# A call, and a function that is only named, as in DROP FUNCTION.
_CALL = re.compile(r'(?:"((?:[^"]|"")+)"|\b([^\W\d][\w$]*))\s*\(')
_FUNCTION_NAMED = re.compile(
    r'\b(?:function|procedure|routine|aggregate)\s+(?:if\s+exists\s+)?[\w$."]+\s*\(',
    re.IGNORECASE,
)
_TRACK_COUNTS = re.compile("track_counts", re.IGNORECASE)


class Traits(NamedTuple):
    """What the text of files says about their effects.

    Attributes:
        drops_expressions: a generated column may become an ordinary one before it is dropped.
        counted: the counters of rows stay on.
        deletes: rows may be deleted.
        truncates: tables may be truncated.
        foreign: foreign tables may be created.
        calls: the names of the functions that they may call.
        tried: the trial runs the statements.
    """

    drops_expressions: bool
    counted: bool
    deletes: bool
    truncates: bool
    foreign: bool
    calls: frozenset[str]
    tried: bool = True


def find_traits(text: str) -> Traits:
    """Return what a text says, also inside of blocks and strings."""
    if JOINED.search(text):
        text = f"{text}\n{JOINED.sub('', text)}"
    calls = _CALL.findall(_FUNCTION_NAMED.sub("", text))
    return Traits(
        _DROP_EXPRESSION.search(text) is not None,
        _TRACK_COUNTS.search(text) is None,
        _DELETES.search(text) is not None,
        _TRUNCATES.search(text) is not None,
        _FOREIGN.search(text) is not None,
        frozenset(quoted.replace('""', '"') if quoted else word.lower() for quoted, word in calls),
    )


class Effects(NamedTuple):
    """What one file did to relations that existed before the first one, by OID.

    Attributes:
        then: the relations that it touched, as they were before it.
        gone: those that it dropped.
        kept: those that it may have altered, as they are after it.
        tables: the tables among all that remain, as they are after it.
        foreign: the foreign tables that it may have written to and did not alter, as they are after it.
        elsewhere: what it wrote to of what is a foreign table, or is gone.
        fresh_elsewhere: the number of those that are gone and did not exist before.
        written: what it wrote to each table that it may have written to.
        fresh: the number of relations that it dropped or altered and that did not exist before.
        rewritten: the tables whose rows are in another file after it, or of another meaning.
        counted: `written` can be believed.
        deletes: its text, or a function that it calls, says that it may delete rows.
    """

    then: dict[str, Relation]
    gone: list[str]
    kept: dict[str, Relation]
    tables: dict[str, Relation]
    foreign: dict[str, Relation]
    elsewhere: list[str]
    fresh_elsewhere: int
    written: dict[str, Written]
    fresh: int
    rewritten: frozenset[str]
    counted: bool
    deletes: bool


def find_effects(
    seen: Sequence[Touched],
    traits: Sequence[Traits],
    was: dict[str, Relation],
    tables: Collection[str],
    counters: dict[str, Written],
) -> Iterator[Effects]:
    """Yield the effects of each file.

    Args:
        seen: what the transaction had done after each file.
        traits: what the text of each file says.
        was: the relations as they were before the first.
        tables: the OIDs of those that are tables and may hold rows.
        counters: what the session had written to each table before.
    """
    before = NOTHING
    for after, trait in zip(seen, traits, strict=True):
        gone = [oid for oid in after.gone - before.gone if oid in was]
        kept = {oid: r for oid, r in after.kept.items() if oid in was}
        remaining = {**after.tables, **after.foreign, **kept}
        then = {oid: before.find(oid) or was[oid] for oid in (*gone, *remaining) if oid in was}
        yield Effects(
            then,
            gone,
            kept,
            {oid: r for oid, r in remaining.items() if oid in tables},
            {
                oid: r
                for oid, r in after.foreign.items()
                if oid in was and r.storage == then[oid].storage
            },
            [oid for oid in after.elsewhere if oid in was],
            sum(oid not in was for oid in after.elsewhere),
            {
                oid: _since(before.written.get(oid) or counters.get(oid), written)
                for oid, written in after.written.items()
                if oid in tables
            },
            sum(oid not in was for oid in (*after.gone, *after.kept)),
            frozenset(
                oid for oid, r in kept.items() if oid in tables and _is_rewritten(then[oid], r)
            ),
            after.counted and trait.counted,
            trait.deletes or after.deletes,
        )
        before = after


def _is_rewritten(then: Relation, later: Relation) -> bool:
    if then.storage != later.storage:
        return True
    columns = ((then.columns[n], later.columns[n]) for n in then.altered(later))
    return any(old.strips_blanks(new) for old, new in columns)


def _since(before: Written | None, after: Written) -> Written:
    if before is None:
        return after
    return Written(after.inserted - before.inserted, after.deleted - before.deleted)
