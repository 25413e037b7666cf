"""Statements as values.

Offsets count characters in the text of the file, from 0.  A statement whose kind no check reads is
`Other`.  What does not belong here: making the values (`parse.py`).
"""

from __future__ import annotations

import re
from typing import Generic, Literal, NamedTuple, TypeVar

from chatdb_cli.syntax.identifiers import quote_identifier

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
BodyT_co = TypeVar("BodyT_co", covariant=True)


class Span(NamedTuple):
    """A part of the text of a file.

    Attributes:
        start: the offset of its first character.
        end: the offset after its last character.
    """

    start: int
    end: int


class Name(NamedTuple):
    """The name of an object.

    Attributes:
        name: without its schema.
        schema: empty if the text names none.
        offset: where it is in the text, or -1 if the grammar does not say.
    """

    name: str
    schema: str = ""
    offset: int = -1

    def __str__(self) -> str:
        """Return the name as SQL, quoted where it has to be."""
        return ".".join(sql_name(part) for part in (self.schema, self.name) if part)


class Type(NamedTuple):
    """The type of a column.

    Attributes:
        name: PostgreSQL's internal name, such as `int4`, `varchar`, `bpchar`, `timestamptz`.
        schema: empty, `pg_catalog`, or another schema.
        arguments: the numbers in parentheses.
        array: it is an array.
        offset: where it is in the text.
    """

    name: str
    schema: str = ""
    arguments: tuple[int, ...] = ()
    array: bool = False
    offset: int = -1


class Expression(NamedTuple):
    """What an expression calls, reads and contains.

    Attributes:
        calls: the functions, without schemas.
        columns: the columns, without their tables.
        literals: the string literals.
        casts: the types that something is cast to.
        has_query: it contains a subquery.
        not_null: the column of `column IS NOT NULL`, if that is the whole expression.
    """

    calls: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    literals: tuple[str, ...] = ()
    casts: tuple[str, ...] = ()
    has_query: bool = False
    not_null: str = ""


ConstraintKind = Literal[
    "primary key",
    "unique",
    "foreign key",
    "check",
    "not null",
    "exclusion",
    "default",
    "generated",
    "identity",
    "other",
]


class Constraint(NamedTuple):
    """A constraint of a column or a table; a default is one, too, as in the grammar.

    Attributes:
        kind: the kind.
        name: empty if PostgreSQL chooses it.
        columns: the columns of a key, or of a foreign key on its own side.
        expression: of a check, a default or a generated column.
        references: the table that a foreign key refers to.
        referenced: the columns there; empty for its primary key.
        validated: False for NOT VALID.
        using_index: of USING INDEX; else empty.
        stored: a generated column is stored.
        offset: where it is in the text.
    """

    kind: ConstraintKind
    name: str = ""
    columns: tuple[str, ...] = ()
    expression: Expression | None = None
    references: Name | None = None
    referenced: tuple[str, ...] = ()
    validated: bool = True
    using_index: str = ""
    stored: bool = False
    offset: int = -1


class Column(NamedTuple):
    """The definition of a column.

    Attributes:
        name: its name.
        type: its type.
        constraints: those written with it, its default among them.
        offset: where it is in the text.
    """

    name: str
    type: Type
    constraints: tuple[Constraint, ...] = ()
    offset: int = -1

    def has(self, kind: ConstraintKind) -> Constraint | None:
        """Return its first constraint of a kind, or None."""
        return next((c for c in self.constraints if c.kind == kind), None)


class Statement(NamedTuple, Generic[BodyT_co]):
    """A statement, its place and its text.

    Attributes:
        span: from its first word to its last, without the semicolon.
        text: that part of the file.
        body: what it says.
    """

    span: Span
    text: str
    body: BodyT_co


class CreateTable(NamedTuple):
    """CREATE TABLE, also AS.

    Attributes:
        table: its name.
        columns: of a list of definitions.
        constraints: of the table.
        if_not_exists: IF NOT EXISTS.
        temporary: it is temporary.
        partition_of: the table that it is a partition of.
        derived: its columns come from elsewhere: LIKE, INHERITS, OF, AS.
    """

    table: Name
    columns: tuple[Column, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    if_not_exists: bool = False
    temporary: bool = False
    partition_of: Name | None = None
    derived: bool = False


class Action(NamedTuple):
    """One command of ALTER TABLE.

    Attributes:
        kind: the name in the grammar without `AT_`, such as `AddColumn`.
        name: of the column or constraint.
        column: of AddColumn and AlterColumnType.
        constraint: of AddConstraint.
        expression: of ColumnDefault, or after USING; None for DROP DEFAULT, or without USING.
        partition: the table to attach or detach.
        concurrently: DETACH ... CONCURRENTLY.
        cascade: CASCADE.
        missing_ok: IF EXISTS or IF NOT EXISTS.
    """

    kind: str
    name: str = ""
    column: Column | None = None
    constraint: Constraint | None = None
    expression: Expression | None = None
    partition: Name | None = None
    concurrently: bool = False
    cascade: bool = False
    missing_ok: bool = False


class AlterTable(NamedTuple):
    """ALTER TABLE, and ALTER INDEX, VIEW or SEQUENCE with the same commands.

    Attributes:
        kind: `table`, `index`, `view`, `sequence`, `matview`, `foreign_table`, `type`.
        table: its name.
        actions: the commands.
        if_exists: IF EXISTS.
    """

    kind: str
    table: Name
    actions: tuple[Action, ...]
    if_exists: bool = False


class CreateIndex(NamedTuple):
    """CREATE INDEX.

    Attributes:
        name: empty if PostgreSQL chooses it.
        table: its table.
        keys: the columns; an expression is an empty text.
        plain: each key is a column with the default order and operator class.
        included: the columns after INCLUDE.
        method: `btree`, `gin` and so on.
        unique: UNIQUE.
        concurrently: CONCURRENTLY.
        if_not_exists: IF NOT EXISTS.
        partial: it has a WHERE.
        only: ON ONLY, for a partitioned table.
    """

    name: str
    table: Name
    keys: tuple[str, ...]
    plain: bool
    included: tuple[str, ...] = ()
    method: str = "btree"
    unique: bool = False
    concurrently: bool = False
    if_not_exists: bool = False
    partial: bool = False
    only: bool = False


class Drop(NamedTuple):
    """DROP of any object.

    Attributes:
        kind: the kind in lower case, such as `table`, `index`, `schema`, `type`, `function`.
        names: what it drops.
        on: the table of a policy, trigger or rule.
        cascade: CASCADE.
        concurrently: CONCURRENTLY.
        if_exists: IF EXISTS.
    """

    kind: str
    names: tuple[Name, ...]
    on: Name | None = None
    cascade: bool = False
    concurrently: bool = False
    if_exists: bool = False


class Rename(NamedTuple):
    """A renaming.

    Attributes:
        kind: what is renamed: `table`, `column`, `enum value`, `constraint`...
        relation: its table, or its own name.
        old: the former name of a column, a value or a constraint; else empty.
        new: the name after it.
    """

    kind: str
    relation: Name
    old: str
    new: str


class Truncate(NamedTuple):
    """TRUNCATE.

    Attributes:
        tables: its tables.
        cascade: CASCADE.
    """

    tables: tuple[Name, ...]
    cascade: bool


class Write(NamedTuple):
    """INSERT, UPDATE, DELETE or MERGE at top level.

    Attributes:
        verb: the command, in lower case.
        table: the table that it writes.
        limited: it has a WHERE that is not just true, or VALUES.
    """

    verb: Literal["insert", "update", "delete", "merge"]
    table: Name
    limited: bool


class Reindex(NamedTuple):
    """REINDEX.

    Attributes:
        kind: `index`, `table`, `schema`, `system` or `database`.
        relation: its name, or None.
        concurrently: CONCURRENTLY.
    """

    kind: str
    relation: Name | None
    concurrently: bool


class Maintain(NamedTuple):
    """VACUUM, ANALYZE, CLUSTER or REFRESH MATERIALIZED VIEW.

    Attributes:
        verb: `vacuum`, `analyze`, `cluster` or `refresh`.
        relations: what it works on.
        full: VACUUM FULL.
        concurrently: REFRESH ... CONCURRENTLY.
    """

    verb: str
    relations: tuple[Name, ...]
    full: bool = False
    concurrently: bool = False


class AddEnumValue(NamedTuple):
    """ALTER TYPE ... ADD VALUE.

    Attributes:
        type: the enum.
        value: the label.
        if_not_exists: IF NOT EXISTS.
    """

    type: Name
    value: str
    if_not_exists: bool


class SetParameter(NamedTuple):
    """SET, RESET or ALTER ROLE/DATABASE/SYSTEM ... SET of a parameter.

    Attributes:
        name: the parameter in lower case; empty for RESET ALL.
        values: its values as text; empty for DEFAULT and RESET.
        local: SET LOCAL.
        reset: RESET, or TO DEFAULT.
        where: `session`, or `role`, `database`, `system` for ALTER ... SET.
        target: the role or database.
    """

    name: str
    values: tuple[str, ...]
    local: bool
    reset: bool
    where: Literal["session", "role", "database", "system"] = "session"
    target: str = ""


class CreateFunction(NamedTuple):
    """CREATE FUNCTION or PROCEDURE.

    Attributes:
        name: its name.
        language: in lower case.
        security_definer: SECURITY DEFINER.
        settings: the parameters that it sets.
        or_replace: OR REPLACE.
        has_sql_body: RETURN or BEGIN ATOMIC: its names are resolved when it is created.
    """

    name: Name
    language: str
    security_definer: bool
    settings: tuple[str, ...]
    or_replace: bool
    has_sql_body: bool = False


class AlterFunction(NamedTuple):
    """ALTER FUNCTION.

    Attributes:
        name: its name.
        security_definer: it becomes SECURITY DEFINER.
        settings: the parameters that it sets.
    """

    name: Name
    security_definer: bool
    settings: tuple[str, ...]


class Grant(NamedTuple):
    """GRANT or REVOKE of privileges.

    Attributes:
        grant: False for REVOKE.
        kind: of the objects: `table`, `schema`, `function`...
        privileges: in lower case; empty for all.
        names: the objects.
        public: one of the grantees is PUBLIC.
    """

    grant: bool
    kind: str
    privileges: tuple[str, ...]
    names: tuple[Name, ...]
    public: bool


class CreatePolicy(NamedTuple):
    """CREATE POLICY.

    Attributes:
        name: the policy.
        table: its table.
    """

    name: str
    table: Name


class CreateTrigger(NamedTuple):
    """CREATE TRIGGER.

    Attributes:
        name: the trigger.
        table: its table.
    """

    name: str
    table: Name


class Comment(NamedTuple):
    """COMMENT ON.

    Attributes:
        kind: what it is about: `table`, `column`...
        name: for a column, its table.
        column: of a column.
    """

    kind: str
    name: Name
    column: str = ""


class Create(NamedTuple):
    """Any other CREATE.

    Attributes:
        kind: `schema`, `view`, `sequence`, `type`, `extension`, `domain`...
        name: its name.
        if_not_exists: IF NOT EXISTS.
        or_replace: OR REPLACE.
        labels: those of an enum.
    """

    kind: str
    name: Name
    if_not_exists: bool = False
    or_replace: bool = False
    labels: tuple[str, ...] = ()


class AlterDomain(NamedTuple):
    """ALTER DOMAIN.

    Attributes:
        name: the domain.
        constraint: of ADD CONSTRAINT, or None.
        not_null: SET NOT NULL.
    """

    name: Name
    constraint: Constraint | None
    not_null: bool


class Query(NamedTuple):
    """SELECT at top level.

    Attributes:
        expression: what it calls and contains.
    """

    expression: Expression


class DoBlock(NamedTuple):
    """DO: a block of another language, whose content is not parsed.

    Attributes:
        source: the block.
    """

    source: str


class Other(NamedTuple):
    """A statement that no check reads.

    Attributes:
        kind: the name in the grammar, such as `alter_owner_stmt`.
    """

    kind: str


Body = (
    CreateTable
    | AlterTable
    | CreateIndex
    | Drop
    | Rename
    | Truncate
    | Write
    | Reindex
    | Maintain
    | AddEnumValue
    | AlterDomain
    | SetParameter
    | CreateFunction
    | AlterFunction
    | Grant
    | CreatePolicy
    | CreateTrigger
    | Comment
    | Create
    | Query
    | DoBlock
    | Other
)


def sql_name(name: str) -> str:
    """Return one identifier as SQL: in double quotes only if it needs them."""
    return name if _PLAIN.fullmatch(name) else quote_identifier(name)
