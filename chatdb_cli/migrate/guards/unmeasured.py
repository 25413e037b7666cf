"""What downs of a trial may have deleted where nothing can be counted after them.

    Unmeasured         one such place
    find_unmeasured    returns them

A foreign table that is gone, that has other options or that did not exist before has no number of rows
to compare.  To drop or to alter it deletes nothing, so it must also be written to.  The locks show that
for all but TRUNCATE, which acquires the lock of DROP: only the text of the file, or of a function that
it calls, shows it.

Pure: nothing here uses a connection.  What does not belong here: rows that are counted (`losses.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from chatdb_cli.migrate.guards.effects import Traits
    from chatdb_cli.migrate.guards.relations import Relation, Touched


class Unmeasured(NamedTuple):
    """A place where rows may be deleted that nobody counts.

    Attributes:
        file: the number of the file among those of the trial.
        what: why they can't be counted, as a clause.
    """

    file: int
    what: str


def find_unmeasured(
    seen: Sequence[Touched],
    traits: Sequence[Traits],
    was: Mapping[str, Relation],
    created: int,
) -> Iterator[Unmeasured]:
    """Yield each place once, for the first file after which it is one.

    Args:
        seen: what the transaction had done after each file.
        traits: what the text of each file says.
        was: the relations as they were before the first.
        created: how many foreign tables the session had created before.
    """
    told: set[str] = set()
    truncated: set[str] = set()
    counted, foreign = True, False
    for file, (now, trait) in enumerate(zip(seen, traits, strict=True)):
        if trait.truncates or now.truncates:
            truncated |= now.gone | now.foreign.keys()
        counted = counted and trait.counted and now.counted
        foreign = foreign or trait.foreign
        alive = sum(oid not in was for oid in now.foreign)
        dropped = now.created - created > alive if counted else foreign
        if not trait.tried and now.calls_delete:
            yield Unmeasured(file, "an index calls a function that may delete rows")
        if now.catalog and now.catalog not in told:
            told.add(now.catalog)
            yield Unmeasured(file, f"the catalog {now.catalog} is written to")
        for oid, name, fate in _uncounted(now, was, dropped=dropped):
            if oid not in told and (oid in truncated or oid in now.elsewhere):
                told.add(oid)
                written = "is written to" if oid in now.elsewhere else "may be truncated"
                yield Unmeasured(file, f"{name} {fate.format(written)}")


def _uncounted(
    now: Touched, was: Mapping[str, Relation], *, dropped: bool
) -> Iterator[tuple[str, str, str]]:
    """Yield each foreign table that can't be counted twice: its OID, its name, and what is done to it.

    Args:
        now: what the transaction has done.
        was: the relations as they were before.
        dropped: a foreign table that it created is gone.
    """
    for oid, relation in was.items():
        if relation.kind == "f" and oid in now.gone:
            yield oid, f"the foreign table {relation.name!r}", "{} and dropped"
    for oid, relation in now.foreign.items():
        if oid not in was or relation.storage != was[oid].storage:
            fate = "{} and altered" if oid in was else "is created and {}"
            yield oid, f"the foreign table {relation.name!r}", fate
    for oid in sorted(now.gone - was.keys()) if dropped else ():
        yield oid, "a foreign table", "is created, {} and dropped"
