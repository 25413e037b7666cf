"""The commands: one module per command, its path the words that a user types.

What belongs here: a command's own options, the call, the result.  What does not belong here: decisions,
SQL, drawing (`cli/render/`).
"""
