"""A file's statements as they run in a test schema: with the rights of the role that owns it.

    Rights    writes the messages of a file

The statements of a file are the body of one function, one EXECUTE a line, so that the line of an error
tells the statement.  A savepoint can't be set in a function: there a file is several calls.  Extensions
and roles are created by the role that migrates, where `migrate up` would put them.  Without a role of
the schema's own the statements are sent as they are.

What does not belong here: the transaction around them (`migrate/transaction.py`), errors (`unwrap.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.migrate.confine import queries
from chatdb_cli.migrate.messages import to_message
from chatdb_cli.migrate.parts import Part
from chatdb_cli.postgres.pipeline import Message
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.syntax.identifiers import quote_identifier
from chatdb_cli.syntax.privileged import find_privileged, is_savepoint, with_maker
from chatdb_cli.syntax.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Any

    import psycopg

    from chatdb_cli.files.model import Script
    from chatdb_cli.migrate.confine.watch import Surroundings
    from chatdb_cli.migrate.model import Confines
    from chatdb_cli.syntax.privileged import Privileged


class Rights:
    """Writes the messages of the files of a run.

    Args:
        conn: the connection that sends them.
        schema: the test schema.
        confines: its role, and where extensions go.
        surroundings: what is there before the run.

    Attributes:
        numbers: for the first statement of each call, the numbers of all of its statements, by file.
    """

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        schema: str,
        confines: Confines,
        surroundings: Surroundings,
    ) -> None:
        self._quoting = Quoting(conn, schema)
        self._confines = confines
        self._roles = frozenset(surroundings.role_names)
        self._members = frozenset(surroundings.members)
        self._made: set[str] = set()
        self._maker = f"{self._quoting.schema}.{queries.MAKER}"
        path = self._path(confines.extensions)
        self._extension_path = self._quoting.fill(queries.EXTENSION_PATH, path=path)
        self.numbers: dict[tuple[Path, int], tuple[int, ...]] = {}
        self.path = self._quoting.fill(queries.TEST_PATH, path=self._quoting.schema)

    @property
    def commit(self) -> tuple[str, ...]:
        """The statements before the COMMIT."""
        return (self._with_owner(queries.AS_ROLE),) if self._confines.role else ()

    def file(
        self, script: Script, statements: Sequence[tuple[int, Statement]] | None
    ) -> list[Message]:
        """Return the messages of a file, or of a part of it.

        Args:
            script: the file.
            statements: its statements with their numbers, or None if it could not be split.
        """
        numbered = [(0, Statement(script.text, 0))] if statements is None else list(statements)
        messages: list[Message] = []
        block: list[tuple[int, str]] = []
        made = False
        for number, statement in numbered:
            text = statement.text
            own = self._own(number, text)
            if own is None:
                rewritten = with_maker(text, self._maker)
                made = made or rewritten is not None
                block.append((number, rewritten or text))
                continue
            messages += self._block(script, block, last=False)
            messages += own
            block = []
        messages += self._block(script, block, last=True)
        return [*self._create_maker(), *messages, self._drop_maker()] if made else messages

    def _own(self, number: int, text: str) -> list[Message] | None:
        """Return the messages of a statement that the role which migrates runs itself, or None."""
        plain = Message(text.encode(), Part.FILE, number)
        if self._confines.role and is_savepoint(text):
            return [plain]
        privileged = find_privileged(text)
        if privileged is None:
            return None
        if privileged.kind == "extension":
            return [
                to_message(self._extension_path, Part.FRAME),
                plain,
                to_message(queries.PG_CATALOG_ONLY, Part.FRAME),
                to_message(queries.PATH_AFTER_EXTENSION, Part.FRAME),
            ]
        if self._confines.role is None:
            return None
        if privileged.grants and all("\n".join(g) in self._members for g in privileged.grants):
            return []  # nothing would change
        if not self._made.issuperset(privileged.names):
            return None
        return [plain, *self._mark(privileged)]

    def _mark(self, privileged: Privileged) -> Iterator[Message]:
        for name in privileged.makes:
            if name not in self._roles:
                self._made.add(name)
                mark = self._quoting.literal(self._confines.mark)
                sql = queries.MARK_ROLE.format(made=quote_identifier(name), mark=mark)
                yield to_message(sql, Part.FRAME)

    def _block(
        self, script: Script, block: Sequence[tuple[int, str]], *, last: bool
    ) -> list[Message]:
        """Return the messages of statements that run together.

        Args:
            script: their file.
            block: their numbers and texts.
            last: nothing of the file follows, so what was deferred is checked.
        """
        if self._confines.role is None:
            return [Message(text.encode(), Part.FILE, number) for number, text in block]
        if not block and not last:
            return []
        first = block[0][0] if block else -1
        self.numbers[script.path, first] = tuple(number for number, _ in block)
        lines = [self._execute(text) for _, text in block]
        if last:
            lines.append(f"{queries.SETTLE};")
        body = self._quoting.literal(queries.FILE_BODY.format(lines="\n".join(lines)))
        create = queries.CREATE_FILE.format(schema=self._quoting.schema, body=body)
        call = self._quoting.fill(queries.CALL_FILE)
        return [
            to_message(create, Part.FRAME),
            to_message(self._with_owner(queries.OWN_FILE), Part.FRAME),
            Message(call.encode(), Part.FILE if block else Part.SETTLE, first),
            to_message(self._quoting.fill(queries.DROP_FILE), Part.FRAME),
        ]

    def _execute(self, text: str) -> str:
        """Return the line that executes a statement, whatever the statement holds."""
        literal = (
            text.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n").replace("\r", "\\r")
        )
        after = f" {_one_line(queries.PATH_IN_FUNCTION)}" if self._maker in text else ""
        return queries.EXECUTE_TEXT.format(text=literal) + after

    def _create_maker(self) -> list[Message]:
        body = queries.MAKER_BODY.format(
            extension=self._quoting.literal(queries.EXTENSION_PATTERN),
            role=self._quoting.literal(queries.ROLE_PATTERN),
            path=self._quoting.literal(self._path(self._confines.extensions)),
            mark=self._quoting.literal(self._confines.mark),
        )
        sql = self._quoting.fill(queries.CREATE_MAKER, body=body)
        return [to_message(sql, Part.FRAME)]

    def _drop_maker(self) -> Message:
        return to_message(self._quoting.fill(queries.DROP_MAKER), Part.FRAME)

    def _path(self, schemas: Sequence[str]) -> str:
        return ", ".join(map(self._quoting.identifier, schemas))

    def _with_owner(self, template: str) -> str:
        owner = self._quoting.identifier(self._confines.role or "")
        return template.format(schema=self._quoting.schema, owner=owner)


def _one_line(text: str) -> str:
    return " ".join(text.split())
