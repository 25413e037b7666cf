"""Provisioning: a database, a schema or a test schema at the newest version.

    database       create a database and its schema, and apply every migration
    test_schema    create or reset a test schema
    queries        every statement that this package sends

What belongs here: creating what is missing, and resetting a test schema.  What does not belong here:
migrating (`migrate/`), rows (`seed/`).
"""
