"""What the files build: tables, indexes and types, statement by statement.

The linter applies each statement to a `Schema` after it has checked it, so that a rule sees what was
there before.  What a DO block or a function does is not seen.  What does not belong here: whether a
table holds rows (`context.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.syntax.tree import model as sql

if TYPE_CHECKING:
    from chatdb_cli.lint.model import SqlFile

Key = tuple[str, str]
_WORD = re.compile(r"\w+")
_SERIAL = {"serial": "int4", "serial4": "int4", "bigserial": "int8", "serial8": "int8"}
_SERIAL |= {"smallserial": "int2", "serial2": "int2"}


class Made(NamedTuple):
    """Where an object is made.

    Attributes:
        file: the file.
        statement: the statement.
    """

    file: SqlFile
    statement: sql.Statement[sql.Body]


class Index(NamedTuple):
    """An index that the files make; a key or unique constraint makes one, too.

    Attributes:
        name: empty if PostgreSQL chooses it.
        table: the key of its table.
        keys: its columns; an expression is an empty text.
        plain: each key is a column in the default order.
        unique: it is unique.
        partial: it has a WHERE.
        method: `btree` and so on.
        included: the columns after INCLUDE.
        made: where.
        constraint: it belongs to a constraint.
    """

    name: str
    table: Key
    keys: tuple[str, ...]
    plain: bool
    unique: bool
    partial: bool
    method: str
    included: tuple[str, ...]
    made: Made
    constraint: bool = False


@dataclass
class Table:
    """A table that the files make.

    Attributes:
        name: its name.
        made: where; None if only its changes are in the files.
        columns: the type of each column.
        not_null: the columns that are NOT NULL.
        constraints: those of the table and of its columns, with where each is made.
        temporary: it is temporary.
        derived: it may have columns and keys that the files do not show.
        partition: it is a partition of another table.
        row_security: row-level security is enabled.
        policies: where each policy is made.
        commented: it has a comment.
        primary_key: its columns; empty for none.
        indexes: by name; one that PostgreSQL names under a number.
    """

    name: sql.Name
    made: Made | None
    columns: dict[str, sql.Type] = field(default_factory=dict)
    not_null: set[str] = field(default_factory=set)
    constraints: list[tuple[sql.Constraint, Made]] = field(default_factory=list)
    temporary: bool = False
    derived: bool = False
    partition: bool = False
    row_security: bool = False
    policies: list[Made] = field(default_factory=list)
    commented: bool = False
    primary_key: tuple[str, ...] = ()
    indexes: dict[str, Index] = field(default_factory=dict)


@dataclass
class Schema:
    """Everything that the files have built so far.

    Attributes:
        default: the schema of a name without one.
        tables: by schema and name.
        enums: where each enum is made.
        domains: where each domain is made.
        enum_values: where each value was added, by enum and label.
        schemas: the schemas that the files make.
        functions: where each function was last made or became SECURITY DEFINER, by name alone.
        pinned: the functions with a search_path of their own.
    """

    default: str
    tables: dict[Key, Table] = field(default_factory=dict)
    _tables_of_indexes: dict[Key, Key] = field(default_factory=dict)
    enums: dict[Key, Made] = field(default_factory=dict)
    domains: dict[Key, Made] = field(default_factory=dict)
    enum_values: dict[tuple[Key, str], Made] = field(default_factory=dict)
    schemas: set[str] = field(default_factory=set)
    functions: dict[str, Made] = field(default_factory=dict)
    pinned: set[str] = field(default_factory=set)

    def key(self, name: sql.Name) -> Key:
        """Return the schema and the name of an object."""
        return name.schema or self.default, name.name

    def indexes_of(self, table: sql.Name) -> list[Index]:
        """Return the indexes of a table."""
        key = self.key(table)
        found = self.tables.get(key)
        return [*found.indexes.values()] if found else []

    def index(self, name: sql.Name) -> Index | None:
        """Return an index, or None."""
        schema, own = self.key(name)
        table = self._tables_of_indexes.get((schema, own))
        return self.tables[table].indexes.get(own) if table in self.tables else None

    def apply(self, file: SqlFile, statement: sql.Statement[sql.Body]) -> None:
        """Add what a statement builds, and remove what it drops."""
        made = Made(file, statement)
        match statement.body:
            case sql.CreateTable() as create:
                self._create_table(create, made)
            case sql.AlterTable() as alter:
                self._alter_table(alter, made)
            case sql.CreateIndex() as index:
                self._create_index(index, made)
            case sql.Drop() as drop:
                self._drop(drop)
            case sql.Rename() as rename:
                self._rename(rename)
            case _:
                self._apply_other(statement.body, made)

    def _apply_other(self, body: sql.Body, made: Made) -> None:
        match body:
            case sql.Create(kind="schema"):
                self.schemas.add(body.name.name)
            case sql.Create(kind="type") if body.labels:
                self.enums[self.key(body.name)] = made
            case sql.Create(kind="domain"):
                self.domains[self.key(body.name)] = made
            case sql.AddEnumValue(type=name, value=value):
                self.enum_values[self.key(name), value] = made
            case sql.CreateFunction() | sql.AlterFunction() | sql.Query():
                self._apply_function(body, made)
            case sql.DoBlock(source=source) if "search_path" in source:
                # It composes ALTER FUNCTION ... SET search_path for the functions that it names.
                self.pinned.update(_WORD.findall(source))
            case sql.CreatePolicy(table=name):
                self.table(name).policies.append(made)
            case sql.Comment(kind="table", name=name):
                self.table(name).commented = True

    def _apply_function(
        self, body: sql.CreateFunction | sql.AlterFunction | sql.Query, made: Made
    ) -> None:
        if isinstance(body, sql.Query):
            # A function of the project that pins others, such as SELECT pin_search_path('f', 'g').
            if any("search_path" in call for call in body.expression.calls):
                self.pinned.update(body.expression.literals)
            return
        name = body.name.name
        if isinstance(body, sql.CreateFunction):
            self.pinned.discard(name)  # OR REPLACE forgets the settings
        if isinstance(body, sql.CreateFunction) or body.security_definer:
            self.functions[name] = made
        if "search_path" in body.settings:
            self.pinned.add(name)

    def table(self, name: sql.Name) -> Table:
        """Return a table; one that the files do not make is added without its columns."""
        return self.tables.setdefault(self.key(name), Table(name, None, derived=True))

    def _create_table(self, create: sql.CreateTable, made: Made) -> None:
        if create.if_not_exists and self.key(create.table) in self.tables:
            return
        table = Table(create.table, made, temporary=create.temporary)
        table.derived = create.derived or not create.columns
        table.partition = create.partition_of is not None
        self.tables[self.key(create.table)] = table
        for column in create.columns:
            self._add_column(table, column, made)
        for constraint in create.constraints:
            self._add_constraint(table, constraint, made)

    def _add_column(self, table: Table, column: sql.Column, made: Made) -> None:
        kind = column.type
        table.columns[column.name] = kind._replace(name=_SERIAL.get(kind.name, kind.name))
        if kind.name in _SERIAL or column.has("identity"):
            table.not_null.add(column.name)
        for constraint in column.constraints:
            self._add_constraint(table, constraint, made)

    def _add_constraint(self, table: Table, constraint: sql.Constraint, made: Made) -> None:
        if constraint.kind in ("default", "generated", "identity", "other"):
            return
        table.constraints.append((constraint, made))
        columns = constraint.columns
        if constraint.using_index:
            index = table.indexes.get(constraint.using_index)
            columns = index.keys if index else ()
        if constraint.kind == "not null" or constraint.kind == "primary key":
            table.not_null.update(columns)
        if constraint.kind == "primary key":
            table.primary_key = columns or ("?",)
        if constraint.kind in ("primary key", "unique") and not constraint.using_index:
            key = self.key(table.name)
            name = constraint.name or _chosen_name(table, constraint)
            self._add_index(
                Index(name, key, columns, True, True, False, "btree", (), made, constraint=True)
            )

    def _alter_table(self, alter: sql.AlterTable, made: Made) -> None:
        if alter.kind != "table":
            return
        table = self.table(alter.table)
        for action in alter.actions:
            self._act(table, action, made)

    def _act(self, table: Table, action: sql.Action, made: Made) -> None:
        match action.kind:
            case "AddColumn" if action.column:
                self._add_column(table, action.column, made)
            case "AlterColumnType" if action.column:
                table.columns[action.name] = action.column.type
            case "AddConstraint" if action.constraint:
                self._add_constraint(table, action.constraint, made)
            case "ValidateConstraint":
                _validate(table, action.name, made)
            case "DropColumn":
                self._drop_column(table, action.name)
            case "DropConstraint":
                self._drop_constraint(table, action.name)
            case "EnableRowSecurity" | "DisableRowSecurity":
                table.row_security = action.kind.startswith("Enable")
            case "SetNotNull":
                table.not_null.add(action.name)
            case "DropNotNull":
                table.not_null.discard(action.name)

    def _add_index(self, index: Index) -> None:
        table = self.tables.get(index.table)
        if table is None:
            table = self.table(sql.Name(index.table[1], index.table[0]))
        name = index.name or f"#{len(table.indexes)}"
        table.indexes[name] = index
        self._tables_of_indexes[index.table[0], name] = index.table

    def _drop_column(self, table: Table, column: str) -> None:
        table.columns.pop(column, None)
        table.constraints = [(c, m) for c, m in table.constraints if column not in c.columns]
        table.indexes = {k: i for k, i in table.indexes.items() if column not in i.keys}

    def _drop_constraint(self, table: Table, name: str) -> None:
        for constraint, _ in table.constraints:
            chosen = constraint.name or _chosen_name(table, constraint)
            if chosen == name and constraint.kind == "primary key":
                table.primary_key = ()
        table.constraints = [
            (c, m) for c, m in table.constraints if (c.name or _chosen_name(table, c)) != name
        ]
        table.indexes.pop(name, None)

    def _create_index(self, index: sql.CreateIndex, made: Made) -> None:
        key = self.key(index.table)
        if index.if_not_exists and self.index(sql.Name(index.name, key[0])):
            return
        self._add_index(
            Index(
                index.name,
                key,
                index.keys,
                index.plain,
                index.unique,
                index.partial,
                index.method,
                index.included,
                made,
            )
        )

    def _drop(self, drop: sql.Drop) -> None:
        for name in drop.names:
            key = self.key(name)
            if drop.kind == "table":
                self.tables.pop(key, None)
            elif drop.kind == "index":
                table = self._tables_of_indexes.pop(key, None)
                if table in self.tables:
                    self.tables[table].indexes.pop(key[1], None)
            elif drop.kind == "type":
                self.enums.pop(key, None)
            elif drop.kind == "schema":
                self.schemas.discard(name.name)
            elif drop.kind in ("function", "procedure", "routine"):
                self.functions.pop(name.name, None)

    def _rename(self, rename: sql.Rename) -> None:
        key = self.key(rename.relation)
        if rename.kind == "table" and key in self.tables:
            table = self.tables.pop(key)
            table.name = table.name._replace(name=rename.new)
            new = (key[0], rename.new)
            self.tables[new] = table
            table.indexes = {k: i._replace(table=new) for k, i in table.indexes.items()}
            self._tables_of_indexes |= {(key[0], name): new for name in table.indexes}
        elif rename.kind == "index" and (index := self.index(rename.relation)):
            self.tables[index.table].indexes.pop(key[1])
            self._add_index(index._replace(name=rename.new))
        elif rename.kind == "column" and key in self.tables:
            _rename_column(self.tables[key], rename.old, rename.new)


def _rename_column(table: Table, old: str, new: str) -> None:
    def renamed(columns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(new if column == old else column for column in columns)

    if old in table.columns:
        table.columns[new] = table.columns.pop(old)
    if old in table.not_null:
        table.not_null.add(new)
    table.primary_key = renamed(table.primary_key)
    table.constraints = [(c._replace(columns=renamed(c.columns)), m) for c, m in table.constraints]
    table.indexes = {k: i._replace(keys=renamed(i.keys)) for k, i in table.indexes.items()}


def _validate(table: Table, name: str, made: Made) -> None:
    """Mark a constraint as validated, and note where."""
    table.constraints = [
        (c._replace(validated=True), made) if c.name == name else (c, m)
        for c, m in table.constraints
    ]


def _chosen_name(table: Table, constraint: sql.Constraint) -> str:
    """Return the name that PostgreSQL chooses for a constraint without one."""
    suffix = {"primary key": "pkey", "unique": "key", "foreign key": "fkey"}.get(
        constraint.kind, "check"
    )
    columns = () if constraint.kind == "primary key" else constraint.columns
    return "_".join((table.name.name, *columns, suffix))
