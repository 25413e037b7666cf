"""The catalog: a schema as values, read from pg_catalog.

What belongs here: the values, the queries, SQL made readable.  What does not belong here: documents
(`docs/`), the history (`history/`).
"""
