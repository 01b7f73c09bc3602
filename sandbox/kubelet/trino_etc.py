"""Prepares a container's rendered Trino configuration for a server that runs on this machine.

Called before every start, of the stand-in and (with `--trino-home`) of a real Trino server. The files were
written for a container; a copy is made in which absolute paths lead into the container's tree on this machine.
For a real server the copy also names the pod's address and resolves Service names through the sandbox's hosts
file. Files that Trino re-reads while it runs are referred to in place, so that their updates reach it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from sandbox.kubelet.launches import Place, inside_command

ETC = Path("etc") / "trino"
# Native agents of the image that a plain installation does not have.
_IMAGE_ONLY = ("-agentpath:",)


def prepare_etc(place: Place, home: Path | None) -> Path:
    """Copy <root>/etc/trino, adapted, and return the copy's directory. `home` is a real server's."""
    source = place.root / ETC
    target = place.work / "trino-etc"
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True, mode=0o700)
    local = _mapper(place, source, target, home)
    for relative in _files(source):
        path, copy = source / relative, target / relative
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".properties":
            address = place.pod_ip if home is not None else None
            copy.write_text(adapt_properties(path.name, path.read_text(), address, local))
        elif path.name == "jvm.config" and home is not None:
            copy.write_text(adapt_jvm(path.read_text(), place.hosts_file))
        else:
            shutil.copy(path, copy)
        copy.chmod(0o600)
    return target


def _files(source: Path) -> Iterator[Path]:
    """Every file of the tree as it is seen through its links, relative to `source`."""
    for base, directories, names in os.walk(source, followlinks=True):
        # Names that begin with two dots are how a volume is updated, not what it shows.
        directories[:] = [name for name in directories if not name.startswith("..")]
        for name in names:
            if not name.startswith(".."):
                yield (Path(base) / name).relative_to(source)


def _mapper(place: Place, source: Path, target: Path, home: Path | None) -> Callable[[str], str]:
    """Where an absolute path of the container lies on this machine; anything else stays as it is."""
    image = {"/usr/lib/trino": home, "/data/trino": place.work / "trino-data"} if home is not None else {}

    def one(value: str) -> str:
        if not value.startswith("/"):
            return value
        for prefix, where in image.items():
            if value == prefix or value.startswith(prefix + "/"):
                return f"{where}{value[len(prefix) :]}"
        inside = place.root / value.lstrip("/")
        if inside.suffix == ".properties" and inside.is_relative_to(source):
            inside = target / inside.relative_to(source)  # it may hold paths itself
            return str(inside)
        return str(inside) if inside.exists() else value

    def local(value: str) -> str:
        return ",".join(one(part) for part in value.split(",")) if value.startswith("/") else value

    return local


def adapt_properties(name: str, text: str, pod_ip: str | None, local: Callable[[str], str]) -> str:
    """One .properties file with local paths; `pod_ip` also stands for localhost and is named in node.properties."""
    lines = []
    for line in text.splitlines():
        key, mark, value = line.partition("=")
        if mark and not line.lstrip().startswith("#"):
            value = local(value.strip()) if value.strip().startswith("/") else value
            if pod_ip is not None and key.strip() == "discovery.uri":
                value = inside_command([value], pod_ip)[0]
            line = f"{key}={value}"  # noqa: PLW2901 - the adapted line
        lines.append(line)
    if pod_ip is not None and name == "node.properties":
        named = {line.partition("=")[0].strip() for line in lines}
        ours = ("node.internal-address", "node.bind-ip")
        lines.extend(f"{key}={pod_ip}" for key in ours if key not in named)
    return "\n".join(lines) + "\n"


def adapt_jvm(text: str, hosts_file: Path) -> str:
    """jvm.config without the image's agents, resolving names through the sandbox's hosts file."""
    lines = [line for line in text.splitlines() if not line.strip().startswith(_IMAGE_ONLY)]
    return "\n".join([*lines, f"-Djdk.net.hosts.file={hosts_file}"]) + "\n"
