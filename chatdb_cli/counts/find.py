"""The rows that are not the same on two sides of a table whose checksums differ.

    find_differences    the first of them

In three steps, in the snapshots of the checksums and with the same hash, so that what was seen to differ
is what is found:

    buckets    the count has summed the hashes of the rows by buckets of the key's hash (`buckets.py`); a
               key is in the same bucket on both sides, so the buckets that differ hold all rows that
               differ; while they hold too many rows, they are divided by another scan
    rows       both sides send key and hash of each row of some buckets that differ
    details    of the rows that differ, both sides send a hash of each column, and the values if wanted

A table without a key is a multiset: a row is its own key, and one that occurs twice is not the same
as one that occurs once.  Memory holds the sums of the buckets, and the rows of a few of them.  What does
not belong here: which tables differ (`compare.py`), the statements (`search.py`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.counts.at_once import at_once
from chatdb_cli.counts.buckets import COUNT
from chatdb_cli.counts.differences import RowDifference
from chatdb_cli.counts.search import Part, Search

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chatdb_cli.counts.buckets import Sums
    from chatdb_cli.counts.differences import DifferenceKind
    from chatdb_cli.counts.search import Details, FoundRow

# How many rows a bucket may have, how many buckets there are at once at most, and the largest mask.
_ROWS_IN_BUCKET = 64
_MOST_BUCKETS = 1 << 16
_LAST_MASK = 1 << 40
# How many rows of one side may be in memory at once.
_ROWS_TOGETHER = 50_000


class Differences(NamedTuple):
    """Some rows that differ.

    Attributes:
        rows: the rows.
        complete: no other row differs.
    """

    rows: tuple[RowDifference, ...]
    complete: bool


class _Mismatch(NamedTuple):
    """A row that is not the same on both sides; None on a side that has no such row."""

    this: FoundRow | None
    other: FoundRow | None

    @property
    def key(self) -> tuple[str, ...]:
        """The values of its key."""
        row = self.this or self.other
        return tuple(row.key) if row else ()

    @property
    def kind(self) -> DifferenceKind:
        """What differs."""
        copies = [row.copies if row else 0 for row in self]
        if copies[0] != copies[1]:
            return "missing" if copies[0] > copies[1] else "extra"
        return "differs"


def find_differences(
    sides: tuple[Search, Search], rows: int, limit: int, *, show_values: bool = False
) -> Differences:
    """Return the first rows that are not the same on both sides of a table.

    Args:
        sides: the table on this side and on the other.
        rows: how many rows the larger side has.
        limit: how many differences are wanted.
        show_values: also return values, which may be secret.

    Raises:
        ChatdbError: as `count_rows` does.
    """
    part = Part(0, (0,), (rows,))
    complete = True
    if sides[0].first is not None and sides[1].first is not None:
        part, complete = _differing(COUNT - 1, sides[0].first, sides[1].first, limit)
    while _is_too_large(part):
        mask = part.mask * _factor(part) + _factor(part) - 1
        sums = at_once(partial(Search.sums, part=part, mask=mask), sides, Search.cancel)
        part, is_all = _differing(mask, *sums, limit)
        complete = complete and is_all
    found: list[_Mismatch] = []
    for batch in _batches(part):
        if len(found) > limit:
            complete = False
            break
        found += _compare_rows(*at_once(partial(Search.rows, part=batch), sides, Search.cancel))
    mismatches = sorted(found, key=_order)
    shown = _with_details(sides, mismatches[:limit], show_values=show_values)
    return Differences(shown, complete and len(mismatches) <= limit)


def _differing(mask: int, this: Sums, other: Sums, limit: int) -> tuple[Part, bool]:
    """Return buckets that differ, and whether these are all.

    Each of them has a row that differs, so as many as rows are wanted are enough.
    """
    numbers = sorted(n for n in this.keys() | other if this.get(n) != other.get(n))
    sizes = (max(sums.get(n, (0, 0))[0] for sums in (this, other)) for n in numbers[:limit])
    return Part(mask, tuple(numbers[:limit]), tuple(sizes)), len(numbers) <= limit


def _is_too_large(part: Part) -> bool:
    """Return whether smaller buckets are worth a scan: they are not if a few rows fill them all."""
    rows = sum(part.sizes)
    few = len(part.numbers) * _ROWS_IN_BUCKET
    return rows > max(_ROWS_TOGETHER, few) and part.mask < _LAST_MASK


def _factor(part: Part) -> int:
    """Return in how many smaller buckets each bucket is divided."""
    return 1 << (_MOST_BUCKETS // len(part.numbers)).bit_length() - 1


def _batches(part: Part) -> list[Part]:
    """Return the buckets in groups whose rows fit into memory; a large one is a group of its own."""
    batches: list[list[tuple[int, int]]] = []
    rows = _ROWS_TOGETHER
    for number, size in zip(part.numbers, part.sizes, strict=True):
        if rows + size > _ROWS_TOGETHER:
            batches.append([])
            rows = 0
        batches[-1].append((number, size))
        rows += size
    return [Part(part.mask, *zip(*batch, strict=True)) for batch in batches]


def _compare_rows(this: Iterable[FoundRow], other: Iterable[FoundRow]) -> Iterator[_Mismatch]:
    """Yield the rows that are not the same on both sides."""
    here, there = _by_key(this), _by_key(other)
    for key in here.keys() | there:
        mine, theirs = here.get(key, []), there.get(key, [])
        if not key:
            yield from _compare_multisets(mine, theirs)
            continue
        # A key has several rows only where a side does not keep it unique.
        left = _without(mine, theirs), _without(theirs, mine)
        yield from map(_Mismatch._make, zip_longest(*left))


def _by_key(rows: Iterable[FoundRow]) -> dict[tuple[str, ...], list[FoundRow]]:
    grouped: dict[tuple[str, ...], list[FoundRow]] = defaultdict(list)
    for row in rows:
        grouped[tuple(row.key)].append(row)
    return grouped


def _without(rows: Sequence[FoundRow], others: Iterable[FoundRow]) -> list[FoundRow]:
    """Return the rows that have no equal among the others; each of those is the equal of one."""
    equals = Counter(row.hash for row in others)
    left = []
    for row in rows:
        if equals[row.hash] > 0:
            equals[row.hash] -= 1
        else:
            left.append(row)
    return left


def _compare_multisets(this: Iterable[FoundRow], other: Iterable[FoundRow]) -> Iterator[_Mismatch]:
    here, there = _by_hash(this), _by_hash(other)
    for hash_ in here.keys() | there:
        mine, theirs = here.get(hash_), there.get(hash_)
        if mine is None or theirs is None or mine.copies != theirs.copies:
            yield _Mismatch(mine, theirs)


def _by_hash(rows: Iterable[FoundRow]) -> dict[int, FoundRow]:
    """Return the rows of a multiset, each once, with the copies of all ranges."""
    merged: dict[int, FoundRow] = {}
    for row in rows:
        before = merged.get(row.hash)
        copies = row.copies + (before.copies if before else 0)
        merged[row.hash] = row._replace(copies=copies)
    return merged


def _order(mismatch: _Mismatch) -> tuple[object, ...]:
    """Return what sorts rows by their keys; numbers as numbers."""
    return (
        tuple((len(part), part) if part.isdecimal() else (1 << 30, part) for part in mismatch.key),
        mismatch.kind,
        min(row.id for row in mismatch if row),
    )


# --- details ------------------------------------------------------------------------------------------


def _with_details(
    sides: tuple[Search, Search], found: Sequence[_Mismatch], *, show_values: bool
) -> tuple[RowDifference, ...]:
    """Return the differences with their columns and, if they are wanted, their values."""
    wanted = [m for m in found if show_values or m.kind == "differs"]
    this = sides[0].details([m.this for m in wanted if m.this], show_values=show_values)
    other = sides[1].details([m.other for m in wanted if m.other], show_values=show_values)
    return tuple(
        _difference(
            sides[0],
            mismatch,
            this.get(mismatch.this.id) if mismatch.this else None,
            other.get(mismatch.other.id) if mismatch.other else None,
        )
        for mismatch in found
    )


def _difference(
    side: Search, mismatch: _Mismatch, this: Details | None, other: Details | None
) -> RowDifference:
    names = [column.column.name for column in side.columns]
    columns = set(names)
    if mismatch.kind == "differs" and this and other:
        pairs = zip(names, this.hashes, other.hashes, strict=True)
        columns = {name for name, mine, theirs in pairs if mine != theirs}
    values: list[tuple[str, str | None, str | None]] = []
    either = this or other
    if either and either.texts:
        blank: list[str | None] = [None] * len(names)
        mine, theirs = (details.texts if details else blank for details in (this, other))
        values = [v for v in zip(names, mine, theirs, strict=True) if v[0] in columns]
    key = tuple(zip((column.column.name for column in side.key), mismatch.key, strict=True))
    return RowDifference(
        kind=mismatch.kind,
        key=key if side.key else None,
        columns=tuple(n for n in names if n in columns) if mismatch.kind == "differs" else (),
        values=tuple(values),
        rows=mismatch.this.copies if mismatch.this else 0,
        other_rows=mismatch.other.copies if mismatch.other else 0,
        places=(_place(mismatch.this), _place(mismatch.other)),
    )


def _place(row: FoundRow | None) -> str | None:
    return row.place if row else None
