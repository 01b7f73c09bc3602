"""Webhooks are chosen, asked in order over TLS, believed only when they answer well, and failed open or closed."""

import asyncio
import base64
from dataclasses import replace

import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kube import tls, webhook_match, webhook_review
from sandbox.kube.admission import Admission
from sandbox.kube.errors import StatusError
from sandbox.kube.rbac import User
from sandbox.kube.store import GroupResource, Store
from sandbox.kube.webhook_call import WebhookCaller
from sandbox.kube.webhook_match import MUTATING, VALIDATING, AdmissionRequest, check_configuration, hooks_for

REQUEST = AdmissionRequest(
    operation="CREATE",
    group="analytics.xtrinode.io",
    version="v1",
    resource="xtrinodes",
    kind="XTrinode",
    namespace="prod",
    name="a",
    user=User("alice", groups=("dev",)),
    obj={"metadata": {"name": "a", "namespace": "prod", "labels": {"tier": "gold"}}, "spec": {"size": "s"}},
)
RULE = {
    "operations": ["CREATE", "UPDATE"],
    "apiGroups": ["analytics.xtrinode.io"],
    "apiVersions": ["v1"],
    "resources": ["xtrinodes"],
}


def webhook(name="a.hook.test", **fields):
    return {
        "name": name,
        "rules": [RULE],
        "clientConfig": {"url": "https://127.0.0.1:1"},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **fields,
    }


def configure(store, *webhooks, table=VALIDATING, name="conf"):
    store.create(table, "", name, {"metadata": {"name": name}, "webhooks": list(webhooks)})


@pytest.fixture
def store():
    store = Store()
    namespace = {"metadata": {"name": "prod", "labels": {"env": "prod"}}}
    store.create(GroupResource("", "namespaces"), "", "prod", namespace)
    return store


class TestMatching:
    def names(self, store, request=REQUEST):
        return [hook.name for hook in hooks_for(VALIDATING, request, store)]

    @pytest.mark.parametrize(
        ("rule", "expected"),
        [
            ({}, True),
            ({"resources": ["*"]}, True),
            ({"resources": ["*/*"]}, True),
            ({"resources": ["xtrinodes/*"]}, True),
            ({"resources": ["xtrinodes/status"]}, False),
            ({"resources": ["xtrinodecatalogs"]}, False),
            ({"operations": ["*"]}, True),
            ({"operations": ["DELETE"]}, False),
            ({"apiGroups": ["*"], "apiVersions": ["*"]}, True),
            ({"apiVersions": ["v2"]}, False),
            ({"scope": "Namespaced"}, True),
            ({"scope": "Cluster"}, False),
        ],
    )
    def test_rules(self, store, rule, expected):
        configure(store, webhook(rules=[{**RULE, **rule}]))
        assert bool(self.names(store)) is expected

    def test_subresources_need_a_rule_that_names_them(self, store):
        configure(store, webhook("plain.hook.test"), webhook("all.hook.test", rules=[{**RULE, "resources": ["*/*"]}]))
        assert self.names(store, replace(REQUEST, subresource="status")) == ["all.hook.test"]

    def test_selectors(self, store):
        gold, other = {"matchLabels": {"tier": "gold"}}, {"matchLabels": {"tier": "lead"}}
        here = {"matchExpressions": [{"key": "env", "operator": "In", "values": ["prod"]}]}
        there = {"matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["prod"]}]}
        configure(
            store,
            webhook("one.hook.test", objectSelector=gold, namespaceSelector=here),
            webhook("two.hook.test", objectSelector=other),
            webhook("three.hook.test", namespaceSelector=there),
            webhook("four.hook.test", objectSelector={}, namespaceSelector={}),
        )
        assert self.names(store) == ["one.hook.test", "four.hook.test"]

    def test_the_old_labels_count_as_well(self, store):
        configure(store, webhook(objectSelector={"matchLabels": {"tier": "lead"}}))
        old = {"metadata": {"labels": {"tier": "lead"}}}
        assert self.names(store, replace(REQUEST, operation="UPDATE", old=old)) == ["a.hook.test"]

    def test_configurations_come_by_name(self, store):
        configure(store, webhook("z.hook.test"), name="a")
        configure(store, webhook("a.hook.test"), name="b")
        assert self.names(store) == ["z.hook.test", "a.hook.test"]

    def test_conditions_are_evaluated(self, store):
        def when(*expressions):
            return [{"name": str(number), "expression": text} for number, text in enumerate(expressions)]

        configure(
            store,
            webhook(
                "yes.hook.test", matchConditions=when("request.userInfo.username == 'alice'", "object.spec.size == 's'")
            ),
            webhook("no.hook.test", matchConditions=when("object.missing == 1", "request.operation == 'DELETE'")),
            webhook("open.hook.test", failurePolicy="Ignore", matchConditions=when("object.missing == 1")),
        )
        assert self.names(store) == ["yes.hook.test"]

    def test_a_broken_condition_refuses_when_the_webhook_must_be_asked(self, store):
        configure(store, webhook(matchConditions=[{"name": "x", "expression": "object.missing == 1"}]))
        with pytest.raises(webhook_match.ConditionFailed):
            self.names(store)

    def test_webhooks_never_judge_webhook_configurations(self, store):
        configure(store, webhook(rules=[{**RULE, "apiGroups": ["*"], "resources": ["*"], "apiVersions": ["*"]}]))
        request = replace(REQUEST, group=webhook_match.GROUP, resource=VALIDATING.plural, namespace="")
        assert self.names(store, request) == []


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"name": "short"}, "name"),
        ({"sideEffects": "Some"}, "sideEffects"),
        ({"admissionReviewVersions": ["v9"]}, "admissionReviewVersions"),
        ({"timeoutSeconds": 31}, "timeoutSeconds"),
        ({"clientConfig": {}}, "clientConfig"),
        ({"clientConfig": {"url": "http://x"}}, "clientConfig.url"),
        ({"rules": [{**RULE, "operations": ["READ"]}]}, "rules[0].operations"),
        ({"matchConditions": [{"name": "x", "expression": "nope("}]}, "matchConditions[0].expression"),
        ({"matchConditions": [{"name": "x", "expression": "authorizer.x == 1"}]}, "matchConditions[0].expression"),
    ],
)
def test_a_bad_configuration_is_refused_where_it_is_bad(fields, place):
    (cause,) = check_configuration({"webhooks": [webhook(**fields)]})
    assert cause.field == f"webhooks[0].{place}"


def test_a_good_configuration_passes():
    assert check_configuration({"webhooks": [webhook()]}) == []


class TestAnswers:
    def answer(self, **response):
        body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": "u", **response}}
        return orjson.dumps(body)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b'{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview"}',
            b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}',
            b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"other","allowed":true}}',
            b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"u","allowed":"yes"}}',
        ],
    )
    def test_what_is_no_review_is_no_answer(self, body):
        with pytest.raises(webhook_review.BadAnswer):
            webhook_review.judge(body, "u", mutating=True)

    def test_patches_must_be_patches(self):
        good = base64.b64encode(b'[{"op":"add","path":"/spec/x","value":1}]').decode()
        for response in ({"patch": "!"}, {"patch": good}, {"patchType": "JSONPatch"}):
            with pytest.raises(webhook_review.BadAnswer):
                webhook_review.judge(self.answer(allowed=True, **response), "u", mutating=True)
        with pytest.raises(webhook_review.BadAnswer, match="validating"):
            body = self.answer(allowed=True, patch=good, patchType="JSONPatch")
            webhook_review.judge(body, "u", mutating=False)

    @given(st.binary(max_size=200))
    def test_any_bytes_are_an_answer_or_a_bad_one(self, body):
        with pytest.raises(webhook_review.BadAnswer):
            webhook_review.judge(body, "u", mutating=True)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda below: (
                st.lists(below, max_size=3)
                | st.dictionaries(st.sampled_from(["op", "path", "value", "from", "a"]), below, max_size=4)
            ),
            max_leaves=10,
        )
    )
    def test_any_patch_gives_an_object_or_an_error_of_ours(self, operations):
        hook = webhook_match.Hook("c", "h", {}, 1.0, True, "None", False)
        if isinstance(operations, list):
            try:
                result = webhook_review.patched({"metadata": {}}, operations, hook)
            except StatusError:
                return
            assert isinstance(result["metadata"], dict)

    def test_a_refusal_is_worded_as_on_a_cluster(self):
        hook = webhook_match.Hook("c", "a.hook.test", {}, 1.0, True, "None", False)
        refusal = webhook_review.denied(hook, {"message": "too big", "code": 403, "reason": "Forbidden"})
        assert (refusal.code, refusal.reason) == (403, "Forbidden")
        assert refusal.message == 'admission webhook "a.hook.test" denied the request: too big'
        assert webhook_review.denied(hook, {"code": 200}).code == 400
        assert webhook_review.denied(hook, {}).message.endswith("denied the request without explanation")

    def test_too_many_warnings_are_cut(self):
        body = self.answer(allowed=True, warnings=["x" * 3000, "y" * 3000, 3])
        assert [len(text) for text in webhook_review.judge(body, "u", mutating=True).warnings] == [256, 256]


class Hooks:
    """A webhook server on loopback: answers by path, remembers what it was asked."""

    def __init__(self):
        self.asked = []
        self.answers = {}
        self.credentials = None
        self.port = 0

    def client(self, path, ca=None):
        bundle = base64.b64encode(ca or self.credentials.ca_pem).decode()
        return {"url": f"https://127.0.0.1:{self.port}{path}", "caBundle": bundle}

    def hook(self, name, answer, **fields):
        self.answers[f"/{name}"] = answer
        return webhook(f"{name}.hook.test", **{"clientConfig": self.client(f"/{name}"), **fields})

    async def handle(self, request):
        review = orjson.loads(await request.read())
        self.asked.append((request.path, request.headers.get("Host"), review["request"]))
        answer = self.answers[request.path]
        if callable(answer):
            answer = await answer(review["request"])
        if isinstance(answer, web.Response):
            return answer
        response = {"uid": review["request"]["uid"], "allowed": True, **answer}
        if "patch" in response:
            response["patch"] = base64.b64encode(orjson.dumps(response["patch"])).decode()
            response["patchType"] = "JSONPatch"
        return web.json_response({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})


@pytest.fixture
async def hooks(tmp_path):
    hooks = Hooks()
    hooks.credentials = tls.load_credentials(tmp_path, hosts=("127.0.0.1", "hook.prod.svc"))
    app = web.Application()
    app.router.add_post("/{tail:.*}", hooks.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls.server_context(hooks.credentials))
    await site.start()
    hooks.port = runner.addresses[0][1]
    yield hooks
    await runner.cleanup()


@pytest.fixture
async def admission(store):
    admission = Admission(store, WebhookCaller(store))
    yield admission
    await admission.close()


def add(path, value):
    return {"patch": [{"op": "add", "path": path, "value": value}]}


async def test_mutating_webhooks_see_each_others_work_in_order(store, hooks, admission):
    configure(
        store,
        hooks.hook("second", add("/spec/b", 2)),
        table=MUTATING,
        name="b",
    )
    configure(store, hooks.hook("first", {**add("/spec/a", 1), "warnings": ["careful"]}), table=MUTATING, name="a")
    warnings = []
    result = await admission.mutate(REQUEST, warnings)
    assert result["spec"] == {"size": "s", "a": 1, "b": 2}
    assert [path for path, _, _ in hooks.asked] == ["/first", "/second"]
    assert hooks.asked[1][2]["object"]["spec"] == {"size": "s", "a": 1}
    assert warnings == ["careful"]
    assert REQUEST.obj["spec"] == {"size": "s"}


async def test_the_review_says_who_and_what(store, hooks, admission):
    configure(store, hooks.hook("one", {}))
    await admission.validate(replace(REQUEST, dry_run=True), [])
    (_, _, asked) = hooks.asked[0]
    assert asked["userInfo"] == {"username": "alice", "groups": ["dev"]}
    assert asked["resource"] == {"group": "analytics.xtrinode.io", "version": "v1", "resource": "xtrinodes"}
    assert (asked["operation"], asked["namespace"], asked["name"], asked["dryRun"]) == ("CREATE", "prod", "a", True)
    assert asked["oldObject"] is None


async def test_a_webhook_that_asked_for_it_is_called_again(store, hooks, admission):
    configure(
        store,
        hooks.hook("again", {}, reinvocationPolicy="IfNeeded"),
        hooks.hook("once", {}),
        hooks.hook("change", add("/spec/a", 1)),
        table=MUTATING,
    )
    await admission.mutate(REQUEST, [])
    assert [path for path, _, _ in hooks.asked] == ["/again", "/once", "/change", "/again"]


async def test_defaulting_runs_after_each_patch(store, hooks, admission):
    configure(store, hooks.hook("one", add("/spec/a", 1)), table=MUTATING)
    result = await admission.mutate(REQUEST, [], complete=lambda obj: obj["spec"].setdefault("b", 2))
    assert result["spec"] == {"size": "s", "a": 1, "b": 2}


async def test_validating_webhooks_run_side_by_side_and_the_first_refusal_wins(store, hooks, admission):
    both = asyncio.Barrier(2)

    def meet(text):
        async def answer(_request):
            await both.wait()
            return {"allowed": False, "status": {"message": text}, "warnings": [f"warned by {text}"]}

        return answer

    configure(store, hooks.hook("a", meet("first")), hooks.hook("b", meet("second")))
    warnings = []
    with pytest.raises(StatusError, match=r'admission webhook "a\.hook\.test" denied the request: first'):
        await admission.validate(REQUEST, warnings)
    assert warnings == ["warned by first", "warned by second"]


async def slow(_request):
    await asyncio.sleep(5)
    return {}


@pytest.mark.parametrize(
    ("answer", "fields", "expected"),
    [
        (web.Response, {}, "did not return more information"),
        ({"uid": "other"}, {}, "received invalid webhook response"),
        (slow, {"timeoutSeconds": 0.05}, "context deadline exceeded"),
        ({}, {"clientConfig": {"url": "https://127.0.0.1:1/x"}}, "dial tcp 127.0.0.1:1: connect: "),
        ({}, {"clientConfig": {"service": {"namespace": "prod", "name": "none"}}}, 'service "none" not found'),
    ],
)
async def test_failures_open_or_close_by_policy(store, hooks, admission, answer, fields, expected):
    if answer is web.Response:

        async def answer(_request):
            return web.Response(status=500, text="secret")

    configure(store, hooks.hook("x", answer, **fields))
    with pytest.raises(StatusError) as failed:
        await admission.validate(REQUEST, [])
    assert failed.value.code == 500
    assert failed.value.message.startswith('Internal error occurred: failed calling webhook "x.hook.test": ')
    assert expected in failed.value.message and "secret" not in failed.value.message
    store.delete(VALIDATING, store.get(VALIDATING, "", "conf"))
    configure(store, hooks.hook("x", answer, **{"failurePolicy": "Ignore", **fields}))
    await admission.validate(REQUEST, [])


async def test_a_webhook_must_prove_itself(store, hooks, admission, tmp_path):
    stranger = tls.load_credentials(tmp_path / "other")
    configure(store, hooks.hook("x", {}, clientConfig=hooks.client("/x", ca=stranger.ca_pem)))
    with pytest.raises(StatusError, match="tls: failed to verify certificate"):
        await admission.validate(REQUEST, [])
    assert hooks.asked == []


async def test_a_ca_bundle_that_is_none_is_said(store, hooks, admission):
    configure(store, hooks.hook("x", {}, clientConfig={"url": "https://127.0.0.1:1", "caBundle": "AAAA"}))
    with pytest.raises(StatusError, match="unable to load root certificates"):
        await admission.validate(REQUEST, [])


async def test_services_are_found_by_their_endpoints_and_known_by_their_name(store, hooks, admission):
    service = {"metadata": {"name": "hook", "namespace": "prod"}, "spec": {"ports": [{"port": 443, "name": "https"}]}}
    store.create(GroupResource("", "services"), "prod", "hook", service)
    client = {**hooks.client("/x"), "service": {"name": "hook", "namespace": "prod", "path": "/x"}}
    del client["url"]
    configure(store, hooks.hook("x", {}, clientConfig=client))
    with pytest.raises(StatusError, match="no endpoints available"):
        await admission.validate(REQUEST, [])
    piece = {
        "metadata": {"name": "hook-1", "namespace": "prod", "labels": {"kubernetes.io/service-name": "hook"}},
        "endpoints": [
            {"addresses": ["127.0.0.9"], "conditions": {"ready": False}},
            {"addresses": ["127.0.0.1"], "conditions": {"ready": True}},
        ],
        "ports": [{"name": "https", "port": hooks.port}],
    }
    store.create(GroupResource("discovery.k8s.io", "endpointslices"), "prod", "hook-1", piece)
    await admission.validate(REQUEST, [])
    assert hooks.asked[0][:2] == ("/x", "hook.prod.svc:443")


async def test_a_patch_that_does_not_fit_is_an_error_even_when_failures_are_ignored(store, hooks, admission):
    bad = {"patch": [{"op": "remove", "path": "/spec/none"}]}
    configure(store, hooks.hook("x", bad, failurePolicy="Ignore"), table=MUTATING)
    with pytest.raises(StatusError, match="does not fit"):
        await admission.mutate(REQUEST, [])
