"""The documentation of a schema, or the state of the file that holds it.

What does not belong here: the Markdown itself (`docs/markdown.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.cli.render.document import Rendered, target_document
from chatdb_cli.cli.render.text import one_line

if TYPE_CHECKING:
    from chatdb_cli.docs.model import SchemaDocs
    from chatdb_cli.docs.update import FileState
    from chatdb_cli.postgres.model import Target


def render_docs(target: Target, docs: SchemaDocs, file: FileState | None) -> Rendered:
    """Render the documentation of a schema.

    Args:
        target: the schema.
        docs: its documentation.
        file: the file that holds it; None to print it.
    """
    from dataclasses import asdict

    document = target_document(target) | asdict(docs)
    if file is None:
        from chatdb_cli.docs.markdown import schema_markdown

        return Rendered(document, (schema_markdown(docs),))
    document["file"] = {"path": str(file.path), "state": file.state, "reason": file.reason}
    reason = f"; {file.reason}" if file.reason else ""
    return Rendered(document, (one_line(f"{file.path}: {file.state}{reason}"),))
