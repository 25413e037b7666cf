"""SQL as text, read by PostgreSQL's own grammar (libpg_query, through postgast).

What belongs here: statements, tokens and comments of a text, where an offset stands in it, and what a
statement would do as far as its text shows.  The only user of postgast.  Pure: text goes in, values
come out.  What does not belong here: reading files (`files/`), sending statements (`postgres/`).
"""
