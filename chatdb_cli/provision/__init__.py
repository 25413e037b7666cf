"""Provisioning: a database, a schema, a test schema or a test database at the newest version.

    setup            a target in one call, for applications
    database         create a database and its schema, and apply every migration
    test_schema      create, reset or drop a test schema
    test_role        the role that owns what a test schema holds
    test_database    create, reset or drop a test database
    clear            empty the tables of either
    marks            the comments that mark what was made for tests
    model            the result of a setup for tests
    queries          every statement that this package sends

What belongs here: creating what is missing, and resetting what is for tests.  What does not belong here:
migrating, and keeping files inside a test schema (`migrate/`), rows (`seed/`).
"""
