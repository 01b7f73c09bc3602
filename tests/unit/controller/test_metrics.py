"""Metrics: the names that dashboards know, and no series of a runtime that is gone."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from controller.caches import Parsed
from controller.metrics import Metrics, Watched
from crds.v1.lifecycle import Phase
from crds.v1.xtrinode import XTrinode


def test_the_names_are_those_of_controller_runtime():
    metrics = Metrics()
    queue = metrics.queue("xtrinode", lambda: 0.0)
    queue.added(1)
    queue.started(0, 0.1)
    queue.finished(0, 0.1)
    queue.retried()
    metrics.reconciles.labels("xtrinode", "success").inc()
    page = metrics.page().decode()
    for name in (
        'workqueue_adds_total{name="xtrinode"} 1.0',
        'workqueue_retries_total{name="xtrinode"} 1.0',
        'workqueue_depth{name="xtrinode"} 0.0',
        'controller_runtime_reconcile_total{controller="xtrinode",result="success"} 1.0',
    ):
        assert name in page


def test_a_runtime_is_described_while_it_is_there_and_no_longer():
    metrics = Metrics()
    parsed = Parsed(XTrinode, {"size": "xs"})
    status = {"phase": "Ready", "workers": 3, "conditions": [{"type": "Ready", "status": "True"}]}
    runtimes = [parsed.keep({"metadata": {"namespace": "team-a", "name": "x"}, "status": status})]
    metrics.describe(lambda: runtimes, [Watched("pods", lambda: 7)])
    page = metrics.page().decode()
    assert 'xtrinode_state{name="x",namespace="team-a",phase="Ready"} 1.0' in page
    assert 'xtrinode_state{name="x",namespace="team-a",phase="Error"} 0.0' in page
    assert 'xtrinode_condition{name="x",namespace="team-a",type="Ready"} 1.0' in page
    assert 'xtrinode_workers_current{name="x",namespace="team-a"} 3.0' in page
    assert 'xtrinode_controller_cached_objects{resource="pods"} 7.0' in page
    runtimes.clear()
    assert "team-a" not in metrics.page().decode()


def test_the_page_is_what_a_scraper_reads():
    metrics = Metrics()
    conditions = [{"type": 'odd "type" \\', "status": "Unknown"}]
    parsed = Parsed(XTrinode, {"size": "xs"})
    kept = parsed.keep({"metadata": {"namespace": "n", "name": "x"}, "status": {"conditions": conditions}})
    metrics.describe(lambda: [kept], [])
    families = {family.name: family for family in text_string_to_metric_families(metrics.page().decode())}
    (sample,) = families["xtrinode_condition"].samples
    assert (sample.labels["type"], sample.value) == ('odd "type" \\', -1.0)
    assert len(families["xtrinode_state"].samples) == len(Phase)
    assert families["xtrinode_workers_current"].type == "gauge"
