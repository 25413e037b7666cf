"""The documentation of a schema: Markdown with Mermaid diagrams.

    update      the file: written, or only compared
    markdown    the document
    mermaid     its diagrams
    escape      names and comments made harmless

What belongs here: the document, its escaping, updating the file.  What does not belong here:
reading the catalog (`catalog/`).
"""
