"""Certificates, tokens and kubeconfigs survive restarts and are readable by their owner only."""

import asyncio
import base64
import ssl
import stat
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from cryptography import x509

from sandbox.kube import tls

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_everything_is_reused_on_the_second_start(tmp_path):
    first = tls.load_credentials(tmp_path, now=NOW)
    leaf = first.cert_file.read_bytes()
    assert tls.load_credentials(tmp_path, now=NOW + timedelta(days=1)) == first
    assert first.cert_file.read_bytes() == leaf


def test_an_expiring_leaf_is_renewed_under_the_same_authority(tmp_path):
    first = tls.load_credentials(tmp_path, now=NOW)
    leaf = first.cert_file.read_bytes()
    second = tls.load_credentials(tmp_path, now=NOW + tls.LEAF_LIFETIME)
    assert second.ca_pem == first.ca_pem and second.admin_token == first.admin_token
    assert second.cert_file.read_bytes() != leaf


def test_a_leaf_without_a_wanted_name_is_issued_again(tmp_path):
    first = tls.load_credentials(tmp_path, now=NOW)
    tls.load_credentials(tmp_path, now=NOW, hosts=(*tls.DEFAULT_HOSTS, "api.example"))
    certificate = x509.load_pem_x509_certificate(first.cert_file.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "api.example" in names.get_values_for_type(x509.DNSName)


def test_a_crash_between_key_and_certificate_is_mended(tmp_path):
    first = tls.load_credentials(tmp_path, now=NOW)
    other = tls.load_credentials(tmp_path / "other", now=NOW)
    first.key_file.write_bytes(other.key_file.read_bytes())
    tls.server_context(tls.load_credentials(tmp_path, now=NOW))


@pytest.mark.parametrize("name", ["ca.key", "ca.crt", "apiserver.crt", "service-account.key"])
def test_a_damaged_file_is_named(tmp_path, name):
    tls.load_credentials(tmp_path, now=NOW)
    (tmp_path / "pki" / name).write_bytes(b"garbage")
    with pytest.raises(tls.BadCredentials, match=name):
        tls.load_credentials(tmp_path, now=NOW)


def test_secrets_are_private_and_not_printed(tmp_path):
    credentials = tls.load_credentials(tmp_path, now=NOW)
    for file in (tmp_path / "pki").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert credentials.admin_token not in repr(credentials)
    assert "PRIVATE" not in repr(credentials)


def test_the_kubeconfig_is_private_and_replaced_atomically(tmp_path):
    credentials = tls.load_credentials(tmp_path, now=NOW)
    path = tmp_path / "deep" / "kubeconfig"
    path.parent.mkdir()
    path.write_text("old")
    path.chmod(0o644)
    tls.write_kubeconfig(path, "https://127.0.0.1:6443", credentials.ca_pem, credentials.admin_token)
    document = yaml.safe_load(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    cluster = document["clusters"][0]["cluster"]
    assert base64.b64decode(cluster["certificate-authority-data"]) == credentials.ca_pem
    assert document["users"][0]["user"] == {"token": credentials.admin_token}
    assert list(path.parent.iterdir()) == [path]


async def test_a_client_that_trusts_the_authority_can_connect(tmp_path):
    credentials = tls.load_credentials(tmp_path)

    async def serve(_reader, writer):
        writer.write(b"hello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls.server_context(credentials))
    port = server.sockets[0].getsockname()[1]
    async with server:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=tls.client_context(credentials.ca_pem), server_hostname="127.0.0.1"
        )
        assert await reader.read() == b"hello"
        writer.close()
        other = tls.load_credentials(tmp_path / "other")
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", port, ssl=tls.client_context(other.ca_pem))
