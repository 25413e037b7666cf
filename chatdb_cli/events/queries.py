"""Every statement that this package sends, each under the question that it answers.

`{name}` is a value that `postgres/quoting.py` inserts, quoted by libpq; `%s` and `$1` are parameters.
What does not belong here: decisions, and SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

# Receive notifications of new events.  Timeouts of a role or a database apply neither to a long backlog,
# nor while there are no events.
EVENTS_LISTEN: Final = """\
SET statement_timeout = 0;
SET idle_session_timeout = 0;
LISTEN chat_events"""
# Behind a pooler only a transaction can have settings.
NO_STATEMENT_TIMEOUT: Final = "SET LOCAL statement_timeout = 0"
# Do functions of this name run with the rights of their owner?  One that another role has planted, where
# there is no chat schema, would run with those of the listener.
RUNS_AS_OWNER: Final = """\
SELECT p.prosecdef AS as_owner FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = {name} AND p.proname = 'events_since'"""
# Which events came after a cursor, and from which cursor to continue?  The types are those of the
# function, so that no other function of this name fits better.
EVENTS_SINCE: Final = """\
SELECT seq, table_name AS "table", op, row_id, channel_id, user_id, at, cursor
FROM {schema}.events_since(%s::pg_catalog.text, %s::integer)"""
