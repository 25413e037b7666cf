"""A scratch place: a database that is made for one purpose, and dropped at the end.

    place       which server gets it, and why the others do not
    database    create, mark and drop a scratch database; drop those that a killed run left
    prelude     the SQL file that runs first in it
    model       how a database is made, as a value
    queries     every statement that this package sends

What belongs here: the database itself.  What does not belong here: what is done in it (`rehearse/`), a
test schema or a test database, which stay (`provision/`).

A scratch database has the target's encoding and locale, and a server of the target's major version.  Its
comment marks it.  A run holds an advisory lock of its name from before it is created until after it is
dropped: a marked database whose lock nobody holds was left by a run that was killed.
"""
