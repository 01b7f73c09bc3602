"""The certificate's life: made when absent, kept while good, renewed in time, trusted across a change of CA."""

from __future__ import annotations

import base64
import datetime

import pytest
from cryptography import x509

from webhook.certificates import CA_LIFE, LEAF_LIFE, Bundle, plan, read_bundle
from webhook.registration import Endpoint, configurations

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
NAMES = ("xtrinode-webhook.xtrinode-system.svc", "127.0.0.1")
FIRST = plan(None, NAMES, NOW)


def test_first_certificate_carries_the_names_and_its_ca_signs_it() -> None:
    names = FIRST.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(name.value) for name in names} == set(NAMES)
    FIRST.leaf.verify_directly_issued_by(FIRST.ca)


def test_good_certificate_is_kept() -> None:
    assert plan(FIRST, NAMES, NOW + LEAF_LIFE * 0.6) is FIRST


def test_leaf_is_renewed_after_two_thirds_under_the_same_ca() -> None:
    renewed = plan(FIRST, NAMES, NOW + LEAF_LIFE * 0.7)
    assert renewed.certificate != FIRST.certificate
    assert (renewed.ca_key, renewed.trusted) == (FIRST.ca_key, FIRST.trusted)


def test_other_names_mean_another_leaf() -> None:
    assert plan(FIRST, ("other.svc",), NOW).certificate != FIRST.certificate


def test_clients_trust_the_former_ca_until_it_ends() -> None:
    later = NOW + CA_LIFE * 0.7
    renewed = plan(FIRST, NAMES, later)
    trusted = x509.load_pem_x509_certificates(renewed.trusted)
    assert [ca.serial_number for ca in trusted][1:] == [FIRST.ca.serial_number]
    renewed.leaf.verify_directly_issued_by(trusted[0])


def test_bundle_survives_the_secret() -> None:
    assert read_bundle(FIRST.to_data()) == FIRST


@pytest.mark.parametrize("key", ["ca.key", "ca.crt", "tls.crt", "tls.key"])
@pytest.mark.parametrize("damage", ["missing", "garbage", "foreign"])
def test_damaged_secret_counts_as_none(key: str, damage: str) -> None:
    data = dict(FIRST.to_data())
    if damage == "missing":
        del data[key]
    elif damage == "garbage":
        data[key] = base64.b64encode(b"no pem").decode()
    else:
        data[key] = plan(None, NAMES, NOW).to_data()[key]
    assert read_bundle(data) is None


def test_secrets_stay_out_of_the_registration() -> None:
    endpoint = Endpoint("https://127.0.0.1:9443", "s", "n", 443)
    assert endpoint.names == ("127.0.0.1",)
    text = str(configurations(endpoint, FIRST.trusted, 5))
    assert base64.b64encode(FIRST.trusted).decode() in text
    assert base64.b64encode(FIRST.ca_key).decode() not in text


def test_registration_by_service_names_the_service() -> None:
    endpoint = Endpoint(None, "xtrinode-webhook", "xtrinode-system", 443)
    assert endpoint.names[0] == "xtrinode-webhook.xtrinode-system.svc"
    for configuration in configurations(endpoint, FIRST.trusted, 5):
        (webhook,) = configuration["webhooks"]
        assert webhook["failurePolicy"] == "Fail"
        assert webhook["clientConfig"]["service"]["name"] == "xtrinode-webhook"
        assert webhook["rules"][0]["operations"] == ["CREATE", "UPDATE"]


def test_bundle_is_a_value() -> None:
    assert Bundle(b"a", b"b", b"c", b"d") == Bundle(b"a", b"b", b"c", b"d")
