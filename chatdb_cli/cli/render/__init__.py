"""Rendering: one module per result, from a value to its JSON document and its text.

What does not belong here: streams, colours and progress (`cli/output.py`), decisions.
"""
