"""The catalog: a schema as values, read from pg_catalog.

    model       the values
    snapshot        the catalog into a snapshot
    objects         the rows of its statements into its objects
    questions       which statements that takes, on which versions of PostgreSQL
    grants          access control lists in words
    kinds           the kinds of objects in a snapshot
    snapshot_text   the text of a snapshot's file, and its parser
    snapshot_file   that file on disk
    diff            what differs between two snapshots
    options         options of foreign objects, without their secrets
    relations, types, routines, database
                    the statements of a snapshot
    sizes           about how many rows each table has
    queries         the other statements that this package sends

What belongs here: the values, the queries.  What does not belong here: the documentation of a schema
(`docs/`, which is made from a snapshot), the history (`history/`).
"""
