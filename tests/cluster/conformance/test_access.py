"""Who may do what: tokens, impersonation, roles, and the reviews that answer for them."""

from __future__ import annotations

from typing import Any

import pytest

from crds.client import ApiError, Forbidden, Impersonation, KubeClient
from crds.client.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SELF_SUBJECT_ACCESS_REVIEWS,
    SERVICE_ACCOUNTS,
    SUBJECT_ACCESS_REVIEWS,
    TOKEN_REVIEWS,
    Resource,
)
from tests.cluster.conformance.conftest import config_map, until, widget
from tests.support.clusters import Cluster
from tests.support.kube_http import KubeHttp

Object = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"


def alice(client: KubeClient, *groups: str) -> KubeClient:
    return client.clone(impersonate=Impersonation("alice", groups))


async def allow(
    client: KubeClient, namespace: str, rules: list[Object], subject: Object | None = None, name: str = "r"
) -> None:
    """A Role and its binding in one namespace."""
    await client.create(ROLES, {"metadata": {"name": name}, "rules": rules}, namespace)
    who = subject or {"kind": "User", "name": "alice", "apiGroup": RBAC}
    reference = {"apiGroup": RBAC, "kind": "Role", "name": name}
    await client.create(ROLE_BINDINGS, {"metadata": {"name": name}, "roleRef": reference, "subjects": [who]}, namespace)


def rule(verbs: list[str], resources: list[str], group: str = "", **more: Any) -> Object:
    return {"verbs": verbs, "apiGroups": [group], "resources": resources, **more}


async def review(client: KubeClient, namespace: str, **attributes: Any) -> Object:
    spec = {"user": "alice", "groups": ["dev"], "resourceAttributes": {"namespace": namespace, **attributes}}
    answer = await client.create(SUBJECT_ACCESS_REVIEWS, {"spec": spec}, idempotent=True)
    status: Object = answer["status"]
    return status


async def test_without_a_role_everything_is_forbidden(client: KubeClient, namespace: str) -> None:
    async with alice(client) as user:
        with pytest.raises(Forbidden) as refused:
            await user.list_(CONFIG_MAPS, namespace)
    assert refused.value.message == (
        'configmaps is forbidden: User "alice" cannot list resource "configmaps" in API group "" '
        f'in the namespace "{namespace}"'
    )


async def test_a_role_holds_for_its_verbs_and_its_namespace(client: KubeClient, namespace: str) -> None:
    await allow(client, namespace, [rule(["get", "list"], ["configmaps"])])
    await client.create(CONFIG_MAPS, config_map(), namespace)
    async with alice(client) as user:
        await until(lambda: user.get(CONFIG_MAPS, "c", namespace))
        with pytest.raises(Forbidden):
            await user.delete(CONFIG_MAPS, "c", namespace)
        with pytest.raises(Forbidden):
            await user.get(CONFIG_MAPS, "c", "default")
        with pytest.raises(Forbidden):
            await user.list_(CONFIG_MAPS)


async def test_groups_count(client: KubeClient, namespace: str) -> None:
    group = {"kind": "Group", "name": "dev", "apiGroup": RBAC}
    await allow(client, namespace, [rule(["list"], ["configmaps"])], group)
    async with alice(client, "dev") as user:
        await until(lambda: user.list_(CONFIG_MAPS, namespace))
    async with alice(client) as user:
        with pytest.raises(Forbidden):
            await user.list_(CONFIG_MAPS, namespace)


async def test_subresources_are_apart(client: KubeClient, namespace: str, widgets: Resource) -> None:
    await client.create(widgets, widget(), namespace)
    await allow(client, namespace, [rule(["get", "patch"], ["widgets/status"], widgets.group)])
    async with alice(client) as user:
        change = {"status": {"phase": "x"}}
        await until(lambda: user.patch(widgets, "w", namespace, change, subresource="status"))
        with pytest.raises(Forbidden):
            await user.patch(widgets, "w", namespace, {"spec": {"size": "m"}})


async def test_one_object_can_be_named(client: KubeClient, namespace: str) -> None:
    for name in ("a", "b"):
        await client.create(CONFIG_MAPS, config_map(name), namespace)
    await allow(client, namespace, [rule(["get"], ["configmaps"], resourceNames=["a"])])
    async with alice(client) as user:
        await until(lambda: user.get(CONFIG_MAPS, "a", namespace))
        with pytest.raises(Forbidden):
            await user.get(CONFIG_MAPS, "b", namespace)


async def test_apply_needs_create_for_what_is_not_there(client: KubeClient, namespace: str) -> None:
    await allow(client, namespace, [rule(["get", "patch"], ["configmaps"])])
    body = {"metadata": {"name": "c", "namespace": namespace}, "data": {"a": "1"}}

    async def may_patch() -> bool:
        return bool((await review(client, namespace, verb="patch", resource="configmaps"))["allowed"])

    await until(may_patch)
    async with alice(client) as user:
        with pytest.raises(Forbidden) as refused:
            await user.apply(CONFIG_MAPS, body, manager="m")
    assert "cannot create" in refused.value.message


async def test_aggregated_roles_take_labelled_ones_in(client: KubeClient, namespace: str, widgets: Resource) -> None:
    name = f"view-{namespace}"
    label = {f"{RBAC}/aggregate-to-view": "true"}
    role = {"metadata": {"name": name, "labels": label}, "rules": [rule(["get", "list"], ["widgets"], widgets.group)]}
    await client.create(CLUSTER_ROLES, role)
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"}
    who = {"kind": "User", "name": "alice", "apiGroup": RBAC}
    await client.create(ROLE_BINDINGS, {"metadata": {"name": "v"}, "roleRef": reference, "subjects": [who]}, namespace)
    async with alice(client) as user:
        await until(lambda: user.list_(CONFIG_MAPS, namespace))
        await until(lambda: user.list_(widgets, namespace))
        with pytest.raises(Forbidden):
            await user.list_(SECRETS, namespace)
    await client.delete(CLUSTER_ROLES, name)


class TestReviews:
    async def test_they_answer_by_the_same_rules(self, client: KubeClient, namespace: str) -> None:
        await allow(client, namespace, [rule(["get"], ["configmaps"])])

        async def allowed() -> bool:
            return bool((await review(client, namespace, verb="get", resource="configmaps"))["allowed"])

        await until(allowed)
        status = await review(client, namespace, verb="get", resource="configmaps")
        assert status["reason"] == f'RBAC: allowed by RoleBinding "r/{namespace}" of Role "r" to User "alice"'
        assert (await review(client, namespace, verb="get", resource="secrets"))["allowed"] is False

    async def test_virtual_subresources_can_be_asked_for(
        self, client: KubeClient, namespace: str, widgets: Resource
    ) -> None:
        await allow(client, namespace, [rule(["update"], ["widgets/breakglass"], widgets.group)])
        asked = {"verb": "update", "group": widgets.group, "resource": "widgets"}

        async def allowed() -> bool:
            return bool((await review(client, namespace, subresource="breakglass", **asked))["allowed"])

        await until(allowed)
        assert (await review(client, namespace, **asked))["allowed"] is False
        assert (await review(client, namespace, subresource="other", **asked))["allowed"] is False

    async def test_anybody_may_ask_about_themselves(self, client: KubeClient, namespace: str) -> None:
        attributes = {"namespace": namespace, "verb": "list", "resource": "pods"}
        body = {"spec": {"resourceAttributes": attributes}}
        async with alice(client) as user:
            answer = await user.create(SELF_SUBJECT_ACCESS_REVIEWS, body, idempotent=True)
        assert answer["status"]["allowed"] is False
        answer = await client.create(SELF_SUBJECT_ACCESS_REVIEWS, body, idempotent=True)
        assert answer["status"]["allowed"] is True

    @pytest.mark.parametrize("spec", [{}, {"user": "a"}, {"resourceAttributes": {"verb": "get"}}])
    async def test_incomplete_questions_are_refused(self, client: KubeClient, spec: Object) -> None:
        with pytest.raises(ApiError) as refused:
            await client.create(SUBJECT_ACCESS_REVIEWS, {"spec": spec}, idempotent=True)
        assert refused.value.status == 422

    async def test_who_am_i(self, http: KubeHttp) -> None:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        reply = await http("POST", path, body, headers={"Impersonate-User": "alice", "Impersonate-Group": "dev"})
        info = reply.body["status"]["userInfo"]
        assert info["username"] == "alice" and info["groups"] == ["dev", "system:authenticated"]

    async def test_rules_can_be_listed(self, http: KubeHttp, client: KubeClient, namespace: str) -> None:
        await allow(client, namespace, [rule(["get"], ["configmaps"])])
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"

        async def listed() -> bool:
            reply = await http("POST", path, body, headers={"Impersonate-User": "alice"})
            rules = reply.body["status"]["resourceRules"]
            return any(each["resources"] == ["configmaps"] and each["verbs"] == ["get"] for each in rules)

        await until(listed)


class TestServiceAccounts:
    async def token(self, client: KubeClient, namespace: str, **spec: Any) -> str:
        await until(lambda: client.get(SERVICE_ACCOUNTS, "default", namespace))
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = await client.create(SERVICE_ACCOUNTS, body, namespace, name="default", subresource="token")
        token: str = answer["status"]["token"]
        return token

    async def test_a_token_is_a_user_with_rights_of_its_own(
        self, cluster: Cluster, client: KubeClient, namespace: str
    ) -> None:
        token = await self.token(client, namespace)
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        async with KubeHttp(cluster.kubeconfig, token=token) as robot:
            refused = await robot("GET", path)
            assert refused.status == 403
            assert f'User "system:serviceaccount:{namespace}:default"' in refused.body["message"]
            account = {"kind": "ServiceAccount", "name": "default", "namespace": namespace}
            await allow(client, namespace, [rule(["list"], ["configmaps"])], account)

            async def allowed() -> bool:
                return (await robot("GET", path)).status == 200

            await until(allowed)

    async def test_a_review_tells_whose_a_token_is(self, client: KubeClient, namespace: str) -> None:
        token = await self.token(client, namespace)
        status = (await client.create(TOKEN_REVIEWS, {"spec": {"token": token}}, idempotent=True))["status"]
        assert status["authenticated"] is True
        assert status["user"]["username"] == f"system:serviceaccount:{namespace}:default"
        assert f"system:serviceaccounts:{namespace}" in status["user"]["groups"]
        wrong = (await client.create(TOKEN_REVIEWS, {"spec": {"token": token[:-4]}}, idempotent=True))["status"]
        assert not wrong.get("authenticated")

    async def test_a_token_for_somebody_else_is_no_login(
        self, cluster: Cluster, client: KubeClient, namespace: str
    ) -> None:
        token = await self.token(client, namespace, audiences=["vault"])
        async with KubeHttp(cluster.kubeconfig, token=token) as robot:
            assert (await robot("GET", "/api")).status == 401

    async def test_it_dies_with_its_account(self, cluster: Cluster, client: KubeClient, namespace: str) -> None:
        token = await self.token(client, namespace)
        await client.delete(SERVICE_ACCOUNTS, "default", namespace)
        async with KubeHttp(cluster.kubeconfig, token=token) as robot:

            async def refused() -> bool:
                return (await robot("GET", "/api")).status == 401

            await until(refused)


async def test_wrong_tokens_are_unauthorized_and_none_is_anonymous(cluster: Cluster) -> None:
    async with KubeHttp(cluster.kubeconfig, token="nonsense") as stranger:
        reply = await stranger("GET", "/api/v1/namespaces")
        assert (reply.status, reply.body["reason"], reply.body["message"]) == (401, "Unauthorized", "Unauthorized")
    async with KubeHttp(cluster.kubeconfig, token="") as nobody:
        assert (await nobody("GET", "/version")).status == 200
        assert (await nobody("GET", "/readyz")).status == 200
        reply = await nobody("GET", "/api/v1/namespaces")
        assert reply.status == 403 and 'User "system:anonymous"' in reply.body["message"]


async def test_impersonation_needs_permission(client: KubeClient, http: KubeHttp, namespace: str) -> None:
    name = f"impersonator-{namespace}"
    rules = [rule(["impersonate"], ["users"], resourceNames=["bob"])]
    await client.create(CLUSTER_ROLES, {"metadata": {"name": name}, "rules": rules})
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
    who = {"kind": "User", "name": "alice", "apiGroup": RBAC}
    body = {"metadata": {"name": name}, "roleRef": reference, "subjects": [who]}
    await client.create(CLUSTER_ROLE_BINDINGS, body)
    refused = await http("GET", "/api", headers={"Impersonate-Group": "dev"})
    assert refused.status in (400, 500)
    await client.delete(CLUSTER_ROLE_BINDINGS, name)
    await client.delete(CLUSTER_ROLES, name)
