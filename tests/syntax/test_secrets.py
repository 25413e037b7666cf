"""What may be a password is never shown, however it is spelled; and what is not is shown."""

from __future__ import annotations

import re
import string
from pathlib import Path

import postgast
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.secrets import hide, mask, mask_message

pytestmark = pytest.mark.quick

PATH = Path("sql/up/0001_x.sql")
SECRET = st.text(string.ascii_letters + string.digits + "é-_/:@%", min_size=3).map("Zz{}".format)


# --- random spellings -----------------------------------------------------------------------------


@st.composite
def any_case(draw: st.DrawFn, word: str) -> str:
    """A word, each letter in upper or lower case."""
    upper = draw(st.lists(st.booleans(), min_size=len(word), max_size=len(word)))
    return "".join(c.upper() if up else c.lower() for c, up in zip(word, upper, strict=True))


BLANK = st.sampled_from(
    [" ", "\n", "\r\n", "\t", " /* a /* b 'c' */ d */ ", " -- it's\n", "/**/", " --\n--\n"]
)
NAMES = st.sampled_from(
    ["password", "PassWord", "passwd", "sslpassword", "db_password", "passphrase", "pwd"]
)


@st.composite
def option_name(draw: st.DrawFn) -> str:
    """The name of an option, bare, quoted, or with escapes."""
    name = draw(NAMES)
    return draw(
        st.sampled_from([name, f'"{name}"', 'U&"' + "".join(f"\\{ord(c):04x}" for c in name) + '"'])
    )


@st.composite
def literal(draw: st.DrawFn, text: str) -> str:
    """A text as a literal of SQL, in any of its forms."""
    quoted = text.replace("'", "''")
    half = len(quoted) // 2
    tag = draw(st.sampled_from(["", "x", "pw", "_1", "é"]))
    escaped = text.replace("\\", "\\\\").replace("'", draw(st.sampled_from(["''", "\\'"])))
    return draw(
        st.sampled_from(
            [
                f"'{quoted}'",
                f"N'{quoted}'",
                f"e'{escaped}'",
                f"E'{escaped[:half]}'\n  '{escaped[half:]}'",
                f"u&'{quoted}'",
                f"${tag}${text}${tag}$",
                f"'{quoted[:half]}'\n -- 'more\n'{quoted[half:]}'",
            ]
        )
    )


@st.composite
def statement(draw: st.DrawFn, secret: str) -> str:
    """A statement that has to do with a password, which is the secret."""
    word, blank, lit = draw(any_case("password")), draw(BLANK), draw(literal(secret))
    inside = secret.replace("'", "''")
    name = draw(option_name())
    url = f"postgresql://app:{inside}@db.example/chat"
    return draw(
        st.sampled_from(
            [
                f"CREATE ROLE a LOGIN {word}{blank}{lit} VALID UNTIL 'infinity'",
                f"ALTER USER a WITH ENCRYPTED {word}{blank}{lit}",
                f"CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'b', {name}{blank}{lit})",
                f"ALTER SERVER s OPTIONS (SET {name}{blank}{lit})",
                f"UPDATE account SET {name} ={blank}{lit} WHERE id = 1",
                f"INSERT INTO account (id, {name}) VALUES (1,{blank}{lit})",
                f"SELECT f({word} =>{blank}{lit}, {word} := 'x')",
                f"SELECT set_config('app.db_{word}',{blank}{lit}, false)",
                f"SELECT 'PASS' || 'WORD ', quote_literal({lit})",
                f"SELECT E'\\x70assword', {lit}",
                f"SELECT crypt({lit}, gen_salt('bf'))",
                f"SELECT dblink_connect('{url}')",
                f"CREATE SUBSCRIPTION s CONNECTION 'host=h {word}={inside} dbname=d' PUBLICATION p",
                f"SELECT format('postgresql://%s:%s@host', 'me', {lit})",
                f'SELECT \'{{"user": "a", "{word}": "{inside}"}}\'::jsonb',
                f"DO $do$ BEGIN EXECUTE format('ALTER ROLE a {word} %L',{blank}{lit}); END $do$",
                f"DO $do$ DECLARE p text := {lit}; -- it's\nBEGIN EXECUTE f('{word}', p); END $do$",
                f"DO LANGUAGE plpgsql $do$ BEGIN EXECUTE 'CREATE ROLE a {word} ''{inside}'''; END $do$",
                f"DO $do$ BEGIN EXECUTE 'ALTER ROLE a PASS' || 'WORD ' || f({lit}); END $do$",
                f"CREATE FUNCTION g() RETURNS text LANGUAGE sql AS $f$ SELECT {word}, {lit} $f$",
                f'CREATE FUNCTION g() RETURNS text AS $f$ x("{word}={inside}") $f$ LANGUAGE plperl',
                f"CREATE FUNCTION g() RETURNS text BEGIN ATOMIC SELECT CASE WHEN {word} THEN 1 END;"
                f" SELECT {lit}; END",
                f'CREATE ROLE a {word} "{secret}"',
            ]
        )
    )


@st.composite
def secret_and_text(draw: st.DrawFn) -> tuple[str, str]:
    """A secret, and a file that has it in one of its statements."""
    secret = draw(SECRET)
    return secret, draw(statement(secret))


BEFORE = "SELECT 'shown', $$shown$$; -- shown\n"
AFTER = ";\nSELECT E'shown \\' too';"


@given(secret_and_text())
def test_a_password_is_never_shown(case: tuple[str, str]) -> None:
    secret, holder = case
    text = f"{BEFORE}{holder}{AFTER}"
    masked = mask(text)
    parts = {secret, secret[: len(secret) // 2], secret[len(secret) // 2 :]}
    assert not [part for part in parts if len(part) > 3 and part in masked.replace("password", "")]
    assert [len(line) for line in masked.split("\n")] == [len(line) for line in text.split("\n")]
    assert masked.startswith(BEFORE)
    assert masked.endswith(AFTER)


@given(secret_and_text(), st.data())
def test_no_error_shows_a_password_at_any_place(case: tuple[str, str], data: st.DataObject) -> None:
    secret, text = case
    place = locate(text, data.draw(st.integers(0, len(text))), PATH, context=0)
    assert secret not in str(place.excerpt)


@given(secret_and_text())
def test_no_message_of_the_server_quotes_a_password(case: tuple[str, str]) -> None:
    secret, text = case
    at = text.find(secret)
    for message in (
        f'syntax error at or near "{text[at - 1 :]}"',
        f'invalid input syntax for type integer: "{secret}"',
        f"Failing row contains (1, {secret}).",
        f'SQL statement "{text}"',
    ):
        if secret in text:
            assert secret not in hide(message, text)


PIECES = st.sampled_from(
    [
        *("SELECT", " ", "\n", ",", "x ", "e", "a$b$c", "$1 ", "1.5 ", "(", ")", "::text", "||"),
        *("'a'", "'it''s'", "N'm'", "B'1' ", "'k'\n'l'", "'q' --\n 'r'", "$$d$$", "$t$ 'e' $t$"),
        *("E'b\\'c'", "E'n'\n'o\\'p'", "U&'\\0061'", '"f\'g"', "--'h\n", "/* 'i' /* */ 'j' */"),
    ]
)
SCONST, USCONST, BCONST, XCONST = 261, 262, 263, 264  # the tokens of the grammar that are literals


def hidden(token: str) -> str:
    """A literal with a question mark for each character between its quotes."""
    match = re.fullmatch(r"(?is)((?:[ebx]|u&)?'|\$\w*\$)(.*)('|\$\w*\$)", token)
    assert match
    parts = re.split(r"('\s*\n\s*')", match[2])  # a literal that continues
    parts[::2] = [re.sub("[^\r\n]", "?", part) for part in parts[::2]]
    return match[1] + "".join(parts) + match[3]


@given(st.lists(PIECES, max_size=12).map("".join))
def test_the_literals_are_those_of_postgresqls_scanner(text: str) -> None:
    try:
        tokens = postgast.scan(text).tokens
    except postgast.PgQueryError:
        return
    data, expected = text.encode(), bytearray()
    for token in tokens:
        expected += data[len(expected) : token.start]
        part = data[token.start : token.end].decode()
        if token.token in (SCONST, USCONST, BCONST, XCONST):
            part = hidden(part)
        expected += part.encode()
    expected += data[len(expected) :]
    assert mask(text, everything=True).replace("•", "?") == expected.decode()


@given(st.text())
def test_masking_keeps_every_line_and_its_length(text: str) -> None:
    for everything in (False, True):
        masked = mask(text, everything=everything)
        assert len(masked) == len(text)
        assert [i for i, c in enumerate(masked) if c in "\r\n"] == [
            i for i, c in enumerate(text) if c in "\r\n"
        ]
        assert mask(masked, everything=everything) == masked


# --- what is shown --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE account (password text NOT NULL); SELECT 'b'",
        "SELECT a::text, 'http://host:80/path', '12:30:00'::time",
        "SELECT a.password = b.password FROM c",
        "SELECT 'ada@example.com', 'mailto:ada@example.com', '10:30 @ home'",
        "-- It's the user's password.\nSELECT 'shown'",
        "INSERT INTO t VALUES ('pass', 'a token: eyJhbGciOi')",
        "DO $$ BEGIN PERFORM 'shown'; END $$",
        "SELECT data @> '{\"a\": 1}', data #>> '{a,b}'",
    ],
)
def test_text_that_is_not_a_password_is_shown(text: str) -> None:
    assert mask(text) == text


def test_only_the_literals_of_code_are_hidden() -> None:
    text = (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $f$\n"
        "BEGIN -- don't\n  IF NEW.password_hash <> 'x' THEN RAISE 'no'; END IF;\nEND $f$"
    )
    assert mask(text) == text.replace("'x'", "'•'").replace("'no'", "'••'")


def test_a_statement_that_is_only_a_comment_is_hidden_too() -> None:
    assert mask("-- ALTER ROLE a PASSWORD 'x y';\nSELECT 'b'") == (
        "-- ALTER ROLE a PASSWORD '•••';\nSELECT 'b'"
    )
    assert mask("/* psql postgres://a:bc@d */ SELECT 'b'") == (
        "/* psql postgres://a:••@d */ SELECT 'b'"
    )


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "Key (id, password)=(1, abc) already exists.",
            "Key (id, password)=(••••••) already exists.",
        ),
        ("Schlüssel »(pwd)=(abc)« existiert", "Schlüssel »(pwd)=(•••)« existiert"),
        (
            "SQL statement \"ALTER ROLE a PASSWORD 'b'\"",
            "SQL statement \"ALTER ROLE a PASSWORD '•'\"",
        ),
        (
            'password authentication failed for user "ada"',
            'password authentication failed for user "ada"',
        ),
        ('column "password" doesn\'t exist', 'column "password" doesn\'t exist'),
        (
            "statement \"ALTER ROLE a PASSWORD 'b' NOINHERIT\" in f()",
            "statement \"ALTER ROLE a PASSWORD '•' NOINHERIT\" in f()",
        ),
        ("could not connect to postgres://a:bc@d/e", "could not connect to postgres://a:••@d/e"),
    ],
)
def test_a_message_shows_no_password(message: str, shown: str) -> None:
    assert mask_message(message) == shown
