"""The files: `sql/up`, `sql/down` and `sql/seed` as migrations and scripts.

What belongs here: choosing the folder, file names, directives, dependencies and order, writing a new
pair of files.  Reads the disk, and nothing else.  What does not belong here: what a database has
applied (`history/`), what a statement means (`syntax/`).
"""
