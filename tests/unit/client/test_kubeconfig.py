"""Kubeconfig files: found, merged and resolved as kubectl does it; every failure says what to type next."""

from pathlib import Path

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from crds.client import kubeconfig
from crds.client.errors import ConfigError


def config(**names: str) -> dict[str, object]:
    """One context per name, in the namespace that is its value, on a server of the context's name."""
    return {
        "current-context": next(iter(names), ""),
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}
            for name, namespace in names.items()
        ],
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}"}} for name in names],
        "users": [{"name": name, "user": {"token": f"t-{name}"}} for name in names],
    }


def write(path: Path, document: object) -> Path:
    path.write_text(yaml.safe_dump(document))
    return path


def test_the_namespace_is_that_of_the_chosen_context(tmp_path: Path) -> None:
    path = write(tmp_path / "c", config(a="ns-a", b="ns-b"))
    assert kubeconfig.load((path,)).namespace == "ns-a"
    assert kubeconfig.load((path,), "b").namespace == "ns-b"


def test_the_first_file_wins_and_the_first_current_context_counts(tmp_path: Path) -> None:
    first = config(a="first")
    first["current-context"] = ""
    second = config(b="ns-b", a="second")
    paths = (write(tmp_path / "1", first), write(tmp_path / "2", second))
    chosen = kubeconfig.load(paths)
    assert (chosen.name, chosen.namespace) == ("b", "ns-b")
    assert kubeconfig.load(paths, "a").namespace == "first"


def test_relative_files_are_relative_to_their_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = config(a="ns")
    document["users"] = [
        {"name": "a", "user": {"client-key": "k.pem", "tokenFile": "/abs", "exec": {"command": "./bin/login"}}}
    ]
    path = write(tmp_path / "c", document)
    monkeypatch.chdir("/")
    user = kubeconfig.load((path,)).user
    assert user["client-key"] == str(tmp_path / "k.pem")
    assert user["tokenFile"] == "/abs"
    assert user["exec"]["command"] == str(tmp_path / "bin/login")


def test_json_is_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_bytes(orjson.dumps(config(a="ns")))
    assert kubeconfig.load((path,)).server == "https://a"


def test_a_single_context_needs_no_current_one(tmp_path: Path) -> None:
    document = config(a="ns")
    del document["current-context"]
    assert kubeconfig.load((write(tmp_path / "c", document),)).name == "a"


def test_tokens_stay_out_of_reprs(tmp_path: Path) -> None:
    assert "t-a" not in repr(kubeconfig.load((write(tmp_path / "c", config(a="ns")),)))


def test_finding_prefers_flag_then_environment_then_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert kubeconfig.find(None, {}) == ()
    home = tmp_path / ".kube" / "config"
    home.parent.mkdir()
    home.touch()
    listed = tmp_path / "listed"
    listed.touch()
    assert kubeconfig.find(None, {}) == (home,)
    assert kubeconfig.find(None, {"KUBECONFIG": f"{tmp_path}/none:{listed}"}) == (listed,)
    assert kubeconfig.find(str(home), {"KUBECONFIG": str(listed)}) == (home,)


@pytest.mark.parametrize("environ", [{}, {"KUBECONFIG": "/nowhere/at/all"}])
def test_a_missing_file_says_what_to_type(environ: dict[str, str]) -> None:
    explicit = None if environ else "/nowhere/config"
    with pytest.raises(ConfigError, match="--kubeconfig FILE"):
        kubeconfig.find(explicit, environ)


def test_a_directory_is_no_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a directory"):
        kubeconfig.find(str(tmp_path), {})


def broken(**changes: object) -> dict[str, object]:
    return {**config(a="ns", b="ns"), **changes}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (broken(**{"current-context": ""}), r"sets no current-context; choose one with --context NAME \(it has a, b\)"),
        (broken(**{"current-context": "z"}), r"has no context 'z'; choose one with --context NAME \(it has a, b\)"),
        (broken(clusters=[]), "names the unknown cluster 'a'"),
        (broken(clusters=[{"name": "a", "cluster": {}}]), "has no server"),
        (broken(users=[]), "names the unknown user 'a'"),
        (broken(users={}), "sets no|unknown user"),
        (broken(users={"a": 1}), "users are not a list"),
        (broken(users=[{"user": {}}]), "an entry of users has no name"),
        (broken(users=[{"name": "a", "user": [1]}]), "user 'a' is not a mapping"),
        ({}, "sets no current-context"),
        ([1], "its top level is not a mapping"),
    ],
)
def test_a_broken_file_says_what_is_wrong(tmp_path: Path, document: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        kubeconfig.load((write(tmp_path / "c", document),))


def test_a_syntax_error_does_not_quote_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_text("users:\n- token: hunter2: x\n")
    with pytest.raises(ConfigError, match="is not YAML at line 2") as error:
        kubeconfig.load((path,))
    assert "hunter2" not in str(error.value)


@given(st.binary(max_size=200) | st.text(alphabet="[]{}:- \n&*!%'\"ab\t|>", max_size=60).map(str.encode))
def test_any_bytes_are_a_document_or_an_error_of_ours(raw: bytes) -> None:
    try:
        assert isinstance(kubeconfig.parse(raw, "x"), dict)
    except ConfigError as error:
        assert "kubeconfig x" in str(error)
