"""Every statement that this package sends, each under the question that it answers.

`{name}` stands for a value that `postgres/quoting.py` puts in, quoted by libpq; `%s` and `$1` for a
parameter.  What does not belong here: anything that decides; the SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

# Hear the bell; a role's own limit is not meant for who catches up.
EVENTS_LISTEN: Final = "SET statement_timeout = 0; LISTEN chat_events"
# The events behind a cursor, and the cursor to go on from.
EVENTS_SINCE: Final = """\
SELECT seq, table_name, op, row_id, channel_id, user_id, at, cursor
FROM {schema}.events_since(%s, %s)"""
