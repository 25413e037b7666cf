"""Which statements a snapshot sends, what each reads, and on which versions of PostgreSQL.

What does not belong here: the statements (`queries.py`), sending them (`snapshot.py`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from chatdb_cli.catalog import queries
from chatdb_cli.catalog.database import queries as database
from chatdb_cli.catalog.relations import queries as relations
from chatdb_cli.catalog.routines import queries as routines
from chatdb_cli.catalog.types import queries as types


class Question(NamedTuple):
    """A statement of a snapshot.

    Attributes:
        statement: the statement.
        catalog: the catalog whose `oid` it returns; empty if each row names it, and is no object but
            an attribute of one.
        reads: the catalogs that it reads.
        kinds: the kinds of objects that it returns.
        since: the first major version of the server that has what it reads.
        until: the last one.
        only_if: it needs to be asked only if there is any object of this kind, as in `SNAPSHOT_USED`;
            empty to ask it always.
        attribute: the attribute that it returns, of any kind of object.
    """

    statement: str
    catalog: str
    reads: frozenset[str]
    kinds: tuple[str, ...]
    since: int = 0
    until: int = 1_000
    only_if: str = ""
    attribute: str = ""

    def exists(self, server_version: int) -> bool:
        """Tell whether a server of this version can answer it."""
        return self.since <= server_version <= self.until


# The tables and views that a statement names.
_READS = re.compile(r"(?:FROM|JOIN) (pg_\w+)")
_TABLES = ("table", "partitioned table", "foreign table", "view", "materialized view")
_FUNCTIONS = ("function", "procedure", "window function")


def _objects(
    catalog: str,
    statement: str,
    kinds: tuple[str, ...] | str,
    *,
    since: int = 0,
    until: int = 1_000,
    only_if: str | None = None,
) -> Question:
    if isinstance(kinds, str):
        only_if = kinds if only_if is None else only_if
        kinds = (kinds,)
    reads = frozenset(_READS.findall(statement))
    return Question(statement, catalog, reads, kinds, since, until, only_if or "")


def _attribute(attribute: str, statement: str, *, since: int = 0, only_if: str = "") -> Question:
    reads = frozenset(_READS.findall(statement))
    return Question(statement, "", reads, ("",), since, only_if=only_if, attribute=attribute)


QUESTIONS = (
    _objects("pg_namespace", database.SCHEMAS, "schema", only_if=""),
    _objects("pg_extension", database.EXTENSIONS, "extension", only_if=""),
    _objects("pg_language", database.LANGUAGES, "language"),
    _objects("pg_am", database.ACCESS_METHODS, "access method"),
    _objects("pg_cast", database.CASTS, "cast"),
    _objects("pg_transform", database.TRANSFORMS, "transform"),
    _objects("pg_foreign_data_wrapper", database.WRAPPERS, "foreign-data wrapper"),
    _objects("pg_foreign_server", database.SERVERS, "server", only_if="foreign-data wrapper"),
    _objects(
        "pg_user_mappings", database.USER_MAPPINGS, "user mapping", only_if="foreign-data wrapper"
    ),
    _objects("pg_event_trigger", database.EVENT_TRIGGERS, "event trigger"),
    _objects("pg_publication", database.PUBLICATIONS, "publication", since=15),
    _objects("pg_publication", database.PUBLICATIONS_14, "publication", until=14),
    _objects("pg_default_acl", database.DEFAULT_PRIVILEGES, "default privileges"),
    _objects("pg_class", relations.RELATIONS, _TABLES),
    _objects("pg_class", relations.COLUMNS, "column", only_if=""),
    _objects("pg_constraint", relations.CONSTRAINTS, "constraint", only_if=""),
    _objects("pg_class", relations.INDEXES, "index", only_if=""),
    _objects("pg_trigger", relations.TRIGGERS, "trigger"),
    _objects("pg_rewrite", relations.RULES, "rule"),
    _objects("pg_policy", relations.POLICIES, "policy"),
    _objects("pg_class", relations.SEQUENCES, "sequence", only_if=""),
    _objects("pg_statistic_ext", relations.STATISTICS, "statistics object"),
    _objects("pg_type", types.ENUMS, "enum"),
    _objects("pg_type", types.DOMAINS, "domain"),
    _objects("pg_constraint", types.DOMAIN_CONSTRAINTS, "constraint", only_if="domain"),
    _objects("pg_type", types.COMPOSITE_TYPES, "composite type"),
    _objects("pg_type", types.RANGE_TYPES, "range type"),
    _objects("pg_type", types.BASE_TYPES, "base type"),
    _objects("pg_collation", types.COLLATIONS, "collation"),
    _objects("pg_conversion", types.CONVERSIONS, "conversion"),
    _objects("pg_ts_parser", types.TEXT_SEARCH_PARSERS, "text search parser"),
    _objects("pg_ts_template", types.TEXT_SEARCH_TEMPLATES, "text search template"),
    _objects("pg_ts_dict", types.TEXT_SEARCH_DICTIONARIES, "text search dictionary"),
    _objects("pg_ts_config", types.TEXT_SEARCH_CONFIGURATIONS, "text search configuration"),
    _objects("pg_proc", routines.FUNCTIONS, _FUNCTIONS),
    _objects("pg_proc", routines.AGGREGATES, "aggregate"),
    _objects("pg_operator", routines.OPERATORS, "operator"),
    _objects("pg_opfamily", routines.OPERATOR_FAMILIES, "operator family"),
    _objects("pg_opclass", routines.OPERATOR_CLASSES, "operator class"),
    _attribute("not null", relations.NOT_NULL, since=18),
    _attribute("comment", queries.COMMENTS),
    _attribute("index comment", relations.INDEX_COMMENTS),
    _attribute("security labels", queries.SECURITY_LABELS, only_if="label"),
    _attribute("depends on extension", queries.EXTENSION_DEPENDENCIES),
)
