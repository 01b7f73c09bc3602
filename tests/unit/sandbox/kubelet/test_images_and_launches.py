"""Images: which run, as what, and what a refusal says. Launches: command lines, environment, localhost."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kubelet.images import ImageRefused, Runner, repository, runner_for
from sandbox.kubelet.launches import (
    FLAGS_ANNOTATION,
    Place,
    Trino,
    inside_command,
    is_health_check,
    launch,
    runner_of,
    trino_flags,
)
from sandbox.kubelet.trino_etc import adapt_jvm, adapt_properties, prepare_etc


@pytest.mark.parametrize(
    ("image", "runner"),
    [
        ("trinodb/trino:480", Runner.TRINO),
        ("docker.io/trinodb/trino", Runner.TRINO),
        ("registry.example:5000/mirror/trinodb/trino@sha256:0123", Runner.TRINO),
        ("sandbox/process", Runner.PROCESS),
        ("bitnami/jmx-exporter@sha256:7c00", Runner.PLACEHOLDER),
        ("busybox:1.36", Runner.PLACEHOLDER),
        ("quay.io/prometheus/jmx-exporter:1", Runner.PLACEHOLDER),
    ],
)
def test_known_images(image: str, runner: Runner) -> None:
    assert runner_for(image) is runner


def test_an_unknown_image_is_refused_with_what_runs() -> None:
    with pytest.raises(ImageRefused, match=r"trinodb/trno:480.*runs.*trinodb/trino.*--placeholder-image") as caught:
        runner_for("trinodb/trno:480")
    assert not caught.value.malformed


def test_a_malformed_name_is_told_apart() -> None:
    with pytest.raises(ImageRefused) as caught:
        runner_for("Not An Image")
    assert caught.value.malformed


def test_more_placeholders_can_be_named() -> None:
    assert runner_for("acme/agent:1", ["acme/*"]) is Runner.PLACEHOLDER


@given(st.text(max_size=40))
def test_any_text_is_an_image_or_is_refused(text: str) -> None:
    try:
        assert runner_for(text) in Runner
    except ImageRefused as refused:
        assert str(refused)
    assert isinstance(repository(text), str)


PLACE = Place(Path("/data/root"), Path("/data"), "127.64.0.5", Path("/data/hosts"))


def test_a_trino_image_runs_the_stand_in_on_the_pods_address() -> None:
    trino = Trino(Path("/data/etc"), "team-a", Path("/cache"), flags=trino_flags({FLAGS_ANNOTATION: "--latency 0.1"}))
    made = launch(Runner.TRINO, {"name": "c"}, {"A": "1"}, "pod-1", PLACE, trino)
    assert made.argv[:5] == [sys.executable, "-m", "sandbox.trino", "--etc-dir", "/data/etc"]
    assert "127.64.0.5" in made.argv and made.argv[-2:] == ["--latency", "0.1"]
    assert (made.environment["A"], made.environment["HOSTNAME"]) == ("1", "pod-1")
    assert made.environment["XTRINODE_SANDBOX_HOSTS"] == "/data/hosts"


def test_the_kubelets_own_environment_does_not_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBELET_TOKEN", "s3cret")
    made = launch(Runner.PROCESS, {"command": ["true"]}, {}, "pod-1", PLACE)
    assert "KUBELET_TOKEN" not in made.environment


def test_a_real_trino_is_started_by_its_launcher() -> None:
    trino = Trino(Path("/data/etc"), "team-a", Path("/cache"), home=Path("/opt/trino"), java=Path("/opt/java"))
    made = launch(Runner.TRINO, {}, {}, "pod-1", PLACE, trino)
    assert made.argv == ["/opt/trino/bin/launcher", "run", "--etc-dir", "/data/etc"]
    assert made.environment["JAVA_HOME"] == "/opt/java"
    assert made.environment["PATH"].startswith("/opt/java/bin:/")


def test_a_command_of_its_own_replaces_trino() -> None:
    assert runner_of(Runner.TRINO, {"command": ["/bin/sh", "-c", "x"]}) is Runner.PROCESS
    assert runner_of(Runner.TRINO, {"command": ["/usr/lib/trino/bin/run-trino"]}) is Runner.TRINO
    assert runner_of(Runner.TRINO, {}) is Runner.TRINO


def test_command_and_arguments_expand_references() -> None:
    made = launch(Runner.PROCESS, {"command": ["echo"], "args": ["$(A)", "$$(A)"]}, {"A": "1"}, "pod-1", PLACE)
    assert made.argv == ["echo", "1", "$(A)"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("curl http://localhost:8080/v1", "curl http://127.64.0.5:8080/v1"),
        ("nc 127.0.0.1 80", "nc 127.64.0.5 80"),
        (
            "curl http://not-localhost/ http://localhost.example/",
            "curl http://not-localhost/ http://localhost.example/",
        ),
        ("ping 127.0.0.12", "ping 127.0.0.12"),
    ],
)
def test_localhost_inside_a_pod_is_the_pod(text: str, wanted: str) -> None:
    assert inside_command(["sh", "-c", text], "127.64.0.5") == ["sh", "-c", wanted]


def test_trinos_own_health_check_is_known() -> None:
    assert is_health_check(["/usr/lib/trino/bin/health-check"])
    assert not is_health_check(["/bin/true"]) and not is_health_check([])


def test_unbalanced_flags_are_none() -> None:
    assert trino_flags({FLAGS_ANNOTATION: "--fault 'x"}) == []


def test_the_stand_in_reads_paths_that_lead_into_the_container(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc/trino").mkdir(parents=True)
    volume = tmp_path / "volume"
    (volume / "..v1").mkdir(parents=True)
    (volume / "..v1" / "rules.json").write_text("{}")
    (volume / "..v1" / "inner.properties").write_text("security.config-file=/etc/trino/rules/rules.json\n")
    for name in ("rules.json", "inner.properties"):
        (volume / name).symlink_to(f"..v1/{name}")
    (root / "etc/trino/rules").symlink_to(volume)
    files = "/etc/trino/rules/inner.properties,/etc/trino/rules/rules.json"
    (root / "etc/trino/config.properties").write_text(f"node.data-dir=/data/trino\nfiles={files}\na = b \n")
    etc = prepare_etc(Place(root, tmp_path, "127.64.0.5", tmp_path / "hosts"), None)
    config = (etc / "config.properties").read_text().splitlines()
    assert config == [
        "node.data-dir=/data/trino",
        f"files={etc}/rules/inner.properties,{root}/etc/trino/rules/rules.json",
        "a = b ",
    ]
    inner = (etc / "rules/inner.properties").read_text()
    assert inner == f"security.config-file={root}/etc/trino/rules/rules.json\n"
    assert not list(etc.rglob("..*"))


def test_paths_of_the_container_become_local_for_a_real_trino(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc/trino/catalog").mkdir(parents=True)
    (root / "secrets").mkdir()
    (root / "etc/trino/node.properties").write_text("node.environment=test\nnode.data-dir=/data/trino\n")
    (root / "etc/trino/config.properties").write_text("discovery.uri=http://localhost:8080\nkey=/secrets\nx=/nowhere\n")
    (root / "etc/trino/jvm.config").write_text("-Xmx1G\n-agentpath:/usr/lib/trino/bin/libjvmkill.so\n")
    (root / "etc/trino/catalog/tpch.properties").write_text("connector.name=tpch\n")
    place = Place(root, tmp_path, "127.64.0.5", tmp_path / "hosts")
    etc = prepare_etc(place, Path("/opt/trino"))
    assert prepare_etc(place, Path("/opt/trino")) == etc
    node = (etc / "node.properties").read_text()
    assert f"node.data-dir={tmp_path}/trino-data" in node and "node.internal-address=127.64.0.5" in node
    config = (etc / "config.properties").read_text()
    assert config == f"discovery.uri=http://127.64.0.5:8080\nkey={root}/secrets\nx=/nowhere\n"
    assert (etc / "jvm.config").read_text() == f"-Xmx1G\n-Djdk.net.hosts.file={tmp_path}/hosts\n"
    assert (etc / "catalog/tpch.properties").exists()


@given(st.text(max_size=200))
def test_any_properties_text_is_adapted_without_losing_lines(text: str) -> None:
    adapted = adapt_properties("config.properties", text, "127.64.0.5", lambda value: value)
    assert len(adapted.splitlines()) >= len(text.splitlines())
    assert adapt_jvm(text, Path("/hosts")).endswith("-Djdk.net.hosts.file=/hosts\n")
