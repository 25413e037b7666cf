"""The version of chatdb: read by the build, printed by `chatdb --version`, written into the history.

Nothing else belongs here; it imports nothing, so that every other module may import it.
"""

__version__ = "0.1.0"
