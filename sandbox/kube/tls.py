"""Certificates, secret files and kubeconfigs of the embedded API server.

The server asks `load_credentials` for everything that must outlive a restart: the certificate
authority, the leaf certificate it serves, the administrator's token and the key that signs
ServiceAccount tokens. What is in the data directory is reused, so a kubeconfig written by an earlier
run stays valid; a leaf that is about to expire, or that lacks a name, is issued again under the same
authority.

Files are written atomically and only their owner may read them. The module does not listen, does not
know about HTTP, and never logs what it holds.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import secrets
import ssl
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFETIME = timedelta(days=10 * 365)
LEAF_LIFETIME = timedelta(days=365)
LEAF_RENEW_BEFORE = timedelta(days=60)
# Certificates are valid from a little before `now`, because the clocks of two machines differ.
CLOCK_SKEW = timedelta(hours=1)

DEFAULT_HOSTS = (
    "127.0.0.1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


class BadCredentials(Exception):
    """A file in the data directory that should hold a key or certificate does not."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the server proves itself with. The secrets are kept out of `repr`."""

    ca_pem: bytes
    cert_file: Path
    key_file: Path = field(repr=False)
    admin_token: str = field(repr=False)
    service_account_key: bytes = field(repr=False)
    """PEM of the P-256 private key that signs ServiceAccount tokens."""


def load_credentials(
    data_dir: Path, *, now: datetime | None = None, hosts: tuple[str, ...] = DEFAULT_HOSTS
) -> Credentials:
    """The credentials kept in `data_dir`, made on the first call."""
    now = now or datetime.now(UTC)
    folder = data_dir / "pki"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    ca_key = _load_key(folder / "ca.key")
    ca_pem = _ca_certificate(folder / "ca.crt", ca_key, now)
    _leaf(folder, ca_key, ca_pem, hosts, now)
    service_account_key = folder / "service-account.key"
    _load_key(service_account_key)
    return Credentials(
        ca_pem=ca_pem,
        cert_file=folder / "apiserver.crt",
        key_file=folder / "apiserver.key",
        admin_token=_load_token(folder / "admin.token"),
        service_account_key=service_account_key.read_bytes(),
    )


def server_context(credentials: Credentials) -> ssl.SSLContext:
    """The TLS context the API server listens with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(credentials.cert_file, credentials.key_file)
    return context


def client_context(ca_pem: bytes | str) -> ssl.SSLContext:
    """A context that trusts exactly `ca_pem` (a webhook's caBundle, a kubeconfig's authority)."""
    text = ca_pem.decode("ascii") if isinstance(ca_pem, bytes) else ca_pem
    # Not the default context: since Python 3.13 it refuses authorities that kube-apiserver takes.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=text)
    return context


def kubeconfig(
    url: str, ca_pem: bytes, token: str, *, cluster: str = "xtrinode-sandbox", user: str = "admin"
) -> dict[str, object]:
    """A kubeconfig with one cluster, one user and one context, as a document."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": cluster,
                "cluster": {
                    "server": url,
                    "certificate-authority-data": base64.b64encode(ca_pem).decode("ascii"),
                },
            }
        ],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": user, "namespace": "default"}}],
        "current-context": cluster,
        "preferences": {},
    }


def write_kubeconfig(path: Path, url: str, ca_pem: bytes, token: str, *, user: str = "admin") -> None:
    """Writes a kubeconfig that only its owner may read; readers see the old file or the new one."""
    document = kubeconfig(url, ca_pem, token, user=user)
    write_private(path, yaml.safe_dump(document, sort_keys=False).encode("utf-8"))


def write_private(path: Path, data: bytes) -> None:
    """Replaces `path` atomically with a file of mode 0600."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp creates with 0600, so the secret is never readable by others, not even for a moment.
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def issue_leaf(
    ca_pem: bytes,
    ca_key: ec.EllipticCurvePrivateKey,
    hosts: tuple[str, ...],
    *,
    now: datetime,
    lifetime: timedelta = LEAF_LIFETIME,
) -> tuple[bytes, bytes]:
    """A serving certificate for `hosts` (DNS names and IP addresses): (certificate PEM, key PEM)."""
    authority = x509.load_pem_x509_certificate(ca_pem)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(hosts[0], authority.subject, key, now, lifetime)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), _private_pem(key)


def issue_authority(name: str, key: ec.EllipticCurvePrivateKey, *, now: datetime) -> bytes:
    """A self-signed certificate authority, as PEM."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        _builder(name, subject, key, now, CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _builder(
    name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lifetime)
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    if not path.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        write_private(path, _private_pem(key))
        return key
    try:
        loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except ValueError as error:
        raise BadCredentials(f"{path} holds no private key: delete it to have a new one made") from error
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise BadCredentials(f"{path} is not an elliptic-curve key: delete it to have a new one made")
    return loaded


def _load_certificate(path: Path) -> x509.Certificate | None:
    if not path.exists():
        return None
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as error:
        raise BadCredentials(f"{path} holds no certificate: delete it to have a new one made") from error


def _ca_certificate(path: Path, key: ec.EllipticCurvePrivateKey, now: datetime) -> bytes:
    certificate = _load_certificate(path)
    if (
        certificate is None
        or certificate.not_valid_after_utc <= now + LEAF_LIFETIME
        or certificate.public_key() != key.public_key()
    ):
        write_private(path, issue_authority("xtrinode-sandbox-ca", key, now=now))
    return path.read_bytes()


def _leaf(
    folder: Path, ca_key: ec.EllipticCurvePrivateKey, ca_pem: bytes, hosts: tuple[str, ...], now: datetime
) -> None:
    certificate_file, key_file = folder / "apiserver.crt", folder / "apiserver.key"
    certificate = _load_certificate(certificate_file)
    if certificate is not None and key_file.exists() and _still_good(certificate, ca_key, hosts, now):
        key = _load_key(key_file)
        if key.public_key() == certificate.public_key():
            return
    chain, key_pem = issue_leaf(ca_pem, ca_key, hosts, now=now)
    # The key first: a crash in between leaves a pair that does not match, which the next start replaces.
    write_private(key_file, key_pem)
    write_private(certificate_file, chain)


def _still_good(
    certificate: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, hosts: tuple[str, ...], now: datetime
) -> bool:
    if certificate.not_valid_after_utc - now < LEAF_RENEW_BEFORE or certificate.not_valid_before_utc > now:
        return False
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    issuer = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    wanted = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return issuer == wanted and all(_general_name(host) in list(names) for host in hosts)


def _load_token(path: Path) -> str:
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32).encode("ascii"))
    token = path.read_text("ascii").strip()
    if not token:
        raise BadCredentials(f"{path} is empty: delete it to have a new token made")
    return token
