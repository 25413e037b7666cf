"""Commands: from a function with shared options to what typer runs.

A command declares its own options; `command` adds the shared ones to its signature, reads the settings
and passes it a `Context`.  What does not belong here: finding the modules of the commands (`app.py`).
"""

from __future__ import annotations

import inspect
from functools import wraps
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

import typer
from typer.core import TyperCommand

from chatdb_cli.cli.context import make_context
from chatdb_cli.cli.options import ALL_OPTIONS, SHARED_PANELS

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Command(NamedTuple):
    """A function as a command.

    Attributes:
        function: takes a `Context` and the command's own options.
        shared: the options that it shares with other commands, by the name of their setting.
    """

    function: Callable[..., None]
    shared: dict[str, Any]

    def add_to(self, app: typer.Typer, name: str) -> None:
        """Build the command and add it to an application or a group.

        Building a command takes typer a millisecond, so only the one that will run is built.
        """
        app.command(name, cls=_SectionedCommand)(_with_shared(self.function, self.shared))


def command(shared: dict[str, Any]) -> Callable[[Callable[..., None]], Command]:
    """Make a command of a function, which has the name of its module.

    Args:
        shared: one of the tables of `options.py`.
    """

    def decorate(function: Callable[..., None]) -> Command:
        return Command(function, shared)

    return decorate


class PlainCommand(NamedTuple):
    """A function as a command that needs no settings.

    Attributes:
        function: takes the streams and the command's own options.
    """

    function: Callable[..., None]

    def add_to(self, app: typer.Typer, name: str) -> None:
        """Build the command and add it to an application or a group."""
        app.command(name, cls=_SectionedCommand)(self.function)


def _with_shared(function: Callable[..., None], shared: dict[str, Any]) -> Callable[..., None]:
    """Return the function that typer calls: it takes all options, and makes the context."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

    @wraps(function)
    def run(typer_context: typer.Context, **options: Any) -> None:
        flags = {key: _flag(options.pop(key)) for key in shared}
        typer_context.obj.command = typer_context.command_path.removeprefix("chatdb ")
        context = make_context(flags, typer_context.obj)
        try:
            function(context, **options)
        finally:
            try:
                context.out.close()
            finally:
                context.close()

    added = [
        inspect.Parameter(
            key,
            inspect.Parameter.KEYWORD_ONLY,
            default=False if annotation.__origin__ is bool else None,
            annotation=annotation,
        )
        for key, annotation in shared.items()
    ]
    first = inspect.Parameter(
        "typer_context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    parameters = [
        first,
        *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own),
        *added,
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _flag(value: Any) -> Any:
    """Return the value of an option as that of a setting; an option that can be repeated is a list."""
    return (",".join(value) or None) if isinstance(value, list) else value


class _SectionedCommand(TyperCommand):
    """A command whose plain help has the sections that rich's would have, its own options first."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the line `Usage:`, without typer's braces around what is required."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each panel; the options that most commands share are only named."""
        sections: dict[str, list[tuple[str, str]]] = {}
        shared: list[str] = []
        for param in self.get_params(ctx):
            if not (record := param.get_help_record(ctx)):
                continue
            kind = "Arguments" if param.param_type_name == "argument" else "Options"
            title = getattr(param, "rich_help_panel", None) or kind
            if title in SHARED_PANELS and not ctx.meta.get(ALL_OPTIONS):
                shared.append(param.opts[0])
            else:
                sections.setdefault(title, []).append(record)
        for title in sorted(sections, key=SHARED_PANELS.__contains__):
            with formatter.section(title):
                formatter.write_dl(sections[title])
        if shared:
            with formatter.section("Shared options, which --help-all explains"):
                lines = wrap(" ".join(shared), formatter.width - 2, break_on_hyphens=False)
                formatter.write("".join(f"  {line}\n" for line in lines))
