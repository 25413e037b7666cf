"""Check the health of a database, and whether a pool can reach it."""

import chatdb_cli

settings = chatdb_cli.load_settings()
health = chatdb_cli.check_health(settings, thresholds={"connections": "90%"})
for check in health.checks:
    if check.status != "ok":
        print(check.status, check.name, check.message, check.hint)

with chatdb_cli.setup(settings, "@chat") as pool:
    print("ready" if chatdb_cli.is_healthy(pool) else "not ready")
