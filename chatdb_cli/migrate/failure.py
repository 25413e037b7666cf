"""Explain a failure: the outcome, the step and the state of the run as one error.

Pure: nothing here uses a connection.  A failure is identified by the part of the transaction that
failed (the lock, the claim, the file, the record), never by SQLSTATE alone, since a file may raise the
same SQLSTATE.  What does not belong here: whether a step is tried again (`runner.py`), what the guards
find (`guards/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import Error, errors

from chatdb_cli.errors import ChatdbError, Code, Location, Terminated
from chatdb_cli.migrate.entry import path_hint
from chatdb_cli.migrate.parts import Part
from chatdb_cli.postgres.diagnosis import (
    server_error,
    server_message,
    statement_error,
    unexpected_error,
)
from chatdb_cli.postgres.hints import hint_for
from chatdb_cli.postgres.pipeline import Outcome
from chatdb_cli.postgres.sqlstates import ASSERTION_FAILED, LOCK_NOT_AVAILABLE, sqlstate_of
from chatdb_cli.remedy import Advice
from chatdb_cli.syntax.effects import find_lasting_effects, is_undone_whole
from chatdb_cli.syntax.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.migrate.model import LoadedStep, Step
    from chatdb_cli.migrate.state import RunState
    from chatdb_cli.postgres.blockers import Backend

# The record fails if the file did something to the history: 42501 is reported if row-level security was
# forced on its owner, the division by zero if its rows are gone or hidden.
_HISTORY_GONE = (
    sqlstate_of(errors.UndefinedTable),
    sqlstate_of(errors.InvalidSchemaName),
    sqlstate_of(errors.UndefinedColumn),
    sqlstate_of(errors.InsufficientPrivilege),
    ASSERTION_FAILED,
)
_HISTORY_UNWRITABLE = "the history can't be written"
_WHAT_FAILED = {
    Part.SETTLE: "a deferred constraint failed at the end of the file",
    Part.COMMIT: "COMMIT failed",
    Part.RECORD: _HISTORY_UNWRITABLE,
    Part.CLAIM: _HISTORY_UNWRITABLE,
}

# Objects that an earlier tool, or a person, has created.
_EXISTS_ALREADY = tuple(
    map(
        sqlstate_of,
        (
            errors.DuplicateTable,
            errors.DuplicateObject,
            errors.DuplicateSchema,
            errors.DuplicateFunction,
        ),
    )
)
_SEE_BASELINE = Advice(
    "the history was empty: if the database has this schema already, record its version with {baseline}"
)


def explain(
    outcome: Outcome, loaded: LoadedStep, state: RunState, blockers: Sequence[Backend] = ()
) -> ChatdbError:
    """Return the error of a step.

    Args:
        outcome: the message that failed, and the server's error.
        loaded: the step.
        state: the run so far, with the history as it is now.
        blockers: the sessions that the statement waited for.
    """
    error, message = outcome.error, outcome.message
    assert error is not None  # noqa: S101  (a failed message has an error)
    assert message is not None  # noqa: S101
    notes: tuple[str, ...] = (fate_of(outcome, loaded, state),)
    if state.was_empty and error.sqlstate in _EXISTS_ALREADY:
        notes = (*notes, _SEE_BASELINE)
    if message.part is Part.FILE:
        return _explain_statement(
            error, message.number, loaded, blockers, notes, state.history.encoding
        )
    code, what = Code.STATEMENT, _WHAT_FAILED.get(message.part)
    if what is None:
        what = f"{message.sql.decode()!r} failed"
    if message.part is Part.CLAIM and error.sqlstate == ASSERTION_FAILED:
        code = Code.HISTORY
        what = (
            "the history changed since the plan was made, but reading it again shows no difference: "
            "a trigger on its tables may keep rows out"
        )
    if message.part is Part.RECORD and error.sqlstate in _HISTORY_GONE:
        return _explain_lost_history(error, loaded, notes)
    failure = server_error(error, code, what)
    if message.part is Part.SETTLE:
        failure = failure.with_(
            hint=hint_for(error.sqlstate, error.diag)
            or Advice(f"correct the file and run {{{loaded.step.direction}}} again")
        )
    if error.sqlstate == ASSERTION_FAILED:  # the division by zero is chatdb's own
        failure = failure.with_(message=what, hint=Advice("look at {status}, and run {up} again"))
    return failure.with_(place=Location(loaded.script.path), notes=failure.notes + notes)


def _explain_lost_history(error: Error, loaded: LoadedStep, notes: tuple[str, ...]) -> ChatdbError:
    """Return the error of a file after which chatdb's own tables are not as they were."""
    hidden = error.sqlstate in (ASSERTION_FAILED, sqlstate_of(errors.InsufficientPrivilege))
    how = "emptied, renamed, moved or hidden" if hidden else "dropped, renamed or moved"
    server = () if error.sqlstate == ASSERTION_FAILED else (server_message(error),)
    also = "" if server else "; or a trigger on them keeps a row out"
    return ChatdbError(
        Code.STATEMENT,
        f"the file has {how} the history: chatdb's own tables, or their schema{also}",
        place=Location(loaded.script.path),
        hint="leave the tables of the history, their schema and its name, their owner and their "
        "row-level security as they are: _yoyo_migration, _yoyo_log, _yoyo_version, chatdb_migration",
        sqlstate=error.sqlstate if server else None,
        notes=(*server, *notes),
    )


def explain_tables(outcome: Outcome, state: RunState) -> ChatdbError:
    """Return the error of what is sent before any step: it creates the tables of the history."""
    assert outcome.error is not None  # noqa: S101
    schema = state.target.schema
    what, hint = f"the tables of the history can't be created in schema {schema!r}", None
    if state.history.complete:  # what failed prepares the statements that write the history
        what = _HISTORY_UNWRITABLE
        if isinstance(outcome.error, errors.FeatureNotSupported):
            what += f": a rule on one of its tables in schema {schema!r} rewrites what is recorded"
            hint = '"SELECT * FROM pg_rules" shows the rule; drop it'
    failure = server_error(outcome.error, Code.STATEMENT, what)
    if hint:
        return failure.with_(hint=hint)
    if isinstance(outcome.error, errors.InsufficientPrivilege) and (
        hint := path_hint(state.history, state.target)
    ):
        return failure.with_(hint=hint)
    return failure


def explain_end(problem: BaseException) -> ChatdbError:
    """Return the error of what ended a run."""
    if isinstance(problem, ChatdbError):
        return problem
    if isinstance(problem, KeyboardInterrupt):  # between two pipelines, or before the first
        return explain_cut(Outcome(interrupt=problem), None)
    assert isinstance(problem, Error)  # noqa: S101
    return unexpected_error(problem)


def explain_cut(
    outcome: Outcome,
    undone: Step | None,
    unknown: str | None = None,
    *,
    notes: tuple[str, ...] = (),
) -> ChatdbError:
    """Return the error of a run that was interrupted or lost its connection.

    Args:
        outcome: how it ended.
        undone: the first step that is not done, or None.
        unknown: what to do if the history could not be read afterwards; None if it was.
        notes: what became of the steps.
    """
    hint = unknown or "run the same command again to continue"
    if outcome.interrupt is not None:
        terminated = isinstance(outcome.interrupt, Terminated)
        code = Code.TERMINATED if terminated else Code.INTERRUPTED
        return ChatdbError(code, code.slug, hint=hint, notes=notes)
    reason = str(outcome.error).strip().splitlines()
    during = f" while {undone.id} ran" if undone else ""
    return ChatdbError(
        Code.LOST,
        f"the connection was lost{during}: {reason[0] if reason else 'no reason given'}",
        hint=hint,
        sqlstate=outcome.error.sqlstate if outcome.error else None,
        notes=notes,
    )


def fate_of(outcome: Outcome, loaded: LoadedStep, state: RunState) -> str:
    """Return what became of the transaction of a step that failed, and what stays of the run."""
    message = outcome.message
    piecewise = not loaded.transactional and message is not None and message.part is not Part.CLAIM
    last = message.number if message is not None and message.part is Part.FILE else None
    return fate(loaded.step, state, piecewise=piecewise, last=last)


def fate(step: Step, state: RunState, *, piecewise: bool, last: int | None = None) -> str:
    """Return what became of a step that failed, and what stays of the run.

    Args:
        step: the step.
        state: the run so far, with the history as it is now.
        piecewise: the step ran outside of a transaction.
        last: the number of the statement that failed; None if any of them may have run.
    """
    is_whole = not piecewise and is_undone(state, step, last)
    rest = what_stays(state) or _what_changed(state, is_whole=is_whole)
    if not piecewise:
        return f"{step.version} was rolled back{_lasting_effects(state, step)}; {rest}"
    unfinished = state.unfinished_of(step)
    if unfinished is None:
        verb = "pending" if step.direction == "up" else "applied"
        return f"none of the statements of {step.version} is done: it is {verb} as before; {rest}"
    count = len(unfinished.statements_done)
    verb = "are" if count > 1 else "is"
    return (
        f"{step.version} stopped part-way: {count or 'none'} of its statements {verb} done; {rest}"
    )


def is_undone(
    state: RunState, step: Step, last: int | None = None, *, trust_triggers: bool = False
) -> bool:
    """Return whether the rollback of a step undoes everything that its file can have done.

    Args:
        state: the run so far.
        step: the step.
        last: the number of the last statement that ran; None if any of them may have run.
        trust_triggers: a statement that deletes or updates rows does nothing but that.
    """
    loaded = state.loaded.get(step.key)
    if loaded is None or not loaded.transactional or loaded.statements is None:
        return False
    ran = loaded.statements if last is None else loaded.statements[: last + 1]
    return is_undone_whole(ran, trust_triggers=trust_triggers)


def _lasting_effects(state: RunState, step: Step) -> str:
    """Return what the text of a file shows that no rollback undoes; empty if there is nothing."""
    loaded = state.loaded.get(step.key)
    if loaded is None:
        return ""
    effects = find_lasting_effects(loaded.script.text, loaded.statements)
    names = ", ".join(dict.fromkeys(effect.what for effect in effects))
    return f", except for what {names} did, which no rollback undoes" if names else ""


def _what_changed(state: RunState, *, is_whole: bool) -> str:
    """Return what a run has changed that no version stays of."""
    if not is_whole:
        return "no other version was changed"
    if state.has_new_tables:
        return "only the tables of the history were created"
    return "nothing else was changed"


def what_stays(state: RunState) -> str:
    """Return what stays of the run so far; empty if nothing was done."""
    stays = []
    for result, word in (("applied", "applied"), ("reverted", "rolled back")):
        versions = [r.version for r in state.results.values() if r.state == result]
        if len(versions) == 1:
            stays.append(f"{versions[0]} stays {word}")
        elif versions:
            stays.append(f"{versions[0]} to {versions[-1]} stay {word}")
    return " and ".join(stays)


def _explain_statement(
    error: Error,
    number: int,
    loaded: LoadedStep,
    blockers: Sequence[Backend],
    notes: tuple[str, ...],
    encoding: str,
) -> ChatdbError:
    """Return the error of a statement of the file."""
    script = loaded.script
    statement = loaded.statements[number] if loaded.statements else Statement(script.text, 0)
    failure = statement_error(
        error,
        script.path,
        script.text,
        statement,
        statements=loaded.statements,
        direction=loaded.step.direction,
        encoding=encoding,
        notes=notes,
    )
    if error.sqlstate != LOCK_NOT_AVAILABLE:
        return failure
    waited = tuple(f"it waited for {blocker}" for blocker in blockers)
    return failure.with_(code=Code.LOCKED, notes=waited + failure.notes)
