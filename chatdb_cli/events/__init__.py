"""The change log of the chat schema, followed as it grows.

What belongs here: reading the log after a cursor, topics, storing a cursor in a file.  What does not
belong here: writing the log (the triggers in `sql/up`), printing events.
"""
