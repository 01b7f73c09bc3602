"""The last good routes on disk: written atomically, read back whole, never trusted when damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.last_good import LastGood, Snapshot, parse

SNAPSHOT = Snapshot({"trino-gateway-routes": '{"routes": []}'}, {"a:8080": [("127.0.0.1", 8080)]})


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    LastGood(str(tmp_path / "state")).write(SNAPSHOT)
    assert LastGood(str(tmp_path / "state")).read() == SNAPSHOT


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    LastGood(str(tmp_path)).write(SNAPSHOT)
    assert len(list(tmp_path.iterdir())) == 1


def test_missing_file_is_no_snapshot(tmp_path: Path) -> None:
    assert LastGood(str(tmp_path)).read() is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"documents": 1, "addresses": {}}'])
def test_damaged_file_is_no_snapshot(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "last-good-routes.json").write_bytes(content)
    assert LastGood(str(tmp_path)).read() is None


def test_without_a_directory_nothing_is_kept() -> None:
    nowhere = LastGood(None)
    nowhere.write(SNAPSHOT)
    assert nowhere.read() is None


def test_directory_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    LastGood(str(tmp_path / "file" / "below")).write(SNAPSHOT)


@given(st.binary())
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        parse(content)
    except ValueError as error:
        assert str(error)
