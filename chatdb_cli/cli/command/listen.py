"""`chatdb listen`: parse, call, hand to render."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chatdb_cli.cli.commands import Commands
from chatdb_cli.cli.options import NO_FILES
from chatdb_cli.cli.session import Context
from chatdb_cli.errors import ChatdbError, Code, Exit, Terminated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

commands = Commands()


@commands.add("listen", NO_FILES)
def listen(
    session: Context,
    topic: Annotated[
        list[str] | None,
        typer.Option(
            "--topic", metavar="TOPIC", help="A table, channel:ID or user:ID; as often as you like."
        ),
    ] = None,
    cursor: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="CURSOR", help="Go on behind this event (default: from now on)."
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="FILE", help="Keep the cursor there, and go on from it."),
    ] = None,
    resync: Annotated[
        bool,
        typer.Option(
            "--resync",
            help="When the cursor is too old, print that as an event, and go on from now.",
        ),
    ] = False,
) -> None:
    """Print change events of the chat schema as they come.

    It catches up first, and ends with Ctrl-C.
    """
    from chatdb_cli.events.cursor_file import read_cursor, write_cursor
    from chatdb_cli.events.listener import Listener

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
        target = session.target()
        with Listener(target, printed, topics=topic or (), report=session.out.say) as listener:
            keep(listener.cursor)
            session.out.say(f"listens to {target}")
            for batch in listener.batches(resync=resync):
                with _whole():
                    session.out.events(target, batch)
                    keep(batch.cursor)
    except KeyboardInterrupt as ending:  # how it is meant to end
        if printed and not state:
            session.out.say(f"--from '{printed}' goes on here")
        end = Exit.TERMINATED if isinstance(ending, Terminated) else Exit.INTERRUPTED
        raise typer.Exit(end) from None


@contextmanager
def _whole() -> Iterator[None]:
    """Let what is inside come to its end before a signal is heard; a second one is heard at once.

    So what is printed and what the state file says are one after Ctrl-C.
    """
    caught: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        caught.append(number)
        signal.signal(number, usual[number])

    signals = (signal.SIGINT, signal.SIGTERM)
    usual: dict[int, Any] = {n: h for n in signals if callable(h := signal.getsignal(n))}
    for number in usual:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
    if caught:
        raise Terminated if caught[0] == signal.SIGTERM else KeyboardInterrupt
