"""The documentation of a schema: Markdown with Mermaid diagrams.

What belongs here: the document, its escaping, updating the file.  What does not belong here:
reading the catalog (`catalog/`).
"""
