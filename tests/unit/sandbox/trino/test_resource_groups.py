"""Resource groups: the file is judged, queries find their group, limits hold on every level, queues are fair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.trino.configuration import ConfigurationInvalid
from sandbox.trino.errors import QueryFailure
from sandbox.trino.resource_groups import DEFAULT, Admission, InvalidResourceGroups, parse_resource_groups
from tests.support.trino_standin import configured, etc


def group(name: str, limit: int = 1, queued: int = 1, **more: Any) -> dict[str, Any]:
    return {"name": name, "softMemoryLimit": "80%", "hardConcurrencyLimit": limit, "maxQueued": queued, **more}


NESTED = {
    "rootGroups": [group("global", 2, 10, subGroups=[group("adhoc", 2, 10, subGroups=[group("${USER}", 1, 1)])])],
    "selectors": [
        {"source": "etl.*", "group": "global"},
        {"clientTags": ["big"], "user": "root", "group": "global"},
        {"user": "nobody", "group": "global.adhoc.x"},
        {"user": "[a-z]+", "group": "global.adhoc.${USER}"},
    ],
}


def test_the_first_selector_that_matches_decides() -> None:
    groups = parse_resource_groups(NESTED)
    assert groups.path_of("alice", None, ()) == ("global", "adhoc", "alice")
    assert groups.path_of("alice", "etl-nightly", ()) == ("global",)
    assert groups.path_of("root", None, ("big", "red")) == ("global",)
    with pytest.raises(QueryFailure) as caught:
        groups.path_of("BOB", None, ())
    assert caught.value.name == "QUERY_REJECTED"


def test_limits_hold_on_every_level_and_queues_are_first_come_first_served() -> None:
    groups = parse_resource_groups(NESTED)
    admission = Admission(groups)

    def submit(ticket: str, user: str) -> bool:
        return admission.submit(ticket, groups.path_of(user, None, ()))

    assert submit("a1", "alice")
    assert not submit("a2", "alice")
    with pytest.raises(QueryFailure, match=r'Too many queued queries for "global\.adhoc\.alice"'):
        submit("a3", "alice")
    assert submit("b1", "bob")
    assert not submit("c1", "carol")
    assert not submit("b2", "bob")
    assert admission.leave("b1") == ["c1"]
    assert admission.leave("c1") == ["b2"]
    assert admission.leave("a1") == ["a2"]
    assert admission.leave("unknown") == []


def test_a_query_that_gives_up_frees_its_place_in_the_queue() -> None:
    groups = parse_resource_groups(NESTED)
    admission = Admission(groups)
    path = groups.path_of("alice", None, ())
    admission.submit("a1", path)
    admission.submit("a2", path)
    admission.leave("a2")
    assert not admission.submit("a3", path)
    assert admission.leave("a1") == ["a3"]


def test_without_a_file_nearly_everything_runs() -> None:
    admission = Admission(DEFAULT)
    assert all(admission.submit(str(number), ("global",)) for number in range(1000))
    assert not admission.submit("one more", ("global",))


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"rootGroups": [], "selectors": {}},
        {"rootGroups": [{}], "selectors": []},
        {"rootGroups": [group("a") | {"maxQueued": "many"}], "selectors": []},
        {"rootGroups": [group("a", colour="red")], "selectors": []},
        {"rootGroups": [group("a")], "selectors": [{"group": "b"}]},
        {"rootGroups": [group("a")], "selectors": [{"user": "(", "group": "a"}]},
        {"rootGroups": [group("a")], "selectors": [{"user": "x"}]},
    ],
)
def test_a_bad_file_is_refused(document: Any) -> None:
    with pytest.raises(InvalidResourceGroups):
        parse_resource_groups(document)


def test_a_bad_file_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "groups.json"
    file.write_text('{"rootGroups": [], "selectors": [{"group": "x"}]}')
    text = f"resource-groups.configuration-manager=file\nresource-groups.config-file={file}\n"
    with pytest.raises(ConfigurationInvalid) as caught:
        configured(etc(files={"resource-groups.properties": text.encode()}))
    assert "Selector refers to nonexistent group: x" in caught.value.problems[0]


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["rootGroups", "selectors", "name", "group", "user", "maxQueued"]), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@given(documents)
def test_any_document_is_groups_or_refused(document: Any) -> None:
    try:
        parse_resource_groups(document)
    except InvalidResourceGroups:
        return


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8), st.sampled_from(["alice", "bob", "carol"])), max_size=40))
def test_whatever_happens_no_limit_is_broken(steps: list[tuple[bool, int, str]]) -> None:
    groups = parse_resource_groups(NESTED)
    admission = Admission(groups)
    running: dict[str, str] = {}
    waiting: dict[str, str] = {}
    for arrives, number, user in steps:
        ticket = f"{number}"
        if arrives and ticket not in running and ticket not in waiting:
            try:
                started = admission.submit(ticket, groups.path_of(user, None, ()))
            except QueryFailure:
                continue
            (running if started else waiting)[ticket] = user
        elif not arrives:
            running.pop(ticket, None)
            waiting.pop(ticket, None)
            for next_ticket in admission.leave(ticket):
                running[next_ticket] = waiting.pop(next_ticket)
        assert len(running) <= 2
        assert all(list(running.values()).count(name) <= 1 for name in running.values())
