"""The documentation of a schema: Markdown with Mermaid diagrams, made from a snapshot.

    model       the values of a documentation
    read        them from a database
    describe    them from a snapshot, with relations (tables and views) and functions
    described   an object of a snapshot
    sql_text    PostgreSQL's SQL, shortened for people
    update      the file: written, or only compared
    markdown    the document
    groups      the groups of functions that a user names in its head
    mermaid     its diagrams
    escape      names and comments made harmless

What belongs here: what the documentation shows of a snapshot, the document, its escaping, updating the
file.  What does not belong here: reading the catalog (`catalog/`).
"""
