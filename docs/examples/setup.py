"""Create the database, its schema and all migrations, and use it.

`setup` can be run at every start of a program: it creates what is missing and nothing else.  "@chat" is
the schema that comes with chatdb; by default the files are in ./sql.
"""

import chatdb_cli

settings = chatdb_cli.load_settings()
with chatdb_cli.setup(settings, "@chat") as pool, pool.connection() as conn:
    conn.execute(
        "INSERT INTO users (email, username, auth0_id) VALUES ('ann@example.com', 'ann', 'auth0|ann')"
    )
    print(conn.execute("SELECT username FROM users").fetchall())
