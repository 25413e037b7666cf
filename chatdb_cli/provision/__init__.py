"""Provisioning: a database, a schema or a test schema at the newest version.

What belongs here: creating what is missing, and resetting a test schema.  What does not belong here:
migrating (`migrate/`), rows (`seed/`).
"""
