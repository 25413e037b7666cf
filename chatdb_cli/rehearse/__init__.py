"""Proofs in a scratch place: each down is the inverse of its up, the live schema is what files build.

What belongs here: running a project's migrations in a scratch database, comparing what they leave.  What
does not belong here: the scratch database (`scratch/`), snapshots and their difference (`catalog/`), the
run of a migration (`migrate/`).
"""
