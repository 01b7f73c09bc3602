"""Roles and bindings decide, refusals say what was missing, reviews ask the same rules."""

import pytest

from sandbox.kube import rbac, reviews
from sandbox.kube.errors import StatusError
from sandbox.kube.rbac import Attributes, User, authorize
from sandbox.kube.rbac_defaults import bootstrap_objects
from sandbox.kube.store import Store

ALICE = User("alice", groups=("dev", "system:authenticated"))
ROBOT = User("system:serviceaccount:prod:robot", groups=("system:serviceaccounts",))
GROUP = "analytics.xtrinode.io"


@pytest.fixture
def store():
    store = Store()
    for resource, obj in bootstrap_objects():
        store.create(resource, "", obj["metadata"]["name"], obj)
    return store


def add(store, kind, name, namespace="", **fields):
    resource = {
        "Role": rbac.ROLES,
        "ClusterRole": rbac.CLUSTER_ROLES,
        "RoleBinding": rbac.ROLE_BINDINGS,
        "ClusterRoleBinding": rbac.CLUSTER_ROLE_BINDINGS,
    }[kind]
    metadata = {"name": name, "labels": fields.pop("labels", {})}
    store.create(resource, namespace, name, {"metadata": metadata, **fields})


def bind(store, role, subject, namespace="", kind="ClusterRole"):
    target = "RoleBinding" if namespace else "ClusterRoleBinding"
    reference = {"kind": kind, "name": role}
    add(store, target, f"{role}-bound", namespace, roleRef=reference, subjects=[subject])


def rule(verbs, resources, groups=("",), **more):
    return {"verbs": list(verbs), "apiGroups": list(groups), "resources": list(resources), **more}


def can(store, user, verb, resource, namespace="", name="", group="", subresource=""):
    return authorize(user, Attributes(verb, group, resource, subresource, namespace, name), store).allowed


def test_masters_may_do_everything(store):
    assert can(store, User("root", groups=("system:masters",)), "delete", "nodes")


def test_nobody_may_do_anything_unasked(store):
    assert not can(store, ALICE, "get", "pods", "prod")


def test_a_role_binding_ends_at_its_namespace(store):
    add(store, "Role", "reader", "prod", rules=[rule(["get"], ["pods"])])
    bind(store, "reader", {"kind": "User", "name": "alice"}, "prod", kind="Role")
    assert can(store, ALICE, "get", "pods", "prod")
    assert not can(store, ALICE, "get", "pods", "dev")
    assert not can(store, ALICE, "get", "pods")
    assert not can(store, ALICE, "list", "pods", "prod")


def test_a_cluster_role_can_be_bound_in_one_namespace(store):
    bind(store, "view", {"kind": "Group", "name": "dev"}, "prod")
    assert can(store, ALICE, "list", "deployments", "prod", group="apps")
    assert not can(store, ALICE, "get", "secrets", "prod")


def test_subresources_need_their_own_rule(store):
    add(store, "ClusterRole", "r", rules=[rule(["get"], ["pods"]), rule(["update"], ["*/status"], ["*"])])
    bind(store, "r", {"kind": "User", "name": "alice"})
    assert not can(store, ALICE, "get", "pods", "prod", subresource="log")
    assert can(store, ALICE, "update", "xtrinodes", "prod", group=GROUP, subresource="status")
    assert not can(store, ALICE, "update", "xtrinodes", "prod", group=GROUP)


def test_resource_names_limit_a_rule(store):
    add(store, "ClusterRole", "r", rules=[rule(["get", "create"], ["secrets"], resourceNames=["a"])])
    bind(store, "r", {"kind": "User", "name": "alice"})
    assert can(store, ALICE, "get", "secrets", "prod", "a")
    assert not can(store, ALICE, "get", "secrets", "prod", "b")
    assert not can(store, ALICE, "create", "secrets", "prod")


def test_service_accounts_are_subjects_of_their_namespace(store):
    add(store, "ClusterRole", "r", rules=[rule(["*"], ["*"], ["*"])])
    bind(store, "r", {"kind": "ServiceAccount", "name": "robot", "namespace": "prod"})
    assert can(store, ROBOT, "patch", "xtrinodes", "any", group=GROUP)
    assert not can(store, User("system:serviceaccount:dev:robot"), "patch", "xtrinodes", "any", group=GROUP)


def test_paths_match_exactly_or_by_prefix(store):
    for user, path, expected in [
        (User("anonymous", groups=("system:unauthenticated",)), "/readyz", True),
        (User("anonymous", groups=("system:unauthenticated",)), "/readyz/log", False),
        (User("anonymous", groups=("system:unauthenticated",)), "/apis", False),
        (ALICE, "/apis/apps", True),
        (ALICE, "/metrics", False),
    ]:
        assert authorize(user, Attributes("get", path=path), store).allowed is expected, path


def test_a_label_adds_a_role_to_an_aggregated_one(store):
    bind(store, "admin", {"kind": "User", "name": "alice"}, "prod")
    assert can(store, ALICE, "create", "roles", "prod", group=rbac.GROUP)
    assert can(store, ALICE, "get", "configmaps", "prod"), "admin takes edit, which takes view"
    assert not can(store, ALICE, "get", "xtrinodes", "prod", group=GROUP)
    label = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    add(store, "ClusterRole", "xtrinode-view", labels=label, rules=[rule(["get"], ["xtrinodes"], [GROUP])])
    assert can(store, ALICE, "get", "xtrinodes", "prod", group=GROUP)


def test_roles_that_aggregate_each_other_end(store):
    for name, other in (("a", "b"), ("b", "a")):
        selector = {"clusterRoleSelectors": [{"matchLabels": {"to": name}}]}
        add(store, "ClusterRole", name, labels={"to": other}, aggregationRule=selector)
    bind(store, "a", {"kind": "User", "name": "alice"})
    assert not can(store, ALICE, "get", "pods")


def test_a_binding_to_a_missing_role_grants_nothing(store):
    bind(store, "ghost", {"kind": "User", "name": "alice"})
    assert not can(store, ALICE, "get", "pods")


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (
            Attributes("list", GROUP, "xtrinodes", namespace="prod"),
            'xtrinodes.analytics.xtrinode.io is forbidden: User "alice" cannot list resource "xtrinodes" '
            'in API group "analytics.xtrinode.io" in the namespace "prod"',
        ),
        (
            Attributes("get", "", "pods", "log", "prod", "p"),
            'pods "p" is forbidden: User "alice" cannot get resource "pods/log" '
            'in API group "" in the namespace "prod"',
        ),
        (
            Attributes("get", "", "nodes"),
            'nodes is forbidden: User "alice" cannot get resource "nodes" in API group "" at the cluster scope',
        ),
        (Attributes("get", path="/metrics"), 'forbidden: User "alice" cannot get path "/metrics"'),
    ],
)
def test_refusals_are_worded_as_on_a_cluster(attributes, expected):
    refusal = rbac.denial(ALICE, attributes)
    assert (refusal.code, refusal.reason, refusal.message) == (403, "Forbidden", expected)


class TestReviews:
    def ask(self, store, user="alice", **resource):
        body = {"spec": {"user": user, "groups": ["dev"], "resourceAttributes": resource}}
        return reviews.subject_access_review(body, store)["status"]

    def test_the_answer_names_the_binding(self, store):
        bind(store, "view", {"kind": "Group", "name": "dev"}, "prod")
        status = self.ask(store, verb="get", resource="pods", namespace="prod")
        assert status["allowed"] is True
        assert status["reason"] == (
            'RBAC: allowed by RoleBinding "view-bound/prod" of ClusterRole "view" to Group "dev"'
        )
        assert self.ask(store, verb="get", resource="secrets", namespace="prod") == {"allowed": False}

    @pytest.mark.parametrize(
        "spec",
        [
            {},
            {"user": "a"},
            {"user": "a", "resourceAttributes": {}, "nonResourceAttributes": {}},
            {"resourceAttributes": {"verb": "get"}},
        ],
    )
    def test_an_incomplete_question_is_refused(self, store, spec):
        with pytest.raises(StatusError) as refused:
            reviews.subject_access_review({"spec": spec}, store)
        assert refused.value.code == 422

    def test_a_local_review_stays_in_its_namespace(self, store):
        body = {"spec": {"user": "a", "resourceAttributes": {"namespace": "other", "verb": "get"}}}
        with pytest.raises(StatusError):
            reviews.subject_access_review(body, store, namespace="prod")

    def test_self_reviews_are_about_the_caller(self, store):
        bind(store, "view", {"kind": "Group", "name": "dev"}, "prod")
        body = {"spec": {"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "prod"}}}
        assert reviews.self_subject_access_review(body, ALICE, store)["status"]["allowed"] is True
        assert reviews.self_subject_access_review(body, ROBOT, store)["status"]["allowed"] is False
        assert reviews.self_subject_review(ALICE)["status"]["userInfo"]["username"] == "alice"

    def test_a_rules_review_lists_what_holds(self, store):
        bind(store, "view", {"kind": "Group", "name": "dev"}, "prod")
        body = {"spec": {"namespace": "prod"}}
        status = reviews.self_subject_rules_review(body, ALICE, store)["status"]
        assert any("pods" in each["resources"] for each in status["resourceRules"])
        assert any("/apis/*" in each["nonResourceURLs"] for each in status["nonResourceRules"])
        elsewhere = reviews.self_subject_rules_review({"spec": {"namespace": "dev"}}, ALICE, store)["status"]
        assert not any("pods" in each["resources"] for each in elsewhere["resourceRules"])
