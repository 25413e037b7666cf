"""The catalog: a schema as values, read from pg_catalog.

What belongs here: the values, the queries, shortening SQL for people.  What does not belong here:
documents (`docs/`), the history (`history/`).
"""
