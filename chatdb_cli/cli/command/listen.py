"""`chatdb listen`: print change events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chatdb_cli import log
from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import NO_FILES
from chatdb_cli.cli.render.events import batch_documents, batch_lines
from chatdb_cli.errors import ChatdbError, Code, Exit, Terminated


@command(NO_FILES)
def listen(
    context: Context,
    topic: Annotated[
        list[str] | None,
        typer.Option(
            "--topic", metavar="TOPIC", help="A table, channel:ID or user:ID; can be repeated."
        ),
    ] = None,
    cursor: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="CURSOR", help="Continue after this event (default: from now on)."
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", metavar="FILE", help="Read the cursor from this file, and keep it there."
        ),
    ] = None,
    resync: Annotated[
        bool,
        typer.Option(
            "--resync",
            help="If the cursor is too old, print that as an event, and continue from now.",
        ),
    ] = False,
) -> None:
    """Print change events of the chat schema as they happen.

    It starts with the events since the cursor, and ends with Ctrl-C.
    """
    from chatdb_cli.events.cursor_file import read_cursor, write_cursor
    from chatdb_cli.events.listener import Listener
    from chatdb_cli.signals import signals_deferred

    if cursor is not None and state:
        raise ChatdbError(
            Code.USAGE, "--from and --state contradict each other", hint="give one of them"
        )
    printed = read_cursor(state) if state else cursor or ""

    def keep(cursor: str) -> None:
        nonlocal printed
        printed = cursor
        if state:
            write_cursor(state, cursor)

    try:
        target = context.target()
        with Listener(target, printed, topics=topic or (), report=context.out.say) as listener:
            keep(listener.cursor)
            text = f"listening to {target}"
            context.out.say(log.info("listener", text, state="listening", cursor=listener.cursor))
            for batch in listener.batches(resync=resync):
                # What was printed and what the file contains are the same also after Ctrl-C.
                with signals_deferred():
                    context.out.stream(batch_documents(target, batch), batch_lines(batch))
                    keep(batch.cursor)
    except KeyboardInterrupt as signal:  # the regular end
        if printed and not state:
            text = f"to continue from here, give --from '{printed}'"
            context.out.say(log.info("listener", text, state="ended", cursor=printed))
        terminated = isinstance(signal, Terminated)
        raise typer.Exit(Exit.TERMINATED if terminated else Exit.INTERRUPTED) from None
