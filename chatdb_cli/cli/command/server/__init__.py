"""The project's own PostgreSQL, with its data in ./.chatdb.

One module per command of `chatdb server`.  What does not belong here: running the server (`embedded/`).
"""
