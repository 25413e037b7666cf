"""SQL as text, read by PostgreSQL's own grammar (libpg_query, through postgast).

    source         decoding, and the canonical form for a checksum
    statements     a text split into statements
    tree/          the statements as typed values, for checks
    scan           tokens and comments
    location       line and column of an offset
    secrets        what may be a password, hidden
    secret_spans   where the literals are that it hides
    secret_words   the words and forms that tell that there is a secret
    effects        what a statement does beyond its transaction
    server_effects  what changes the whole server
    outside_transaction  statements that PostgreSQL refuses inside a transaction
    parse_error    where the grammar stops in a text
    function_body  where the body of a function or DO block is
    privileged     statements that create extensions and roles
    refusal        statements that no migration may contain
    lock_modes     the modes of locks on tables, by name
    keywords       which words are reserved
    identifiers    quoting without a connection (`postgres/quoting.py` quotes with libpq)

What belongs here: the statements, tokens and comments of a text, the line and column of an offset, the
effects of a statement that its text shows, quoting of identifiers.  The only user of postgast.  Pure:
text goes in, values come out.  What does not belong here: reading files (`files/`), sending statements
(`postgres/`).
"""
