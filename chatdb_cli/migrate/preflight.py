"""Load the file of every step, and refuse a file that can't run, before anything runs.

    Preflight    loads the files of a run, and the texts that the history keeps
    Rules        what the connection and the guard require of files
    load         returns steps with their files

What does not belong here: which statements no migration may contain (`syntax/refusal.py`), what a
guard refuses (`guards/`).
"""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.errors import ChatdbError, Code, Location
from chatdb_cli.files.read import make_script
from chatdb_cli.history.read import read_texts
from chatdb_cli.migrate import compare
from chatdb_cli.migrate.file_checks import check_down, check_statements, combine
from chatdb_cli.migrate.model import LoadedStep
from chatdb_cli.postgres.encodings import fit_comments, unstorable
from chatdb_cli.remedy import Advice
from chatdb_cli.syntax.effects import does_something
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.statements import split_statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from chatdb_cli.files.model import Direction, Script
    from chatdb_cli.history.model import AppliedMigration, AppliedTexts
    from chatdb_cli.migrate.guards.model import Prepare, RunGuard
    from chatdb_cli.migrate.model import Step
    from chatdb_cli.migrate.session import Session
    from chatdb_cli.migrate.state import RunState


# As the server reports it, when it is sent such a character.
_UNTRANSLATABLE_CHARACTER = "22P05"


class Rules(NamedTuple):
    """What the connection and the options require of files.

    Attributes:
        prepare: returns the statements of a file as they run inside a transaction; None if a file
            that asks for it runs outside of one.
        refusals: each returns why a file can't run, or None; called in order.
        server_version: as a number, such as 180001.
        encoding: of the database, by PostgreSQL's name for it.
    """

    prepare: Prepare | None = None
    refusals: Sequence[Callable[[LoadedStep], ChatdbError | None]] = ()
    server_version: int = 0
    encoding: str = "UTF8"


def load(
    steps: Iterable[Step],
    texts: Mapping[str, AppliedTexts],
    rules: Rules,
    resumed_row: Callable[[Step], AppliedMigration | None],
) -> dict[tuple[Direction, int], LoadedStep]:
    """Return each step with its file, by the step's key.

    Args:
        steps: the steps.
        texts: the texts that the history keeps, by id, of the steps that `needs_text`.
        rules: what the connection and the guard require.
        resumed_row: returns the history's row of a step that continues where it stopped, or None.

    Raises:
        ChatdbError: `BAD_FILE` for files that can't run anywhere; `REFUSED` or `HISTORY` for those that
            can't run here.  It is the error of the first, and names the others.
    """
    loaded: dict[tuple[Direction, int], LoadedStep] = {}
    errors: list[ChatdbError] = []
    for step in steps:
        try:
            loaded[step.key] = _load_step(step, texts, rules, resumed_row(step))
        except ChatdbError as error:
            errors.append(error)
        down = step.migration.down if step.direction == "up" and step.migration else None
        if down and (refused := check_down(down, rules.server_version)):
            errors.append(refused)
    if errors:
        raise combine(errors)
    return loaded


class Preflight:
    """Loads and checks the files of a run.

    Args:
        session: where they will run, and where the history is read.
        state: gets the loaded steps.
        guard: what guards the run.
    """

    def __init__(self, session: Session, state: RunState, guard: RunGuard) -> None:
        self._session = session
        self._state = state
        refusals = [guard.refuse]
        if session.pooled:
            refusals.append(refuse_behind_pooler)
        history = state.history
        self._rules = Rules(guard.prepare, refusals, history.server_version, history.encoding)

    def load(self, steps: Iterable[Step]) -> None:
        """Load every step that is not yet loaded as it has to run now.

        Raises:
            ChatdbError: a file can't run.
        """
        steps = [s for s in steps if not self._is_loaded(s)]
        ids = [s.id for s in steps if needs_text(s)]
        schema = self._session.target.schema
        texts = read_texts(self._session.conn, schema, ids) if ids else {}
        self._state.loaded |= load(steps, texts, self._rules, self._state.resumed_row)

    def _is_loaded(self, step: Step) -> bool:
        loaded, resumes = self._state.loaded.get(step.key), self._state.resumed_row(step)
        return loaded is not None and loaded.transactional == is_transactional(
            loaded.script, self._rules, resumes
        )


def needs_text(step: Step) -> bool:
    """Return whether a step runs the down text that the history keeps, because it has no file."""
    return step.direction == "down" and not (step.migration and step.migration.down)


def is_transactional(script: Script, rules: Rules, resumes: AppliedMigration | None) -> bool:
    """Return whether a file runs inside one transaction.

    A file that stopped part-way outside of one continues outside of one.
    """
    return bool(rules.prepare) or (script.directives.transactional and resumes is None)


def refuse_behind_pooler(loaded: LoadedStep) -> ChatdbError | None:
    """Return the error of a file that needs a session of its own, or None."""
    if loaded.transactional:
        return None
    return ChatdbError(
        Code.REFUSED,
        "the file runs outside of a transaction, which needs one session of the server, but the "
        "pooler gives each transaction another session",
        hint=Advice(
            "connect to the server directly, not through the pooler; or give {pooler_session}, if "
            "the pooler assigns one session to each client"
        ),
        place=Location(loaded.script.path),
    )


def _load_step(
    step: Step,
    texts: Mapping[str, AppliedTexts],
    rules: Rules,
    resumes: AppliedMigration | None,
) -> LoadedStep:
    script = _fitted(step, _script(step, texts), rules.encoding)
    statements = split_statements(script.text)
    if error := check_statements(script, statements) or _check_empty_down(step, script, texts):
        raise error
    if rules.prepare:
        statements = rules.prepare(script, statements)
    if resumes:
        compare.resume_point(script, resumes)
    down = step.migration.down if step.direction == "up" and step.migration else None
    loaded = LoadedStep(step, script, statements, down, is_transactional(script, rules, resumes))
    for refuse in rules.refusals:
        if error := refuse(loaded):
            raise error
    return loaded


def _fitted(step: Step, script: Script, encoding: str) -> Script:
    """Return a file as a database of this encoding can have it: only its comments may change.

    Raises:
        ChatdbError: `STATEMENT`, the encoding lacks a character.
    """
    if missing := unstorable(step.id, encoding):
        raise _lacking(min(missing), encoding).with_(place=Location(script.path))
    text, offset = fit_comments(script.text, encoding)
    if offset is not None:
        place = locate(script.text, offset, script.file)
        raise _lacking(script.text[offset], encoding).with_(place=place)
    return script if text is script.text else replace(script, text=text)


def _lacking(char: str, encoding: str) -> ChatdbError:
    name = unicodedata.name(char, "unnamed")
    return ChatdbError(
        Code.STATEMENT,
        f"the encoding of the database, {encoding}, lacks the character {char!r} (U+{ord(char):04X} "
        f"{name})",
        hint="write it in another way, or use a database whose encoding is UTF8",
        sqlstate=_UNTRANSLATABLE_CHARACTER,
        notes=("nothing was changed",),
    )


def _check_empty_down(
    step: Step, script: Script, texts: Mapping[str, AppliedTexts]
) -> ChatdbError | None:
    """Return the error of a down file that undoes nothing of what its up file did, or None."""
    if step.direction == "up" or not script.is_empty or script.directives.nothing_to_undo:
        return None
    up = step.migration.up.text if step.migration else texts[step.id].up or ""
    if not does_something(up):
        return None
    return ChatdbError(
        Code.REFUSED,
        f"rolling back {step.id} would do nothing: its down file has no statement",
        hint="write what undoes the up file into it; if nothing has to be undone, write "
        '"-- chatdb: nothing-to-undo: why"',
        place=Location(script.path),
    )


def _script(step: Step, texts: Mapping[str, AppliedTexts]) -> Script:
    """Return the file that a step runs, or the text that the history keeps."""
    if step.migration:
        script = step.migration.up if step.direction == "up" else step.migration.down
        if script:
            return script
    path = Path(f"{step.id}.sql (down, from the history)")
    return make_script(path, texts[step.id].down or "", "down")
