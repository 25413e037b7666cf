"""The order of migrations: by version, and each after its dependencies.

What does not belong here: what is pending, or out of order in a database (`migrate/compare.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code, Location
from chatdb_cli.files.names import normalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chatdb_cli.files.model import Migration


def order_migrations(migrations: list[Migration]) -> tuple[Migration, ...]:
    """Sort migrations so that each comes after its dependencies, and otherwise by version.

    Args:
        migrations: sorted by version.

    Raises:
        ChatdbError: `BAD_FILE`, a dependency is unknown, or dependencies form a circle.
    """
    if not any(m.up.directives.depends for m in migrations):
        return tuple(migrations)
    known = {normalize_name(key): m.id for m in migrations for key in (m.version, m.id)}
    graph: dict[str, set[str]] = {m.id: set() for m in migrations}
    for m in migrations:
        for name in m.up.directives.depends:
            other = known.get(normalize_name(name.removesuffix(".sql")))
            if other is None:
                raise ChatdbError(
                    Code.BAD_FILE,
                    f"{m.id} depends on {name!r}, which does not exist",
                    place=Location(m.up.path),
                    hint="use the version or the file name of a migration, without .sql",
                )
            graph[m.id].add(other)
    return tuple(_sort(migrations, graph))


def _sort(migrations: list[Migration], graph: Mapping[str, set[str]]) -> Iterator[Migration]:
    """Yield each migration after its dependencies; of several possible ones, the lowest version."""
    from graphlib import CycleError, TopologicalSorter
    from heapq import heapify, heappop, heappush

    position = {m.id: n for n, m in enumerate(migrations)}
    sorter = TopologicalSorter({name: sorted(graph[name]) for name in sorted(graph)})
    try:
        sorter.prepare()
    except CycleError as error:
        circle = error.args[1][::-1]
        raise ChatdbError(
            Code.BAD_FILE,
            f"these migrations depend on each other in a circle: {' -> '.join(circle)}",
            place=Location(migrations[position[circle[0]]].up.path),
            hint="remove one of their 'depends' directives",
        ) from None
    ready = [position[name] for name in sorter.get_ready()]
    heapify(ready)
    while ready:
        migration = migrations[heappop(ready)]
        yield migration
        sorter.done(migration.id)
        for name in sorter.get_ready():
            heappush(ready, position[name])
