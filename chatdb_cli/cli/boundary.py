"""From an exception to what the user sees, and to an exit code: here and nowhere else."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

from chatdb_cli.cli.app import app
from chatdb_cli.errors import ChatdbError, Code, Exit, Terminated
from chatdb_cli.render import Output, internal_error

if TYPE_CHECKING:
    from typing import Literal

# Typer carries its own copy of click; this is the class of all its usage errors in any version.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


def guard(arguments: list[str]) -> int:
    """Run the application and return the exit code; every exception ends here."""
    try:
        code = app(args=arguments, prog_name="chatdb", standalone_mode=False)
        sys.stdout.flush()
    except ChatdbError as error:
        return _report(error, arguments)
    except _UsageError as error:
        return _report(_usage(error), arguments)
    except typer.Exit as ending:
        return ending.exit_code
    except (KeyboardInterrupt, typer.Abort) as signal:
        term = isinstance(signal, Terminated)
        code, word = (Code.TERMINATED, "terminated") if term else (Code.INTERRUPTED, "interrupted")
        return _report(ChatdbError(code, word), arguments)
    except BrokenPipeError:
        return _closed_pipe()
    except Exception as error:  # noqa: BLE001  (a mistake of ours, and the last place to catch it)
        return _internal(error, arguments)
    return code if isinstance(code, int) else Exit.DONE


def _report(error: ChatdbError, arguments: list[str]) -> int:
    try:
        Output(form=_form(arguments)).error(error)
    except BrokenPipeError:
        return _closed_pipe()
    return error.exit


def _usage(error: Exception) -> ChatdbError:
    message = getattr(error, "format_message", error.__str__)()
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "chatdb"
    message = message.strip().rstrip(".")
    return ChatdbError(
        Code.USAGE,
        message[:1].lower() + message[1:],
        hint=f"'{command} --help' lists what it takes",
    )


def _internal(error: Exception, arguments: list[str]) -> int:
    from chatdb_cli.log import correlation_id
    from chatdb_cli.settings import debugging

    if debugging():
        import traceback

        traceback.print_exception(error)
    return _report(internal_error(correlation_id, error), arguments)


def _closed_pipe() -> int:
    """End without a word: whoever read us has gone."""
    # The interpreter flushes stdout once more at its end, and would complain then.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.CLOSED_PIPE


def _form(arguments: list[str]) -> Literal["text", "json"]:
    """Return the format that was asked for, also where the settings could not be read."""
    from chatdb_cli.settings import format_asked_for

    return format_asked_for(arguments)
