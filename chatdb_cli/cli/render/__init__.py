"""Rendering: one module per result, from a value to its JSON document and its text.

What belongs here: the JSON keys, the words and the styles of a result.  What does not belong here:
streams, terminals and progress bars (`cli/output.py`), decisions.
"""
