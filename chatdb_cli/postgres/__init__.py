"""PostgreSQL: a target, connections to it, and what its errors mean.

What belongs here: opening and retrying, pools and poolers, the pipeline, quoting, the migration lock,
blocking sessions, SQLSTATEs.  What does not belong here: which database is meant (`settings/`), the
tables of the history (`history/`), SQL of the user.
"""
