"""Who a request is from: Basic credentials against the password file, or a name taken on trust.

Called by the resources that need a user. Passwords are only looked at on a secure request (https, or
X-Forwarded-Proto: https when forwarding is processed); over plain HTTP the server refuses, as the
real one does. Other authenticator types answer with their challenge and let nobody in.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.trino.configuration import ServerConfiguration
from sandbox.trino.passwords import PasswordStore, parse_password_file

_BASIC = 'Basic realm="Trino"'
_BEARER = 'Bearer realm="Trino"'


class Unauthorized(Exception):
    """401 with its challenges."""

    def __init__(self, message: str, *challenges: str) -> None:
        super().__init__(message)
        self.message = message
        self.challenges = challenges or (_BASIC,)


class Forbidden(Exception):
    """403 with a text."""


@dataclass(frozen=True, slots=True)
class Credentials:
    user: str
    password: str


def basic_credentials(header: str | None) -> Credentials | None:
    """None when the header is absent or of another scheme; Unauthorized when it is malformed."""
    if header is None:
        return None
    scheme, _, value = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(value.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Unauthorized("Invalid Authorization header") from error
    user, separator, password = text.partition(":")
    if not separator:
        raise Unauthorized("Malformed credentials: token")
    return Credentials(user, password)


class Authentication:
    """The configured authenticators, in order."""

    def __init__(self, configuration: ServerConfiguration) -> None:
        self._types = configuration.authentication_types
        self._allow_insecure = configuration.allow_insecure_over_http
        self._access_control = configuration.access_control
        self._impersonation = configuration.access_control.write_by_default
        self._file = configuration.password_file
        self._loaded: tuple[tuple[int, int], PasswordStore] | None = None

    def load(self) -> None:
        """Read the password file now, so that a bad one stops the start."""
        if self._file is not None:
            self._store(self._file)

    def user_of(self, headers: Mapping[str, str], *, secure: bool) -> str:
        """The user to run as; raises Unauthorized or Forbidden."""
        wanted = (headers.get("X-Trino-User") or "").strip() or None
        if self._types == ("insecure",) or (not secure and self._allow_insecure):
            return self._trusted(headers, wanted)
        if not secure:
            raise Forbidden("Authentication over HTTP is not enabled")
        principal = self._principal(headers)
        if wanted is not None and wanted != principal and not self._impersonation:
            raise Forbidden(f"Access Denied: User {principal} cannot impersonate user {wanted}")
        return wanted or principal

    def _trusted(self, headers: Mapping[str, str], wanted: str | None) -> str:
        credentials = basic_credentials(headers.get("Authorization"))
        if credentials is not None and credentials.password:
            raise Unauthorized("Password not allowed for insecure authentication")
        user = wanted or (headers.get("X-Trino-Original-User") or "").strip()
        if not user and credentials is not None:
            user = credentials.user
        if not user:
            raise Unauthorized("Basic authentication or X-Trino-Original-User or X-Trino-User must be sent")
        return user

    def _principal(self, headers: Mapping[str, str]) -> str:
        challenges: list[str] = []
        for kind in self._types:
            if kind == "password":
                credentials = basic_credentials(headers.get("Authorization"))
                if credentials is not None and self._accepts(credentials):
                    return credentials.user
                challenges.append(_BASIC)
            elif kind in ("jwt", "oauth2"):
                challenges.append(_BEARER)
        if headers.get("Authorization") is not None and _BASIC in challenges:
            raise Unauthorized("Access Denied: Invalid credentials", *challenges)
        raise Unauthorized("Unauthorized", *challenges)

    def _accepts(self, credentials: Credentials) -> bool:
        return self._file is not None and self._store(self._file).authenticate(credentials.user, credentials.password)

    def _store(self, file: Path) -> PasswordStore:
        """The parsed file, read again when it has changed."""
        status = file.stat()
        stamp = (status.st_mtime_ns, status.st_size)
        if self._loaded is None or self._loaded[0] != stamp:
            self._loaded = (stamp, parse_password_file(file.read_text("utf-8")))
        return self._loaded[1]

    def require_system_write(self, user: str) -> None:
        if not self._access_control.may_write_system_information(user):
            raise Forbidden("Management only resource")
