"""Label and field selectors: the grammar, what it selects, and that no text breaks it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kube import selectors
from sandbox.kube.errors import StatusError

LABELS = {"app": "web", "tier": "front", "n": "5", "empty": ""}
words = st.from_regex(r"[a-zA-Z0-9]([-a-zA-Z0-9_.]{0,5}[a-zA-Z0-9])?", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True),
        ("app=web", True),
        ("app==web,tier=front", True),
        ("app=api", False),
        ("app!=api", True),
        ("missing!=x", True),
        ("app", True),
        ("missing", False),
        ("!missing", True),
        ("! app", False),
        ("app in (web, api)", True),
        ("app notin (web)", False),
        ("missing notin (web)", True),
        ("missing in (web)", False),
        ("n>4", True),
        ("n<4", False),
        ("app>4", False),
        ("empty=", True),
        ("empty in (,x)", True),
        ("example.io/app", False),
    ],
)
def test_what_is_selected(text: str, selected: bool) -> None:
    assert selectors.matches(selectors.parse_labels(text), LABELS) is selected


@pytest.mark.parametrize(
    "text",
    [",", "a,", "=x", "a in", "a in x", "a in (x", "a in (x y)", "a ~ b", "a>x", "a=b=c", "-a", "a=-", "!", "a b"],
)
def test_what_cannot_be_read_is_a_bad_request(text: str) -> None:
    with pytest.raises(StatusError) as caught:
        selectors.parse_labels(text)
    assert caught.value.code == 400


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        selector = selectors.parse_labels(text)
    except StatusError as error:
        assert error.code == 400
    else:
        assert selectors.matches(selector, LABELS) in (True, False)


@given(st.dictionaries(words, words, min_size=1, max_size=4))
def test_equality_of_every_label_selects_the_object(labels: dict[str, str]) -> None:
    text = ",".join(f"{key}={value}" for key, value in labels.items())
    assert selectors.matches(selectors.parse_labels(text), labels)
    assert selectors.matches(selectors.from_spec({"matchLabels": labels}), labels)
    negated = ",".join(f"{key}!={value}" for key, value in labels.items())
    assert not selectors.matches(selectors.parse_labels(negated), labels)


@given(
    st.dictionaries(words, words, max_size=2),
    st.lists(
        st.fixed_dictionaries(
            {
                "key": words,
                "operator": st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
                "values": st.lists(words, min_size=1, max_size=3),
            }
        ),
        max_size=3,
    ),
    st.dictionaries(words, words, max_size=4),
)
def test_a_spec_and_its_text_select_the_same(
    match_labels: dict[str, str], expressions: list[dict[str, object]], labels: dict[str, str]
) -> None:
    spec = {"matchLabels": match_labels, "matchExpressions": expressions}
    text = selectors.format_spec(spec)
    by_spec, by_text = selectors.from_spec(spec), selectors.parse_labels(text)
    assert selectors.matches(by_spec, labels) is selectors.matches(by_text, labels)


def test_an_absent_selector_selects_nothing_and_an_empty_one_everything() -> None:
    assert not selectors.matches(selectors.from_spec(None), LABELS)
    assert selectors.matches(selectors.from_spec({}), {})


POD = {"metadata": {"name": "a,b"}, "spec": {"nodeName": "n1", "hostNetwork": True}, "status": {}}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        (r"metadata.name=a\,b", True),
        ("spec.nodeName=n1,metadata.name!=x", True),
        ("spec.nodeName!=n1", False),
        ("spec.hostNetwork=true", True),
        ("status.phase=", True),
        ("status.phase!=Failed", True),
    ],
)
def test_fields_select(text: str, selected: bool) -> None:
    assert selectors.matches_fields(selectors.parse_fields(text), POD) is selected


@given(st.text(max_size=40))
def test_any_field_selector_is_read_or_refused(text: str) -> None:
    try:
        selectors.matches_fields(selectors.parse_fields(text), POD)
    except StatusError as error:
        assert error.code == 400


def test_unsupported_fields_are_named() -> None:
    with pytest.raises(StatusError, match=r'field label not supported: "spec\.x"'):
        selectors.check_fields(selectors.parse_fields("spec.x=1"), ("spec.nodeName",))
