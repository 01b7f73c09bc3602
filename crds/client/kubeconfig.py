"""Kubeconfig files, found, merged and resolved as kubectl does it. Neither kr8s nor aiohttp is imported.

Called by the credentials (which read it, or hand it to kr8s) and by whoever only wants to know the context, its
namespace or its server. kr8s's own reading is not used because it differs where users notice: of several
files the last duplicate wins instead of the first, `current-context` counts in the first file only, `--context`
takes the namespace of the current context, relative paths are looked up in the working directory, and the
pure Python YAML loader is used where the C one is ten times quicker.

It writes nothing, and it does not judge credentials: an expired token is found out by the API server.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from crds.client.errors import ConfigError

DEFAULT_PATH = "~/.kube/config"
_FILE_KEYS = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key", "tokenFile"),
}


@dataclass(frozen=True, slots=True)
class Context:
    """One way to one cluster: the kubeconfig's entries, with absolute paths."""

    name: str
    namespace: str
    cluster: Mapping[str, Any]
    # Out of reprs: it holds tokens and keys.
    user: Mapping[str, Any] = field(repr=False)
    sources: tuple[str, ...] = ()

    @property
    def server(self) -> str:
        server: str = self.cluster["server"]
        return server


def find(explicit: str | None, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The files to read, those of the flag or of KUBECONFIG or the default one; empty when there is none.

    A file that was named by a flag must exist; of a KUBECONFIG list it is enough that one does.
    """
    if explicit:
        path = Path(explicit).expanduser()
        if not path.is_file():
            what = "is a directory" if path.is_dir() else "does not exist"
            raise ConfigError(f"the kubeconfig {path} {what}; name the right file with --kubeconfig FILE")
        return (path,)
    listed = environ.get("KUBECONFIG", "")
    if listed:
        paths = [Path(part).expanduser() for part in listed.split(os.pathsep) if part]
        found = tuple(path for path in paths if path.is_file())
        if not found:
            raise ConfigError(
                f"KUBECONFIG names {listed}, and no such file exists; "
                "unset KUBECONFIG or name the right file with --kubeconfig FILE"
            )
        return found
    default = Path(DEFAULT_PATH).expanduser()
    return (default,) if default.is_file() else ()


def load(paths: tuple[Path, ...], context: str | None = None) -> Context:
    """Read and merge the files, and resolve `context` (None: the current one)."""
    documents = [(path, _read(path)) for path in paths]
    names = ", ".join(str(path) for path in paths)
    clusters: dict[str, dict[str, Any]] = {}
    users: dict[str, dict[str, Any]] = {}
    contexts: dict[str, dict[str, Any]] = {}
    current = ""
    for path, document in documents:
        current = current or _text(document.get("current-context"))
        for entries, key, plural in (
            (clusters, "cluster", "clusters"),
            (users, "user", "users"),
            (contexts, "context", "contexts"),
        ):
            for name, entry in _entries(path, document, plural, key):
                entries.setdefault(name, _absolute(entry, path.absolute().parent, _FILE_KEYS.get(key, ())))
    wanted = context or current
    if not wanted:
        if len(contexts) != 1:
            known = ", ".join(sorted(contexts)) or "none"
            raise ConfigError(
                f"the kubeconfig {names} sets no current-context; choose one with --context NAME (it has {known})"
            )
        wanted = next(iter(contexts))
    if wanted not in contexts:
        known = ", ".join(sorted(contexts)) or "none"
        raise ConfigError(
            f"the kubeconfig {names} has no context {wanted!r}; choose one with --context NAME (it has {known})"
        )
    chosen = contexts[wanted]
    cluster_name, user_name = _text(chosen.get("cluster")), _text(chosen.get("user"))
    cluster = clusters.get(cluster_name)
    if cluster is None:
        raise ConfigError(f"context {wanted!r} of the kubeconfig {names} names the unknown cluster {cluster_name!r}")
    if not _text(cluster.get("server")):
        raise ConfigError(f"cluster {cluster_name!r} of the kubeconfig {names} has no server")
    user = users.get(user_name) if user_name else {}
    if user is None:
        raise ConfigError(f"context {wanted!r} of the kubeconfig {names} names the unknown user {user_name!r}")
    namespace = _text(chosen.get("namespace")) or "default"
    return Context(wanted, namespace, cluster, user, tuple(str(path) for path in paths))


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the kubeconfig {path} cannot be read: {error.strerror}") from error
    return parse(raw, str(path))


def parse(raw: bytes, name: str) -> dict[str, Any]:
    """One document; JSON is tried first, because that is quicker and because generated ones often are."""
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            document = yaml.load(raw, Loader=loader)  # noqa: S506 - both are safe loaders
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            # Not the loader's own words: they quote the line, which may hold a token.
            mark = getattr(error, "problem_mark", None)
            where = f" at line {mark.line + 1}" if mark is not None else ""
            raise ConfigError(f"the kubeconfig {name} is not YAML{where}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"the kubeconfig {name} is no kubeconfig: its top level is not a mapping")
    return document


def _entries(path: Path, document: Mapping[str, Any], plural: str, key: str) -> list[tuple[str, dict[str, Any]]]:
    listed = document.get(plural) or []
    if not isinstance(listed, list):
        raise ConfigError(f"the kubeconfig {path} is no kubeconfig: its {plural} are not a list")
    found = []
    for item in listed:
        if not isinstance(item, dict) or not _text(item.get("name")):
            raise ConfigError(f"the kubeconfig {path} is no kubeconfig: an entry of {plural} has no name")
        entry = item.get(key) or {}
        if not isinstance(entry, dict):
            raise ConfigError(f"the kubeconfig {path}: {key} {item['name']!r} is not a mapping")
        found.append((item["name"], entry))
    return found


def _absolute(entry: dict[str, Any], folder: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    resolved = dict(entry)
    for key in keys:
        value = resolved.get(key)
        if isinstance(value, str) and value:
            resolved[key] = str(folder / Path(value).expanduser())
    # An exec plugin given by a relative path is relative to its file; a bare name is looked up in PATH.
    plugin = resolved.get("exec")
    if isinstance(plugin, dict) and "/" in _text(plugin.get("command")) and keys:
        resolved["exec"] = {**plugin, "command": str(folder / Path(plugin["command"]).expanduser())}
    return resolved


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
