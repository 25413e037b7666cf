"""Which statements a snapshot sends, what each reads, and on which versions of PostgreSQL.

What does not belong here: the statements (`queries.py`), sending them (`snapshot.py`).
"""

from __future__ import annotations

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
        reads: the catalogs that it can't do without.
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


_TABLES = ("table", "partitioned table", "foreign table", "view", "materialized view")
_FUNCTIONS = ("function", "procedure", "window function")


def _objects(
    catalog: str,
    statement: str,
    kinds: tuple[str, ...] | str,
    *others: str,
    since: int = 0,
    until: int = 1_000,
    only_if: str | None = None,
) -> Question:
    if isinstance(kinds, str):
        only_if = kinds if only_if is None else only_if
        kinds = (kinds,)
    reads = frozenset({catalog, *others})
    return Question(statement, catalog, reads, kinds, since, until, only_if or "")


def _attribute(
    attribute: str, statement: str, catalog: str, *, since: int = 0, only_if: str = ""
) -> Question:
    reads = frozenset({catalog})
    return Question(statement, "", reads, ("",), since, only_if=only_if, attribute=attribute)


QUESTIONS = (
    _objects("pg_namespace", database.SCHEMAS, "schema", only_if=""),
    _objects("pg_extension", database.EXTENSIONS, "extension", only_if=""),
    _objects("pg_language", database.LANGUAGES, "language"),
    _objects("pg_am", database.ACCESS_METHODS, "access method"),
    _objects("pg_cast", database.CASTS, "cast"),
    _objects("pg_transform", database.TRANSFORMS, "transform"),
    _objects("pg_foreign_data_wrapper", database.WRAPPERS, "foreign-data wrapper"),
    _objects("pg_foreign_server", database.SERVERS, "server", "pg_foreign_data_wrapper",
             only_if="foreign-data wrapper"),
    _objects("pg_user_mappings", database.USER_MAPPINGS, "user mapping", "pg_foreign_server",
             only_if="foreign-data wrapper"),
    _objects("pg_event_trigger", database.EVENT_TRIGGERS, "event trigger"),
    _objects(
        "pg_publication", database.PUBLICATIONS, "publication",
        "pg_publication_rel", "pg_publication_namespace", since=15,
    ),
    _objects(
        "pg_publication", database.PUBLICATIONS_14, "publication", "pg_publication_rel", until=14
    ),
    _objects("pg_default_acl", database.DEFAULT_PRIVILEGES, "default privileges"),
    _objects("pg_class", relations.RELATIONS, _TABLES, "pg_inherits", "pg_foreign_table"),
    _objects("pg_class", relations.COLUMNS, "column", "pg_attribute", "pg_attrdef", only_if=""),
    _objects("pg_constraint", relations.CONSTRAINTS, "constraint", "pg_class", "pg_index",
             only_if=""),
    _objects("pg_class", relations.INDEXES, "index", "pg_index", "pg_constraint", only_if=""),
    _objects("pg_trigger", relations.TRIGGERS, "trigger", "pg_class"),
    _objects("pg_rewrite", relations.RULES, "rule", "pg_class"),
    _objects("pg_policy", relations.POLICIES, "policy", "pg_class"),
    _objects("pg_class", relations.SEQUENCES, "sequence", "pg_sequence", only_if=""),
    _objects("pg_statistic_ext", relations.STATISTICS, "statistics object", "pg_class"),
    _objects("pg_type", types.ENUMS, "enum", "pg_enum"),
    _objects("pg_type", types.DOMAINS, "domain"),
    _objects("pg_constraint", types.DOMAIN_CONSTRAINTS, "constraint", "pg_type", only_if="domain"),
    _objects("pg_type", types.COMPOSITE_TYPES, "composite type", "pg_attribute", "pg_class"),
    _objects("pg_type", types.RANGE_TYPES, "range type", "pg_range"),
    _objects("pg_type", types.BASE_TYPES, "base type"),
    _objects("pg_collation", types.COLLATIONS, "collation"),
    _objects("pg_conversion", types.CONVERSIONS, "conversion"),
    _objects("pg_ts_parser", types.TEXT_SEARCH_PARSERS, "text search parser"),
    _objects("pg_ts_template", types.TEXT_SEARCH_TEMPLATES, "text search template"),
    _objects(
        "pg_ts_dict", types.TEXT_SEARCH_DICTIONARIES, "text search dictionary", "pg_ts_template"
    ),
    _objects(
        "pg_ts_config", types.TEXT_SEARCH_CONFIGURATIONS, "text search configuration",
        "pg_ts_config_map", "pg_ts_parser",
    ),
    _objects("pg_proc", routines.FUNCTIONS, _FUNCTIONS),
    _objects("pg_proc", routines.AGGREGATES, "aggregate", "pg_aggregate"),
    _objects("pg_operator", routines.OPERATORS, "operator"),
    _objects("pg_opfamily", routines.OPERATOR_FAMILIES, "operator family", "pg_amop", "pg_amproc"),
    _objects("pg_opclass", routines.OPERATOR_CLASSES, "operator class", "pg_amop", "pg_amproc"),
    _attribute("not null", relations.NOT_NULL, "pg_constraint", since=18),
    _attribute("comment", queries.COMMENTS, "pg_description"),
    _attribute("security labels", queries.SECURITY_LABELS, "pg_seclabel", only_if="label"),
    _attribute("depends on extension", queries.EXTENSION_DEPENDENCIES, "pg_depend"),
)  # fmt: skip
