"""Check the route through an SSH tunnel, and open the tunnel for another program.

The settings name the bastion (`SSH_HOST`).  chatdb's own functions open the tunnel by themselves.
"""

import psycopg

import chatdb_cli

settings = chatdb_cli.load_settings()
steps, failure = chatdb_cli.check_tunnel(settings)
for step in steps:
    print(step.hop, step.what, step.state, step.duration_ms, "ms")
if failure:
    raise failure

with chatdb_cli.open_tunnel(settings) as tunnel, psycopg.connect(tunnel.url) as conn:
    print(conn.execute("SELECT version()").fetchone())
