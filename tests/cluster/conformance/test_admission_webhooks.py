"""Admission webhooks on a live server: order, patches, refusals, failure policies, selectors, dry runs."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from crds.client import ApiError, InternalError, KubeClient
from crds.client.resources import CONFIG_MAPS, MUTATING_WEBHOOKS, NAMESPACES, VALIDATING_WEBHOOKS, Resource
from sandbox.kube import tls
from tests.cluster.conformance.conftest import config_map, until, widget
from tests.support.kube_http import KubeHttp

Object = dict[str, Any]
Answer = Object | Callable[[Object], Awaitable[Any]]
_numbers = itertools.count()


class Webhooks:
    """A webhook server on loopback. `add` registers a webhook for one namespace and waits until it is called."""

    def __init__(self, client: KubeClient, namespace: str, credentials: tls.Credentials) -> None:
        self.client, self.namespace, self.credentials = client, namespace, credentials
        self.port = 0
        self.asked: list[tuple[str, Object]] = []
        self.answers: dict[str, Answer] = {}
        self.made: list[tuple[Resource, str]] = []

    async def handle(self, request: web.Request) -> web.Response:
        review = json.loads(await request.read())["request"]
        name = request.path.strip("/")
        # kube-controller-manager publishes this ConfigMap into every new namespace, when it comes to it.
        by_the_cluster = review["name"] == "kube-root-ca.crt"
        if review["name"] != "probe" and not by_the_cluster:
            self.asked.append((name, review))
        given: Answer = {} if by_the_cluster else self.answers[name]
        answer = await given(review) if callable(given) else given
        if isinstance(answer, web.Response):
            answer.force_close()
            return answer
        response = {"uid": review["uid"], "allowed": True, **answer}
        if "patch" in response:
            response["patch"] = base64.b64encode(json.dumps(response["patch"]).encode()).decode()
            response["patchType"] = "JSONPatch"
        body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        reply = web.json_response(body)
        # No connection outlives its question, so none is open when the test's event loop ends.
        reply.force_close()
        return reply

    def webhook(self, name: str, **fields: Any) -> Object:
        bundle = base64.b64encode(self.credentials.ca_pem).decode()
        return {
            "name": f"{name}.hooks.test",
            "clientConfig": {"url": f"https://127.0.0.1:{self.port}/{name}", "caBundle": bundle},
            "rules": [
                {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["configmaps", "widgets"]}
            ],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 5,
            **fields,
        }

    async def add(self, kind: Resource, answers: dict[str, Answer], *, order: str = "m", **fields: Any) -> None:
        """One configuration whose webhooks answer so. Returns when the server has taken notice."""
        seen = asyncio.Event()

        async def notice(_review: Object) -> Object:
            seen.set()
            return {}

        webhooks = []
        for name in answers:
            self.answers[name] = notice
            webhooks.append(self.webhook(name, **fields))
        name = f"{order}-{next(_numbers)}.hooks.test"
        await self.client.create(kind, {"metadata": {"name": name}, "webhooks": webhooks})
        self.made.append((kind, name))

        async def noticed() -> bool:
            await self.client.create(
                CONFIG_MAPS, config_map("probe", labels={"probe": "yes"}), self.namespace, dry_run=True
            )
            return seen.is_set()

        if "matchConditions" not in fields and "objectSelector" not in fields and "clientConfig" not in fields:
            await until(noticed)
        self.answers.update(answers)

    def names(self) -> list[str]:
        return [name for name, _ in self.asked]


@pytest.fixture
async def hooks(client: KubeClient, namespace: str, widgets: Resource, tmp_path: Path) -> AsyncIterator[Webhooks]:
    credentials = tls.load_credentials(tmp_path, hosts=("127.0.0.1",))
    hooks = Webhooks(client, namespace, credentials)
    app = web.Application()
    app.router.add_post("/{name}", hooks.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls.server_context(credentials))
    await site.start()
    hooks.port = runner.addresses[0][1]
    yield hooks
    for kind, name in hooks.made:
        await client.delete(kind, name)
    await asyncio.sleep(0.05)  # for the other side to take leave, which TLS has it do
    await runner.cleanup()


def add(path: str, value: Any) -> Object:
    return {"patch": [{"op": "add", "path": path, "value": value}]}


async def test_mutation_comes_first_then_the_schema_then_validation(
    client: KubeClient, namespace: str, hooks: Webhooks, widgets: Resource
) -> None:
    await hooks.add(VALIDATING_WEBHOOKS, {"judge": {}})
    await hooks.add(MUTATING_WEBHOOKS, {"first": add("/spec/note", "a"), "second": add("/spec/free", {"x": 1})})
    made = await client.create(widgets, widget(), namespace)
    assert (made["spec"]["note"], made["spec"]["free"]) == ("a", {"x": 1})
    assert hooks.names() == ["first", "second", "judge"]
    judged = hooks.asked[-1][1]
    assert judged["object"]["spec"] == {"size": "s", "mode": "auto", "note": "a", "free": {"x": 1}}
    assert judged["operation"] == "CREATE" and judged["oldObject"] is None
    assert "system:masters" in judged["userInfo"]["groups"]


async def test_a_mutation_is_held_to_the_schema(
    client: KubeClient, namespace: str, hooks: Webhooks, widgets: Resource
) -> None:
    await hooks.add(VALIDATING_WEBHOOKS, {"judge": {}})

    async def spoil(review: Object) -> Object:
        return add("/spec/size", "xxl") if review["kind"]["kind"] == "Widget" else {}

    await hooks.add(MUTATING_WEBHOOKS, {"spoil": spoil})
    with pytest.raises(ApiError) as refused:
        await client.create(widgets, widget(), namespace)
    assert refused.value.status == 422
    assert hooks.names() == ["spoil"], "what the schema refuses is not judged"


async def test_configurations_are_called_by_name(client: KubeClient, namespace: str, hooks: Webhooks) -> None:
    await hooks.add(MUTATING_WEBHOOKS, {"late": {}}, order="z")
    await hooks.add(MUTATING_WEBHOOKS, {"early": {}}, order="a")
    await client.create(CONFIG_MAPS, config_map(), namespace)
    assert hooks.names() == ["early", "late"]


async def test_a_refusal_is_told_with_its_code(client: KubeClient, namespace: str, hooks: Webhooks) -> None:
    status = {"code": 403, "reason": "Forbidden", "message": "not today"}
    await hooks.add(VALIDATING_WEBHOOKS, {"judge": {"allowed": False, "status": status}})
    with pytest.raises(ApiError) as refused:
        await client.create(CONFIG_MAPS, config_map(), namespace)
    assert (refused.value.status, refused.value.reason) == (403, "Forbidden")
    assert refused.value.message == 'admission webhook "judge.hooks.test" denied the request: not today'


async def test_causes_and_warnings_pass_through(
    client: KubeClient, http: KubeHttp, namespace: str, hooks: Webhooks
) -> None:
    cause = {"reason": "FieldValueInvalid", "message": "too big", "field": "data.a"}
    status = {"code": 422, "reason": "Invalid", "message": "no", "details": {"causes": [cause]}}
    await hooks.add(VALIDATING_WEBHOOKS, {"judge": {"allowed": False, "status": status, "warnings": ["careful"]}})
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    reply = await http("POST", path, {"apiVersion": "v1", "kind": "ConfigMap", **config_map()})
    assert reply.status == 422 and reply.body["details"]["causes"] == [cause]
    assert reply.warnings == ["careful"]


async def test_updates_and_deletes_show_the_old_object(client: KubeClient, namespace: str, hooks: Webhooks) -> None:
    await client.create(CONFIG_MAPS, config_map(data={"a": "1"}), namespace)
    await hooks.add(VALIDATING_WEBHOOKS, {"judge": {}})
    await client.patch(CONFIG_MAPS, "c", namespace, {"data": {"a": "2"}})
    await client.delete(CONFIG_MAPS, "c", namespace)
    (_, update), (_, delete) = hooks.asked
    assert (update["operation"], update["oldObject"]["data"]["a"], update["object"]["data"]["a"]) == (
        "UPDATE",
        "1",
        "2",
    )
    assert (delete["operation"], delete["oldObject"]["data"]["a"], delete["object"]) == ("DELETE", "2", None)


async def test_subresources_are_judged_only_by_rules_that_name_them(
    client: KubeClient, namespace: str, hooks: Webhooks, widgets: Resource
) -> None:
    await client.create(widgets, widget(), namespace)
    await hooks.add(VALIDATING_WEBHOOKS, {"plain": {}})
    everything = [
        {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["widgets/status", "configmaps"]}
    ]
    await hooks.add(VALIDATING_WEBHOOKS, {"status": {}}, rules=everything)
    await client.patch(widgets, "w", namespace, {"status": {"phase": "x"}}, subresource="status")
    assert hooks.names() == ["status"]
    assert hooks.asked[0][1]["subResource"] == "status"


async def test_object_selectors_and_conditions_choose(client: KubeClient, namespace: str, hooks: Webhooks) -> None:
    labelled = {"matchLabels": {"tier": "gold"}}
    await hooks.add(VALIDATING_WEBHOOKS, {"gold": {}}, objectSelector=labelled)
    by_name = [{"name": "x", "expression": "object.metadata.name.startsWith('x')"}]
    await hooks.add(VALIDATING_WEBHOOKS, {"named": {}}, matchConditions=by_name)

    async def both() -> bool:
        hooks.asked.clear()
        body = config_map("x1", labels={"tier": "gold"})
        await client.create(CONFIG_MAPS, body, namespace, dry_run=True)
        return sorted(hooks.names()) == ["gold", "named"]

    await until(both)
    hooks.asked.clear()
    await client.create(CONFIG_MAPS, config_map("y1"), namespace)
    await client.create(CONFIG_MAPS, config_map("y2", labels={"tier": "gold"}), namespace)
    await client.create(CONFIG_MAPS, config_map("x2"), namespace)
    assert hooks.names() == ["gold", "named"]


async def test_other_namespaces_are_left_alone(client: KubeClient, namespace: str, hooks: Webhooks) -> None:
    await hooks.add(VALIDATING_WEBHOOKS, {"judge": {"allowed": False}})
    other = f"{namespace}-other"
    await client.create(NAMESPACES, {"metadata": {"name": other}})
    await client.create(CONFIG_MAPS, config_map(), other)


async def test_dry_runs_are_judged_and_say_so(client: KubeClient, namespace: str, hooks: Webhooks) -> None:
    await hooks.add(VALIDATING_WEBHOOKS, {"judge": {}})
    await client.create(CONFIG_MAPS, config_map(), namespace, dry_run=True)
    assert [review["dryRun"] for _, review in hooks.asked] == [True]


async def test_a_webhook_may_ask_to_see_later_changes(client: KubeClient, namespace: str, hooks: Webhooks) -> None:
    async def change(review: Object) -> Object:
        return {} if (review["object"].get("data") or {}).get("x") else add("/data", {"x": "1"})

    await hooks.add(MUTATING_WEBHOOKS, {"again": {}}, order="a", reinvocationPolicy="IfNeeded")
    await hooks.add(MUTATING_WEBHOOKS, {"change": change}, order="b")
    await client.create(CONFIG_MAPS, config_map(), namespace)
    assert hooks.names() == ["again", "change", "again"]


async def slow(_review: Object) -> Object:
    await asyncio.sleep(3)
    return {}


async def broken(_review: Object) -> web.Response:
    return web.Response(status=500)


class TestFailures:
    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            ({"uid": "another"}, "expected response.uid"),
            (broken, "failed to call webhook"),
            (slow, "deadline exceeded"),
        ],
    )
    async def test_the_policy_decides(
        self, client: KubeClient, namespace: str, hooks: Webhooks, answer: Answer, expected: str
    ) -> None:
        await hooks.add(VALIDATING_WEBHOOKS, {"open": answer}, failurePolicy="Ignore", timeoutSeconds=1)
        await client.create(CONFIG_MAPS, config_map("a"), namespace)
        await hooks.add(VALIDATING_WEBHOOKS, {"closed": answer}, failurePolicy="Fail", timeoutSeconds=1)
        with pytest.raises(InternalError) as refused:
            await client.create(CONFIG_MAPS, config_map("b"), namespace)
        assert refused.value.status == 500
        assert 'failed calling webhook "closed.hooks.test"' in refused.value.message
        assert expected in refused.value.message

    async def test_an_untrusted_certificate_is_a_failure(
        self, client: KubeClient, namespace: str, hooks: Webhooks, tmp_path: Path
    ) -> None:
        other = tls.load_credentials(tmp_path / "other")
        bundle = base64.b64encode(other.ca_pem).decode()
        target = {"url": f"https://127.0.0.1:{hooks.port}/x", "caBundle": bundle}
        await hooks.add(VALIDATING_WEBHOOKS, {"x": {}}, clientConfig=target)

        async def refused() -> bool:
            try:
                await client.create(CONFIG_MAPS, config_map(), namespace, dry_run=True)
            except InternalError as error:
                return "failed to verify certificate" in error.message
            return False

        await until(refused)
        assert hooks.asked == []


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"sideEffects": "Some"}, "sideEffects"),
        ({"admissionReviewVersions": ["v9"]}, "admissionReviewVersions"),
        ({"timeoutSeconds": 31}, "timeoutSeconds"),
        ({"clientConfig": {}}, "clientConfig"),
        ({"clientConfig": {"url": "http://127.0.0.1/x"}}, "clientConfig.url"),
        ({"matchConditions": [{"name": "x", "expression": "nope("}]}, "matchConditions[0].expression"),
        ({"failurePolicy": "Maybe"}, "failurePolicy"),
    ],
)
async def test_a_bad_configuration_is_refused(client: KubeClient, hooks: Webhooks, fields: Object, place: str) -> None:
    body = {"metadata": {"name": "bad.hooks.test"}, "webhooks": [{**hooks.webhook("bad"), **fields}]}
    with pytest.raises(ApiError) as refused:
        await client.create(VALIDATING_WEBHOOKS, body)
    assert refused.value.status == 422
    assert any(cause["field"].startswith(f"webhooks[0].{place}") for cause in refused.value.causes)
