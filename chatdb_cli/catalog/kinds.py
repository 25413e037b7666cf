"""The kinds of objects in a snapshot, in the order in which they are written.

What does not belong here: reading them (`snapshot.py`), comparing them (`diff.py`).
"""

from __future__ import annotations

# Kinds that stand on their own, as PostgreSQL's `pg_identify_object` names them.
WHOLE = (
    "schema",
    "extension",
    "language",
    "access method",
    "collation",
    "conversion",
    "text search parser",
    "text search template",
    "text search dictionary",
    "text search configuration",
    "enum",
    "domain",
    "composite type",
    "range type",
    "base type",
    "foreign-data wrapper",
    "server",
    "user mapping",
    "sequence",
    "table",
    "partitioned table",
    "foreign table",
    "view",
    "materialized view",
    "statistics object",
    "function",
    "procedure",
    "aggregate",
    "window function",
    "operator",
    "operator family",
    "operator class",
    "cast",
    "transform",
    "event trigger",
    "publication",
    "default privileges",
)
# Kinds that are part of a table, a view or a domain.
PARTS = ("column", "constraint", "index", "trigger", "rule", "policy")

RANK = {kind: rank for rank, kind in enumerate((*WHOLE, *PARTS))}
