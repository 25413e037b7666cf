"""Settings: flags, the environment and .env files, as values.

    table       the settings: a new one is a row here, and a field of `model.Settings`
    model       the values
    parse       from a text to a value
    sources     flags, environment, .env files: which one sets what
    project_file
                chatdb.toml, or [tool.chatdb] of pyproject.toml
    database    which database they name
    bastion     the SSH options of a tunnel
    against     the other side of a comparison
    libpq       the environment of the process, and libpq's variables
    load        all of it: `load_settings`

What belongs here: which settings exist (`table.py` says how to add one), which source each value comes
from, and which database they name.  The only reader of the environment.  What does not belong here:
connecting (`postgres/`), the embedded server itself (`embedded/`).

The flag of a setting is a row in a table of `cli/options.py`, which gives it to every command that takes
that table; .env.example names the variable.  The code that uses the value reads it from `Settings`.
"""
