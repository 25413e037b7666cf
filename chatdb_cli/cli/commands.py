"""Commands: from a function and shared options to what typer runs.

A command declares its own options; `Commands` adds the shared ones to its signature, reads the settings,
and gives it a `Context`.  Only the command that was asked for is built.
"""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING

import typer
from typer.core import TyperCommand

from chatdb_cli.cli.session import make_context

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Commands:
    """The commands of one module of this package.

    Building a command from its signature takes typer a millisecond, and only one will run; so that
    is done when it is known which.

    Args:
        group: what the group is for that they stand in; None where they stand on top.
    """

    def __init__(self, group: str | None = None) -> None:
        self._group = group
        self._found: dict[str, tuple[Callable[..., None], dict[str, Any]]] = {}

    def add(
        self, name: str, shared: dict[str, Any]
    ) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Take in a function as a command that has shared options beside its own.

        Args:
            name: how it is called.
            shared: one of the tables above.
        """

        def note(function: Callable[..., None]) -> Callable[..., None]:
            self._found[name] = function, shared
            return function

        return note

    def build(self, app: typer.Typer, name: str, wanted: str = "") -> None:
        """Put them into an application.

        Args:
            app: where they go.
            name: that of the group, if they stand in one.
            wanted: this command alone, where there is one of that name.
        """
        into = app
        if self._group:
            into = typer.Typer(help=self._group, no_args_is_help=True)
            app.add_typer(into, name=name)
        for each in [wanted] if wanted in self._found else self._found:
            into.command(each, cls=_Command)(_with_shared(*self._found[each]))


def _with_shared(function: Callable[..., None], shared: dict[str, Any]) -> Callable[..., None]:
    """Return what typer calls: it takes all options, and the function gets a session."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

    @wraps(function)
    def run(context: typer.Context, **given: Any) -> None:
        flags = {key: given.pop(key) for key in shared}
        session = make_context(flags, context.obj)
        try:
            function(session, **given)
        finally:
            try:
                session.out.close()
            finally:
                session.close()

    added = [
        inspect.Parameter(
            key,
            inspect.Parameter.KEYWORD_ONLY,
            default=False if kind.__origin__ is bool else None,
            annotation=kind,
        )
        for key, kind in shared.items()
    ]
    context = inspect.Parameter(
        "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    parameters = [
        context,
        *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own),
        *added,
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


class _Command(TyperCommand):
    """A command whose plain help has the sections that rich's would have."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each panel, in the order of the signature."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                kind = "Arguments" if param.param_type_name == "argument" else "Options"
                title = getattr(param, "rich_help_panel", None) or kind
                sections.setdefault(title, []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)
