"""CEL rules judge what changed, speak with the author's words, and are refused when they cannot run."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kube.cel import BadExpression, EvaluationError, Expression, Rules
from sandbox.kube.cel_check import check_rules
from sandbox.kube.cel_values import escape
from sandbox.kube.custom_schema import CustomSchema, check_schema

INTEGER, STRING = {"type": "integer"}, {"type": "string"}


def schema(*rules, **spec):
    spec_schema = {"type": "object", "properties": spec}
    if rules:
        spec_schema["x-kubernetes-validations"] = [{"rule": rule} if isinstance(rule, str) else rule for rule in rules]
    return {"type": "object", "properties": {"spec": spec_schema}}


def judge(openapi, spec, old=None):
    assert check_schema(openapi) == []
    found = Rules(openapi).validate({"spec": spec}, None if old is None else {"spec": old})
    return [f"{cause.field}: {cause.message}" for cause in found]


BOUNDS = schema("self.min <= self.max", min=INTEGER, max=INTEGER)


def test_a_rule_that_fails_says_which():
    assert judge(BOUNDS, {"min": 1, "max": 2}) == []
    assert judge(BOUNDS, {"min": 3, "max": 2}) == ["spec: Invalid value: failed rule: self.min <= self.max"]


def test_the_author_chooses_message_path_and_reason():
    rule = {
        "rule": "self.min <= self.max",
        "message": "min above max",
        "fieldPath": ".min",
        "reason": "FieldValueForbidden",
    }
    openapi = schema(rule, min=INTEGER, max=INTEGER)
    assert judge(openapi, {"min": 3, "max": 2}) == ["spec.min: Forbidden: min above max"]


def test_a_message_expression_is_evaluated_and_falls_back_to_the_message():
    rule = {"rule": "self.n < 3", "message": "too many", "messageExpression": "'n is ' + string(self.n)"}
    assert judge(schema(rule, n=INTEGER), {"n": 5}) == ["spec: Invalid value: n is 5"]
    broken = {**rule, "messageExpression": "'n is ' + self.n"}
    assert judge(schema(broken, n=INTEGER), {"n": 5}) == ["spec: Invalid value: too many"]


def test_a_rule_that_cannot_be_evaluated_fails_the_object():
    (text,) = judge(BOUNDS, {"min": 1})
    assert text == "spec: Invalid value: no such key: max evaluating rule: failed rule: self.min <= self.max"


class TestTransitions:
    IMMUTABLE = schema(name={**STRING, "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed"}]})

    def test_they_are_skipped_on_create(self):
        assert judge(self.IMMUTABLE, {"name": "a"}) == []

    def test_they_hold_on_update(self):
        assert judge(self.IMMUTABLE, {"name": "b"}, old={"name": "a"}) == ['spec.name: Invalid value: "b": fixed']
        assert judge(self.IMMUTABLE, {"name": "a"}, old={"name": "a"}) == []
        assert judge(self.IMMUTABLE, {"name": "a"}, old={}) == []

    def test_an_optional_old_value_is_asked_on_create_too(self):
        rule = {"rule": "oldSelf.hasValue() ? self == oldSelf.value() : self == 'first'", "optionalOldSelf": True}
        openapi = schema(name={**STRING, "x-kubernetes-validations": [rule]})
        assert judge(openapi, {"name": "first"}) == []
        assert len(judge(openapi, {"name": "second"})) == 1
        assert judge(openapi, {"name": "x"}, old={"name": "x"}) == []

    def test_items_of_list_maps_are_matched_by_key(self):
        item = {
            "type": "object",
            "required": ["name"],
            "properties": {"name": STRING, "v": INTEGER},
            "x-kubernetes-validations": [{"rule": "self.v >= oldSelf.v", "message": "only up"}],
        }
        many = {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
        openapi = schema(l=many)
        old = {"l": [{"name": "a", "v": 3}, {"name": "b", "v": 1}]}
        assert judge(openapi, {"l": [{"name": "b", "v": 2}, {"name": "a", "v": 2}]}, old=old) == [
            "spec.l[1]: Invalid value: only up"
        ]

    def test_what_did_not_change_is_not_judged_again(self):
        openapi = schema(n={**INTEGER, "x-kubernetes-validations": [{"rule": "self < 3"}]}, m=INTEGER)
        assert judge(openapi, {"n": 5, "m": 2}, old={"n": 5, "m": 1}) == []
        assert len(judge(openapi, {"n": 6, "m": 2}, old={"n": 5, "m": 1})) == 1


class TestValues:
    def holds(self, rule, value, **properties):
        return judge(schema(rule, **properties), value) == []

    def test_strings_are_counted_in_characters(self):
        assert self.holds("size(self.s) == 2 && self.s.size() == 2", {"s": "äö"}, s=STRING)
        assert self.holds("self.s == 'size(x)'", {"s": "size(x)"}, s=STRING)
        assert self.holds("self.size == 'xs'", {"size": "xs"}, size=STRING)

    def test_formats_are_types(self):
        duration, moment = {"type": "string", "format": "duration"}, {"type": "string", "format": "date-time"}
        assert self.holds("self.d > duration('5m')", {"d": "1h30m"}, d=duration)
        assert self.holds("self.t > timestamp('2020-01-01T00:00:00Z')", {"t": "2021-01-01T00:00:00Z"}, t=moment)

    def test_numbers_are_doubles_and_integers_integers(self):
        assert self.holds("self.n / 2.0 == 1.5", {"n": 3}, n={"type": "number"})
        assert self.holds("self.n % 2 == 1", {"n": 3}, n=INTEGER)

    def test_odd_property_names_are_escaped(self):
        assert self.holds(
            "self.a__dash__b == 1 && self.__in__ == 2", {"a-b": 1, "in": 2}, **{"a-b": INTEGER, "in": INTEGER}
        )
        assert [escape(name) for name in ("a.b", "x/y", "a__b", "plain", "namespace")] == [
            "a__dot__b",
            "x__slash__y",
            "a__underscores__b",
            "plain",
            "__namespace__",
        ]

    def test_the_root_shows_name_but_no_labels(self):
        openapi = schema()
        openapi["x-kubernetes-validations"] = [{"rule": "size(self.metadata.name) < 4 && !('labels' in self.metadata)"}]
        rules = Rules(openapi)
        assert rules.validate({"metadata": {"name": "abc", "labels": {"a": "b"}}}) == []
        assert len(rules.validate({"metadata": {"name": "abcd"}})) == 1

    def test_macros_and_string_functions_work(self):
        many = {"type": "array", "items": STRING}
        rule = "self.l.all(x, x.startsWith('a')) && !self.l.exists(x, x in ['b']) && self.l[0].upperAscii() == 'AA'"
        assert self.holds(rule, {"l": ["aa", "ab"]}, l=many)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("self.a ==", "Syntax error"),
        ("quantity(self.a).isGreaterThan(quantity('1'))", "undeclared reference to 'isGreaterThan'"),
        ("isURL(self.a)", "undeclared reference to 'isURL'"),
        ("true || isURL(self.a)", "undeclared reference to 'isURL'"),
        ("slef.a == 1", "undeclared reference to 'slef'"),
        ("self.?a.orValue(1) == 1", "unsupported syntax"),
        ("self.aa == 1", "undefined field 'aa'"),
        ("!has(self.aa) || self.a > 1", "undefined field 'aa'"),
        ("'x'.startsWith('self.zz') && self.zz == 1", "undefined field 'zz'"),
        ("", "rule is not specified"),
    ],
)
def test_rules_that_could_not_run_are_refused_with_the_crd(rule, expected):
    (cause,) = check_rules(schema({"rule": rule}, a=INTEGER))
    assert cause.field == "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule"
    assert expected in cause.message


@pytest.mark.parametrize(
    "rule",
    [
        "'self.zz' != 'x' && self.a.size() > 0",
        "self.m.anything == 'x' || 'k' in self.m",
        "self.l.all(self_, self_ != self.a) && self.l.size() > 0",
        "self.l.all(x, x.startsWith(self.a))",
        "has(self.a) && self.a__dash__b == 'x'",
        "self == oldSelf || self.a == oldSelf.a",
    ],
)
def test_fields_that_are_declared_are_known(rule):
    declared = {
        "a": STRING,
        "a-b": STRING,
        "m": {"type": "object", "additionalProperties": STRING},
        "l": {"type": "array", "items": STRING},
    }
    assert check_rules(schema(rule, **declared)) == []


def test_the_root_declares_its_metadata():
    openapi = schema(a=INTEGER)
    openapi["x-kubernetes-validations"] = [{"rule": "self.metadata.name != self.kind && self.spec.a > 1"}]
    assert check_rules(openapi) == []
    openapi["x-kubernetes-validations"] = [{"rule": "self.metadata.labels.size() > 1"}]
    assert "undefined field 'labels'" in check_rules(openapi)[0].message


@pytest.mark.parametrize(
    ("extra", "place"),
    [
        ({"reason": "Nonsense"}, "reason"),
        ({"fieldPath": ".nope"}, "fieldPath"),
        ({"message": " "}, "message"),
        ({"message": 3}, "message"),
        ({"messageExpression": "foo("}, "messageExpression"),
    ],
)
def test_bad_companions_of_a_rule_are_refused(extra, place):
    (cause,) = check_rules(schema({"rule": "true", **extra}, a=INTEGER))
    assert cause.field.endswith(f"x-kubernetes-validations[0].{place}")


def test_old_values_in_plain_lists_cannot_be_asked_for():
    item = {**STRING, "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}
    (cause,) = check_rules(schema(l={"type": "array", "items": item}))
    assert "uncorrelatable" in cause.message


def test_rules_wait_until_the_schema_holds():
    both = CustomSchema(schema("self.min <= self.max", min=INTEGER, max=INTEGER))
    texts = [f"{cause.field}: {cause.message}" for cause in both.validate({"spec": {"min": "x", "max": 1}})]
    assert len(texts) == 2 and "some validation rules were not checked" in texts[1]


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_a_bad_one(source):
    with contextlib.suppress(BadExpression, EvaluationError):
        Expression(source, frozenset({"self"})).evaluate({"self": {"a": 1}})


@given(
    st.sampled_from(["self.a > 1", "self.a.b", "self.all(k, self[k] == 1)", "size(self.a) > 0", "self.a[0] == 'x'"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("abc"), below, max_size=3),
        max_leaves=6,
    ),
)
def test_any_value_gives_a_result_or_an_error_of_ours(source, value):
    with contextlib.suppress(EvaluationError):
        Expression(source, frozenset({"self"})).evaluate({"self": value})
