"""The commands: one module per command, its path the words that a user types.

What belongs here: a command's own options, the call, the choice of the rendering.  What does not belong
here: decisions, SQL, the words of a result (`cli/render/`).
"""
