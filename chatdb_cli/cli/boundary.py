"""From an exception to what the user sees, and to an exit code: here and nowhere else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from chatdb_cli.cli.app import application
from chatdb_cli.cli.output import Output, discard, internal_error
from chatdb_cli.errors import ChatdbError, Code, Exit, Terminated
from chatdb_cli.redaction import redact
from chatdb_cli.settings.load import debug_requested, requested_format

if TYPE_CHECKING:
    from collections.abc import Sequence

# Typer carries its own copy of click; this is the class of all its usage errors in any version.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


def guard(arguments: Sequence[str]) -> int:
    """Run the application and return the exit code; every exception ends here."""
    # The settings may know better, once they are read: `Session` corrects it then.
    out = Output(requested_format(arguments))
    try:
        return _run(arguments, out)
    except BrokenPipeError:  # whoever read us has gone: end without a word
        discard(sys.stdout)
        discard(sys.stderr)
        return Exit.CLOSED_PIPE


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
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  (the last place to catch it)
        failure = _explained(error, out)
        try:
            out.error(failure)
        except BrokenPipeError:
            raise
        except OSError:  # nowhere left to say it; the code still does
            discard(sys.stdout)
            discard(sys.stderr)
        return failure.exit
    return Exit.DONE


def _explained(error: BaseException, out: Output) -> ChatdbError:
    """Return what is shown of an exception."""
    if isinstance(error, ChatdbError):
        if error.code is Code.USAGE:
            error.message = redact(error.message)  # a URL may stand where it does not belong
        return error
    if isinstance(error, _UsageError):
        return _usage(error, out)
    if isinstance(error, Terminated):
        return ChatdbError(Code.TERMINATED, "terminated")
    if isinstance(error, KeyboardInterrupt):
        return ChatdbError(Code.INTERRUPTED, "interrupted")
    return _internal(error)


def _usage(error: Exception, out: Output) -> ChatdbError:
    message = getattr(error, "format_message", error.__str__)()
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "chatdb"
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the whole help
        if out.form == "text":
            out.write(f"{message}\n\n")
        message = "Missing command."
    message = redact(message.strip().rstrip("."))
    return ChatdbError(
        Code.USAGE,
        message[:1].lower() + message[1:],
        hint=f'"{command} --help" lists what it takes',
    )


def _internal(error: BaseException) -> ChatdbError:
    from chatdb_cli.log import correlation_id

    if debug_requested():
        import traceback

        traceback.print_exception(error)
    return internal_error(correlation_id, error)
