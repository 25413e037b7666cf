"""The change log of the chat schema, followed as it grows.

    listener       follow the log from a cursor on
    model          an event, and the events of one read
    topics         which changes a listener wants
    cursor_file    a cursor in a file
    queries        every statement that this package sends

What belongs here: reading the log after a cursor, topics, storing a cursor in a file.  What does not
belong here: writing the log (the triggers in `sql/up`), printing events.
"""
