"""Promises of `chatdb docs`: the whole catalog, the same on every server, and up to date."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from psycopg import sql

from chatdb_cli.docs.markdown import MARK_LINE, schema_markdown
from chatdb_cli.docs.model import (
    Column,
    Constraint,
    ForeignKey,
    Function,
    Index,
    Relation,
    SchemaDocs,
    Type,
)
from chatdb_cli.docs.read import read_schema
from chatdb_cli.docs.update import write_schema_docs
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.migrator import Migrator
from tests.support.database import Database
from tests.support.paths import ROOT, SHIPPED
from tests.support.project import Project
from tests.support.servers import Server, on_first_server

DOCS = ROOT / "docs"


def text(database: Database, schema: str = "public") -> str:
    return schema_markdown(read_schema(database.target(schema=schema)))


# --- the chat schema ------------------------------------------------------------------------------


def test_schema_md_is_up_to_date(server: Server, migrated: psycopg.Connection[Any]) -> None:
    schema = read_schema(Database(server, migrated.info.dbname).target())
    assert write_schema_docs(DOCS / "schema.md", schema, check=True).reason is None, (
        'run "make docs"'
    )


def test_a_named_schema_gives_the_same_text_whatever_the_database_has_set(
    database: Database,
) -> None:
    name = 'Öffentlich, "my" schema'
    database.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)).as_string())
    for schema in ("public", name):
        Migrator(database.target(schema=schema), SHIPPED).up()
    document = text(database)
    assert "### messages" in document
    assert "yoyo" not in document
    for setting in (
        "quote_all_identifiers = on", "search_path = pg_catalog", "DateStyle = 'German'",
        "standard_conforming_strings = off", "TimeZone = 'Asia/Kolkata'",
    ):  # fmt: skip
        database.execute(f"ALTER DATABASE {database.name} SET {setting}")
    assert text(database, name) == document
    assert text(database) == document


def test_schema_md_has_each_function_in_one_group_and_the_internals_apart() -> None:
    text = (DOCS / "schema.md").read_text(encoding="utf-8")
    (groups,) = re.findall(
        r"^<!-- chatdb docs functions\n(.*?)^-->", text, re.MULTILINE | re.DOTALL
    )
    named = [name for line in groups.splitlines() for name in line.partition(":")[2].split()]
    functions = text.partition("\n## Functions\n")[2].partition("\n## Trigger functions\n")[0]
    assert re.findall(r"^#### (\w+)$", functions, re.MULTILINE) == named
    assert len(set(named)) == len(named)
    internals = functions.partition("\n### Internals")[2]
    for comment in ("For policies:", "For the triggers:", "For the change log:", "For operations:"):
        assert comment not in functions.removesuffix(internals)


GROUPED = """# Mine

<!-- chatdb docs functions
Both: pick doing lengthy nothing
None: nothing
-->
"""


def test_functions_are_grouped_as_the_head_says_and_the_others_come_last(
    database: Database,
) -> None:
    database.execute("CREATE FUNCTION plain() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    database.execute("CREATE FUNCTION pick() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    database.execute("CREATE FUNCTION pick(n int) RETURNS int LANGUAGE sql AS 'SELECT 1'")
    schema = read_schema(database.target())
    grouped = schema_markdown(schema, GROUPED)
    assert re.findall("^##.*", grouped, re.MULTILINE) == [
        "## Functions", "### Both", "#### pick", "### Other functions", "#### plain",
    ]  # fmt: skip
    assert "| Both | [pick](#pick) |" in grouped
    assert schema_markdown(schema, grouped) == grouped
    assert re.findall("^##.*", schema_markdown(schema), re.MULTILINE) == [
        "## Functions", "### pick", "### plain",
    ]  # fmt: skip


# --- any schema -----------------------------------------------------------------------------------

WORLD = """
CREATE SCHEMA other;
CREATE TABLE other.thing (id int PRIMARY KEY);
CREATE TYPE mood AS ENUM ('so, so', 'good');
COMMENT ON TYPE mood IS 'How it is.';
CREATE DOMAIN positive AS numeric(10,2) DEFAULT 1 NOT NULL CONSTRAINT above CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, "B b" character varying(3));
CREATE TYPE span AS RANGE (subtype = timestamp with time zone);
CREATE FUNCTION plain() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TABLE a (
  id int GENERATED ALWAYS AS IDENTITY CONSTRAINT a_pk PRIMARY KEY,
  code text CONSTRAINT a_code UNIQUE DEFERRABLE,
  n numeric(10,2) DEFAULT '-1.5', twice numeric GENERATED ALWAYS AS (n * 2) STORED,
  at timestamp(3) with time zone DEFAULT '2020-01-02 03:04:05+00', m mood DEFAULT 'good', gone int,
  words character varying(20)[] COLLATE "C",
  CONSTRAINT a_words CHECK (code IN ('x', 'y') AND code NOT LIKE '%|%') NO INHERIT,
  CONSTRAINT a_not CHECK (code <> ALL (ARRAY['p', 'q'])),
  CONSTRAINT a_span EXCLUDE USING gist (tstzrange(at, at) WITH &&)
);
ALTER TABLE a DROP COLUMN gone;
COMMENT ON TABLE a IS E'First | of\\nall *of* <b>them</b>.';
COMMENT ON CONSTRAINT a_words ON a IS 'Only these.';
CREATE UNIQUE INDEX a_lower ON a (lower(code)) WHERE n > 0;
CREATE INDEX a_gin ON a USING gin (words) WITH (fastupdate = off);
CREATE INDEX a_many ON a (n DESC NULLS LAST, (n + 1)) INCLUDE (code);
CREATE UNLOGGED TABLE b (
  a_id int PRIMARY KEY REFERENCES a ON DELETE CASCADE,
  other_id int REFERENCES other.thing DEFERRABLE INITIALLY DEFERRED,
  up_id int REFERENCES b ON DELETE SET NULL ON UPDATE CASCADE
);
CREATE TABLE parted (day date NOT NULL, id int, PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE both_keys (
  day date NOT NULL, id int NOT NULL, CONSTRAINT both_fk FOREIGN KEY (day, id) REFERENCES parted
);
CREATE TABLE child (more int) INHERITS (other.thing);
CREATE TRIGGER a_told AFTER UPDATE OF n ON a FOR EACH ROW WHEN (old.n <> new.n)
  EXECUTE FUNCTION plain();
CREATE TRIGGER b_told BEFORE INSERT ON b EXECUTE FUNCTION plain();
ALTER TABLE b DISABLE TRIGGER b_told;
ALTER TABLE a ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON a FOR SELECT USING (EXISTS (SELECT FROM b WHERE b.a_id = a.id));
CREATE POLICY "only good" ON a AS RESTRICTIVE TO PUBLIC USING (true) WITH CHECK (m = 'good');
COMMENT ON POLICY own ON a IS 'Who has a b.';
ALTER TABLE b ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE VIEW seen WITH (security_barrier) AS SELECT a.id, a.code FROM a;
COMMENT ON VIEW seen IS 'What is seen.';
COMMENT ON COLUMN seen.code IS 'A code.';
CREATE MATERIALIZED VIEW kept AS SELECT 1 AS one;
CREATE UNIQUE INDEX kept_one ON kept (one);
CREATE FUNCTION pick(which mood DEFAULT 'good', "of" character varying DEFAULT 'a, b')
  RETURNS TABLE (id int, at timestamptz) LANGUAGE sql STABLE STRICT SECURITY DEFINER
  AS 'SELECT 1, now()';
COMMENT ON FUNCTION pick IS 'Picks one.';
CREATE FUNCTION pick(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n';
CREATE FUNCTION lengthy(first_argument text, second_argument numeric(10,2)[],
  third_argument text DEFAULT 'x, (y') RETURNS SETOF a LANGUAGE sql AS 'SELECT * FROM a';
CREATE PROCEDURE doing() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE product (numeric) (SFUNC = numeric_mul, STYPE = numeric);
COMMENT ON SCHEMA public IS 'Of all kinds.';
"""

# Parts of its document, the same for each version of the server.
EXPECTED = [
    "Of all kinds.\n",
    r"| [a](#a) | First \| of<br>all \*of\* &lt;b>them&lt;/b>. |",
    "| `id` | `integer` |  | `GENERATED ALWAYS AS IDENTITY` |",
    "| `n` | `numeric(10,2)` | null | `'-1.5'::numeric` |",
    "| `twice` | `numeric` | null | `GENERATED ALWAYS AS (n * 2::numeric) STORED` |",
    "| `at` | `timestamptz(3)` | null | `'2020-01-02 03:04:05+00'::timestamptz` |",
    "| `m` | `mood` | null | `'good'::mood` |",
    '| `words` | `varchar(20)[] COLLATE "C"` | null |',
    "**Primary key** `a_pk`: `(id)`\n",
    "- `a_code`: `(code) DEFERRABLE`\n",
    "- `a_lower`: `(lower(code)) WHERE n > 0::numeric`\n",
    "- `a_not`: `code NOT IN ('p', 'q')`\n",
    "- `a_words`: `((code IN ('x', 'y')) AND code NOT LIKE '%|%') NO INHERIT`<br>Only these.\n",
    "- `a_span`: `gist (tstzrange(at, at) WITH &&)`\n",
    "- `a_gin`: `gin (words) WITH (fastupdate=off)`\n",
    "- `a_many`: `(n DESC NULLS LAST, (n + 1::numeric)) INCLUDE (code)`\n",
    "**Referenced by** [b](#b)\n",
    "UNLOGGED: fast, and empty after a crash",
    "- `b_a_id_fkey`: `(a_id)` → [a](#a) `(id)` ON DELETE CASCADE\n",
    "→ other.thing `(id)` ON DELETE NO ACTION DEFERRABLE INITIALLY DEFERRED\n",
    "→ [b](#b) `(a_id)` ON UPDATE CASCADE ON DELETE SET NULL\n",
    "- `both_fk`: `(day, id)` → [parted](#parted) `(day, id)` ON DELETE NO ACTION\n",
    "- Partitioned by `RANGE (day)`.\n- Partition `parted_1 FOR VALUES FROM ('2020-01-01') TO",
    "- Inherits from `other.thing`.\n",
    "- `a_told`: `AFTER UPDATE OF n ON a FOR EACH ROW WHEN (old.n <> new.n) EXECUTE FUNCTION",
    "FOR EACH STATEMENT EXECUTE FUNCTION plain()` (disabled)\n",
    "- `only good`: restrictive, ALL by `PUBLIC` where `true`, writes only `m = 'good'::mood`\n",
    "- `own`: SELECT by `PUBLIC` where `(EXISTS ( SELECT FROM b WHERE b.a_id = a.id))`<br>Who has",
    "apply to all roles but its owner.\n",
    "apply to all roles and its owner; there are none, so no row is visible.\n",
    "### seen\n\nWhat is seen.\n\n- `security_barrier=true`.\n\n| column | type | what it is |\n",
    "| `code` | `text` | A code. |\n",
    "### kept\n\n- Materialized view.\n",
    "- `kept_one`: `(one)`\n",
    "```sql\npick(n integer) → integer\n```\n\n*immutable, sql*\n",
    "pick(\n  which mood DEFAULT 'good'::mood,\n  of varchar DEFAULT 'a, b'::varchar\n)"
    " → TABLE(id integer, at timestamptz)\n```\n\nPicks one.\n\n*stable, strict, security definer",
    "  second_argument numeric[],\n  third_argument text DEFAULT 'x, (y'\n) → SETOF a\n",
    "## Procedures\n\n### doing\n",
    "## Aggregates\n\n### product\n",
    "## Trigger functions\n\n### plain\n",
    "- `mood`: enum of `'so, so', 'good'`<br>How it is.\n",
    "- `positive`: domain of `numeric(10,2) DEFAULT 1 NOT NULL CHECK (VALUE > 0::numeric)`\n",
    '- `pair`: composite of `a integer, "B b" varchar(3)`\n',
    "- `span`: range of `timestamptz`\n",
    '  "a" ||--o| "b" : "a_id"\n',
    '  "other.thing" |o--o{ "b" : "other_id"\n',
    '  "b" |o--o{ "b" : "up_id"\n',
    '  "parted" ||--o{ "both_keys" : "day, id"\n',
    '  "a" {\n    integer id PK\n    text code UK\n  }\n',
]


def test_the_document_is_the_same_on_every_server(database: Database) -> None:
    database.execute(WORLD)
    document = text(database)
    assert [part for part in EXPECTED if part not in document] == []


def test_objects_outside_the_schema_are_left_out(database: Database) -> None:
    database.execute("CREATE EXTENSION IF NOT EXISTS citext; CREATE TABLE t (name citext)")
    database.execute("CREATE SCHEMA mine; CREATE TABLE mine.t (name citext)")
    Migrator(database.target(schema="mine"), SHIPPED).baseline("0014")
    schema = read_schema(database.target(schema="mine"))
    assert [t.name for t in schema.tables] == ["t"]
    assert schema.tables[0].columns[0].type == "citext"
    assert schema.functions == ()
    assert read_schema(database.target()) == schema


@on_first_server
def test_an_empty_schema_is_described_as_empty(database: Database) -> None:
    assert text(database) == f"# Schema\n\n{MARK_LINE}\n\nThe schema is empty.\n"


@on_first_server
def test_a_schema_that_is_not_there_is_an_error(database: Database) -> None:
    with pytest.raises(ChatdbError, match="schema 'nowhere' does not exist") as caught:
        text(database, "nowhere")
    assert caught.value.code is Code.MISSING_SCHEMA


# --- any name -------------------------------------------------------------------------------------

HOSTILE = [
    'a "quoted" name', "a|b", "back\\slash", "\\|", "`tick`", "``", " ", "new\nline", "ünï 名前",
    "<script>", "&amp;", "[x](y)", "*_~#", "- list", "1. one", "pk", "UK", "one", "select", "100%",
    "{", "}", "a.b", "a ON b USING (", "x) REFERENCES y(", "tables", "%s {x}", "$a$", "-- c", "'",
]  # fmt: skip
PARSER = MarkdownIt("commonmark").enable("table")
# The lines of such a diagram, by the grammar of Mermaid's lexer.
_ENTITY = r'"[^"%\\\n\r]+"'
_ATTRIBUTE = r"(?!(?i:[pfu]k)\b)[A-Za-z_][\w\[\]]*"
MERMAID = re.compile(
    rf"erDiagram|  {_ENTITY}(?: \{{)?|  \}}|    {_ATTRIBUTE} {_ATTRIBUTE} [PUFK, ]+(?: {_ENTITY})?"
    rf"|  {_ENTITY} (?:\|\||\|o)--(?:o\||o\{{) {_ENTITY} : {_ENTITY}"
)


def visible(text: str) -> str:
    """Return the visible part of a text: no control characters, no space at either end."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text).strip()


def headings_and_cells(markdown: str) -> tuple[list[str], list[list[str]]]:
    """Return the text of each heading, and of the cells of each row, as a Markdown parser reads them."""
    headings: list[str] = []
    rows: list[list[str]] = []
    opened = ""
    for token in PARSER.parse(markdown):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("td_open", "th_open", "heading_open"):
            opened = token.type
        elif token.type == "inline" and opened:
            parts = (("\n" if t.type == "html_inline" else t.content) for t in token.children or ())
            (headings.append if opened == "heading_open" else rows[-1].append)("".join(parts))
            opened = ""
        elif token.type == "fence" and token.info == "mermaid":
            assert all(map(MERMAID.fullmatch, token.content.splitlines()))
        elif token.type == "html_block":
            assert token.content.strip() == MARK_LINE
    return headings, rows


def test_hostile_names_are_shown_unchanged(database: Database) -> None:
    with database.connect() as conn:
        for name in HOSTILE:
            parts = (sql.Identifier(name), sql.Identifier(f"{name} idx"), sql.Literal(name))
            conn.execute(
                sql.SQL(
                    "CREATE TABLE {0} ({0} int PRIMARY KEY, up int CONSTRAINT {0} REFERENCES {0});"
                    " CREATE INDEX {1} ON {0} ({0}, up);"
                    " CREATE TRIGGER {0} BEFORE UPDATE ON {0}"
                    " EXECUTE FUNCTION suppress_redundant_updates_trigger();"
                    " ALTER TABLE {0} ADD CHECK ({2} <> '' AND up > 0);"
                    " COMMENT ON TABLE {0} IS {2}; COMMENT ON COLUMN {0}.up IS {2}"
                ).format(*parts)
            )
    schema = read_schema(database.target())
    assert [t.name for t in schema.tables] == sorted(HOSTILE)
    for table in schema.tables:
        (key,) = table.foreign_keys
        assert (key.table, key.columns, key.to_columns) == (table.name, ("up",), (table.name,))
        assert key.actions == "ON DELETE NO ACTION"
        assert table.indexes[0].definition.startswith("(")
        assert table.triggers[0].definition.startswith("BEFORE UPDATE ON ")
    headings, rows = headings_and_cells(schema_markdown(schema))
    assert [visible(h) for h in headings if h not in ("Schema", "Tables", "On their own")] == [
        visible(name) for name in sorted(HOSTILE)
    ]
    listed = rows[1 : 1 + len(HOSTILE)]
    assert "[tables](#tables-1)" in [*schema_markdown(schema).replace("|", " ").split()]
    comments = [cell for _, cell in listed]
    assert comments == ["\n".join(map(visible, n.split("\n"))) for n in sorted(HOSTILE)]


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1)
nasty = st.one_of(words, st.text("|\\`\n\r\"'#<>&_*[](){}%-:;$ab1. ", min_size=1))


@hypothesis.settings(deadline=None, max_examples=40)
@given(st.lists(nasty, min_size=2, max_size=4, unique=True), nasty, nasty, st.none() | nasty)
def test_no_text_breaks_out_of_its_cell_or_its_diagram(
    names: list[str], comment: str, definition: str, schema: str | None
) -> None:
    one, two = names[:2]
    table = Relation(
        one, "table", comment, True, False, False, None, (definition,), (), (),
        tuple(Column(n, definition, True, definition, comment) for n in names),
        (Constraint(two, "primary key", definition, (one,), comment),),
        (ForeignKey(two, (two,), schema, one, (one,), "ON DELETE CASCADE", True, False, comment),),
        (Index(one, definition, comment),), (), (),
    )  # fmt: skip
    docs = SchemaDocs(
        comment, (table,), (replace(table, kind="view"),),
        (Function(one, "function", definition, definition, "stable", True, True, "sql", comment),),
        (Type(one, "enum", definition, comment),),
    )  # fmt: skip
    document = schema_markdown(docs)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", document)
    headings, rows = headings_and_cells(document)
    assert [visible(h) for h in headings] == [
        "Schema", "Tables", visible(one), "Views", visible(one), "Functions", visible(one), "Types",
    ]  # fmt: skip
    lines = re.split(r"\r\n?|\n", comment.strip())
    # Without a comment there is no column for it.
    expected = "\n".join(map(visible, lines))
    assert rows[1] == [rows[1][0], *([expected] if expected else [])]
    for row in rows[3 : 3 + len(names)]:
        assert len(row) == len(rows[2])
        assert row[1] == rows[3][1]


@on_first_server
def test_a_diagram_holds_what_belongs_together(database: Database) -> None:
    tables = ["CREATE TABLE hub (id int PRIMARY KEY); CREATE TABLE apart (id int)"]
    tables += [f"CREATE TABLE leaf{n} (hub_id int REFERENCES hub)" for n in range(8)]
    tables += ["CREATE TABLE post (id int PRIMARY KEY, hub_id int REFERENCES hub)"]
    tables += ["CREATE TABLE reply (post_id int REFERENCES post, hub_id int REFERENCES hub)"]
    database.execute(";".join(tables))
    document = text(database)
    assert re.findall("^### Around (.*)$", document, re.MULTILINE) == ["hub", "post"]
    hub, post = re.findall("```mermaid\n(.*?)```", document, re.DOTALL)
    assert sorted(re.findall('^  "(\\w+)"(?: {)?$', hub, re.MULTILINE)) == sorted(
        ["hub", *(f"leaf{n}" for n in range(8))]
    )
    assert re.findall("--.*", post) == [
        '--o{ "post" : "hub_id"', '--o{ "reply" : "hub_id"', '--o{ "reply" : "post_id"',
    ]  # fmt: skip
    assert "apart" not in hub + post


# --- the command ----------------------------------------------------------------------------------


@on_first_server
def test_the_command_updates_its_file(database: Database, project: Project) -> None:
    database.execute("CREATE TABLE t (id int PRIMARY KEY); COMMENT ON TABLE t IS 'Things, größer.'")
    file = project.path / "docs.md"

    def docs(*arguments: str) -> tuple[int, str]:
        done = project.chatdb("docs", "-d", database.url, "--output", file, *arguments)
        return done.returncode, done.stdout

    assert docs("--check") == (1, f"{file}: stale; the file does not exist\n")
    assert not file.exists()
    assert docs() == (0, f"{file}: written\n")
    assert docs() == (0, f"{file}: unchanged\n")
    head = "# Mine\n\nWritten by hand.\n\n"
    file.write_text(file.read_text("utf-8").replace("# Schema\n\n", head), "utf-8")
    assert docs("--check") == (0, f"{file}: unchanged\n")
    database.execute("COMMENT ON TABLE t IS 'Others.'")
    before = file.read_bytes()
    code, output = docs("--check")
    assert code == 1
    assert re.search(r"stale; line \d+ is '\| .*größer.* and should be '\| .*Others", output)
    assert file.read_bytes() == before
    assert docs() == (0, f"{file}: written\n")
    assert file.read_text("utf-8").startswith(head + MARK_LINE)
    assert "Others." in file.read_text("utf-8")


@on_first_server
def test_the_command_prints_text_or_the_same_as_json(database: Database, project: Project) -> None:
    database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    done = project.chatdb("docs", "-d", database.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, text(database), "")
    document = json.loads(project.chatdb("docs", "-d", database.url, "--format", "json").stdout)
    assert (document["format"], document["target"]["database"]) == (1, database.name)
    (table,) = document["tables"]
    assert (table["name"], table["kind"], table["unlogged"]) == ("t", "table", False)
    assert table["columns"][0] == {
        "name": "id", "type": "integer", "nullable": False, "default": None, "comment": None,
    }  # fmt: skip
    assert table["rules"][0]["definition"] == "(id)"


@on_first_server
def test_a_file_that_chatdb_did_not_write_is_not_overwritten(
    database: Database, project: Project
) -> None:
    file = project.path / "README.md"
    file.write_text("# Mine\n")
    done = project.chatdb("docs", "-d", database.url, "--output", file)
    assert done.returncode == 8
    assert MARK_LINE in done.stderr
    assert file.read_text() == "# Mine\n"


@on_first_server
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--check"], "--check needs a file"),
        (["--output", "no/such/folder.md"], "no such file or directory"),
        (["--output", "."], "is a directory"),
        pytest.param(
            ["--output", "/dev/full"],
            "no space left on device",
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it"),
        ),
    ],
)
def test_docs_reports_why_it_can_not_write(
    database: Database, project: Project, arguments: list[str], text: str
) -> None:
    done = project.chatdb("docs", "-d", database.url, *arguments)
    assert done.returncode == 2
    assert text in done.stderr
