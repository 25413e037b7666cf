"""Show, apply and roll back migrations.

A `Migrator` that gets settings opens the target itself and closes it at the end of the block.
"""

import chatdb_cli

settings = chatdb_cli.load_settings()
with chatdb_cli.Migrator(settings, "@chat") as migrator:
    for migration in migrator.status().pending:
        print("pending:", migration.version, migration.name)

    run = migrator.up()
    for step in run.steps:
        print(step.version, step.state, step.duration_ms, "ms")

    print("now at", migrator.down(steps=1).current)
