"""The command line: quick to start, flags anywhere, help that teaches, errors in one line."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from kubectl_xtrinode.cli import cli
from kubectl_xtrinode.completion import complete
from kubectl_xtrinode.options import NAME, SECONDS, Connection, duration_text
from kubectl_xtrinode.verbs import COMMANDS


def modules_after(code: str) -> set[str]:
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(ran.stdout.split())


def test_help_loads_nothing_heavy() -> None:
    loaded = modules_after("import kubectl_xtrinode.cli as c\nc.cli.get_help")
    assert loaded.isdisjoint({"asyncio", "aiohttp", "kr8s", "httpx", "pydantic", "trino", "yaml", "rich", "requests"})


def test_completion_of_a_verb_does_not_even_load_click() -> None:
    loaded = modules_after("from kubectl_xtrinode.completion import complete\ncomplete(['g'])")
    assert "click" not in loaded


@pytest.mark.parametrize("verb", list(COMMANDS))
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    result = CliRunner().invoke(cli, [verb, "--help"])
    assert result.exit_code == 0
    assert verb == "status" or "kubectl xtrinode" in result.output


def test_unknown_verb_names_the_known_ones() -> None:
    result = CliRunner().invoke(cli, ["frobnicate"])
    assert result.exit_code != 0
    assert "suspend" in result.output


def test_flags_nearer_to_the_verb_win() -> None:
    outer = Connection(namespace="outer", context="c", as_group=("g",))
    assert Connection(namespace="inner").over(outer) == Connection(namespace="inner", context="c", as_group=("g",))


def test_every_group_is_impersonated() -> None:
    headers = Connection(as_user="u", as_group=("a", "b"), as_uid="7").impersonation()
    assert headers == [
        ("Impersonate-User", "u"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Uid", "7"),
    ]


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("1h30m", 5400), ("45", 45), ("0.5s", 0.5), (7, 7), ("500ms", 0.5), ("5.", 5)]
)
def test_durations_read_as_kubectl_reads_them(text: object, seconds: float) -> None:
    assert SECONDS.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["soon", "5x", "m", "1.2.3", "1.2.3s", "²s", "-5s", "5s6", "1e3", ""])
def test_what_is_no_duration_is_refused(text: str) -> None:
    result = CliRunner().invoke(cli, ["suspend", "a", "--timeout", text])
    assert result.exit_code == 2
    assert "1h30m" in result.output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["su"], ["suspend"]),
        ([""], list(COMMANDS)),
        (["-n", "x", "re"], ["resume"]),
        (["get", "--wat"], ["--watch"]),
        (["get", "-o", ""], ["wide", "json", "yaml", "name"]),
        (["sql", "a", "--output", "t"], ["table", "tsv"]),
        (["get", "rou"], ["routes"]),
        (["get", "routes", ""], []),
        (["frob", ""], list(COMMANDS)),
    ],
)
def test_completion_offers_what_may_follow(words: list[str], expected: list[str]) -> None:
    assert [line.split("\t")[0] for line in complete(words)] == expected


@pytest.mark.parametrize(
    ("seconds", "text"), [(1_080_000.0, "1080000s"), (90, "90s"), (0.5, "0.5s"), (0, "0s"), (100, "100s")]
)
def test_durations_are_written_as_kubernetes_reads_them(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("text", "name"),
    [("a", "a"), ("a-b.c", "a-b.c"), ("xtrinode.analytics.xtrinode.io/a", "a"), ("tn/a", "a"), ("xtrinodes/a", "a")],
)
def test_names_are_taken_as_output_prints_them(text: str, name: str) -> None:
    assert NAME.convert(text, None, None) == name


@pytest.mark.parametrize("name", ["", "a/b", "../secrets", "A", "a b", "-a", "a?b", "ä", "a" * 254, "xtrinode/"])
@pytest.mark.parametrize("verb", ["get", "status", "suspend", "resume", "sql"])
def test_what_is_no_name_is_refused_before_any_call(verb: str, name: str) -> None:
    result = CliRunner().invoke(cli, [verb, "--kubeconfig", "/nowhere", "--", name])
    assert result.exit_code == 2
    assert "is no name" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["suspend"],
        ["suspend", "a", "-l", "x=y"],
        ["resume", "a", "--ttl", "5m"],
        ["get", "--watch", "-o", "json"],
        ["get", "a", "-l", "x=y"],
        ["get", "a", "-A"],
        ["get", "routes", "a"],
        ["get", "routes", "--watch"],
    ],
)
def test_contradictory_arguments_are_refused_before_any_call(arguments: list[str], tmp_path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n"
        "contexts: [{name: c, context: {cluster: c}}]\n"
    )
    result = CliRunner().invoke(cli, [*arguments, "--kubeconfig", str(config)])
    assert result.exit_code == 2
