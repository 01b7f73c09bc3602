"""What a pod's volumes contain, and how they appear in a container's directory tree.

Pure: volumes become maps of relative path to bytes and mode, mounts become a list of directories and links to
make. The shell that writes them is elsewhere. Paths come from users and are checked here: none leaves its
volume or its container's root.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from sandbox.kubelet.environment import (
    ConfigMissing,
    ConfigWrong,
    Lookup,
    field_value,
    find_object,
    payload,
    resource_value,
)
from sandbox.kubelet.objects import Object, spec

SECRET_FILE_MODE = 0o600
SECRET_DIR_MODE = 0o700
FILE_MODE = 0o644
DIR_MODE = 0o755


class VolumeUnsupported(Exception):
    """A kind of volume that does not exist here; waiting does not help."""


@dataclass(frozen=True)
class File:
    data: bytes
    mode: int = FILE_MODE


@dataclass(frozen=True)
class Content:
    """A volume's files. `writable` ones (emptyDir) are made once, the others follow their source."""

    files: Mapping[str, File]
    dir_mode: int = DIR_MODE
    writable: bool = False


def content(pod: Object, volume: Mapping[str, Any], lookup: Lookup) -> Content:
    """The files of one volume. Raises ConfigMissing, ConfigWrong or VolumeUnsupported."""
    if "emptyDir" in volume:
        return Content({}, 0o777, writable=True)
    if volume.get("configMap") is not None:
        return Content(_from_object("ConfigMap", volume["configMap"], "name", lookup))
    if volume.get("secret") is not None:
        return Content(_from_object("Secret", volume["secret"], "secretName", lookup), SECRET_DIR_MODE)
    if volume.get("downwardAPI") is not None:
        return Content(_downward(pod, volume["downwardAPI"].get("items") or []))
    if volume.get("projected") is not None:
        return _projected(pod, volume["projected"].get("sources") or [], lookup)
    kind = next((name for name in volume if name != "name"), "none")
    raise VolumeUnsupported(
        f'volume "{volume.get("name")}" is of kind {kind}, which the sandbox does not have; '
        "use emptyDir, configMap, secret, downwardAPI or projected"
    )


def referenced_objects(pod: Object) -> set[tuple[str, str]]:
    """Every (kind, name) of ConfigMaps and Secrets that the pod's volumes show."""
    found: set[tuple[str, str]] = set()
    for volume in spec(pod).get("volumes") or []:
        sources = [volume, *((volume.get("projected") or {}).get("sources") or [])]
        for source in sources:
            if source.get("configMap"):
                found.add(("ConfigMap", str(source["configMap"].get("name"))))
            if source.get("secret"):
                secret = source["secret"]
                found.add(("Secret", str(secret.get("secretName") or secret.get("name"))))
    return found


def _from_object(kind: str, source: Mapping[str, Any], name_field: str, lookup: Lookup) -> dict[str, File]:
    name = str(source.get(name_field) or "")
    optional = bool(source.get("optional"))
    mode = SECRET_FILE_MODE if kind == "Secret" else FILE_MODE
    obj = find_object(kind, name, optional, lookup)
    if obj is None:
        return {}
    data = payload(kind, obj)
    items = source.get("items")
    if not items:
        return {relative_path(entry): File(value, mode) for entry, value in data.items()}
    found = {}
    for item in items:
        wanted = str(item.get("key"))
        if wanted not in data:
            if optional:
                continue
            raise ConfigMissing(f'{kind.lower()} "{name}" references non-existent config key: {wanted}')
        found[relative_path(str(item.get("path")))] = File(data[wanted], mode)
    return found


def _downward(pod: Object, items: Sequence[Mapping[str, Any]]) -> dict[str, File]:
    found = {}
    for item in items:
        if item.get("fieldRef"):
            value = field_value(pod, str(item["fieldRef"].get("fieldPath")))
        elif item.get("resourceFieldRef"):
            value = resource_value(pod, item["resourceFieldRef"], None)
        else:
            raise ConfigWrong("a downwardAPI item needs fieldRef or resourceFieldRef")
        found[relative_path(str(item.get("path")))] = File(value.encode())
    return found


def _projected(pod: Object, sources: Sequence[Mapping[str, Any]], lookup: Lookup) -> Content:
    files: dict[str, File] = {}
    private = False
    for source in sources:
        if source.get("configMap") is not None:
            files.update(_from_object("ConfigMap", source["configMap"], "name", lookup))
        elif source.get("secret") is not None:
            private = True
            files.update(_from_object("Secret", source["secret"], "name", lookup))
        elif source.get("downwardAPI") is not None:
            files.update(_downward(pod, source["downwardAPI"].get("items") or []))
        else:
            kind = next(iter(source), "none")
            raise VolumeUnsupported(
                f"projected source {kind} does not exist in the sandbox; use configMap, secret or downwardAPI"
            )
    return Content(files, SECRET_DIR_MODE if private else DIR_MODE)


def relative_path(text: str) -> str:
    """A path inside a volume, or ConfigWrong."""
    path = PurePosixPath(text)
    if not text or "\0" in text or path.is_absolute() or ".." in path.parts or str(path) == ".":
        raise ConfigWrong(f"{text!r} is no path inside a volume: it must be relative, without '..'")
    if path.parts[0].startswith(".."):
        raise ConfigWrong(f"{text!r} is no path inside a volume: names that begin with '..' are the kubelet's own")
    return str(path)


def absolute_path(text: str) -> PurePosixPath:
    """A mount path below a container's root, as a relative path; or ConfigWrong."""
    path = PurePosixPath(text.lstrip("/"))  # two leading slashes are a root of their own to pathlib
    if "\0" in text or ".." in path.parts:
        raise ConfigWrong(f"mountPath {text!r} must not hold '..'")
    parts = path.parts
    if not parts:
        raise ConfigWrong("mountPath / would hide the whole file system of the container")
    return PurePosixPath(*parts)


@dataclass(frozen=True)
class Place:
    """One entry of a container's tree: a directory, or (with `volume`) a link into a volume."""

    path: PurePosixPath
    volume: str | None = None
    inside: str = ""  # path inside the volume; empty is the volume itself
    pinned: bool = False  # a subPath of a ConfigMap or Secret keeps the content it had at the start


def places(
    mounts: Sequence[Mapping[str, Any]],
    top_entries: Callable[[str, str], Sequence[str]],
    environment: Mapping[str, str] | None = None,
    expand: Callable[[str, Mapping[str, str]], str] | None = None,
) -> list[Place]:
    """The tree of one container, parents first.

    A mount is a link to its volume. Where another mount lies inside it, it becomes a directory of links to
    each of the volume's entries (`top_entries(volume, inside)` lists them) beside the inner mount, because a
    link into a volume cannot hold something that is not in the volume.
    """
    wanted: dict[PurePosixPath, tuple[str, str]] = {}
    for mount in mounts:
        inside = str(mount.get("subPath") or "")
        if mount.get("subPathExpr") and expand is not None:
            inside = expand(str(mount["subPathExpr"]), environment or {})
        if inside:
            inside = relative_path(inside)
        wanted[absolute_path(str(mount.get("mountPath")))] = (str(mount.get("name")), inside)
    found: dict[PurePosixPath, Place] = {}
    for path in sorted(wanted, key=lambda item: item.parts):
        for parent in reversed(path.parents[:-1]):
            found.setdefault(parent, Place(parent))
        volume, inside = wanted[path]
        inner = {other.relative_to(path).parts[0] for other in wanted if path in other.parents}
        if not inner:
            found[path] = Place(path, volume, inside, pinned=bool(inside))
            continue
        found[path] = Place(path)
        for entry in top_entries(volume, inside):
            if entry not in inner:
                below = f"{inside}/{entry}" if inside else entry
                found[path / entry] = Place(path / entry, volume, below)
    return list(found.values())
