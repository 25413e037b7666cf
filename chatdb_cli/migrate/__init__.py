"""The engine: files against history, plans, and running them.

    migrator          the entry: status, up, down, redo, baseline, repair
    reading           the history is read, and a lock on it waited for
    entry             whether a run may begin in this database
    compare, plan     where files and history disagree; the steps of a request
    preflight         the files of the steps, refused before anything runs
    state             what a run knows: history, remaining steps, results
    runner            the loop: send what comes next, until nothing remains
    session           the server session of the run
    batches           the transactions of the steps, each when there is room for it
    transaction       the transaction of one migration, message by message
    frame             what is around the statements of every transaction
    messages          statements as messages
    parts             the values that a transaction is written with: Part, Timeouts, Guard
    nontransactional, journal
                      a file that runs outside a transaction, and the record of its statements
    index_check       whether an index is the one that a statement makes
    tracker           completed messages into results and progress
    guards/           statements that watch a file while it runs
    confine/          what keeps the files of a run inside of a test schema
    patience          how long to wait, how often to try again
    failure           a failure as an error: what failed, what stays
    mark, ending      what marks the transactions of a run behind a pooler; ending a lost run
    recovery          after a failure: try again, plan again, or end with what is true
    versions          the version that a user names
    file_checks, refusals
                      files that can't run, by their text; why nothing runs, as one error
    repair, marks     the history changes, no migration runs
    origin            whether the database was set up from the shipped chat schema
    live              what a database says to the linter
    model             the values: Step, LoadedStep, Plan, Run, Options, Progress, Status
    queries           every statement that this package sends

What belongs here: comparing, planning, the transaction around a migration, its guards, failures and
recovery, repair and baseline.  What does not belong here: reading files (`files/`), the tables of the
history (`history/`), the connection and the pipeline (`postgres/`).
"""
