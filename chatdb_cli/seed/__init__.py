"""Seeding: rows for development, from files or generated.

    files          run `sql/seed`
    scale          load a generated chat by COPY
    chat_rows, chat_messages, phrases, ulid
                   generate its rows
    copy_format    rows in COPY's binary format
    transaction    all of a seed or nothing
    model          the values
    queries        every statement that this package sends

What belongs here: running `sql/seed`, generating a chat of any size, loading it by COPY.  What does not
belong here: migrating (`migrate/`), the words of the hand-written workspace (`sql/seed`).
"""
