"""Reports in other formats, beside the result: the option `--report`.

What does not belong here: the formats (`render/report.py`, `render/junit.py`, `render/summary.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.errors import ChatdbError, Code

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatdb_cli.cli.context import Context

# The report that is written to the output, not to a file.
GITHUB = "github"


class Report(NamedTuple):
    """A report that was asked for.

    Attributes:
        kind: its format.
        path: its file; None for annotations of GitHub.
    """

    kind: str
    path: Path | None


def parse_reports(texts: Sequence[str] | None, kinds: Sequence[str]) -> list[Report]:
    """Return the reports that `--report` asks for.

    Args:
        texts: `KIND=FILE`, or `github`.
        kinds: the formats of a file that the command has.

    Raises:
        ChatdbError: `USAGE`, there is no such report.
    """
    reports = []
    for text in texts or ():
        kind, equals, path = text.partition("=")
        if not ((kind in kinds and path) or (kind == GITHUB and not equals)):
            files = ", ".join(f"--report {kind}=FILE" for kind in kinds)
            raise ChatdbError(
                Code.USAGE,
                f"there is no report {text!r}",
                hint=f"write {files} or --report {GITHUB}",
            )
        reports.append(Report(kind, Path(path) if path else None))
    return reports


def write_report(context: Context, report: Report, make: Callable[[str], str]) -> None:
    """Write a report to its file, or annotations to the output.

    Args:
        context: the command's.
        report: the report.
        make: returns the text of a report of a kind.

    Raises:
        ChatdbError: `USAGE`, the file can't be written.
    """
    text = make(report.kind)
    if report.path is None:
        if text and context.out.form == "json":  # GitHub reads them on both streams
            context.out.write(context.out.recorded(text))
        elif text:
            context.out.text(text)
        return
    from chatdb_cli.files.replace import replace_text

    try:
        replace_text(report.path, text)
    except OSError as error:
        from chatdb_cli.files.names import file_error

        raise file_error(report.path, error, "written", Code.USAGE) from None
    context.out.say(f"{report.kind}: {report.path}")
