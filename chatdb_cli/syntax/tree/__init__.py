"""The statements of a SQL file as typed values, made from the parse tree of PostgreSQL's grammar.

    model          the values: one type per kind of statement
    parse          a text into statements
    tables         CREATE TABLE, ALTER TABLE, columns and constraints
    statements     every other statement
    expressions    what an expression calls, reads and contains
    locations      from a byte of the parse tree to a character of the text

What belongs here: the parts of a statement that a check needs, with their places in the text.  What does
not belong here: whether a statement is wise (`lint/`), splitting alone (`syntax/statements.py`, which is
six times as fast).

A new kind of statement is a type in `model.py` and a function in `statements.py`.
"""
