"""Handle an error.

Every error is a `ChatdbError` with a code, an exit code and a hint.  The error that ended a run is a
`MigrationError`; its `run` has the state of each step.
"""

from pathlib import Path

import chatdb_cli

for direction, sql in (("up", "CREATE TABLE a (id nope)"), ("down", "DROP TABLE a")):
    Path("sql", direction).mkdir(parents=True)
    Path("sql", direction, "0001_add_a.sql").write_text(sql)

try:
    with chatdb_cli.Migrator(chatdb_cli.load_settings()) as migrator:
        migrator.up()
except chatdb_cli.MigrationError as error:
    print(error.code.slug, error.sqlstate, error.message, error.hint)
    if error.place:
        print(error.place.file, error.place.line, error.place.column)
    print([(step.version, step.state) for step in error.run.steps])
except chatdb_cli.ChatdbError as error:
    if error.code is chatdb_cli.Code.UNREACHABLE:
        print("try again later:", error.message)
    else:
        raise
