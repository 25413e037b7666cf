"""A schema as its documentation shows it.

    SchemaDocs            the comment on the schema, and all of the following
      Relation            a table or a view
        Column, Constraint, ForeignKey, Index, Trigger, Policy
      Function, Type

Each SQL text is one line.  Objects are ordered by the code points of their names.  `chatdb docs` prints
these attributes as JSON keys.  What does not belong here: making them (`describe.py`), the document
(`markdown.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Literal


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table or a view.

    Attributes:
        name: the name of the column.
        type: the type as SQL, with its collation if that is not the type's default.
        nullable: it may be NULL.
        default: its default as SQL, or how it is generated.
        comment: the comment on the column.
    """

    name: str
    type: str
    nullable: bool
    default: str | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint other than a foreign key, or a unique index.

    Attributes:
        name: the name of the constraint.
        kind: the kind of constraint.
        definition: the definition as SQL, without the keyword for its kind.
        columns: the columns of a key, in its order, or those that the definition names; empty for a
            unique index that is partial or has expressions.
        comment: the comment on the constraint.
    """

    name: str
    kind: Literal["primary key", "unique", "check", "exclusion"]
    definition: str
    columns: tuple[str, ...]
    comment: str | None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key.

    Attributes:
        name: the name of the constraint.
        columns: the referencing columns.
        schema: the schema of the referenced table, if it is another one.
        table: the referenced table.
        to_columns: the referenced columns.
        actions: ON DELETE and all that follows, as SQL.
        required: no referencing column may be NULL.
        unique: at most one row references each row.
        comment: the comment on the constraint.
    """

    name: str
    columns: tuple[str, ...]
    schema: str | None
    table: str
    to_columns: tuple[str, ...]
    actions: str
    required: bool
    unique: bool
    comment: str | None


@dataclass(frozen=True, slots=True)
class Index:
    """An index that does not enforce a constraint."""

    name: str
    definition: str
    comment: str | None


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger; `definition` is the part after its name."""

    name: str
    definition: str
    enabled: bool
    comment: str | None


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of row-level security.

    Attributes:
        name: the name of the policy.
        command: SELECT, INSERT, UPDATE, DELETE or ALL.
        permissive: one permissive policy is enough; of the restrictive ones each must pass.
        roles: the roles that it applies to.
        reads: which rows are visible, as SQL.
        writes: which rows may be written, as SQL; None is the same as `reads`.
        comment: the comment on the policy.
    """

    name: str
    command: str
    permissive: bool
    roles: tuple[str, ...]
    reads: str | None
    writes: str | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or a view.

    Attributes:
        name: the name of the table or view.
        kind: the kind of relation.
        comment: the comment on the relation.
        unlogged: it is empty after a crash.
        row_security: row-level security applies to all roles but its owner.
        row_security_forced: row-level security applies to its owner, too.
        partition_key: the partition key as SQL.
        partitions: its partitions, each with its bounds.
        inherits: the tables that it inherits from, with their schema if it is another one.
        options: the options of a view, such as `security_invoker=true`.
        columns: the columns in order.
        rules: all constraints but foreign keys, and unique indexes.
        foreign_keys: the foreign keys.
        indexes: the indexes that do not enforce a constraint.
        triggers: the triggers in the order in which they fire.
        policies: the policies of row-level security.
    """

    name: str
    kind: Literal["table", "partitioned table", "foreign table", "view", "materialized view"]
    comment: str | None
    unlogged: bool
    row_security: bool
    row_security_forced: bool
    partition_key: str | None
    partitions: tuple[str, ...]
    inherits: tuple[str, ...]
    options: tuple[str, ...]
    columns: tuple[Column, ...]
    rules: tuple[Constraint, ...]
    foreign_keys: tuple[ForeignKey, ...]
    indexes: tuple[Index, ...]
    triggers: tuple[Trigger, ...]
    policies: tuple[Policy, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A function.

    Attributes:
        name: the name of the function.
        kind: the kind of function.
        arguments: the arguments as SQL, with their defaults.
        result: the result type as SQL; None for a procedure.
        volatility: immutable, stable or volatile.
        strict: the result is NULL if any argument is.
        security_definer: it runs with the privileges of its owner.
        language: sql, plpgsql or another.
        comment: the comment on the function.
    """

    name: str
    kind: Literal["function", "trigger function", "procedure", "aggregate", "window function"]
    arguments: str
    result: str | None
    volatility: str
    strict: bool
    security_definer: bool
    language: str
    comment: str | None


@dataclass(frozen=True, slots=True)
class Type:
    """An enum, a domain, a composite or a range type."""

    name: str
    kind: str
    definition: str
    comment: str | None


@dataclass(frozen=True, slots=True)
class SchemaDocs:
    """A schema; nothing in it depends on the name of the schema."""

    comment: str | None
    tables: tuple[Relation, ...]
    views: tuple[Relation, ...]
    functions: tuple[Function, ...]
    types: tuple[Type, ...]
