"""The embedded PostgreSQL of a project, in its `.chatdb` folder.

What belongs here: finding PostgreSQL's programs, creating a cluster, starting, stopping and removing it.
What does not belong here: which database is meant (`settings/`), connecting to it (`postgres/`).
"""
