"""Tokens stand for users, ServiceAccounts must still exist, and nobody becomes another unasked."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kube import authn, tls
from sandbox.kube.errors import StatusError
from sandbox.kube.rbac import User
from sandbox.kube.store import GroupResource, Store

NOW = datetime(2030, 1, 1, tzinfo=UTC)
PODS = GroupResource("", "pods")


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    return tls.load_credentials(tmp_path_factory.mktemp("pki"), now=NOW)


@pytest.fixture
def store():
    store = Store()
    account = {"metadata": {"name": "robot", "namespace": "prod", "uid": "u1"}}
    store.create(authn.SERVICE_ACCOUNTS, "prod", "robot", account)
    store.create(PODS, "prod", "p", {"metadata": {"name": "p", "namespace": "prod", "uid": "pod1"}})
    return store


@pytest.fixture
def authenticator(credentials, store):
    return authn.Authenticator(
        admin_token=credentials.admin_token,
        service_account_key=credentials.service_account_key,
        store=store,
        static={"secret": User("alice", "7", ("dev", authn.AUTHENTICATED))},
    )


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_the_administrator_is_master(authenticator, credentials):
    user = authenticator.authenticate(bearer(credentials.admin_token), NOW)
    assert user.name == "admin" and "system:masters" in user.groups


def test_static_tokens_have_groups(authenticator):
    assert authenticator.authenticate(bearer("secret"), NOW).groups == ("dev", "system:authenticated")


def test_no_credentials_is_anonymous_and_wrong_ones_are_refused(authenticator):
    assert authenticator.authenticate({}, NOW) is authn.ANONYMOUS
    for headers in (bearer("wrong"), bearer(""), {"Authorization": "Basic YTpi"}):
        with pytest.raises(StatusError) as refused:
            authenticator.authenticate(headers, NOW)
        assert refused.value.code == 401 and "wrong" not in refused.value.message


def token_for(authenticator, **spec):
    answer = authenticator.token_request("prod", "robot", {"spec": spec}, NOW)
    return answer["status"]["token"]


class TestServiceAccounts:
    def test_a_requested_token_stands_for_the_account(self, authenticator):
        user = authenticator.authenticate(bearer(token_for(authenticator)), NOW)
        assert user.name == "system:serviceaccount:prod:robot" and user.uid == "u1"
        assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:prod", "system:authenticated")

    def test_it_expires(self, authenticator):
        token = token_for(authenticator, expirationSeconds=600)
        assert authenticator.user_of(token, NOW + timedelta(seconds=599))
        assert authenticator.user_of(token, NOW + timedelta(seconds=600)) is None

    def test_it_dies_with_the_account_even_if_one_of_that_name_returns(self, authenticator, store):
        token = token_for(authenticator)
        store.delete(authn.SERVICE_ACCOUNTS, store.get(authn.SERVICE_ACCOUNTS, "prod", "robot"))
        assert authenticator.user_of(token, NOW) is None
        again = {"metadata": {"name": "robot", "namespace": "prod", "uid": "u2"}}
        store.create(authn.SERVICE_ACCOUNTS, "prod", "robot", again)
        assert authenticator.user_of(token, NOW) is None

    def test_a_bound_token_dies_with_its_pod(self, authenticator, store):
        token = token_for(authenticator, boundObjectRef={"kind": "Pod", "name": "p"})
        assert authenticator.user_of(token, NOW)
        store.delete(PODS, store.get(PODS, "prod", "p"))
        assert authenticator.user_of(token, NOW) is None

    def test_another_audience_is_no_login(self, authenticator):
        token = token_for(authenticator, audiences=["vault"])
        assert authenticator.user_of(token, NOW) is None
        review = authenticator.token_review({"spec": {"token": token, "audiences": ["vault"]}}, NOW)
        assert review["status"]["authenticated"] is True and review["status"]["audiences"] == ["vault"]
        assert "token" not in review["spec"]

    def test_too_short_a_life_is_refused(self, authenticator):
        with pytest.raises(StatusError) as refused:
            token_for(authenticator, expirationSeconds=60)
        assert refused.value.code == 422 and "10 minutes" in refused.value.message

    def test_an_unknown_account_is_not_found(self, authenticator):
        with pytest.raises(StatusError) as refused:
            authenticator.token_request("prod", "nobody", {}, NOW)
        assert refused.value.code == 404

    def test_a_token_signed_by_somebody_else_is_refused(self, authenticator, tmp_path):
        other = tls.load_credentials(tmp_path, now=NOW)
        claims = jwt.decode(token_for(authenticator), options={"verify_signature": False})
        forged = jwt.encode(claims, other.service_account_key, algorithm="ES256")
        unsigned = jwt.encode(claims, None, algorithm="none")
        assert authenticator.user_of(forged, NOW) is None
        assert authenticator.user_of(unsigned, NOW) is None

    def test_a_review_of_a_wrong_token_is_an_answer_and_not_an_error(self, authenticator):
        status = authenticator.token_review({"spec": {"token": "x"}}, NOW)["status"]
        assert not status.get("authenticated")


class TestImpersonation:
    ROOT = User("admin", groups=("system:masters",))

    def become(self, *headers, may=lambda user, attributes: True):
        return authn.impersonated(self.ROOT, headers, may)

    def test_without_headers_the_user_stays(self):
        assert self.become(("Accept", "x")) is self.ROOT

    def test_groups_uid_and_extra_are_taken(self):
        user = self.become(
            ("Impersonate-User", "bob"),
            ("Impersonate-Group", "dev"),
            ("Impersonate-Group", "ops"),
            ("Impersonate-Extra-Scopes%2fA", "x"),
            ("Impersonate-Uid", "9"),
        )
        assert user == User("bob", "9", ("dev", "ops", "system:authenticated"), {"scopes/a": ("x",)})

    def test_a_service_account_brings_its_groups(self):
        user = self.become(("Impersonate-User", "system:serviceaccount:prod:robot"))
        assert "system:serviceaccounts:prod" in user.groups

    def test_each_part_needs_permission(self):
        asked = []

        def may(_user, attributes):
            asked.append((attributes.full_resource, attributes.name))
            return attributes.resource != "groups"

        with pytest.raises(StatusError) as refused:
            self.become(("Impersonate-User", "bob"), ("Impersonate-Group", "dev"), may=may)
        assert refused.value.code == 403
        assert refused.value.message == (
            'groups "dev" is forbidden: User "admin" cannot impersonate resource "groups" '
            'in API group "" at the cluster scope'
        )
        assert asked == [("users", "bob"), ("groups", "dev")]

    def test_a_group_alone_is_an_error(self):
        with pytest.raises(StatusError):
            self.become(("Impersonate-Group", "dev"))


def test_token_files_are_read_and_bad_lines_named(tmp_path):
    path = tmp_path / "tokens.csv"
    path.write_text('abc,alice,1,"dev, ops"\n\ndef,bob,2\n')
    users = authn.read_token_file(path)
    assert users["abc"] == User("alice", "1", ("dev", "ops", "system:authenticated"))
    assert users["def"].groups == ("system:authenticated",)
    path.write_text("abc,alice,1\njust-a-token\n")
    with pytest.raises(authn.BadTokenFile, match="line 2") as bad:
        authn.read_token_file(path)
    assert "just-a-token" not in str(bad.value)


@given(token=st.text(st.characters(), max_size=80))
def test_any_text_as_a_token_is_refused_quietly(credentials, token):
    authenticator = authn.Authenticator(
        admin_token=credentials.admin_token, service_account_key=credentials.service_account_key, store=Store()
    )
    assert authenticator.user_of(token, NOW) is None
