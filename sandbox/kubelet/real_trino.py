"""Prepares a container's rendered configuration for a real Trino server that runs on this machine.

Called before a start when the sandbox was given `--trino-home`. The files were written for a container, with
its paths and its localhost; a copy of them is made in which paths lead into the container's tree, the server
binds the pod's own address, and Service names resolve through the sandbox's hosts file. Nothing else changes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from sandbox.kubelet.launches import Place, inside_command

# Native agents of the image that a plain installation does not have.
_IMAGE_ONLY = ("-agentpath:",)


def prepare_etc(place: Place, home: Path) -> Path:
    """Copy <root>/etc/trino, adapted, and return the copy's directory."""
    source = place.root / "etc" / "trino"
    target = place.work / "trino-etc"
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    for path in sorted(source.rglob("*")) if source.is_dir() else ():
        if any(part.startswith("..") for part in path.relative_to(source).parts) or path.is_dir():
            continue
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".properties":
            copy.write_text(adapt_properties(path.name, path.read_text(), place.pod_ip, _mapper(place, target, home)))
        elif path.name == "jvm.config":
            copy.write_text(adapt_jvm(path.read_text(), place.hosts_file))
        else:
            shutil.copy(path, copy)
        copy.chmod(0o600)
    return target


def _mapper(place: Place, target: Path, home: Path) -> Callable[[str], str]:
    """Where an absolute path of the container lies on this machine."""

    def local(value: str) -> str:
        for prefix, where in (
            ("/etc/trino", target),
            ("/usr/lib/trino", home),
            ("/data/trino", place.work / "trino-data"),
        ):
            if value == prefix or value.startswith(prefix + "/"):
                return f"{where}{value[len(prefix) :]}"
        inside = place.root / value.lstrip("/")
        return str(inside) if value.startswith("/") and inside.exists() else value

    return local


def adapt_properties(name: str, text: str, pod_ip: str, local: Callable[[str], str]) -> str:
    """One .properties file: paths become local, localhost becomes the pod; node.properties names the address."""
    lines = []
    for line in text.splitlines():
        key, mark, value = line.partition("=")
        if mark and not line.lstrip().startswith("#"):
            value = local(value.strip())
            if key.strip() == "discovery.uri":
                value = inside_command([value], pod_ip)[0]
            line = f"{key}={value}"  # noqa: PLW2901 - the adapted line
        lines.append(line)
    if name == "node.properties":
        named = {line.partition("=")[0].strip() for line in lines}
        ours = ("node.internal-address", "node.bind-ip")
        lines.extend(f"{key}={pod_ip}" for key in ours if key not in named)
    return "\n".join(lines) + "\n"


def adapt_jvm(text: str, hosts_file: Path) -> str:
    """jvm.config without the image's agents, resolving names through the sandbox's hosts file."""
    lines = [line for line in text.splitlines() if not line.strip().startswith(_IMAGE_ONLY)]
    return "\n".join([*lines, f"-Djdk.net.hosts.file={hosts_file}"]) + "\n"
