"""The one place where an exception becomes a message and an exit code.

What does not belong here: drawing the error (`render/error.py`).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from chatdb_cli import log
from chatdb_cli.cli.app import application
from chatdb_cli.cli.output import Output, discard
from chatdb_cli.cli.words import in_words
from chatdb_cli.errors import ChatdbError, Code, Exit, Terminated
from chatdb_cli.redaction import redact
from chatdb_cli.settings.load import debug_requested, requested

if TYPE_CHECKING:
    from collections.abc import Sequence

# Typer carries its own copy of click; this is the class of all its usage errors in any version.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


def guard(arguments: Sequence[str]) -> int:
    """Run the application and return the exit code; every exception ends here."""
    # Preliminary: `make_context` sets both formats again when the settings are read.
    out = Output("json" if requested(arguments, "CHATDB_FORMAT") == "json" else "text")
    _configure_logs(arguments, out, files=False)
    start = time.monotonic()
    try:
        code = _run(arguments, out)
        if log.enabled():
            _end_logs(out.command or None, code, time.monotonic() - start)
        return code
    except BrokenPipeError:  # the reader of stdout has closed it: end silently
        discard(sys.stdout)
        discard(sys.stderr)
        return Exit.CLOSED_PIPE


def _configure_logs(arguments: Sequence[str], out: Output, *, files: bool) -> None:
    """Attach the logs that the command line requests, before the settings are read, or if they can't be.

    Args:
        arguments: of the command line.
        out: the streams.
        files: also look into the .env files, which takes time, and open the log file.
    """
    as_json = requested(arguments, "CHATDB_LOG_FORMAT", files=files) == "json"
    file = requested(arguments, "CHATDB_LOG_FILE", files=True) if files else ""
    if not (as_json or file):
        return
    from chatdb_cli.cli.logs import LogOptions, configure

    options = LogOptions(json=as_json, debug=debug_requested())
    try:
        configure(options._replace(file=Path(file).expanduser() if file else None), out)
    except (ChatdbError, RuntimeError):  # the error that is about to be reported is another one
        configure(options, out)


def _end_logs(command: str | None, code: int, duration_s: float) -> None:
    from chatdb_cli._version import __version__
    from chatdb_cli.cli.logs import detach

    log.info(
        "command",
        f"{command or 'the command'} has ended with exit code {code}",
        command=command,
        exit_code=int(code),
        duration_ms=round(duration_s * 1000),
        chatdb_version=__version__,
    )
    detach()


def _run(arguments: Sequence[str], out: Output) -> int:
    try:
        # Not `app()`: it turns a signal and a closed pipe into exit codes of its own.
        command = typer.main.get_command(application(arguments))
        with command.make_context("chatdb", list(arguments), obj=out) as context:
            command.invoke(context)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except typer.Exit as ending:
        return ending.exit_code
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  (the last place that can catch it)
        if not out.is_final:
            _configure_logs(arguments, out, files=True)
        failure = _to_chatdb_error(error, arguments, out)
        try:
            if failure.code is Code.INTERNAL and not isinstance(error, ChatdbError):
                _show_bug(error, out)
            out.error(failure)
        except BrokenPipeError:
            raise
        except OSError:  # stderr is gone, too; the exit code is left
            discard(sys.stdout)
            discard(sys.stderr)
        return failure.exit
    return Exit.DONE


def _to_chatdb_error(error: BaseException, arguments: Sequence[str], out: Output) -> ChatdbError:
    """Return the error that the user sees for an exception."""
    if isinstance(error, ChatdbError):
        # A URL may be in the wrong place of a command line, and so in the message.
        if error.code is Code.USAGE:
            return error.with_(message=redact(in_words(error.message)))
        return error
    if isinstance(error, _UsageError):
        return _usage_error(error, arguments, out)
    if isinstance(error, Terminated):
        return ChatdbError(Code.TERMINATED, "terminated")
    if isinstance(error, KeyboardInterrupt):
        return ChatdbError(Code.INTERRUPTED, "interrupted")
    return ChatdbError(
        Code.INTERNAL,
        f"internal error {log.correlation_id}: {type(error).__name__}",
        hint="run it again with CHATDB_DEBUG=1 and report what it prints",
    )


def _usage_error(error: Exception, arguments: Sequence[str], out: Output) -> ChatdbError:
    message = getattr(error, "format_message", error.__str__)()
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "chatdb"
    from chatdb_cli.cli.usage import usage_hint

    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help page
        if out.form == "text":
            out.write(f"{message}\n\n")
        message = "Missing command."
    message = redact(message.strip().rstrip("."))
    return ChatdbError(
        Code.USAGE,
        message[:1].lower() + message[1:],
        hint=usage_hint(arguments, command),
    )


def _show_bug(error: BaseException, out: Output) -> None:
    """Log an exception that is a bug in chatdb, and print its traceback if that was requested."""
    if log.enabled():
        from chatdb_cli.cli.logs import log_exception

        log_exception(error, debug=debug_requested())
    if debug_requested() and not out.logs:
        import traceback

        traceback.print_exception(error)
