"""Scratch databases: create, mark, drop; and drop those that a killed run left.

    scratch_place    opens the place, where a run creates scratch databases
    ScratchPlace     the place: `database()` is one of them, for the time of a block

What does not belong here: which server (`place.py`).
"""

from __future__ import annotations

import secrets
import zlib
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import psycopg
from psycopg import errors
from psycopg.rows import class_row

from chatdb_cli import log
from chatdb_cli.callbacks import ignore
from chatdb_cli.closing import Closing
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.connect import blame_tunnel, connect
from chatdb_cli.postgres.diagnosis import explain_failures, server_error
from chatdb_cli.postgres.model import require_target
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.remedy import Advice
from chatdb_cli.scratch import queries
from chatdb_cli.scratch.place import WAYS_OUT, choose_server, read_form
from chatdb_cli.scratch.prelude import read_prelude, run_prelude
from chatdb_cli.signals import signals_deferred
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.server_effects import find_server_effects
from chatdb_cli.syntax.statements import split_statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from chatdb_cli.files.model import Script
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.scratch.model import Form, Server

PREFIX = "chatdb_scratch_"
MARK = "chatdb: a scratch database, dropped at the end of its run"
# The first half of the advisory lock of a scratch database: "chav" in ASCII, after the two of a target.
_LOCK_SPACE = 0x63686176
_DROP_TRIES = 5


class _Name(NamedTuple):
    """A row of `queries.LEFT_OVER`."""

    name: str


class ScratchPlace(Closing):
    """Where a run creates scratch databases.

    Args:
        conn: a connection to the server, in a session of its own.
        server: the server.
        target: the target, whose schema the databases get.
        form: how the target's database was made.
        prelude: what runs first in each of them, or None.
        report: called with a line for each database that was dropped late, or not at all.

    Attributes:
        server: the server.
        form: how the target's database was made.
    """

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        server: Server,
        target: Target,
        form: Form,
        prelude: Script | None,
        report: Callable[[str], None],
    ) -> None:
        self._conn = conn
        self._target = target
        self._prelude = prelude
        self._report = report
        self.server = server
        self.form = form

    def close(self) -> None:
        """Close the connection."""
        self._conn.close()

    @contextmanager
    def database(self) -> Iterator[Target]:
        """Create a scratch database, with the target's schema in it; drop it when the block ends.

        Raises:
            ChatdbError: `NO_SCRATCH`, the server can't create it like the target; `STATEMENT`, a
                statement of the prelude failed.
        """
        name = self._lock_name()
        try:
            self._create(name)
            scratch = self._target_of(name)
            self._prepare(scratch)
            yield scratch
        finally:
            with signals_deferred():
                self._drop(name)

    def refuse_server_effects(self, scripts: Iterable[Script]) -> None:
        """Refuse files that would change roles or other databases of the server.

        On a server that was named for the purpose they may.

        Raises:
            ChatdbError: `REFUSED`, with the place of the first statement.
        """
        if self.server.kind == "named":
            return
        for script in scripts:
            effects = find_server_effects(script.text, split_statements(script.text))
            for effect in effects:
                raise ChatdbError(
                    Code.REFUSED,
                    f"{effect.what} would change the whole server, not only the scratch database",
                    hint=Advice("name another server for the scratch database with {scratch_url}"),
                    place=locate(script.text, effect.offset, script.path),
                )

    def sweep(self) -> None:
        """Drop every scratch database that a killed run left, never another's nor one in use."""
        rows = self._conn.cursor(row_factory=class_row(_Name))
        for row in rows.execute(queries.LEFT_OVER, {"mark": MARK}).fetchall():
            # Read after the database was seen: who created it held the lock before, and until the end.
            space, key = _lock_key(row.name)
            (locked,) = self._conn.execute(
                queries.IS_LOCKED, (space, key % (1 << 32))
            ).fetchone() or (True,)
            if locked:
                continue
            with suppress(errors.ObjectInUse, errors.InsufficientPrivilege):
                self._conn.execute(self._fill(queries.DROP_LEFT, row.name))
                text = f"dropped {row.name}, which a run that was killed had left"
                self._report(log.info("scratch", text, state="dropped", database=row.name))

    def _lock_name(self) -> str:
        """Return a name for a database, with its lock held."""
        while True:
            name = PREFIX + secrets.token_hex(8)
            if self._conn.execute(queries.TRY_LOCK, _lock_key(name)).fetchone() == (True,):
                return name

    def _create(self, name: str) -> None:
        form, quoting = self.form, Quoting(self._conn, self._target.schema)
        options = form.locale_options(self.server.version)
        sql = queries.CREATE_DATABASE.format(
            database=quoting.identifier(name),
            encoding=quoting.literal(form.encoding),
            collate=quoting.literal(form.collate),
            ctype=quoting.literal(form.ctype),
            options=" ".join(f"{key} {quoting.literal(value)}" for key, value in options.items()),
        )
        try:
            self._conn.execute(sql.encode())
            self._conn.execute(self._fill(queries.MARK_DATABASE, name, MARK))
            self._conn.execute(self._fill(queries.NO_WAIT, name))
            self._conn.execute(self._fill(queries.OPEN_DATABASE, name))
        except psycopg.Error as error:
            if self._conn.closed:
                raise
            what = f"a scratch database with {form.words} can't be created on {self.server.target.where}"
            failure = server_error(error, Code.NO_SCRATCH, what)
            raise failure.with_(hint=Advice(WAYS_OUT)) from None

    def _prepare(self, scratch: Target) -> None:
        """Run the prelude, and create the schema."""
        with connect(scratch) as conn:
            quoting = Quoting(conn, scratch.schema)
            if self._prelude:
                path = queries.SET_SEARCH_PATH.format(path=quoting.path(()))
                conn.execute(path.encode())
                run_prelude(conn, self._prelude)
            conn.execute(quoting.fill(queries.CREATE_SCHEMA).encode())

    def _target_of(self, name: str) -> Target:
        on_server = self.server.target
        settings = replace(
            self._target.settings, bastion=None, allow_read_only_override=True, schema_named=True
        )
        return replace(
            on_server,
            database=name,
            schema=self._target.schema,
            source="scratch",
            params={**on_server.params, "dbname": name},
            settings=settings,
        )

    def _drop(self, name: str) -> None:
        """Drop a database, and release its lock; report if it has to stay."""
        problem: Exception | None = None
        for _ in range(_DROP_TRIES):
            try:
                if self._conn.closed:
                    self._conn = _open_session(self.server.target)
                self._conn.execute(self._fill(queries.DROP_DATABASE, name))
                self._conn.execute(queries.UNLOCK, _lock_key(name))
            except (errors.ObjectInUse, errors.InsufficientPrivilege) as error:
                problem = error  # a process of the server is still in it
            except (psycopg.Error, ChatdbError) as error:
                problem = error  # the server is gone, or shuts down
                break
            else:
                return
        self._report(
            f"the scratch database {name} could not be dropped ({problem}); the next run drops it"
        )

    def _fill(self, template: str, name: str, mark: str = "") -> bytes:
        quoting = Quoting(self._conn, self._target.schema)
        return template.format(
            database=quoting.identifier(name), mark=quoting.literal(mark)
        ).encode()


@contextmanager
def scratch_place(
    target: Target, *, report: Callable[[str], None] = ignore
) -> Iterator[ScratchPlace]:
    """Open the place where a run creates scratch databases; drop what a killed run left there.

    Args:
        target: the target, whose encoding, locale and schema they get; nothing is written to it.
        report: called with a line for what takes time, or is left.

    Raises:
        ChatdbError: `NO_SCRATCH`, there is no server for them; `REFUSED`, the prelude would change roles
            or other databases of a server that was not named; no connection.
    """
    require_target(target)
    path = target.settings.prelude
    prelude = read_prelude(path) if path else None
    with blame_tunnel(target):
        form, pooled = read_form(target, report)
    server = choose_server(target, form, pooled=pooled, report=report)
    with (
        explain_failures("the scratch database was lost"),
        ScratchPlace(_open_session(server.target), server, target, form, prelude, report) as place,
    ):
        if prelude:
            place.refuse_server_effects((prelude,))
        place.sweep()
        yield place


def _open_session(target: Target) -> psycopg.Connection[Any]:
    conn = connect(target)
    conn.execute(queries.SETTINGS)
    return conn


def _lock_key(name: str) -> tuple[int, int]:
    """Return the two halves of the key of a scratch database's advisory lock."""
    low = zlib.crc32(name.encode())
    return _LOCK_SPACE, low - (1 << 32) if low >= 1 << 31 else low
