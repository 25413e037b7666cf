"""A schema as a Markdown document with Mermaid diagrams, to be read on GitHub.

    document      head (yours), mark, then made: the list of tables, the diagrams, each table, the
                  views, the functions, the types

Any name and any comment is text here: whatever would be Markdown, HTML or Mermaid in it is escaped.
Pure.  What does not belong here: the catalog, files (`schema_docs.py`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from chatdb_cli.schema_values import (
        ForeignKey,
        Function,
        Policy,
        Relation,
        Rule,
        SchemaDocs,
        Type,
    )  # fmt: skip

MARK = "<!-- chatdb docs:"
MARK_LINE = f"{MARK} what stands above is yours; all below is made from the database. -->"

# More tables than this in one diagram, and nobody finds anything.
_LARGEST_DIAGRAM = 10


def document(docs: SchemaDocs, was: str | None = None) -> str:
    """Return the whole document.

    Args:
        docs: the schema.
        was: the document as it is; what stands above the mark in it is kept.
    """
    head = was.partition(MARK)[0].rstrip() if was is not None else "# Schema"
    parts = [*([head] if head else []), MARK_LINE]
    if docs.comment:
        parts.append(_prose(docs.comment))
    if docs.tables:
        parts += _tables(docs.tables, "\n\n".join(parts))
    if docs.views:
        parts.append("## Views")
    for view in docs.views:
        parts += _relation(view, _Links(""), [])
    parts += _functions(docs.functions)
    if docs.types:
        parts += ["## Types", _bullets(map(_type, docs.types))]
    if not (docs.tables or docs.views or docs.functions or docs.types):
        parts.append("The schema is empty.")
    return "\n\n".join(parts) + "\n"


# --- one thing after the other --------------------------------------------------------------------


def _tables(tables: Sequence[Relation], before: str) -> Iterator[str]:
    """Return the list of the tables, the diagrams, and each table.

    Args:
        tables: the tables.
        before: what stands above; a heading in it may have the name of a table.
    """
    diagrams = list(_diagrams(tables))
    links = _Links("\n\n".join([before, "## Tables", *diagrams]))
    pointing: dict[str, list[str]] = defaultdict(list)
    for table in tables:
        links.add(table.name)
        for name in {k.table for k in table.foreign_keys if k.schema is None}:
            pointing[name].append(table.name)
    yield "## Tables"
    yield _table(("table", "what it holds"), [(links.to(t.name), _cell(t.comment)) for t in tables])
    yield from diagrams
    for table in tables:
        yield from _relation(table, links, pointing[table.name])


def _relation(table: Relation, links: _Links, pointing: Sequence[str]) -> Iterator[str]:
    yield f"### {_text(table.name)}"
    if table.comment:
        yield _prose(table.comment)
    notes = list(_notes(table))
    if notes:
        yield _bullets(notes)
    to = {k.columns[0]: k for k in table.foreign_keys if len(k.columns) == 1}
    rows = []
    for column in table.columns:
        arrow = f"→ {links.there(to[column.name])}" if column.name in to else ""
        null = "null" if column.nullable and "view" not in table.kind else ""
        said = " ".join(filter(None, (_cell(column.comment), arrow)))
        default = _cell_code(column.default) if column.default else ""
        rows.append((_cell_code(column.name), _cell_code(column.type), null, default, said))
    if rows:
        yield _table(("column", "type", "null", "default", "what it is"), rows)
    for rule in table.rules:
        if rule.kind == "primary key":
            yield f"**Primary key** {_rule(rule)}"
    for kind, title in (("unique", "Unique"), ("exclusion", "Exclusion"), ("check", "Checks")):
        yield from _list(title, (_rule(r) for r in table.rules if r.kind == kind))
    yield from _list("Foreign keys", (_foreign_key(k, links) for k in table.foreign_keys))
    if pointing:
        yield f"**Referenced by** {', '.join(map(links.to, pointing))}"
    yield from _list(
        "Indexes", (_item(i.name, _code(i.definition), i.comment) for i in table.indexes)
    )
    yield from _list(
        "Triggers",
        (
            _item(t.name, _code(t.definition) + ("" if t.enabled else " (disabled)"), t.comment)
            for t in table.triggers
        ),
    )
    yield from _list("Row-level security", map(_policy, table.policies))


def _notes(table: Relation) -> Iterator[str]:
    if table.kind not in ("table", "view"):
        yield f"{table.kind.capitalize()}."
    if table.partition_key:
        yield f"Partitioned by {_code(table.partition_key)}."
    for partition in table.partitions:
        yield f"Partition {_code(partition)}."
    if table.inherits:
        yield f"Inherits from {', '.join(map(_code, table.inherits))}."
    for option in table.options:
        yield f"{_code(option)}."
    if table.unlogged:
        yield "UNLOGGED: fast, and empty after a crash of the server."
    if table.row_security:
        whom = "for everybody, its owner too" if table.row_security_forced else "but for its owner"
        nothing = "" if table.policies else "; there is none, so nobody sees any"
        yield f"Row-level security: the policies below decide about each row, {whom}{nothing}."


def _rule(rule: Rule) -> str:
    return _item(rule.name, _code(rule.definition), rule.comment)


def _foreign_key(key: ForeignKey, links: _Links) -> str:
    columns, to = (
        _code(f"({', '.join(map(_identifier, c))})") for c in (key.columns, key.to_columns)
    )
    return _item(key.name, f"{columns} → {links.there(key)} {to} {key.actions}", key.comment)


def _policy(policy: Policy) -> str:
    kind = "" if policy.permissive else "restrictive, "
    said = f"{kind}{policy.command} by {', '.join(map(_code, policy.roles))}"
    if policy.reads:
        said += f" where {_code(policy.reads)}"
    if policy.writes:
        said += f", writes only {_code(policy.writes)}"
    return _item(policy.name, said, policy.comment)


def _functions(functions: Sequence[Function]) -> Iterator[str]:
    titles = {
        "function": "Functions", "procedure": "Procedures", "aggregate": "Aggregates",
        "window function": "Window functions", "trigger function": "Trigger functions",
    }  # fmt: skip
    for kind, title in titles.items():
        chosen = [f for f in functions if f.kind == kind]
        if chosen:
            yield f"## {title}"
        for n, function in enumerate(chosen):
            if n == 0 or chosen[n - 1].name != function.name:
                yield f"### {_text(function.name)}"
            yield _fence("sql", _signature(function))
            if function.comment:
                yield _prose(function.comment)
            yield f"*{', '.join(_properties(function))}*"


def _signature(function: Function) -> str:
    arguments, result = (_CONTROL.sub(" ", t or "") for t in (function.arguments, function.result))
    result = f" → {result}" if result else ""
    name = _identifier(function.name)
    line = f"{name}({arguments}){result}"
    if len(line) <= 90:
        return line
    return "\n".join((f"{name}(", *(f"  {a}" for a in _split(arguments)), f"){result}"))


def _properties(function: Function) -> Iterator[str]:
    if function.kind != "procedure":
        yield function.volatility
    if function.strict:
        yield "strict"
    if function.security_definer:
        yield "security definer"
    yield _text(function.language)


def _type(kind: Type) -> str:
    said = f"{kind.kind} of {_code(kind.definition)}" if kind.definition else kind.kind
    return _item(kind.name, said, kind.comment)


def _list(title: str, items: Iterable[str]) -> Iterator[str]:
    lines = list(items)
    if lines:
        yield f"**{title}**"
        yield _bullets(lines)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _item(name: str, said: str, comment: str | None) -> str:
    return f"{_code(name)}: {said}" + (f"<br>{_prose(comment)}" if comment else "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table without the columns in which nothing stands."""
    kept = [n for n in range(len(head)) if n == 0 or any(row[n] for row in rows)]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line[n] for n in kept)} |" for line in lines)


# --- diagrams -------------------------------------------------------------------------------------


def _diagrams(tables: Sequence[Relation]) -> Iterator[str]:
    """Return a diagram for each group of tables; each relation is in that of the table that has it."""
    edges: dict[str, set[str]] = {t.name: set() for t in tables}
    for table in tables:
        for key in table.foreign_keys:
            if key.schema is None and key.table in edges and key.table != table.name:
                edges[table.name].add(key.table)
    groups = sorted(_groups(set(edges), edges), key=lambda g: (-len(g), min(g)))
    shown = {f"Around {_text(_hub(g, edges))}": g for g in groups if len(g) > 1}
    # Who is alone may still point to itself, or to another schema.
    alone = {t.name for t in tables if t.foreign_keys} - set().union(*shown.values())
    shown |= {"On their own": alone} if alone else {}
    for title, group in shown.items():
        if len(shown) > 1:
            yield f"### {title}"
        yield _fence("mermaid", "\n".join(_diagram([t for t in tables if t.name in group])))


def _hub(names: Collection[str], edges: dict[str, set[str]]) -> str:
    """Return the table to which most of the others point."""
    return min(names, key=lambda n: (-sum(n in edges[other] for other in names), n))


def _groups(names: set[str], edges: dict[str, set[str]]) -> list[set[str]]:
    """Divide tables into groups of what belongs together, each small enough to be drawn.

    What hangs together is a group.  Where that is too large, the table to which most point is taken
    out: what still hangs together then is a group of its own, and who stands alone goes with it.
    """
    found = []
    for group in _connected(names, edges):
        if len(group) <= _LARGEST_DIAGRAM:
            found.append(group)
            continue
        hub = _hub(group, edges)
        around = {hub}
        for part in _groups(group - {hub}, edges):
            if len(part) == 1:
                around |= part
            else:
                found.append(part)
        found.append(around)
    return found


def _connected(names: set[str], edges: dict[str, set[str]]) -> Iterator[set[str]]:
    near: dict[str, set[str]] = {name: edges[name] & names for name in names}
    for name in names:
        for other in edges[name] & names:
            near[other] = near[other] | {name}
    left = set(names)
    while left:
        group: set[str] = set()
        reached = {min(left)}
        while reached:
            group |= reached
            reached = set().union(*(near[name] for name in reached)) - group
        left -= group
        yield group


def _diagram(tables: Sequence[Relation]) -> Iterator[str]:
    yield "erDiagram"
    for table in tables:
        columns = list(_key_columns(table))
        yield f"  {_entity(table.name)}" + (" {" if columns else "")
        yield from (f"    {column}" for column in columns)
        if columns:
            yield "  }"
    for table in tables:
        for key in table.foreign_keys:
            there = f"{key.schema}.{key.table}" if key.schema else key.table
            line = ("||" if key.required else "|o") + "--" + ("o|" if key.unique else "o{")
            label = _entity(", ".join(key.columns))
            yield f"  {_entity(there)} {line} {_entity(table.name)} : {label}"


def _key_columns(table: Relation) -> Iterator[str]:
    """Return the columns that a key is made of, as attributes of an entity."""
    marks: dict[str, list[str]] = defaultdict(list)
    for rule in table.rules:
        if rule.kind == "primary key":
            for name in rule.columns:
                marks[name].append("PK")
        elif (
            rule.kind == "unique" and len(rule.columns) == 1 and "UK" not in marks[rule.columns[0]]
        ):
            marks[rule.columns[0]].append("UK")
    for name in {c for k in table.foreign_keys for c in k.columns}:
        marks[name].append("FK")
    for column in table.columns:
        if column.name in marks:
            word = _word(column.name)
            real = "" if word == column.name else f" {_entity(column.name)}"
            kind = _word(column.type.partition(" COLLATE ")[0].partition("(")[0])
            yield f"{kind} {word} {', '.join(marks[column.name])}{real}"


def _entity(name: str) -> str:
    """Return a name in quotes; a character that Mermaid could take for its own stands as its number."""
    return '"' + _NOT_QUOTABLE.sub(lambda m: f"#{ord(m[0])};", name) + '"'


def _word(name: str) -> str:
    """Return a name as Mermaid takes it for an attribute: a plain word that is none of its own."""
    word = re.sub(r"[^A-Za-z0-9_\[\]]", "_", name)
    return word if re.match(r"(?!(?:[pfu]k)\b)[A-Za-z_]", word, re.IGNORECASE) else f"_{word}"


# --- text as Markdown -----------------------------------------------------------------------------

_NOT_PLAIN = re.compile(r"[^\w .,-]|_")
_NOT_QUOTABLE = re.compile(r"[^\w .,-]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SPECIAL = re.compile(r"[\\`*\[\]<&|~$#]|(?<![^\W_])_|_(?![^\W_])")
_LINES = re.compile(r"\r\n?|\n")
# What would begin a list, a heading, a rule or a quotation, if it stood at the start of a line.
_START = re.compile(r"^(?:(?=[-+=:>])|(\d+)(?=[.)]))")


def _text(text: str) -> str:
    """Return text that stands for itself, in one line."""
    text = _SPECIAL.sub(
        lambda m: {"<": "&lt;", "&": "&amp;"}.get(m[0], "\\" + m[0]),
        _CONTROL.sub(" ", text).strip(),
    )
    return _START.sub(lambda m: f"{m[1] or ''}\\", text)


def _prose(comment: str) -> str:
    """Return a comment with its lines."""
    return "<br>".join(map(_text, _LINES.split(comment.strip())))


def _cell(comment: str | None) -> str:
    return _prose(comment) if comment else ""


def _code(sql: str) -> str:
    """Return SQL as code; in a fence that is longer than any in it."""
    sql = _CONTROL.sub(" ", sql)
    ticks = "`" * (1 + max(map(len, re.findall("`+", sql)), default=0))
    pad = " " if sql[:1] in ("`", " ") or sql[-1:] in ("`", " ") else ""
    return f"{ticks}{pad}{sql}{pad}{ticks}"


def _cell_code(sql: str) -> str:
    """Return SQL as code in a table, where a bar ends the cell, also within code."""
    if "\\|" not in sql:
        return _code(sql).replace("|", "\\|")
    numbers = _NOT_PLAIN.sub(lambda m: f"&#{ord(m[0])};", _CONTROL.sub(" ", sql))
    return f"<code>{numbers}</code>"


def _fence(language: str, text: str) -> str:
    ticks = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{ticks}{language}\n{text}\n{ticks}"


def _identifier(name: str) -> str:
    if re.fullmatch(r"[a-z_][a-z0-9_$]*", name):
        return name
    return f'"{_CONTROL.sub(" ", name).replace(chr(34), chr(34) * 2)}"'


def _split(arguments: str) -> list[str]:
    """Split the arguments of a function at their commas."""
    parts, depth = [""], 0
    for piece in re.findall(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|, |.""", arguments, re.DOTALL):
        depth += (piece in "([") - (piece in ")]")
        if piece == ", " and depth == 0:
            parts[-1] += ","
            parts.append("")
        else:
            parts[-1] += piece
    return parts


class _Links:
    """Links to the headings of tables, as GitHub names them."""

    def __init__(self, before: str) -> None:
        self._taken: dict[str, int] = {}
        self._slugs: dict[str, str] = {}
        before = re.sub(r"^```.*?^```", "", before, flags=re.MULTILINE | re.DOTALL)
        for title in re.findall(r"^#+ (.*)$", before, re.MULTILINE):
            self._slug(title)

    def add(self, name: str) -> None:
        """Note the heading of a table, the next in the document."""
        self._slugs[name] = self._slug(name)

    def to(self, name: str) -> str:
        """Return a link to a table, or its name if there is no such heading."""
        slug = self._slugs.get(name)
        return _text(name) if slug is None else f"[{_text(name)}](#{slug})"

    def there(self, key: ForeignKey) -> str:
        """Return a link to the table that a foreign key points to."""
        return _text(f"{key.schema}.{key.table}") if key.schema else self.to(key.table)

    def _slug(self, title: str) -> str:
        plain = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
        slug = plain
        while slug in self._taken:
            self._taken[plain] += 1
            slug = f"{plain}-{self._taken[plain]}"
        self._taken[slug] = 0
        return slug
