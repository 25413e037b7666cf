"""Proofs in a scratch place: each down is the inverse of its up; the live schema is what its files build.

What belongs here: running the project's migrations in a scratch database, and comparing what they leave.
What does not belong here: the scratch database (`scratch/`), snapshots and their difference (`catalog/`),
running migrations (`migrate/`).
"""
