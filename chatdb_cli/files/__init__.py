"""The SQL files of a project: `sql/up`, `sql/down` and `sql/seed`, as migrations and scripts.

What belongs here: the choice of the folder, file names, directives, dependencies and order, writing the
files of a new migration.  It reads the disk and never a database.  What does not belong here: what a
database has applied (`history/`), what a statement means (`syntax/`).
"""
