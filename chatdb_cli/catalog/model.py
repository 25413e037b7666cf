"""A schema as values: what its catalog says of it, for somebody who reads it.

    SchemaDocs            all of it: the comment on the schema, and below
      Relation            a table or a view
        Column, Rule, ForeignKey, Index, Trigger, Policy
      Function, Type

All SQL in it is one line each.  The order is that of the names' code points.  Pure.  What does not
belong here: reading it (`schema_docs.py`), writing it down (`markdown.py`).
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
        name: its name.
        type: as SQL, with its collation where that is not the type's own.
        nullable: it may be NULL.
        default: as SQL; also how it is generated.
        comment: what is said of it.
    """

    name: str
    type: str
    nullable: bool
    default: str | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint that is no foreign key, or a unique index.

    Attributes:
        name: its name.
        kind: what it is.
        definition: as SQL, without the word for its kind.
        columns: what it is about, in its order; of a unique index only where it holds for all rows.
        comment: what is said of it.
    """

    name: str
    kind: Literal["primary key", "unique", "check", "exclusion"]
    definition: str
    columns: tuple[str, ...]
    comment: str | None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A relation to another table.

    Attributes:
        name: its name.
        columns: the columns that point there.
        schema: where that table is, if not in the same schema.
        table: the table that they point to.
        to_columns: the columns that they point to.
        actions: ON DELETE and what else holds, as SQL.
        required: there is always a row that it points to.
        unique: at most one row points to each.
        comment: what is said of it.
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
    """An index that is no rule."""

    name: str
    definition: str
    comment: str | None


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger; `definition` is what stands behind its name."""

    name: str
    definition: str
    enabled: bool
    comment: str | None


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of row-level security.

    Attributes:
        name: its name.
        command: SELECT, INSERT, UPDATE, DELETE or ALL.
        permissive: one of these is enough; of the others each must hold.
        roles: for whom.
        reads: which rows are seen, as SQL.
        writes: which rows may be written, as SQL; None: as `reads`.
        comment: what is said of it.
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
        name: its name.
        kind: what it is.
        comment: what is said of it.
        unlogged: it is empty after a crash.
        row_security: policies decide about its rows, but for its owner.
        row_security_forced: for its owner too.
        partition_key: as SQL.
        partitions: each with its bounds.
        inherits: the tables whose columns it has.
        options: of a view, such as `security_invoker=true`.
        columns: in their order.
        rules: keys, unique rules, checks.
        foreign_keys: its relations to other tables.
        indexes: all that are no rule.
        triggers: in the order in which they fire.
        policies: of row-level security.
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
        name: its name.
        kind: what it is.
        arguments: as SQL, with their defaults.
        result: as SQL; None for a procedure.
        volatility: immutable, stable or volatile.
        strict: NULL for any argument gives NULL.
        security_definer: it runs with the rights of its owner.
        language: sql, plpgsql or another.
        comment: what is said of it.
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
    """A type that is no table's: an enum, a domain, a composite or a range."""

    name: str
    kind: str
    definition: str
    comment: str | None


@dataclass(frozen=True, slots=True)
class SchemaDocs:
    """A schema, as its catalog has it; nothing in it depends on the schema's own name."""

    comment: str | None
    tables: tuple[Relation, ...]
    views: tuple[Relation, ...]
    functions: tuple[Function, ...]
    types: tuple[Type, ...]
