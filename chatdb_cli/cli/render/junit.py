"""A verdict as JUnit XML, which GitLab, Jenkins and most CI systems read.

A check is a test suite; a finding is a test case that failed; a check without findings is one test case.
The elements and attributes are those that every reader knows, in the order of the schema of Jenkins'
xUnit plugin (junit-10.xsd).  What does not belong here: other reports (`report.py`, `summary.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from chatdb_cli.cli.render.verify import detail
from chatdb_cli.cli.words import in_words

if TYPE_CHECKING:
    from chatdb_cli.findings import Finding
    from chatdb_cli.verify.model import CheckResult, Verdict

# What XML 1.0 can't contain, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(verdict: Verdict) -> str:
    """Return a verdict as a JUnit report."""
    checks = verdict.checks
    root = ET.Element(
        "testsuites",
        name="chatdb verify",
        tests=str(sum(map(_cases, checks))),
        failures=str(sum(map(_failures, checks))),
        errors="0",
        time=_seconds(sum(check.duration_ms for check in checks)),
    )
    for check in checks:
        root.append(_suite(check))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _cases(check: CheckResult) -> int:
    return max(1, len(check.findings))


def _failures(check: CheckResult) -> int:
    return len(check.findings)


def _suite(check: CheckResult) -> ET.Element:
    suite = ET.Element(
        "testsuite",
        name=check.name,
        tests=str(_cases(check)),
        failures=str(_failures(check)),
        errors="0",
        skipped=str(int(check.skipped is not None)),
        time=_seconds(check.duration_ms),
    )
    for finding in check.findings:
        suite.append(_failed_case(check, finding))
    if not check.findings:
        name = _text(f"{check.name}: {detail(check)}")
        case = ET.SubElement(
            suite, "testcase", classname=f"chatdb.{check.name}", name=name,
            time=_seconds(check.duration_ms),
        )  # fmt: skip
        if check.skipped is not None:
            ET.SubElement(case, "skipped", message=_text(check.skipped))
    return suite


def _failed_case(check: CheckResult, finding: Finding) -> ET.Element:
    message, hint, place = in_words(finding.message), in_words(finding.hint), finding.location
    name = _text(f"{finding.code}: {message}")
    case = ET.Element("testcase", classname=f"chatdb.{check.name}", name=name, time=_seconds(0))
    where = ""
    if place is not None:
        where = f"{place.file}:{place.line}" if place.line is not None else str(place.file)
    failure = ET.SubElement(case, "failure", type=finding.code, message=_text(message))
    parts = (where, message, finding.why, f"hint: {hint}" if hint else "")
    failure.text = _text("\n".join(filter(None, parts)))
    return case


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f}"


def _text(text: str) -> str:
    return _FORBIDDEN.sub(lambda m: f"\\x{ord(m[0]):02x}", text)
