"""Confine the files of a run to a test schema: PostgreSQL's own rights first, a watch second.

    guard        the guard of a confined run: rights, watch, and the check for data loss
    rights       a file's statements as one call that runs with the rights of the schema's own role
    watch        what a file has changed outside, whatever way it found
    explain      the error of a file that reached outside: the statement, the objects, what to do
    lasting      files without a transaction, and what no rollback undoes
    unwrap       an error of a statement that ran inside that call, as if it had run by itself
    catalogs     which rows of which catalog are inside of a schema
    queries      every statement that this package sends

The role owns what the schema holds and nothing else, so PostgreSQL itself refuses everything outside.
`SET ROLE` would not do: a file can reset it.  Inside a function that is SECURITY DEFINER it can't.
The function is made for one file, as the file could change the owner's own function, and dropped after
it.  The watch finds what the rights leave: a function of another role that everybody may execute.

What belongs here: everything that depends on the run being confined.  What does not belong here: the
schema and its role themselves (`provision/`).
"""
