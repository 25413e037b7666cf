"""Which statements a snapshot sends, what each reads, and on which versions of PostgreSQL.

What does not belong here: the statements (`queries.py`), sending them (`snapshot.py`).
"""

from __future__ import annotations

from typing import NamedTuple

from chatdb_cli.catalog import queries
from chatdb_cli.catalog.relations import queries as relations


class Question(NamedTuple):
    """A statement of a snapshot.

    Attributes:
        statement: the statement.
        catalog: the catalog whose `oid` it returns; empty if each row names it, and the row is no
            object but attributes of one.
        reads: the catalogs that it can't do without.
        kinds: the kinds of objects that it returns.
        since: the first major version of the server that has what it reads.
        until: the last one.
    """

    statement: str
    catalog: str
    reads: frozenset[str]
    kinds: tuple[str, ...]
    since: int = 0
    until: int = 1_000

    def exists(self, server_version: int) -> bool:
        """Tell whether a server of this version can answer it."""
        return self.since <= server_version <= self.until


_TABLES = ("table", "partitioned table", "foreign table", "view", "materialized view")


def _about(
    catalog: str,
    statement: str,
    kinds: tuple[str, ...],
    *others: str,
    since: int = 0,
    until: int = 1_000,
) -> Question:
    return Question(statement, catalog, frozenset({catalog, *others}), kinds, since, until)


QUESTIONS = (
    _about("pg_class", relations.RELATIONS, _TABLES, "pg_inherits", "pg_foreign_table"),
    _about("pg_class", relations.COLUMNS, ("column",), "pg_attribute", "pg_attrdef"),
    Question(queries.COMMENTS, "", frozenset({"pg_description"}), ()),
)
