"""Who we are to the API server, and where it is.

`load()` is called once per process by `KubeClient.connect`; the transport asks for `authorization()` before
each call and calls `refresh()` when the server answers 401. How one login is made stands in `logins`; this keeps it
true over time:

- `tokenFile` and projected service-account tokens are read again every 60 s, not only after a 401;
- after a 401 the kubeconfig is found and read anew, login programs run again, the service account is read again;
- the namespace is that of the chosen context, in a pod that of the service account.

Instances may be shared between event loops: nothing in them is bound to one.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import ssl
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from crds.client import kubeconfig as kubeconfigs
from crds.client import logins
from crds.client.errors import ConfigError

log = logging.getLogger(__name__)

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# client-go re-reads projected tokens at this pace; the kubelet renews them at 80 % of their life.
TOKEN_PERIOD = 60.0


@dataclass(frozen=True, slots=True)
class Impersonation:
    """Acting as someone else (`kubectl --as`): needs the `impersonate` verb."""

    user: str
    groups: tuple[str, ...] = ()
    uid: str = ""

    def headers(self) -> list[tuple[str, str]]:
        found = [("Impersonate-User", self.user)]
        found += [("Impersonate-Group", group) for group in self.groups]
        if self.uid:
            found.append(("Impersonate-Uid", self.uid))
        return found


@dataclass(slots=True)
class Identity:
    """What one round of authentication gave; secrets stay out of its repr."""

    server: str
    namespace: str = "default"
    context: str = ""
    tls: ssl.SSLContext | bool = True
    tls_server_name: str | None = None
    proxy: str | None = None
    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
    client_certificate: bool = False


class Credentials:
    """An identity that stays fresh. `again` authenticates anew; None for fixed ones (tests, given URLs)."""

    def __init__(self, identity: Identity, again: Callable[[], Awaitable[Identity]] | None = None) -> None:
        self._identity = identity
        self._again = again
        self._token_read_at: float | None = None
        self.generation = 0

    @classmethod
    def fixed(
        cls, server: str, *, token: str | None = None, tls: ssl.SSLContext | bool = True, namespace: str = "default"
    ) -> Credentials:
        return cls(Identity(server=server.rstrip("/"), token=token, tls=tls, namespace=namespace))

    @property
    def identity(self) -> Identity:
        return self._identity

    def authorization(self, now: float) -> str | None:
        """The Authorization header's value; `now` is monotonic. A due token file is read here (a small file)."""
        identity = self._identity
        if identity.token_file and (self._token_read_at is None or now - self._token_read_at >= TOKEN_PERIOD):
            self._token_read_at = now
            token = read_token(identity.token_file)
            if token is None:
                log.warning("the token file %s cannot be read; the last token stays in use", identity.token_file)
            else:
                identity.token = token
        return f"Bearer {identity.token}" if identity.token else None

    async def refresh(self, seen: int) -> bool:
        """After a 401 to a call made in generation `seen`: is there anything new to try again with?"""
        if seen != self.generation:
            return True
        if self._again is None:
            return False
        old = self._identity
        try:
            new = await self._again()
        except ConfigError as error:
            log.warning("authenticating again failed: %s", error)
            return False
        self._identity = new
        self._token_read_at = None
        changed = new.token != old.token or new.client_certificate
        if changed:
            self.generation += 1
        return changed


def _is_folder(path: str) -> bool:
    return Path(path).is_dir()


def read_token(path: str) -> str | None:
    """The token, or None when there is none to read; bytes that no header may hold count as none."""
    try:
        token = Path(path).read_bytes().strip().decode("ascii")
    except (OSError, UnicodeDecodeError):
        return None
    return token if token and token.isprintable() and " " not in token else None


async def load(
    kubeconfig: str | None = None,
    context: str | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    service_account: str = SERVICE_ACCOUNT,
) -> Credentials:
    """Credentials by flag, KUBECONFIG, the default file, or the pod's service account, in this order."""
    if kubeconfigs.find(kubeconfig, environ):

        async def again() -> Identity:
            # Found and read anew each time: a login command may have rewritten the file.
            chosen = kubeconfigs.load(kubeconfigs.find(kubeconfig, environ), context)
            return await _from_kubeconfig(chosen, environ)

    elif _is_folder(service_account):

        async def again() -> Identity:
            return await _from_service_account(service_account, environ)

    else:
        raise ConfigError(
            "no Kubernetes cluster is configured: there is no ~/.kube/config, KUBECONFIG is not set, and this "
            "is no pod with a service account; name a file with --kubeconfig FILE"
        )
    return Credentials(await again(), again)


async def _from_kubeconfig(chosen: kubeconfigs.Context, environ: Mapping[str, str]) -> Identity:
    where = f"context {chosen.name!r} of {', '.join(chosen.sources)}"
    made = await logins.of_context(chosen, where)
    identity = Identity(
        server=chosen.server.rstrip("/"),
        namespace=chosen.namespace,
        context=chosen.name,
        tls=made.tls,
        tls_server_name=chosen.cluster.get("tls-server-name"),
        proxy=chosen.cluster.get("proxy-url") or environment_proxy(chosen.server),
        token=made.token,
        client_certificate=made.client_certificate,
    )
    token_file = chosen.user.get("tokenFile")
    if token_file:
        identity.token_file = str(token_file)
        identity.token = read_token(identity.token_file)
        if identity.token is None:
            raise ConfigError(f"{where} names the token file {token_file}, which holds no token")
    return identity


async def _from_service_account(folder: str, environ: Mapping[str, str]) -> Identity:
    for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        if not environ.get(name):
            raise ConfigError(
                f"{folder} holds a service account, but {name} is not set; "
                "leave enableServiceLinks and the pod's environment alone, or name a file with --kubeconfig FILE"
            )
    token_file = str(Path(folder) / "token")
    token = read_token(token_file)
    if token is None:
        raise ConfigError(f"{token_file} holds no token; is automountServiceAccountToken false?")
    try:
        namespace = (Path(folder) / "namespace").read_text().strip()
    except OSError:
        namespace = ""
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ["KUBERNETES_SERVICE_PORT"]
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return Identity(
        server=server,
        namespace=namespace or "default",
        tls=logins.of_authority(str(Path(folder) / "ca.crt"), f"the service account in {folder}"),
        proxy=environment_proxy(server),
        token=token,
        token_file=token_file,
    )


def environment_proxy(server: str) -> str | None:
    """The proxy that HTTPS_PROXY and NO_PROXY ask for; never one for this machine itself."""
    parts = urlsplit(server)
    host = parts.hostname or ""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if loopback or urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(parts.scheme)
