"""Deployments, decided step by step on a small simulated cluster.

Plan: a rollout converges and never breaks its bounds (any strategy, any sizes); Recreate waits for the last old
pod; scaling, pausing, history and revisions; conditions and the progress deadline; percent rounding.
"""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.kubelet.objects import controller_reference, find_condition
from sandbox.kubelet.workloads import deployments
from sandbox.kubelet.workloads.deployment_status import Bounds, bounds
from sandbox.kubelet.workloads.deployments import plan

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Object = dict[str, Any]


def deployment(replicas: int = 3, image: str = "a", **spec: Any) -> Object:
    return {
        "metadata": {"name": "web", "namespace": "n", "uid": "d1", "generation": 1},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
            **spec,
        },
    }


class World:
    """ReplicaSets that follow their size one pod at a time; `ready` says how many new pods become available."""

    def __init__(self, deployed: Object) -> None:
        self.deployment = deployed
        self.sets: dict[str, Object] = {}
        self.pods: list[Object] = []
        self.now = NOW
        self.last = deployments.DeploymentPlan()

    def step(self) -> bool:
        self.last = made = plan(self.deployment, copy.deepcopy(list(self.sets.values())), self.pods, self.now)
        if made.create is not None:
            body = copy.deepcopy(made.create)
            name = body["metadata"]["name"]
            body["metadata"].update(uid=name, generation=1, creationTimestamp=f"2026-01-01T00:00:{len(self.sets):02d}Z")
            body["metadata"]["ownerReferences"] = [controller_reference("apps/v1", "Deployment", self.deployment)]
            assert name not in self.sets
            self.sets[name] = body
        for change in made.changes:
            item = self.sets[change.replica_set["metadata"]["name"]]
            item["metadata"].setdefault("annotations", {}).update(change.annotations)
            if change.replicas is not None:
                item["spec"]["replicas"] = change.replicas
        for gone in made.delete:
            del self.sets[gone["metadata"]["name"]]
        self.deployment["metadata"].setdefault("annotations", {}).update(made.annotate)
        if made.status is not None:
            self.deployment["status"] = made.status
        return made.create is not None or bool(made.changes or made.delete) or made.status is not None

    def settle_sets(self, ready: bool = True) -> None:
        for item in self.sets.values():
            count = item["spec"]["replicas"]
            was = (item.get("status") or {}).get("availableReplicas", 0)
            available = count if ready else min(was, count)
            item["status"] = {
                "replicas": count,
                "readyReplicas": available,
                "availableReplicas": available,
                "observedGeneration": 1,
            }

    def run(self, ready: bool = True) -> None:
        for _ in range(200):
            moved = self.step()
            before = [copy.deepcopy(item.get("status")) for item in self.sets.values()]
            self.settle_sets(ready)
            if not moved and before == [item.get("status") for item in self.sets.values()]:
                return
        raise AssertionError("the rollout does not converge")

    def change_image(self, image: str) -> None:
        self.deployment["spec"]["template"]["spec"]["containers"][0]["image"] = image
        self.deployment["metadata"]["generation"] += 1

    def sizes(self) -> dict[str, int]:
        return {
            item["spec"]["template"]["spec"]["containers"][0]["image"]: item["spec"]["replicas"]
            for item in self.sets.values()
        }

    def condition(self, kind: str) -> Object:
        return dict(find_condition(self.deployment["status"]["conditions"], kind) or {})


def test_first_rollout_creates_one_replica_set_and_completes() -> None:
    world = World(deployment())
    world.run()
    assert world.sizes() == {"a": 3}
    assert world.deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert world.deployment["status"]["availableReplicas"] == 3
    assert world.condition("Progressing")["reason"] == "NewReplicaSetAvailable"
    assert world.condition("Available")["status"] == "True"


def test_the_replica_set_and_its_pods_carry_the_template_hash() -> None:
    world = World(deployment())
    world.run()
    (item,) = world.sets.values()
    label = item["metadata"]["labels"]["pod-template-hash"]
    assert item["metadata"]["name"] == f"web-{label}"
    assert item["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": label}
    assert item["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] == label


@settings(max_examples=150, deadline=None)
@given(
    replicas=st.integers(0, 12),
    surge=st.one_of(st.integers(0, 4), st.sampled_from(["0%", "25%", "50%", "100%"])),
    missing=st.one_of(st.integers(0, 4), st.sampled_from(["0%", "25%", "34%", "100%"])),
    rollouts=st.lists(st.sampled_from("abcd"), min_size=1, max_size=4),
)
def test_rolling_updates_converge_within_their_bounds(
    replicas: int, surge: int | str, missing: int | str, rollouts: list[str]
) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": missing}}
    world = World(deployment(replicas, strategy=strategy))
    world.run()
    limit = bounds(world.deployment)
    for image in rollouts:
        world.change_image(image)
        for _ in range(200):
            moved = world.step()
            total = sum(world.sizes().values())
            assert total <= replicas + limit.surge
            serving = sum(
                min(item["spec"]["replicas"], (item.get("status") or {}).get("availableReplicas", 0))
                for item in world.sets.values()
            )
            assert serving >= replicas - limit.unavailable
            world.settle_sets()
            if not moved and world.sizes().get(image, 0) == replicas:
                break
        assert {name: size for name, size in world.sizes().items() if size} == ({image: replicas} if replicas else {})


def test_a_stuck_rollout_keeps_the_old_pods_and_says_so_after_the_deadline() -> None:
    world = World(deployment(4, progressDeadlineSeconds=60))
    world.run()
    world.change_image("broken")
    world.run(ready=False)
    assert world.sizes()["a"] == 3  # maxUnavailable 25 % of 4
    assert world.last.requeue_after is not None and 0 < world.last.requeue_after <= 61
    world.now += timedelta(seconds=62)
    world.step()
    assert world.condition("Progressing")["reason"] == "ProgressDeadlineExceeded"
    assert world.condition("Progressing")["status"] == "False"


def test_recreate_waits_for_the_last_old_pod() -> None:
    world = World(deployment(2, strategy={"type": "Recreate"}))
    world.run()
    (old,) = world.sets.values()
    leaving = {
        "metadata": {
            "name": "p",
            "namespace": "n",
            "deletionTimestamp": "2026-01-01T00:00:00Z",
            "ownerReferences": [controller_reference("apps/v1", "ReplicaSet", old)],
        },
        "status": {"phase": "Running"},
    }
    world.pods = [leaving]
    world.change_image("b")
    world.run()
    assert world.sizes() == {"a": 0}
    world.pods = []
    world.run()
    assert world.sizes() == {"a": 0, "b": 2}


def test_going_back_reuses_the_old_replica_set_under_a_new_revision() -> None:
    world = World(deployment())
    world.run()
    world.change_image("b")
    world.run()
    world.change_image("a")
    world.run()
    assert world.sizes() == {"a": 3, "b": 0}
    assert world.deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"


def test_scaling_to_zero_and_back_is_no_rollout() -> None:
    world = World(deployment())
    world.run()
    for size in (0, 5):
        world.deployment["spec"]["replicas"] = size
        world.run()
        assert world.sizes() == {"a": size}
        assert world.condition("Progressing")["reason"] == "NewReplicaSetAvailable"


def test_scaling_during_a_rollout_shares_the_change() -> None:
    world = World(deployment(10, strategy={"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}))
    world.run()
    world.change_image("b")
    for _ in range(4):
        world.step()
        world.settle_sets(ready=False)
    assert world.sizes() == {"a": 8, "b": 5}
    world.deployment["spec"]["replicas"] = 20
    world.step()
    assert sum(world.sizes().values()) == 23
    assert world.sizes()["a"] > 8 and world.sizes()["b"] > 5


def test_a_paused_deployment_scales_but_does_not_roll() -> None:
    world = World(deployment())
    world.run()
    world.deployment["spec"]["paused"] = True
    world.change_image("b")
    world.deployment["spec"]["replicas"] = 5
    world.run()
    assert world.sizes() == {"a": 5}
    assert world.condition("Progressing")["reason"] == "DeploymentPaused"
    world.deployment["spec"]["paused"] = False
    world.run()
    assert world.sizes() == {"a": 0, "b": 5}
    assert world.condition("Progressing")["reason"] == "NewReplicaSetAvailable"


def test_only_the_youngest_old_revisions_are_kept() -> None:
    world = World(deployment(1, revisionHistoryLimit=2))
    for image in "abcdef":
        world.change_image(image)
        world.run()
    assert world.sizes() == {"d": 0, "e": 0, "f": 1}


def test_orphans_that_match_are_adopted_and_others_are_left_alone() -> None:
    orphan = {"metadata": {"name": "o", "labels": {"app": "web"}}, "spec": {}}
    foreign = {
        "metadata": {
            "name": "f",
            "labels": {"app": "web"},
            "ownerReferences": [{"uid": "other", "controller": True}],
        },
        "spec": {},
    }
    made = plan(deployment(), [orphan, foreign], [], NOW)
    assert [item["metadata"]["name"] for item in made.adopt] == ["o"]
    assert made.create is None


def test_a_refused_pod_shows_in_the_deployment() -> None:
    world = World(deployment())
    world.run()
    (item,) = world.sets.values()
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}
    item["status"]["conditions"] = [failure]
    world.step()
    assert world.condition("ReplicaFailure")["message"] == "quota"


def test_a_settled_deployment_needs_nothing() -> None:
    world = World(deployment())
    world.run()
    assert world.step() is False
    assert world.last == deployments.DeploymentPlan()


@pytest.mark.parametrize(
    ("surge", "missing", "replicas", "wanted"),
    [
        ("25%", "25%", 10, Bounds(3, 2)),
        ("25%", "25%", 1, Bounds(1, 0)),
        (0, 0, 4, Bounds(0, 1)),
        ("0%", "10%", 4, Bounds(0, 1)),
        (None, None, 4, Bounds(1, 1)),
        (2, "100%", 3, Bounds(2, 3)),
    ],
)
def test_percentages_of_surge_round_up_and_of_unavailable_down(
    surge: Any, missing: Any, replicas: int, wanted: Bounds
) -> None:
    rolling = {"maxSurge": surge, "maxUnavailable": missing}
    assert bounds(deployment(replicas, strategy={"rollingUpdate": rolling})) == wanted
