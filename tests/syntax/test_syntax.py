"""Promises about a SQL file as text: where it is cut, what is refused, where an offset stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.refusal import Refusal, find_refusal
from chatdb_cli.syntax.scan import comments, leading_comments
from chatdb_cli.syntax.source import canonical, decode
from chatdb_cli.syntax.statements import split_statements

pytestmark = pytest.mark.quick


PATH = Path("sql/up/0001_x.sql")


def texts(text: str) -> list[str] | None:
    """The statements, each at the offset that it claims."""
    statements = split_statements(text)
    if statements is None:
        return None
    for s in statements:
        assert text[s.offset : s.offset + len(s.text)] == s.text
    return [s.text for s in statements]


def refusal(text: str) -> Refusal | None:
    return find_refusal(text, split_statements(text))


# --- splitting a file ---------------------------------------------------------------------------

WHOLE = {  # one statement each, however many semicolons it holds
    "a tag around another tag": "DO $emp_stamp$ BEGIN PERFORM $$a;b$$; END; $emp_stamp$",
    "a tag that begins like another": "DO $a$ BEGIN PERFORM 1; $ab$; END $a$",
    "a body in quotes": "CREATE FUNCTION f() RETURNS text AS 'SELECT ''a;b''''c'';' LANGUAGE sql",
    "a begin atomic body": "CREATE FUNCTION f(a int) RETURNS int BEGIN ATOMIC "
    "SELECT CASE a WHEN 1 THEN CASE WHEN true THEN 2 END END; SELECT 3; END",
    "a rule": "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM a; DELETE FROM b;)",
    "a schema with elements": "CREATE SCHEMA s CREATE TABLE t (id int) CREATE VIEW v AS SELECT 1",
    "nested comments": "SELECT /* a /* b; */ ; -- */ 1",
    "a comment mark in a line comment": "SELECT -- /* ;\n 1",
    "a line comment in a block comment": "SELECT /* -- */ 1",
    "an apostrophe in a comment": "SELECT -- don't;\n 1 /* don't; */",
    "a comment in a string": "SELECT '\n-- not a comment;\n\n/* nor this;\n# Title\n'",
    "a key in a string": "SELECT '-----BEGIN KEY-----\nMII;=\n\n-----END KEY-----'",
    "an escape string": r"SELECT E'a\';b', '\', ';'",
    "unicode escapes": "SELECT U&'!ffff;' UESCAPE '!'",
    "quoted identifiers": 'SELECT 1 AS "a;b", 2 AS "c"";d"',
    "an argument beside a dollar quote": "DO $$ BEGIN EXECUTE 'SELECT $1;' USING 1; END $$",
    "dollars in identifiers": "SELECT a$b$c, d$$ FROM e$f$",
    "operators of comment characters": "SELECT @-1, 3 */*x;*/ 4, 5 <--;\n 6",
    "a string that goes on": "SELECT 'a;'\n  'b;'",
    "a crlf in a body": "DO $$\r\nBEGIN\r\n  NULL;\r\nEND\r\n$$",
    "percent signs": "SELECT format('%I %% %s', 'a', 'b') WHERE 'x' LIKE '100%;'",
    "question marks": "SELECT '{}'::jsonb ?| ARRAY['a;'], '{}'::jsonb ? 'b'",
    "colons": """SELECT '{"a":"b;"}'::jsonb, a[1:n], f(a := 1), 'x' ~ '[[:print:]]'""",
    "braces": "SELECT E'{{ .Name }};\\n'",
    "no-break space in an identifier": "SELECT 1 AS a\u00a0b",
    "letters beyond ascii": "SELECT 'ünïcödé;😀' AS \"größe;\"",
    "a prepared statement": "PREPARE p (int) AS SELECT $1",
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_single_statement_is_not_split(name: str) -> None:
    assert texts(WHOLE[name]) == [WHOLE[name]]


@pytest.mark.parametrize("name", WHOLE)
def test_each_statement_is_found_at_its_offset(name: str) -> None:
    text = f"/* é; */ ;; SELECT 'é';\r\n-- ü;\n{WHOLE[name]}\n;SELECT 2 -- end"
    statements = texts(text)
    assert statements is not None
    assert [s.rstrip() for s in statements] == ["SELECT 'é'", WHOLE[name], "SELECT 2 -- end"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \t\r\n\f\v", []),
        (";", []),
        (";;\n;", []),
        ("/* all of it /* is */ a comment; */", []),
        ("-- only this", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;;SELECT 2; ;", ["SELECT 1", "SELECT 2"]),
        ("SELECT 1; SELECT 2; SELECT 3", ["SELECT 1", "SELECT 2", "SELECT 3"]),
        ("SELECT 1;\n;\nSELECT 2;\n", ["SELECT 1", "SELECT 2"]),
        ("SELECT 1 -- why", ["SELECT 1 -- why"]),
        ("-- a\rSELECT 1;\r-- b; SELECT 9\rSELECT 2;\r", ["SELECT 1", "SELECT 2"]),
        ("/* a */ SELECT 1 /* b */; -- c\n /* d */ SELECT 2", ["SELECT 1 /* b */", "SELECT 2"]),
        ("\v;\vSELECT 1\f;\vSELECT 2", ["SELECT 1\f", "SELECT 2"]),
        (
            "SELECT '''', 1; SELECT $$;$$; SELECT \"a\"\"\";",
            ["SELECT '''', 1", "SELECT $$;$$", 'SELECT "a"""'],
        ),
    ],
)
def test_a_file_is_split_where_the_grammar_splits(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABEL t ()",
        "SELECT 1;\n\ufeffSELECT 2;",  # two files joined, the second with a byte order mark
        "SELECT\u00a01",
        "SELECT \u200b 1",
        "SELECT 1\u2028;",
        "SELECT \u2018a\u2019, \u201cb c\u201d d",
        "SELECT 'open",
        "SELECT $$ open",
        "SELECT 1 /* open /* */",
        "ALTER TABLE `a` MODIFY b int",
        "SELECT {{ .Name }}",
        "SELECT 'a'\n  -- libpg_query can't, PostgreSQL can;\n  'b'",
        "SELECT :name",
        r"SET standard_conforming_strings = off; SELECT 'a\';'; SELECT 2",
        "SELECT " + "(" * 50_000 + "1" + ")" * 50_000,
    ],
    ids=range(15),
)
def test_a_file_that_the_grammar_cannot_read_is_sent_whole(text: str) -> None:
    assert split_statements(text) is None
    assert refusal(text) is None


def test_a_statement_too_deep_for_the_parser_is_still_split() -> None:
    deep = "SELECT " + "(" * 3000 + "1" + ")" * 3000
    assert texts(f"SELECT 1; {deep}; SELECT 2") == ["SELECT 1", deep, "SELECT 2"]


GAPS = st.lists(
    st.sampled_from(
        [
            " ",
            "\n",
            "\r\n",
            "\t",
            ";",
            "-- é;'\n",
            "-- x\r\n",
            "/* ü; /* ' */ $$ */",
            "\f",
            "-- a\r",
        ]
    ),
    max_size=4,
).map("".join)


@given(st.lists(st.tuples(GAPS, st.sampled_from(sorted(WHOLE.values()))), max_size=6), GAPS)
def test_joined_statements_are_split_at_their_offsets(
    parts: list[tuple[str, str]], tail: str
) -> None:
    text, offsets = "", []
    for gap, statement in parts:
        text += gap
        offsets.append(len(text))
        text += f"{statement};"
    text += tail
    statements = split_statements(text)
    assert statements is not None
    assert [(s.offset, s.text) for s in statements] == [
        (offset, statement) for offset, (_, statement) in zip(offsets, parts, strict=True)
    ]


# --- refused statements ---------------------------------------------------------------------------

CONTROL = {
    "BEGIN": "BEGIN",
    "begin work": "BEGIN",
    "BEGIN ISOLATION LEVEL SERIALIZABLE": "BEGIN",
    "START TRANSACTION READ ONLY": "START TRANSACTION",
    "Start /* x */\n Transaction": "START TRANSACTION",
    "COMMIT": "COMMIT",
    "COMMIT AND CHAIN": "COMMIT",
    "COMMIT WORK AND NO CHAIN": "COMMIT",
    "END": "END",
    "END TRANSACTION": "END",
    "ROLLBACK": "ROLLBACK",
    "ROLLBACK -- TO x\n WORK": "ROLLBACK",
    "ROLLBACK AND CHAIN": "ROLLBACK",
    "ABORT": "ABORT",
    "PREPARE TRANSACTION 'a'": "PREPARE TRANSACTION",
}
COPY = {
    "COPY t FROM STDIN": "COPY FROM STDIN",
    "copy t from stdin": "COPY FROM STDIN",
    "COPY t FROM STDOUT": "COPY FROM STDIN",  # PostgreSQL takes one for the other
    "COPY t TO STDIN": "COPY TO STDOUT",
    "COPY public.t (a, b) FROM STDIN WITH (FORMAT csv)": "COPY FROM STDIN",
    "COPY BINARY t FROM STDIN": "COPY FROM STDIN",
    'COPY "from" FROM STDIN': "COPY FROM STDIN",
    "COPY public.to TO STDOUT": "COPY TO STDOUT",
    "COPY t -- the rows\n FROM /* a /* b */ */ STDIN": "COPY FROM STDIN",
    "COPY t TO STDOUT": "COPY TO STDOUT",
    "COPY (SELECT a FROM t) TO STDOUT": "COPY TO STDOUT",
    "COPY (SELECT 'TO x' FROM t) TO/**/STDOUT CSV HEADER": "COPY TO STDOUT",
    "COPY (DELETE FROM t RETURNING id) TO STDOUT": "COPY TO STDOUT",
    "COPY (SELECT " + "(" * 3000 + "1" + ")" * 3000 + ") TO STDOUT": "COPY TO STDOUT",
}
PSQL = {
    r"\connect other": r"\connect",
    r"\i more.sql": r"\i",
    r"\restrict abc": r"\restrict",
    r"\if :x": r"\if",
    r"\copy t from 'f'": r"\copy",
    r"\set x 'don''t'": r"\set",
    r"\echo don't": r"\echo",  # the quote is never closed
    r"\! echo $$": r"\!",
    "\\": "\\",
}
REFUSED = CONTROL | COPY | PSQL
# Before and after, what the grammar reads, what it can't, and what the scanner can't.
BEFORE = ["", "SELECT 'é';\r\n", "-- ü\n;", "/* COMMIT; */ ", "CREATE NEW THING 'é';\n"]
AFTER = ["SELECT 1", "CREATE NEW THING", "SELECT 'open", "1\tdon't\n\\.\n", r"SELECT E'\uZZ'"]


@pytest.mark.parametrize("statement", REFUSED, ids=lambda s: s[:40])
def test_a_forbidden_statement_is_refused_at_its_place_whatever_comes_before(
    statement: str,
) -> None:
    for before in BEFORE:
        refusal_ = refusal(f"{before}{statement}")
        assert refusal_ is not None
        assert refusal_.offset == len(before)
        assert refusal_.message.startswith(f"{REFUSED[statement]} ")
        assert refusal_.hint


@pytest.mark.parametrize("statement", CONTROL | COPY, ids=lambda s: s[:40])
def test_a_forbidden_statement_is_refused_at_its_place_whatever_comes_after(statement: str) -> None:
    for after in AFTER:
        refusal_ = refusal(f"SELECT 'é'; {statement};\n{after};")
        assert refusal_ is not None
        assert refusal_.offset == len("SELECT 'é'; ")


@pytest.mark.parametrize("command", [r"\gexec", r"\g", r"\crosstabview a b", r"\;", r"\watch 1"])
def test_a_psql_command_after_a_statement_is_refused_at_the_backslash(command: str) -> None:
    text = f"SELECT 'é\\d' AS \"\\x\",\n  $$\\y$$ {command}\n"
    refusal_ = refusal(text)
    assert refusal_ is not None
    assert refusal_.offset == text.rindex("\\")
    assert refusal_.message.startswith(command.split()[0])


def test_a_dump_is_refused_at_its_first_obstacle() -> None:
    dump = (
        "--\n-- PostgreSQL database dump\n--\n\n\\restrict k3y\n\nSET x = 0;\nCOPY t FROM stdin;\n"
    )
    refusal_ = refusal(dump + "1\tit's\n\\.\n\n\\unrestrict k3y\n")
    assert refusal_ is not None
    assert refusal_.offset == dump.index("\\restrict")


FINE = [
    "SAVEPOINT a",
    "RELEASE SAVEPOINT a",
    "ROLLBACK TO a",
    "ROLLBACK TO SAVEPOINT a",
    "ROLLBACK WORK TO a",
    "ROLLBACK TRANSACTION /* not all */ TO SAVEPOINT a",
    "COMMIT PREPARED 'a'",  # ends another transaction than this one; the server has its own rule
    "ROLLBACK PREPARED 'a'",
    "PREPARE a AS SELECT 1",
    "PREPARE transaction2 AS SELECT 1",
    "COPY t FROM '/tmp/stdin'",
    "COPY stdin FROM '/tmp/f'",
    "COPY t TO PROGRAM 'cat > stdout'",
    "COPY (SELECT 'to stdout') TO '/tmp/f' -- TO STDOUT",
    "COPY \"to stdout\" TO '/tmp/f'",
    "COPY (SELECT a AS stdout FROM t) TO '/tmp/f'",
    "SELECT '\nCOMMIT;\nCOPY t FROM STDIN;\n\\connect x\n'",
    "DO $$ BEGIN COMMIT; END; $$",
    "-- COMMIT;\n/* ROLLBACK; \\i x */ SELECT 1 -- \\gexec",
    "CREATE PROCEDURE p() BEGIN ATOMIC SELECT 1; END",
    "COMMENT ON TABLE t IS 'BEGIN'",
    "SELECT 1 AS commit, 2 AS begin",
    *WHOLE.values(),
]


@pytest.mark.parametrize("statement", FINE, ids=lambda s: s[:40])
def test_statements_that_only_look_forbidden_are_accepted(statement: str) -> None:
    assert split_statements(statement) is not None
    assert refusal(statement) is None
    unread = f"{statement}\n; CREATE NEW THING"
    assert split_statements(unread) is None
    assert refusal(unread) is None


# --- the leading comment --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("-- a\n--b\r\n\n  -- c\rSELECT 1 -- d", ["-- a", "--b", "-- c"]),
        ("/* x\n-- y\n/* */ */ -- a\n;-- b\nSELECT", ["-- a", "-- b"]),
        ("SELECT 1; -- a", []),
        ("- - a", []),
        ("/* open -- a", []),
    ],
)
def test_the_leading_comments_end_with_the_first_statement(text: str, expected: list[str]) -> None:
    leading = list(leading_comments(text))
    assert [c for _, c in leading] == expected
    assert all(text.startswith(c, offset) for offset, c in leading)


def test_comments_are_recognized_as_the_server_does() -> None:
    text = "-- é\nSELECT '\n-- no\n', $$\n-- no\n$$, \"-- no\" /* \n-- no */ -- yes\n;\n-- end\n'\n-- ?"
    recognized = list(comments(text))
    assert [c for _, c in recognized] == ["-- é", "-- yes", "-- end"]
    assert all(text.startswith(c, offset) for offset, c in recognized)


# --- bytes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"\xef\xbb\xbf", ""),
        (b"\xef\xbb\xbfSELECT 1;\r\n", "SELECT 1;\r\n"),
        ("\ufeff\ufeffx".encode(), "\ufeffx"),
        ("a\ufeffb\r".encode(), "a\ufeffb\r"),
        ("é😀\u2028".encode(), "é😀\u2028"),
    ],
)
def test_text_is_read_as_it_is_but_for_a_byte_order_mark(data: bytes, text: str) -> None:
    assert decode(data, PATH) == text


@pytest.mark.parametrize(
    ("data", "text", "line", "column"),
    [
        ("SELECT 1;".encode("utf-16"), "UTF-16", 1, 1),
        (b"\xfe\xff\x00S", "UTF-16", 1, 1),
        ("SELECT 1;".encode("utf-16-le"), "NUL", 1, 2),
        ("ü\n-- é\tgr".encode() + b"\xfc\xdfe\n", "0xfc", 2, 8),
        (b"\xef\xbb\xbf\xfc", "0xfc", 1, 1),
        (b"a\r\nb\rc\n\xc3", "0xc3", 4, 1),
        ("é\r\n😀\0x".encode(), "NUL", 2, 2),
        (b"\xed\xa0\x80", "0xed", 1, 1),  # half of a pair
    ],
)
def test_bytes_that_are_not_utf_8_are_refused_at_their_place(
    data: bytes, text: str, line: int, column: int
) -> None:
    with pytest.raises(ChatdbError) as caught:
        decode(data, PATH)
    error = caught.value
    assert error.code is Code.BAD_FILE
    assert text in error.message
    assert error.hint
    assert error.place is not None
    assert (error.place.file, error.place.line, error.place.column) == (PATH, line, column)


def test_the_line_of_a_bad_byte_is_shown_whole() -> None:
    with pytest.raises(ChatdbError) as caught:
        decode(b"-- gr\xfcn ist die Hoffnung\n", PATH)
    assert caught.value.place is not None
    assert caught.value.place.excerpt == ((1, "-- gr\ufffdn ist die Hoffnung"),)


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_text_is_read_back_unchanged(text: str) -> None:
    assert decode(b"\xef\xbb\xbf" + text.encode(), PATH) == text


# --- line and column ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "mark", "line", "column", "shown"),
    [
        ("", None, 1, 1, ["1 "]),
        ("ab", None, 1, 3, ["1 ab"]),
        ("ab\n", None, 2, 1, ["1 ab", "2 "]),
        ("a\nb\nc^d\ne", "^", 3, 2, ["2 b", "3 c^d"]),
        ("a\r\n\r\n^", "^", 3, 1, ["2 ", "3 ^"]),
        ("a\rb\r^", "^", 3, 1, ["2 b", "3 ^"]),
        ("a\r\n\rb\n\r\n^c", "^", 5, 1, ["4 ", "5 ^c"]),
        ("\t\ta\t^", "^", 1, 5, ["1 \t\ta\t^"]),
        ("-- 日本語\n日😀e\u0301^\n", "^", 2, 5, ["1 -- 日本語", "2 日😀e\u0301^"]),
        ("a\u2028b\x85c\fd\ve^", "^", 1, 10, ["1 a\u2028b\x85c\fd\ve^"]),
        ("abc\r\nd", "\r", 1, 4, ["1 abc"]),
        ("abc\r\nd", "\n", 1, 4, ["1 abc"]),
    ],
)
def test_an_offset_is_a_line_and_a_column_in_characters(
    text: str, mark: str | None, line: int, column: int, shown: list[str]
) -> None:
    place = locate(text, text.index(mark) if mark else len(text), PATH)
    assert (place.file, place.line, place.column) == (PATH, line, column)
    assert [f"{n} {t}" for n, t in place.excerpt] == shown


def test_an_offset_after_the_end_is_the_end() -> None:
    assert locate("a\nb", 99, PATH) == locate("a\nb", 3, PATH)


@pytest.mark.parametrize(
    ("context", "lines"), [(0, [3]), (1, [2, 3]), (2, [1, 2, 3]), (9, [1, 2, 3])]
)
def test_the_number_of_lines_shown_is_that_of_the_context(context: int, lines: list[int]) -> None:
    place = locate("a\nb\nc\nd", 4, PATH, context=context)
    assert [n for n, _ in place.excerpt] == lines


@given(st.lists(st.text("aé😀\t;", max_size=3)), st.sampled_from(["\n", "\r\n", "\r"]), st.data())
def test_every_character_is_found_again(lines: list[str], end: str, data: st.DataObject) -> None:
    text = end.join(lines)
    starts = [sum(len(other) + len(end) for other in lines[:n]) for n in range(len(lines))]
    for n, line in enumerate(lines):
        column = data.draw(st.integers(0, len(line)))
        place = locate(text, starts[n] + column, PATH)
        assert (place.line, place.column) == (n + 1, column + 1)
        assert place.excerpt[-1] == (n + 1, line)


def test_a_place_in_a_large_file_is_found_quickly() -> None:
    text = "INSERT INTO t VALUES (1, 'é');\r\n" * 10_000
    for _ in range(100):
        assert locate(text, len(text) - 2, PATH).line == 10_000


@given(st.text("a\r\n"))
def test_the_canonical_text_has_one_kind_of_line_end(text: str) -> None:
    plain = canonical(text)
    assert "\r" not in plain
    assert plain.split("\n") == text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
