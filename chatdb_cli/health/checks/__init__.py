"""The checks, a module a theme; `health/find.py` finds them, so there is no list to edit.

    activity       connections, transactions, locks
    connection     connecting, answering, the version of the server

What belongs here: judging what the server has answered, in words for a person who was woken up: the
value, the object, what to do.  What does not belong here: SQL (`health/queries.py`), thresholds as such
(`health/thresholds.py`).
"""
