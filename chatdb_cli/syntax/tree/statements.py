"""Every statement but CREATE TABLE and ALTER TABLE: a function for each kind of the grammar.

A new kind is a function in _READERS.  What does not belong here: the values (`model.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatdb_cli.syntax.tree import model
from chatdb_cli.syntax.tree.expressions import read_expression
from chatdb_cli.syntax.tree.model import Name
from chatdb_cli.syntax.tree.tables import (
    enum_name,
    name_of,
    object_kind,
    read_alter_table,
    read_constraint,
    read_create_table,
    relation_name,
    strings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Literal

    from chatdb_cli.syntax.tree.tables import Offsets

# Kinds of objects whose name is followed by that of the policy, trigger or rule itself.
_ON_TABLE = ("policy", "trigger", "rule")


def read_statement(node: Any, offsets: Offsets) -> model.Body:
    """Return a statement as a value.

    Args:
        node: the statement in the parse tree.
        offsets: from bytes to characters.
    """
    kind = node.WhichOneof("node") or ""
    reader = _READERS.get(kind)
    return model.Other(kind) if reader is None else reader(getattr(node, kind), offsets)


def _read_index(message: Any, offsets: Offsets) -> model.CreateIndex:
    keys = [node.index_elem for node in message.index_params]
    return model.CreateIndex(
        message.idxname,
        relation_name(message.relation, offsets),
        tuple(key.name for key in keys),
        all(
            key.name
            and not key.opclass
            and not key.collation
            and enum_name(key, "ordering") == "SORTBY_DEFAULT"
            for key in keys
        ),
        tuple(node.index_elem.name for node in message.index_including_params),
        message.access_method,
        message.unique,
        message.concurrent,
        message.if_not_exists,
        message.HasField("where_clause"),
        not message.relation.inh,
    )


def _object_name(node: Any) -> Name:
    match node.WhichOneof("node"):
        case "list":
            return name_of(strings(node.list.items))
        case "string":
            return Name(node.string.sval)
        case "type_name":
            return name_of(strings(node.type_name.names))
        case "object_with_args":
            return name_of(strings(node.object_with_args.objname))
        case "range_var":
            return Name(node.range_var.relname, node.range_var.schemaname)
    return Name("")


def _read_drop(message: Any, offsets: Offsets) -> model.Drop:
    del offsets
    kind = object_kind(message, "remove_type")
    names = tuple(map(_object_name, message.objects))
    on = None
    if kind in _ON_TABLE and message.objects:
        *table, own = strings(message.objects[0].list.items)
        on, names = name_of(table), (Name(own),)
    return model.Drop(
        kind, names, on, _cascades(message), message.concurrent, if_exists=message.missing_ok
    )


def _cascades(message: Any) -> bool:
    return enum_name(message, "behavior") == "DROP_CASCADE"


def _read_drop_database(message: Any, offsets: Offsets) -> model.Drop:
    del offsets
    return model.Drop("database", (Name(message.dbname),), if_exists=message.missing_ok)


def _read_rename(message: Any, offsets: Offsets) -> model.Rename:
    kind = object_kind(message, "rename_type")
    if message.HasField("relation"):
        relation = relation_name(message.relation, offsets)
    else:
        relation = _object_name(message.object)
    return model.Rename(kind, relation, message.subname, message.newname)


def _read_truncate(message: Any, offsets: Offsets) -> model.Truncate:
    tables = tuple(relation_name(node.range_var, offsets) for node in message.relations)
    return model.Truncate(tables, _cascades(message))


def _writer(verb: Literal["insert", "update", "delete", "merge"]) -> _Reader:
    def read(message: Any, offsets: Offsets) -> model.Write:
        limited = _is_limited(message) if verb in ("update", "delete") else verb == "merge"
        if verb == "insert":
            select = message.select_stmt.select_stmt
            limited = bool(select.values_lists) or not select.from_clause or _is_limited(select)
        return model.Write(verb, relation_name(message.relation, offsets), limited)

    return read


def _is_limited(message: Any) -> bool:
    """Return whether a statement has a WHERE that is not just TRUE."""
    if not message.HasField("where_clause"):
        return False
    where = message.where_clause
    if where.WhichOneof("node") != "a_const":
        return True
    return not (where.a_const.WhichOneof("val") == "boolval" and where.a_const.boolval.boolval)


def _option_names(options: Iterable[Any]) -> set[str]:
    return {node.def_elem.defname for node in options}


def _read_reindex(message: Any, offsets: Offsets) -> model.Reindex:
    kind = enum_name(message, "kind").removeprefix("REINDEX_OBJECT_").lower()
    relation = relation_name(message.relation, offsets) if message.HasField("relation") else None
    return model.Reindex(kind, relation, "concurrently" in _option_names(message.params))


def _read_vacuum(message: Any, offsets: Offsets) -> model.Maintain:
    relations = tuple(
        relation_name(node.vacuum_relation.relation, offsets) for node in message.rels
    )
    verb = "vacuum" if message.is_vacuumcmd else "analyze"
    return model.Maintain(verb, relations, full="full" in _option_names(message.options))


def _read_cluster(message: Any, offsets: Offsets) -> model.Maintain:
    relations = (message.relation,) if message.HasField("relation") else ()
    return model.Maintain("cluster", tuple(relation_name(r, offsets) for r in relations))


def _read_refresh(message: Any, offsets: Offsets) -> model.Maintain:
    relation = relation_name(message.relation, offsets)
    return model.Maintain("refresh", (relation,), concurrently=message.concurrent)


def _read_alter_enum(message: Any, offsets: Offsets) -> model.Body:
    del offsets
    name = name_of(strings(message.type_name))
    if message.old_val and message.new_val:
        return model.Rename("enum value", name, message.old_val, message.new_val)
    return model.AddEnumValue(name, message.new_val, message.skip_if_new_val_exists)


def _read_alter_domain(message: Any, offsets: Offsets) -> model.AlterDomain:
    definition = getattr(message, "def")
    constraint = None
    if definition.WhichOneof("node") == "constraint":
        constraint = read_constraint(definition.constraint, offsets)
    name = name_of(strings(message.type_name))
    return model.AlterDomain(name, constraint, message.subtype == "O")


def _read_set(message: Any, offsets: Offsets) -> model.SetParameter:
    del offsets
    kind = enum_name(message, "kind")
    values = tuple(_constant(node) for node in message.args)
    reset = kind in ("VAR_RESET", "VAR_RESET_ALL", "VAR_SET_DEFAULT")
    return model.SetParameter(message.name.lower(), values, message.is_local, reset)


def _constant(node: Any) -> str:
    if node.WhichOneof("node") == "type_cast":  # SET TIME ZONE INTERVAL
        return _constant(node.type_cast.arg)
    constant = node.a_const
    match constant.WhichOneof("val"):
        case "ival":
            return str(constant.ival.ival)
        case "fval":
            return str(constant.fval.fval)
        case "boolval":
            return "on" if constant.boolval.boolval else "off"
        case "sval":
            return str(constant.sval.sval)
    return ""


def _setter(where: Literal["role", "database", "system"]) -> _Reader:
    def read(message: Any, offsets: Offsets) -> model.SetParameter:
        target = ""
        if where != "system":
            target = message.role.rolename if where == "role" else message.dbname
        return _read_set(message.setstmt, offsets)._replace(where=where, target=target)

    return read


def _read_function(message: Any, offsets: Offsets) -> model.CreateFunction:
    del offsets
    options = {node.def_elem.defname: node.def_elem.arg for node in message.options}
    language = options["language"].string.sval if "language" in options else "sql"
    return model.CreateFunction(
        name_of(strings(message.funcname)),
        language.lower(),
        _becomes_definer(message.options),
        _settings(message.options),
        message.replace,
        message.HasField("sql_body"),
    )


def _read_alter_function(message: Any, offsets: Offsets) -> model.AlterFunction:
    del offsets
    name = name_of(strings(message.func.objname))
    return model.AlterFunction(name, _becomes_definer(message.actions), _settings(message.actions))


def _becomes_definer(options: Iterable[Any]) -> bool:
    return any(
        node.def_elem.defname == "security" and node.def_elem.arg.boolean.boolval
        for node in options
    )


def _settings(options: Iterable[Any]) -> tuple[str, ...]:
    return tuple(
        node.def_elem.arg.variable_set_stmt.name.lower()
        for node in options
        if node.def_elem.defname == "set"
    )


def _read_grant(message: Any, offsets: Offsets) -> model.Grant:
    del offsets
    public = any(
        enum_name(node.role_spec, "roletype") == "ROLESPEC_PUBLIC" for node in message.grantees
    )
    return model.Grant(
        message.is_grant,
        object_kind(message, "objtype"),
        tuple(node.access_priv.priv_name.lower() for node in message.privileges),
        tuple(map(_object_name, message.objects)),
        public,
    )


def _read_policy(message: Any, offsets: Offsets) -> model.CreatePolicy:
    return model.CreatePolicy(message.policy_name, relation_name(message.table, offsets))


def _read_trigger(message: Any, offsets: Offsets) -> model.CreateTrigger:
    return model.CreateTrigger(message.trigname, relation_name(message.relation, offsets))


def _read_comment(message: Any, offsets: Offsets) -> model.Comment:
    del offsets
    kind = object_kind(message, "objtype")
    if kind == "column":
        *table, column = strings(message.object.list.items)
        return model.Comment(kind, name_of(table), column)
    return model.Comment(kind, _object_name(message.object))


def _read_view(message: Any, offsets: Offsets) -> model.Create:
    return model.Create("view", relation_name(message.view, offsets), or_replace=message.replace)


def _read_create_as(message: Any, offsets: Offsets) -> model.Body:
    name = relation_name(message.into.rel, offsets)
    kind = object_kind(message, "objtype")
    if kind == "table":
        temporary = message.into.rel.relpersistence == "t"
        return model.CreateTable(
            name, if_not_exists=message.if_not_exists, temporary=temporary, derived=True
        )
    return model.Create(kind, name, message.if_not_exists)


def _read_sequence(message: Any, offsets: Offsets) -> model.Create:
    name = relation_name(message.sequence, offsets)
    return model.Create("sequence", name, message.if_not_exists)


def _read_enum(message: Any, offsets: Offsets) -> model.Create:
    del offsets
    name = name_of(strings(message.type_name))
    return model.Create("type", name, labels=strings(message.vals))


def _read_composite(message: Any, offsets: Offsets) -> model.Create:
    return model.Create("type", relation_name(message.typevar, offsets))


def _read_domain(message: Any, offsets: Offsets) -> model.Create:
    del offsets
    return model.Create("domain", name_of(strings(message.domainname)))


def _read_schema(message: Any, offsets: Offsets) -> model.Create:
    del offsets
    return model.Create("schema", Name(message.schemaname), message.if_not_exists)


def _read_extension(message: Any, offsets: Offsets) -> model.Create:
    del offsets
    return model.Create("extension", Name(message.extname), message.if_not_exists)


def _read_define(message: Any, offsets: Offsets) -> model.Create:
    del offsets
    kind = object_kind(message, "kind")
    return model.Create(kind, name_of(strings(message.defnames)), message.if_not_exists)


def _read_select(message: Any, offsets: Offsets) -> model.Query:
    del offsets
    return model.Query(read_expression(message))


def _read_do(message: Any, offsets: Offsets) -> model.DoBlock:
    del offsets
    for node in message.args:
        if node.def_elem.defname == "as":
            return model.DoBlock(node.def_elem.arg.string.sval)
    return model.DoBlock("")


if TYPE_CHECKING:
    _Reader = Callable[[Any, Offsets], model.Body]

_READERS: dict[str, _Reader] = {
    "create_stmt": read_create_table,
    "alter_table_stmt": read_alter_table,
    "create_table_as_stmt": _read_create_as,
    "index_stmt": _read_index,
    "drop_stmt": _read_drop,
    "dropdb_stmt": _read_drop_database,
    "rename_stmt": _read_rename,
    "truncate_stmt": _read_truncate,
    "insert_stmt": _writer("insert"),
    "update_stmt": _writer("update"),
    "delete_stmt": _writer("delete"),
    "merge_stmt": _writer("merge"),
    "reindex_stmt": _read_reindex,
    "vacuum_stmt": _read_vacuum,
    "cluster_stmt": _read_cluster,
    "refresh_mat_view_stmt": _read_refresh,
    "alter_domain_stmt": _read_alter_domain,
    "alter_enum_stmt": _read_alter_enum,
    "variable_set_stmt": _read_set,
    "alter_role_set_stmt": _setter("role"),
    "alter_database_set_stmt": _setter("database"),
    "alter_system_stmt": _setter("system"),
    "create_function_stmt": _read_function,
    "alter_function_stmt": _read_alter_function,
    "grant_stmt": _read_grant,
    "create_policy_stmt": _read_policy,
    "create_trig_stmt": _read_trigger,
    "comment_stmt": _read_comment,
    "view_stmt": _read_view,
    "create_seq_stmt": _read_sequence,
    "create_enum_stmt": _read_enum,
    "composite_type_stmt": _read_composite,
    "create_domain_stmt": _read_domain,
    "create_schema_stmt": _read_schema,
    "create_extension_stmt": _read_extension,
    "define_stmt": _read_define,
    "select_stmt": _read_select,
    "do_stmt": _read_do,
}
