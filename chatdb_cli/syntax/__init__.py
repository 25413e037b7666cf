"""SQL as text, read by PostgreSQL's own grammar (libpg_query, through postgast).

What belongs here: the statements, tokens and comments of a text, the line and column of an offset, the
effects of a statement that its text shows, quoting of identifiers.  The only user of postgast.  Pure:
text goes in, values come out.  What does not belong here: reading files (`files/`), sending statements
(`postgres/`).
"""
