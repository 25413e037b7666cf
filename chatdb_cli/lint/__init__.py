"""Lint: dangerous or sloppy SQL in migrations, found before it runs.

    linter       lint a folder, or some files of it: the findings
    rule         what a rule is, and the rules, found by their place
    rules/       one module per rule
    model        files, problems, options, what a database says
    context      what a rule may ask: which tables exist, how large they are
    schema       what the files build, statement by statement
    columns, names
                 the columns that statements add, types and defaults; the names that they give
    places       the part of a statement that a rule points at
    inverse, not_valid
                 statements that a rule proposes
    locks        which locks a statement acquires, and which work is long
    project      the files of a folder, in order, with the batch that each belongs to
    allowances   `-- chatdb: allow: RULE, why`
    options      how to lint, as the settings say
    fix          the findings that a program can correct, as new texts of files
    page         the page of a rule

A rule is a module in `rules/` with `RULE` and `check`; there is no list to edit.  Its page in docs/rules
and its tests are made from `RULE`.  No SQL is sent and nothing is connected here: what a database says
comes in as a value.  What does not belong here: reading SQL (`syntax/tree/`), drawing findings
(`cli/render/`).
"""
