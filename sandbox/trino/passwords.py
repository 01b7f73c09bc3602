"""Trino's password file: `user:hash` lines with bcrypt or PBKDF2 hashes.

Called by the authentication of requests; the file is re-read when it changes. PBKDF2 is checked with
hashlib. bcrypt is checked by the system's libcrypt (any Linux with glibc or musl has one that knows
it); where it does not, loading such a file fails with a clear message instead of failing every
login.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_PBKDF2 = re.compile(r"(\d+):([0-9a-fA-F]+):([0-9a-fA-F]+)")
_MIN_BCRYPT_COST = 8
_MIN_PBKDF2_ITERATIONS = 1000
# What libcrypt can check is asked with a known pair, once.
_PROBE = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"


class PasswordFileInvalid(ValueError):
    """The password file cannot be used; the message names the line."""


@dataclass(frozen=True, slots=True)
class PasswordStore:
    """Users and the checks of their passwords, in memory."""

    checks: Mapping[str, Callable[[str], bool]]

    def authenticate(self, user: str, password: str) -> bool:
        check = self.checks.get(user)
        return check is not None and check(password)


def parse_password_file(text: str) -> PasswordStore:
    checks: dict[str, Callable[[str], bool]] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line:
            continue
        user, separator, hashed = line.partition(":")
        if not separator:
            raise PasswordFileInvalid(f"Error in password file line {number}: Expected two parts for user and password")
        if user in checks:
            raise PasswordFileInvalid(f"Error in password file line {number}: Duplicate user: {user}")
        checks[user] = _check_of(hashed, number)
    return PasswordStore(checks)


def _check_of(hashed: str, number: int) -> Callable[[str], bool]:
    match = _BCRYPT.fullmatch(hashed)
    if match is not None:
        if int(match[1]) < _MIN_BCRYPT_COST:
            raise PasswordFileInvalid(
                f"Error in password file line {number}: Minimum cost of BCrypt password must be 8"
            )
        if not bcrypt_available():
            raise PasswordFileInvalid(
                f"Error in password file line {number}: this machine's libcrypt cannot check BCrypt; use PBKDF2"
            )
        return lambda password: _crypt_matches(password, hashed)
    match = _PBKDF2.fullmatch(hashed)
    if match is not None:
        iterations, salt, expected = int(match[1]), bytes.fromhex(match[2]), bytes.fromhex(match[3])
        if iterations < _MIN_PBKDF2_ITERATIONS:
            raise PasswordFileInvalid(f"Error in password file line {number}: Minimum iterations of PBKDF2 is 1000")
        # The hash function follows from the length, as both SHA-1 and SHA-256 files are in use.
        algorithm = "sha256" if len(expected) == hashlib.sha256().digest_size else "sha1"
        return lambda password: hmac.compare_digest(
            hashlib.pbkdf2_hmac(algorithm, password.encode(), salt, iterations, len(expected)), expected
        )
    raise PasswordFileInvalid(f"Error in password file line {number}: Unknown encoding of password")


@cache
def _libcrypt() -> ctypes.CDLL | None:
    name = ctypes.util.find_library("crypt")
    for candidate in (name, "libcrypt.so.1", "libcrypt.so.2"):
        if candidate is None:
            continue
        try:
            library = ctypes.CDLL(candidate)
            library.crypt.restype = ctypes.c_char_p
            library.crypt.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        except (OSError, AttributeError):
            continue
        return library
    return None


def _crypt_matches(password: str, hashed: str) -> bool:
    library = _libcrypt()
    if library is None or "\0" in password:
        return False
    result: bytes | None = library.crypt(password.encode(), hashed.encode())
    return result is not None and hmac.compare_digest(result, hashed.encode())


@cache
def bcrypt_available() -> bool:
    """Whether this machine's libcrypt knows bcrypt, found out with a published test vector."""
    return _crypt_matches("U*U", _PROBE)
