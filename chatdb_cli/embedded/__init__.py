"""The embedded PostgreSQL of a project, in its `.chatdb` folder.

    server          start, stop, status, destroy: the public face
    home            the files of `.chatdb`, their owners, the lock
    cluster         the data directory and its database
    postmaster      the processes of the server
    process         programs run as another user, locks on files
    programs        PostgreSQL's programs on this machine
    unix_socket     the socket and its name
    failures        errors, each with what to do next
    model           the state of a server, as a value
    queries         every statement that this package sends

What belongs here: finding PostgreSQL's programs, creating a cluster, starting, stopping and removing it.
What does not belong here: which database is meant (`settings/`), connecting to it (`postgres/`).
"""
