"""Guards: what watches a file while it runs, and undoes it when it does what it must not do.

What belongs here: the loss of data, leaving a test schema.  What does not belong here: the transaction
around the file (`migrate/transaction.py`).
"""
