"""Proofs in a scratch place: each down is the inverse of its up, the live schema is what files build.

    rehearsal     each version: up, snapshot, down, equal to before? up, equal to the first up?
    choice        which versions are rehearsed, and which can't be
    stage         the scratch database: migrated, read, and renewed after a failure
    with_rows     all downs on tables with rows, and all ups again
    lock_trace    which statement locked, rewrote or read which relation
    allowances    the locks that a file accepts
    drift         the live schema against what its applied files build, or against a snapshot
    roles         one role of a snapshot under another name
    model         what a rehearsal and a check of drift return
    queries       every statement that this package sends

What belongs here: running a project's migrations in a scratch database, comparing what they leave.  What
does not belong here: the scratch database (`scratch/`), snapshots and their difference (`catalog/`), the
run of a migration (`migrate/`).
"""
