"""Fill a schema with data for development, or with many generated rows."""

import chatdb_cli

settings = chatdb_cli.load_settings()
with chatdb_cli.open_target(settings) as target:
    for table, rows in chatdb_cli.seed_files(target, "@chat").tables:
        print(table, rows)

    seeded = chatdb_cli.seed_at_scale(target, 1000, directory="@chat", progress=print)
    print(seeded.duration_ms, "ms")
