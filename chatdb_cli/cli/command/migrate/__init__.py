"""Apply migrations, roll them back, and show which are applied.

One module per command of `chatdb migrate`.  What does not belong here: the engine (`migrate/`).
"""
