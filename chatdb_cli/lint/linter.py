"""The linter: runs the rules over the files, and returns findings.

    lint_files    lint a folder, or some files of it

What does not belong here: what a rule finds (`rules/`), what a batch is (`project.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.findings import Finding
from chatdb_cli.lint.allowances import find_allowances
from chatdb_cli.lint.context import FEW_ROWS, Context
from chatdb_cli.lint.fix import edit_diff, plan_fixes
from chatdb_cli.lint.model import LintOptions, LintResult, Pair, Problem, SqlFile
from chatdb_cli.lint.project import read_project
from chatdb_cli.lint.rule import LoadedRule, load_rules
from chatdb_cli.lint.schema import Schema
from chatdb_cli.plural import plural
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.secrets import is_secret, mask, mask_message
from chatdb_cli.syntax.tree.model import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chatdb_cli.errors import ChatdbError
    from chatdb_cli.lint.allowances import Allowance
    from chatdb_cli.lint.model import Edit


class _Raw(NamedTuple):
    """A problem with the rule and the file that it belongs to."""

    rule: LoadedRule
    file: SqlFile
    problem: Problem
    span: Span


def lint_files(
    directory: str | None = None,
    files: Sequence[Path | str] = (),
    *,
    since: str | None = None,
    options: LintOptions | None = None,
) -> LintResult:
    """Lint migrations; read files only, write nothing, connect to nothing.

    Args:
        directory: the folder of `up/` and `down/`; `./sql` by default, `@chat` for the shipped schema.
        files: files or folders to check, as one batch of pending files; empty for all of the folder,
            where each migration is a batch of its own.
        since: check only files that are newer than this commit, as one batch.
        options: how to lint; `lint_options` reads those of chatdb.toml.

    Raises:
        ChatdbError: `USAGE`, a folder, file or commit does not exist; `BAD_FILE`, a file can't be read.
    """
    options = options or LintOptions()
    project = read_project(directory, [Path(file) for file in files], since, options)
    return _Run(options, project.pairs).run(project.refused)


class _Run:
    """One lint."""

    def __init__(self, options: LintOptions, pairs: Sequence[Pair]) -> None:
        self._options = options
        self._pairs = pairs
        self._schema = Schema(options.schema)
        self._found: dict[str, list[_Raw]] = {}
        self._rules = [rule for rule in load_rules().values() if self._is_on(rule)]
        self._scoped: dict[str, list[LoadedRule]] = {}
        for rule in self._rules:
            self._scoped.setdefault(rule.rule.scope, []).append(rule)
        # The rules that read each kind of statement, for each direction.
        self._readers: dict[tuple[type, bool], list[LoadedRule]] = {}
        for rule in self._rules:
            for kind in rule.rule.reads:
                for down in (False, True)[: 1 + rule.rule.down]:
                    self._readers.setdefault((kind, down), []).append(rule)

    def run(self, refused: Iterable[ChatdbError]) -> LintResult:
        """Check everything, and return what was found."""
        for pair in self._pairs:
            self._check_file(pair.up, pair)
            if pair.down is not None:
                self._check_file(pair.down, pair)
        if self._pairs:
            last = self._pairs[-1]
            context = Context(last.up, last, self._schema, self._options)
            for rule in self._scoped.get("project", ()):
                self._add(rule, last.up, rule.check(self._schema, context), Span(0, 0))
        checked = [f for pair in self._pairs for f in pair if f is not None and f.checked]
        findings = [*self._refusals(refused)]
        edits: list[tuple[SqlFile, list[Edit]]] = []
        for file in checked:
            judged = [*self._judge(file)]
            findings += (finding for finding, _ in judged)
            edits.append((file, [edit for _, edit in judged if edit is not None]))
        return LintResult(tuple(findings), tuple(file.path for file in checked), plan_fixes(edits))

    def _is_on(self, loaded: LoadedRule) -> bool:
        rule, options = loaded.rule, self._options
        on = (rule.default or rule.id in options.on) and rule.id not in options.off
        live = options.live
        return on and rule.applies_to(live.server_version if live else options.server_version)

    def _check_file(self, file: SqlFile, pair: Pair) -> None:
        down = file.direction == "down"
        context = Context(file, pair, self._schema, self._options)
        if file.checked:
            for rule in self._scoped.get("file", ()):
                if rule.rule.down or not down:
                    self._add(rule, file, rule.check(file, context), Span(0, 0))
        for statement in file.statements:
            if file.checked:
                for rule in self._readers.get((type(statement.body), down), ()):
                    self._add(rule, file, rule.check(statement, context), statement.span)
            if not down:
                self._schema.apply(file, statement)

    def _add(
        self, rule: LoadedRule, file: SqlFile, problems: Iterable[Problem], default: Span
    ) -> None:
        for problem in problems:
            of = problem.file or file
            self._found.setdefault(of.path, []).append(
                _Raw(rule, of, problem, problem.span or default)
            )

    def _judge(self, file: SqlFile) -> Iterator[tuple[Finding, Edit | None]]:
        """Yield the findings of a file that no allowance silences, by place."""
        raw = self._found.get(file.path, ())
        allowances = find_allowances(file)
        used: set[Allowance] = set()
        shown = []
        for found in raw:
            silencing = [
                a
                for a in allowances
                if a.rule == found.rule.rule.id
                and a.covers.start <= found.span.start < max(a.covers.end, a.covers.start + 1)
            ]
            used.update(silencing)
            if not silencing:
                shown.append(found)
        unused = [a for a in allowances if a not in used]
        context = Context(file, Pair(file, None), self._schema, self._options)
        for rule in self._scoped.get("allowances", ()) if unused else ():
            shown += [
                _Raw(rule, file, p, p.span or Span(0, 0)) for p in rule.check(unused, context)
            ]
        for found in sorted(shown, key=lambda f: (f.span.start, f.rule.rule.id)):
            yield self._finding(found), found.problem.edit

    def _finding(self, found: _Raw) -> Finding:
        rule, problem, text = found.rule.rule, found.problem, found.file.text
        message, severity = problem.message, problem.severity or rule.severity
        if problem.table is not None and self._options.live is not None:
            table = Context(found.file, Pair(found.file, None), self._schema, self._options)
            rows = table.rows(problem.table)
            if rows is not None:
                message += f"; {problem.table} has {count_in_words(rows)}"
                if rows < FEW_ROWS and rule.small_is_harmless:
                    severity = "note"
        severity = self._options.severities.get(rule.id, severity)
        place = locate(text, found.span.start, found.file.path)
        end = locate(text, max(found.span.end, found.span.start), found.file.path, context=0)
        return Finding(
            rule.id,
            severity,
            mask_message(message),
            "not shown: the file is secret" if is_secret(text) else mask(problem.safe),
            place,
            found.file.version or None,
            (end.line or 1, end.column or 1),
            rule.why,
            edit_diff(found.file, problem.edit) if problem.edit else None,
        )

    def _refusals(self, refused: Iterable[ChatdbError]) -> Iterator[Finding]:
        for rule in self._scoped.get("refused", ()):
            for error in refused:
                yield Finding(
                    rule.rule.id,
                    rule.rule.severity,
                    error.message,
                    str(error.hint or ""),
                    error.place,
                    why=rule.rule.why,
                )


def count_in_words(rows: int) -> str:
    """Return a number of rows as people say it: `48 million rows`."""
    for size, word in ((10**9, "billion"), (10**6, "million")):
        if rows >= size:
            number = f"{rows / size:.1f}".removesuffix(".0") if rows < 10 * size else rows // size
            return f"{number} {word} rows"
    return plural(rows, "row")
