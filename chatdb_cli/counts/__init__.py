"""Exact counts and checksums of the rows of a schema, in one snapshot.

    count       count the rows of a target's tables: what `chatdb counts` calls
    snapshot    one snapshot of a database, shared by several connections; count and hash in it
    tables      which tables there are, and which of them are meant
    hashing     the hash of a row as SQL: which columns, in which form
    ranges      a table as ranges of its pages, and the order of the work
    workers     several connections that work on one list of ranges
    model       what was counted, of which columns, where
    queries     every statement that this package sends

What belongs here: counting, hashing and comparing the rows of tables.  What does not belong here: the
difference between two schemas (`catalog/`), printing, and changing anything.
"""
