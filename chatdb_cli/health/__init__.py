"""The health of a database: what an operator looks at first.

    check          check_health, check_connection, is_healthy: connect, ask, judge
    checks         the checks, a module a theme: a new check is a function there
    definition     what a check is made of
    find           the checks of those modules
    thresholds     the limits of the checks: defaults, and those that a user sets
    watch          HealthWatch: check again and again, on one connection
    cursors        the cursors of listeners, to compare with the change log
    project        the files of the migrations, to compare with the history
    document       the JSON document of a health
    history        the history of migrations: its statement, who may read it, its files
    words          values in words: ages, sizes, names, sessions
    ask            all questions in one pipeline, with a time limit
    model          the result of one check; the health of a database
    queries        every statement that this package sends
    metrics        the metrics of a database, for Prometheus
    serve          both over HTTP

What belongs here: what a running server and database tell about themselves, judged.  What does not
belong here: whether a schema is right (`migrate/`), drawing the result (`cli/render/health.py`).

A new check is a function with the decorator `check` of `definition.py` in a module of `checks/`, its
statement in `queries.py`, a row in docs/operating.md, and tests that cause what it finds.
"""
