"""Start-up: asking the package for a name loads what that name needs, and kr8s only for login programs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import crds.client

HEAVY = ("kr8s", "httpx", "aiohttp", "yaml")


def loaded(statement: str) -> list[str]:
    script = f"{statement}\nimport sys\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_resources_and_errors_are_light() -> None:
    assert loaded("from crds.client import Resource, resource_for, NotFound; import crds.client.kubeconfig") == []


def test_the_client_without_logging_in_needs_no_kr8s() -> None:
    assert loaded("from crds.client import KubeClient, Informer, LeaderElector, EventRecorder") == ["aiohttp"]


def test_a_token_in_a_kubeconfig_needs_no_kr8s(tmp_path: Path) -> None:
    entries: dict[str, Any] = {"clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}]}
    entries["users"] = [{"name": "u", "user": {"token": "t"}}]
    entries["contexts"] = [{"name": "here", "context": {"cluster": "c", "user": "u"}}]
    (tmp_path / "c").write_text(json.dumps(entries))
    login = f"import asyncio; from crds.client.credentials import load; asyncio.run(load({str(tmp_path / 'c')!r}))"
    assert loaded(login) == []


def test_every_promised_name_is_there() -> None:
    for name in crds.client.__all__:
        assert getattr(crds.client, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = crds.client.Nonsense
