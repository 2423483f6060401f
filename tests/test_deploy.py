"""What is in ``deploy/`` and ``docs/operations.md``, against the metrics that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from loopwright.engine.registry import ModelStatus
from loopwright.generation.loop_service import ServiceStatus
from loopwright.http.draining import Draining
from loopwright.http.metrics import Metrics, metrics_table
from loopwright.system.measurements import RunnerMemory
from tests.fakes import KEY, info

ROOT = Path(__file__).parent.parent
DASHBOARD = json.loads((ROOT / "deploy/grafana/loopwright.json").read_text())
ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
PAGE = (ROOT / "docs/operations.md").read_text()

OF_PROMETHEUS = {"instance", "job", "le"}
"""Labels that series have whatever the server says."""


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    """Metrics with a series of each kind."""
    status = ServiceStatus(KEY, KEY, {KEY: ModelStatus("ready", info=info())}, max_models=1)
    metrics = Metrics(lambda: status, Draining())
    metrics.count_request("POST", "/generate/loop", 200, 1.0)
    metrics.take(RunnerMemory(1, 2, 3, 4))
    return metrics


@pytest.fixture(scope="module")
def labels(metrics: Metrics) -> dict[str, set[str]]:
    """The labels of each series, by its name."""
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    found: dict[str, set[str]] = {"up": set()}
    for sample in samples:
        found.setdefault(sample.name, set()).update(sample.labels)
    return found


def queries() -> dict[str, str]:
    """All queries of the dashboard and of the alerts, by what they are for."""
    found = {
        f"{panel['title']}: {target['legendFormat']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", ())
    }
    rules = [rule for group in ALERTS["groups"] for rule in group["rules"]]
    return found | {rule["alert"]: rule["expr"] for rule in rules}


def names_in(query: str) -> set[str]:
    return set(re.findall(r"\b(?:loopwright|process)_\w+|\bup\b", query))


@pytest.mark.parametrize("query", queries().values(), ids=queries())
def test_a_query_asks_for_series_and_labels_that_there_are(
    query: str, labels: dict[str, set[str]]
) -> None:
    names = names_in(query)
    assert names
    assert names <= labels.keys()
    for name, matchers in re.findall(r"(\w+)\{(.*?)\}", query):
        asked = set(re.findall(r"(\w+) ?(?:=~|!~|!=|=)", matchers))
        assert asked <= labels[name] | OF_PROMETHEUS, name
    known = set.union(*(labels[name] for name in names)) | OF_PROMETHEUS
    for grouped in re.findall(r"\bby \((.*?)\)", query):
        assert set(grouped.split(", ")) <= known


def test_what_a_legend_or_a_summary_names_is_a_label_of_its_query() -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            grouped = re.findall(r"\bby \((.*?)\)", target["expr"])
            kept = set(", ".join(grouped).split(", ")) if grouped else OF_PROMETHEUS
            assert named <= kept, target
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
            assert named <= {"instance"}


def test_every_metric_is_on_the_dashboard_but_the_version(labels: dict[str, set[str]]) -> None:
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in labels}
    asked = " ".join(queries().values())
    missing = {
        name for name in families if name.startswith("loopwright_") and name not in asked
    } - {"loopwright_build_info"}
    assert not missing
    assert "loopwright_build_info" in json.dumps(DASHBOARD["templating"])


def test_panels_have_places_and_ids_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}"
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_page_has_the_table_of_metrics(metrics: Metrics) -> None:
    """Where it fails: put the table that it shows between the markers."""
    found = re.search(r"<!-- metrics -->\n(.*?)<!-- /metrics -->", PAGE, re.DOTALL)
    assert found is not None
    assert found[1].strip() == metrics_table(metrics)


def test_the_page_says_what_to_do_about_every_alert() -> None:
    rules = [rule["alert"] for group in ALERTS["groups"] for rule in group["rules"]]
    assert re.findall(r"^\| `(Loopwright\w+)` \|", PAGE, re.MULTILINE) == rules


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool, of Prometheus")
def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    done = subprocess.run(
        ["promtool", "check", "config", ROOT / "deploy/prometheus/prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1 rule files found" in done.stdout
    rules: list[dict[str, Any]] = [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "1m")}
        for number, query in enumerate(queries().values())
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
