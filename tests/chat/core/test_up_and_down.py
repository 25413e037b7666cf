"""The migrations up and down, in any schema and as any owner."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from tests.support.chat import (
    STEMS,
    UNIQUE,
    Conn,
    assert_insert_fails,
    insert_user,
    run,
)
from tests.support.database import Database
from tests.support.paths import SHIPPED

CORE = STEMS[: STEMS.index("0014_sync_state") + 1]


# Built-in objects (an oid below 16384) are left out, except schemas: a migration may grant them.
CATALOG = {
    "relations": "SELECT oid::regclass::text, relkind, relpersistence, reloptions, relrowsecurity,"
    " relforcerowsecurity, relowner::regrole FROM pg_class WHERE oid >= 16384"
    " AND relnamespace <> 'pg_toast'::regnamespace",
    "functions": "SELECT pg_get_functiondef(p.oid), obj_description(p.oid, 'pg_proc'),"
    " proowner::regrole FROM pg_proc p WHERE prokind = 'f' AND oid >= 16384 AND prolang <> 13",
    "indexes": "SELECT pg_get_indexdef(indexrelid), indisvalid FROM pg_index"
    " WHERE indrelid >= 16384 AND indrelid::regclass::text NOT LIKE 'pg_toast%'",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)"
    " FROM pg_constraint WHERE oid >= 16384",
    "triggers": "SELECT pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE NOT tgisinternal",
    "columns": "SELECT attrelid::regclass::text, attname, atttypid::regtype, atttypmod, attnotnull,"
    " attcollation::regcollation::text, pg_get_expr(adbin, adrelid)"
    " FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
    " WHERE attnum > 0 AND attrelid >= 16384 AND attrelid::regclass::text NOT LIKE 'pg_toast%'",
    "types": "SELECT oid::regtype::text FROM pg_type WHERE typtype <> 'b' AND oid >= 16384",
    "comments": "SELECT classoid::regclass::text, pg_describe_object(classoid, objoid, objsubid),"
    " description FROM pg_description WHERE objoid >= 16384",
    "extensions": "SELECT extname, extnamespace::regnamespace::text,"
    " obj_description(oid, 'pg_extension') FROM pg_extension",
    "views": "SELECT oid::regclass::text, pg_get_viewdef(oid) FROM pg_class"
    " WHERE relkind IN ('v', 'm') AND oid >= 16384",
    "policies": "SELECT polrelid::regclass::text, polname, polcmd, polpermissive,"
    " polroles::regrole[]::text, pg_get_expr(polqual, polrelid),"
    " pg_get_expr(polwithcheck, polrelid) FROM pg_policy",
    "default rights": "SELECT defaclrole::regrole, defaclnamespace::regnamespace::text,"
    " defaclobjtype, defaclacl::text FROM pg_default_acl",
}
# Rights granted and revoked again are described as the default rights.
RIGHTS = {
    "schemas": "pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a",
    "relations": "pg_class, aclexplode(coalesce(relacl,"
    " acldefault((CASE relkind WHEN 'S' THEN 's' ELSE 'r' END)::\"char\", relowner))) a"
    " WHERE oid >= 16384 AND relkind IN ('r', 'v', 'S', 'm', 'p')",
    "functions": "pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) a"
    " WHERE oid >= 16384",
    "types": "pg_type, aclexplode(coalesce(typacl, acldefault('T', typowner))) a"
    " WHERE oid >= 16384 AND typelem = 0",
}
for _kind, _source in RIGHTS.items():
    _class = _source.split(",")[0]
    CATALOG[f"rights on {_kind}"] = (
        f"SELECT pg_describe_object('{_class}'::regclass, oid, 0), grantor::regrole::text,"
        f" grantee::regrole::text, privilege_type, is_grantable FROM {_source}"
    )
CATALOG["rights on columns"] = (
    "SELECT attrelid::regclass::text, attname, grantor::regrole::text, grantee::regrole::text,"
    " privilege_type, is_grantable FROM pg_attribute, aclexplode(attacl) WHERE attrelid >= 16384"
)


def catalog(conn: Conn) -> dict[str, list[str]]:
    """Describe the content of a database, without oids and order of creation."""
    with conn.transaction():
        conn.execute("SET LOCAL search_path = pg_catalog")
        return {
            kind: sorted(map(str, conn.execute(query).fetchall()))
            for kind, query in CATALOG.items()
        }


def test_each_down_is_the_exact_inverse_of_its_up(database: Database) -> None:
    with database.connect() as conn:
        states = [catalog(conn)]
        for stem in STEMS:
            run(conn, "up", stem)
            states.append(catalog(conn))
            run(conn, "down", stem)
            # the previous migration was rolled back and applied again: that left the same state
            assert catalog(conn) == states[-2], stem
            run(conn, "up", stem)
        assert catalog(conn) == states[-1]
        for stem in reversed(STEMS):
            run(conn, "down", stem)
        assert catalog(conn) == states[0]


@pytest.mark.parametrize("order", [["one", "Two"], ["Two", "one"]])
def test_two_copies_share_a_database_and_the_last_one_drops_the_extensions(
    database: Database, order: list[str]
) -> None:
    notices: list[str | None] = []
    with database.connect() as conn:
        conn.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        conn.execute('CREATE SCHEMA one; CREATE SCHEMA "Two"')
        before = catalog(conn)
        for schema in ("one", "Two"):
            for stem in STEMS:
                run(conn, "up", stem, f'"{schema}", public')
        notices.clear()
        for stem in reversed(STEMS):
            run(conn, "down", stem, f'"{order[0]}", public')
        assert f'the extension "citext" stays: the chat schema in "{order[1]}" uses it' in notices
        for stem in reversed(STEMS):
            run(conn, "down", stem, f'"{order[1]}", public')
        assert catalog(conn) == before


def test_several_copies_may_be_built_at_the_same_moment(database: Database) -> None:
    names = ["a", "b", "c", "d"]
    failed: list[psycopg.Error] = []
    together = threading.Barrier(len(names))

    def build(schema: str) -> None:
        try:
            with database.connect() as conn:
                together.wait(20)
                for stem in STEMS:
                    run(conn, "up", stem, f"{schema}, public")
        except psycopg.Error as error:
            failed.append(error)

    with database.connect() as conn:
        for name in names:
            conn.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
    builders = [threading.Thread(target=build, args=[name]) for name in names]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(60)
    assert failed == []


def test_existing_extensions_are_used_and_stay(database: Database) -> None:
    with database.connect() as conn:
        conn.execute("CREATE SCHEMA lib; CREATE EXTENSION citext SCHEMA lib")
        conn.execute("CREATE EXTENSION pg_trgm SCHEMA lib; CREATE SCHEMA chat")
        before = catalog(conn)
        for stem in CORE:
            run(conn, "up", stem, "chat, lib")
        conn.execute("SET search_path = chat, lib")
        insert_user(conn, "ada")
        assert_insert_fails(conn, UNIQUE, "users_email_live_key", "users", email="ADA@example.org",
                username="eve", auth0_id="eve")  # fmt: skip
        for stem in reversed(CORE):
            run(conn, "down", stem, "chat, lib")
        assert catalog(conn) == before


@pytest.fixture
def stranger(database: Database) -> Iterator[str]:
    """A role that owns the schema "chat" and may create no extension."""
    name = f"stranger_{database.name}"
    database.server.execute(f"CREATE ROLE {name}")
    with database.connect() as conn:
        conn.execute(f"CREATE SCHEMA chat AUTHORIZATION {name}")
        yield name
        conn.execute(f"DROP OWNED BY {name}")
    database.server.execute(f"DROP ROLE {name}")


def test_a_role_that_may_not_create_citext_is_told_what_to_do(
    database: Database, stranger: str
) -> None:
    with database.connect() as conn:
        conn.execute(f"SET ROLE {stranger}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match='"citext" is required') as e:
            run(conn, "up", CORE[0], "chat, public")
        assert "CREATE EXTENSION citext" in str(e.value.diag.message_hint)


def test_a_role_that_may_not_create_extensions_migrates_where_citext_exists(
    database: Database, stranger: str
) -> None:
    with database.connect() as conn:
        conn.execute("CREATE EXTENSION citext")
        before = catalog(conn)
        conn.execute(f"SET ROLE {stranger}")
        for stem in CORE:
            run(conn, "up", stem, "chat, public")
        for stem in reversed(CORE):
            run(conn, "down", stem, "chat, public")
        assert catalog(conn) == before


@pytest.mark.parametrize("stem", STEMS)
def test_a_down_has_no_cascade_and_no_if_exists(stem: str) -> None:
    code = re.sub(r"--.*", "", (SHIPPED / "down" / f"{stem}.sql").read_text()).upper()
    assert "CASCADE" not in code
    assert "IF EXISTS (" in code or "IF EXISTS" not in code
