"""One login: the token and the TLS context that a kubeconfig's context, or a pod's service account, stands for.

Called by `credentials`, at the start and again after a 401. What lies in the kubeconfig or in files (tokens,
certificates, authorities) is read here, by the standard library alone. What takes a login of its own (`exec` plugins,
auth providers) is left to kr8s, which is imported then and only then: it and its imports cost a third of a second and
20 MiB, in every process of ours. Around it stands what it does not do (version 0.20.15): exec plugins get
`KUBERNETES_EXEC_INFO`, and keys that it leaves in temporary files are removed once they are loaded.

Either way a client certificate without an authority verifies the server against the system's authorities, and a
failure says which file and what to type next, without a word of what is in it.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import orjson

from crds.client.errors import ConfigError
from crds.client.kubeconfig import Context

# Entries of a kubeconfig's user that are more than files and texts. The last two only so that they are refused.
_NEEDS_LOGIN = ("exec", "auth-provider", "username", "password")


@dataclass(frozen=True, slots=True)
class Login:
    """What a login gave. `tls` is True for the defaults: the system's authorities, no client certificate."""

    tls: ssl.SSLContext | bool
    token: str | None = field(default=None, repr=False)
    client_certificate: bool = False


async def of_context(chosen: Context, where: str) -> Login:
    """The login for a kubeconfig's context; `where` names it in errors. `tokenFile` is the caller's to read."""
    _check_files(where, chosen.cluster, "certificate-authority")
    _check_files(where, chosen.user, "client-certificate", "client-key")
    if any(key in chosen.user for key in _NEEDS_LOGIN):
        return await by_kr8s(chosen, where)
    try:
        context, certificate = _context(chosen.cluster, chosen.user)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise _unloadable(where, error) from error
    token = chosen.user.get("token")
    return Login(context, token if isinstance(token, str) and token else None, certificate)


def of_authority(path: str, where: str) -> ssl.SSLContext:
    """The TLS context for a server whose authority is in the file `path`."""
    try:
        # Not the default context: since Python 3.13 it refuses authorities that kubectl takes.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=path)
        return context
    except (ssl.SSLError, OSError, ValueError) as error:
        raise _unloadable(where, error) from error


def _context(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> tuple[ssl.SSLContext | bool, bool]:
    """The TLS context that the entries ask for, and whether it holds a client certificate."""
    with contextlib.ExitStack() as files:
        authority = _file(cluster, "certificate-authority", files)
        certificate = _file(user, "client-certificate", files)
        key = _file(user, "client-key", files)
        unverified = bool(cluster.get("insecure-skip-tls-verify"))
        if not (authority or certificate or key or unverified):
            return True, False
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if unverified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if certificate and key:
            # With no password an encrypted key is an error, not a question on somebody's terminal.
            context.load_cert_chain(certificate, key, password="")
        if authority:
            context.load_verify_locations(cafile=authority)
        elif not unverified:
            context.load_default_certs()
        return context, bool(certificate)


def _file(entry: Mapping[str, Any], name: str, files: contextlib.ExitStack) -> str | None:
    """Where the PEM text `name` of an entry is: its file, or one that lives as long as `files` is open."""
    data = entry.get(f"{name}-data")
    if data is None:
        return str(entry[name]) if entry.get(name) else None
    temporary = files.enter_context(tempfile.NamedTemporaryFile())  # noqa: SIM115 - closed by `files`; ours alone
    temporary.write(data.encode() if "-----" in data else base64.b64decode(data))
    temporary.flush()
    return temporary.name


def _check_files(where: str, entry: Mapping[str, Any], *keys: str) -> None:
    """Before anybody meets them, so that the error can say which one it is."""
    for key in keys:
        path, data = entry.get(key), entry.get(f"{key}-data")
        if data is not None:
            try:
                if "-----" not in data:
                    base64.b64decode(data)
            except (ValueError, TypeError):
                raise ConfigError(f"{where} has {key}-data that is not base64") from None
        elif path and not Path(str(path)).is_file():
            raise ConfigError(f"{where} names the {key} {path}, which is no file")


def _unloadable(where: str, error: Exception) -> ConfigError:
    return ConfigError(f"{where}: its certificate, key or CA does not load: {error}")


async def by_kr8s(chosen: Context, where: str) -> Login:
    """The login for a context, whatever it takes."""
    user = copy.deepcopy(dict(chosen.user))
    user.pop("tokenFile", None)
    plugin = user.get("exec")
    if isinstance(plugin, dict):
        plugin["env"] = [*(plugin.get("env") or []), _exec_info(plugin, chosen)]
    document = {
        "current-context": chosen.name,
        "contexts": [{"name": chosen.name, "context": {"cluster": "c", "user": "u", "namespace": chosen.namespace}}],
        "clusters": [{"name": "c", "cluster": copy.deepcopy(dict(chosen.cluster))}],
        "users": [{"name": "u", "user": user}],
    }
    auth = await _authenticate(document, where, plugin)
    return Login(await _tls(auth, where), auth.token, bool(auth.client_cert_file))


async def _authenticate(document: dict[str, Any], where: str, plugin: Mapping[str, Any] | None) -> Any:
    """kr8s's KubeAuth, authenticated."""
    from kr8s._auth import KubeAuth

    # kr8s takes a dict too, whatever its annotation says.
    auth = KubeAuth(kubeconfig=cast(Any, document), serviceaccount="")
    try:
        try:
            await auth.reauthenticate()
        except BaseException:
            _remove_temporary_files(auth)
            raise
    except FileNotFoundError as error:
        hint = str((plugin or {}).get("installHint") or "install it, or log in another way")
        raise ConfigError(f"{where} needs the program {error.filename}, which is not there: {hint}") from error
    except (RuntimeError, orjson.JSONDecodeError, KeyError, ValueError, TypeError, OSError) as error:
        if plugin is not None:
            told = (
                " ".join(str(error).split())[:500]
                if isinstance(error, RuntimeError)
                else "its answer is no ExecCredential"
            )
            command = plugin.get("command")
            raise ConfigError(f"{where}: the login program {command} failed: {told}; run it by hand") from error
        # Not the error's own words: those of a decoder may quote a key.
        told = str(error) if type(error) is ValueError else type(error).__name__
        raise ConfigError(f"{where} cannot be used to log in: {told}") from error
    return auth


async def _tls(auth: Any, where: str) -> ssl.SSLContext | bool:
    try:
        context: ssl.SSLContext | bool = await auth.ssl_context()
    except (ssl.SSLError, OSError, ValueError) as error:
        raise _unloadable(where, error) from error
    finally:
        _remove_temporary_files(auth)
    if isinstance(context, ssl.SSLContext) and not auth.server_ca_file and context.verify_mode != ssl.CERT_NONE:
        context.load_default_certs()
    return context


def _remove_temporary_files(auth: Any) -> None:
    for holder, key, file in (
        (auth._user, "client-key-data", auth.client_key_file),
        (auth._user, "client-certificate-data", auth.client_cert_file),
        (auth._cluster, "certificate-authority-data", auth.server_ca_file),
    ):
        if key in holder and file:
            Path(str(file)).unlink(missing_ok=True)


def _exec_info(plugin: Mapping[str, Any], chosen: Context) -> dict[str, str]:
    spec: dict[str, Any] = {"interactive": False}
    if plugin.get("provideClusterInfo"):
        shared = ("tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")
        spec["cluster"] = {
            "server": chosen.server,
            **{key: chosen.cluster[key] for key in shared if key in chosen.cluster},
        }
    info = {"apiVersion": plugin.get("apiVersion"), "kind": "ExecCredential", "spec": spec}
    return {"name": "KUBERNETES_EXEC_INFO", "value": orjson.dumps(info).decode()}
