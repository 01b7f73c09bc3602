"""Pods as processes on a sandbox API server.

Plan: init order, environment and volumes with live updates; what is missing makes the pod wait, visibly, and it
recovers; images; scheduling; crashes and back-off; the three probes; stopping with hooks, time-outs and by force;
logs; finished pods.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crds.client import ApiError
from crds.client.resources import CONFIG_MAPS, EVENTS, PODS, SECRETS
from tests.cluster.kubelet.conftest import NAMESPACE, Cluster, alive

Object = dict[str, Any]
MakePod = Callable[..., Object]


def config_map(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def container(found: Object, field: str = "containerStatuses") -> Object:
    entries = (found.get("status") or {}).get(field) or [{}]
    return dict(entries[0])


def waiting(found: Object) -> str:
    return str(((container(found).get("state") or {}).get("waiting") or {}).get("reason"))


async def reported(cluster: Cluster, name: str, reason: str) -> str:
    """The note of an event on a pod."""

    def match(found: list[Object]) -> list[str]:
        return [
            str(item.get("note") or item.get("message"))
            for item in found
            if item.get("reason") == reason and (item.get("regarding") or {}).get("name") == name
        ]

    return match(await cluster.all_until(EVENTS, match))[0]


async def test_init_containers_run_one_after_the_other_before_the_main_one(cluster: Cluster, pod: MakePod) -> None:
    await cluster.start_kubelet()
    mount = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}

    def step(name: str, script: str) -> Object:
        command = ["/bin/sh", "-c", script]
        return {"name": name, "image": "sandbox/process", "command": command, **mount}

    init = [
        step("first", 'echo 1 > "$XTRINODE_SANDBOX_ROOT/shared/log"'),
        step("second", 'echo 2 >> "$XTRINODE_SANDBOX_ROOT/shared/log"'),
    ]
    spec = {"initContainers": init, "volumes": [{"name": "shared", "emptyDir": {}}]}
    await cluster.create(pod("a", 'cat "$XTRINODE_SANDBOX_ROOT/shared/log"; exec sleep 1000', spec=spec, **mount))
    found = await cluster.ready_pod("a")
    assert [item["state"]["terminated"]["exitCode"] for item in found["status"]["initContainerStatuses"]] == [0, 0]
    assert await cluster.said("a", 2, container="main") == "1\n2\n"


async def test_a_failing_init_container_is_repeated_until_it_succeeds(cluster: Cluster, pod: MakePod) -> None:
    await cluster.start_kubelet()
    script = 'f="$XTRINODE_SANDBOX_ROOT/shared/n"; echo x >> "$f"; test "$(wc -l < "$f")" -ge 3'
    mounts = [{"name": "shared", "mountPath": "/shared"}]
    command = ["/bin/sh", "-c", script]
    init = [{"name": "try", "image": "sandbox/process", "command": command, "volumeMounts": mounts}]
    spec = {"initContainers": init, "volumes": [{"name": "shared", "emptyDir": {}}]}
    await cluster.create(pod("a", spec=spec))
    found = await cluster.ready_pod("a")
    assert container(found, "initContainerStatuses")["restartCount"] == 2


async def test_the_environment_holds_secrets_fields_and_the_pods_own_address(cluster: Cluster, pod: MakePod) -> None:
    await cluster.start_kubelet()
    await cluster.create(secret("key", password="s3cret"), config_map("conf", a="1"))
    env = [
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "key", "key": "password"}}},
        {"name": "ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "BOTH", "value": "$(ADDRESS)/$(PASSWORD)"},
    ]
    await cluster.create(
        pod("a", 'echo "$BOTH $a"; exec sleep 1000', env=env, envFrom=[{"configMapRef": {"name": "conf"}}])
    )
    found = await cluster.ready_pod("a")
    address = found["status"]["podIP"]
    assert ipaddress.ip_address(address) in ipaddress.ip_network("127.64.0.0/10")
    assert await cluster.said("a") == f"{address}/s3cret 1\n"


async def test_mounted_files_follow_their_config_map_and_secrets_are_private(cluster: Cluster, pod: MakePod) -> None:
    kubelet = await cluster.start_kubelet()
    await cluster.create(config_map("conf", **{"a.txt": "old"}), secret("key", password="s3cret"))
    volumes = [{"name": "conf", "configMap": {"name": "conf"}}, {"name": "key", "secret": {"secretName": "key"}}]
    mounts = [{"name": "conf", "mountPath": "/etc/conf"}, {"name": "key", "mountPath": "/etc/key"}]
    script = (
        'cd "$XTRINODE_SANDBOX_ROOT/etc"; stat -L -c %a key key/password; cat conf/a.txt; echo; '
        "while grep -q old conf/a.txt; do sleep 0.05; done; cat conf/a.txt; echo; exec sleep 1000"
    )
    await cluster.create(pod("a", script, spec={"volumes": volumes}, volumeMounts=mounts))
    await cluster.ready_pod("a")
    seen = ""
    async for chunk in cluster.client.logs("a", NAMESPACE, follow=True):
        seen += chunk.decode()
        if seen.endswith("old\n"):
            await cluster.client.patch(CONFIG_MAPS, "conf", NAMESPACE, {"data": {"a.txt": "new"}})
        if seen.endswith("new\n"):
            break
    assert seen == "700\n600\nold\nnew\n"
    assert kubelet.find(NAMESPACE, "a") is not None


async def test_a_missing_secret_in_the_environment_is_waited_for(cluster: Cluster, pod: MakePod) -> None:
    await cluster.start_kubelet()
    env = [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "late", "key": "k"}}}]
    await cluster.create(pod("a", env=env))
    found = await cluster.until(PODS, "a", lambda item: waiting(item) == "CreateContainerConfigError")
    assert '"late" not found' in container(found)["state"]["waiting"]["message"]
    assert found["status"]["phase"] == "Pending"
    await cluster.create(secret("late", other="x"))
    await cluster.until(PODS, "a", lambda item: "key k" in str(container(item)["state"]))
    await cluster.client.patch(SECRETS, "late", NAMESPACE, {"stringData": {"k": "v"}})
    await cluster.ready_pod("a")


async def test_a_missing_config_map_in_a_volume_is_waited_for(cluster: Cluster, pod: MakePod) -> None:
    await cluster.start_kubelet()
    spec = {"volumes": [{"name": "conf", "configMap": {"name": "late"}}]}
    await cluster.create(pod("a", spec=spec))
    assert "late" in await reported(cluster, "a", "FailedMount")
    found = await cluster.until(PODS, "a", lambda item: "late" in str(container(item).get("state")))
    assert waiting(found) == "ContainerCreating"
    await cluster.create(config_map("late", a="1"))
    await cluster.ready_pod("a")


async def test_an_image_that_cannot_run_says_what_can(cluster: Cluster, pod: MakePod) -> None:
    await cluster.start_kubelet()
    await cluster.create(pod("a", image="trinodb/trno:480"))
    found = await cluster.until(PODS, "a", lambda item: waiting(item) == "ImagePullBackOff")
    assert "trinodb/trino" in container(found)["state"]["waiting"]["message"]


async def test_a_sidecar_that_cannot_run_is_stood_in_for(cluster: Cluster, pod: MakePod) -> None:
    await cluster.start_kubelet()
    probe = {"httpGet": {"path": "/metrics", "port": 5556}}
    await cluster.create(pod("a", image="bitnami/jmx-exporter:1", readinessProbe=probe))
    await cluster.ready_pod("a")
    assert "placeholder" in await cluster.logs("a")
    assert "jmx-exporter" in await reported(cluster, "a", "Placeholder")


async def test_a_pod_that_does_not_fit_waits_until_there_is_room(cluster: Cluster, pod: MakePod) -> None:
    await cluster.start_kubelet(allocatable_cpu=1000)
    resources = {"requests": {"cpu": "800m"}}
    await cluster.create(pod("first", resources=resources))
    await cluster.ready_pod("first")
    await cluster.create(pod("second", resources=resources))

    def refused(item: Object) -> bool:
        conditions = (item.get("status") or {}).get("conditions") or []
        return any(entry["type"] == "PodScheduled" and entry.get("reason") == "Unschedulable" for entry in conditions)

    found = await cluster.until(PODS, "second", refused)
    assert "0/1 nodes are available: 1 Insufficient cpu" in str(found["status"]["conditions"])
    await cluster.client.delete(PODS, "first", NAMESPACE)
    await cluster.ready_pod("second")


async def test_a_crashing_container_backs_off_and_keeps_its_last_words(cluster: Cluster, pod: MakePod) -> None:
    await cluster.start_kubelet()
    await cluster.create(pod("a", "echo dying; exit 3"))
    found = await cluster.until(
        PODS, "a", lambda item: waiting(item) == "CrashLoopBackOff" and container(item)["restartCount"] >= 2
    )
    assert container(found)["lastState"]["terminated"]["exitCode"] == 3
    assert found["status"]["phase"] == "Running"
    assert await cluster.logs("a", previous=True) == "dying\n"
    assert "Back-off restarting" in await reported(cluster, "a", "BackOff")


async def test_a_killed_process_is_restarted(cluster: Cluster, pod: MakePod) -> None:
    await cluster.start_kubelet()
    await cluster.create(pod("a", "echo $$$$; exec sleep 1000"))
    await cluster.ready_pod("a")
    os.kill(int(await cluster.said("a")), signal.SIGKILL)
    found = await cluster.until(
        PODS, "a", lambda item: container(item)["restartCount"] == 1 and container(item)["ready"]
    )
    assert container(found)["lastState"]["terminated"]["exitCode"] == 137


async def test_a_command_that_does_not_exist_is_named(cluster: Cluster, pod: MakePod) -> None:
    await cluster.start_kubelet()
    await cluster.create(pod("a", command=["/no/such/program"]))
    found = await cluster.until(PODS, "a", lambda item: waiting(item) == "CrashLoopBackOff")
    last = container(found)["lastState"]["terminated"]
    assert last["reason"] == "StartError" and "/no/such/program" in last["message"]


async def test_readiness_follows_its_probe(cluster: Cluster, pod: MakePod) -> None:
    await cluster.start_kubelet(speedup=20)
    probe = {"exec": {"command": ["/bin/sh", "-c", 'test -e "$HOME/ready"']}, "failureThreshold": 1}
    await cluster.create(pod("a", 'echo "$HOME"; exec sleep 1000', readinessProbe=probe))
    await cluster.until(PODS, "a", lambda item: container(item).get("started"))
    flag = Path((await cluster.said("a")).strip()) / "ready"
    flag.touch()
    await cluster.ready_pod("a")
    flag.unlink()
    await cluster.until(PODS, "a", lambda item: not container(item)["ready"])
    assert "Readiness probe failed" in await reported(cluster, "a", "Unhealthy")


async def test_a_failing_liveness_probe_restarts_the_container(cluster: Cluster, pod: MakePod) -> None:
    await cluster.start_kubelet(speedup=100)
    probe = {"tcpSocket": {"port": 9}, "failureThreshold": 2}
    await cluster.create(pod("a", livenessProbe=probe))
    found = await cluster.until(PODS, "a", lambda item: container(item).get("restartCount", 0) >= 1)
    assert found["status"]["phase"] == "Running"
    assert "failed liveness probe" in await reported(cluster, "a", "Killing")


async def test_the_other_probes_wait_for_the_startup_probe(cluster: Cluster, pod: MakePod) -> None:
    await cluster.start_kubelet(speedup=100)
    check = {"exec": {"command": ["/bin/sh", "-c", 'test -e "$HOME/up"']}}
    script = 'sleep 0.5; touch "$HOME/up"; exec sleep 1000'
    startup = {**check, "periodSeconds": 1, "failureThreshold": 600}
    liveness = {**check, "failureThreshold": 1}
    await cluster.create(pod("a", script, startupProbe=startup, livenessProbe=liveness))
    found = await cluster.ready_pod("a")
    assert container(found)["restartCount"] == 0


async def test_stopping_runs_the_hook_then_asks_then_kills(cluster: Cluster, pod: MakePod) -> None:
    kubelet = await cluster.start_kubelet()
    script = 'trap "echo asked; exit 0" TERM; echo up; while :; do sleep 0.05; done'
    hook = {"preStop": {"exec": {"command": ["/bin/sh", "-c", 'echo "hook for $POD_IP" >> "$HOME/hook"']}}}
    await cluster.create(pod("a", script, lifecycle=hook))
    found = await cluster.ready_pod("a")
    worker = kubelet.find(NAMESPACE, "a")
    assert worker is not None
    home = worker.place("main").work
    log = worker.log_of("main")
    assert log is not None and log.log is not None
    seen: list[bytes] = []
    removed = worker.directory.remove

    def keep() -> None:
        seen.append((home / "hook").read_bytes())
        seen.append((worker.directory.logs("main") / "0.log").read_bytes())
        removed()

    worker.directory.remove = keep  # type: ignore[method-assign]
    await cluster.client.delete(PODS, "a", NAMESPACE)
    await cluster.gone(PODS, "a")
    assert seen[0] == f"hook for {found['status']['podIP']}\n".encode()
    assert b"asked" in seen[1]
    assert not home.exists()


async def test_a_container_that_ignores_the_request_is_killed_when_its_time_is_up(
    cluster: Cluster, pod: MakePod
) -> None:
    await cluster.start_kubelet()
    await cluster.create(pod("a", 'trap "" TERM; echo $$$$; while :; do sleep 0.05; done'))
    await cluster.ready_pod("a")
    process = int(await cluster.said("a"))
    await cluster.client.delete(PODS, "a", NAMESPACE, grace_period=1)
    await cluster.gone(PODS, "a")
    assert not alive(process)


async def test_a_forced_delete_kills_at_once(cluster: Cluster, pod: MakePod) -> None:
    kubelet = await cluster.start_kubelet()
    await cluster.create(pod("a", 'trap "" TERM; echo $$$$; while :; do sleep 0.05; done'))
    await cluster.ready_pod("a")
    process = int(await cluster.said("a"))
    await cluster.client.delete(PODS, "a", NAMESPACE, grace_period=0)
    await cluster.gone(PODS, "a")
    await kubelet.settled()
    assert not alive(process)


async def test_children_of_a_container_end_with_it(cluster: Cluster, pod: MakePod) -> None:
    await cluster.start_kubelet()
    await cluster.create(pod("a", "sleep 1000 & echo $!; wait"))
    await cluster.ready_pod("a")
    child = int(await cluster.said("a"))
    await cluster.client.delete(PODS, "a", NAMESPACE)
    await cluster.gone(PODS, "a")
    assert not alive(child)


async def test_a_pod_that_waits_can_be_deleted(cluster: Cluster, pod: MakePod) -> None:
    await cluster.start_kubelet()
    await cluster.create(
        pod("a", image="no/such:1"), pod("b", spec={"volumes": [{"name": "v", "hostPath": {"path": "/"}}]})
    )
    await cluster.until(PODS, "a", lambda item: waiting(item) == "ImagePullBackOff")
    assert "hostPath" in await reported(cluster, "b", "FailedMount")
    for name in ("a", "b"):
        await cluster.client.delete(PODS, name, NAMESPACE)
        await cluster.gone(PODS, name)


async def test_a_new_pod_of_the_same_name_is_another_pod(cluster: Cluster, pod: MakePod) -> None:
    await cluster.start_kubelet()
    await cluster.create(pod("a", "echo first; exec sleep 1000"))
    await cluster.ready_pod("a")
    await cluster.client.delete(PODS, "a", NAMESPACE, grace_period=0)
    await cluster.create(pod("a", "echo second; exec sleep 1000"))
    await cluster.ready_pod("a")
    assert await cluster.said("a") == "second\n"


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (4, "Failed")])
async def test_a_pod_that_never_restarts_ends(cluster: Cluster, pod: MakePod, code: int, phase: str) -> None:
    await cluster.start_kubelet()
    await cluster.create(pod("a", f"exit {code}", spec={"restartPolicy": "Never"}))
    found = await cluster.until(PODS, "a", lambda item: (item.get("status") or {}).get("phase") == phase)
    assert container(found)["state"]["terminated"]["exitCode"] == code


async def test_a_reader_that_leaves_is_not_followed_any_longer(
    cluster: Cluster, pod: MakePod, caplog: pytest.LogCaptureFixture
) -> None:
    kubelet = await cluster.start_kubelet()
    await cluster.create(pod("a", "echo up; exec sleep 1000"))
    await cluster.ready_pod("a")
    worker = kubelet.find(NAMESPACE, "a")
    log = worker.log_of("main").log if worker is not None else None  # type: ignore[union-attr]
    assert log is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", kubelet.log_port)
    writer.write(b"GET /containerLogs/default/a/main?follow=true HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"up\n")
    assert log.followers == 1
    writer.close()
    for _ in range(200):
        if not log.followers:
            break
        await asyncio.sleep(0.02)
    assert log.followers == 0
    assert "Error handling request" not in caplog.text


async def test_logs_are_tailed_followed_and_refused_with_a_reason(cluster: Cluster, pod: MakePod) -> None:
    await cluster.start_kubelet()
    await cluster.create(pod("a", "for i in 1 2 3; do echo $i; done; exec sleep 1000"), pod("b", image="no/such:1"))
    await cluster.ready_pod("a")
    await cluster.said("a", 3)
    assert await cluster.logs("a", tail=2) == "2\n3\n"
    await cluster.until(PODS, "b", lambda item: waiting(item) == "ImagePullBackOff")
    with pytest.raises(ApiError, match="waiting to start: ImagePullBackOff"):
        await cluster.logs("b")
    with pytest.raises(ApiError, match="previous terminated container"):
        await cluster.logs("a", previous=True)
