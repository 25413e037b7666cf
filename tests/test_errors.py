from __future__ import annotations
import pytest
from conftest import NAMES, PROGRAMS, Database, Project, Server
from test_cli import Chatdb, _restore, chatdb, first, offline
CASES = {
    "syntax error": "SELECT 1;\nSELECT 2 FRM x y;\n",
    "syntax end": "CREATE TABLE a (\n  id int\n",
    "unknown column with the server's hint": "CREATE TABLE orders (id int, total int);\n-- totals are kept in minor units\nCREATE INDEX ON orders (id) WHERE totl > 0;\n",
    "run time": "CREATE TABLE a (id int PRIMARY KEY);\nINSERT INTO a VALUES (1);\n\n-- again\nINSERT INTO a\n  SELECT 1;\nSELECT 3;\n",
    "fk": "CREATE TABLE a (id int PRIMARY KEY);\nCREATE TABLE b (a int REFERENCES a);\nINSERT INTO b VALUES (7);\n",
    "42P07": "CREATE TABLE a ();\nCREATE TABLE a ();",
    "42P06": "CREATE SCHEMA public;",
    "function": "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$\nBEGIN\n  PERFORM nope FROM pg_class;\nEND $$;\nSELECT 1, f();\n",
    "function run": "DO $$\nBEGIN\n  RAISE EXCEPTION 'Grüße' USING DETAIL = 'a detail', HINT = 'a hint', ERRCODE = 'P0042';\nEND $$;\n",
    "plpgsql syntax": "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$\nBEGIN\n  SELEC 1;\nEND $$;\n",
    "deferred": "CREATE TABLE a (id int PRIMARY KEY);\nCREATE TABLE b (a int REFERENCES a DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO b VALUES (7);\n",
    "timeout": "-- chatdb: statement-timeout: 50ms\nSELECT pg_sleep(10);\n",
    "CREATE INDEX CONC": "CREATE TABLE a (id int);\nCREATE INDEX CONCURRENTLY ON a (id);\n",
    "readonly": "SET TRANSACTION READ ONLY;\nCREATE TABLE a ();\n",
    "nbsp": "SELECT\u00a01;\n",
    "password": "CREATE ROLE t_nobody PASSWORD 'hunter2-secret' NOPE;\n",
    "password2": "DO $$ BEGIN EXECUTE $x$ALTER ROLE t_nobody PASSWORD 'hunter2-secret'$x$; END $$;\n",
    "drop": "DROP TABLE chatdb_migration CASCADE;\n",

    "multi": "SELECT 1 +\n\n   2 +\n nope\n + 3;",
    "nul": b"SELECT 1;\n\0",
    "utf16": "SELECT 1".encode("utf-16"),
    "latin1": "SELECT 1;\n  SELECT 'Grüße';".encode("latin-1"),
    "commit": "SELECT 1;\n  COMMIT;\nSELECT 1/0;",
    "copy": "COPY a FROM STDIN;\n1\n\\.\n",
    "psql": "SELECT 1;\n\\i other.sql\n",
    "control": "SELECT '\x1b[31m\x0b', nope;\n",
    "directive": "-- chatdb: transactionl: false\nSELECT 1;",
    "nontrans": "-- chatdb: transactional: false\nSELECT 1;",
}

import json
OUT = {}
@first
@pytest.mark.parametrize("name", CASES)
def test_x(name, project: Project, chatdb: Chatdb):
    project.write("0001_ok", "SELECT 1", "SELECT 1")
    project.write("0002_case", CASES[name])
    said = chatdb("migrate", "up")
    OUT[name] = [CASES[name] if isinstance(CASES[name], str) else repr(CASES[name]), said.code, said.err[said.err.index("error:"):]]
    json.dump(OUT, open("/tmp/out.json","w"))
