"""Effects of a statement that its text shows: not rolled back, on the session, on an index.

What does not belong here: statements that are refused in every file (`refusal.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.syntax.identifiers import quote_identifier
from chatdb_cli.syntax.scan import scan_tokens
from chatdb_cli.syntax.statements import Statement, split_statements

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from typing import Any, Literal

_SETTING = re.compile(r"(?:SET|RESET)\b(?!\s+(?:LOCAL|CONSTRAINTS|TRANSACTION)\b)", re.IGNORECASE)
# Functions and commands whose effects are not rolled back.
_LASTING = re.compile(
    r"\b(?:setval|nextval|dblink\w*|lo_export|pg_(?:terminate|cancel)_backend|copy"
    r"|pg_(?:create|copy)_(?:physical|logical)_replication_slot"
    r"|pg_drop_replication_slot|pg_replication_slot_advance|pg_logical_slot_get_\w+)\b",
    re.IGNORECASE,
)
# Statements that change the rows of a table, or the table, by the name that follows.
_CHANGES_ROWS = re.compile(
    r"(?:DELETE FROM|UPDATE|TRUNCATE(?: TABLE)?|MERGE INTO|ALTER TABLE(?: IF EXISTS)?)"
    r"(?: ONLY)? (?:\S+ \. )?$"
)
# A string between dollars or quotes; and two that a block joins: 'DROP TA' || 'BLE t'.
_LITERAL = re.compile(r"(\$\w*\$)(.*)\1|(?:[EeNn]|[Uu]&)?'(.*)'", re.DOTALL)
JOINED = re.compile(r"'\s*\|\|\s*'")
# Statements that leave nothing to undo.
_IDLE = re.compile(
    r"(?:SET|RESET|SHOW|ANALYZE|VACUUM|REINDEX|CLUSTER|CHECKPOINT|COMMENT|REFRESH|LISTEN|UNLISTEN|NOTIFY)\b"
    r"|SELECT\b[^(]*$|(?:VALUES|TABLE)\b",
    re.IGNORECASE,
)


# Statements that change the catalog alone: they run no function of a user, and advance no sequence ...
_CATALOG_ALONE = frozenset(
    (
        "alter_enum_stmt",
        "alter_function_stmt",
        "alter_object_schema_stmt",
        "alter_owner_stmt",
        "alter_policy_stmt",
        "alter_seq_stmt",
        "comment_stmt",
        "composite_type_stmt",
        "constraints_set_stmt",
        "create_domain_stmt",
        "create_enum_stmt",
        "create_function_stmt",
        "create_policy_stmt",
        "create_range_stmt",
        "create_schema_stmt",
        "create_seq_stmt",
        "create_stats_stmt",
        "create_stmt",
        "create_trig_stmt",
        "drop_stmt",
        "grant_stmt",
        "lock_stmt",
        "rename_stmt",
        "rule_stmt",
        "variable_set_stmt",
        "view_stmt",
    )
)
# ... statements that do neither if they compute nothing for the rows that exist ...
_CATALOG_AND_ROWS = frozenset(("alter_domain_stmt", "alter_table_stmt", "index_stmt"))
# ... and those that only change rows, if they call no function.
_ROWS = frozenset(("delete_stmt", "truncate_stmt", "update_stmt"))
# An expression that can call a function: by its name, by an operator, or as `row.function`.
_COMPUTES = re.compile(
    r"\b(?:func_call|a_expr|a_indirection|sub_link) \{"
    r"|column_ref \{\s*(?:fields \{[^{}]*\{[^{}]*\}\s*\}\s*){2}"
)
# Changes of a table or a domain that compute something for each row, which their text does not show:
# casts, and constraints and partition keys that exist already.
_COMPUTES_UNSEEN = re.compile(
    r'subtype: (?:AT_AlterColumnType|AT_ValidateConstraint|AT_AttachPartition|"V")'
)
# A new column gets the default of its type, and meets the constraints of it, if it is a domain.
_TYPE_OF_NEW_COLUMN = re.compile(
    r'AT_AddColumn\s+def \{\s*column_def \{\s*colname: "(?:[^"\\]|\\.)*"\s*type_name \{\s*'
    r'((?:names \{\s*string \{\s*sval: "(?:[^"\\]|\\.)*"\s*\}\s*\}\s*)+)'
)
_BUILT_IN = re.compile(
    r'names \{\s*string \{\s*sval: "(?:pg_catalog|text|uuid|date|bytea|jsonb?|xml|name|oid|inet|cidr'
    r"|macaddr8?|money|tsvector|tsquery|timestamptz|timetz|(?:small|big)?serial|int[248]|float[48]|bool"
    r'|point|box|line|lseg|path|polygon|circle|pg_lsn|xid8?|reg[a-z]+)"'
)


@dataclass(frozen=True, slots=True)
class ConcurrentIndexStatement:
    """A statement that builds or drops an index CONCURRENTLY, in several transactions.

    Attributes:
        kind: the command.
        names: for `create` the table of the index, for `drop` the indexes; quoted as SQL.
        index: the name of the index to create, quoted, or None if PostgreSQL chooses it.
    """

    kind: Literal["create", "drop", "reindex"]
    names: tuple[str, ...] = ()
    index: str | None = None


class LastingEffect(NamedTuple):
    """A call or command in a file whose effect is not rolled back.

    Attributes:
        offset: its place in the text, in characters.
        what: the function or command, such as `setval` or `COPY`.
        argument: its first argument if that is a literal, else None.
    """

    offset: int
    what: str
    argument: str | None = None


def find_lasting_effects(
    text: str, statements: Sequence[Statement] | None
) -> Iterator[LastingEffect]:
    """Yield each effect that is not rolled back, if the text itself shows it.

    Args:
        text: the text of the file.
        statements: the result of `split_statements` for it.
    """
    for statement in (Statement(text, 0),) if statements is None else statements:
        joined = JOINED.sub("", statement.text)
        if not _LASTING.search(joined):
            continue
        effects = [*_find_lasting(statement.text, is_block=False)]
        if not effects and joined != statement.text:
            effects = [e._replace(offset=0) for e in _find_lasting(joined, is_block=False)]
        for effect in effects:
            yield effect._replace(offset=statement.offset + effect.offset)


def _find_lasting(code: str, *, is_block: bool) -> Iterator[LastingEffect]:
    """Yield the effects of a statement; in a block, a string may be a statement that it executes.

    Args:
        code: the text of the statement or the block.
        is_block: it is the body of DO, or a string inside of one.
    """
    tokens = [(o, t) for o, t in scan_tokens(code) if not t.startswith(("--", "/*"))]
    words = [token.upper() for _, token in tokens]
    is_block = is_block or words[:1] == ["DO"]
    if "CREATE" in words and {"FUNCTION", "PROCEDURE"} & {*words}:
        is_block = False  # a body that is only created
    for n, (offset, token) in enumerate(tokens):
        if is_block and (literal := _LITERAL.fullmatch(token)):
            content = literal[2] if literal[1] else literal[3].replace("''", "'")
            start = offset + (literal.start(2) if literal[1] else literal.start(3))
            if _LASTING.fullmatch(content) and content.upper() != "COPY":
                yield LastingEffect(start, content)  # such as an argument of format
            for effect in _find_lasting(content, is_block=True):
                yield effect._replace(offset=start + effect.offset)
        word = token.strip('"')
        following = [t for _, t in tokens[n + 1 : n + 3]]
        if _LASTING.fullmatch(word) and (following[:1] == ["("] or word.upper() == "COPY"):
            argument = following[1][1:-1] if following[1:] and following[1][0] == "'" else None
            if word.upper() != "COPY" or _leaves_database(words[n:]):
                yield LastingEffect(offset, word, argument)


def find_changes(text: str, tables: Collection[str]) -> int | None:
    """Return where a text first deletes, updates or alters one of these tables by name, or None.

    Args:
        text: the text of a file; the strings of its blocks are searched, too.
        tables: their names, in lower case.
    """
    lower = text.lower()
    if not any(map(lower.__contains__, tables)):
        return None
    before = ""
    for offset, token in scan_tokens(text):
        if token.startswith(("--", "/*")):
            continue
        if token.strip('"').lower() in tables and _CHANGES_ROWS.search(before):
            return offset
        if literal := _LITERAL.fullmatch(token):
            found = find_changes(literal[2] if literal[1] else literal[3], tables)
            if found is not None:
                return offset
        before = f"{before[-60:]}{token.upper()} "
    return None


def does_something(text: str) -> bool:
    """Return whether a file has a statement whose effect a down file would have to undo.

    A SELECT that calls nothing has none, nor have comments, settings and maintenance.
    """
    statements = split_statements(text)
    if statements is None:
        return True
    return not all(_IDLE.match(statement.text) for statement in statements)


def _leaves_database(words: list[str]) -> bool:
    """Return whether a COPY, as a list of words, writes a file or runs a program."""
    return "PROGRAM" in words or any(a == "TO" and b[0] == "'" for a, b in pairwise(words))


def is_undone_whole(
    statements: Iterable[Statement] | None, *, trust_triggers: bool = False
) -> bool:
    """Return whether a rollback undoes everything that statements can have done.

    A function, a trigger or a default may advance a sequence or write over dblink, which stays; so this
    is true only of statements that run none.

    Args:
        statements: the statements that ran, or None if their file could not be split.
        trust_triggers: a statement that deletes or updates rows does nothing but that.
    """
    with_rows = _CATALOG_AND_ROWS | _ROWS if trust_triggers else _CATALOG_AND_ROWS
    return statements is not None and all(_is_undone(s.text, with_rows) for s in statements)


def _is_undone(statement: str, with_rows: frozenset[str]) -> bool:
    import postgast

    try:
        node = postgast.parse(statement).stmts[0].stmt
    except (postgast.PgQueryError, IndexError):
        return False
    kind = node.WhichOneof("node")
    if kind == "create_stmt":  # the bounds of a partition are computed at once
        return not _COMPUTES.search(str(node.create_stmt.partbound))
    if kind in _CATALOG_ALONE:
        return True
    if kind not in with_rows:
        return False
    text = str(node)
    return "func_call {" not in text if kind in _ROWS else not _computes(text)


def _computes(tree: str) -> bool:
    """Return whether a change of a table, a domain or an index may call a function for its rows."""
    return bool(
        _COMPUTES.search(tree)
        or _COMPUTES_UNSEEN.search(tree)
        or not all(_BUILT_IN.match(names) for names in _TYPE_OF_NEW_COLUMN.findall(tree))
    )


def is_setting(statement: str) -> bool:
    """Return whether a statement sets a parameter for the following statements of the session."""
    return bool(_SETTING.match(statement))


def parse_concurrent_index_statement(statement: str) -> ConcurrentIndexStatement | None:
    """Return the index command of a statement with CONCURRENTLY, or None for any other statement."""
    if "concurrently" not in statement.lower():
        return None
    import postgast

    try:
        node = postgast.parse(statement).stmts[0].stmt
    except (postgast.PgQueryError, IndexError):
        return None
    kind = node.WhichOneof("node")
    if kind == "index_stmt" and node.index_stmt.concurrent:
        index, table = node.index_stmt, node.index_stmt.relation
        return ConcurrentIndexStatement(
            "create",
            (quote_identifier(table.catalogname, table.schemaname, table.relname),),
            quote_identifier(index.idxname) or None,
        )
    if kind == "drop_stmt" and node.drop_stmt.concurrent:
        names = (
            quote_identifier(*(item.string.sval for item in name.list.items))
            for name in node.drop_stmt.objects
        )
        return ConcurrentIndexStatement("drop", tuple(names))
    if kind == "reindex_stmt" and _has_option(node.reindex_stmt.params, "concurrently"):
        return ConcurrentIndexStatement("reindex")
    return None


def only_index(statements: Iterable[Statement] | None) -> bool:
    """Return whether every statement builds or drops indexes, or only sets a parameter.

    Args:
        statements: the statements of a file, or None if it could not be split.
    """
    return statements is not None and all(_is_index_command(s.text) for s in statements)


def _is_index_command(statement: str) -> bool:
    import postgast

    from chatdb_cli.syntax.tree.tables import enum_name

    try:
        node = postgast.parse(statement).stmts[0].stmt
    except (postgast.PgQueryError, IndexError):
        return False
    kind = node.WhichOneof("node")
    if kind == "drop_stmt":
        return enum_name(node.drop_stmt, "remove_type") == "OBJECT_INDEX"
    return kind in ("index_stmt", "reindex_stmt", "variable_set_stmt")


def index_statement_on(statement: str, schema: str, table: str) -> str:
    """Return a CREATE INDEX for another table: in one transaction, under a name that PostgreSQL chooses.

    Args:
        statement: the CREATE INDEX.
        schema: the schema of the other table.
        table: its name.
    """
    import postgast

    tree = postgast.parse(statement)
    index = tree.stmts[0].stmt.index_stmt
    index.concurrent = index.if_not_exists = False
    index.idxname = index.relation.catalogname = ""
    index.relation.schemaname, index.relation.relname = schema, table
    return str(postgast.deparse(tree))


def without_concurrently(statement: str) -> str:
    """Return an index statement without CONCURRENTLY; blanks in its place keep every offset."""
    if parse_concurrent_index_statement(statement) is None:
        return statement
    for offset, token in scan_tokens(statement):
        if token.upper() == "CONCURRENTLY":
            end = offset + len(token)
            return statement[:offset] + " " * len(token) + statement[end:]
    return statement


def _has_option(params: Any, option: str) -> bool:
    return any(param.def_elem.defname == option for param in params)
