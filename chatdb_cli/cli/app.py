"""The application: finds the modules of `command/`, and builds the command that was asked for.

A module `command/docs.py` is the command `chatdb docs`, and `command/migrate/up.py` is `chatdb migrate
up`; each has a function with the name of the module.  The first paragraph of a package's docstring is
the help of its group.  So a new command is a new file, and no list is edited.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chatdb_cli.cli.options import print_version

if TYPE_CHECKING:
    from collections.abc import Sequence

_PACKAGE = "chatdb_cli.cli.command"
_FOLDER = Path(__file__).with_name("command")


def chatdb(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """PostgreSQL migrations in hand-written SQL, and the schema of a real-time chat back end.

    The database is named by DATABASE_URL, or by POSTGRES_HOST and the other POSTGRES_ variables, in
    the environment or in ./.env. If none of them is set, "chatdb setup" creates a PostgreSQL server
    for this project.
    """


def application(arguments: Sequence[str] = ()) -> typer.Typer:
    """Return the application, with the commands that the first two words can mean.

    Args:
        arguments: of the command line; without any, all commands are built.
    """
    app = typer.Typer(
        name="chatdb",
        no_args_is_help=True,
        add_completion=False,
        context_settings={"help_option_names": ["--help", "-h"]},
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(chatdb)
    first, second = [*arguments[:2], "", ""][:2]
    for word in _words(_FOLDER, first):
        module = f"{_PACKAGE}.{_module(word)}"
        folder = _FOLDER / _module(word)
        if not folder.is_dir():
            _add(app, word, module)
            continue
        description, _, _ = (inspect.getdoc(import_module(module)) or "").partition("\n\n")
        group = typer.Typer(help=description, no_args_is_help=True)
        app.add_typer(group, name=word)
        for name in _words(folder, second):
            _add(group, name, f"{module}.{_module(name)}")
    return app


def command_paths() -> list[tuple[str, ...]]:
    """Return the words of every command, as they are typed; nothing is imported."""
    paths: list[tuple[str, ...]] = []
    for word in _words(_FOLDER, ""):
        folder = _FOLDER / _module(word)
        inner = _words(folder, "") if folder.is_dir() else ()
        paths += [(word, name) for name in inner] or [(word,)]
    return paths


def _words(folder: Path, word: str) -> list[str]:
    """Return the words that name a command or a group of a folder: one alone, if it is the one typed."""
    words = sorted(
        entry.stem.replace("_", "-")
        for entry in folder.iterdir()
        if not entry.name.startswith("_") and (entry.is_dir() or entry.suffix == ".py")
    )
    return [word] if word in words else words


def _module(word: str) -> str:
    return word.replace("-", "_")


def _add(app: typer.Typer, word: str, module: str) -> None:
    name = module.rpartition(".")[2]
    getattr(import_module(module), name).add_to(app, word)
