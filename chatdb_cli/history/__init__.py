"""The history: what the database remembers of its migrations.

What belongs here: its tables, reading it, and the SQL that writes it.  The only user of yoyo.  What
does not belong here: which migrations to run, and the transaction around a migration (`migrate/`).
"""
