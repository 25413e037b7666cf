"""The streams: results on stdout as text or JSON, all else on stderr.  The only user of rich.

stdout carries the result alone; stderr carries the target, progress, warnings and the human form of
an error.  Colors and bars appear on a terminal only; elsewhere tables are plain and never cut.

Each line of stderr is also a record of the log (`log.py`): the library has logged it, or a method here
does.  With `--log-format json` the handler of `logs.py` writes the records, and the methods here write
nothing to stderr.  What does not belong here: the keys and the words of a result (`render/`), exit
codes.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chatdb_cli import log
from chatdb_cli.cli.render.styles import STYLES, WARNING
from chatdb_cli.cli.render.table import Table, layout_table
from chatdb_cli.cli.render.text import one_line, printable
from chatdb_cli.cli.words import in_words
from chatdb_cli.errors import ChatdbError, Code, errno_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Literal, TextIO

    from rich.console import Console

    from chatdb_cli.cli.bar import Bar
    from chatdb_cli.cli.render.document import Document, Rendered
    from chatdb_cli.postgres.model import Target


@dataclass
class Output:
    """The streams of a command, and the form of what is written to them.

    Attributes:
        form: text, or one JSON document on stdout.
        quiet: no progress, no target, no notes.
        logs: stderr carries the records of the log, as JSON lines, and nothing else.
        is_final: the settings were read, so that this is how they want it.
        command: the words of the command, such as `migrate up`, once they are known; else empty.
        about: the target, once it is known; the document of an error names it.
        stdout: for the result.
        stderr: for all else.
        bar: the progress bar, while there is one.
    """

    form: Literal["text", "json"] = "text"
    quiet: bool = False
    about: Target | None = None
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)
    bar: Bar | None = None
    _console: Console | None = None
    # Not fields, which are slower to define: nothing passes them.
    logs = False
    is_final = False
    command = ""

    # --- stderr -----------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Write a note on one line, unless `--quiet` was given."""
        self.line(one_line(self.recorded(text)))

    def recorded(self, text: str, prefix: str = "") -> str:
        """Return a text in the words of the command line; log it as a note, unless it is recorded.

        Args:
            text: of the library or of a command.
            prefix: put before it, such as the version of a migration.
        """
        words = f"{prefix}{in_words(log.original(text))}"
        if not isinstance(text, log.Recorded):
            log.info("note", words)
        return words

    def line(self, text: str, style: str = "") -> None:
        """Write a line for people that the log has as a record, unless `--quiet` was given."""
        if not self.quiet:
            self._line(text, style)

    def warn(self, *texts: str) -> None:
        """Write warnings, also with `--quiet`."""
        for text in texts:
            if not isinstance(text, log.Recorded):
                log.warning("warning", text)
            self._line(f"warning: {in_words(log.original(text))}", WARNING)

    def ask(self, question: str) -> None:
        """Write a question without a line end."""
        log.warning("question", question.strip())
        self.write(question)

    def write(self, text: str) -> None:
        """Write a text for people without a line end, such as a help page."""
        if not self.logs:
            self.stderr.write(printable(text))
            self.stderr.flush()

    def target(self, target: Target) -> None:
        """Write which target is about to be changed."""
        self.about = target
        if log.enabled():
            from chatdb_cli.cli.render.document import target_document

            log.info("target", f"target: {target}", **target_document(target)["target"])
        self.line(one_line(f"target: {target}"))

    def open_bar(self, total: int, *, facts: bool = False) -> None:
        """Show a progress bar, if stderr is a terminal.

        Args:
            total: the number of steps.
            facts: show facts about the progress, in place of the number of steps.
        """
        if not (self.quiet or self.logs) and total and self.stderr.isatty():
            from chatdb_cli.cli.bar import Bar

            self.bar = Bar(self._terminal(), total, facts=facts)

    def close(self) -> None:
        """Remove the progress bar."""
        if self.bar:
            self.bar.stop()
            self.bar = None

    def _line(self, text: str, style: str = "") -> None:
        if self.logs:
            return
        text = printable(text)
        if self.stderr.isatty():
            from rich.text import Text

            self._terminal().print(Text(text, style=style))
        else:
            print(text, file=self.stderr, flush=True)

    def _terminal(self) -> Console:
        if self._console is None:
            from rich.console import Console

            self._console = Console(file=self.stderr, highlight=False, soft_wrap=True)
        return self._console

    # --- stdout -----------------------------------------------------------------------------------

    def result(self, rendered: Rendered) -> None:
        """Print a result: the document in JSON mode, else the text."""
        self.close()
        if self.form == "json":
            self.text(self._json(rendered.document))
        else:
            self.text(self._text(rendered))

    @property
    def window(self) -> tuple[int, int] | None:
        """Columns and lines of the terminal that the result is written to; None if it is none."""
        if not self.stdout.isatty():
            return None
        size = shutil.get_terminal_size()
        return size.columns, size.lines

    def replace(self, results: Iterable[Rendered]) -> None:
        """Print results that replace each other: on a terminal in place, else a document a line."""
        if self.form == "json" or self.window is None:
            for rendered in results:
                self.text(self._json(rendered.document))
            return
        from chatdb_cli.cli.screen import Screen

        with Screen(self.stdout) as screen:
            for rendered in results:
                screen.draw(self._text(rendered))

    def _text(self, rendered: Rendered) -> str:
        parts = (self._layout(p) if isinstance(p, Table) else p for p in rendered.text)
        return "".join(map(_lines, parts))

    def stream(self, documents: Iterable[Document], lines: Sequence[str]) -> None:
        """Print a part of a result that has no end: a document or a line for each item."""
        self.text("\n".join(map(self._json, documents) if self.form == "json" else lines))

    def text(self, text: str) -> None:
        """Print a text as it is.

        Raises:
            ChatdbError: `INTERNAL`, stdout can't be written.
        """
        try:
            self.stdout.write(_lines(text))
            self.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            discard(self.stdout)
            raise ChatdbError(
                Code.INTERNAL,
                f"the result can't be written: {(error.strerror or str(error)).lower()}",
                hint="the command itself has succeeded",
                errno=errno_name(error),
            ) from None

    def _json(self, document: Document) -> str:
        unicode = (self.stdout.encoding or "").lower().replace("-", "") == "utf8"
        return json.dumps(document, ensure_ascii=not unicode)

    def _layout(self, table: Table) -> str:
        if not self.stdout.isatty():
            return layout_table(table)
        return layout_table(table, room=shutil.get_terminal_size().columns, paint=self._painter())

    def _painter(self) -> Callable[[str], str]:
        from rich.console import Console

        console = Console(file=self.stdout, highlight=False)

        def paint(cell: str) -> str:
            style = STYLES.get(cell)
            if style is None:
                return cell
            with console.capture() as captured:
                console.print(cell, style=style, end="")
            return captured.get()

        return paint

    # --- errors -----------------------------------------------------------------------------------

    def error(self, error: ChatdbError) -> None:
        """Print an error: a document on stdout in JSON mode, and always for people on stderr."""
        from chatdb_cli.cli.render.error import failure_document, failure_text

        self.close()
        if self.form == "json":
            with suppress(ChatdbError):  # stdout is full; stderr still gets the error
                self.text(self._json(failure_document(error, self.about)))
        self.record(error)
        for part in failure_text(error):
            if isinstance(part, Table):
                for row in layout_table(part).splitlines():
                    self._line(f"  {row}")
            else:
                self._line(*part)

    def explain(self, error: ChatdbError) -> None:
        """Write an error for people on stderr alone, after a result that contains it."""
        from chatdb_cli.cli.render.error import error_lines

        self.record(error)
        for text, style in error_lines(error):
            self._line(text, style)

    def record(self, error: ChatdbError) -> None:
        """Log an error, and write nothing: a result has shown it."""
        if log.enabled():
            from chatdb_cli.cli.render.error import error_document

            data = error_document(error) | {"exit_code": int(error.exit)}
            del data["correlation_id"]  # the record has it
            log.error("error", data.pop("message"), **data)


def _lines(text: str) -> str:
    """Return a text that ends with a line end, unless it is empty."""
    return text if text.endswith("\n") or not text else f"{text}\n"


def discard(stream: TextIO) -> None:
    """Discard what could not be written; the interpreter would try it again at its end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
