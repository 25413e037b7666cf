"""Follow the changes of the chat schema.

`listen` yields changes without end.  Store the cursor of each change after it was processed, and pass it
to the next `listen`: then no change is missed.
"""

import chatdb_cli

settings = chatdb_cli.load_settings()
cursor = ""  # from now on
with chatdb_cli.listen(settings, cursor, topics=["channels"]) as changes:
    with chatdb_cli.open_target(settings) as target, chatdb_cli.connect(target) as conn:
        conn.execute(
            "WITH ann AS (INSERT INTO users (email, username, auth0_id)"
            " VALUES ('ann@example.com', 'ann', 'auth0|ann') RETURNING id)"
            " INSERT INTO channels (type, name, created_by) SELECT 'public', 'news', id FROM ann"
        )
    for change in changes:
        print(change.table, change.op, change.row_id)
        cursor = change.cursor
        break
