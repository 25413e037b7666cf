"""Rendering: one module per result, from a value to its JSON document and its text.

    migrate, status, repair, history, setup, seed, docs, events, server, tunnel, error,
    health, snapshot, drift, counts, rehearse
                  a result each; `status` is that of `chatdb migrate status`, the embedded
                  server's is in `server`
    verify, junit, summary
                  a verdict; as JUnit XML, and as Markdown for a pull request
    init, marks  the files of a new project; migrations marked as applied, or not
    lint, report  what a lint found; SARIF and the annotations of GitHub
    document      what every result has: document, text, target
    comparison    two databases, or one and a saved count
    table, text, styles
                  columns, width and control characters, the style of each state

What belongs here: the JSON keys, the words and the styles of a result.  What does not belong here:
streams, terminals and progress bars (`cli/output.py`), decisions.

A new JSON key of a result is a line in its module here, and a field of the value that it renders
(`migrate.model.Status` for `chatdb migrate status`).
"""
