"""Settings: flags, the environment and .env files, as values.

What belongs here: which settings exist (`table.py` says how to add one), which source each value comes
from, and which database they name.  The only reader of the environment.  What does not belong here:
connecting (`postgres/`), the embedded server itself (`embedded/`).
"""
