"""The public API: what is exported, that it is complete, and what a wrong argument says."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import chatdb_cli
from chatdb_cli.cli.app import application
from tests.support.database import Database
from tests.support.paths import ROOT

EXPORTS: dict[str, str] = chatdb_cli._EXPORTS
# Each command, and the name of the library that does the same.
COUNTERPARTS = {
    "init": "init_project",
    "setup": "setup",
    "seed": "seed_files",
    "docs": "write_schema_docs",
    "listen": "listen",
    "health": "check_health",
    "counts": "count_rows",
    "tunnel": "open_tunnel",
    "migrate up": "Migrator.up",
    "migrate down": "Migrator.down",
    "migrate redo": "Migrator.redo",
    "migrate baseline": "Migrator.baseline",
    "migrate mark": "Migrator.mark",
    "migrate unmark": "Migrator.mark",
    "migrate repair": "Migrator.repair",
    "migrate status": "Migrator.status",
    "migrate history": "Migrator.history",
    "migrate new": "new_migration",
    "migrate lint": "lint_files",
    "verify": "verify_project",
    "migrate rehearse": "rehearse_migrations",
    "migrate drift": "check_drift",
    "migrate snapshot": "save_snapshot",
    "server start": "EmbeddedServer.start",
    "server stop": "EmbeddedServer.stop",
    "server status": "EmbeddedServer.status",
    "server url": "EmbeddedServer.url",
    "server psql": "EmbeddedServer.url",
    "server destroy": "EmbeddedServer.destroy",
}


def commands() -> list[str]:
    import typer

    root = typer.main.get_command(application())
    names: list[str] = []
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        names += [f"{name} {word}" for word in inner] if inner else [name]
    return names


def test_every_command_has_a_counterpart_in_the_library() -> None:
    # A library completes nothing: there is no shell.
    assert sorted(commands()) == sorted([*COUNTERPARTS, "completion"])
    for path in COUNTERPARTS.values():
        name, _, method = path.partition(".")
        assert name in chatdb_cli.__all__
        assert not method or callable(getattr(getattr(chatdb_cli, name), method))


def test_type_checkers_see_the_names_that_are_exported() -> None:
    tree = ast.parse((ROOT / "chatdb_cli/__init__.py").read_text(encoding="utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If))
    imported: dict[str, str] = {}
    for node in block.body:
        if isinstance(node, ast.Assign):  # a former name
            alias_of, original_name = ast.unparse(node.targets[0]), ast.unparse(node.value)
            imported[alias_of] = f"{imported[original_name]}:{original_name}"
            continue
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.asname, "without `as`, mypy does not export it"
            assert alias.name == alias.asname
            imported[alias.asname] = str(node.module).removeprefix("chatdb_cli.")
    assert imported == EXPORTS
    assert chatdb_cli.__all__ == sorted(EXPORTS)


def test_every_name_exists_and_has_a_docstring() -> None:
    assert [name for name in EXPORTS if not inspect.getdoc(getattr(chatdb_cli, name))] == []
    assert EXPORTS.keys() <= set(dir(chatdb_cli))


def test_no_public_name_is_that_of_a_package() -> None:
    """Importing a package would replace the public name by the package."""
    packages = {p.stem for p in (ROOT / "chatdb_cli").iterdir()}
    assert packages & set(EXPORTS) == set()


def test_the_former_names_still_work() -> None:
    assert chatdb_cli.Event is chatdb_cli.Progress
    assert chatdb_cli.seed_small is chatdb_cli.seed_files


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'chatdb_cli' has no attribute 'nope'"):
        chatdb_cli.nope  # noqa: B018


# --- every type in a public signature -----------------------------------------------------------------


def type_names(path: Path) -> dict[str, str]:
    """Return the names that a module imports only for type checkers, and their origins."""
    names: dict[str, str] = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names |= {a.asname or a.name: f"{node.module}:{a.name}" for a in node.names}
        elif isinstance(node, ast.Import):
            names |= {a.asname or a.name: a.name for a in node.names}
    return names


def scope_of(module: types.ModuleType) -> dict[str, Any]:
    """Return the names of a module, including those for type checkers."""
    from importlib import import_module

    assert module.__file__
    scope: dict[str, Any] = dict(vars(typing))
    for name, origin in type_names(Path(module.__file__)).items():
        source, _, attribute = origin.partition(":")
        loaded = import_module(source)
        scope[name] = getattr(loaded, attribute, None) if attribute else loaded
    return scope | vars(module)


def hints(exported: Any) -> Iterator[Any]:
    """Yield the annotations of a function, or of the public attributes and methods of a class."""
    if inspect.isclass(exported):
        scope = scope_of(sys.modules[exported.__module__])
        yield from typing.get_type_hints(exported, scope).values()
        for name, member in vars(exported).items():
            if not name.startswith("_") or name == "__init__":
                function = member.fget if isinstance(member, property) else member
                function = getattr(function, "__func__", function)  # of a class method
                if inspect.isfunction(function):
                    yield from typing.get_type_hints(function, scope).values()
    else:
        yield from typing.get_type_hints(
            exported, scope_of(sys.modules[exported.__module__])
        ).values()


def classes(hint: Any) -> Iterator[type]:
    """Yield the classes of chatdb in an annotation."""
    if inspect.isclass(hint) and hint.__module__.startswith("chatdb_cli."):
        yield hint
    for part in typing.get_args(hint):
        for inner in part if isinstance(part, list) else [part]:
            yield from classes(inner)


# Arguments and attributes that only chatdb itself uses.
INTERNAL = {"Facts", "Transport", "Closing"}


def test_every_type_in_a_public_signature_is_exported() -> None:
    exported = {getattr(chatdb_cli, name) for name in EXPORTS}
    missing = {
        f"{used.__module__}.{used.__name__} in {getattr(value, '__name__', value)}"
        for value in exported
        for hint in hints(value)
        for used in classes(hint)
        if used not in exported and used.__name__ not in INTERNAL
    }
    assert missing == set()


def test_results_are_values_that_can_not_be_changed() -> None:
    for name in ("Run", "Status", "StepResult", "Loss", "Settings", "Target"):
        kind: Any = getattr(chatdb_cli, name)
        assert dataclasses.is_dataclass(kind)
        assert vars(kind)["__dataclass_params__"].frozen
    for name in ("Finding", "Progress", "Repair", "Repairs", "Change", "Migration"):
        kind = getattr(chatdb_cli, name)
        frozen = dataclasses.is_dataclass(kind) and vars(kind)["__dataclass_params__"].frozen
        assert frozen or issubclass(kind, tuple)


# --- what is natural to try ---------------------------------------------------------------------------

SETTINGS = "load_settings\\(\\) reads them"
TARGET = "open_target\\(settings\\) returns one"


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (chatdb_cli.Migrator, TARGET),
        (chatdb_cli.connect, TARGET),
        (chatdb_cli.open_pool, TARGET),
        (chatdb_cli.seed_files, TARGET),
        (lambda value: chatdb_cli.seed_at_scale(value, 10), TARGET),
        (chatdb_cli.read_schema, TARGET),
        (chatdb_cli.Listener, TARGET),
        (chatdb_cli.setup_test_schema, SETTINGS),
        (chatdb_cli.setup_test_database, SETTINGS),
        (chatdb_cli.drop_test_schema, SETTINGS),
        (chatdb_cli.drop_test_database, SETTINGS),
        (chatdb_cli.open_target, SETTINGS),
        (chatdb_cli.open_tunnel, SETTINGS),
        (chatdb_cli.check_tunnel, SETTINGS),
        (chatdb_cli.setup, SETTINGS),
        (chatdb_cli.listen, SETTINGS),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
@pytest.mark.parametrize("value", ["postgresql://me:secret@host/db", None, 7], ids=repr)
def test_an_argument_of_a_wrong_type_has_a_clear_message(
    call: Callable[[Any], Any], sentence: str, value: object
) -> None:
    with pytest.raises(TypeError, match=f"^the argument must be of type .*: {sentence}") as caught:
        call(value)
    assert "secret" not in str(caught.value)


def test_a_migrator_accepts_settings_and_closes_the_target_that_it_opened(
    database: Database,
) -> None:
    settings = database.target().settings
    with chatdb_cli.Migrator(settings, "@chat") as migrator:
        assert migrator.up().current == migrator.status().current
        assert str(migrator.target.database) == database.name
