"""Verify: every check that a CI job needs, in one verdict.

    verify        run the checks, and return the verdict: what `chatdb verify` calls
    database      the target that the checks share, opened when the first of them needs it
    files         names, pairs, syntax, lint: no database
    history       files against history
    schema        the live schema against what its applied files build
    rollback      each down is the inverse of its up
    invariants    what is true of every healthy schema
    counts        the rows of another database, or of a saved count
    codes         the codes of findings, with cause and remedy
    model         the values: what is verified, the result of a check, the verdict
    queries       every statement that this package sends

A check that could not be made has failed.  What belongs here: choosing the checks, running them, turning
what they found into findings; and the invariants.  What does not belong here: the checks that are
commands of their own (`lint/`, `migrate/`, `rehearse/`, `counts/`), reports (`cli/render/`).
"""
