"""Errors are values: complete when created, and copied to change an attribute."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import cast

import pytest

from chatdb_cli.errors import ChatdbError, Code, Location, errno_name
from chatdb_cli.migrate.model import MigrationError, Run


def test_a_copy_differs_in_what_was_changed_and_nothing_else() -> None:
    error = ChatdbError(
        Code.LOST, "lost", hint="again", place=Location(Path("a.sql")), notes=("a",)
    )
    copy = error.with_(message="gone", notes=("a", "b"))
    assert (copy.message, str(copy), copy.notes) == ("gone", "gone", ("a", "b"))
    assert (copy.code, copy.hint, copy.place) == (error.code, error.hint, error.place)
    assert (error.message, str(error), error.notes) == ("lost", "lost", ("a",))


def test_a_copy_keeps_its_type_its_run_its_cause_and_its_traceback() -> None:
    run = cast("Run", object())
    with pytest.raises(MigrationError) as caught:
        raise MigrationError(ChatdbError(Code.LOCKED, "locked"), run) from ValueError("why")
    copy = caught.value.with_(hint="wait")
    assert type(copy) is MigrationError
    assert (copy.run, copy.hint, copy.exit) == (run, "wait", Code.LOCKED.exit)
    assert copy.__cause__ is caught.value.__cause__
    assert copy.__traceback__ is caught.value.__traceback__


def test_an_attribute_that_no_error_has_is_refused() -> None:
    with pytest.raises(TypeError, match="an error has no hints"):
        ChatdbError(Code.LOST, "lost").with_(hints="x")  # type: ignore[call-arg]


def test_errno_name_returns_the_name_of_the_number() -> None:
    assert errno_name(OSError(errno.ENOSPC, "full")) == "ENOSPC"
    assert errno_name(OSError("no number")) is None
