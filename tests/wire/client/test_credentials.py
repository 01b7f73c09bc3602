"""Logging in for real: over TLS, with tokens that rotate and plugins that fail; what we read ourselves, kr8s reads so.

Each test writes a kubeconfig or a service account folder, connects, and looks at what arrives at the server.
"""

import datetime
import ipaddress
import json
import logging
import ssl
import stat
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from crds.client import ConfigError, KubeClient, RetryPolicy, Unauthorized, Unavailable, logins
from crds.client import kubeconfig as kubeconfigs
from crds.client.credentials import Credentials, Identity, environment_proxy, load, read_token
from crds.client.resources import PODS
from tests.support.fake_api import Answer, FakeApi, Seen, obj

POD = "/api/v1/namespaces/ns/pods/a"


@dataclass(frozen=True)
class Leaf:
    certificate: bytes
    key: bytes


class Authority:
    """As plain as many clusters': no key identifiers, which Python 3.13 would ask for if it was left to itself."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
        builder = self._builder(self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.pem = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def leaf(self, name: str, usage: x509.ObjectIdentifier) -> Leaf:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names: list[x509.GeneralName] = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        if "only" in name:
            names.pop()
        certificate = (
            self._builder(subject, key.public_key())
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return Leaf(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )

    def server_context(self, name: str = "localhost") -> ssl.SSLContext:
        leaf = self.leaf(name, ExtendedKeyUsageOID.SERVER_AUTH)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_verify_locations(cadata=self.pem.decode())
        context.verify_mode = ssl.CERT_OPTIONAL
        with tempfile.TemporaryDirectory() as folder:
            chain, key = Path(folder) / "c", Path(folder) / "k"
            chain.write_bytes(leaf.certificate)
            key.write_bytes(leaf.key)
            context.load_cert_chain(chain, key)
        return context

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
        )


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(autouse=True)
def no_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No kubeconfig and no proxy of whoever runs the tests; temporary files where we can count them."""
    for name in ("KUBECONFIG", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


@pytest.fixture
async def api(authority: Authority) -> AsyncIterator[FakeApi]:
    async with FakeApi(authority.server_context()) as api:
        api.on("GET", POD, Answer(json=obj("a", "1")))
        yield api


def write_kubeconfig(path: Path, server: str, user: dict[str, Any], **cluster: Any) -> str:
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "here",
                "contexts": [
                    {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "ns-here"}},
                    {"name": "there", "context": {"cluster": "c", "user": "u", "namespace": "ns-there"}},
                ],
                "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
                "users": [{"name": "u", "user": user}],
            }
        )
    )
    return str(path)


def b64(raw: bytes) -> str:
    return b64encode(raw).decode()


def plugin(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def exec_user(command: str, **more: Any) -> dict[str, Any]:
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": command, **more}}


async def test_a_token_over_tls_with_the_ca_of_the_kubeconfig(
    api: FakeApi, authority: Authority, tmp_path: Path
) -> None:
    path = write_kubeconfig(
        tmp_path / "c", api.url, {"token": "t1"}, **{"certificate-authority-data": b64(authority.pem)}
    )
    async with await KubeClient.connect(path) as client:
        assert client.namespace == "ns-here"
        assert client.context == "here"
        assert client.server == api.url
        await client.get(PODS, "a", "ns")
    assert api.requests[0].headers["Authorization"] == "Bearer t1"
    assert list((tmp_path / "tmp").iterdir()) == []


async def test_the_namespace_is_that_of_the_context_asked_for(api: FakeApi, tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "c", api.url, {"token": "t1"})
    async with await KubeClient.connect(path, "there") as client:
        assert client.namespace == "ns-there"


async def test_connecting_makes_no_call(api: FakeApi, tmp_path: Path) -> None:
    async with await KubeClient.connect(write_kubeconfig(tmp_path / "c", api.url, {"token": "t1"})):
        assert api.requests == []


async def test_the_environment_names_the_kubeconfig(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", write_kubeconfig(tmp_path / "c", api.url, {"token": "t1"}))
    async with await KubeClient.connect() as client:
        assert client.server == api.url


async def test_a_client_certificate_from_data_leaves_no_key_behind(authority: Authority, tmp_path: Path) -> None:
    context = authority.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    leaf = authority.leaf("me", ExtendedKeyUsageOID.CLIENT_AUTH)
    user = {"client-certificate-data": b64(leaf.certificate), "client-key-data": b64(leaf.key)}
    async with FakeApi(context) as api:
        api.on("GET", POD, Answer(json=obj("a", "1")))
        path = write_kubeconfig(tmp_path / "c", api.url, user, **{"certificate-authority-data": b64(authority.pem)})
        async with await KubeClient.connect(path) as client:
            await client.get(PODS, "a", "ns")
    assert "Authorization" not in api.requests[0].headers
    assert list((tmp_path / "tmp").iterdir()) == []


async def test_files_beside_the_kubeconfig(
    api: FakeApi, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    (tmp_path / "token").write_text("from-file\n")
    path = write_kubeconfig(tmp_path / "c", api.url, {"tokenFile": "token"}, **{"certificate-authority": "ca.pem"})
    monkeypatch.chdir("/")
    async with await KubeClient.connect(path) as client:
        await client.get(PODS, "a", "ns")
    assert api.requests[0].headers["Authorization"] == "Bearer from-file"


async def test_a_server_of_another_ca_is_refused(api: FakeApi, tmp_path: Path) -> None:
    other = b64(Authority().pem)
    path = write_kubeconfig(tmp_path / "c", api.url, {"token": "t1"}, **{"certificate-authority-data": other})
    async with await KubeClient.connect(path, retry=RetryPolicy(attempts=1)) as client:
        with pytest.raises(Unavailable, match="TLS") as error:
            await client.get(PODS, "a", "ns")
    assert error.value.reason == "CertificateRefused"
    assert api.requests == []


async def test_a_client_certificate_without_a_ca_still_verifies_the_server(
    api: FakeApi, authority: Authority, tmp_path: Path
) -> None:
    leaf = authority.leaf("me", ExtendedKeyUsageOID.CLIENT_AUTH)
    user = {"client-certificate-data": b64(leaf.certificate), "client-key-data": b64(leaf.key)}
    credentials = await load(write_kubeconfig(tmp_path / "c", api.url, user))
    context = credentials.identity.tls
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    expected = ssl.create_default_context().cert_store_stats()
    assert context.cert_store_stats() == expected


async def test_the_name_to_verify_may_be_given(authority: Authority, tmp_path: Path) -> None:
    async with FakeApi(authority.server_context("only.example")) as api:
        api.on("GET", POD, Answer(json=obj("a", "1")))
        ca = {"certificate-authority-data": b64(authority.pem)}
        once = RetryPolicy(attempts=1)
        bare = write_kubeconfig(tmp_path / "1", api.url, {"token": "t"}, **ca)
        async with await KubeClient.connect(bare, retry=once) as client:
            with pytest.raises(Unavailable):
                await client.get(PODS, "a", "ns")
        named = write_kubeconfig(tmp_path / "2", api.url, {"token": "t"}, **ca, **{"tls-server-name": "only.example"})
        async with await KubeClient.connect(named, retry=once) as client:
            await client.get(PODS, "a", "ns")


# What lies in the kubeconfig itself


def stored_users(authority: Authority) -> list[dict[str, Any]]:
    leaf = authority.leaf("me", ExtendedKeyUsageOID.CLIENT_AUTH)
    pair = {"client-certificate-data": b64(leaf.certificate), "client-key-data": b64(leaf.key)}
    plain = {"client-certificate-data": leaf.certificate.decode(), "client-key-data": leaf.key.decode()}
    return [{}, {"token": "t1"}, {"token": ""}, pair, plain, {"token": "t1", **pair}]


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("cluster", ["system", "authority", "unverified", "both"])
async def test_what_is_stored_is_read_as_kr8s_reads_it(
    authority: Authority, tmp_path: Path, number: int, cluster: str
) -> None:
    entry: dict[str, Any] = {}
    if cluster in ("authority", "both"):
        entry["certificate-authority-data"] = b64(authority.pem)
    if cluster in ("unverified", "both"):
        entry["insecure-skip-tls-verify"] = True
    path = write_kubeconfig(tmp_path / "c", "https://127.0.0.1:1", stored_users(authority)[number], **entry)
    chosen = kubeconfigs.load((Path(path),))
    ours, theirs = await logins.of_context(chosen, "here"), await logins.by_kr8s(chosen, "here")
    assert (ours.token or None) == (theirs.token or None)
    assert ours.client_certificate == theirs.client_certificate
    assert described(ours.tls) == described(theirs.tls)
    assert list((tmp_path / "tmp").iterdir()) == []


def described(tls: ssl.SSLContext | bool) -> Any:
    if isinstance(tls, bool):
        return tls
    return tls.verify_mode, tls.check_hostname, tls.protocol, sorted(tls.get_ca_certs(binary_form=True))


async def test_a_locked_key_is_an_error_and_no_question(authority: Authority, tmp_path: Path) -> None:
    leaf = authority.leaf("me", ExtendedKeyUsageOID.CLIENT_AUTH)
    locked = serialization.load_pem_private_key(leaf.key, None).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"p")
    )
    user = {"client-certificate-data": b64(leaf.certificate), "client-key-data": b64(locked)}
    with pytest.raises(ConfigError, match="certificate, key or CA does not load"):
        await load(write_kubeconfig(tmp_path / "c", "https://127.0.0.1:1", user))


# Exec plugins


async def test_an_exec_plugin_gives_the_token_and_is_told_the_cluster(api: FakeApi, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    command = plugin(
        tmp_path / "login",
        f'printf "%s" "$KUBERNETES_EXEC_INFO" > {seen}\n'
        """echo '{"kind":"ExecCredential","status":{"token":"from-plugin"}}'""",
    )
    user = exec_user(command, provideClusterInfo=True, env=[{"name": "A", "value": "b"}])
    credentials = await load(write_kubeconfig(tmp_path / "c", api.url, user))
    assert credentials.authorization(0.0) == "Bearer from-plugin"
    info = json.loads(seen.read_text())
    assert info["apiVersion"] == "client.authentication.k8s.io/v1"
    assert info["spec"] == {"interactive": False, "cluster": {"server": api.url}}


async def test_a_refused_plugin_token_runs_the_plugin_again(api: FakeApi, authority: Authority, tmp_path: Path) -> None:
    count = tmp_path / "count"
    command = plugin(
        tmp_path / "login",
        f"""echo x >> {count}; n=$(wc -l < {count}); echo "{{\\"status\\":{{\\"token\\":\\"t$n\\"}}}}" | tr -d ' '""",
    )

    def judge(seen: Seen) -> Answer:
        return Answer(json=obj("a", "1")) if seen.headers["Authorization"] == "Bearer t2" else Answer(401)

    api.on("GET", POD, judge)
    ca = {"certificate-authority-data": b64(authority.pem)}
    async with await KubeClient.connect(write_kubeconfig(tmp_path / "c", api.url, exec_user(command), **ca)) as client:
        await client.get(PODS, "a", "ns")
        await client.get(PODS, "a", "ns")
    assert [seen.headers["Authorization"] for seen in api.requests] == ["Bearer t1", "Bearer t2", "Bearer t2"]
    assert count.read_text().count("x") == 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("echo no such account >&2; exit 3", "no such account.*run it by hand"),
        ("echo not json", "its answer is no ExecCredential"),
        ("echo '{}'", "its answer is no ExecCredential"),
        ("""echo '{"status":{}}'""", "its answer is no ExecCredential"),
    ],
)
async def test_a_plugin_that_fails_says_so(tmp_path: Path, body: str, message: str) -> None:
    command = plugin(tmp_path / "login", body)
    with pytest.raises(ConfigError, match=message):
        await load(write_kubeconfig(tmp_path / "c", "https://127.0.0.1:1", exec_user(command)))


async def test_a_missing_plugin_says_how_to_get_it(tmp_path: Path) -> None:
    user = exec_user("no-such-login-program", installHint="pip install login")
    with pytest.raises(ConfigError, match=r"needs the program no-such-login-program.*pip install login"):
        await load(write_kubeconfig(tmp_path / "c", "https://127.0.0.1:1", user))


@pytest.mark.parametrize(
    ("user", "cluster"),
    [
        ({"username": "u", "password": "hunter2"}, {}),
        ({"auth-provider": {"name": "gcp"}}, {}),
        ({"client-certificate-data": "!!!", "client-key-data": "hunter2"}, {}),
        ({"token": "t"}, {"certificate-authority-data": b64(b"no certificate")}),
        ({"token": "t"}, {"certificate-authority": "missing.pem"}),
        ({"client-certificate": "missing.pem", "client-key": "missing.pem"}, {}),
        ({"client-certificate-data": "b", "client-key-data": b64(b"hunter2")}, {}),
        ({"tokenFile": "missing"}, {}),
    ],
)
async def test_credentials_that_do_not_load_say_where(
    tmp_path: Path, user: dict[str, Any], cluster: dict[str, Any]
) -> None:
    path = write_kubeconfig(tmp_path / "c", "https://127.0.0.1:1", user, **cluster)
    with pytest.raises(ConfigError, match=r"context 'here' of .*/c") as error:
        await load(path)
    assert "hunter2" not in str(error.value)
    assert list((tmp_path / "tmp").iterdir()) == []


# In a pod


def service_account(folder: Path, authority: Authority, token: str = "projected") -> str:
    folder.mkdir()
    (folder / "token").write_text(token)
    (folder / "namespace").write_text("team-a\n")
    (folder / "ca.crt").write_bytes(authority.pem)
    return str(folder)


async def test_a_pod_uses_its_service_account(
    api: FakeApi, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = service_account(tmp_path / "sa", authority)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(api.port))
    async with KubeClient(await load(service_account=folder)) as client:
        assert client.namespace == "team-a"
        await client.get(PODS, "a", "ns")
    assert api.requests[0].headers["Authorization"] == "Bearer projected"


async def test_a_projected_token_is_read_again_every_minute(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(service_account(tmp_path / "sa", authority, "one"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    credentials = await load(service_account=str(folder))
    assert credentials.authorization(0.0) == "Bearer one"
    (folder / "token").write_text("two")
    assert credentials.authorization(59.0) == "Bearer one"
    assert credentials.authorization(60.0) == "Bearer two"
    (folder / "token").unlink()
    with caplog.at_level(logging.WARNING):
        assert credentials.authorization(120.0) == "Bearer two"
    assert "stays in use" in caplog.text
    assert "two" not in caplog.text


async def test_a_refused_projected_token_is_read_at_once(
    api: FakeApi, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(service_account(tmp_path / "sa", authority, "one"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(api.port))
    api.on("GET", POD, Answer(json=obj("a", "1")), Answer(401), Answer(json=obj("a", "1")))
    async with KubeClient(await load(service_account=str(folder))) as client:
        await client.get(PODS, "a", "ns")
        (folder / "token").write_text("two")
        await client.get(PODS, "a", "ns")
    assert [seen.headers["Authorization"] for seen in api.requests] == ["Bearer one", "Bearer one", "Bearer two"]


async def test_a_pod_without_service_variables_says_so(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigError, match="KUBERNETES_SERVICE_HOST is not set"):
        await load(service_account=service_account(tmp_path / "sa", authority))


async def test_nowhere_to_log_in_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--kubeconfig FILE"):
        await load(service_account=str(tmp_path / "none"))


# Refreshing


async def test_logging_in_again_that_fails_keeps_the_old_identity(caplog: pytest.LogCaptureFixture) -> None:
    async def again() -> Identity:
        raise ConfigError("the file is gone")

    credentials = Credentials(Identity("http://x", token="t"), again)
    assert not await credentials.refresh(credentials.generation)
    assert credentials.authorization(0.0) == "Bearer t"
    assert "the file is gone" in caplog.text


async def test_a_login_that_another_call_made_counts(api: FakeApi) -> None:
    async def again() -> Identity:
        return Identity("http://x", token="new")

    credentials = Credentials(Identity("http://x", token="old"), again)
    assert await credentials.refresh(0)
    assert await credentials.refresh(0)
    assert not await credentials.refresh(credentials.generation)


@pytest.mark.parametrize("raw", [b"", b" \n", b"a b", "tökén".encode(), b"a\nb", b"\x00"])
def test_bytes_that_no_header_may_hold_are_no_token(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "t").write_bytes(raw)
    assert read_token(str(tmp_path / "t")) is None


def test_secrets_stay_out_of_reprs() -> None:
    assert "hunter2" not in repr(Identity("http://x", token="hunter2"))


def test_this_machine_needs_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", ".internal")
    assert environment_proxy("https://127.0.0.1:6443") is None
    assert environment_proxy("https://localhost:6443") is None
    assert environment_proxy("https://[::1]:6443") is None
    assert environment_proxy("https://api.internal:6443") is None
    assert environment_proxy("https://api.example:6443") == "http://proxy:3128"


async def test_an_unauthenticated_fixed_client_is_final(api: FakeApi, authority: Authority) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority.pem.decode())
    api.on("GET", POD, Answer(401))
    async with KubeClient(Credentials.fixed(api.url, tls=context)) as client:
        with pytest.raises(Unauthorized):
            await client.get(PODS, "a", "ns")
    assert len(api.requests) == 1


def test_the_kr8s_whose_private_parts_we_use_is_pinned() -> None:
    pins = [line for line in requires("xtrinode") or [] if line.startswith("kr8s")]
    assert any("<0.21" in line for line in pins)
    assert version("kr8s").startswith("0.20.")
