"""Results, errors and progress as text or JSON.  The only user of rich.

stdout carries the result alone; stderr carries the target, progress, warnings and the human form of
an error.  Colours and bars appear on a terminal only; off one, tables are plain and never cut, and
progress is one line a migration.  What does not belong here: SQL, decisions, exit codes.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chatdb_cli.cli.render.text import pad, width
from chatdb_cli.cli.words import COMMAND_LINE
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.remedy import worded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from typing import Literal, TextIO

    from rich.console import Console
    from rich.progress import Progress as ProgressBar

    from chatdb_cli.catalog.model import SchemaDocs
    from chatdb_cli.docs.update import FileState
    from chatdb_cli.embedded.model import ServerStatus
    from chatdb_cli.events.model import Batch, Change
    from chatdb_cli.history.model import LogEntry
    from chatdb_cli.migrate.model import Loss, Progress, Repairs, Run, Status
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.seed.model import Seeded
    from chatdb_cli.seed.model import SeedProgress as SeedProgress
    from chatdb_cli.ssh.model import TunnelStep

FORMAT = 1
Document = dict[str, Any]
_STYLES = {
    "applied": "green",
    "reverted": "yellow",
    "resumed": "green",
    "unfinished": "bold yellow",
    "pending": "cyan",
    "planned": "cyan",
    "by-another": "dim",
    "not-run": "dim",
    "unknown": "bold yellow",
    "failed": "bold red",
    "ok": "green",
    "changed": "bold yellow",
    "missing": "bold red",
}
# What a terminal would obey, were it printed as it is; of these two, a line end and a tab may pass.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CONTROL_OR_BLANK = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass
class Output:
    """Where and how a command speaks.

    Attributes:
        form: text, or one JSON document on stdout.
        quiet: no progress, no target, no notes.
        about: the target, once it is known; every document names it.
        stdout: for the result.
        stderr: for all else.
    """

    form: Literal["text", "json"] = "text"
    quiet: bool = False
    about: Target | None = None
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)
    _bar: ProgressBar | None = None
    _doing: str = ""
    _console: Console | None = None

    # --- while it runs ----------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Say something that is good to know, in one line."""
        if not self.quiet:
            self._line(one_line(_worded(text)))

    def warn(self, text: str) -> None:
        """Say something that the user should look at; `--quiet` does not hide it."""
        self._line(f"warning: {_worded(text)}", "yellow")

    def write(self, text: str) -> None:
        """Write to stderr as it is: a question, a help page."""
        self.stderr.write(printable(text))
        self.stderr.flush()

    def target(self, target: Target) -> None:
        """Say what is about to be written to."""
        self.about = target
        self.say(f"target: {target}")

    def progress(self, event: Progress) -> None:
        """Show what happens in a run."""
        if event.kind in ("notice", "waiting"):
            name = f"{event.step.version} " if event.step else ""
            if not self.quiet:
                self._line(f"{name}{_worded(event.text)}")
        elif event.kind == "planned":
            self._open_bar(event.total)
        elif event.kind == "started" and self._bar and event.step:
            label = one_line(f"{event.step.version} {event.step.name}")
            label = label if len(label) <= 40 else f"{label[:39]}…"  # the bar needs room, too
            self._bar.update(self._bar.task_ids[0], description=label)
        elif event.kind == "done" and event.step:
            if self._bar:
                self._bar.advance(self._bar.task_ids[0])
            took = "" if event.duration_ms is None else f" ({event.duration_ms} ms)"
            state = event.state or ""
            words = f"{state:<9} {one_line(f'{event.step.version} {event.step.name}')}".rstrip()
            if not self.quiet:
                self._line(words + took, _STYLES.get(state, ""))

    def seeding(self, progress: SeedProgress) -> None:
        """Show how far a seed is: a bar on a terminal, else a line when something else begins."""
        if progress.what != self._doing:
            self._doing = progress.what
            self.close()
            self._open_bar(progress.total)
            if not self._bar:
                self.say(f"seeding: {progress.total} {progress.what}")
        if self._bar:
            self._bar.update(
                self._bar.task_ids[0], description=progress.what, completed=progress.done
            )

    def _open_bar(self, total: int) -> None:
        if self.quiet or total == 0 or not self.stderr.isatty():
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            console=self._stderr_console(),
            transient=True,
        )
        self._bar.add_task("", total=total)
        self._bar.start()

    def close(self) -> None:
        """Take the progress bar away, whatever happened."""
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _stderr_console(self) -> Console:
        if self._console is None:
            from rich.console import Console

            self._console = Console(file=self.stderr, highlight=False, soft_wrap=True)
        return self._console

    def _line(self, text: str, style: str = "") -> None:
        text = printable(text)
        if self.stderr.isatty():
            from rich.text import Text

            self._stderr_console().print(Text(text, style=style))
        else:
            print(text, file=self.stderr, flush=True)

    # --- results ----------------------------------------------------------------------------------

    def result(self, document: Document, text: str) -> None:
        """Print a result: the document in JSON mode, else the text."""
        self.close()
        self.text(self._json(document) if self.form == "json" else text)

    def _json(self, document: Document) -> str:
        unicode = (self.stdout.encoding or "").lower().replace("-", "") == "utf8"
        return json.dumps(document, ensure_ascii=not unicode)

    def text(self, text: str) -> None:
        """Print a text on stdout, as it is.

        Raises:
            ChatdbError: it can't be written.
        """
        try:
            self.stdout.write(text if text.endswith("\n") or not text else text + "\n")
            self.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            discard(self.stdout)
            raise ChatdbError(
                Code.INTERNAL,
                f"the result can't be written: {(error.strerror or str(error)).lower()}",
                hint="what was asked for is done, but for that",
                errno=errno.errorcode.get(error.errno or 0),
            ) from None

    def run(self, run: Run, *, dry: bool = False, seeded: Seeded | None = None) -> None:
        """Print what became of an up, a down, a redo or a setup; of a dry one, the script."""
        self.close()
        for warning in run.warnings:
            self.warn(warning)
        document, text = run_document(run), _script_text(run) if dry else _run_text(run)
        if seeded:
            document |= {"seed": _seed_document(seeded)}
            text += f"\n{_seed_text(seeded)}"
        self.result(document, text)

    def seed(self, seeded: Seeded) -> None:
        """Print what a seed has written."""
        rows = [(table, str(count)) for table, count in seeded.tables]
        document = _document(seeded.target) | _seed_document(seeded)
        self.result(document, self.table(("table", "rows"), rows) + _seed_text(seeded))

    def show(self, repairs: Repairs) -> None:
        """Show people what a repair would do, before they are asked."""
        self.write(_repairs_text(repairs))

    def repairs(self, repairs: Repairs) -> None:
        """Print what a repair did, or would do."""
        document = _document(repairs.target) | {
            "repairs": [
                {"code": r.kind, "version": r.version, "message": r.message, "diff": r.diff or None}
                for r in repairs.repairs
            ],
            "done": repairs.done,
        }
        count = len(repairs.repairs)
        if not count:
            text = "nothing to repair"
        elif repairs.done:
            text = "\n".join((*(r.message for r in repairs.repairs), f"{count} repaired"))
        else:
            text = _repairs_text(repairs)
        self.result(document, text)

    def status(self, status: Status) -> None:
        """Print files against history."""
        self.result(status_document(status), self._status_text(status))
        for warning in status.warnings:
            self.warn(warning)

    def _status_text(self, status: Status) -> str:
        rows: list[tuple[str, str, str, str, str]] = [
            (row.version, row.name, state, _time(row.applied_at) or "", _ms(row.duration_ms))
            for row, state in status.applied
        ]
        rows += [(m.version, m.name, "pending", "", "") for m in status.pending]
        counts = f"{len(status.applied)} applied, {len(status.pending)} pending"
        where = f"{status.target.where}, schema {status.target.schema}"
        lines = [f"current {status.current or 'none'}; {counts}", one_line(where)]
        for problem in status.problems:
            lines += ["", f"problem: {problem.message}", f"hint: {_worded(problem.hint)}"]
        table = self.table(("version", "name", "state", "applied at", "ms"), rows)
        return table + "\n".join(map(printable, lines))

    def history(self, target: Target, entries: Sequence[LogEntry]) -> None:
        """Print the audit log."""
        documents = [
            {
                "at": _time(e.at),
                "operation": e.operation,
                "migration": e.id,
                "user": e.user,
                "host": e.host,
                "comment": e.comment,
            }
            for e in entries
        ]
        columns = ("at", "operation", "migration", "user", "host", "comment")
        rows = [tuple(d[c] or "" for c in columns) for d in documents]
        text = self.table(columns, rows) if rows else "nothing was ever applied here"
        self.result(_document(target) | {"entries": documents}, text)

    def docs(self, target: Target, docs: SchemaDocs, file: FileState | None) -> None:
        """Print a schema, or what became of the file that tells it."""
        from dataclasses import asdict

        from chatdb_cli.docs.markdown import write_document

        about: Document = _document(target) | asdict(docs)
        if file is None:
            self.result(about, write_document(docs))
            return
        about["file"] = {"path": str(file.path), "state": file.state, "reason": file.reason}
        text = f"{file.path}: {file.state}" + (f"; {file.reason}" if file.reason else "")
        self.result(about, one_line(text))

    def events(self, target: Target, batch: Batch) -> None:
        """Print what was read of the change log at once, each event in a line of its own."""
        if self.form == "json":
            about = _document(target)
            documents = [about | event_document(e) for e in batch.events]
            if batch.resync:
                told = {"resync": True, "reason": batch.resync, "cursor": batch.cursor}
                documents.insert(0, about | told)
            lines = [self._json(d) for d in documents]
        else:
            lines = [one_line(f"resync  {batch.resync}")] if batch.resync else []
            lines += map(_event_text, batch.events)
        self.text("\n".join(lines))

    def server(self, status: ServerStatus, url: str | None) -> None:
        """Print how the embedded server is."""
        facts = {
            "home": str(status.home),
            "exists": status.exists,
            "running": status.running,
            "pid": status.pid,
            "version": status.version,
            "data": str(status.data) if status.data else None,
            "log": str(status.log) if status.log else None,
            "url": url,
        }
        state = "running" if status.running else "stopped" if status.exists else "not made yet"
        lines = [f"{'state':<8} {state}"]
        lines += [
            f"{name:<8} {value}"
            for name, value in facts.items()
            if name not in ("exists", "running") and value is not None
        ]
        self.result({"format": FORMAT, "target": None, "server": facts}, "\n".join(lines))

    def tunnel(self, target: Target, url: str, local: tuple[str, int]) -> None:
        """Print what other programs connect to."""
        place = {"host": local[0], "port": local[1]}
        self.result(_document(target) | {"url": url, "local": place}, url)

    def steps(self, steps: Sequence[TunnelStep], failure: ChatdbError | None) -> None:
        """Print the way through a tunnel, step by step, and what ended it early."""
        rows = [(s.hop, s.what, s.state, str(s.duration_ms), s.detail) for s in steps]
        document: Document = {
            "format": FORMAT,
            "target": None,
            "ok": failure is None,
            "steps": [
                {"hop": s.hop, "step": s.what, "state": s.state, "duration_ms": s.duration_ms,
                 "detail": s.detail or None}
                for s in steps
            ],
        }  # fmt: skip
        if failure:
            document["error"] = error_document(failure)
        self.result(document, self.table(("hop", "step", "state", "ms", "detail"), rows))
        for text, style in error_lines(failure) if failure else ():
            self._line(text, style)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
        """Return a table; in colour on a terminal, plain and never cut elsewhere."""
        cells = list(rows)
        if not cells:
            return ""
        measure: Callable[[str], int] = len
        text = "".join(map("".join, cells))
        if not (text.isascii() and text.isprintable()):  # thousands of cells are looked at once
            cells = [[one_line(c) for c in row] for row in cells]
            measure = width
        widths = [max(map(measure, column)) for column in zip(columns, *cells, strict=True)]
        if self.stdout.isatty():  # one long name does not push every row over the edge
            room = shutil.get_terminal_size().columns - sum(widths) - 2 * len(widths) + 2
            widest = widths.index(max(widths))
            widths[widest] = max(widths[widest] + min(room, 0), 16)
        paint = self._painter()

        def line(row: Sequence[str]) -> str:
            padded = (
                (paint(cell) if column == "state" else cell) + " " * (wide - measure(cell))
                for column, cell, wide in zip(columns, row, widths, strict=True)
            )
            return "  ".join(padded).rstrip() + "\n"

        return "".join(map(line, (columns, *cells)))

    def _painter(self) -> Callable[[str], str]:
        if self.form == "json" or not self.stdout.isatty():
            return str
        from rich.console import Console

        console = Console(file=self.stdout, highlight=False)

        def paint(cell: str) -> str:
            style = _STYLES.get(cell)
            if style is None:
                return cell
            with console.capture() as captured:
                console.print(cell, style=style, end="")
            return captured.get()

        return paint

    # --- errors -----------------------------------------------------------------------------------

    def error(self, error: ChatdbError) -> None:
        """Print an error: a document on stdout in JSON mode, and always for people on stderr."""
        self.close()
        run: Run | None = getattr(error, "run", None)
        if self.form == "json":
            document = run_document(run) if run else _document(self.about)
            with suppress(ChatdbError):  # there is no room for it: stderr says all the same
                self.result(document | {"error": error_document(error)}, "")
        first, *rest = error_lines(error)
        self._line(*first)
        if run and run.losses:
            rows = [(x.table, x.column or "", str(x.rows), x.how) for x in run.losses]
            for line in self.table(("table", "column", "rows", "how"), rows).splitlines():
                self._line(f"  {line}")
        for text, style in rest:
            self._line(text, style)


def _worded(text: str) -> str:
    """Return a text of the library in the words of the command line."""
    return worded(text, COMMAND_LINE)


def discard(stream: TextIO) -> None:
    """Throw away what could not be written: the interpreter tries again at its end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def printable(text: str) -> str:
    """Return text without what a terminal would obey."""
    return _CONTROL.sub(lambda m: f"\\x{ord(m[0]):02x}", text)


def one_line(text: str) -> str:
    """Return text that no line end breaks and no terminal obeys."""
    return _CONTROL_OR_BLANK.sub(lambda m: f"\\x{ord(m[0]):02x}", text)


def error_lines(error: ChatdbError) -> list[tuple[str, str]]:
    """Return an error as (line, style), the way a compiler shows it."""
    state = ""
    if error.sqlstate:
        from chatdb_cli.postgres.sqlstates import sqlstate_name

        state = f" [{' '.join(filter(None, (error.sqlstate, sqlstate_name(error.sqlstate))))}]"
    elif error.errno:
        state = f" [{error.errno}]"
    lines = [(f"error: {error.message}{state}", "bold red")]
    place = error.place
    if place:
        at = "".join(f":{n}" for n in (place.line, place.column) if n is not None)
        lines.append((f"  --> {one_line(str(place.file))}{at}", ""))
    gutter = len(str(place.line)) if place and place.line else 1
    if place and place.excerpt:
        lines.append((f"{' ' * gutter} |", "blue"))
        lines += [(f"{n:>{gutter}} | {text}".rstrip(), "") for n, text in place.excerpt]
        if place.column is not None:
            before = place.excerpt[-1][1][: place.column - 1]
            lines.append((f"{' ' * gutter} | {pad(printable(before))}^", "bold red"))
    for note in map(_worded, error.notes):
        first, *more = note.splitlines() or [""]
        lines.append((f"{' ' * gutter} = {first}", ""))
        lines += [(f"{' ' * gutter}   {line}", "") for line in more]
    if error.hint:
        lines += [("", ""), (f"hint: {_worded(error.hint)}", "cyan")]
    return lines


def _document(target: Target | None) -> Document:
    if target is None:
        return {"format": FORMAT, "target": None}
    return {
        "format": FORMAT,
        "target": {
            "host": target.host,
            "port": target.port,
            "database": target.database,
            "user": target.user,
            "schema": target.schema,
            "via": target.via,
            "source": target.source,
        },
        "schema": target.schema,
    }


def run_document(run: Run) -> Document:
    """Return a run as the contract's document."""
    steps = []
    for step in run.steps:
        document: Document = {
            "version": step.version,
            "name": step.name,
            "state": step.state,
            "duration_ms": step.duration_ms,
        }
        if run.direction == "redo":
            document["direction"] = step.direction
        if step.sql is not None:
            document["sql"] = step.sql
        steps.append(document)
    document = _document(run.target) | {
        "direction": run.direction,
        "steps": steps,
        "current": run.current,
        "warnings": list(map(_worded, run.warnings)),
    }
    if run.direction in ("down", "redo"):
        losses = run.losses
        document["losses"] = None if losses is None else [_loss_document(loss) for loss in losses]
    if run.prepare_sql is not None:
        document["prepare_sql"] = run.prepare_sql
    return document


def _loss_document(loss: Loss) -> Document:
    return {"table": loss.table, "column": loss.column, "rows": loss.rows, "how": loss.how}


def status_document(status: Status) -> Document:
    """Return a status as the contract's document."""
    return _document(status.target) | {
        "current": status.current,
        "applied": [
            {
                "version": row.version,
                "name": row.name,
                "applied_at": _time(row.applied_at),
                "duration_ms": row.duration_ms,
                "state": state,
            }
            for row, state in status.applied
        ],
        "pending": [{"version": m.version, "name": m.name} for m in status.pending],
        "problems": [
            {"code": p.code, "version": p.version, "message": p.message, "hint": _worded(p.hint)}
            for p in status.problems
        ],
        "warnings": list(map(_worded, status.warnings)),
    }


def error_document(error: ChatdbError) -> Document:
    """Return an error as the contract's document."""
    place = error.place
    return {
        "code": error.code.slug,
        "message": error.message,
        "hint": _worded(error.hint) if error.hint else None,
        "file": str(place.file) if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "sqlstate": error.sqlstate,
        "errno": error.errno,
        "notes": list(map(_worded, error.notes)),
    }


def event_document(event: Change) -> Document:
    """Return an event of the change log as a document."""
    return {
        "seq": event.seq,
        "table": event.table,
        "op": event.op,
        "row_id": event.row_id,
        "channel_id": event.channel_id,
        "user_id": event.user_id,
        "at": _time(event.at),
        "cursor": event.cursor,
    }


def _event_text(event: Change) -> str:
    about = [f"channel {event.channel_id}"] if event.channel_id else []
    about += [f"user {event.user_id}"] if event.user_id else []
    words = (_time(event.at) or "", f"{event.op:<6}", f"{event.table:<18}", event.row_id, *about)
    return one_line("  ".join(words))


def _run_text(run: Run) -> str:
    if not run.steps:
        what = "to take back" if run.direction == "down" else "to do"
        return f"nothing {what}; current {run.current or 'none'}"
    done = [(s.direction, s.state) for s in run.steps]
    counts = [
        (sum(done.count(("down", s)) for s in ("reverted", "resumed")), "taken back"),
        (sum(done.count(("up", s)) for s in ("applied", "resumed")), "applied"),
        (sum(state == "by-another" for _, state in done), "by another"),
        (done.count(("up", "marked")), "marked as applied"),
    ]
    said = ", ".join(f"{count} {what}" for count, what in counts if count)
    return f"{said}; current {run.current or 'none'}"


def _seed_document(seeded: Seeded) -> Document:
    tables = [{"table": table, "rows": rows} for table, rows in seeded.tables]
    return {"tables": tables, "duration_ms": seeded.duration_ms}


def _seed_text(seeded: Seeded) -> str:
    if not seeded.tables:
        return "nothing to seed: the rows are there already"
    rows = sum(count for _, count in seeded.tables)
    return f"{rows} rows in {len(seeded.tables)} tables ({seeded.duration_ms} ms)"


def _repairs_text(repairs: Repairs) -> str:
    parts = (f"{r.message}\n" + (f"{r.diff}\n" if r.diff else "") for r in repairs.repairs)
    return printable("\n".join(parts))


def _script_text(run: Run) -> str:
    """Return a dry run as a script that psql runs as it stands."""
    parts = [f"-- {one_line(str(run.target))}\n"]
    if not run.steps:
        return f"{parts[0]}-- {_run_text(run)}\n"
    parts.append("\\set ON_ERROR_STOP on\n\\encoding UTF8\n")
    if run.prepare_sql:
        parts.append(f"\n-- the tables of the history\n{run.prepare_sql}")
    parts += [f"\n-- {s.direction} {one_line(f'{s.version} {s.name}')}\n{s.sql}" for s in run.steps]
    return "".join(parts)


def internal_error(correlation_id: str, error: BaseException) -> ChatdbError:
    """Return what is shown of a mistake of our own."""
    return ChatdbError(
        Code.INTERNAL,
        f"internal error {correlation_id}: {type(error).__name__}",
        hint="run it again with CHATDB_DEBUG=1 and report what it prints",
    )


def _time(at: datetime | None) -> str | None:
    """Return a time that is UTC already as RFC 3339."""
    return f"{at.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z" if at else None


def _ms(duration: int | None) -> str:
    return "" if duration is None else str(duration)
