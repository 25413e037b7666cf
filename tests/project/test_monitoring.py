"""The metrics that the documentation and the alert rules name exist, and the examples are valid."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from tests.support.paths import ROOT

DOCS = ROOT / "docs"
OPERATING = (DOCS / "operating.md").read_text(encoding="utf-8")
ALERTS = ROOT / "examples" / "monitoring" / "alerts.yml"
PAGE = runpy.run_path(str(DOCS / "metrics.py"))
EXPORTED = PAGE["names"]()
LABELS = {metric.full_name: set(metric.labels) | {"instance", "job"} for metric in PAGE["_all"]()}
RULES = [
    rule
    for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]


def test_metrics_md_is_up_to_date() -> None:
    assert PAGE["document"]() == (DOCS / "metrics.md").read_text(encoding="utf-8"), (
        'run "make docs"'
    )


@pytest.mark.parametrize(
    "path",
    [DOCS / "operating.md", DOCS / "metrics.md", ROOT / "README.md", ALERTS],
    ids=lambda path: path.name,
)
def test_each_metric_that_is_named_is_exported(path: Path) -> None:
    named = set(re.findall(r"\bchatdb_[a-z_]+\b", path.read_text(encoding="utf-8")))
    others = {"chatdb_migration", "chatdb_cli"}  # a table and the package
    assert named - others <= EXPORTED | LABELS.keys()


def metrics_in(expression: Any) -> Iterator[str]:
    """Yield the metric of each selector of an expression."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression.name or ""
    for part in ("lhs", "rhs", "expr", "vector_selector"):
        if (inner := getattr(expression, part, None)) is not None:
            yield from metrics_in(inner)
    for argument in getattr(expression, "args", ()) or ():
        yield from metrics_in(argument)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_is_a_valid_rule_on_metrics_that_exist(rule: dict[str, Any]) -> None:
    assert {"alert", "expr", "labels", "annotations"} <= rule.keys()
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    metrics = set(metrics_in(promql_parser.parse(rule["expr"])))
    assert metrics
    assert metrics <= EXPORTED | {"up"}
    assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    available = {"instance", "job"}.union(*(LABELS.get(name, set()) for name in metrics))
    template = rule["annotations"]["summary"]
    assert set(re.findall(r"\$labels\.(\w+)", template)) <= available
    assert f"| `{rule['alert']}` |" in OPERATING, "say in docs/operating.md what to do"


def test_the_page_explains_no_alert_that_does_not_exist() -> None:
    explained = set(re.findall(r"^\| `(Chatdb\w+)` \|", OPERATING, re.MULTILINE))
    assert explained == {rule["alert"] for rule in RULES}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", OPERATING, re.MULTILINE | re.DOTALL)


def test_the_yaml_of_the_page_is_valid() -> None:
    documents = [yaml.safe_load(block) for block in blocks("yaml")]
    (container,) = (d[0] for d in documents if isinstance(d, list))
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    paths = [container[probe]["httpGet"] for probe in ("livenessProbe", "readinessProbe")]
    assert [probe["path"] for probe in paths] == ["/health/live", "/health/ready"]
    assert {ports[probe["port"]] for probe in paths} == {9432}
    (prometheus,) = (d for d in documents if isinstance(d, dict) and "scrape_configs" in d)
    assert prometheus["rule_files"] == [ALERTS.name]


def test_the_units_of_the_page_are_valid(tmp_path: Path) -> None:
    units = [block for block in blocks("ini") if "ExecStart" in block]
    assert units
    analyze = shutil.which("systemd-analyze")
    for number, unit in enumerate(units):
        assert all(re.fullmatch(r"(\[\w+\]|#.*|\w+=.*|)", line) for line in unit.splitlines())
        if analyze:
            path = tmp_path / f"unit{number}.service"
            path.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", unit))
            result = subprocess.run(
                [analyze, "verify", "--man=no", path], capture_output=True, text=True
            )
            ours = [line for line in result.stderr.splitlines() if path.name in line]
            assert not ours
