"""The documentation of a schema: Markdown with Mermaid diagrams.

What belongs here: the document, its escaping, the file that holds it.  What does not belong here:
reading the catalog (`catalog/`).
"""
