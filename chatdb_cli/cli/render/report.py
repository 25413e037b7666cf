"""Reports for other programs: SARIF 2.1.0 and the annotations of GitHub Actions.

What does not belong here: chatdb's own document of a result (the module of that result).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from chatdb_cli._version import __version__
from chatdb_cli.cli.render.text import printable
from chatdb_cli.cli.words import in_words
from chatdb_cli.errors import Location

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chatdb_cli.cli.render.document import Document
    from chatdb_cli.findings import Finding

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_GITHUB = {"error": "error", "warning": "warning", "note": "notice"}


def sarif(
    findings: Sequence[Finding],
    titles: Mapping[str, str],
    root: Path,
    elsewhere: Path | None = None,
) -> str:
    """Return findings as a SARIF 2.1.0 log, which GitHub, GitLab and editors read.

    Args:
        findings: what was found.
        titles: one line about each code.
        root: the directory that the paths start from.
        elsewhere: the file that gets the findings about no file: GitHub rejects a log with a result
            that has no location.
    """
    if elsewhere is not None:
        default = Location(elsewhere)
        findings = [f if f.location else f._replace(location=default) for f in findings]
    codes = sorted({finding.code for finding in findings})
    whys = {finding.code: finding.why for finding in findings}
    rules = [
        {
            "id": code,
            "shortDescription": {"text": titles.get(code, code)},
            "fullDescription": {"text": whys[code] or titles.get(code, code)},
        }
        for code in codes
    ]
    results = [_result(finding, codes.index(finding.code), root) for finding in findings]
    run = {
        "tool": {"driver": {"name": "chatdb", "version": __version__, "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"uri": root.resolve().as_uri() + "/"}},
        "results": results,
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _result(finding: Finding, rule: int, root: Path) -> Document:
    text = in_words(finding.message)
    result: Document = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": f"{text}\n{in_words(finding.hint)}" if finding.hint else text},
    }
    place = finding.location
    if place is None:
        return result
    path = place.file.resolve()
    artifact: Document = {"uri": path.as_uri()}
    if path.is_relative_to(root.resolve()):
        relative = path.relative_to(root.resolve()).as_posix()
        artifact = {"uri": quote(relative), "uriBaseId": "SRCROOT"}
    physical: Document = {"artifactLocation": artifact}
    if place.line is not None:
        region = {"startLine": place.line, "startColumn": place.column or 1}
        if finding.end:
            region |= {"endLine": finding.end[0], "endColumn": finding.end[1]}
        physical["region"] = region
    result["locations"] = [{"physicalLocation": physical}]
    return result


def github(findings: Iterable[Finding]) -> str:
    """Return findings as workflow commands, which GitHub Actions shows beside the lines of a diff."""
    lines = []
    for finding in findings:
        place = finding.location
        where = []
        if place is not None:
            where = [f"file={_property(str(place.file))}"]
            if place.line is not None:
                where += [f"line={place.line}", f"col={place.column or 1}"]
            if finding.end:
                where += [f"endLine={finding.end[0]}", f"endColumn={finding.end[1]}"]
        where.append(f"title={_property(finding.code)}")
        text = in_words(finding.message) + (f"\n{in_words(finding.hint)}" if finding.hint else "")
        lines.append(f"::{_GITHUB[finding.severity]} {','.join(where)}::{_data(text)}\n")
    return "".join(lines)


def _data(text: str) -> str:
    """Escape the text of a workflow command."""
    return printable(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))


def _property(text: str) -> str:
    """Escape a property of a workflow command."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
