"""What no container and no pod of a runtime may ask for, whoever writes its security context.

The line is Kubernetes' baseline Pod Security Standard: nothing that reaches out of the container into its node. Called
for every context that a user can write (overlay, init containers, exporter); knows no field of ours and no user.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from crds.v1.meta import FieldError

#: SELinux types that are containers' own.
_SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})


def container_errors(context: object, path: str) -> Iterator[FieldError]:
    """Errors for the security context of a container."""
    if not isinstance(context, Mapping):
        return
    yield from _shared(context, path)
    for key in ("privileged", "allowPrivilegeEscalation"):
        if context.get(key) not in (None, False):
            yield FieldError(f"{path}.{key}", "must not be true", "Forbidden")
    capabilities = context.get("capabilities")
    if isinstance(capabilities, Mapping) and capabilities.get("add"):
        yield FieldError(f"{path}.capabilities.add", "must be empty", "Forbidden")
    if context.get("procMount") not in (None, "", "Default"):
        yield FieldError(f"{path}.procMount", "must be Default", "Forbidden")


def pod_errors(context: object, path: str) -> Iterator[FieldError]:
    """Errors for the security context of a pod."""
    if not isinstance(context, Mapping):
        return
    yield from _shared(context, path)
    if context.get("sysctls"):
        yield FieldError(f"{path}.sysctls", "must be empty: they are settings of the node", "Forbidden")


def port_errors(ports: object, path: str) -> Iterator[FieldError]:
    """Errors for ports of a container that open ports of the node."""
    for index, port in enumerate(ports if isinstance(ports, list | tuple) else ()):
        if isinstance(port, Mapping) and port.get("hostPort"):
            yield FieldError(f"{path}[{index}].hostPort", "must not be set: it is a port of the node", "Forbidden")


def _shared(context: Mapping[str, object], path: str) -> Iterator[FieldError]:
    """What pods and containers may both say."""
    for key in ("seccompProfile", "appArmorProfile"):
        profile = context.get(key)
        if isinstance(profile, Mapping) and profile.get("type") == "Unconfined":
            yield FieldError(f"{path}.{key}.type", "must not be Unconfined; leave it out", "Forbidden")
    windows = context.get("windowsOptions")
    if isinstance(windows, Mapping) and windows.get("hostProcess") not in (None, False):
        yield FieldError(f"{path}.windowsOptions.hostProcess", "must not be true", "Forbidden")
    linux = context.get("seLinuxOptions")
    if isinstance(linux, Mapping) and (
        linux.get("user") or linux.get("role") or (linux.get("type") or "") not in _SELINUX_TYPES
    ):
        yield FieldError(
            f"{path}.seLinuxOptions", "must not set a user, a role or a type beyond containers", "Forbidden"
        )
