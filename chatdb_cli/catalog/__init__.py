"""The catalog: a schema as values, read from pg_catalog.

    model       the values
    read        the catalog into values
    sql_text    PostgreSQL's SQL, shortened for people
    queries     every statement that this package sends

What belongs here: the values, the queries, shortening SQL for people.  What does not belong here:
documents (`docs/`), the history (`history/`).
"""
