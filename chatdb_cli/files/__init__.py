"""The SQL files of a project: `sql/up`, `sql/down` and `sql/seed`, as migrations and scripts.

    folder        which folder holds the files
    read          the files as migrations and scripts
    entries       what is in a folder: the SQL files, and what does not belong there
    names         file names: version and name
    directives    instructions in the leading comment
    other_tools   files that another migration tool would read differently
    timestamps    versions that are timestamps
    order         dependencies and order
    new           the files of a new migration
    init          the files of a new project
    since         the files that are newer than a commit, by git
    replace       creating and replacing a file as a whole
    model         the values

What belongs here: the choice of the folder, file names, directives, dependencies and order, writing the
files of a new migration.  It reads the disk and never a database.  What does not belong here: what a
database has applied (`history/`), what a statement means (`syntax/`).

A new directive is a parser in `directives.py` and a field of `model.Directives`.
"""
