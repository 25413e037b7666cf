"""Which rows of which catalog are inside of a schema: what the watch of a test schema is made from.

    CATALOGS    every catalog that is watched
    Catalog     how to tell the object of a row, and whether it is inside

The text of the conditions is SQL: `t` is the row, `{test}` the schema's oid, `{role}` the oid of its
role, `{known}` and `{roles}` the extensions and the roles that existed before the run.  What does not
belong here: the statements (`queries.py`), sending them (`watch.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Final

# The schemas that are inside: the test schema, and those of temporary tables.  In every condition a
# subquery returns one value, which PostgreSQL looks up by an index: EXISTS would read a whole catalog.
SCHEMAS: Final = """\
inner_schemas (oids) AS MATERIALIZED (
    SELECT pg_catalog.array_agg(n.oid) FROM pg_catalog.pg_namespace n
    WHERE n.oid = {test} OR n.nspname ~ '^pg_(toast_)?temp_'
)"""
_IN_SCHEMAS = "{} = ANY ((SELECT oids FROM inner_schemas)::pg_catalog.oid[])"
# A table's TOAST table and that one's index are named after the table.
_RELATION = """\
(SELECT {inside} OR (
     SELECT {inside_of_toasted} FROM pg_catalog.pg_class h
     WHERE m.relnamespace = 'pg_toast'::pg_catalog.regnamespace
       AND h.oid = pg_catalog.substring(m.relname::pg_catalog.text,
                                        '^pg_toast_([0-9]+)')::pg_catalog.oid)
 FROM pg_catalog.pg_class m WHERE m.oid = {relation})"""


class Catalog(NamedTuple):
    """A catalog that is watched.

    Attributes:
        name: its name in pg_catalog.
        key: the column with the oid of the object.
        of: the catalog of that object, or nothing if PostgreSQL can't name it.
        inside: the condition that the row is inside of the schema.
        words: what to call a row whose object PostgreSQL can't name.
    """

    name: str
    key: str = "oid"
    of: str | None = ""
    inside: str = "false"
    words: str = ""

    @property
    def names(self) -> str:
        """The catalog of the row's object."""
        return self.name if self.of == "" else self.of or ""


def _in_schema(name: str, column: str) -> Catalog:
    return Catalog(name, inside=_IN_SCHEMAS.format(f"t.{column}"))


def _in_relation(name: str, column: str) -> Catalog:
    return Catalog(name, column, "pg_class", relation_inside(f"t.{column}"))


def relation_inside(relation: str) -> str:
    """Return the condition that a relation, given as SQL of its oid, is inside."""
    return (
        _RELATION.replace("{inside}", _IN_SCHEMAS.format("m.relnamespace"))
        .replace("{inside_of_toasted}", _IN_SCHEMAS.format("h.relnamespace"))
        .replace("{relation}", relation)
    )


def _of(catalog: str, schema: str, column: str) -> str:
    """Return the condition that the object of a catalog which a column names is inside."""
    condition = _IN_SCHEMAS.format(f"y.{schema}")
    return f"(SELECT {condition} FROM pg_catalog.{catalog} y WHERE y.oid = t.{column})"  # noqa: S608


def _has_type(column: str) -> str:
    return _of("pg_type", "typnamespace", column)


_BY_SCHEMA: Final = {
    "pg_proc": "pronamespace", "pg_type": "typnamespace", "pg_constraint": "connamespace",
    "pg_operator": "oprnamespace", "pg_opclass": "opcnamespace", "pg_opfamily": "opfnamespace",
    "pg_collation": "collnamespace", "pg_conversion": "connamespace",
    "pg_statistic_ext": "stxnamespace", "pg_ts_config": "cfgnamespace",
    "pg_ts_dict": "dictnamespace", "pg_ts_parser": "prsnamespace",
    "pg_ts_template": "tmplnamespace",
}  # fmt: skip
_BY_RELATION: Final = {
    "pg_class": "oid", "pg_attribute": "attrelid", "pg_index": "indexrelid",
    "pg_attrdef": "adrelid", "pg_trigger": "tgrelid", "pg_rewrite": "ev_class",
    "pg_policy": "polrelid", "pg_inherits": "inhrelid", "pg_sequence": "seqrelid",
    "pg_partitioned_table": "partrelid", "pg_foreign_table": "ftrelid",
}  # fmt: skip
_WITH_OID: Final = (
    "pg_language", "pg_event_trigger", "pg_publication", "pg_publication_rel",
    "pg_publication_namespace", "pg_foreign_server", "pg_foreign_data_wrapper", "pg_user_mapping",
    "pg_am", "pg_extension", "pg_database", "pg_tablespace", "pg_subscription",
)  # fmt: skip
_OTHERS: Final = (
    Catalog("pg_namespace", inside=_IN_SCHEMAS.format("t.oid")),
    Catalog("pg_enum", "enumtypid", "pg_type", _has_type("enumtypid")),
    Catalog("pg_cast", inside=f"({_has_type('castsource')} OR {_has_type('casttarget')})"),
    Catalog("pg_transform", inside=_has_type("trftype")),
    Catalog(
        "pg_amop", "amopfamily", "pg_opfamily", _of("pg_opfamily", "opfnamespace", "amopfamily")
    ),
    Catalog(
        "pg_amproc",
        "amprocfamily",
        "pg_opfamily",
        _of("pg_opfamily", "opfnamespace", "amprocfamily"),
    ),
    Catalog(
        "pg_ts_config_map", "mapcfg", "pg_ts_config", _of("pg_ts_config", "cfgnamespace", "mapcfg")
    ),
    Catalog(
        "pg_default_acl",
        inside="(t.defaclrole = {role} OR " + _IN_SCHEMAS.format("t.defaclnamespace") + ")",
    ),
    Catalog("pg_largeobject_metadata", of=None, words="large object"),
    Catalog("pg_largeobject", "loid", None, words="large object"),
    Catalog(
        "pg_db_role_setting",
        "setrole",
        None,
        "(t.setrole <> 0 AND t.setrole <> ALL ({roles}::pg_catalog.oid[]))",
        words="a setting of a role or a database",
    ),
    # The role that creates another becomes a member of it, from PostgreSQL 16 on.
    Catalog(
        "pg_auth_members",
        "roleid",
        "pg_authid",
        "(t.member <> ALL ({roles}::pg_catalog.oid[]) OR t.roleid <> ALL ({roles}::pg_catalog.oid[])\n"
        " AND t.member = (SELECT me.oid FROM pg_catalog.pg_roles me WHERE me.rolname = current_user))",
    ),
    Catalog("pg_authid", inside="t.oid <> ALL ({roles}::pg_catalog.oid[])"),
    Catalog("pg_parameter_acl", of=None, words="a privilege on a parameter of the server"),
    Catalog("pg_replication_origin", "roident", None, words="replication origin"),
    Catalog("pg_subscription_rel", "srsubid", "pg_subscription"),
)


def _of_outer(condition: str) -> str:
    """Return a condition with its row under another name."""
    return re.sub(r"\bt\.", "o.", condition)


def _with_descriptions() -> tuple[Catalog, ...]:
    """Return all catalogs; the comment of an object is inside where the object is."""
    catalogs = (
        *(_in_schema(name, column) for name, column in _BY_SCHEMA.items()),
        *(_in_relation(name, column) for name, column in _BY_RELATION.items()),
        *(Catalog(name) for name in _WITH_OID),
        *_OTHERS,
    )
    described = (
        f"WHEN 'pg_catalog.{c.name}'::pg_catalog.regclass THEN\n"  # noqa: S608
        f"    (SELECT {_of_outer(c.inside)} FROM pg_catalog.{c.name} o WHERE o.oid = t.objoid)"
        for c in catalogs
        if c.key == "oid" and c.inside != "false" and c.name != "pg_authid"
    )
    inside = "CASE t.classoid " + "\n ".join(described) + " END"
    return (
        *catalogs,
        Catalog("pg_description", "objoid", "t.classoid", inside),
        Catalog("pg_seclabel", "objoid", "t.classoid", inside),
        *(
            Catalog(
                name,
                "objoid",
                "t.classoid",
                "(t.classoid = 'pg_catalog.pg_authid'::pg_catalog.regclass\n"
                " AND t.objoid <> ALL ({roles}::pg_catalog.oid[]))",
            )
            for name in ("pg_shdescription", "pg_shseclabel")
        ),
        # An extension that existed gets a new member.
        Catalog(
            "pg_depend",
            "refobjid",
            "pg_extension",
            "(t.deptype <> 'e' OR t.refobjid <> ALL ({known}::pg_catalog.oid[]))",
        ),
    )


CATALOGS: Final = _with_descriptions()
