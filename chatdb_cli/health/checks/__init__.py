"""The checks, a module a theme; `health/find.py` finds them, so there is no list to edit.

    connection     connecting, answering, the version of the server
    activity       connections, transactions, locks
    migrations     pending, unfinished, at odds with their files; a migrator at work
    schema         indexes, constraints, triggers, extensions
    server         replication, the NOTIFY queue, transaction IDs, the cache
    security       sessions that row-level security does not restrict, rights that everybody has
    events         the change log of the chat schema, and its rows that expire
    pool           the application's pool

What belongs here: judging what the server has answered, in words for a person who was woken up: the
value, the object, what to do.  What does not belong here: SQL (`health/queries.py`), thresholds as such
(`health/thresholds.py`).
"""
