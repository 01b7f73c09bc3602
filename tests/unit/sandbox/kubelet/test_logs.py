"""Container logs: lines and parts, tail and since, the bound on size, following, runs; any query is understood."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kubelet.log_endpoint import BadQuery, read_query
from sandbox.kubelet.logs import ContainerLog, ReadOptions, read, run_path

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.second = 0

    def __call__(self) -> str:
        return f"2026-01-01T00:00:{self.second:02}.000000000Z"


def log(
    tmp_path: Path, limit: int = 10_000, line: int = 1000, run: int = 0, clock: Clock | None = None
) -> ContainerLog:
    return ContainerLog(tmp_path, run, limit, line, clock or Clock())


def text(tmp_path: Path, run: int = 0, **options: object) -> bytes:
    return b"".join(read(tmp_path / f"{run}.log", ReadOptions(**options)))  # type: ignore[arg-type]


def test_output_comes_back_as_it_was_written(tmp_path: Path) -> None:
    subject = log(tmp_path)
    for part in (b"one\ntw", b"o\n", b"no end"):
        subject.feed(False, part)
    subject.feed(True, b"error\n")
    subject.close()
    assert text(tmp_path) == b"one\ntwo\nerror\nno end\n"


@given(st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"\r", b"")), max_size=12))
def test_any_output_survives_any_chunking(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]) -> None:
    directory = tmp_path_factory.mktemp("logs")
    subject = log(directory, limit=10**6, line=16)
    for part in parts:
        subject.feed(False, part)
    subject.close()
    written = b"".join(parts)
    wanted = written if not written or written.endswith(b"\n") else written + b"\n"
    assert text(directory) == wanted


@given(st.binary(max_size=200), st.booleans())
def test_any_file_is_read(tmp_path_factory: pytest.TempPathFactory, data: bytes, stamps: bool) -> None:
    directory = tmp_path_factory.mktemp("logs")
    (directory / "0.log").write_bytes(data)
    assert isinstance(text(directory, timestamps=stamps), bytes)


def test_tail_since_and_timestamps(tmp_path: Path) -> None:
    clock = Clock()
    subject = log(tmp_path, clock=clock)
    for second in (1, 2, 3):
        clock.second = second
        subject.feed(False, b"line %d\n" % second)
    assert text(tmp_path, tail=2) == b"line 2\nline 3\n"
    assert text(tmp_path, tail=0) == b""
    assert text(tmp_path, since="2026-01-01T00:00:03") == b"line 3\n"
    assert text(tmp_path, tail=1, timestamps=True) == b"2026-01-01T00:00:03.000000000Z line 3\n"
    subject.close()


def test_the_size_is_bounded_and_the_newest_lines_stay(tmp_path: Path) -> None:
    subject = log(tmp_path, limit=4000)
    for number in range(500):
        subject.feed(False, b"line %d\n" % number)
    subject.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 4000
    assert text(tmp_path, tail=3) == b"line 497\nline 498\nline 499\n"


def test_the_previous_run_is_kept_and_older_ones_go(tmp_path: Path) -> None:
    for run in range(4):
        subject = log(tmp_path, run=run)
        subject.feed(False, b"run %d\n" % run)
        subject.close()
    assert run_path(tmp_path, 1) is None
    assert text(tmp_path, run=2) == b"run 2\n"


async def test_following_shows_new_lines_across_rotation_and_ends_with_the_run(tmp_path: Path) -> None:
    subject = log(tmp_path, limit=2000)
    subject.feed(False, b"before\n")
    seen: list[bytes] = []

    async def follow() -> None:
        seen.extend([line async for line in subject.follow(ReadOptions(tail=1))])

    task = asyncio.create_task(follow())
    await asyncio.sleep(0)
    for number in range(100):
        subject.feed(False, b"line %d\n" % number)
        await asyncio.sleep(0)
    subject.feed(False, b"last words")
    subject.close()
    await asyncio.wait_for(task, 5)
    assert seen[-1] == b"last words\n"
    assert seen[0] == b"before\n"
    assert seen[1:-1] == [b"line %d\n" % number for number in range(100)]


@given(st.dictionaries(st.sampled_from(["tailLines", "sinceSeconds", "sinceTime", "follow"]), st.text(max_size=20)))
def test_any_query_is_understood_or_refused(query: dict[str, str]) -> None:
    try:
        options, _, _ = read_query(query, NOW)
    except BadQuery as error:
        assert str(error)
    else:
        assert options.tail is None or options.tail >= 0


def test_queries_are_read() -> None:
    options, follow, previous = read_query({"tailLines": "5", "follow": "true", "sinceSeconds": "60"}, NOW)
    assert (options.tail, follow, previous, options.since) == (5, True, False, "2025-12-31T23:59:00")
    options, _, previous = read_query({"previous": "1", "sinceTime": "2026-01-01T02:00:00+02:00"}, NOW)
    assert (previous, options.since) == (True, "2026-01-01T00:00:00")
