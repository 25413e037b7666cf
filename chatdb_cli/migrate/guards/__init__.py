"""Guards: they watch a file while it runs, and roll it back if it does what it must not do.

    data_loss    refuses downs that would delete rows: the check before, the guard during the run
    trial        finds these rows, by running downs in a transaction that is rolled back
    relations, effects, losses
                 the answers of the server; what each file did; which of that is a loss
    unmeasured   what a file may have deleted where nothing can be counted after it
    watches      statements that keep rows and values until a file has run, and then compare
    statements   the statements of a trial and of the guards, for the relations at hand
    model        what a run expects of a guard
    queries      every statement that this package sends

What belongs here: the loss of data.  What does not belong here: the transaction around the file
(`migrate/transaction.py`), leaving a test schema (`migrate/confine/`).

A new guard implements `model.RunGuard`.  `runner.Runner` chooses the guard of a run; one that
watches beside another is combined as in `confine/guard.py`.  A check of the text alone belongs in
`syntax/refusal.py`.
"""
