"""Which build of the gateway is started: found, or missed with a word on how to make it; never mistaken."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.gateway.variants import Missing, handmade_extensions, variant


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    (tmp_path / "gateway" / "proxy").mkdir(parents=True)
    (tmp_path / "abc__mypyc.cpython-311-x86_64-linux-gnu.so").touch()
    (tmp_path / "gateway" / "proxy" / "client.py").touch()
    (tmp_path / "gateway" / "proxy" / "client.cpython-311-x86_64-linux-gnu.so").touch()
    return tmp_path


def test_pure_needs_nothing() -> None:
    assert variant("pure", None).environment["XTRINODE_EXPRESS"] == "0"


@pytest.mark.parametrize("name", ["compiled", "express"])
def test_others_need_the_directory(name: str) -> None:
    with pytest.raises(Missing, match="--compiled DIR"):
        variant(name, None)


@pytest.mark.parametrize("name", ["compiled", "express"])
def test_an_empty_directory_holds_no_build(name: str, tmp_path: Path) -> None:
    with pytest.raises(Missing, match=r"bench\.gateway\.compile"):
        variant(name, tmp_path)


def test_compiled_has_the_express_transport_off(compiled: Path) -> None:
    assert variant("compiled", compiled).environment == {"PYTHONPATH": str(compiled), "XTRINODE_EXPRESS": "0"}


def test_mypycs_modules_are_no_express_transport(compiled: Path) -> None:
    assert handmade_extensions(compiled) == set()
    with pytest.raises(Missing, match="no express transport"):
        variant("express", compiled)


def test_an_extension_without_a_source_beside_it_is_the_express_transport(compiled: Path) -> None:
    name = "express.cpython-311-x86_64-linux-gnu.so"
    (compiled / "gateway" / "proxy" / name).touch()
    assert handmade_extensions(compiled) == {name}
    assert variant("express", compiled).environment["XTRINODE_EXPRESS"] == "1"
