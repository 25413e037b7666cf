"""A schema as a Markdown document.

    schema_markdown  the user's head, the mark, then what is generated: the list of tables, the diagrams,
                     each table, the views, the functions, the types

What does not belong here: diagrams (`mermaid.py`), escaping (`escape.py`), files (`update.py`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from chatdb_cli.docs.escape import (
    CONTROL,
    cell_code,
    code_fence,
    code_span,
    escape_cell,
    escape_prose,
    escape_text,
)
from chatdb_cli.docs.groups import group_functions
from chatdb_cli.docs.mermaid import write_diagrams
from chatdb_cli.docs.sql_text import split_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chatdb_cli.docs.model import (
        Constraint,
        ForeignKey,
        Function,
        Policy,
        Relation,
        SchemaDocs,
        Type,
    )

MARK = "<!-- chatdb docs:"
MARK_LINE = f"{MARK} the text above is yours; all below is generated from the database. -->"


def schema_markdown(docs: SchemaDocs, current: str | None = None) -> str:
    """Return the whole document.

    Args:
        docs: the schema.
        current: the document as it is now; its text above the mark is kept.
    """
    head = current.partition(MARK)[0].rstrip() if current is not None else "# Schema"
    parts = [*([head] if head else []), MARK_LINE]
    if docs.comment:
        parts.append(escape_prose(docs.comment))
    if docs.tables:
        parts += _tables(docs.tables, "\n\n".join(parts))
    if docs.views:
        parts.append("## Views")
    for view in docs.views:
        parts += _relation(view, _Links(""), [])
    parts += _functions(docs.functions, head)
    if docs.types:
        parts += ["## Types", _bullets(map(_type, docs.types))]
    if not (docs.tables or docs.views or docs.functions or docs.types):
        parts.append("The schema is empty.")
    return "\n\n".join(parts) + "\n"


def _tables(tables: Sequence[Relation], before: str) -> Iterator[str]:
    """Yield the list of tables, the diagrams, and each table.

    Args:
        tables: the tables.
        before: the text above; a heading in it may have the name of a table.
    """
    diagrams = list(write_diagrams(tables))
    links = _Links("\n\n".join([before, "## Tables", *diagrams]))
    referencing: dict[str, list[str]] = defaultdict(list)
    for table in tables:
        links.add(table.name)
        for name in {k.table for k in table.foreign_keys if k.schema is None}:
            referencing[name].append(table.name)
    yield "## Tables"
    yield _table(
        ("table", "what it holds"), [(links.to(t.name), escape_cell(t.comment)) for t in tables]
    )
    yield from diagrams
    for table in tables:
        yield from _relation(table, links, referencing[table.name])


def _relation(table: Relation, links: _Links, referencing: Sequence[str]) -> Iterator[str]:
    yield f"### {escape_text(table.name)}"
    if table.comment:
        yield escape_prose(table.comment)
    notes = list(_notes(table))
    if notes:
        yield _bullets(notes)
    references = {k.columns[0]: k for k in table.foreign_keys if len(k.columns) == 1}
    rows = []
    for column in table.columns:
        arrow = (
            f"→ {links.referenced(references[column.name])}" if column.name in references else ""
        )
        null = "null" if column.nullable and "view" not in table.kind else ""
        comment = " ".join(filter(None, (escape_cell(column.comment), arrow)))
        default = cell_code(column.default) if column.default else ""
        rows.append((cell_code(column.name), cell_code(column.type), null, default, comment))
    if rows:
        yield _table(("column", "type", "null", "default", "what it is"), rows)
    for constraint in table.rules:
        if constraint.kind == "primary key":
            yield f"**Primary key** {_constraint(constraint)}"
    for kind, title in (("unique", "Unique"), ("exclusion", "Exclusion"), ("check", "Checks")):
        yield from _list(title, (_constraint(r) for r in table.rules if r.kind == kind))
    yield from _list("Foreign keys", (_foreign_key(k, links) for k in table.foreign_keys))
    if referencing:
        yield f"**Referenced by** {', '.join(map(links.to, referencing))}"
    yield from _list(
        "Indexes", (_item(i.name, code_span(i.definition), i.comment) for i in table.indexes)
    )
    yield from _list(
        "Triggers",
        (
            _item(t.name, code_span(t.definition) + ("" if t.enabled else " (disabled)"), t.comment)
            for t in table.triggers
        ),
    )
    yield from _list("Row-level security", map(_policy, table.policies))


def _notes(table: Relation) -> Iterator[str]:
    if table.kind not in ("table", "view"):
        yield f"{table.kind.capitalize()}."
    if table.partition_key:
        yield f"Partitioned by {code_span(table.partition_key)}."
    for partition in table.partitions:
        yield f"Partition {code_span(partition)}."
    if table.inherits:
        yield f"Inherits from {', '.join(map(code_span, table.inherits))}."
    for option in table.options:
        yield f"{code_span(option)}."
    if table.unlogged:
        yield "UNLOGGED: fast, and empty after a crash of the server."
    if table.row_security:
        roles = (
            "all roles and its owner" if table.row_security_forced else "all roles but its owner"
        )
        none = "" if table.policies else "; there are none, so no row is visible"
        yield f"Row-level security: the policies below apply to {roles}{none}."


def _constraint(constraint: Constraint) -> str:
    return _item(constraint.name, code_span(constraint.definition), constraint.comment)


def _foreign_key(key: ForeignKey, links: _Links) -> str:
    columns, to = (
        code_span(f"({', '.join(map(_identifier, c))})") for c in (key.columns, key.to_columns)
    )
    return _item(key.name, f"{columns} → {links.referenced(key)} {to} {key.actions}", key.comment)


def _policy(policy: Policy) -> str:
    kind = "" if policy.permissive else "restrictive, "
    text = f"{kind}{policy.command} by {', '.join(map(code_span, policy.roles))}"
    if policy.reads:
        text += f" where {code_span(policy.reads)}"
    if policy.writes:
        text += f", writes only {code_span(policy.writes)}"
    return _item(policy.name, text, policy.comment)


def _functions(functions: Sequence[Function], head: str) -> Iterator[str]:
    titles = {
        "function": "Functions", "procedure": "Procedures", "aggregate": "Aggregates",
        "window function": "Window functions", "trigger function": "Trigger functions",
    }  # fmt: skip
    for kind, title in titles.items():
        of_kind = [f for f in functions if f.kind == kind]
        if not of_kind:
            continue
        yield f"## {title}"
        groups = list(group_functions(head if kind == "function" else "", of_kind))
        if groups[0][0]:
            yield _table(("group", "functions"), [(escape_cell(t), _index(g)) for t, g in groups])
        for group_title, group in groups:
            if group_title:
                yield f"### {escape_text(group_title)}"
            yield from _descriptions(group, "####" if group_title else "###")


def _index(functions: Iterable[Function]) -> str:
    names = dict.fromkeys(function.name for function in functions)
    return ", ".join(
        f"[{escape_text(name)}](#{name})" if re.fullmatch(r"\w+", name) else code_span(name)
        for name in names
    )


def _descriptions(functions: Sequence[Function], level: str) -> Iterator[str]:
    for n, function in enumerate(functions):
        if n == 0 or functions[n - 1].name != function.name:
            yield f"{level} {escape_text(function.name)}"
        yield code_fence("sql", _signature(function))
        if function.comment:
            yield escape_prose(function.comment)
        yield f"*{', '.join(_properties(function))}*"


def _signature(function: Function) -> str:
    arguments, result = (CONTROL.sub(" ", t or "") for t in (function.arguments, function.result))
    result = f" → {result}" if result else ""
    name = _identifier(function.name)
    line = f"{name}({arguments}){result}"
    if len(line) <= 90:
        return line
    indented = ",\n".join(f"  {argument}" for argument in split_list(arguments))
    return f"{name}(\n{indented}\n){result}"


def _properties(function: Function) -> Iterator[str]:
    if function.kind != "procedure":
        yield function.volatility
    if function.strict:
        yield "strict"
    if function.security_definer:
        yield "security definer"
    yield escape_text(function.language)


def _type(kind: Type) -> str:
    text = f"{kind.kind} of {code_span(kind.definition)}" if kind.definition else kind.kind
    return _item(kind.name, text, kind.comment)


def _list(title: str, items: Iterable[str]) -> Iterator[str]:
    lines = list(items)
    if lines:
        yield f"**{title}**"
        yield _bullets(lines)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _item(name: str, text: str, comment: str | None) -> str:
    return f"{code_span(name)}: {text}" + (f"<br>{escape_prose(comment)}" if comment else "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table without its empty columns."""
    columns = [n for n in range(len(head)) if n == 0 or any(row[n] for row in rows)]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line[n] for n in columns)} |" for line in lines)


def _identifier(name: str) -> str:
    if re.fullmatch(r"[a-z_][a-z0-9_$]*", name):
        return name
    return f'"{CONTROL.sub(" ", name).replace(chr(34), chr(34) * 2)}"'


class _Links:
    """Links to the headings of tables, with the anchors that GitHub gives them."""

    def __init__(self, before: str) -> None:
        self._taken: dict[str, int] = {}
        self._slugs: dict[str, str] = {}
        before = re.sub(r"^```.*?^```", "", before, flags=re.MULTILINE | re.DOTALL)
        for title in re.findall(r"^#+ (.*)$", before, re.MULTILINE):
            self._slug(title)

    def add(self, name: str) -> None:
        """Add the heading of a table, the next in the document."""
        self._slugs[name] = self._slug(name)

    def to(self, name: str) -> str:
        """Return a link to a table, or its name if it has no heading."""
        slug = self._slugs.get(name)
        return escape_text(name) if slug is None else f"[{escape_text(name)}](#{slug})"

    def referenced(self, key: ForeignKey) -> str:
        """Return a link to the table that a foreign key references."""
        return escape_text(f"{key.schema}.{key.table}") if key.schema else self.to(key.table)

    def _slug(self, title: str) -> str:
        plain = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
        slug = plain
        while slug in self._taken:
            self._taken[plain] += 1
            slug = f"{plain}-{self._taken[plain]}"
        self._taken[slug] = 0
        return slug
