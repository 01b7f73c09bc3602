"""Who sends a request: bearer tokens, ServiceAccount tokens, anonymous users and impersonation.

The HTTP shell calls `Authenticator.authenticate` with the request's headers, then `impersonated` when the
caller wants to act as somebody else. TokenRequest and TokenReview are answered here as well, because only this
module knows how tokens are made. Tokens never appear in errors or logs. Client certificates are not read.
"""

from __future__ import annotations

import csv
import hashlib
import secrets
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sandbox.kube import errors
from sandbox.kube.causes import invalid
from sandbox.kube.rbac import MASTERS, SERVICE_ACCOUNT_PREFIX, Attributes, User, denial
from sandbox.kube.store import GroupResource, Object, Store

ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
AUTHENTICATED: Final = "system:authenticated"
ANONYMOUS: Final = User("system:anonymous", groups=("system:unauthenticated",))

SERVICE_ACCOUNTS: Final = GroupResource("", "serviceaccounts")
_BINDABLE: Final = {"Pod": GroupResource("", "pods"), "Secret": GroupResource("", "secrets")}

_ALGORITHM: Final = "ES256"
DEFAULT_EXPIRY: Final = 3600  # seconds
SHORTEST_EXPIRY: Final = 600
LONGEST_EXPIRY: Final = 1 << 32

_CREDENTIAL_ID: Final = "authentication.kubernetes.io/credential-id"


class BadTokenFile(Exception):
    """A static token file that cannot be read as `token,user,uid,"group1,group2"` lines."""


class Authenticator:
    """Turns credentials into users. `store` tells which ServiceAccounts still exist."""

    def __init__(
        self,
        *,
        admin_token: str,
        service_account_key: bytes,
        store: Store,
        static: Mapping[str, User] | None = None,
    ) -> None:
        key: Any = load_pem_private_key(service_account_key, password=None)
        self._private = key
        self._public = key.public_key()
        self._store = store
        # Tokens are looked up by digest, so the time of a lookup tells nothing about them.
        self._static = {_digest(token): user for token, user in (static or {}).items()}
        self._static[_digest(admin_token)] = User("admin", groups=(MASTERS, AUTHENTICATED))

    def authenticate(self, headers: Mapping[str, str], now: datetime) -> User:
        """The user of a request; anonymous without credentials, 401 with wrong ones."""
        scheme, _, token = headers.get("Authorization", "").strip().partition(" ")
        if not scheme:
            return ANONYMOUS
        user = self.user_of(token.strip(), now) if scheme.lower() == "bearer" else None
        if user is None:
            raise errors.unauthorized()
        return user

    def user_of(self, token: str, now: datetime, audiences: Iterable[str] = (ISSUER,)) -> User | None:
        """The user a token stands for, None when it stands for nobody (any more)."""
        static = self._static.get(_digest(token))
        if static is not None:
            return static
        return self._service_account(token, now, set(audiences))

    # -- ServiceAccount tokens

    def issue(
        self,
        namespace: str,
        account: Object,
        *,
        now: datetime,
        audiences: Iterable[str] = (),
        seconds: int = DEFAULT_EXPIRY,
        bound: Mapping[str, str] | None = None,
    ) -> tuple[str, datetime]:
        """A token for a ServiceAccount object, and when it expires."""
        name, uid = account["metadata"]["name"], account["metadata"].get("uid", "")
        expires = now + timedelta(seconds=seconds)
        private: dict[str, Any] = {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}}
        if bound:
            private[bound["kind"].lower()] = {"name": bound["name"], "uid": bound["uid"]}
        claims = {
            "iss": ISSUER,
            "sub": f"{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}",
            "aud": list(audiences) or [ISSUER],
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "exp": int(expires.timestamp()),
            "jti": str(uuid.UUID(bytes=secrets.token_bytes(16), version=4)),
            "kubernetes.io": private,
        }
        return jwt.encode(claims, self._private, algorithm=_ALGORITHM), expires

    def token_request(self, namespace: str, name: str, body: Object, now: datetime) -> Object:
        """Answers `create serviceaccounts/token`."""
        entry = self._store.get(SERVICE_ACCOUNTS, namespace, name)
        if entry is None:
            raise errors.not_found("serviceaccounts", "", name)
        spec = body.get("spec") or {}
        audiences = spec.get("audiences") or [ISSUER]
        seconds = spec.get("expirationSeconds") or DEFAULT_EXPIRY
        if not isinstance(audiences, list) or not all(isinstance(each, str) for each in audiences):
            raise errors.bad_request("TokenRequest: spec.audiences must be a list of strings")
        if not isinstance(seconds, int) or not SHORTEST_EXPIRY <= seconds <= LONGEST_EXPIRY:
            low = "may not specify a duration less than 10 minutes"
            high = "may not specify a duration larger than 2^32 seconds"
            text = high if isinstance(seconds, int) and seconds > LONGEST_EXPIRY else low
            causes = [invalid("spec.expirationSeconds", seconds, text)]
            raise errors.invalid("TokenRequest", "authentication.k8s.io", "", causes)
        bound = self._bound(namespace, spec.get("boundObjectRef"))
        token, expires = self.issue(namespace, entry.obj, now=now, audiences=audiences, seconds=seconds, bound=bound)
        return {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": _timestamp(now)},
            "spec": {**spec, "audiences": audiences, "expirationSeconds": seconds},
            "status": {"token": token, "expirationTimestamp": _timestamp(expires)},
        }

    def token_review(self, body: Object, now: datetime) -> Object:
        """Answers `create tokenreviews`."""
        spec = body.get("spec") or {}
        token, audiences = spec.get("token") or "", spec.get("audiences") or [ISSUER]
        if not token:
            raise errors.bad_request("token is required for TokenReview in authentication")
        user = self.user_of(token, now, audiences)
        status: dict[str, Any] = {"user": {}, "error": "the token is not valid"}
        if user is not None:
            status = {"authenticated": True, "user": user.to_dict(), "audiences": audiences}
        # The token itself is not sent back.
        kept = {key: value for key, value in spec.items() if key != "token"}
        return {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "metadata": {},
            "spec": kept,
            "status": status,
        }

    def _bound(self, namespace: str, reference: Any) -> dict[str, str] | None:
        if not reference:
            return None
        kind, name = reference.get("kind", ""), reference.get("name", "")
        resource = _BINDABLE.get(kind)
        if resource is None:
            raise errors.bad_request(f"cannot bind token to object of type {kind}: use Pod or Secret")
        entry = self._store.get(resource, namespace, name)
        if entry is None:
            raise errors.not_found(resource.plural, resource.group, name)
        uid = entry.obj["metadata"].get("uid", "")
        wanted = reference.get("uid")
        if wanted and wanted != uid:
            why = f"the UID in the bound object reference ({wanted}) does not match the UID in record"
            raise errors.conflict(resource.plural, resource.group, name, why)
        return {"kind": kind, "name": name, "uid": uid}

    def _service_account(self, token: str, now: datetime, audiences: set[str]) -> User | None:
        try:
            # The clock is the caller's, so expiry is checked below and not by the library.
            claims = jwt.decode(
                token,
                self._public,
                algorithms=[_ALGORITHM],
                issuer=ISSUER,
                options={
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "require": ["exp", "iss", "sub", "aud"],
                },
            )
        except (jwt.PyJWTError, ValueError):
            # ValueError: header bytes that are not UTF-8.
            return None
        if claims["exp"] <= now.timestamp() or not audiences & set(claims["aud"]):
            return None
        private = claims["kubernetes.io"]
        namespace, account = private["namespace"], private["serviceaccount"]
        if not self._lives(SERVICE_ACCOUNTS, namespace, account):
            return None
        for kind, resource in _BINDABLE.items():
            if kind.lower() in private and not self._lives(resource, namespace, private[kind.lower()]):
                return None
        return User(
            f"{SERVICE_ACCOUNT_PREFIX}{namespace}:{account['name']}",
            uid=account["uid"],
            groups=service_account_groups(namespace),
            extra={_CREDENTIAL_ID: (f"JTI={claims['jti']}",)},
        )

    def _lives(self, resource: GroupResource, namespace: str, reference: Mapping[str, str]) -> bool:
        entry = self._store.get(resource, namespace, reference["name"])
        return entry is not None and entry.obj["metadata"].get("uid", "") == reference["uid"]


def service_account_groups(namespace: str) -> tuple[str, ...]:
    """The groups of every ServiceAccount of a namespace."""
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)


def impersonated(
    user: User,
    headers: Iterable[tuple[str, str]],
    allowed: Callable[[User, Attributes], bool],
) -> User:
    """The user that the `Impersonate-*` headers ask for, if `user` may; `user` itself without any."""
    name, uid, groups, extra = "", "", [], dict[str, list[str]]()
    for key, value in headers:
        lower = key.lower()
        if lower == "impersonate-user":
            name = value
        elif lower == "impersonate-uid":
            uid = value
        elif lower == "impersonate-group":
            groups.append(value)
        elif lower.startswith("impersonate-extra-"):
            extra.setdefault(unquote(lower.removeprefix("impersonate-extra-")), []).append(value)
    if not name:
        if uid or groups or extra:
            raise errors.internal("requested to impersonate groups, a UID or extra values without impersonating a user")
        return user
    for attributes in _impersonation(name, uid, groups, extra):
        if not allowed(user, attributes):
            raise denial(user, attributes)
    if name.startswith(SERVICE_ACCOUNT_PREFIX) and not groups:
        groups = list(service_account_groups(name.split(":")[2]))
    elif name == ANONYMOUS.name:
        return ANONYMOUS
    if AUTHENTICATED not in groups and "system:unauthenticated" not in groups:
        groups.append(AUTHENTICATED)
    return User(name, uid, tuple(groups), {key: tuple(values) for key, values in extra.items()})


def _impersonation(name: str, uid: str, groups: list[str], extra: Mapping[str, list[str]]) -> Iterable[Attributes]:
    """Each permission that an impersonation needs."""
    parts = name.split(":")
    if name.startswith(SERVICE_ACCOUNT_PREFIX) and len(parts) == 4:
        yield Attributes("impersonate", "", "serviceaccounts", namespace=parts[2], name=parts[3])
    else:
        yield Attributes("impersonate", "", "users", name=name)
    for group in groups:
        yield Attributes("impersonate", "", "groups", name=group)
    if uid:
        yield Attributes("impersonate", "authentication.k8s.io", "uids", name=uid)
    for key, values in extra.items():
        for value in values:
            yield Attributes("impersonate", "authentication.k8s.io", "userextras", key, name=value)


def read_token_file(path: Path) -> dict[str, User]:
    """Static tokens from a CSV file: `token,user,uid` and optionally `"group1,group2"` per line."""
    users: dict[str, User] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            fields = [value.strip() for value in row]
            if not any(fields):
                continue
            if len(fields) < 3 or not fields[0] or not fields[1]:
                raise BadTokenFile(f"{path}, line {number}: write token,user,uid and optionally groups")
            groups = [group.strip() for group in fields[3].split(",")] if len(fields) > 3 else []
            named = tuple(group for group in groups if group)
            users[fields[0]] = User(fields[1], fields[2], (*named, AUTHENTICATED))
    return users


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
