"""The rules, one module each; the name of the module with dashes is the id of the rule.

A module defines `RULE`, whose texts are the page in docs/rules and whose SQL are the tests, and `check`,
which takes what `RULE.scope` says and yields problems.  What does not belong here: what several rules
need to know (`lint/columns.py`, `lint/locks.py`, `lint/names.py`).
"""
