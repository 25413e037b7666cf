"""Rendering, without a database: widths, tables, terminal escapes, encodings."""

from __future__ import annotations

import errno
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from chatdb_cli import log
from chatdb_cli.cli.output import Output
from chatdb_cli.cli.progress import migration_progress
from chatdb_cli.cli.render.document import Rendered
from chatdb_cli.cli.render.error import error_document, error_lines
from chatdb_cli.cli.render.table import Table
from chatdb_cli.cli.render.text import one_line, pad, printable, width
from chatdb_cli.errors import ChatdbError, Code, Location
from chatdb_cli.migrate.model import Progress, Step

pytestmark = pytest.mark.quick


STEP = Step("up", "0007", "add_users", "0007_add_users", None)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def output(**more: Any) -> Output:
    return Output(**{"stdout": io.StringIO(), "stderr": io.StringIO(), **more})


def printed(part: str | Table, **more: Any) -> str:
    out = output(**more)
    out.result(Rendered({}, (part,)))
    return str(out.stdout.getvalue())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text",
    ["", "plain", "Grüße", "e\u0301\u0302", "漢字かな", "한글", "\u1112\u1161\u11ab", "🙂🚀", "नमस्ते",
     "ไทย", "العربية", "עִבְרִית", "a\u200bb", "ﾊﾝｶｸ", "Ｆｕｌｌ", "\u00ad"],  # noqa: RUF001
)  # fmt: skip
def test_a_text_is_as_wide_as_rich_says(text: str) -> None:
    assert width(text) == cell_len(text)
    assert pad(text) == " " * cell_len(text)


def test_padding_keeps_the_tabs_of_a_text() -> None:
    assert pad("\tSELECT\t漢") == "\t      \t  "


def test_terminal_escapes_are_removed_from_output() -> None:
    assert printable("a\x1b[31m\r\x07\x9b0mb\tc\nd") == "a\\x1b[31m\\x0d\\x07\\x9b0mb\tc\nd"
    assert one_line("a\nb\tc\x00") == "a\\x0ab\\x09c\\x00"


def test_a_table_is_plain_and_never_cut() -> None:
    rows = [("1", "x" * 300, "applied"), ("10", "漢字", "failed"), ("2", "a\nb", "")]
    assert printed(Table(("version", "name", "state"), rows)) == (
        f"version  name{' ' * 296}  state\n"
        f"1        {'x' * 300}  applied\n"
        f"10       漢字{' ' * 296}  failed\n"
        "2        a\\x0ab\n"
    )
    assert printed(Table(("version",), [])) == ""


def test_on_a_terminal_only_the_state_has_a_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    table = Table(("name", "state"), [("failed", "failed"), ("x", "applied")])
    assert printed(table, stdout=Terminal()) == (
        "name    state\nfailed  \x1b[1;31mfailed\x1b[0m\nx       \x1b[32mapplied\x1b[0m\n"
    )
    assert printed(table, form="json", stdout=Terminal()) == "{}\n"


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Progress("planned", total=3), ""),
        (Progress("started", STEP), ""),
        (
            Progress("done", STEP, state="applied", duration_ms=12),
            "applied   0007 add_users (12 ms)\n",
        ),
        (Progress("done", STEP, state="failed"), "failed    0007 add_users\n"),
        (Progress("done", STEP, state="by-another"), "by-another 0007 add_users\n"),
        (Progress("notice", STEP, text="notice: two\nlines"), "0007 notice: two\nlines\n"),
        (Progress("waiting", text="waiting for another"), "waiting for another\n"),
    ],
    ids=lambda v: v.kind if isinstance(v, Progress) else "",
)
def test_progress_is_one_line_a_migration_off_a_terminal(event: Progress, text: str) -> None:
    out = output()
    migration_progress(out)(event)
    assert out.stderr.getvalue() == text  # type: ignore[attr-defined]
    quiet = output(quiet=True)
    migration_progress(quiet)(event)
    assert quiet.stderr.getvalue() == ""  # type: ignore[attr-defined]


def test_json_is_one_line_and_ascii_where_the_stream_is_not_utf_8() -> None:
    for encoding, text in (("utf-8", '{"name": "漢字 \\u001b"}\n'), ("latin-1", None)):
        raw = io.BytesIO()
        out = Output("json", stdout=io.TextIOWrapper(raw, encoding=encoding), stderr=io.StringIO())
        out.result(Rendered({"name": "漢字 \x1b"}, ()))
        assert json.loads(raw.getvalue().decode(encoding)) == {"name": "漢字 \x1b"}
        assert text in (None, raw.getvalue().decode(encoding))


ERROR = ChatdbError(
    Code.STATEMENT,
    "it broke",
    sqlstate="42703",
    place=Location(Path("sql/up/a.sql"), 10, 9, ((9, ""), (10, "\t漢 'é' nope"))),
    notes=("server detail: one\ntwo", "0007 was rolled back"),
    hint="correct it",
)


def test_an_error_is_rendered_with_every_part() -> None:
    text = "".join(f"{line}\n" for line, _ in error_lines(ERROR))
    assert text == (
        "error: it broke [42703 undefined_column]\n"
        "  --> sql/up/a.sql:10:9\n"
        "   |\n"
        " 9 |\n"
        "10 | \t漢 'é' nope\n"
        "   | \t        ^\n"
        "   = server detail: one\n"
        "     two\n"
        "   = 0007 was rolled back\n"
        "\n"
        "hint: correct it\n"
    )
    assert error_document(ERROR) == {
        "code": "statement",
        "message": "it broke",
        "hint": "correct it",
        "file": "sql/up/a.sql",
        "line": 10,
        "column": 9,
        "sqlstate": "42703",
        "errno": None,
        "notes": ["server detail: one\ntwo", "0007 was rolled back"],
        "correlation_id": log.correlation_id,
    }


def test_an_error_is_rendered_with_its_message_alone() -> None:
    error = ChatdbError(Code.UNREACHABLE, "no", errno=errno.errorcode[errno.ECONNREFUSED])
    assert error_lines(error) == [("error: no [ECONNREFUSED]", "bold red")]
    out = output(form="json")
    out.error(error)
    assert json.loads(out.stdout.getvalue()) == {  # type: ignore[attr-defined]
        "format": 1,
        "target": None,
        "error": error_document(error),
    }
    assert out.stderr.getvalue() == "error: no [ECONNREFUSED]\n"  # type: ignore[attr-defined]
