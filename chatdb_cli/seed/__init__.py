"""Seeding: rows for development, from files or generated.

What belongs here: running `sql/seed`, generating a chat of any size, loading it by COPY.  What does not
belong here: migrating (`migrate/`), the words of the hand-written workspace (`sql/seed`).
"""
