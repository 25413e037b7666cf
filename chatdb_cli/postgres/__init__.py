"""PostgreSQL: a target, connections to it, and what its errors mean.

    model, target       a target: database, schema, name; from settings to a target
    connect, pool       one connection, or a pool; temporary failures are retried
    wait                until a server answers, for start scripts
    ping                whether a connection answers within a time
    through_tunnel      the keywords of a connection through a tunnel
    pooler              whether a pooler is between chatdb and the server
    pipeline            many transactions over one connection
    messages            its messages, each made when it is sent
    own                 chatdb's own statements, whose names are found in pg_catalog alone
    advisory_lock       the migration lock
    encodings           which characters a database can store
    blockers            which sessions block a statement
    quoting             names and values as SQL, quoted by libpq, and the keys of the locks
    diagnosis           an exception of psycopg as an error of chatdb
    connect_failures    the same for a connection that was never made
    connect_code        the SQLSTATE with which a server refuses a connection
    sqlstates           SQLSTATEs by name, where chatdb treats one in a special way
    logged              what is logged about connections, statements and errors
    hints               what to do about an error, by its SQLSTATE: a new hint is a row here
    queries             every statement that this package sends

What belongs here: opening and retrying, pools and poolers, the pipeline, quoting, the migration lock,
blocking sessions, SQLSTATEs.  What does not belong here: which database is meant (`settings/`), the
tables of the history (`history/`), SQL of the user.
"""
