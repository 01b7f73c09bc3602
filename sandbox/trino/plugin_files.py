"""The small properties files beside config.properties: access control, passwords, groups and the like.

Called by the configuration loader with each file already parsed. It checks that the named plug-in
exists, that its keys are known and that the files it points at can be read, and returns what the
stand-in acts on: where the passwords are, who may change a node's state, and the resource groups. Catalog and
table rules of file-based access control are accepted and not enforced.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.trino.resource_groups import DEFAULT, InvalidResourceGroups, ResourceGroups, parse_resource_groups


@dataclass(frozen=True, slots=True)
class AccessControl:
    """Who may read and write system information. `rules` None: the fixed answer for writing."""

    write_by_default: bool = False
    rules: tuple[tuple[re.Pattern[str], frozenset[str]], ...] | None = None

    def may_write_system_information(self, user: str) -> bool:
        if self.rules is None:
            return self.write_by_default
        for pattern, allowed in self.rules:
            if pattern.fullmatch(user):
                return "write" in allowed
        return False


@dataclass(frozen=True, slots=True)
class PluginFiles:
    access_control: AccessControl
    password_file: Path | None
    resource_groups: ResourceGroups


@dataclass(frozen=True, slots=True)
class _Kind:
    """`selector` is the key that names the plug-in; `keys` per plug-in name, `*` ends a prefix."""

    selector: str
    plugins: Mapping[str, str]


_KINDS: dict[str, _Kind] = {
    "access-control.properties": _Kind(
        "access-control.name",
        {
            "allow-all": "",
            "default": "",
            "read-only": "",
            "file": "security.*",
            "opa": "opa.*",
            "ranger": "ranger.*",
        },
    ),
    "password-authenticator.properties": _Kind(
        "password-authenticator.name",
        {"file": "file.*", "ldap": "ldap.*", "salesforce": "salesforce.*"},
    ),
    "header-authenticator.properties": _Kind("header-authenticator.name", {}),
    "certificate-authenticator.properties": _Kind("certificate-authenticator.name", {}),
    "group-provider.properties": _Kind("group-provider.name", {"file": "file.*", "ldap": "ldap.* group-provider.*"}),
    "resource-groups.properties": _Kind(
        "resource-groups.configuration-manager", {"file": "resource-groups.*", "db": "resource-groups.*"}
    ),
    "session-property-config.properties": _Kind(
        "session-property-config.configuration-manager",
        {"file": "session-property-manager.*", "db": "session-property-manager.*"},
    ),
    "event-listener.properties": _Kind(
        "event-listener.name",
        {
            "http": "http-event-listener.*",
            "kafka": "kafka-event-listener.*",
            "mysql": "mysql-event-listener.*",
            "openlineage": "openlineage-event-listener.*",
        },
    ),
    "exchange-manager.properties": _Kind(
        "exchange-manager.name", {"filesystem": "exchange.*", "hdfs": "exchange.* hdfs.*"}
    ),
}
_REQUIRED_FILES = {
    ("access-control.properties", "file"): "security.config-file",
    ("password-authenticator.properties", "file"): "file.password-file",
    ("group-provider.properties", "file"): "file.group-file",
    ("resource-groups.properties", "file"): "resource-groups.config-file",
    ("session-property-config.properties", "file"): "session-property-manager.config-file",
}
_JSON_FILES = {"security.config-file", "resource-groups.config-file", "session-property-manager.config-file"}
NAMES = tuple(_KINDS)


def check_plugin_files(
    files: Mapping[str, Mapping[str, str]],
    *,
    authentication_types: tuple[str, ...],
    coordinator: bool,
    report: Callable[[str], None],
    open_file: Callable[[Path], bytes],
) -> PluginFiles:
    """Judge every file present; problems go to `report`."""
    documents: dict[str, object] = {}
    for name, properties in files.items():
        plugin = _check_one(name, properties, report)
        key = _REQUIRED_FILES.get((name, plugin or ""))
        if key is not None:
            documents[name] = _read(name, key, properties, report, open_file)
    password_file: Path | None = None
    if "password" in authentication_types and coordinator:
        authenticator = files.get("password-authenticator.properties")
        if authenticator is None:
            report("Password authentication is enabled but password-authenticator.properties does not exist")
        elif authenticator.get("password-authenticator.name") == "file":
            password_file = Path(authenticator.get("file.password-file", ""))
    groups = DEFAULT
    document = documents.get("resource-groups.properties")
    if document is not None:
        try:
            groups = parse_resource_groups(document)
        except InvalidResourceGroups as error:
            report(f"resource-groups.properties: {error}")
    return PluginFiles(_access_control(files, documents), password_file, groups)


def _check_one(name: str, properties: Mapping[str, str], report: Callable[[str], None]) -> str | None:
    kind = _KINDS[name]
    plugin = properties.get(kind.selector)
    if not plugin:
        report(f"{name} does not contain {kind.selector}")
        return None
    if kind.plugins and plugin not in kind.plugins:
        report(f"{name}: '{plugin}' is not registered (known: {', '.join(sorted(kind.plugins))})")
        return None
    prefixes = tuple(word.removesuffix("*") for word in kind.plugins.get(plugin, "").split())
    for key in properties:
        if key != kind.selector and kind.plugins and not (prefixes and key.startswith(prefixes)):
            report(f"Configuration property '{key}' was not used [{name}]")
    return plugin


def _read(
    name: str,
    key: str,
    properties: Mapping[str, str],
    report: Callable[[str], None],
    open_file: Callable[[Path], bytes],
) -> object:
    path = properties.get(key)
    if not path:
        report(f"Invalid configuration property {key}: must not be null [{name}]")
        return None
    if path.startswith(("http://", "https://")):
        return None
    try:
        data = open_file(Path(path))
    except OSError:
        report(f"Invalid configuration property {key}: file does not exist: {path} [{name}]")
        return None
    if key not in _JSON_FILES:
        return None
    try:
        return json.loads(data)
    except ValueError as error:
        report(f"Invalid JSON file '{path}' ({key}): {error}")
        return None


def _access_control(files: Mapping[str, Mapping[str, str]], documents: Mapping[str, object]) -> AccessControl:
    properties = files.get("access-control.properties", {})
    name = properties.get("access-control.name", "default")
    if name == "allow-all":
        return AccessControl(write_by_default=True)
    document = documents.get("access-control.properties")
    if name != "file" or not isinstance(document, dict):
        return AccessControl()
    rules: list[tuple[re.Pattern[str], frozenset[str]]] = []
    for rule in document.get("system_information") or ():
        pattern = re.compile(str(rule.get("user", ".*")))
        rules.append((pattern, frozenset(str(word).lower() for word in rule.get("allow", ()))))
    return AccessControl(rules=tuple(rules))
