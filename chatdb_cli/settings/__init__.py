"""Settings: what the command line, the environment and .env files say, as values.

What belongs here: which settings exist, where each value came from, and which database is meant.  The
only reader of the environment.  What does not belong here: connecting (`postgres/`), the embedded
server itself (`embedded/`).
"""
