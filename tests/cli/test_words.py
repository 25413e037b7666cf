"""The words of errors: the library names no flag and no command, the command line has words for all."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from chatdb_cli.cli.app import application
from chatdb_cli.cli.words import COMMAND_LINE, in_words
from chatdb_cli.remedy import Advice, Remedy
from tests.support.paths import ROOT

PACKAGE = ROOT / "chatdb_cli"
MODULES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    # These texts are pages for users of the command line: docs/errors.md and docs/checks.md.
    if path.relative_to(PACKAGE).parts[0] not in ("cli", "errors.py")
    and not path.match("verify/codes.py")
]
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
COMMAND = re.compile(
    r"\bchatdb (?:migrate|setup|server|seed|listen|docs|tunnel|counts|health|verify)\b"
)
# Strings that name a flag or a command and are no advice to a caller.
NOT_ADVICE = {
    "chatdb: a test schema, reset by chatdb setup --test",  # the comment of the schema, in databases
    "chatdb: a test database, reset by chatdb setup --test --database",  # that of the database
    "<!-- chatdb docs:",  # the mark in files
    "^<!-- chatdb docs functions\\n(.*?)^-->",  # the groups in their head
    # These speak about the command line that was typed.
    "--database-url holds a password: the process list shows it",
    "--database-url contains a password: the process list shows it",
    "--ssh-key-passphrase is a secret: the process list shows it",
    "--format ",
    "--format=",
}


def commands() -> dict[str, set[str]]:
    """The flags of each command."""
    root = typer.main.get_command(application())
    flags: dict[str, set[str]] = {}

    def walk(command: object, words: tuple[str, ...]) -> None:
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, (*words, name))
        flags[" ".join(words)] = {
            option for p in getattr(command, "params", ()) for option in p.opts
        }

    walk(root, ())
    return flags


@pytest.mark.parametrize("remedy", Remedy, ids=lambda r: r.name)
def test_each_remedy_has_words_for_both_callers(remedy: Remedy) -> None:
    assert not FLAG.search(remedy.value)
    assert not COMMAND.search(remedy.value)
    words = COMMAND_LINE[remedy]
    flags = commands()
    known = set().union(*flags.values())
    assert set(FLAG.findall(words)) <= known
    for path in re.findall(r"chatdb ([a-z ]+)", words):
        assert any(path.strip() == command for command in flags), words


def test_an_advice_has_other_words_on_the_command_line() -> None:
    advice = Advice("look at {status}, or add {allow_data_loss}")
    assert advice == "look at Migrator.status(), or add allow_data_loss=True"
    assert in_words(advice) == 'look at "chatdb migrate status", or add --allow-data-loss'
    assert in_words("a plain text") == "a plain text"


def test_an_advice_names_remedies_that_exist() -> None:
    with pytest.raises(KeyError, match="nope"):
        Advice("{nope}")


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """The strings of a module that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
        ):
            yield node.lineno, node.value


def programs_flags(path: Path) -> bool:
    """Return whether the flags in a module are those of other programs: PostgreSQL's, git, curl."""
    others = ("files/since.py", "syntax/secret_words.py")
    return path.parent.name == "embedded" or any(map(path.match, others))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_the_library_names_no_flag_and_no_command(path: Path) -> None:
    mentions = [
        (line, text)
        for line, text in strings(path)
        if text not in NOT_ADVICE
        and ((FLAG.search(text) and not programs_flags(path)) or COMMAND.search(text))
    ]
    assert mentions == []


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))]
)
def test_a_copy_of_an_advice_has_the_same_words_for_both_callers(duplicate: Any) -> None:
    advice = Advice("run {up} on {table}", table="{odd}")
    same = duplicate(advice)
    assert same == advice == "run Migrator.up() on {odd}"
    assert in_words(same) == in_words(advice)
