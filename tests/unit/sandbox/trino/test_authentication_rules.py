"""Who gets in: names on trust, passwords over secure requests only, files that are refused."""

from __future__ import annotations

import base64
import ctypes
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.trino.authentication import Authentication, Forbidden, Unauthorized, basic_credentials
from sandbox.trino.passwords import PasswordFileInvalid, bcrypt_available, parse_password_file
from tests.support.trino_standin import configured, etc

SALT = "5b4240333032306164"


def pbkdf2(password: str, iterations: int = 1000) -> str:
    digest = hashlib.pbkdf2_hmac("sha1", password.encode(), bytes.fromhex(SALT), iterations)
    return f"{iterations}:{SALT}:{digest.hex()}"


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def authentication(folder: Path, **config: str) -> Authentication:
    file = folder / "password.db"
    file.write_text(f"alice:{pbkdf2('secret')}\n")
    return Authentication(
        configured(
            etc(
                {
                    "http-server.authentication.type": "PASSWORD",
                    "internal-communication.shared-secret": "x",
                    **{key.replace("_", "."): value for key, value in config.items()},
                },
                files={
                    "password-authenticator.properties": (
                        f"password-authenticator.name=file\nfile.password-file={file}\n"
                    ).encode()
                },
            )
        )
    )


def test_without_authentication_the_name_is_taken_on_trust() -> None:
    open_house = Authentication(configured(etc()))
    assert open_house.user_of({"X-Trino-User": "bob"}, secure=False) == "bob"
    assert open_house.user_of({"Authorization": basic("bob", "")}, secure=False) == "bob"
    with pytest.raises(Unauthorized):
        open_house.user_of({}, secure=False)
    with pytest.raises(Unauthorized, match="Password not allowed"):
        open_house.user_of({"Authorization": basic("bob", "x")}, secure=False)


def test_passwords_are_checked_on_secure_requests_only(tmp_path: Path) -> None:
    guarded = authentication(tmp_path)
    assert guarded.user_of({"Authorization": basic("alice", "secret")}, secure=True) == "alice"
    for headers in ({}, {"Authorization": basic("alice", "wrong")}, {"Authorization": basic("eve", "secret")}):
        with pytest.raises(Unauthorized) as caught:
            guarded.user_of(headers, secure=True)
        assert caught.value.challenges == ('Basic realm="Trino"',)
    with pytest.raises(Forbidden, match="Authentication over HTTP is not enabled"):
        guarded.user_of({"Authorization": basic("alice", "secret")}, secure=False)


def test_another_user_cannot_be_impersonated(tmp_path: Path) -> None:
    guarded = authentication(tmp_path)
    credentials = basic("alice", "secret")
    assert guarded.user_of({"Authorization": credentials, "X-Trino-User": "alice"}, secure=True) == "alice"
    with pytest.raises(Forbidden, match="User alice cannot impersonate user bob"):
        guarded.user_of({"Authorization": credentials, "X-Trino-User": "bob"}, secure=True)


def test_a_changed_password_file_is_read_again(tmp_path: Path) -> None:
    guarded = authentication(tmp_path)
    guarded.load()
    (tmp_path / "password.db").write_text(f"alice:{pbkdf2('changed')}\nbob:{pbkdf2('x')}\n")
    assert guarded.user_of({"Authorization": basic("alice", "changed")}, secure=True) == "alice"


def test_bcrypt_hashes_are_checked() -> None:
    if not bcrypt_available():
        with pytest.raises(PasswordFileInvalid, match="use PBKDF2"):
            parse_password_file("a:$2y$10$" + "a" * 53)
        return
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    hashed = library.crypt(b"secret", b"$2b$08$abcdefghijklmnopqrstuu").decode()
    store = parse_password_file(f"alice:{hashed}\n")
    assert store.authenticate("alice", "secret")
    assert not store.authenticate("alice", "Secret")
    assert not store.authenticate("bob", "secret")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alice", "line 1: Expected two parts"),
        ("alice:plain", "line 1: Unknown encoding of password"),
        (f"a:{pbkdf2('x')}\na:{pbkdf2('x')}", "line 2: Duplicate user"),
        ("a:$2y$04$" + "a" * 53, "Minimum cost of BCrypt"),
        (f"a:10:{SALT}:00", "Minimum iterations"),
    ],
)
def test_a_bad_password_file_names_its_line(text: str, message: str) -> None:
    with pytest.raises(PasswordFileInvalid, match=message):
        parse_password_file(text)


@given(st.text(max_size=60))
def test_any_text_is_a_password_file_or_refused(text: str) -> None:
    try:
        parse_password_file(text)
    except PasswordFileInvalid:
        return


@given(st.text(max_size=60))
def test_any_authorization_header_is_read_or_refused(value: str) -> None:
    try:
        basic_credentials(value)
    except Unauthorized:
        return


def test_system_information_may_be_written_only_where_rules_say_so(tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text('{"system_information": [{"user": "admin|ops", "allow": ["read", "write"]}, {"allow": ["read"]}]}')
    file_based = {"access-control.properties": f"access-control.name=file\nsecurity.config-file={rules}\n".encode()}
    by_rules = configured(etc(files=file_based)).access_control
    assert by_rules.may_write_system_information("ops")
    assert not by_rules.may_write_system_information("bob")
    assert not configured(etc()).access_control.may_write_system_information("admin")
    everything = {"access-control.properties": b"access-control.name=allow-all\n"}
    assert configured(etc(files=everything)).access_control.may_write_system_information("bob")
