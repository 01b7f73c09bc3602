"""The webhook's own certificate: a CA and a leaf in a Secret, made when absent, renewed in time, shared by replicas.

`plan` decides from what the Secret holds, the names to serve and the time; `Certificates` reads, writes (a conflict
means that another replica was faster: its word counts) and loads the leaf into the live TLS context. The bundle that
clients trust holds the former CA too while certificates it signed may still be served.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import ipaddress
import logging
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from crds.client import AlreadyExists, Conflict, KubeClient, NotFound
from crds.client.resources import SECRETS

_LOG = logging.getLogger(__name__)
CA_LIFE = datetime.timedelta(days=5 * 365)
LEAF_LIFE = datetime.timedelta(days=90)
_SLACK = datetime.timedelta(minutes=5)  # clocks of API servers may be behind


@dataclass(frozen=True, slots=True)
class Bundle:
    """PEM texts. `trusted` is every CA that clients shall accept, newest first."""

    ca_key: bytes
    trusted: bytes
    certificate: bytes
    key: bytes

    @property
    def ca(self) -> x509.Certificate:
        return x509.load_pem_x509_certificates(self.trusted)[0]

    @property
    def leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate)

    def to_data(self) -> dict[str, str]:
        """The Secret's data."""
        parts = {"ca.key": self.ca_key, "ca.crt": self.trusted, "tls.crt": self.certificate, "tls.key": self.key}
        return {name: base64.b64encode(value).decode() for name, value in parts.items()}


def read_bundle(data: dict[str, Any]) -> Bundle | None:
    """The bundle in a Secret's data; None when something is missing or unreadable: it is then made anew."""
    try:
        parts = [base64.b64decode(data[name]) for name in ("ca.key", "ca.crt", "tls.crt", "tls.key")]
        bundle = Bundle(*parts)
        matching = (
            _private_key(bundle.ca_key).public_key() == bundle.ca.public_key(),
            _private_key(bundle.key).public_key() == bundle.leaf.public_key(),
        )
        bundle.leaf.verify_directly_issued_by(bundle.ca)
    except Exception:  # cryptography raises many kinds; each means the same here
        return None
    return bundle if all(matching) else None


def plan(current: Bundle | None, names: tuple[str, ...], now: datetime.datetime) -> Bundle:
    """The bundle to use from now on: `current` itself while it is good, else one with what is due made anew."""
    if current is None or _due(current.ca, now):
        return _new_ca(names, now, current)
    if _due(current.leaf, now) or _names_of(current.leaf) != set(names):
        certificate, key = _issue(current.ca, _private_key(current.ca_key), names, now)
        return Bundle(current.ca_key, current.trusted, certificate, key)
    return current


def _due(certificate: x509.Certificate, now: datetime.datetime) -> bool:
    """Two thirds of its life are over."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now >= start + (end - start) * 2 / 3


def _new_ca(names: tuple[str, ...], now: datetime.datetime, former: Bundle | None) -> Bundle:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "xtrinode-webhook-ca")])
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    ca = (
        _builder(subject, subject, key.public_key(), now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    trusted = ca.public_bytes(serialization.Encoding.PEM)
    if former is not None and former.ca.not_valid_after_utc > now:
        trusted += former.ca.public_bytes(serialization.Encoding.PEM)
    certificate, leaf_key = _issue(ca, key, names, now)
    return Bundle(_pem(key), trusted, certificate, leaf_key)


def _issue(
    ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, names: tuple[str, ...], now: datetime.datetime
) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    certificate = (
        _builder(subject, ca.subject, key.public_key(), now, LEAF_LIFE)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), _pem(key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    life: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SLACK)
        .not_valid_after(now + life)
    )


def _general_name(name: str) -> x509.GeneralName:
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)


def _names_of(certificate: x509.Certificate) -> set[str]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return {str(name.value) for name in extension.value}


def _private_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an elliptic curve key")
    return key


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class Certificates:
    """The certificate of one replica, backed by the Secret `namespace/name` that all replicas share."""

    def __init__(self, client: KubeClient, *, namespace: str, name: str, names: tuple[str, ...]) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._names = names
        self._loaded: Bundle | None = None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2

    @property
    def trusted(self) -> bytes:
        """The CA bundle that clients need, in PEM; empty before the first `refresh`."""
        return self._loaded.trusted if self._loaded else b""

    @property
    def not_after(self) -> datetime.datetime | None:
        """When the served certificate ends."""
        return self._loaded.leaf.not_valid_after_utc if self._loaded else None

    async def refresh(self, now: datetime.datetime) -> bool:
        """Make Secret and live context good at `now`; True when the served certificate or the bundle changed."""
        bundle = await self._agree(now)
        if bundle == self._loaded:
            return False
        self._load(bundle)
        _LOG.info("serving a certificate for %s until %s", ", ".join(self._names), bundle.leaf.not_valid_after_utc)
        return True

    async def _agree(self, now: datetime.datetime) -> Bundle:
        for _ in range(5):
            try:
                secret = await self._client.get(SECRETS, self._name, self._namespace)
            except NotFound:
                secret = None
            current = read_bundle(secret.get("data") or {}) if secret else None
            bundle = plan(current, self._names, now)
            if bundle is current:
                return bundle
            try:
                await self._write(bundle, secret)
            except (Conflict, AlreadyExists):
                continue  # another replica was faster
            return bundle
        raise RuntimeError(f"Secret {self._namespace}/{self._name} keeps changing while its certificate is renewed")

    async def _write(self, bundle: Bundle, current: dict[str, Any] | None) -> None:
        metadata: dict[str, Any] = {"name": self._name, "namespace": self._namespace}
        if current is not None:
            metadata = {**current["metadata"]}
            metadata.pop("managedFields", None)
        body = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": bundle.to_data()}
        if current is None:
            await self._client.create(SECRETS, body, self._namespace)
        else:
            await self._client.replace(SECRETS, body)

    def _load(self, bundle: Bundle) -> None:
        with tempfile.TemporaryDirectory(prefix="xtrinode-webhook-") as directory:
            certificate, key = Path(directory, "tls.crt"), Path(directory, "tls.key")
            certificate.write_bytes(bundle.certificate)
            key.touch(0o600)
            key.write_bytes(bundle.key)
            self.context.load_cert_chain(certificate, key)
        self._loaded = bundle
