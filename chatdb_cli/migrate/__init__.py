"""The engine: files against history, plans, and running them.

What belongs here: comparing, planning, the transaction around a migration, its guards, failures and
recovery, repair and baseline.  What does not belong here: reading files (`files/`), the tables of the
history (`history/`), the connection and the pipeline (`postgres/`).
"""
