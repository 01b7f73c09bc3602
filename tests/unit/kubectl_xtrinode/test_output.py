"""Ages and tables as kubectl prints them; scripts split into statements."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crds.v1.ages import age_text
from kubectl_xtrinode.commands.sql import split_statements
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
