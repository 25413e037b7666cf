"""The history: what the database holds about its migrations.

    model       the values: History, AppliedMigration, Unfinished, LogEntry
    access      whether a role can read it, and which rights it needs
    read        the tables into values
    write       the statements that claim, record, log, mark and repair
    prepared    the claim and the record as prepared statements
    tables      creating the tables, and adopting what yoyo applied
    columns     the columns of `chatdb_migration`
    queries     every statement that this package sends

What belongs here: the tables of the history, reading them, and the statements that write them.  The only
user of yoyo.  What does not belong here: which migrations to run, and the transaction around a migration
(`migrate/`).

A new column of `chatdb_migration` is created in `columns.COLUMNS`, written in `HistoryWriter._row`
of `write.py` (or in the statement that fills it later), and read in `_Row` of `read.py`, into a
field of `model.AppliedMigration`.  The lists of columns in the statements follow from `COLUMNS`.  A
database whose table exists already does not get the column: that needs an ALTER TABLE in
`tables.py`.
"""
