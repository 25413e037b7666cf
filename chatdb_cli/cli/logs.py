"""The logs of a command: JSON lines on stderr with `--log-format json`, and the file of `--log-file`.

    Logs    attaches the handlers of a run, and captures what else would write to stderr

In JSON mode stderr carries records alone, so whatever would write there is turned into a record:
warnings of Python, the loggers of other libraries, exceptions in threads, and what C libraries print.
In text mode `Output` prints, and only the statements of `--verbose` come from here.  The file always
gets JSON lines: a log that is kept needs the time and the run of each line.

What does not belong here: the events (`log_events.py`), the text on stderr (`output.py`).
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli import log
from chatdb_cli.cli.stderr import capture
from chatdb_cli.cli.words import in_words
from chatdb_cli.errors import ChatdbError, Code, errno_name

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path
    from typing import TextIO

    from chatdb_cli.cli.output import Output


class LogOptions(NamedTuple):
    """What is logged, and where.

    Attributes:
        json: stderr carries JSON lines, and nothing else.
        quiet: only warnings and errors on stderr; the file gets all the same.
        verbose: also records of the level debug.
        file: the file that gets JSON lines, too, or None.
        debug: internal errors have their traceback.
    """

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    file: Path | None = None
    debug: bool = False


def configure(options: LogOptions, out: Output) -> None:
    """Attach the handlers of a run to the logger `chatdb`; those of an earlier call are replaced.

    Args:
        options: what is logged, and where.
        out: the streams.

    Raises:
        ChatdbError: `SETTINGS`, the file can't be opened.
    """
    file = _File(options.file, out.warn) if options.file else None
    out.logs = options.json
    if options.json:
        capture(_log_line)
        out.stderr = sys.stderr
    handlers: list[logging.Handler] = [file] if file else []
    if options.json:
        handlers.append(_JsonStream(out.stderr, options))
    elif options.verbose:
        handlers.append(_StatementLines(out.stderr))
    detach()
    for handler in handlers:
        log.logger.addHandler(handler)
        if not isinstance(handler, _StatementLines):
            logging.getLogger().addHandler(handler)
    log.logger.setLevel(logging.DEBUG if options.verbose else logging.INFO)
    log.logger.propagate = False
    if options.json:
        _capture(options)


def detach() -> None:
    """Remove and close the handlers of a run: a program may run several commands in one process."""
    for logger in (log.logger, logging.getLogger()):
        for handler in [h for h in logger.handlers if isinstance(h, _Handler)]:
            logger.removeHandler(handler)
            handler.close()
    log.logger.setLevel(logging.NOTSET)


def _log_line(line: str) -> None:
    log.warning("library", line, logger="stderr")


class _Handler(logging.Handler):
    """A handler of this module, so that it can be removed again."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (a name of logging)
        """Raise the error: a closed pipe ends the command, as it does in text mode."""
        del record
        raise  # what logging is handling while it calls this


class _JsonStream(_Handler):
    """Writes JSON lines to stderr."""

    def __init__(self, stream: TextIO, options: LogOptions) -> None:
        super().__init__(logging.DEBUG if options.verbose else logging.INFO)
        self._stream = stream
        self._quiet = options.quiet
        self.setFormatter(log.JsonLines(in_words))

    def emit(self, record: logging.LogRecord) -> None:
        if self._quiet and record.levelno == logging.INFO:
            return
        try:
            self._stream.write(f"{self.format(record)}\n")
            self._stream.flush()
        except (OSError, ValueError):
            self.handleError(record)


class _StatementLines(_Handler):
    """Writes each statement as a line of text, for `--verbose`."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(logging.DEBUG)
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "event", "") == "statement":
            data = " ".join(f"{key}={value}" for key, value in getattr(record, "data", {}).items())
            print(f"debug: statement {data}", file=self._stream, flush=True)


class _File(_Handler):
    """Appends JSON lines to a file; opens it again after it was renamed, as logrotate does.

    Each line is one write to a file that is open for appending, so lines of processes do not mix.
    """

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        super().__init__(logging.DEBUG)
        self._path = path.absolute()
        self._shown = path
        self._warn = warn
        self._fd = -1
        self._failed = False
        self.setFormatter(log.JsonLines(in_words))
        try:
            self._open()
        except (OSError, ValueError) as error:
            raise ChatdbError(
                Code.SETTINGS,
                f"the log file {str(path)!r} can't be opened: {_reason(error)}",
                hint="name a file in a folder that exists and that you may write to",
                errno=errno_name(error) if isinstance(error, OSError) else None,
            ) from None

    def _open(self) -> None:
        # Without O_NONBLOCK a FIFO that nobody reads would block here for ever.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(self._path, flags | os.O_NOCTTY | os.O_NONBLOCK, 0o600)
        os.set_blocking(self._fd, True)

    def emit(self, record: logging.LogRecord) -> None:
        if self._failed:
            return
        try:
            self._follow()
            line = f"{self.format(record)}\n".encode()
            while line:
                line = line[os.write(self._fd, line) :]
        except OSError as error:
            # A full disk must not end a migration.
            self._failed = True
            self._warn(f"the log file {str(self._shown)!r} can't be written: {_reason(error)}")

    def _follow(self) -> None:
        """Open the file again if the path is another file now, or none."""
        try:
            now = self._path.stat()
        except FileNotFoundError:
            now = None
        before = os.fstat(self._fd)
        if now is None or (now.st_dev, now.st_ino) != (before.st_dev, before.st_ino):
            self._close()
            self._open()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1  # the number may soon be that of another file

    def close(self) -> None:
        self._close()
        super().close()


def _reason(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


# --- what else would write to stderr --------------------------------------------------------------


def _capture(options: LogOptions) -> None:
    """Turn warnings of Python and exceptions that nothing catches into records."""
    import threading
    import warnings

    def show_warning(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object
    ) -> None:
        log.warning("warning", str(message), category=category.__name__, file=filename, line=lineno)

    def show_exception(kind: type[BaseException], error: BaseException | None, *_: object) -> None:
        log_exception(error or kind(), debug=options.debug)

    def show_thread(arguments: threading.ExceptHookArgs) -> None:
        error = arguments.exc_value or arguments.exc_type()
        name = arguments.thread.name if arguments.thread else None
        log_exception(error, debug=options.debug, thread=name)

    def show_unraisable(arguments: sys.UnraisableHookArgs) -> None:
        log_exception(arguments.exc_value or arguments.exc_type(), debug=options.debug)

    warnings.showwarning = show_warning  # type: ignore[assignment]
    threading.excepthook = show_thread
    sys.excepthook = show_exception
    sys.unraisablehook = show_unraisable


def log_exception(error: BaseException, *, debug: bool, thread: str | None = None) -> None:
    """Log an exception that is a bug.

    Args:
        error: the exception; its text may hold a secret, so only its type is logged.
        debug: also log the traceback, with the text.
        thread: the name of the thread, if it is not the main one.
    """
    lines = None
    if debug:
        import traceback

        lines = "".join(traceback.format_exception(error)).splitlines()
    log.error(
        "internal_error",
        f"internal error: {type(error).__name__}",
        exception=type(error).__name__,
        thread=thread,
        traceback=lines,
    )
