"""Ages and tables as kubectl prints them; scripts split into statements."""

from __future__ import annotations

import socket
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import click
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crds.client.errors import ConfigError
from crds.v1.ages import age_text
from kubectl_xtrinode.commands.sql import _connect, _print, _run, _statements, split_statements
from kubectl_xtrinode.output import age, print_rows

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (9 * MINUTE + 59, "9m59s"),
        (179 * MINUTE, "179m"),
        (3 * HOUR, "3h"),
        (7 * HOUR + 59 * MINUTE, "7h59m"),
        (47 * HOUR, "47h"),
        (7 * DAY + 23 * HOUR, "7d23h"),
        (729 * DAY, "729d"),
        (800 * DAY, "2y70d"),
        (8 * 365 * DAY, "8y"),
        (-1, "0s"),
        (-5, "<invalid>"),
    ],
)
def test_duration_reads_as_kubectl_prints_it(seconds: int, shown: str) -> None:
    assert age_text(seconds) == shown


@pytest.mark.parametrize(("text", "shown"), [(None, "<unknown>"), ("", "<unknown>"), ("soon", "<invalid>")])
def test_age_of_no_time_is_no_error(text: str | None, shown: str) -> None:
    assert age(text) == shown


def test_columns_stand_three_spaces_apart(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([("NAME", "X"), ("a-long-name", ""), ("b", "2")])
    assert capsys.readouterr().out == "NAME          X\na-long-name   <none>\nb             2\n"


@pytest.mark.parametrize(
    ("script", "statements"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1; SELECT 2;", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';' ; SELECT \"a;b\"", ["SELECT ';'", 'SELECT "a;b"']),
        ("SELECT 'it''s; fine'", ["SELECT 'it''s; fine'"]),
        ("-- one; two\nSELECT 1", ["-- one; two\nSELECT 1"]),
        ("/* a; b */ SELECT 1;;", ["/* a; b */ SELECT 1"]),
        ("SELECT 'open; end", ["SELECT 'open; end"]),
        (" ; \n;", []),
    ],
)
def test_script_is_split_outside_of_quotes_and_comments(script: str, statements: list[str]) -> None:
    assert list(split_statements(script)) == statements


@given(st.text(alphabet="a;'\"-/* \n"))
def test_splitting_loses_nothing_but_separators(script: str) -> None:
    kept = "".join("".join(split_statements(script)).split())
    given = "".join(script.split())
    assert kept.replace(";", "") == given.replace(";", "")


def test_what_others_wrote_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([("MESSAGE",), ("a\x1b[2Jb\nc\x9bd",)])
    assert capsys.readouterr().out == "MESSAGE\na [2Jb c d\n"


def test_rows_are_printed_whatever_trino_may_send(capsys: pytest.CaptureFixture[str]) -> None:
    row = [{1: "a"}, b"\x00\xff", None, Decimal("1.5"), float("nan")]
    names = ["map", "bytes", "null", "decimal", "nan"]
    _print(names, iter([row]), "json")
    assert orjson.loads(capsys.readouterr().out) == {
        "map": {"1": "a"},
        "bytes": "00ff",
        "null": None,
        "decimal": "1.5",
        "nan": None,
    }
    _print(names, iter([row]), "csv")
    assert capsys.readouterr().out.splitlines()[1] == "{1: 'a'},00ff,,1.5,nan"


@pytest.mark.parametrize("address", ["host:abc", "http://", "ftp://h", "http://h:99999", "//"])
def test_gateway_that_is_no_address_is_named(address: str) -> None:
    with pytest.raises(ConfigError, match="is no address"):
        _connect(address, "team/a", "u", None, None, None)


def test_password_goes_over_tls_only() -> None:
    with pytest.raises(ConfigError, match="https"):
        _connect("http://gateway:8080", "team/a", "u", "hunter2", None, None)


class Cursor:
    """A statement that is interrupted while its rows come."""

    description: ClassVar = [SimpleNamespace(name="n")]

    def __init__(self, ends: BaseException) -> None:
        self.ends = ends
        self.cancelled = False

    def cursor(self) -> Cursor:
        return self

    def execute(self, statement: str) -> None:
        pass

    def fetchone(self) -> list[int]:
        raise self.ends

    def cancel(self) -> None:
        self.cancelled = True


@pytest.mark.parametrize("ends", [KeyboardInterrupt(), BrokenPipeError()])
def test_query_that_nobody_waits_for_is_cancelled(ends: BaseException) -> None:
    cursor = Cursor(ends)
    with pytest.raises(type(ends)):
        _run(cursor, "SELECT 1", "csv")
    assert cursor.cancelled


def test_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.sql").write_bytes(b"\xff\xfe")
    with pytest.raises(click.UsageError, match="UTF-8"):
        list(_statements((), tmp_path / "x.sql"))


def test_gateway_that_is_not_there_is_told_in_the_systems_words() -> None:
    with socket.socket() as held:  # bound and not listening: connections are refused
        held.bind(("127.0.0.1", 0))
        session = _connect(f"http://127.0.0.1:{held.getsockname()[1]}", "team/a", "u", None, None, None)
        with pytest.raises(click.ClickException, match="no answer from the gateway: Connection refused; is --gateway"):
            _run(session, "SELECT 1", "table")
