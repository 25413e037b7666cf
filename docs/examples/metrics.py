"""Serve health and metrics from an application, with those of its pool.

The server has two threads and a connection of its own; a database that is down is an answer to it, not
an error.
"""

import urllib.request

import chatdb_cli

settings = chatdb_cli.load_settings()
with (
    chatdb_cli.setup(settings, "@chat") as pool,
    chatdb_cli.HealthServer(settings, port=0, pool=pool) as server,  # port=9432, say
):
    with urllib.request.urlopen(f"{server.url}/metrics") as response:
        metrics = response.read().decode()
    print(*(line for line in metrics.splitlines() if line.startswith("chatdb_up")))
