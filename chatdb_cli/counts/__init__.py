"""Exact counts and checksums of the rows of a schema, in one snapshot.

    count       count the rows of a target's tables: what `chatdb counts` calls
    snapshot    one snapshot of a database, shared by several connections; count and hash in it
    tables      which tables there are, and which of them are meant
    hashing     the hash of a row as SQL: which columns, in which form
    ranges      a table as ranges of its pages, and the order of the work
    workers     several connections that work on one list of ranges
    buckets     the rows of a table in buckets, by the hash of the key
    compare     compare two targets, or a target with a saved count
    plan        what is compared of a table
    pairs       which table and which column of one side belongs to which of the other
    at_once     the same work on two sides at once
    find        the rows that differ
    search      one side of the search for these rows
    sequences   sequences and identity columns: the next value against the highest one
    differences  what a comparison found
    saved       counts in a file
    document    a JSON document whose values are checked
    failures    what it means if rows can't be read
    model       what was counted, of which columns, where
    queries     every statement that this package sends

What belongs here: counting, hashing and comparing the rows of tables.  What does not belong here: the
difference between two schemas (`catalog/`), printing, and changing anything.
"""
