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


WIDE_NAMES = st.sampled_from(
    [
        *(
            "secret",
            "token",
            "api_key",
            "ApiKey",
            "secret_access_key",
            "dbpass",
            "pass",
            "credentials",
        ),
        *("auth_token", "private_key", "client_secret", "jwt_secret", "conninfo", "refresh_tokens"),
    ]
)
UNDER_OFF = "'a\\'b "  # a literal that begins like this ends only where a backslash has no meaning


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
                f"{UNDER_OFF}{quoted}'",
                f"{UNDER_OFF}; {quoted}\\''",
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


def in_do(code: str) -> str:
    """A block that executes a statement which is a literal in single quotes."""
    return "DO 'BEGIN EXECUTE ''" + code.replace("'", "''''") + "''; END'"


@st.composite
def statement_with_a_secret(draw: st.DrawFn, secret: str) -> str:
    """A statement that has a secret which no word like password is near."""
    blank, lit = draw(BLANK), draw(literal(secret))
    inside = secret.replace("'", "''")
    bare = re.sub(r"\W", "", secret)
    name = draw(any_case(draw(WIDE_NAMES)))
    half = len(name) // 2
    to = draw(st.sampled_from(["=", "TO", " = ", " to "]))
    assigned = draw(
        st.sampled_from(
            [
                f"SET app.{name}{blank}{to}{blank}{lit}",
                f"SET LOCAL app.{name} {to} '{inside}', 'b'",
                f"ALTER ROLE a SET app.{name} {to}{blank}{lit}",
                f'ALTER DATABASE d SET "app"."{name}" {to} {lit}',
                f"ALTER SYSTEM SET app.{name} {to} {lit}",
                f"SELECT set_config({blank}'app.{name}',{blank}{lit}, false)",
                f"SELECT set_config('app.{name[:half]}' || '{name[half:]}', {lit}, false)",
                f"SELECT pg_catalog.set_config($$app.{name}$$, {lit}, false)",
                f"SELECT set_config(concat('app.{name[:half]}', '{name[half:]}'), {lit}, false)",
                f"ALTER TABLE t ALTER COLUMN {name} SET DEFAULT {lit}",
                f"CREATE VIEW v AS SELECT {lit} AS my_{name}",
                f"CREATE FUNCTION f() RETURNS text SET app.{name} = {lit} LANGUAGE sql AS 'SELECT 1'",
                f"CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'h', {name}{blank}{lit})",
                f'ALTER FOREIGN TABLE t OPTIONS (ADD "{name}" {lit})',
                f"SELECT f({name}{blank}=>{blank}{lit})",
                f"SELECT jsonb_build_object('a', 1, 'my_{name}', {lit})",
                f'SELECT \'{{"a": 1, "{name}": "{inside}"}}\'::jsonb',
                f"DO $a$ DECLARE v_{name} text := {lit}; BEGIN PERFORM f(v_{name}); END $a$",
                f"DO $a$ BEGIN EXECUTE format('SET app.{name} = %L', {lit}); END $a$",
                f"DO $a$ BEGIN EXECUTE 'SET app.{name} = ' || quote_literal({lit}); END $a$",
                f"DO $a$ BEGIN EXECUTE $b$DO $c$ BEGIN EXECUTE format('ALTER ROLE a SET app.{name} TO"
                f" %L', {lit}); END $c$$b$; END $a$",
                in_do(f"ALTER ROLE a SET app.{name} = '{inside}'"),
                in_do(in_do(f"ALTER ROLE a SET app.{name} = '{inside}'")),
                f"SET app.{name} {to} {bare}",
            ]
        )
    )
    return draw(
        st.sampled_from(
            [
                *[assigned] * 3,
                f"COPY t FROM{blank}PROGRAM{blank}'curl -u me:{inside} https://h/p'",
                f"COPY t TO PROGRAM {lit} WITH (FORMAT csv)",
                f"CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'x', anything {lit})",
                f"CREATE SUBSCRIPTION s CONNECTION{blank}{lit} PUBLICATION p",
                f"SELECT public.dblink_connect_u('c', {lit})",
                f"ALTER SYSTEM SET primary_conninfo {to} {lit}",
                f"ALTER SYSTEM SET archive_command = {lit}",
                f"SELECT encode(digest({blank}{lit}, 'sha256'), 'hex')",
                f"SELECT sha256(convert_to({lit}, 'UTF8'))",
                f"SELECT encrypt('x', {lit}, 'aes')",
                f"UPDATE t SET verifier = 'SCRAM-SHA-256$4096:{bare}$x:y'",
                f"SELECT http('Authorization: Bearer {bare}abcdefgh')",
                f"SELECT 'https://h/p?a=b&X-Signature={bare}'",
                f"-- curl -u me:{bare} https://h\nSELECT 1",
                f"-- ALTER ROLE a SET app.token = '{inside}'\nSELECT 1",
            ]
        )
    )


@st.composite
def secret_and_text(draw: st.DrawFn) -> tuple[str, str]:
    """A secret, and a file that has it in one of its statements."""
    secret = draw(SECRET)
    return secret, draw(statement(secret) | statement_with_a_secret(secret))


BEFORE = "SELECT 'shown', $$shown$$; -- shown\n"
AFTER = ";\nSELECT E'shown \\' too';"


@given(secret_and_text())
def test_a_password_is_never_shown(case: tuple[str, str]) -> None:
    secret, holder = case
    text = f"{BEFORE}{holder}{AFTER}"
    masked = mask(text)
    parts = {secret, secret[: len(secret) // 2], secret[len(secret) // 2 :]}
    parts.add(re.sub(r"\W", "", secret))
    assert not [part for part in parts if len(part) > 3 and part in masked.replace("password", "")]
    assert [len(line) for line in masked.split("\n")] == [len(line) for line in text.split("\n")]
    assert masked.startswith(BEFORE)
    if UNDER_OFF not in holder.replace("''", "'"):
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
        f"Failing row contains (1, {secret[:14]}...",
    ):
        is_whole = re.search(rf"['$]{re.escape(secret)}['$]", text) is not None
        if secret in text and (is_whole or "at or near" in message or "SQL" in message):
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
    data, expected, differs = text.encode(), bytearray(), False
    for token in tokens:
        expected += data[len(expected) : token.start]
        part = data[token.start : token.end].decode()
        if token.token in (SCONST, USCONST, BCONST, XCONST):
            differs = differs or (part[0] in "'nN" and "\\" in part)
            differs = differs or (part[0] in "bBxX" and "\n" in part)  # then '' begins another one
            part = hidden(part)
        expected += part.encode()
    expected += data[len(expected) :]
    masked = mask(text, everything=True).replace("•", "?")
    if differs:  # such as by standard_conforming_strings: what one reading hides is hidden
        assert all(c == "?" for c, e in zip(masked, expected.decode(), strict=True) if e == "?")
    else:
        assert masked == expected.decode()


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
        "COMMENT ON TABLE refresh_tokens IS 'The tokens of users, and their secrets.'",
        "CREATE TABLE tokens (token_hash bytea, token_kind text CHECK (token_kind IN ('a', 'b')))",
        "CREATE TYPE kind AS ENUM ('token', 'secret'); SELECT a FROM api_tokens WHERE kind = 'x'",
        "ALTER ROLE a BYPASSRLS; SET app.token_ttl = '5min'; SET password_encryption = md5",
        "SELECT 'SELECT 1 FROM t WHERE token = $1', md5(a || 'x'), digest(a, 'sha256') FROM t",
        "SELECT a LIKE 'x' ESCAPE '\\'; CREATE TABLE u (password text); SELECT 'b'",
        "DO $$ BEGIN RAISE 'the token % is wrong', x USING HINT = 'Try again.'; END $$",
        "PERFORM set_config('chat.user_id', 'b', true)",
    ],
)
def test_text_that_is_not_a_password_is_shown(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO account (email, pass) VALUES ('a', 'Zz9')",
        "INSERT INTO account (\"pass\") VALUES ('Zz9')",
        "INSERT INTO settings VALUES ('SMTP_PASS', 'Zz9')",
        "UPDATE c SET v = jsonb_set(v, '{a,api_token}', '\"Zz9\"')",
        "UPDATE c SET v = jsonb_set(v, ARRAY['api_token'], to_jsonb('Zz9'::text))",
        "SELECT http_header('X-API-Key', 'Zz9')",
        "SELECT http_set_curlopt('CURLOPT_USERPWD', 'me:Zz9')",
        "SELECT 'https://hooks.slack.com/services/T0/B0/Zz9'",
        "DELETE FROM u WHERE token IN ('a', 'Zz9')",
        "DELETE FROM u WHERE token = ANY (ARRAY['Zz9'])",
        "CREATE INDEX i ON t (id) WHERE api_key <> 'Zz9'",
        "CREATE TABLE u (password text DEFAULT 'Zz9' CHECK (password ~ 'x'))",
        "CREATE TABLE u (a text CHECK (a ~ 'password=Zz9'))",
        "COMMENT ON COLUMN u.password IS 'at first it is Zz9'",
        "COMMENT ON ROLE a IS 'the first password of all is Zz9'",
    ],
)
def test_a_secret_of_this_form_is_hidden(text: str) -> None:
    assert "Zz9" not in mask(text)


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
